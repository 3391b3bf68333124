// relais migrate …
#include "admin/operations.h"

#include "admin/finding_json.h"
#include "base/check.h"
#include "base/clock.h"
#include "directory/legacy_hosts.h"
#include "migrate/inventory.h"
#include "smtp/server/gather.h"

#include <array>
#include <cmath>

namespace relais::admin {
namespace {

constexpr std::uint64_t kMostConnections = 100;

net::Task<directory::LegacyPlatform> platform_of(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto name, text_argument(request, "name"));
  RELAIS_CO_TRY(auto platform, co_await backend.moves.platform(name));
  if (!platform)
    co_return fail(Fault::refused, "no legacy platform '" + name + "'; relais legacy list shows those there are", "NONEXISTENT");
  co_return *std::move(platform);
}

// Whom a scan of a whole platform looks at: who lives there now.
net::Task<json> accounts(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto platform, co_await platform_of(backend, request));
  RELAIS_CO_TRY(const auto all, co_await backend.directory.accounts(""));
  auto addresses = json::array();
  for (const auto& account : all) {
    if (account.placement.kind == directory::Placement::Kind::legacy && account.placement.legacy == platform.name)
      addresses.push_back(account.address);
  }
  co_return json{{"addresses", std::move(addresses)}};
}

std::string why(const Error& error) {
  auto text = error.text;
  if (!error.code.empty()) text += " [" + error.code + "]";
  if (!error.detail.empty()) text += ": " + error.detail;
  return shown(std::move(text));
}

json describe(const std::string& address, const migrate::AccountInventory& inventory, const std::vector<migrate::Finding>& findings) {
  std::uint64_t largest = 0;
  double messages_per_day = 0;
  double octets_per_day = 0;
  for (const auto& count : inventory.counts) {
    largest = std::max(largest, count.largest);
    messages_per_day += static_cast<double>(count.recent_messages) / migrate::kRecentDays;
    octets_per_day += static_cast<double>(count.recent_octets) / migrate::kRecentDays;
  }
  auto found = json::array();
  for (const auto& finding : findings) found.push_back(admin::describe(finding));
  return {{"address", address},
          {"verdict", migrate::to_string(migrate::verdict_of(findings))},
          {"mailboxes", inventory.counts.size()},
          {"messages", inventory.messages()},
          {"octets", inventory.octets()},
          {"largest_octets", largest},
          {"messages_per_day", std::round(messages_per_day * 10) / 10},
          {"octets_per_day", std::llround(octets_per_day)},
          {"freeze_ms", migrate::predicted_freeze(inventory).count()},
          {"source", shown(inventory.traits.described)},
          {"findings", std::move(found)},
          {"cost", inventory.cost.sums()}};
}

net::Task<json> scan_account(Backend& backend, const directory::LegacyPlatform& platform, directory::LegacyHosts& hosts,
                             std::string address, net::Loop& loop) {
  if (loop.shutting_down()) co_return fail(Fault::temporary, "the platform is stopping");
  RELAIS_CO_TRY(const auto account, co_await backend.directory.find(address));
  if (!account) co_return fail(Fault::refused, "no such account");
  RELAIS_CO_TRY(const auto located, co_await backend.moves.located(account->number));
  if (!located || located->account.placement.legacy != platform.name) co_return fail(Fault::refused, "does not live on " + platform.name);
  const auto user = legacy_user(platform, located->origin, account->address);
  RELAIS_CO_TRY(const auto source, co_await migrate::open_as_master(hosts, platform, user, loop));
  const auto inventory = co_await migrate::take_inventory(*source, system_clock().seconds());
  if (inventory) co_await source->close();
  if (!inventory) co_return fail(inventory.error());
  bool pop3 = false;
  if (backend.moving.any()) {
    RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
    RELAIS_CO_TRY(const auto use, journal->use(account->number));
    pop3 = use.last_pop != 0;
  }
  const auto findings = migrate::judge(
      *inventory, {.pop3 = pop3, .own_names = {user, account->address, platform.master.user}, .quota_octets = account->quota_octets});
  co_return describe(account->address, *inventory, findings);
}

// Some accounts, several at once. One that cannot be read does not keep the others from being read.
net::Task<json> scan(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto platform, co_await platform_of(backend, request));
  RELAIS_CO_TRY_VOID(migrate::master_login(platform, "anybody"));
  const auto connections = number_argument_or(request, "connections", 4);
  if (connections < 1 || connections > kMostConnections)
    co_return fail(Fault::syntax, "connections: 1 to " + std::to_string(kMostConnections));
  const auto listed = request.find("addresses");
  if (listed == request.end() || !listed->is_array()) co_return fail(Fault::syntax, "argument 'addresses' is missing");
  RELAIS_CO_TRY(auto* resolver, backend.mail.resolver());
  auto* loop = net::Loop::current();
  RELAIS_CHECK(loop != nullptr);
  directory::LegacyHosts hosts(*resolver);
  std::vector<json> rows(listed->size());
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    const auto address = (*listed)[i].is_string() ? (*listed)[i].get<std::string>() : (*listed)[i].dump();
    auto row = co_await scan_account(backend, platform, hosts, address, *loop);
    rows[i] = row ? *std::move(row) : json{{"address", address}, {"error", why(row.error())}};
  };
  co_await smtp::for_each_at_once(rows.size(), static_cast<std::size_t>(connections), each);
  co_return json{{"accounts", std::move(rows)}};
}

constexpr std::array<Operation, 2> kOperations{{{"migrate accounts", accounts}, {"migrate scan", scan}}};

}  // namespace

std::span<const Operation> migrate_operations() { return kOperations; }

}  // namespace relais::admin
