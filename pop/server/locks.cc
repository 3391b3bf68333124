// Exclusive maildrops.
#include "pop/server/locks.h"

namespace relais::pop {

std::optional<MaildropLocks::Held> MaildropLocks::take(directory::AccountNumber account) {
  const std::lock_guard lock(mutex_);
  if (!taken_.insert(account).second) return std::nullopt;
  return Held(*this, account);
}

MaildropLocks::Held::~Held() {
  if (locks_ == nullptr) return;
  const std::lock_guard lock(locks_->mutex_);
  locks_->taken_.erase(account_);
}

}  // namespace relais::pop
