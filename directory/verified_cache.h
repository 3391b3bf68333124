// Which passwords were verified lately, as keyed digests.
#pragma once

#include "base/clock.h"
#include "directory/directory.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

namespace relais::directory {

/// HMAC-SHA256 over account, credential generation and password, with a key that this process drew at random and never shows. What is
/// remembered is of no use to who reads it, and a new password has a new generation, so the old entry can't be met again.
using LoginDigest = std::array<unsigned char, 32>;

/// A bounded set of digests that forgets each after a while, and the least recently used when full.
///
/// Threads: any; a mutex per shard. A look-up costs well under a microsecond, the digest about one.
/// Memory: 56 octets an entry, taken as entries come, and 4 to 8 per possible entry for the index.
class VerifiedCache {
 public:
  /// @param capacity  entries  @param lifetime  from remember() on; 0 keeps nothing
  VerifiedCache(std::size_t capacity, std::chrono::seconds lifetime, const Clock& clock);
  ~VerifiedCache();

  LoginDigest digest(AccountNumber account, std::uint64_t generation, std::string_view password) const;
  bool contains(const LoginDigest& digest);
  void remember(const LoginDigest& digest);
  std::size_t size() const;

 private:
  class Shard;
  struct Key;
  static constexpr std::size_t kShards = 16;
  Shard& shard_of(const LoginDigest& digest) const;

  const std::chrono::seconds lifetime_;
  const Clock& clock_;
  const std::unique_ptr<Key> key_;
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace relais::directory
