// Claims of recent messages.
#include "storage/model/recent.h"

#include <algorithm>

namespace relais::storage::model {

std::size_t RecentClaims::Hash::operator()(const Place& place) const noexcept {
  auto h = (static_cast<std::uint64_t>(place.account) << 20 ^ static_cast<std::uint64_t>(place.mailbox)) * 0x9E37'79B9'7F4A'7C15U;
  return static_cast<std::size_t>(h ^ h >> 32);
}

Uid RecentClaims::claim(AccountId account, MailboxId mailbox, Uid stored, Uid uid_next) {
  const Place place{account, mailbox};
  auto& stripe = stripes_[Hash{}(place) % kStripes];
  const std::lock_guard lock(stripe.mutex);
  const auto it = stripe.claimed.find(place);
  const auto from = it == stripe.claimed.end() ? stored : std::max(stored, it->second);
  if (from >= uid_next) return from;  // nothing new: nothing to remember
  if (it != stripe.claimed.end()) {
    it->second = uid_next;
  } else {
    if (stripe.claimed.size() >= kMaxPerStripe) stripe.claimed.clear();
    stripe.claimed.emplace(place, uid_next);
  }
  return from;
}

Uid RecentClaims::recent_from(AccountId account, MailboxId mailbox, Uid stored) const {
  const Place place{account, mailbox};
  const auto& stripe = stripes_[Hash{}(place) % kStripes];
  const std::lock_guard lock(stripe.mutex);
  const auto it = stripe.claimed.find(place);
  return it == stripe.claimed.end() ? stored : std::max(stored, it->second);
}

}  // namespace relais::storage::model
