// The table of legacy platforms.
#include "smtp/outbound/legacy.h"

namespace relais::smtp {

LegacyPlatforms::LegacyPlatforms(std::vector<LegacyPlatform> platforms) : table_(table_of(std::move(platforms))) {}

std::shared_ptr<const LegacyPlatforms::Table> LegacyPlatforms::table_of(std::vector<LegacyPlatform> platforms) {
  auto table = std::make_shared<Table>();
  for (auto& platform : platforms) table->insert_or_assign(std::move(platform.name), std::move(platform.route));
  return table;
}

std::shared_ptr<const LegacyPlatforms::Table> LegacyPlatforms::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

void LegacyPlatforms::set(std::vector<LegacyPlatform> platforms) {
  auto fresh = table_of(std::move(platforms));
  const std::lock_guard lock(mutex_);
  table_ = std::move(fresh);
}

std::optional<directory::Route> LegacyPlatforms::find(std::string_view name) const {
  const auto known = table();
  const auto found = known->find(name);
  if (found == known->end()) return std::nullopt;
  return found->second;
}

std::optional<directory::Route> LegacyPlatforms::find_if(const std::function<bool(const directory::Route&)>& takes) const {
  const auto known = table();
  for (const auto& [name, route] : *known) {
    if (takes(route)) return route;
  }
  return std::nullopt;
}

Result<Destination> next_hop(const LegacyPlatforms& platforms, const Destination& destination) {
  if (destination.kind != Destination::Kind::legacy) return destination;
  const auto route = platforms.find(destination.name);
  if (!route) return fail(Fault::temporary, "no legacy platform '" + destination.name + "' is configured", "4.3.5");
  return destination_of(*route, destination.name);
}

}  // namespace relais::smtp
