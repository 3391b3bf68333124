// The messages of one POP3 session: numbered at login, deleted at QUIT.
#pragma once

#include "base/number_set.h"
#include "storage/store.h"

#include <cstdint>
#include <vector>

namespace relais::pop {

/// A snapshot of the inbox (RFC 1939 §4: no message number changes in a session). 12 octets a message.
///
/// Messages that IMAP has marked \Deleted are shown, as other servers do: they are not expunged.
/// Threads: one.
class Maildrop {
 public:
  struct Message {
    storage::Uid uid = 0;
    std::uint32_t size = 0;    ///< octets
    bool deleted = false;      ///< by DELE
    bool seen = false;
    bool retrieved = false;    ///< and so to be marked \Seen
  };

  /// Reads the inbox: uids and sizes alone.
  static net::Task<Maildrop> open(storage::Store& store, storage::AccountRef account);

  /// Messages that DELE has not marked, and their octets.
  std::uint32_t count() const noexcept { return count_; }
  std::uint64_t octets() const noexcept { return octets_; }
  /// By number, 1 and up. Null for a number that is none, or deleted.
  Message* find(std::uint32_t number) noexcept;
  const std::vector<Message>& messages() const noexcept { return messages_; }
  void mark_deleted(Message& message) noexcept;
  void undelete_all() noexcept;

  NumberSet deleted() const;
  /// Retrieved, not seen before, not deleted.
  NumberSet newly_seen() const;

  storage::AccountRef account() const noexcept { return account_; }
  storage::MailboxId mailbox() const noexcept { return mailbox_; }
  std::uint32_t uid_validity() const noexcept { return uid_validity_; }
  /// The messages that may have a unique id of the legacy platform.
  NumberSet maybe_with_uidl() const;
  /// Every message, deleted or not.
  const NumberSet& uids() const noexcept { return uids_; }

 private:
  storage::AccountRef account_{};
  storage::MailboxId mailbox_{};
  std::uint32_t uid_validity_ = 0;
  storage::Uid uidl_until_ = 0;
  NumberSet uids_;
  std::vector<Message> messages_;  ///< message number n at n - 1, ascending uid
  std::uint32_t count_ = 0;
  std::uint64_t octets_ = 0;
};

}  // namespace relais::pop
