// DKIM signatures and ARC sets with the keys of the directory.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"
#include "net/resolver.h"
#include "net/worker_pool.h"
#include "smtp/server/outgoing.h"

#include <string>
#include <string_view>

namespace relais::smtp {

/// The platform's Signer. Keys are read for each message, so that a change counts at once. Threads: any loop's. Everything outlives it.
class Signing final : public Signer {
 public:
  /// @param hostname  our authserv-id in ARC-Authentication-Results
  Signing(directory::Directory& directory, net::Resolver& resolver, net::WorkerPool& workers, std::string hostname, const Clock& clock = system_clock())
      : directory_(directory), resolver_(resolver), workers_(workers), hostname_(std::move(hostname)), clock_(clock) {}

  net::asio::awaitable<Signatures> sign(std::string domain, ToSign message) override;
  net::asio::awaitable<std::string> seal(std::string domain, std::string_view header, std::string_view body) override;

 private:
  net::asio::awaitable<std::vector<directory::DkimKey>> active_keys(std::string domain);

  directory::Directory& directory_;
  net::Resolver& resolver_;
  net::WorkerPool& workers_;
  const std::string hostname_;
  const Clock& clock_;
};

}  // namespace relais::smtp
