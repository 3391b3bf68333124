// Rendezvous hashing of account numbers.
#include "directory/placement.h"

namespace relais::directory {
namespace {

/// The finaliser of SplitMix64: every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebULL;
  x ^= x >> 31U;
  return x;
}

}  // namespace

std::uint16_t rendezvous_shard(AccountNumber account, std::uint16_t shards) noexcept {
  const auto seed = mix(account + 0x9e3779b97f4a7c15ULL);
  std::uint16_t best = 0;
  std::uint64_t best_weight = 0;
  for (std::uint16_t shard = 0; shard < shards; ++shard) {
    const auto weight = mix(seed ^ ((std::uint64_t{shard} + 1) * 0x9e3779b97f4a7c15ULL));
    if (shard == 0 || weight > best_weight) {
      best = shard;
      best_weight = weight;
    }
  }
  return best;
}

}  // namespace relais::directory
