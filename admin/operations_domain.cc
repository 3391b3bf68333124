// relais domain add|list|rm
#include "admin/operations.h"

#include <array>

namespace relais::admin {
namespace {

net::Task<json> add(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto domain, text_argument(request, "domain"));
  RELAIS_CO_TRY_VOID(co_await backend.directory.add_domain(domain));
  co_return json{{"domain", domain}, {"added", true}};
}

net::Task<json> list(Backend& backend, const json&) {
  RELAIS_CO_TRY(const auto domains, co_await backend.directory.domains());
  auto rows = json::array();
  for (const auto& domain : domains) rows.push_back({{"domain", domain.name}, {"catch_all", domain.catch_all}});
  co_return json{{"domains", std::move(rows)}};
}

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto domain, text_argument(request, "domain"));
  RELAIS_CO_TRY_VOID(co_await backend.directory.remove_domain(domain));
  co_return json{{"domain", domain}, {"removed", true}};
}

constexpr std::array<Operation, 3> kOperations{{{"domain add", add}, {"domain list", list}, {"domain rm", remove}}};

}  // namespace

std::span<const Operation> domain_operations() { return kOperations; }

}  // namespace relais::admin
