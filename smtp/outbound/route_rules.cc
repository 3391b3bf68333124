// Routes by domain, asked by destination.
#include "smtp/outbound/route_rules.h"

#include <algorithm>

namespace relais::smtp {
namespace {

// As directory::Directory::route_of: the domain's own, that of the nearest domain above it, "*".
template <class Table>
const directory::Route* route_for(const Table& table, std::string_view domain) {
  if (const auto own = table.find(domain); own != table.end()) return &own->second;
  for (auto dot = domain.find('.'); dot != std::string_view::npos; dot = domain.find('.', dot + 1)) {
    if (const auto above = table.find(domain.substr(dot)); above != table.end()) return &above->second;
  }
  const auto all = table.find(std::string_view("*"));
  return all == table.end() ? nullptr : &all->second;
}

}  // namespace

std::shared_ptr<const RouteRules::Table> RouteRules::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

std::uint64_t RouteRules::begin() {
  const std::lock_guard lock(mutex_);
  return ++last_begun_;
}

void RouteRules::set(std::vector<directory::Route> routes, std::uint64_t began) {
  auto fresh = std::make_shared<Table>();
  for (auto& route : routes) {
    auto domain = route.domain;
    fresh->insert_or_assign(std::move(domain), std::move(route));
  }
  const std::lock_guard lock(mutex_);
  if (began < began_) return;
  began_ = began;
  table_ = std::move(fresh);
}

DestinationRule RouteRules::rule(const Destination& destination) const {
  const auto routes = table();
  DestinationRule rule;
  const auto leads_there = [&](const directory::Route& route) { return destination_of(route, destination.name) == destination; };
  const bool mx = destination.kind == Destination::Kind::mx;
  const auto* own = mx ? route_for(*routes, destination.name) : nullptr;
  if (own != nullptr && leads_there(*own)) {
    rule = rule_of(*own);
  } else {
    // A route without a host of its own leads to each domain's MX: it was looked for above.
    const auto names_it = [&](const auto& entry) { return !(mx && entry.second.host.empty()) && leads_there(entry.second); };
    const auto found = std::ranges::find_if(*routes, names_it);
    if (found != routes->end()) rule = rule_of(found->second);
  }
  if (!rule.tls && configured_) rule.tls = configured_(to_string(destination));
  return rule;
}

}  // namespace relais::smtp
