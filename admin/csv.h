// Reads the CSV of `relais account import` (RFC 4180: quotes, doubled quotes, CRLF or LF).
#pragma once

#include "base/result.h"

#include <nlohmann/json.hpp>

#include <istream>
#include <vector>

namespace relais::admin {

/// Rows as objects {address, password_hash, quota_octets, legacy_user, line}. The header line names the columns in any order: `address`,
/// `password_hash` (or `password`), `quota` (octets, or with a unit: 2GB), `legacy_user`
/// (what a legacy platform calls the account).
/// Errors: Fault::syntax naming the line and what is wrong with it.
Result<std::vector<nlohmann::json>> read_account_csv(std::istream& in);

/// Rows as objects {address, group} of a list of accounts, such as `relais migrate scan --csv` prints: columns `address` and, where they are
/// there, `group` and `verdict`. Others are passed over.
struct AccountList {
  std::vector<nlohmann::json> rows;
  std::size_t left_out = 0;  ///< whose verdict is "red" or "failed"
};
/// Errors: as read_account_csv().
Result<AccountList> read_account_list(std::istream& in);

}  // namespace relais::admin
