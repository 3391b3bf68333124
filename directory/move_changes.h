// Legacy platforms, origins, placements and learned passwords in the tables, as bodies of transactions.
#pragma once

#include "directory/lmdb_env.h"
#include "directory/moves.h"
#include "directory/records.h"

#include <optional>
#include <string_view>
#include <vector>

namespace relais::directory {

Result<void> set_platform(Txn& txn, const LegacyPlatform& platform);
Result<void> remove_platform(Txn& txn, std::string_view name);
Result<std::vector<LegacyPlatform>> platforms(const Txn& txn);
Result<std::optional<LegacyPlatform>> find_platform(const Txn& txn, std::string_view name);
/// Fault::refused "NONEXISTENT" where there is none.
Result<void> need_platform(const Txn& txn, std::string_view name);

/// An account's record with what else moves need.
Result<Located> locate(const Txn& txn, AccountRecord record);
Result<void> set_origin(Txn& txn, AccountNumber number, const Origin& origin);
/// @param shards  how many there are
Result<Placement> change_placement(Txn& txn, AccountNumber number, std::uint64_t expected_epoch, const Placement& next,
                                   std::uint16_t shards);

/// Whether a password that the account's platform accepted is to be kept; see Moves::learn.
Result<bool> wants_learning(const Txn& txn, AccountNumber number, std::uint64_t generation);
/// @return the new generation; nullopt where wants_learning() no longer holds.
Result<std::optional<std::uint64_t>> learn_credential(Txn& txn, AccountNumber number, std::uint64_t generation,
                                                      const Credential& credential);
Result<KnowledgeCounts> count_knowledge(const Txn& txn, std::string_view platform);

}  // namespace relais::directory
