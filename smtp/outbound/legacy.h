// The platforms that accounts are moved away from: where their mail is sent meanwhile.
#pragma once

#include "smtp/outbound/destination.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// One of them: "legacy:NAME" is its destination.
struct LegacyPlatform {
  std::string name;
  directory::Route route;  ///< kind smtp or lmtp; its domain is not used
};

/// Those that are configured. Threads: any.
class LegacyPlatforms {
 public:
  explicit LegacyPlatforms(std::vector<LegacyPlatform> platforms = {});
  /// Replaces all of them: at a reload.
  void set(std::vector<LegacyPlatform> platforms);
  /// nullopt where no platform has that name: its mail waits in the queue until one has.
  std::optional<directory::Route> find(std::string_view name) const;
  /// The first one, by name, that the function takes.
  std::optional<directory::Route> find_if(const std::function<bool(const directory::Route&)>& takes) const;

 private:
  using Table = std::map<std::string, directory::Route, std::less<>>;
  static std::shared_ptr<const Table> table_of(std::vector<LegacyPlatform> platforms);
  std::shared_ptr<const Table> table() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_;  // guarded by mutex_; what it points to never changes
};

/// The destination that mail for `destination` is really sent to: legacy ones become smtp or lmtp, others stay as they are.
/// Errors: Fault::temporary, code "4.3.5", where the platform is not configured.
Result<Destination> next_hop(const LegacyPlatforms& platforms, const Destination& destination);

}  // namespace relais::smtp
