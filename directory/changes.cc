// Changes of domains, accounts and aliases. An error anywhere aborts the transaction, so none is ever half done.
#include "directory/changes.h"

#include "base/random.h"
#include "directory/digest.h"
#include "directory/lookup.h"
#include "directory/move_changes.h"
#include "directory/outbound.h"
#include "directory/placement.h"
#include "directory/scram_count.h"
#include "message/address.h"

#include <set>

namespace relais::directory {
namespace {

constexpr std::size_t kSecretSize = 32;  // octets
constexpr AccountNumber kFirstAccount = 1;

std::unexpected<Error> missing(std::string text) { return fail(Fault::refused, std::move(text), "NONEXISTENT"); }
std::unexpected<Error> exists(std::string text) { return fail(Fault::refused, std::move(text), "ALREADYEXISTS"); }

Result<std::uint64_t> read_number(const Txn& txn, std::string_view key, std::uint64_t otherwise) {
  RELAIS_TRY(const auto value, txn.get(Table::meta, key));
  if (!value) return otherwise;
  return decode_number(*value);
}

Result<void> put_credential(Txn& txn, AccountNumber number, const Credential& credential) {
  if (credential.hash.empty()) return txn.erase(Table::credentials, encode_number(number));
  return txn.put(Table::credentials, encode_number(number), encode_credential(credential));
}

Result<bool> any_with_prefix(const Txn& txn, Table table, std::string_view prefix) {
  bool any = false;
  RELAIS_TRY_VOID(txn.range(table, prefix, [&](std::string_view, std::string_view) {
    any = true;
    return false;
  }));
  return any;
}

Result<void> need_domain(const Txn& txn, const Name& name) {
  RELAIS_TRY(const bool ours, has_domain(txn, name.domain));
  if (!ours) return missing("no such domain: " + name.domain);
  return {};
}

/// Walks a table and decodes each value; the first failure ends it.
template <class Decode>
Result<void> each(const Txn& txn, Table table, std::string_view prefix, Decode decode) {
  Result<void> outcome;
  RELAIS_TRY_VOID(txn.range(table, prefix, [&](std::string_view key, std::string_view value) {
    outcome = decode(key, value);
    return outcome.has_value();
  }));
  return outcome;
}

}  // namespace

Result<std::string> prepare_environment(Txn& txn) {
  RELAIS_TRY(const auto format, txn.get(Table::meta, kMetaFormat));
  if (!format) RELAIS_TRY_VOID(txn.put(Table::meta, kMetaFormat, std::string(1, static_cast<char>(kFormat))));
  else if (format->size() != 1) return fail(Fault::corrupt, "directory damaged", "", "directory: malformed format number");
  else if (static_cast<std::uint8_t>(format->front()) > kFormat) return fail(Fault::refused, "the directory was made by a newer release");
  RELAIS_TRY_VOID(prepare_srs_secrets(txn));
  RELAIS_TRY(const auto secret, txn.get(Table::meta, kMetaSecret));
  if (secret) return std::string(*secret);
  auto made = random_octets(kSecretSize);
  RELAIS_TRY_VOID(txn.put(Table::meta, kMetaSecret, made));
  return made;
}

Result<void> add_domain(Txn& txn, std::string_view domain, std::int64_t now) {
  RELAIS_TRY(const bool there, has_domain(txn, domain));
  if (there) return exists("the domain exists already: " + std::string(domain));
  return txn.put(Table::domains, domain, encode_domain(DomainRecord{now}));
}

Result<void> remove_domain(Txn& txn, std::string_view domain) {
  RELAIS_TRY(const bool there, has_domain(txn, domain));
  if (!there) return missing("no such domain: " + std::string(domain));
  const auto prefix = domain_prefix(domain);
  RELAIS_TRY(const bool accounts_left, any_with_prefix(txn, Table::accounts, prefix));
  if (accounts_left) return fail(Fault::refused, "the domain still has accounts: " + std::string(domain));
  RELAIS_TRY(const bool aliases_left, any_with_prefix(txn, Table::aliases, prefix));
  if (aliases_left) return fail(Fault::refused, "the domain still has aliases: " + std::string(domain));
  return txn.erase(Table::domains, domain);
}

Result<std::vector<Domain>> domains(const Txn& txn) {
  std::vector<Domain> all;
  RELAIS_TRY_VOID(each(txn, Table::domains, "", [&](std::string_view key, std::string_view value) -> Result<void> {
    RELAIS_TRY_VOID(decode_domain(value));
    all.push_back(Domain{std::string(key), ""});
    return {};
  }));
  for (auto& domain : all) {
    RELAIS_TRY(const auto value, txn.get(Table::aliases, domain_prefix(domain.name)));
    if (!value) continue;
    RELAIS_TRY(const auto targets, decode_targets(*value));
    for (const auto& target : targets) domain.catch_all.append(domain.catch_all.empty() ? "" : ",").append(target);
  }
  return all;
}

Result<Account> create_account(Txn& txn, const NewAccount& made) {
  RELAIS_TRY_VOID(need_domain(txn, made.name));
  RELAIS_TRY(const auto there, find_account(txn, made.name));
  if (there) return exists("the account exists already: " + made.name.text());
  RELAIS_TRY(const auto number, read_number(txn, kMetaNextAccount, kFirstAccount));
  RELAIS_TRY_VOID(txn.put(Table::meta, kMetaNextAccount, encode_number(number + 1)));

  AccountRecord record;
  record.account.number = number;
  record.account.address = made.name.text();
  record.account.placement.shard = rendezvous_shard(number, made.shards);
  record.account.quota_octets = made.quota_octets;
  record.account.created = made.now;
  record.account.has_password = !made.credential.hash.empty();
  if (!made.origin.platform.empty()) {
    RELAIS_TRY_VOID(need_platform(txn, made.origin.platform));
    record.account.placement = Placement{.kind = Placement::Kind::legacy, .legacy = made.origin.platform};
  }
  RELAIS_TRY_VOID(counting_scram(txn, number, [&]() -> Result<void> {
    RELAIS_TRY_VOID(txn.put(Table::accounts, made.name.key(), encode_account(record)));
    RELAIS_TRY_VOID(txn.put(Table::numbers, encode_number(number), made.name.key()));
    if (made.origin != Origin{}) RELAIS_TRY_VOID(txn.put(Table::origins, encode_number(number), encode_origin(made.origin)));
    return put_credential(txn, number, made.credential);
  }));
  return std::move(record.account);
}

Result<AccountRecord> existing_account(const Txn& txn, const Name& name) {
  RELAIS_TRY(auto record, find_account(txn, name));
  if (!record) return missing("no such account: " + name.text());
  return std::move(*record);
}

Result<void> set_credential(Txn& txn, const Name& name, const Credential& credential) {
  RELAIS_TRY(auto record, existing_account(txn, name));
  ++record.generation;
  record.account.has_password = !credential.hash.empty();
  return counting_scram(txn, record.account.number, [&]() -> Result<void> {
    RELAIS_TRY_VOID(put_credential(txn, record.account.number, credential));
    return txn.put(Table::accounts, name.key(), encode_account(record));
  });
}

Result<void> upgrade_credential(Txn& txn, AccountNumber number, std::uint64_t generation, const Credential& credential) {
  RELAIS_TRY(const auto record, find_account(txn, number));
  if (!record || record->generation != generation || !record->account.has_password) return {};
  RELAIS_TRY(const auto before, find_credential(txn, number));
  auto better = credential;
  better.knowledge = before.knowledge;
  return counting_scram(txn, number, [&] { return put_credential(txn, number, better); });
}

Result<Account> remove_account(Txn& txn, const Name& name) {
  RELAIS_TRY(auto record, existing_account(txn, name));
  const auto number = record.account.number;
  RELAIS_TRY_VOID(counting_scram(txn, number, [&]() -> Result<void> {
    RELAIS_TRY_VOID(put_credential(txn, number, Credential{}));
    RELAIS_TRY_VOID(txn.erase(Table::origins, encode_number(number)));
    RELAIS_TRY_VOID(txn.erase(Table::numbers, encode_number(number)));
    return txn.erase(Table::accounts, name.key());
  }));
  return std::move(record.account);
}

Result<std::vector<Account>> accounts(const Txn& txn, std::string_view prefix) {
  std::vector<Account> all;
  RELAIS_TRY_VOID(each(txn, Table::accounts, prefix, [&](std::string_view key, std::string_view value) -> Result<void> {
    RELAIS_TRY(auto record, decode_account(key, value));
    all.push_back(std::move(record.account));
    return {};
  }));
  return all;
}

Result<std::vector<std::string>> check_targets(const std::vector<std::string>& targets) {
  if (targets.size() > kMaxAliasTargets) return fail(Fault::refused, "an alias can't have more than 1000 targets");
  std::vector<std::string> checked;
  std::set<std::string> seen;
  for (const auto& target : targets) {
    auto address = message::parse_mailbox(target, true);
    if (!address) return fail(Fault::syntax, "alias target: " + address.error().text, address.error().code);
    auto text = message::to_string(*address);
    if (seen.insert(text).second) checked.push_back(std::move(text));
  }
  if (checked.empty()) return fail(Fault::refused, "an alias needs a target");
  return checked;
}

Result<void> add_alias(Txn& txn, const Name& name, const std::vector<std::string>& targets) {
  RELAIS_TRY_VOID(need_domain(txn, name));
  RELAIS_TRY(const auto there, txn.get(Table::aliases, name.key()));
  if (there) return exists("the alias exists already: " + name.text());
  return txn.put(Table::aliases, name.key(), encode_targets(targets));
}

Result<void> remove_alias(Txn& txn, const Name& name) {
  RELAIS_TRY(const auto there, txn.get(Table::aliases, name.key()));
  if (!there) return missing("no such alias: " + name.text());
  return txn.erase(Table::aliases, name.key());
}

Result<std::vector<Alias>> aliases(const Txn& txn, std::string_view prefix) {
  std::vector<Alias> all;
  RELAIS_TRY_VOID(each(txn, Table::aliases, prefix, [&](std::string_view key, std::string_view value) -> Result<void> {
    RELAIS_TRY(auto targets, decode_targets(value));
    all.push_back(Alias{name_of_key(key).text(), std::move(targets)});
    return {};
  }));
  return all;
}

}  // namespace relais::directory
