// Which shard a new account goes to.
#pragma once

#include "directory/directory.h"

namespace relais::directory {

/// Rendezvous (highest random weight) hashing: each shard gets a weight from a hash of account and shard, the highest wins. Shards added
/// later take an even share of the accounts from each of the others and move none between those. The choice is recorded in the placement,
/// so it matters for new accounts alone; it must give the same on every frontend all the same. @param shards >= 1
std::uint16_t rendezvous_shard(AccountNumber account, std::uint16_t shards) noexcept;

}  // namespace relais::directory
