// The platforms that accounts are moved away from: where their mail is sent meanwhile.
#pragma once

#include "directory/legacy.h"
#include "smtp/outbound/destination.h"

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// How mail reaches one of them: "legacy:NAME" is its destination.
struct LegacyHop {
  std::string name;           ///< of the platform
  Destination destination{};  ///< of kind smtp or lmtp
  DestinationRule rule{};     ///< with a level of TLS
};

/// nullopt for a platform that takes no mail. Reads its authorities: blocks for a moment.
/// Errors: Fault::refused where they cannot be read.
Result<std::optional<LegacyHop>> hop_of(const directory::LegacyPlatform& platform);

/// A snapshot of the directory's platforms that can be asked without waiting. Whoever changes one gives the new list at once. Threads: any.
class LegacyPlatforms {
 public:
  explicit LegacyPlatforms(std::vector<LegacyHop> hops = {});
  /// To be called before the list for set() is read: of those who read at the same time the last to begin has the newest.
  std::uint64_t begin();
  /// Replaces all of them, unless a list whose reading began later is there already.  @param began  from begin()
  void set(std::vector<LegacyHop> hops, std::uint64_t began);
  /// nullopt where no platform of that name takes mail: it waits in the queue until one does.
  std::optional<LegacyHop> find(std::string_view name) const;

 private:
  using Table = std::map<std::string, LegacyHop, std::less<>>;
  static std::shared_ptr<const Table> table_of(std::vector<LegacyHop> hops);
  std::shared_ptr<const Table> table() const;

  mutable std::mutex mutex_;
  std::shared_ptr<const Table> table_;  // guarded by mutex_; what it points to never changes
  std::uint64_t last_begun_ = 0;        // guarded by mutex_
  std::uint64_t began_ = 0;             // of table_; guarded by mutex_
};

/// Where mail is really sent, for Outbound::hosts().
struct NextHop {
  Destination destination{};
  /// The platform's own, so that it holds whatever else leads to the same address: routes, other platforms. nullopt: none is known here.
  std::optional<DestinationRule> rule{};
};

/// Where mail for `destination` is really sent: legacy ones become smtp or lmtp, others stay as they are.
/// Errors: Fault::temporary, code "4.3.5", where there is no such platform, or it takes no mail.
Result<NextHop> next_hop(const LegacyPlatforms& platforms, const Destination& destination);

}  // namespace relais::smtp
