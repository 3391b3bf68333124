// How many accounts keep SCRAM from being announced, counted as they change.
#pragma once

#include "directory/lmdb_env.h"
#include "directory/lookup.h"
#include "directory/records.h"

#include <type_traits>

namespace relais::directory {

/// Whether an account can log in, and not by SCRAM: its password came as a hash without keys, or only a legacy platform knows it.
Result<bool> lacks_scram(const Txn& txn, AccountNumber number);
/// Those that do.
Result<std::uint64_t> accounts_without_scram(const Txn& txn);
Result<void> put_accounts_without_scram(Txn& txn, std::uint64_t count);

/// Everything that changes an account's credential, origin or placement runs in this. @param change  () -> Result<…>, on the same
/// transaction
template <class Change>
std::invoke_result_t<Change&> counting_scram(Txn& txn, AccountNumber number, Change change) {
  RELAIS_TRY(const bool before, lacks_scram(txn, number));
  auto done = change();
  if (!done) return done;
  RELAIS_TRY(const bool after, lacks_scram(txn, number));
  if (before == after) return done;
  RELAIS_TRY(const auto count, accounts_without_scram(txn));
  RELAIS_TRY_VOID(put_accounts_without_scram(txn, after ? count + 1 : count - (count > 0 ? 1 : 0)));
  return done;
}

}  // namespace relais::directory
