// Finds and runs an administrative command.
#include "admin/operations.h"

#include <array>

namespace relais::admin {

net::Task<json> run_operation(Backend& backend, std::string name, json request) {
  for (const auto operations : {domain_operations(), account_operations(), alias_operations(), storage_operations(), route_operations(), queue_operations(),
                                trace_operations(), dns_operations(), dkim_operations(), sending_operations(), legacy_operations(), migrate_operations(), move_operations()}) {
    for (const auto& operation : operations) {
      if (operation.name == name) co_return co_await operation.handler(backend, request);
    }
  }
  co_return fail(Fault::syntax, "no command '" + name + "'; see relais help");
}

Result<std::string> text_argument(const json& request, std::string_view key) {
  const auto found = request.find(key);
  if (found == request.end() || !found->is_string()) return fail(Fault::syntax, "argument '" + std::string(key) + "' is missing");
  return found->get<std::string>();
}

std::string text_argument_or(const json& request, std::string_view key, std::string_view otherwise) {
  const auto found = request.find(key);
  return found != request.end() && found->is_string() ? found->get<std::string>() : std::string(otherwise);
}

std::uint64_t number_argument_or(const json& request, std::string_view key, std::uint64_t otherwise) {
  const auto found = request.find(key);
  return found != request.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : otherwise;
}

}  // namespace relais::admin
