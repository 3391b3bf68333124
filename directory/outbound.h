// What the directory knows for mail that leaves: routes, DKIM keys, SRS secrets; as bodies of transactions.
#pragma once

#include "directory/dkim_key.h"
#include "directory/lmdb_env.h"
#include "directory/route.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::directory {

inline constexpr std::size_t kSrsSecrets = 3;  ///< kept: the one that signs, and those before it

// Domains and selectors are lower-case A-labels here; domains of routes as Route::domain.
Result<void> set_route(Txn& txn, const Route& route);
/// Fault::refused "NONEXISTENT" where there is none; likewise below.
Result<void> remove_route(Txn& txn, std::string_view domain);
Result<std::vector<Route>> routes(const Txn& txn);
/// As Directory::route_of.
Result<std::optional<Route>> find_route(const Txn& txn, std::string_view domain);

/// Fault::refused "ALREADYEXISTS".
Result<void> add_dkim_key(Txn& txn, const DkimKey& key);
Result<void> set_dkim_state(Txn& txn, std::string_view domain, std::string_view selector, DkimKey::State state, std::int64_t now);
Result<void> remove_dkim_key(Txn& txn, std::string_view domain, std::string_view selector);
/// @param domain  empty: all
Result<std::vector<DkimKey>> dkim_keys(const Txn& txn, std::string_view domain);

/// Makes the first secret where there is none.
Result<void> prepare_srs_secrets(Txn& txn);
Result<std::vector<std::string>> srs_secrets(const Txn& txn);
Result<void> renew_srs_secret(Txn& txn);

}  // namespace relais::directory
