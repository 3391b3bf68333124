// Token buckets for very many keys in bounded memory.
#pragma once

#include "base/clock.h"

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace relais::antispam {

/// So many per period, with so many at once.
struct Rate {
  double per_minute = 0;   ///< how fast a bucket fills; 0: no limit
  double burst = 0;        ///< how much a full one holds
};

/// One bucket per key. A key without history has a full bucket. The table has a fixed size: where its place is taken, the bucket that is closest
/// to full (so the one whose loss forgives least) makes room; an attacker with many keys gains no memory of ours and at worst a fresh bucket.
///
/// Threads: any; one mutex per slice of the table, held for a few instructions. Keys are hashed with a seed of the process, so that nobody
/// outside can choose keys that meet.
class TokenBuckets {
 public:
  /// @param capacity  buckets kept, 24 octets each; rounded up to a power of two, at least 256
  TokenBuckets(Rate rate, std::size_t capacity, const Clock& clock = system_clock());

  /// Takes `tokens` if the key's bucket holds them. @return false where it does not; nothing is taken then
  bool take(std::string_view key, double tokens = 1);
  /// What the key's bucket holds now.
  double available(std::string_view key) const;
  const Rate& rate() const noexcept { return rate_; }

 private:
  static constexpr std::size_t kWays = 4;     ///< buckets a key may use
  static constexpr std::size_t kSlices = 16;  ///< independently locked
  struct Bucket {
    std::uint64_t key = 0;  ///< hash; 0: unused
    double tokens = 0;      ///< at `stamp`
    double stamp = 0;       ///< seconds, monotonic
  };

  std::uint64_t hash(std::string_view key) const noexcept;
  double seconds() const;
  double level(const Bucket& bucket, double now) const noexcept;

  const Rate rate_;
  const Clock& clock_;
  const std::uint64_t seed_;
  std::vector<Bucket> buckets_;  ///< guarded by the mutex of its slice
  mutable std::array<std::mutex, kSlices> mutexes_;
};

}  // namespace relais::antispam
