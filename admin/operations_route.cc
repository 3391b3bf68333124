// relais route set|list|rm
#include "admin/operations.h"

#include "smtp/outbound/destination.h"

#include <array>
#include <limits>

namespace relais::admin {
namespace {

json describe(const directory::Route& route) {
  json row{{"domain", route.domain}, {"target", directory::route_target(route)}, {"tls", to_string(route.tls)}, {"created", route.created}};
  if (!route.user.empty()) row["user"] = route.user;
  return row;
}

bool is_pattern(std::string_view domain) { return domain == "*" || domain.starts_with('.'); }

// What mail for the route's domain or domains waits under.
net::Task<std::vector<std::string>> destinations_of(Backend& backend, const directory::Route& route) {
  std::vector<std::string> out;
  const bool pattern = is_pattern(route.domain);
  if (!pattern || route.kind != directory::Route::Kind::mx) out.push_back(smtp::to_string(smtp::destination_of(route, route.domain)));
  if (!pattern) {
    out.push_back(smtp::to_string(smtp::Destination{smtp::Destination::Kind::mx, route.domain}));
    co_return out;
  }
  RELAIS_CO_TRY(auto* queue, backend.mail.queue());
  for (auto& waiting : queue->destinations(std::numeric_limits<std::size_t>::max())) {
    const auto parsed = smtp::parse_destination(waiting.destination);
    if (!parsed || parsed->kind != smtp::Destination::Kind::mx) continue;
    if (route.domain == "*" || parsed->name.ends_with(route.domain)) out.push_back(std::move(waiting.destination));
  }
  co_return out;
}

net::Task<std::optional<directory::Route>> existing(Backend& backend, const std::string& domain) {
  RELAIS_CO_TRY(const auto routes, co_await backend.directory.routes());
  for (const auto& route : routes) {
    if (route.domain == domain) co_return route;
  }
  co_return std::nullopt;
}

net::Task<json> set(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto domain, text_argument(request, "domain"));
  RELAIS_CO_TRY(const auto target, text_argument(request, "target"));
  RELAIS_CO_TRY(auto route, directory::parse_route(domain, target, text_argument_or(request, "auth", ""), text_argument_or(request, "tls", "")));
  RELAIS_CO_TRY(const auto before, co_await existing(backend, route.domain));
  RELAIS_CO_TRY_VOID(co_await backend.directory.set_route(route));
  RELAIS_CO_TRY(auto touched, co_await destinations_of(backend, route));
  if (before) {
    RELAIS_CO_TRY(auto old, co_await destinations_of(backend, *before));
    touched.insert(touched.end(), old.begin(), old.end());
  }
  RELAIS_CO_TRY_VOID(co_await backend.mail.routes_changed(std::move(touched)));
  auto row = describe(route);
  row.erase("created");
  row["replaced"] = before.has_value();
  co_return row;
}

net::Task<json> list(Backend& backend, const json&) {
  RELAIS_CO_TRY(const auto routes, co_await backend.directory.routes());
  auto rows = json::array();
  for (const auto& route : routes) rows.push_back(describe(route));
  co_return json{{"routes", std::move(rows)}};
}

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto domain, text_argument(request, "domain"));
  RELAIS_CO_TRY(const auto parsed, directory::parse_route(domain, "mx", "", ""));
  RELAIS_CO_TRY(const auto before, co_await existing(backend, parsed.domain));
  if (!before) co_return fail(Fault::refused, "no route for '" + parsed.domain + "'; relais route list shows those there are");
  RELAIS_CO_TRY_VOID(co_await backend.directory.remove_route(parsed.domain));
  RELAIS_CO_TRY(auto touched, co_await destinations_of(backend, *before));
  RELAIS_CO_TRY_VOID(co_await backend.mail.routes_changed(std::move(touched)));
  co_return json{{"domain", parsed.domain}, {"removed", true}};
}

constexpr std::array<Operation, 3> kOperations{{{"route set", set}, {"route list", list}, {"route rm", remove}}};

}  // namespace

std::span<const Operation> route_operations() { return kOperations; }

}  // namespace relais::admin
