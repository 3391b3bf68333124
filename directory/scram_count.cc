// The count of accounts without SCRAM keys.
#include "directory/scram_count.h"

namespace relais::directory {

Result<bool> lacks_scram(const Txn& txn, AccountNumber number) {
  RELAIS_TRY(const auto record, find_account(txn, number));
  if (!record) return false;
  RELAIS_TRY(const auto credential, find_credential(txn, number));
  if (credential.scram.iterations != 0) return false;
  if (!credential.hash.empty() || !record->account.placement.legacy.empty()) return true;
  RELAIS_TRY(const auto origin, find_origin(txn, number));
  return !origin.platform.empty();
}

Result<std::uint64_t> accounts_without_scram(const Txn& txn) {
  RELAIS_TRY(const auto value, txn.get(Table::meta, kMetaWithoutScram));
  if (!value) return std::uint64_t{0};
  return decode_number(*value);
}

Result<void> put_accounts_without_scram(Txn& txn, std::uint64_t count) {
  return txn.put(Table::meta, kMetaWithoutScram, encode_number(count));
}

}  // namespace relais::directory
