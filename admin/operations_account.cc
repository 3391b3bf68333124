// relais account add|list|show|passwd|disable|enable|quota|rm|import
#include "admin/operations.h"

#include <array>

namespace relais::admin {
namespace {

storage::AccountRef ref(const directory::Account& account) {
  return {storage::AccountId{account.number}, account.placement.shard};
}

std::string_view placement_kind(directory::Placement::Kind kind) {
  switch (kind) {
    case directory::Placement::Kind::shard: return "shard";
    case directory::Placement::Kind::legacy: return "legacy";
    case directory::Placement::Kind::moving: return "moving";
  }
  return "unknown";
}

std::string_view knowledge_name(directory::Knowledge knowledge) {
  switch (knowledge) {
    case directory::Knowledge::nothing: return "none";
    case directory::Knowledge::imported: return "imported";
    case directory::Knowledge::learned: return "learned";
    case directory::Knowledge::set: return "set";
  }
  return "unknown";
}

json describe(const directory::Account& account) {
  json row{{"address", account.address},
           {"number", account.number},
           {"enabled", account.enabled},
           {"placement", placement_kind(account.placement.kind)},
           {"epoch", account.placement.epoch},
           {"quota_octets", account.quota_octets},
           {"created", account.created},
           {"has_password", account.has_password}};
  if (account.placement.kind == directory::Placement::Kind::shard) row["shard"] = account.placement.shard;
  if (account.placement.kind != directory::Placement::Kind::shard) row["legacy"] = account.placement.legacy;
  return row;
}

json describe(const directory::NameView& names) {
  const bool flat = names.separator == '\0';
  return {{"separator", flat ? json(nullptr) : json(std::string(1, names.separator))}, {"prefix", names.prefix}, {"example", names.to_wire("Archive/2026")}};
}

net::Task<directory::Account> existing(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(auto account, co_await backend.directory.find(address));
  if (!account) co_return fail(Fault::refused, "no account '" + address + "'; relais account list shows those there are");
  co_return std::move(*account);
}

// The directory knows the limit, the store enforces it.
net::Task<void> apply_quota(Backend& backend, const directory::Account& account, std::uint64_t octets) {
  if (account.placement.kind != directory::Placement::Kind::shard) co_return Result<void>{};
  co_return co_await backend.store.set_quota(ref(account), octets, account.quota_messages);
}

directory::Origin origin_argument(const json& request) {
  return {.platform = text_argument_or(request, "legacy", ""), .user = text_argument_or(request, "legacy_user", "")};
}

net::Task<json> add(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  const auto quota = number_argument_or(request, "quota_octets", 0);
  if (auto origin = origin_argument(request); !origin.platform.empty()) {
    if (request.contains("password")) co_return fail(Fault::syntax, "the legacy platform knows the account's password: no --password-stdin with --legacy");
    RELAIS_CO_TRY(const auto made, co_await backend.moves.add_legacy_account({.address = address, .origin = std::move(origin), .quota_octets = quota}));
    co_return describe(made);
  }
  if (request.contains("legacy_user")) co_return fail(Fault::syntax, "--legacy-user needs --legacy");
  RELAIS_CO_TRY(const auto account, co_await backend.directory.add_account(address, text_argument_or(request, "password", ""), quota));
  if (quota != 0) RELAIS_CO_TRY_VOID(co_await apply_quota(backend, account, quota));
  co_return describe(account);
}

net::Task<json> list(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto accounts, co_await backend.directory.accounts(text_argument_or(request, "domain", "")));
  auto rows = json::array();
  for (const auto& account : accounts) rows.push_back(describe(account));
  co_return json{{"accounts", std::move(rows)}};
}

net::Task<json> show(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto account, co_await existing(backend, request));
  auto row = describe(account);
  RELAIS_CO_TRY(const auto located, co_await backend.moves.located(account.number));
  if (located) {
    row["password"] = knowledge_name(located->knowledge);
    if (!located->origin.platform.empty()) row["came_from"] = located->origin.platform;
    if (!located->origin.user.empty()) row["legacy_user"] = located->origin.user;
    if (!located->origin.names.is_ours()) row["names"] = describe(located->origin.names);
  }
  if (account.placement.kind == directory::Placement::Kind::shard) {
    RELAIS_CO_TRY(const auto usage, co_await backend.store.quota(ref(account)));
    RELAIS_CO_TRY(const auto mailboxes, co_await backend.store.list(ref(account)));
    row["used_octets"] = usage.octets;
    row["messages"] = usage.messages;
    auto rows = json::array();
    for (const auto& mailbox : mailboxes) {
      if (!mailbox.exists) continue;
      rows.push_back({{"name", mailbox.name}, {"messages", mailbox.messages}, {"unseen", mailbox.unseen}, {"octets", mailbox.octets},
                      {"uid_validity", mailbox.uid_validity}, {"uid_next", mailbox.uid_next}});
    }
    row["mailboxes"] = std::move(rows);
  }
  co_return row;
}

net::Task<json> passwd(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(auto password, text_argument(request, "password"));
  RELAIS_CO_TRY_VOID(co_await backend.directory.set_password(address, password));
  co_return json{{"address", address}, {"changed", true}};
}

net::Task<json> set_enabled(Backend& backend, const json& request, bool enabled) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  RELAIS_CO_TRY_VOID(co_await backend.directory.set_enabled(address, enabled));
  co_return json{{"address", address}, {"enabled", enabled}};
}
net::Task<json> disable(Backend& backend, const json& request) { return set_enabled(backend, request, false); }
net::Task<json> enable(Backend& backend, const json& request) { return set_enabled(backend, request, true); }

