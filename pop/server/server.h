// The POP3 service: what its sessions share, and the starter for listeners.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"
#include "net/listener.h"
#include "net/throttle.h"
#include "net/tls.h"
#include "pop/relay/relay.h"
#include "pop/server/locks.h"
#include "storage/store.h"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>

namespace relais::pop {

struct Options {
  /// USER, PASS and AUTH PLAIN without TLS. Off, they are refused until STLS.
  bool allow_plaintext = false;
  /// A second session of an account gets -ERR [IN-USE] (RFC 1939 §4).
  bool exclusive = true;
  /// Messages that were retrieved get \Seen when the session ends with QUIT.
  bool mark_seen = true;
  std::chrono::seconds idle_limit{600};      ///< RFC 1939 §3: the autologout timer runs at least 10 minutes
  std::chrono::seconds login_limit{60};      ///< for each command before the login is done …
  std::chrono::seconds login_total{180};     ///< … and for all of them
  std::chrono::seconds write_limit{300};     ///< for a client that takes nothing of a reply
  std::uint32_t max_bad_commands = 20;       ///< unknown or malformed ones; then the connection is closed
  std::uint32_t max_login_failures = 5;      ///< in one connection
  std::size_t prefetch_octets = 512 * 1024;  ///< of messages that follow, read with one that is asked for in order
  std::size_t prefetch_total = 128U << 20U;  ///< octets of all sessions; above it they read message by message
  RelayOptions relay{};                      ///< for accounts that live on a legacy platform
};

/// What sessions work with. All of it outlives every session.
struct Services {
  directory::Directory* directory = nullptr;
  storage::Store* store = nullptr;
  RelayServices relay{};                         ///< without `moves`: every account lives here
  std::shared_ptr<const net::TlsContext> tls{};  ///< for STLS; null: not offered
  net::Throttle* throttle = nullptr;             ///< slows down wrong passwords; null: does not
  std::shared_ptr<MaildropLocks> locks{};        ///< null: this server's own
  std::shared_ptr<std::atomic<std::size_t>>
      prefetched{};  ///< octets that sessions hold of messages nobody asked for yet; null: this server's own
};

/// Shared by the sessions of all loops. Constant but for the locks and the prefetch account. Threads: any.
class Server {
 public:
  Server(Services services, Options options);

  const Services& services() const noexcept { return services_; }
  const Options& options() const noexcept { return options_; }
  MaildropLocks& locks() const noexcept { return *services_.locks; }
  /// Octets that sessions hold of messages nobody asked for yet.
  std::atomic<std::size_t>& prefetched() const noexcept { return *services_.prefetched; }

 private:
  Services services_;
  const Options options_;
};

/// Makes what a net::Listener wants; for port 995 the listener has the TLS context. A connection that is encrypted already gets no STLS.
net::SessionStarter session_starter(std::shared_ptr<Server> server);

}  // namespace relais::pop
