// One mail transaction: MAIL, RCPT, DATA or BDAT. Internal to smtp/client.
#pragma once

#include "smtp/client/session.h"

#include <cstdint>
#include <span>
#include <vector>

namespace relais::smtp {

/// What is sent, after all conversions.
struct Cargo {
  ContentSource* content = nullptr;
  Body body = Body::seven_bit;
  bool smtputf8 = false;
};

/// Sends one message to some of its recipients and writes their verdicts into the outcome.
///
/// Invariant: every command that was sent is answered for, in order, before the next batch is sent; at the end either the session is ready
/// for a command (with needs_reset where a transaction is still open), or session.usable is false. Threads: the connection's. Lives as long
/// as run().
class Transaction {
 public:
  /// Commands in flight at a time: their replies fit into any receive buffer, so that neither side waits for the other (RFC 2920 §3.1).
  static constexpr std::size_t kWindow = 50;
  static constexpr std::size_t kBlock = 256 * 1024;  ///< octets of content per write, each with its own deadline

  /// @param recipients positions in message.recipients; their addresses and the sender's fit into commands
  Transaction(Client::Impl& session, const OutboundMessage& message, Cargo cargo, std::span<const std::uint32_t> recipients,
              Outcome& outcome);
  /// @return recipients that the host wanted in a transaction of their own ("too many"); never all of them
  net::asio::awaitable<std::vector<std::uint32_t>> run();

 private:
  net::asio::awaitable<void> envelope();
  net::asio::awaitable<void> read_window(std::size_t first, std::size_t count);
  net::asio::awaitable<bool> read_opening();
  void take_rcpt(std::uint32_t recipient, RemoteReply reply);
  net::asio::awaitable<void> by_data();
  net::asio::awaitable<void> by_bdat();
  net::asio::awaitable<void> end_empty_data();
  net::Task<void> send_stuffed();
  net::Task<void> send_plain();
  net::asio::awaitable<void> read_results();
  void queue_mail();
  void queue_window(std::size_t first, std::size_t count);

  /// For all that have no verdict of this transaction yet.
  void decide_rest(const Verdict& verdict);
  void decide_accepted(const Verdict& verdict);
  /// The connection is of no more use.
  void lose(Verdict verdict);
  void lose_opening(const Error& error);
  void lose_opening(RemoteReply reply);
  void lose_sending(const Error& error);
  bool chunking() const noexcept { return session_.offer.chunking; }

  Client::Impl& session_;
  const OutboundMessage& message_;
  const Cargo cargo_;
  const std::span<const std::uint32_t> recipients_;
  Outcome& outcome_;

  std::vector<bool> decided_;             ///< as recipients_
  std::vector<std::uint32_t> accepted_;   ///< positions in recipients_, in the order of RCPT
  std::vector<std::uint32_t> postponed_;  ///< recipients
  bool reset_sent_ = false;
  bool mail_accepted_ = false;
  bool data_sent_ = false;
  bool lost_ = false;
};

}  // namespace relais::smtp