net::Task<json> quota(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto account, co_await existing(backend, request));
  const auto octets = number_argument_or(request, "quota_octets", 0);
  RELAIS_CO_TRY_VOID(co_await backend.directory.set_quota(account.address, octets, account.quota_messages));
  RELAIS_CO_TRY_VOID(co_await apply_quota(backend, account, octets));
  co_return json{{"address", account.address}, {"quota_octets", octets}};
}

// No mailbox may become one that its owner cannot open.
net::Task<void> all_have_names(Backend& backend, const directory::Account& account, const directory::NameView& names) {
  if (account.placement.kind != directory::Placement::Kind::shard) co_return Result<void>{};
  RELAIS_CO_TRY(const auto mailboxes, co_await backend.store.list(ref(account)));
  for (const auto& mailbox : mailboxes) {
    const auto back = names.to_storage(names.to_wire(mailbox.name));
    if (!back || *back != mailbox.name) co_return fail(Fault::refused, "the mailbox '" + mailbox.name + "' would have no name: rename it first");
  }
  co_return Result<void>{};
}

net::Task<json> set_names(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto account, co_await existing(backend, request));
  RELAIS_CO_TRY(const auto separator, text_argument(request, "separator"));
  if (separator.size() != 1 && separator != "none") co_return fail(Fault::syntax, "--separator is one character, or none");
  const directory::NameView names{separator == "none" ? '\0' : separator.front(), text_argument_or(request, "prefix", "")};
  RELAIS_CO_TRY_VOID(directory::check_view(names));
  RELAIS_CO_TRY_VOID(co_await all_have_names(backend, account, names));
  RELAIS_CO_TRY(auto located, co_await backend.moves.located(account.number));
  if (!located) co_return fail(Fault::refused, "the account is gone", "NONEXISTENT");
  located->origin.names = names;
  RELAIS_CO_TRY_VOID(co_await backend.moves.set_origin(account.number, std::move(located->origin)));
  co_return json{{"address", account.address}, {"names", describe(names)}};
}

// The directory entry goes first: from then on no session can add mail; what a kill leaves in the store belongs to nobody and
// `storage check` names it.
/// Of an account that has just been removed: what a move has copied of it to its future shard, and what is known of the move.
net::Task<void> forget_move(Backend& backend, const directory::Account& account) {
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  RELAIS_CO_TRY(const auto stage, journal->stage(account.number));
  if (!stage) co_return Result<void>{};
  const storage::AccountRef target{storage::AccountId{account.number}, stage->shard};
  if (account.placement.kind != directory::Placement::Kind::shard) RELAIS_CO_TRY_VOID(co_await backend.store.remove_account(target));
  co_return co_await journal->forget(account.number);
}

net::Task<json> remove(Backend& backend, const json& request) {
  RELAIS_CO_TRY(auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(const auto known, co_await backend.directory.find(address));
  migrate::Runner::Hold hold;
  if (known && backend.moving.any()) {
    if (const auto moving = co_await backend.moving.running()) {
      RELAIS_CO_TRY(hold, co_await moving->runner->hold(known->number));
      moving->runner->changed(known->number, {.stage = migrate::Stage::skipped});
    }
  }
  RELAIS_CO_TRY(const auto account, co_await backend.directory.remove_account(address));
  if (backend.moving.any()) RELAIS_CO_TRY_VOID(co_await forget_move(backend, account));
  if (account.placement.kind == directory::Placement::Kind::shard) RELAIS_CO_TRY_VOID(co_await backend.store.remove_account(ref(account)));
  co_return json{{"address", account.address}, {"removed", true}};
}

// One row must not keep the others out: each is imported or named with its reason.
net::Task<json> import(Backend& backend, const json& request) {
  const auto rows = request.find("rows");
  if (rows == request.end() || !rows->is_array()) co_return fail(Fault::syntax, "argument 'rows' is missing");
  const auto legacy = text_argument_or(request, "legacy", "");
  std::uint64_t imported = 0;
  auto failed = json::array();
  for (const auto& row : *rows) {
    directory::ImportedAccount account{.address = text_argument_or(row, "address", ""),
                                       .password_hash = text_argument_or(row, "password_hash", ""),
                                       .quota_octets = number_argument_or(row, "quota_octets", 0)};
    const directory::Origin origin{.platform = legacy, .user = text_argument_or(row, "legacy_user", "")};
    const auto done = origin.platform.empty() ? co_await backend.directory.import_account(account)
                                              : co_await backend.moves.add_legacy_account({account.address, origin, account.password_hash, account.quota_octets});
    if (done && account.quota_octets != 0) RELAIS_CO_TRY_VOID(co_await apply_quota(backend, *done, account.quota_octets));
    if (done) ++imported;
    if (!done && done.error().fault != Fault::refused && done.error().fault != Fault::syntax) co_return fail(done.error());
    if (!done) failed.push_back({{"line", number_argument_or(row, "line", 0)}, {"address", account.address}, {"error", done.error().text}});
  }
  co_return json{{"imported", imported}, {"failed", std::move(failed)}};
}

constexpr std::array<Operation, 10> kOperations{{{"account add", add},
                                                {"account list", list},
                                                {"account show", show},
                                                {"account passwd", passwd},
                                                {"account disable", disable},
                                                {"account enable", enable},
                                                {"account quota", quota},
                                                {"account names", set_names},
                                                {"account rm", remove},
                                                {"account import", import}}};

}  // namespace

std::span<const Operation> account_operations() { return kOperations; }

}  // namespace relais::admin
