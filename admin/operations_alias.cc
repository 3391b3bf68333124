// relais alias add|list|rm
#include "admin/operations.h"

#include <array>

namespace relais::admin {
namespace {

net::Task<json> add(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  const auto given = request.find("targets");
  if (given == request.end() || !given->is_array() || given->empty()) {
    co_return fail(Fault::syntax, "an alias needs at least one target: relais alias add ADDRESS TARGET...");
  }
  std::vector<std::string> targets;
  for (const auto& target : *given) {
    if (!target.is_string()) co_return fail(Fault::syntax, "a target is an address");
    targets.push_back(target.get<std::string>());
  }
  RELAIS_CO_TRY_VOID(co_await backend.directory.add_alias(address, targets));
  co_return json{{"address", address}, {"targets", targets}, {"added", true}};
}

net::Task<json> list(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto aliases, co_await backend.directory.aliases(text_argument_or(request, "domain", "")));
  auto rows = json::array();
  for (const auto& alias : aliases) rows.push_back({{"address", alias.address}, {"targets", alias.targets}});
  co_return json{{"aliases", std::move(rows)}};
}

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  RELAIS_CO_TRY_VOID(co_await backend.directory.remove_alias(address));
  co_return json{{"address", address}, {"removed", true}};
}

constexpr std::array<Operation, 3> kOperations{{{"alias add", add}, {"alias list", list}, {"alias rm", remove}}};

}  // namespace

std::span<const Operation> alias_operations() { return kOperations; }

}  // namespace relais::admin
