// What routes and the configuration say about connections to a destination: credentials and TLS.
#pragma once

#include "directory/route.h"
#include "smtp/outbound/destination.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// A snapshot of the directory's routes that look-ups of hosts can ask without waiting: for OutboundOptions::rule. Whoever changes a route
/// gives the new list at once.
///
/// Legacy platforms bring rules of their own (next_hop), which none of these replaces.
///
/// Threads: any.
class RouteRules {
 public:
  /// TLS of a destination as configured; nullopt where nothing is. Threads: any.
  using ConfiguredTls = std::function<std::optional<TlsLevel>(std::string_view destination)>;

  explicit RouteRules(ConfiguredTls configured = {}) : configured_(std::move(configured)) {}
  /// To be called before the list for set() is read: of those who read at the same time the last to begin has the newest.
  std::uint64_t begin();
  /// Replaces all of them, unless a list whose reading began later is there already.  @param began  from begin()
  void set(std::vector<directory::Route> routes, std::uint64_t began);
  /// The rule of a route that leads there; its TLS level, else the configured one.
  DestinationRule rule(const Destination& destination) const;

 private:
  using Table = std::map<std::string, directory::Route, std::less<>>;
  std::shared_ptr<const Table> table() const;

  const ConfiguredTls configured_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_ = std::make_shared<const Table>();  // guarded by mutex_; what it points to never changes
  std::uint64_t last_begun_ = 0;                                          // guarded by mutex_
  std::uint64_t began_ = 0;                                               // of table_; guarded by mutex_
};

}  // namespace relais::smtp
