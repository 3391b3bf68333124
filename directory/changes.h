// What admins change, as bodies of write transactions, and the lists they read.
#pragma once

#include "directory/lmdb_env.h"
#include "directory/name.h"
#include "directory/records.h"

#include <cstdint>
#include <string>
#include <vector>

namespace relais::directory {

/// Makes what a new environment needs. @return the directory's secret. Fault::refused for a format of a newer release.
Result<std::string> prepare_environment(Txn& txn);

// Domains are lower-case A-labels here.
Result<void> add_domain(Txn& txn, std::string_view domain, std::int64_t now);
Result<void> remove_domain(Txn& txn, std::string_view domain);
Result<std::vector<Domain>> domains(const Txn& txn);

struct NewAccount {
  Name name;
  Credential credential;
  std::uint64_t quota_octets = 0;
  std::uint16_t shards = 1;
  std::int64_t now = 0;
  Origin origin{};  ///< with a platform: the account lives there
};
Result<Account> create_account(Txn& txn, const NewAccount& made);
/// Fault::refused "NONEXISTENT" where there is none.
Result<AccountRecord> existing_account(const Txn& txn, const Name& name);
/// A new password: raises the generation.
Result<void> set_credential(Txn& txn, const Name& name, const Credential& credential);
/// A better hash of the same password: keeps the generation, and how it came to be known. Does nothing where the password has changed or the account is gone.
Result<void> upgrade_credential(Txn& txn, AccountNumber number, std::uint64_t generation, const Credential& credential);
Result<Account> remove_account(Txn& txn, const Name& name);
/// @param prefix  domain_prefix() or empty
Result<std::vector<Account>> accounts(const Txn& txn, std::string_view prefix);

/// Each target as it will be stored, without duplicates. Fault::syntax naming the target that is no address; Fault::refused for none or too many.
Result<std::vector<std::string>> check_targets(const std::vector<std::string>& targets);
Result<void> add_alias(Txn& txn, const Name& name, const std::vector<std::string>& targets);
Result<void> remove_alias(Txn& txn, const Name& name);
Result<std::vector<Alias>> aliases(const Txn& txn, std::string_view prefix);

}  // namespace relais::directory
