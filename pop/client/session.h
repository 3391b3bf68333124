// What a POP3 client's parts share. Internal to pop/client.
#pragma once

#include "pop/client/client.h"
#include "pop/proto/line.h"
#include "pop/proto/server_reply.h"

#include <algorithm>

namespace relais::pop {

/// Whether a server's word is one: printable ASCII without spaces, and not empty. RFC 2449 §4
bool is_word(std::string_view text) noexcept;

struct Client::Impl {
  /// A status line that has been read: copies, since the connection's buffer goes on.
  struct Status {
    explicit Status(const ServerStatus& said);
    bool ok = false;
    std::string code{};  ///< empty where it is none: not printable, or too long
    std::string text{};  ///< fit for a log and a terminal: cut, and printable
  };
  using Line = std::function<Result<void>(std::string_view line)>;
  using Piece = std::function<net::Task<void>(std::string_view piece)>;

  Impl(std::unique_ptr<net::Connection> to, ClientOptions how) : connection(std::move(to)), options(std::move(how)) {}

  // login.cc
  /// @param limit  of all that it does
  net::Task<void> begin(net::Deadline limit);
  static net::Task<std::unique_ptr<Client>> open(std::unique_ptr<net::Connection> connection, ClientOptions options, net::Deadline limit);
  net::Task<void> enter();
  net::Task<void> greeting();
  net::Task<void> handshake();
  net::Task<void> start_tls();
  net::Task<void> forward_address();
  net::Task<void> log_in();
  net::Task<void> user_and_password();
  net::Task<void> sasl_plain();
  net::Task<void> read_capabilities();

  // client.cc
  /// Of a step: it begins anew with every octet, but never passes `until`.
  net::Deadline deadline() const { return std::min(net::in(options.reply_limit), until); }
  /// Sends a line without its CRLF. Nothing is read.
  net::Task<void> send(std::string line);
  net::Task<Status> status();
  net::Task<Status> exchange(std::string line);
  /// An -ERR is Fault::refused.
  net::Task<Status> command(std::string line);
  /// The lines of a multi-line reply behind its status, byte-stuffing undone. An error of `each` ends the calls, and comes back at the end,
  /// or, with the connection closed, behind kMaxDropped octets.
  net::Task<void> lines(Line each);
  /// The octets of a multi-line reply behind its status.
  net::Task<void> body(Piece each);
  net::Task<LineFramer::Step> line();
  /// What a server says that is no POP3: the connection is given up.
  std::unexpected<Error> garbage(std::string_view what);
  static Error refusal(const Status& status);
  /// Counts octets of a reply that are dropped. @return whether they are too many: the connection is closed then
  bool too_many(std::size_t& dropped, std::size_t more);

  std::unique_ptr<net::Connection> connection;
  ClientOptions options;
  net::Deadline until = net::Deadline::max();  ///< of what is going on as a whole
  LineFramer framer{};
  std::vector<std::string> capabilities{};  ///< first words, upper case
  bool offers_xclient = false;
  bool given_up = false;  ///< too_many()
};

}  // namespace relais::pop
