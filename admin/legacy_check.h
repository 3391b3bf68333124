// Asking a legacy platform whether a password is right, by the protocols' clients.
#pragma once

#include "directory/authenticator.h"
#include "directory/legacy_hosts.h"
#include "directory/legacy_login.h"
#include "directory/lmdb_directory.h"
#include "net/worker_pool.h"

#include <string>

namespace relais::admin {

/// Logs in by submission (where it need not be told the client's address by PROXY), else IMAP, else POP3: by the first that the platform
/// has. Threads: any loop's. Hosts and workers outlive every check.
class PlatformCheck final : public directory::LegacyCheck {
 public:
  PlatformCheck(directory::LegacyHosts& hosts, net::WorkerPool& workers, std::string hostname)
      : hosts_(hosts), workers_(workers), hostname_(std::move(hostname)) {}
  net::Task<void> check(directory::LegacyAttempt attempt) override;

 private:
  directory::LegacyHosts& hosts_;
  net::WorkerPool& workers_;
  const std::string hostname_;
};

/// What logins at legacy platforms share, put together. The references outlive it; it outlives every session.
class LegacyLogins {
 public:
  LegacyLogins(const directory::LmdbDirectoryOptions& options, directory::MovingDirectory& directory, directory::PlacementGate& gate,
               directory::LegacyHosts& hosts, net::WorkerPool& workers, std::string hostname)
      : accepted_(options.max_remembered, options.remember_logins, *options.clock),
        check_(hosts, workers, std::move(hostname)),
        parts_{directory, directory, gate, check_, limits_, accepted_} {}
  const directory::LegacyLoginParts& parts() const noexcept { return parts_; }

 private:
  directory::AskLimits limits_;
  directory::VerifiedCache accepted_;
  PlatformCheck check_;
  const directory::LegacyLoginParts parts_;
};

}  // namespace relais::admin
