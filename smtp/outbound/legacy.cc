// The table of legacy platforms.
#include "smtp/outbound/legacy.h"

#include "net/tls.h"

namespace relais::smtp {

Result<std::optional<LegacyHop>> hop_of(const directory::LegacyPlatform& platform) {
  using Tls = directory::LegacyService::Tls;
  const auto& service = platform.delivery;
  if (!service.configured()) return std::optional<LegacyHop>{};
  LegacyHop hop;
  hop.name = platform.name;
  hop.destination = {platform.delivery_lmtp ? Destination::Kind::lmtp : Destination::Kind::smtp, service.host, service.port};
  hop.rule.tls = service.tls == Tls::none ? TlsLevel::none : service.verify ? TlsLevel::verify : TlsLevel::encrypt;
  hop.rule.implicit_tls = service.tls == Tls::implicit;
  if (!platform.ca_file.empty() && service.tls != Tls::none) {
    RELAIS_TRY(hop.rule.tls_context, net::TlsContext::client(platform.ca_file, true));
  }
  return std::optional(std::move(hop));
}

LegacyPlatforms::LegacyPlatforms(std::vector<LegacyHop> hops) : table_(table_of(std::move(hops))) {}

std::shared_ptr<const LegacyPlatforms::Table> LegacyPlatforms::table_of(std::vector<LegacyHop> hops) {
  auto table = std::make_shared<Table>();
  for (auto& hop : hops) {
    auto name = hop.name;
    table->insert_or_assign(std::move(name), std::move(hop));
  }
  return table;
}

std::shared_ptr<const LegacyPlatforms::Table> LegacyPlatforms::table() const {
  const std::lock_guard lock(mutex_);
  return table_;
}

std::uint64_t LegacyPlatforms::begin() {
  const std::lock_guard lock(mutex_);
  return ++last_begun_;
}

void LegacyPlatforms::set(std::vector<LegacyHop> hops, std::uint64_t began) {
  auto fresh = table_of(std::move(hops));
  const std::lock_guard lock(mutex_);
  if (began < began_) return;
  began_ = began;
  table_ = std::move(fresh);
}

std::optional<LegacyHop> LegacyPlatforms::find(std::string_view name) const {
  const auto known = table();
  const auto found = known->find(name);
  if (found == known->end()) return std::nullopt;
  return found->second;
}

Result<NextHop> next_hop(const LegacyPlatforms& platforms, const Destination& destination) {
  if (destination.kind != Destination::Kind::legacy) return NextHop{.destination = destination};
  auto hop = platforms.find(destination.name);
  if (!hop) return fail(Fault::temporary, "no legacy platform '" + destination.name + "' that takes mail is known", "4.3.5");
  return NextHop{.destination = std::move(hop->destination), .rule = std::move(hop->rule)};
}

}  // namespace relais::smtp
