// Connection limits.
#include "net/limits.h"

#include "base/check.h"

namespace relais::net {

std::size_t ConnectionCounts::Hash::operator()(AddressKey key) const noexcept {
  auto x = key.value * 2 + (key.ipv6 ? 1 : 0);  // mixed as by MurmurHash3's finaliser: addresses differ in few bits
  x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdULL;
  return (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ULL;
}

ConnectionCounts::Answer ConnectionCounts::enter(AddressKey key, bool limited) {
  const std::lock_guard lock(mutex_);
  if (total_ >= max_total_) return Answer::too_many;
  auto& count = counts_[key];
  if (limited && count >= max_per_address_) {
    if (count == 0) counts_.erase(key);
    return Answer::too_many_from_address;
  }
  ++count;
  ++total_;
  return Answer::admitted;
}

void ConnectionCounts::leave(AddressKey key) {
  const std::lock_guard lock(mutex_);
  const auto at = counts_.find(key);
  RELAIS_CHECK(at != counts_.end() && total_ > 0);
  if (--at->second == 0) counts_.erase(at);
  --total_;
}

std::size_t ConnectionCounts::total() const {
  const std::lock_guard lock(mutex_);
  return total_;
}

}  // namespace relais::net
