// One connection to another POP3 server: for sessions relayed to it, for checking a password, for reading a maildrop.
#pragma once

#include "directory/legacy.h"
#include "net/connection.h"
#include "net/loop.h"
#include "net/tls.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::pop {

struct ClientOptions {
  directory::LegacyService service;
  std::vector<std::string> addresses{};          ///< numeric, in order to try; empty: service.host is one
  std::shared_ptr<const net::TlsContext> tls{};  ///< a verifying one; null: no TLS can be had
  std::string user;
  std::string password;           ///< a secret: never in an Error, never in a log
  std::string authenticate_as{};  ///< not empty: AUTH PLAIN with `user` as authorization identity (RFC 5034, RFC 4616)
  directory::ForwardAddress forward = directory::ForwardAddress::none;
  std::optional<net::Endpoints> on_behalf_of{};  ///< our client, for `forward`; without one the connection is our own
  std::string session_id{};                      ///< for `forward`: the id under which our log tells of the session
  std::uint8_t proxy_ttl = 5;                    ///< for `forward`: a loop of relays ends
  bool plaintext_allowed = false;                ///< passwords without TLS
  bool capabilities = true;                      ///< asked for after the login; a relay needs none, and no round trip more
  std::chrono::milliseconds connect_limit{10'000};
  std::chrono::milliseconds reply_limit{60'000};  ///< without an octet of it; for a TLS handshake; for octets to be taken
  std::chrono::milliseconds login_limit{
      30'000};  ///< in all, from the start of connecting until the session can be used, however the octets drip
  std::chrono::milliseconds quit_limit{120'000};  ///< for QUIT in all: a server may rewrite a whole mailbox then
};

/// A message of a maildrop.
struct DropEntry {
  std::uint32_t number = 0;  ///< RFC 1939 message number
  std::uint64_t octets = 0;  ///< of LIST; a server's own idea of it
  std::string uidl{};        ///< empty where the server has none for it
};

/// A session in the TRANSACTION state. One command at a time.
///
/// Errors of the commands: Fault::closed (the connection is gone or was given up: a deadline, a reply that is none); Fault::refused with
/// the code of an -ERR ("SYS/PERM", or none). After a refusal the session goes on.
/// Nothing is deleted on the server but by erase() and then quit().
///
/// Threads: its loop's. Lifetime: not destroyed while a command runs; destroying it closes the connection without a word.
class Client {
 public:
  /// Connects, PROXY header, TLS, greeting, STLS, XCLIENT where the greeting offers it, login, CAPA.
  /// Errors: Fault::temporary for everything short of a clear refusal of the credentials, with the code of an -ERR ("IN-USE",
  /// "LOGIN-DELAY",
  ///   "SYS/TEMP", …) where there was one. The refusal is Fault::refused "AUTHENTICATIONFAILED": -ERR [AUTH], or -ERR without a code, as
  ///   old servers send it; but not where the server takes no passwords without TLS: that is Fault::temporary too. What an -ERR without a
  ///   code says of later is Fault::temporary "UNCLEAR": it may have been about the credentials.
  static net::Task<std::unique_ptr<Client>> connect(net::Loop& loop, ClientOptions options);
  /// The same on a connection that there is already.
  static net::Task<std::unique_ptr<Client>> open(std::unique_ptr<net::Connection> connection, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool has(std::string_view capability) const noexcept;  ///< upper case: "UIDL", "TOP", "PIPELINING"
  /// LIST and UIDL, joined by message number, in ascending order of it. Fault::refused "LIMIT" above kMaxMessages; Fault::syntax for a
  /// unique id above kMaxUidl.
  net::Task<std::vector<DropEntry>> drop();
  /// The header of a message (TOP n 0), byte-stuffing undone, with the empty line. Fault::refused "LIMIT" above kMaxHeader.
  net::Task<std::string> header(std::uint32_t number);
  /// Headers of many, pipelined where offered. `found` is called in order; an Error of it, or of a message, ends the calls, and comes back
  /// when the replies that were asked for are read.
  net::Task<void> headers(std::vector<std::uint32_t> numbers,
                          std::function<Result<void>(std::uint32_t number, std::string_view header)> found);
  /// A message, in pieces, byte-stuffing undone. An Error of `octets` ends the calls and comes back; the rest is read and
  /// dropped, but for more than kMaxDropped: then the connection is closed.
  net::Task<void> retrieve(std::uint32_t number, std::function<net::Task<void>(std::string_view piece)> octets);
  net::Task<void> erase(std::uint32_t number);
  net::Task<void> noop();
  /// QUIT: deletions count once it returns a value. Closes.
  net::Task<void> quit();
  /// Closes without QUIT: nothing was deleted (RFC 1939 §6).
  void close() noexcept;
  /// Gives the connection away, for a relay: nothing is outstanding. The client is of no use afterwards.
  std::unique_ptr<net::Connection> release();

  static constexpr std::size_t kMaxMessages = 5'000'000;
  static constexpr std::size_t kMaxHeader = 4 * 1024 * 1024;    ///< octets
  static constexpr std::size_t kMaxUidl = 250;                  ///< octets; RFC 1939 §7 has 70, some servers more
  static constexpr std::size_t kMaxDropped = 16 * 1024 * 1024;  ///< octets read of a reply that nobody wants any more

  struct Impl;

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::pop
