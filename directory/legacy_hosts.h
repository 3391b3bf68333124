// How the hosts of legacy platforms are reached: their addresses, and the authorities that their certificates are checked against.
#pragma once

#include "directory/legacy.h"
#include "net/resolver.h"
#include "net/task.h"
#include "net/tls.h"

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace relais::directory {

/// What a client needs beside LegacyService to connect.
struct LegacyReach {
  std::vector<std::string> addresses{};          ///< numeric, in the order to try; not empty
  std::shared_ptr<const net::TlsContext> tls{};  ///< a verifying one; null for Tls::none
};

/// Host names are asked from the DNS (and kept by the resolver as long as their TTL says), "localhost" and addresses are not. A CA file is
/// read when it is first needed and when it has changed: for a moment that blocks.
///
/// Threads: any. Lifetime: the resolver outlives it.
class LegacyHosts {
 public:
  explicit LegacyHosts(net::Resolver& resolver) : resolver_(resolver) {}

  /// @param service  a configured one of `platform`
  /// Errors: Fault::temporary where the host has no address, the DNS does not answer, or the CA file cannot be read: whoever waits for a
  /// login
  ///   is told no more; `detail` says which.
  net::Task<LegacyReach> find(const LegacyPlatform& platform, const LegacyService& service);

 private:
  struct Authorities {
    std::filesystem::file_time_type changed{};
    std::shared_ptr<const net::TlsContext> context;
  };
  Result<std::shared_ptr<const net::TlsContext>> authorities(const std::string& ca_file);

  net::Resolver& resolver_;
  std::mutex mutex_;
  std::map<std::string, Authorities, std::less<>> known_;  ///< by CA file; guarded by mutex_
};

}  // namespace relais::directory
