// The IMAP server as a whole: its options, what it needs, and the starter of its sessions.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"
#include "imap/relay/platform_capabilities.h"
#include "imap/relay/relay.h"
#include "net/listener.h"
#include "net/tls.h"
#include "storage/store.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

namespace relais::net {
class Throttle;
}

namespace relais::imap {

/// What an administrator may choose. Sizes in octets.
struct Options {
  bool allow_plaintext = false;                    ///< LOGIN, AUTHENTICATE PLAIN and LOGIN without TLS
  std::uint64_t append_limit = 64 * 1024 * 1024;   ///< largest message of an APPEND; announced as APPENDLIMIT (RFC 7889)
  std::uint64_t append_total = 256 * 1024 * 1024;  ///< all messages of one APPEND (RFC 3502)
  std::uint32_t append_messages = 1'000;           ///< messages of one APPEND
  std::string spool_directory = "/var/tmp";        ///< where a large message lies while it arrives
  std::uint32_t max_per_account = 200;             ///< connections that one account may have open; 0: any number
  std::uint32_t max_bad_commands = 20;             ///< BAD replies in a row before the connection is closed; a quarter of it before login
  std::chrono::seconds login_limit{60};            ///< from connect (or STARTTLS) to a successful login
  std::chrono::seconds idle_limit{30 * 60};        ///< autologout; RFC 9051 §5.4: at least 30 minutes
  std::chrono::seconds write_limit{5 * 60};        ///< a client that takes nothing for so long is closed
  std::string server_name = "Relais";              ///< in the greeting and for ID
  std::string version;                             ///< for ID; empty: not told
  RelayOptions relay{};                            ///< for accounts that live on a legacy platform
};

/// How many connections each account has. One for all servers of a process. Threads: any.
class AccountConnections {
 public:
  /// Counts one more. @param most  0: any number  @return false where the account has as many as that
  bool enter(storage::AccountId account, std::uint32_t most);
  void leave(storage::AccountId account);

 private:
  std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::uint32_t> counts_;  ///< guarded by mutex_
};

/// What the sessions work with. All of it outlives them.
struct Services {
  directory::Directory* directory = nullptr;
  storage::Store* store = nullptr;
  RelayServices relay{};                 ///< without `moves`: every account lives here
  std::shared_ptr<net::TlsContext> tls;  ///< for STARTTLS; null: not offered
  net::Throttle* throttle = nullptr;     ///< slows down password guessing; null: not
  const Clock* clock = &system_clock();
  std::shared_ptr<AccountConnections> connections{};  ///< null: this server's own
};

/// What all sessions with the same options share. Threads: any.
class Server {
 public:
  Server(Services services, Options options);

  const Options& options() const noexcept { return options_; }
  directory::Directory& directory() const noexcept { return *services_.directory; }
  storage::Store& store() const noexcept { return *services_.store; }
  net::TlsContext* tls() const noexcept { return services_.tls.get(); }
  net::Throttle* throttle() const noexcept { return services_.throttle; }
  const RelayServices& relay() const noexcept { return services_.relay; }
  /// EarlyCapability bits that may be announced before login.
  std::uint8_t early_capabilities() const noexcept {
    return services_.relay.capabilities == nullptr ? std::uint8_t{kAllEarly} : services_.relay.capabilities->common();
  }
  const Clock& clock() const noexcept { return *services_.clock; }

  /// Counts a login. @return false where the account has as many connections as it may have
  bool enter(storage::AccountId account) { return services_.connections->enter(account, options_.max_per_account); }
  void leave(storage::AccountId account) { services_.connections->leave(account); }

 private:
  Services services_;  ///< constant after construction
  const Options options_;
};

/// The function that a listener calls for each connection: one session until it ends.
/// Lifetime: the Server (and what its Services name) lives until the last session has ended.
net::SessionStarter session_starter(std::shared_ptr<Server> server);

}  // namespace relais::imap
