// Which maildrops are open: one POP3 session an account.
#pragma once

#include "directory/directory.h"

#include <mutex>
#include <optional>
#include <unordered_set>
#include <utility>

namespace relais::pop {

/// The exclusive access of RFC 1939 §4, among the POP3 sessions of this process (IMAP may change the mailbox all the while; a session then meets
/// messages that are gone). Threads: any.
class MaildropLocks {
 public:
  /// Holds one maildrop until it is destroyed.
  class Held {
   public:
    Held() = default;
    Held(MaildropLocks& locks, directory::AccountNumber account) noexcept : locks_(&locks), account_(account) {}
    Held(Held&& other) noexcept : locks_(std::exchange(other.locks_, nullptr)), account_(other.account_) {}
    Held& operator=(Held&& other) noexcept {
      std::swap(locks_, other.locks_);
      std::swap(account_, other.account_);
      return *this;
    }
    ~Held();

   private:
    MaildropLocks* locks_ = nullptr;
    directory::AccountNumber account_ = 0;
  };

  /// nullopt where another session has it. The locks must outlive what is held.
  std::optional<Held> take(directory::AccountNumber account);

 private:
  std::mutex mutex_;
  std::unordered_set<directory::AccountNumber> taken_;  // guarded by mutex_
};

}  // namespace relais::pop
