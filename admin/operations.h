// The administrative commands as functions from JSON to JSON: the same in the running platform and directly on the data.
#pragma once

#include "admin/mail_access.h"
#include "admin/migration.h"
#include "directory/moves.h"
#include "net/worker_pool.h"
#include "storage/model/sharded_store.h"

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>

namespace relais::admin {

using nlohmann::json;

/// What the commands work on. The members outlive every operation.
struct Backend {
  directory::Directory& directory;
  directory::Moves& moves;
  storage::ShardedStore& store;
  net::WorkerPool& workers;
  MailAccess& mail;
  MoveAccess& moving;
};

/// Runs one command on an event loop's thread.
///
/// @param name     "domain add", "account list", … as on the command line
/// @param request  the command's arguments, an object
/// @return         the command's result, an object; or an Error whose text says what to do
/// Errors: Fault::syntax for an unknown command or a missing argument; otherwise those of Directory and Store.
net::Task<json> run_operation(Backend& backend, std::string name, json request);

/// A command's implementation.
using Handler = net::Task<json> (*)(Backend& backend, const json& request);
struct Operation {
  std::string_view name;
  Handler handler;
};
std::span<const Operation> domain_operations();
std::span<const Operation> account_operations();
std::span<const Operation> alias_operations();
std::span<const Operation> storage_operations();
std::span<const Operation> route_operations();
std::span<const Operation> queue_operations();
std::span<const Operation> trace_operations();
std::span<const Operation> dns_operations();
std::span<const Operation> dkim_operations();
std::span<const Operation> sending_operations();
std::span<const Operation> legacy_operations();
std::span<const Operation> migrate_operations();
std::span<const Operation> move_operations();

/// The string argument `key`. Fault::syntax where it is missing or not a string.
Result<std::string> text_argument(const json& request, std::string_view key);
/// The same, or the default where it is missing.
std::string text_argument_or(const json& request, std::string_view key, std::string_view otherwise);
std::uint64_t number_argument_or(const json& request, std::string_view key, std::uint64_t otherwise);

}  // namespace relais::admin
