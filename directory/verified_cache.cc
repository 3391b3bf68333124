// A hash table of digests whose entries lie in one array and are linked by their positions in it: chains and the order of use.
#include "directory/verified_cache.h"

#include "base/check.h"
#include "base/random.h"
#include "directory/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace relais::directory {
namespace {

constexpr std::uint32_t kNone = UINT32_MAX;
constexpr std::size_t kBlock = 64;   // octets of a SHA-256 block
constexpr std::size_t kKeySize = 32; // octets

struct ContextFree {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, ContextFree>;

/// A digest context that has already taken the key's block, RFC 2104 §4.
Context keyed(std::string_view key, char pad) {
  std::string block(key);
  const Wiper wiper(block);
  block.resize(kBlock, '\0');
  for (auto& c : block) c = static_cast<char>(c ^ pad);
  Context context(EVP_MD_CTX_new());
  RELAIS_CHECK(context && EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) == 1 &&
               EVP_DigestUpdate(context.get(), block.data(), block.size()) == 1);
  return context;
}

/// The first octets are as random as any.
std::uint64_t number_of(const LoginDigest& digest) noexcept {
  std::uint64_t n = 0;
  std::memcpy(&n, digest.data(), sizeof n);
  return n;
}

}  // namespace

struct VerifiedCache::Key {
  Key() {
    auto key = random_octets(kKeySize);
    const Wiper wiper(key);
    inner = keyed(key, '\x36');
    outer = keyed(key, '\x5c');
  }
  Context inner;  // only copied from
  Context outer;
};

class VerifiedCache::Shard {
 public:
  explicit Shard(std::size_t capacity) : capacity_(static_cast<std::uint32_t>(capacity)), buckets_(std::bit_ceil(capacity), kNone) {}

  bool contains(const LoginDigest& digest, std::int64_t now) {
    const std::lock_guard lock(mutex_);
    const auto at = find(digest);
    if (at == kNone) return false;
    if (entries_[at].expires <= now) return false;
    to_front(at);
    return true;
  }

  void remember(const LoginDigest& digest, std::int64_t expires) {
    const std::lock_guard lock(mutex_);
    auto at = find(digest);
    if (at == kNone) {
      at = take_entry();
      entries_[at].digest = digest;
      auto& head = bucket(digest);
      entries_[at].chain = head;
      head = at;
      push_front(at);
    } else {
      to_front(at);
    }
    entries_[at].expires = expires;
  }

  std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    LoginDigest digest{};
    std::int64_t expires = 0;     // of the steady clock, seconds
    std::uint32_t chain = kNone;  // next in the bucket
    std::uint32_t newer = kNone;
    std::uint32_t older = kNone;
  };

  std::uint32_t& bucket(const LoginDigest& digest) { return buckets_[(number_of(digest) >> 8U) & (buckets_.size() - 1)]; }

  std::uint32_t find(const LoginDigest& digest) {
    // No constant time needed: who can choose digests has the key.
    auto at = bucket(digest);
    while (at != kNone && entries_[at].digest != digest) at = entries_[at].chain;
    return at;
  }

  /// A new entry, or the one that was used least recently, out of its chain.
  std::uint32_t take_entry() {
    if (entries_.size() < capacity_) {
      entries_.emplace_back();
      return static_cast<std::uint32_t>(entries_.size() - 1);
    }
    const auto victim = oldest_;
    auto* link = &bucket(entries_[victim].digest);
    while (*link != victim) link = &entries_[*link].chain;
    *link = entries_[victim].chain;
    unlink(victim);
    return victim;
  }

  void unlink(std::uint32_t at) {
    auto& entry = entries_[at];
    (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
    (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  }
  void push_front(std::uint32_t at) {
    auto& entry = entries_[at];
    entry.newer = kNone;
    entry.older = newest_;
    (newest_ == kNone ? oldest_ : entries_[newest_].newer) = at;
    newest_ = at;
  }
  void to_front(std::uint32_t at) {
    if (newest_ == at) return;
    unlink(at);
    push_front(at);
  }

  const std::uint32_t capacity_;
  mutable std::mutex mutex_;
  // guarded by mutex_:
  std::vector<std::uint32_t> buckets_;
  std::vector<Entry> entries_;
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
};

VerifiedCache::VerifiedCache(std::size_t capacity, std::chrono::seconds lifetime, const Clock& clock)
    : lifetime_(lifetime), clock_(clock), key_(std::make_unique<Key>()) {
  const auto each = std::clamp<std::size_t>(capacity / kShards, 1, UINT32_MAX / 4);
  for (std::size_t i = 0; i < kShards; ++i) shards_.push_back(std::make_unique<Shard>(each));
}

VerifiedCache::~VerifiedCache() = default;

VerifiedCache::Shard& VerifiedCache::shard_of(const LoginDigest& digest) const { return *shards_[number_of(digest) % kShards]; }

LoginDigest VerifiedCache::digest(AccountNumber account, std::uint64_t generation, std::string_view password) const {
  // RFC 2104 §4 with the key's two blocks hashed once for all: HMAC() of OpenSSL 3 takes three times as long. The contexts of a thread are
  // reused; every field before the password has a fixed size, so no two inputs look alike.
  thread_local const Context scratch(EVP_MD_CTX_new());
  std::array<std::uint64_t, 2> fixed{account, generation};
  LoginDigest inner{};
  LoginDigest out{};
  RELAIS_CHECK(scratch && EVP_MD_CTX_copy_ex(scratch.get(), key_->inner.get()) == 1 &&
               EVP_DigestUpdate(scratch.get(), fixed.data(), sizeof fixed) == 1 &&
               EVP_DigestUpdate(scratch.get(), password.data(), password.size()) == 1 && EVP_DigestFinal_ex(scratch.get(), inner.data(), nullptr) == 1 &&
               EVP_MD_CTX_copy_ex(scratch.get(), key_->outer.get()) == 1 && EVP_DigestUpdate(scratch.get(), inner.data(), inner.size()) == 1 &&
               EVP_DigestFinal_ex(scratch.get(), out.data(), nullptr) == 1);
  return out;
}

bool VerifiedCache::contains(const LoginDigest& digest) {
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.steady_now().time_since_epoch()).count();
  return shard_of(digest).contains(digest, now);
}

void VerifiedCache::remember(const LoginDigest& digest) {
  if (lifetime_ <= std::chrono::seconds(0)) return;
  const auto now = std::chrono::duration_cast<std::chrono::seconds>(clock_.steady_now().time_since_epoch()).count();
  shard_of(digest).remember(digest, now + lifetime_.count());
}

std::size_t VerifiedCache::size() const {
  std::size_t total = 0;
  for (const auto& shard : shards_) total += shard->size();
  return total;
}

}  // namespace relais::directory
