// Accepts connections on every loop and starts a session for each.
#pragma once

#include "net/connection.h"
#include "net/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace relais::net {

/// Starts one session; the connection is the session's own. Runs on the loop that accepted.
using SessionStarter = std::function<asio::awaitable<void>(std::unique_ptr<Connection>)>;

struct ListenerOptions {
  std::string name;                          ///< "imap", "submission": for logs and metrics
  std::string address;                       ///< numeric IPv4 or IPv6; "::" takes both
  std::uint16_t port = 0;                    ///< 0: any free one (tests); the same for every loop
  std::shared_ptr<TlsContext> implicit_tls;  ///< null: plain. The handshake happens before the session starts, with a deadline of its own
  std::uint32_t max_connections = 100'000;
  std::uint32_t max_per_address = 1'000;
  bool limit_loopback = false;  ///< does max_per_address hold for this machine's own addresses too?
  /// Sent (best effort) before an excess connection is closed: "421 4.7.0 too many connections\r\n".
  std::string busy_reply;
};

/// One listening port: a SO_REUSEPORT socket per loop. Exceptions that escape a session are caught here, logged as errors and
/// counted (relais_net_session_exceptions_total); they end that session only.
class Listener {
 public:
  /// Binds and listens; accepts nothing before start(). Errors: Fault::refused naming address, port and reason.
  static Result<std::unique_ptr<Listener>> open(LoopPool& loops, ListenerOptions options, SessionStarter starter);
  ~Listener();
  std::uint16_t port() const noexcept;
  void start();
  /// Stops accepting; sessions go on. Threads: any.
  void stop();
  /// Takes no new connections for a while (readiness lost): they wait in the backlog; then accepts again.
  void pause(bool paused);

 private:
  struct Impl;
  explicit Listener(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace relais::net
