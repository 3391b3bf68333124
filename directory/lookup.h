// Reading accounts and resolving addresses over one snapshot.
#pragma once

#include "directory/lmdb_env.h"
#include "directory/name.h"
#include "directory/records.h"

#include <optional>

namespace relais::directory {

inline constexpr unsigned kMaxAliasDepth = 10;       ///< aliases that lead to aliases
inline constexpr std::size_t kMaxAliasTargets = 1'000;  ///< addresses visited for one recipient

struct ResolveRules {
  char tag_separator = '+';           ///< NUL: none
  std::optional<Name> postmaster;     ///< takes postmaster@ where nothing else does
  std::string default_domain;
};

Result<std::optional<AccountRecord>> find_account(const Txn& txn, const Name& name);
Result<std::optional<AccountRecord>> find_account(const Txn& txn, AccountNumber number);
/// An account without a credential record has an empty one.
Result<Credential> find_credential(const Txn& txn, AccountNumber number);
/// An account without an origin record has an empty one.
Result<Origin> find_origin(const Txn& txn, AccountNumber number);
Result<bool> has_domain(const Txn& txn, std::string_view domain);

/// As Directory::may_send_as: the account's own address, with any tag, whatever aliases do with its mail; and names that lead to it alone.
Result<bool> is_name_of(const Txn& txn, const ResolveRules& rules, const Name& name, AccountNumber number);

/// As Directory::resolve.
Result<Recipient> resolve_name(const Txn& txn, const ResolveRules& rules, const Name& name);

}  // namespace relais::directory
