// Where an account is read from: the one interface that each kind of legacy storage implements.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "directory/name_view.h"
#include "net/task.h"
#include "storage/types.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

using storage::ModSeq;
using storage::Uid;

/// What a source can tell, known once it is open.
struct SourceTraits {
  bool mod_seqs = false;        ///< states carry HIGHESTMODSEQ: a mailbox whose state is the same has not changed
  bool vanished = false;        ///< changes() names what is gone without listing what is there
  bool state_is_cheap = false;  ///< list() is one question, whatever the number of mailboxes
  std::string described{};      ///< for status and reports: "QRESYNC, LIST-STATUS"
};

/// A mailbox's state, and the place that a copy has come to. Equal states of a source with `mod_seqs` mean that nothing has changed.
struct Cursor {
  std::uint32_t uid_validity = 0;  ///< 0: nothing was copied yet
  Uid uid_next = 0;                ///< 0: not known
  ModSeq highest_mod_seq = 0;      ///< 0: not known
  std::uint32_t messages = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

struct SourceMailbox {
  std::string wire;           ///< what the source itself calls it; names it in all calls
  std::string name;           ///< storage name (directory::NameView of the source), as Store lists it
  bool name_changed = false;  ///< the source's name was no UTF-8: clients see another one
  bool recomposed = false;    ///< it was not in NFC: clients see the same, in other octets
  bool selectable = true;
  bool subscribed = false;
  std::uint8_t special_use = storage::kUseNone;  ///< bits
  Cursor state{};  ///< as of the listing. A selectable one without UIDVALIDITY could not be asked: `problem` says why
  std::string problem{};
};

struct SourceListing {
  directory::NameView names{};
  std::vector<SourceMailbox> mailboxes{};    ///< INBOX first, parents before children
  std::vector<std::string> subscriptions{};  ///< storage names, sorted, also of mailboxes that do not exist
  /// What is not carried, by wire name: mailboxes of others, names that cannot be kept apart.
  struct Left {
    std::string wire;
    std::string why;
    bool shared = false;  ///< of another user, or of nobody
  };
  std::vector<Left> left{};
};

/// A message without its octets.
struct SourceMessage {
  Uid uid = 0;
  storage::FlagBits system_flags = 0;
  std::vector<std::string> keywords{};          ///< sorted
  std::vector<std::string> odd_flags{};         ///< neither system flags nor keywords that IMAP allows: not carried
  ModSeq mod_seq = 0;                           ///< 0: not known
  std::optional<std::uint64_t> size{};          ///< RFC822.SIZE as the source tells it, which may be wrong
  std::optional<std::int64_t> internal_date{};  ///< seconds since epoch
  std::int16_t internal_zone = 0;               ///< minutes east of UTC
};

/// What happened in a mailbox since a cursor.
struct SourceChanges {
  Cursor state{};          ///< what the cursor becomes once all of this is applied: never newer than the changes
  bool restarted = false;  ///< another UIDVALIDITY, or nothing was copied yet: everything is in `changed`, nothing of before holds
  std::vector<SourceMessage> changed{};  ///< new messages and changed flags, ascending UID; may name some that did not change
  NumberSet vanished{};                  ///< gone since; may name UIDs that never were
  std::optional<NumberSet> all{};        ///< every UID that is there: what is not in it is gone. Where it is not given `vanished` is all
};

/// A whole message. The octets are valid until the receiver's coroutine ends.
struct Message {
  SourceMessage about{};
  std::string_view octets{};
};

/// Takes messages as they come.
class MessageReceiver {
 public:
  virtual ~MessageReceiver() = default;
  /// The source reads on when it returns: this is the back-pressure. An Error ends the reading and comes back.
  virtual net::Task<void> take(Message message) = 0;
  /// The source has it and cannot give it (NO to the FETCH, an answer that makes no sense). The reading goes on.
  virtual net::Task<void> unreadable(Uid uid, Error why) = 0;
};

/// What is kept beside mail.
struct SourceExtras {
  struct Quota {
    std::string root;
    std::string resource;  ///< in upper case: "STORAGE" (units of 1024 octets), "MESSAGE"
    std::uint64_t usage = 0;
    std::uint64_t limit = 0;
  };
  std::vector<Quota> quota{};
  struct Entry {
    std::string mailbox;  ///< storage name; empty: the account
    std::string name;     ///< "acl/anyone", "/private/comment"
    std::string value;
  };
  std::vector<Entry> acl{};  ///< without the account's own rights
  std::vector<Entry> metadata{};
};

/// One account at one place, read through one connection. Nothing that it does changes anything there: no \Seen, no \Recent.
///
/// Calls come one at a time. Errors: Fault::temporary (not reached, throttled, timed out, closed: open a new one later; code "LIMIT" where
/// the place asked for less), Fault::refused (login refused: "AUTHENTICATIONFAILED"; mailbox gone: "NONEXISTENT"; "UIDVALIDITY" where it
/// is another than the mailbox's state says: begin anew), Fault::corrupt (what is there makes no sense; detail for the report).
/// Threads: the loop it was opened on. Lifetime: not destroyed while a call runs.
class Source {
 public:
  virtual ~Source() = default;
  virtual const SourceTraits& traits() const noexcept = 0;

  /// All mailboxes with their states.
  virtual net::Task<SourceListing> list() = 0;
  /// @param known  the UIDs that were there, as far as was told up to `since`
  virtual net::Task<SourceChanges> changes(const SourceMailbox& mailbox, Cursor since, const NumberSet& known) = 0;
  /// Whole messages, ascending UID as far as the source keeps to it. Those that are gone are passed over.
  virtual net::Task<void> messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) = 0;
  /// Every message with flags, size, date, MODSEQ, ascending UID: for verification.
  virtual net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox) = 0;
  /// The same of these; those that are gone are passed over.
  virtual net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox, NumberSet uids) = 0;
  virtual net::Task<SourceExtras> extras(const SourceListing& listing) = 0;

  /// Returns when something may have changed in INBOX, or at the deadline. Costs nothing meanwhile where the place can tell (IDLE); else
  /// waits for the deadline.
  virtual net::Task<void> wait(net::Deadline deadline) = 0;
  /// The time of a cheap question, for the governor; 0: not known.
  virtual std::chrono::microseconds round_trip() const noexcept = 0;
  /// Polite end; not needed before the destructor.
  virtual net::asio::awaitable<void> close() = 0;
};

}  // namespace relais::migrate
