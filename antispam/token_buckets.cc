// Token buckets in a set-associative table.
#include "antispam/token_buckets.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <random>
#include <span>

namespace relais::antispam {
namespace {

std::uint64_t random_seed() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32U) | device();
}

std::uint64_t mix(std::uint64_t x) noexcept {  // the finalizer of SplitMix64
  x ^= x >> 30U;
  x *= 0xBF58476D1CE4E5B9U;
  x ^= x >> 27U;
  x *= 0x94D049BB133111EBU;
  return x ^ (x >> 31U);
}

}  // namespace

TokenBuckets::TokenBuckets(Rate rate, std::size_t capacity, const Clock& clock)
    : rate_(rate), clock_(clock), seed_(random_seed()), buckets_(rate.per_minute > 0 ? std::bit_ceil(std::max<std::size_t>(capacity, 256)) : 0) {}

std::uint64_t TokenBuckets::hash(std::string_view key) const noexcept {
  std::uint64_t h = seed_;
  for (const char c : key) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3U;
  h = mix(h ^ seed_);
  return h == 0 ? 1 : h;
}

double TokenBuckets::seconds() const { return std::chrono::duration<double>(clock_.steady_now().time_since_epoch()).count(); }

double TokenBuckets::level(const Bucket& bucket, double now) const noexcept {
  if (bucket.key == 0) return rate_.burst;
  return std::min(rate_.burst, bucket.tokens + (now - bucket.stamp) * rate_.per_minute / 60.0);
}

bool TokenBuckets::take(std::string_view key, double tokens) {
  if (buckets_.empty()) return true;
  const auto id = hash(key);
  const auto set = id & (buckets_.size() / kWays - 1);
  const auto now = seconds();
  const std::lock_guard lock(mutexes_[set % kSlices]);
  const std::span<Bucket> ways(&buckets_[set * kWays], kWays);
  auto* chosen = &ways.front();
  for (auto& bucket : ways) {
    if (bucket.key == id) {
      chosen = &bucket;
      break;
    }
    if (level(bucket, now) > level(*chosen, now)) chosen = &bucket;
  }
  auto held = chosen->key == id ? level(*chosen, now) : rate_.burst;
  const bool enough = held >= tokens;
  if (enough) held -= tokens;
  *chosen = Bucket{id, held, now};
  return enough;
}

double TokenBuckets::available(std::string_view key) const {
  if (buckets_.empty()) return rate_.burst;
  const auto id = hash(key);
  const auto set = id & (buckets_.size() / kWays - 1);
  const auto now = seconds();
  const std::lock_guard lock(mutexes_[set % kSlices]);
  for (const auto& bucket : std::span<const Bucket>(&buckets_[set * kWays], kWays)) {
    if (bucket.key == id) return level(bucket, now);
  }
  return rate_.burst;
}

}  // namespace relais::antispam
