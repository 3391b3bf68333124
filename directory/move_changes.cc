// What moves change in the directory. An error anywhere aborts the transaction.
#include "directory/move_changes.h"

#include "directory/lookup.h"
#include "directory/name.h"
#include "directory/scram_count.h"

namespace relais::directory {
namespace {

std::unexpected<Error> missing(std::string text) { return fail(Fault::refused, std::move(text), "NONEXISTENT"); }

/// Calls `look` with each account until it returns false.
template <class F>
Result<void> each_account(const Txn& txn, F look) {
  Result<void> outcome;
  RELAIS_TRY_VOID(txn.range(Table::accounts, "", [&](std::string_view key, std::string_view value) {
    auto record = decode_account(key, value);
    if (!record) outcome = fail(std::move(record).error());
    return outcome.has_value() && look(*record);
  }));
  return outcome;
}

Result<AccountRecord> existing(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(auto record, find_account(txn, number));
  if (!record) return missing("no such account: " + std::to_string(number));
  return *std::move(record);
}

Result<std::string> key_of(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(const auto key, txn.get(Table::numbers, encode_number(number)));
  if (!key) return missing("no such account: " + std::to_string(number));
  return std::string(*key);
}

}  // namespace

Result<void> set_platform(Txn& txn, const LegacyPlatform& platform) {
  return txn.put(Table::legacy, platform.name, encode_platform(platform));
}

Result<void> remove_platform(Txn& txn, std::string_view name) {
  RELAIS_TRY_VOID(need_platform(txn, name));
  std::string user;
  Result<void> outcome;
  RELAIS_TRY_VOID(each_account(txn, [&](AccountRecord& record) {
    const auto found = locate(txn, std::move(record));
    if (!found)
      outcome = fail(found.error());
    else if (found->account.placement.legacy == name || found->origin.platform == name)
      user = found->account.address;
    return outcome.has_value() && user.empty();
  }));
  RELAIS_TRY_VOID(std::move(outcome));
  if (!user.empty()) return fail(Fault::refused, "the platform still has accounts, such as " + user, "INUSE");
  return txn.erase(Table::legacy, name);
}

Result<std::vector<LegacyPlatform>> platforms(const Txn& txn) {
  std::vector<LegacyPlatform> all;
  Result<void> outcome;
  RELAIS_TRY_VOID(txn.range(Table::legacy, "", [&](std::string_view key, std::string_view value) {
    auto platform = decode_platform(key, value);
    if (platform)
      all.push_back(*std::move(platform));
    else
      outcome = fail(std::move(platform).error());
    return outcome.has_value();
  }));
  if (!outcome) return fail(std::move(outcome).error());
  return all;
}

Result<std::optional<LegacyPlatform>> find_platform(const Txn& txn, std::string_view name) {
  RELAIS_TRY(const auto value, txn.get(Table::legacy, name));
  if (!value) return std::optional<LegacyPlatform>{};
  RELAIS_TRY(auto platform, decode_platform(name, *value));
  return std::optional(std::move(platform));
}

Result<void> need_platform(const Txn& txn, std::string_view name) {
  RELAIS_TRY(const auto value, txn.get(Table::legacy, name));
  if (!value) return missing("no such legacy platform: " + std::string(name));
  return {};
}

Result<Located> locate(const Txn& txn, AccountRecord record) {
  Located found;
  RELAIS_TRY(found.origin, find_origin(txn, record.account.number));
  RELAIS_TRY(const auto credential, find_credential(txn, record.account.number));
  found.account = std::move(record.account);
  found.generation = record.generation;
  found.knowledge = credential.knowledge;
  found.has_scram = credential.scram.iterations != 0;
  return found;
}

Result<void> set_origin(Txn& txn, AccountNumber number, const Origin& origin) {
  RELAIS_TRY_VOID(check_view(origin.names));
  RELAIS_TRY_VOID(existing(txn, number));
  if (!origin.platform.empty()) RELAIS_TRY_VOID(need_platform(txn, origin.platform));
  return counting_scram(txn, number, [&] {
    const auto key = encode_number(number);
    return origin == Origin{} ? txn.erase(Table::origins, key) : txn.put(Table::origins, key, encode_origin(origin));
  });
}

Result<Placement> change_placement(Txn& txn, AccountNumber number, std::uint64_t expected_epoch, const Placement& next,
                                   std::uint16_t shards) {
  RELAIS_TRY(auto record, existing(txn, number));
  auto& placement = record.account.placement;
  if (placement.epoch != expected_epoch) return fail(Fault::refused, "the account's placement has changed meanwhile", "EPOCH");
  if (next.kind != Placement::Kind::legacy && next.shard >= shards) return missing("no such shard: " + std::to_string(next.shard));
  if (next.kind == Placement::Kind::legacy || !next.legacy.empty()) RELAIS_TRY_VOID(need_platform(txn, next.legacy));
  placement = next;
  placement.epoch = expected_epoch + 1;
  if (next.kind == Placement::Kind::shard) placement.legacy.clear();
  RELAIS_TRY(const auto key, key_of(txn, number));
  RELAIS_TRY_VOID(counting_scram(txn, number, [&] { return txn.put(Table::accounts, key, encode_account(record)); }));
  return std::move(record.account.placement);
}

Result<bool> wants_learning(const Txn& txn, AccountNumber number, std::uint64_t generation) {
  RELAIS_TRY(auto record, find_account(txn, number));
  if (!record || record->generation != generation) return false;
  const bool here = record->account.placement.kind == Placement::Kind::shard;
  RELAIS_TRY(const auto found, locate(txn, *std::move(record)));
  if (found.knowledge == Knowledge::set || found.platform().empty()) return false;
  if (here) return true;
  RELAIS_TRY(const auto platform, find_platform(txn, found.platform()));
  return platform && platform->learn_passwords;
}

Result<std::optional<std::uint64_t>> learn_credential(Txn& txn, AccountNumber number, std::uint64_t generation,
                                                      const Credential& credential) {
  RELAIS_TRY(const bool wanted, wants_learning(txn, number, generation));
  if (!wanted) return std::optional<std::uint64_t>{};
  RELAIS_TRY(auto record, existing(txn, number));
  RELAIS_TRY(const auto key, key_of(txn, number));
  ++record.generation;
  record.account.has_password = true;
  RELAIS_TRY_VOID(counting_scram(txn, number, [&]() -> Result<void> {
    RELAIS_TRY_VOID(txn.put(Table::credentials, encode_number(number), encode_credential(credential)));
    return txn.put(Table::accounts, key, encode_account(record));
  }));
  return std::optional(record.generation);
}

Result<KnowledgeCounts> count_knowledge(const Txn& txn, std::string_view platform) {
  KnowledgeCounts counts{};
  Result<void> outcome;
  RELAIS_TRY_VOID(each_account(txn, [&](AccountRecord& record) {
    const bool lives_there = record.account.placement.legacy == platform;
    const auto found = locate(txn, std::move(record));
    if (!found)
      outcome = fail(found.error());
    else if (platform.empty() || lives_there || found->origin.platform == platform)
      ++counts[static_cast<std::size_t>(found->knowledge)];
    return outcome.has_value();
  }));
  RELAIS_TRY_VOID(std::move(outcome));
  return counts;
}

}  // namespace relais::directory
