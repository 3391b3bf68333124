// The running platform: every role in one process, put together from the settings.
#pragma once

#include "admin/control.h"
#include "admin/http_server.h"
#include "admin/layout.h"
#include "admin/legacy_check.h"
#include "admin/lock_file.h"
#include "admin/mail_access.h"
#include "admin/mail_out.h"
#include "admin/migration.h"
#include "admin/operations.h"
#include "admin/settings.h"
#include "antispam/rate_limits.h"
#include "directory/legacy_hosts.h"
#include "directory/placement_gate.h"
#include "imap/relay/platform_capabilities.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/throttle.h"
#include "net/worker_pool.h"
#include "smtp/server/delivery.h"

#include <memory>
#include <string>
#include <vector>

namespace relais::admin {

/// Opened data: what the command line needs when no platform runs, and what a platform stands on.
class Data {
 public:
  /// Takes the lock and opens directory and storage.
  /// Errors: Fault::temporary where another process has them open; those of open_lmdb_directory and open_store.
  static Result<std::unique_ptr<Data>> open(const Layout& layout, const config::Values& settings, net::WorkerPool& workers);
  Backend backend(net::WorkerPool& workers, MailAccess& mail, MoveAccess& moving) { return {*directory, *directory, *store, workers, mail, moving}; }

  LockFile lock;
  std::unique_ptr<directory::MovingDirectory> directory;
  std::unique_ptr<storage::ShardedStore> store;

 private:
  Data(LockFile l, std::unique_ptr<directory::MovingDirectory> d, std::unique_ptr<storage::ShardedStore> s)
      : lock(std::move(l)), directory(std::move(d)), store(std::move(s)) {}
};

/// Every role. Constructed by start(), served until stop(). The members are declared in the order in which they depend on each other.
class Platform {
 public:
  /// Opens everything and starts to accept.
  /// Errors: those of Data::open and of TLS; Fault::temporary where a port is taken.
  static Result<std::unique_ptr<Platform>> start(const std::filesystem::path& dir, config::Values settings);
  ~Platform();

  /// "ready smtp=127.0.0.1:25 …": which service listens where.
  std::string ready_line() const;
  /// Reads certificates and the reloadable settings again. An Error leaves everything as it was.
  Result<void> reload();
  /// Stops accepting, lets sessions finish what is in flight, closes the data. @return false where sessions had to be cut off
  bool stop();

 private:
  struct Service {
    std::string name;
    std::string address;
    std::unique_ptr<net::Listener> listener;
  };

  Platform(Layout layout, config::Values settings);
  Result<void> open();
  Result<void> open_listeners();
  Result<void> watch_platforms();
  Result<void> listen(const std::string& name, net::SessionStarter starter, bool implicit_tls, std::string busy_reply);
  Result<void> ready() const;

  const Layout layout_;
  config::Values settings_;
  net::WorkerPool workers_;
  std::shared_ptr<net::TlsContext> tls_;
  std::unique_ptr<Data> data_;
  std::unique_ptr<smtp::FileTraceLog> trace_;
  std::unique_ptr<directory::PlacementGate> gate_;
  net::Throttle throttle_;
  std::unique_ptr<antispam::RateLimits> limits_;
  std::unique_ptr<MailOut> out_;
  std::unique_ptr<directory::LegacyHosts> legacy_hosts_;
  imap::PlatformCapabilities imap_capabilities_;
  std::unique_ptr<LegacyLogins> legacy_logins_;
  std::unique_ptr<smtp::Delivery> delivery_;
  std::unique_ptr<MailAccess> mail_;
  std::unique_ptr<Migration> migration_;
  std::unique_ptr<Backend> backend_;
  net::LoopPool loops_;  ///< ends before what its sessions work with; what could still resume one has ended by then: see stop()
  std::vector<Service> services_;
  std::unique_ptr<ControlServer> control_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace relais::admin
