// What a Client consists of. Internal to smtp/client.
#pragma once

#include "smtp/client/client.h"
#include "smtp/proto/remote_reply.h"

#include <memory>
#include <string>
#include <string_view>

namespace relais::smtp {

/// Invariant: `usable` means that the host has answered everything it was asked and waits for a command; what remains of a transaction that
/// came to nothing is remembered in `needs_reset`.
struct Client::Impl {
  using Milliseconds = std::chrono::milliseconds;

  Impl(std::unique_ptr<net::Connection> transport, ConnectOptions chosen) : options(std::move(chosen)), connection(std::move(transport)) {}

  // ---- session.cc
  /// The next reply. Errors: Fault::closed, code "timeout", "garbage" (closed then) or empty; text says what happened.
  net::Task<RemoteReply> read_reply(Milliseconds limit);
  /// Sends what is queued.
  net::Task<void> flush(Milliseconds limit);
  /// Sends what is queued and reads one reply.
  net::Task<RemoteReply> exchange(Milliseconds limit);

  // ---- connect.cc
  /// From the greeting on. @return nullopt, or why there is no session
  net::asio::awaitable<std::optional<Verdict>> begin();
  net::asio::awaitable<std::optional<Verdict>> hello();
  net::asio::awaitable<std::optional<Verdict>> secure();
  net::asio::awaitable<std::optional<Verdict>> start_tls();
  net::asio::awaitable<std::optional<Verdict>> handshake();
  net::asio::awaitable<std::optional<Verdict>> announce_client();
  void note_tls(TlsFailure failure, std::string reason);
  /// No TLS, no mail.
  bool tls_required() const noexcept;

  // ---- login.cc
  net::asio::awaitable<std::optional<Verdict>> log_in();
  net::Task<RemoteReply> log_in_plain();
  net::Task<RemoteReply> log_in_by_login();
  net::Task<RemoteReply> log_in_by_scram();

  // ---- check.cc
  net::asio::awaitable<Verdict> check(std::string sender, std::string recipient, bool smtputf8);

  // ---- send.cc
  net::asio::awaitable<Outcome> send(const OutboundMessage& message);

  // Constant after construction.
  ConnectOptions options;
  const std::unique_ptr<net::Connection> connection;

  ReplyParser parser;
  RemoteOffer offer;
  TlsResult tls;
  bool usable = false;
  bool gone = false;               ///< nothing more can be said to the host
  bool needs_reset = false;        ///< a transaction is open that must not be gone on with
  std::uint32_t transactions = 0;  ///< MAIL commands accepted or not
  std::uint32_t messages = 0;
};

/// Enhanced code with the class that the disposition has: "5.7.8" of a failure that is temporary for us becomes "4.7.8".
std::string status_for(Disposition disposition, std::string_view enhanced);
/// What a reply that is not the one hoped for means.
Verdict refused_by(Stage stage, Scope scope, RemoteReply reply);
/// What the end of the connection means. @param error of read_reply() or flush()
Verdict lost_at(Stage stage, const Error& error);
/// A decision of our own.
Verdict decided(Disposition disposition, Scope scope, Stage stage, std::string_view status, std::string text);

}  // namespace relais::smtp
