// The mover's door to the storage: accounts that nobody is served from yet, or any more, with everything dictated.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "net/task.h"
#include "storage/store.h"
#include "storage/types.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::storage {

/// Who may write an account. In its record, checked inside each transaction, so that no clock and no cache of a placement is involved.
enum class AccountState : std::uint8_t {
  open = 0,       ///< as ever: Store
  importing = 1,  ///< Import alone; Store refuses to write (Fault::temporary "MOVED"), and to list and open too: nobody is served from it
  sealed = 2,     ///< nobody; reads go on
};

struct ImportedMailbox {
  std::string name;                ///< storage name
  std::uint32_t uid_validity = 0;  ///< not 0, unless not selectable: then it does not matter
  std::uint8_t special_use = kUseNone;
  bool selectable = true;
  std::optional<MailboxId> id{};  ///< between shards: the same MAILBOXID; must be free
};

struct ImportedMessage {
  PreparedPtr message;
  Uid uid = 0;                ///< ascending within the call and above all that is there
  FlagBits system_flags = 0;  ///< of kSystemFlags
  std::vector<std::string> keywords{};
  std::int64_t internal_date = 0;  ///< seconds since epoch, also where it is 0
  std::int16_t internal_zone = 0;  ///< minutes east of UTC
  std::int64_t save_date = 0;      ///< seconds since epoch (RFC 8514); 0: now
  ModSeq mod_seq = 0;              ///< any from 1 to 2^62, also below the mailbox's highest; 0: a new one
  std::string uidl{};              ///< 1-70 characters of 0x21-0x7E; empty: none
};

/// What is dictated of a message that is there. Values, not steps: applying it again changes nothing.
struct ImposedState {
  Uid uid = 0;
  FlagBits system_flags = 0;
  std::vector<std::string> keywords{};
  ModSeq mod_seq = 0;                 ///< as ImportedMessage::mod_seq; 0: a new one where the flags change, else as it was
  std::optional<std::string> uidl{};  ///< nullopt: as it was
};

struct ImportedCounters {
  Uid uid_next = 0;            ///< never lowered
  ModSeq highest_mod_seq = 0;  ///< of the mailbox, never lowered; the account's counter is raised to it
  /// Expunges up to here are not known: MailboxChanges::vanished_unknown for clients that come from before. Never lowered.
  ModSeq tombstone_floor = 0;
};

struct ContentDigest {
  Uid uid = 0;
  std::uint32_t size = 0;
  std::array<unsigned char, 32> sha256{};
};

/// A small value that belongs to an account or a mailbox and that no protocol of ours serves yet, or that is kept beside the model: ACLs,
/// METADATA, Sieve scripts, the POP3 order.
struct Attribute {
  std::string name;   ///< "/private/comment", "acl/anyone", "sieve/NAME", "sieve-active", "pop3-order": 1 to 255 octets
  std::string value;  ///< at most 1 MB
};

/// Accounts with everything dictated. ShardedStore::importer() gives it.
///
/// Threads, durability, errors: as Store; in addition Fault::refused "STATE" where the account is not `importing`, for everything that
/// writes but set_state(). Reads answer in any state and never make an account. A placement that names the shard is not asked for: only the
/// mover calls this. Limits of space hold, limits of the account's quota do not: what a user has is carried. Mailbox names as in store.h.
///
/// Mailboxes are made as they are dictated, and no others: an account that was imported has those default mailboxes that it brought along.
/// A parent that was not dictated is made as \Noselect name; one that is removed while it has children stays as such, until it is removed
/// again.
class Import {
 public:
  virtual ~Import() = default;

  /// Compare-and-set, one transaction, ordered with all other writes of the account: after `sealed` returns no write of before is missing
  /// and none can follow. An account that was never touched is `open` without mailboxes; importing it makes none. What becomes `open` has
  /// an INBOX: one is made where none was imported. Fault::refused "STATE" where it is not `expected`; setting what it is already is no
  /// error.
  virtual net::Task<void> set_state(AccountRef account, AccountState expected, AccountState state) = 0;
  virtual net::Task<AccountState> state(AccountRef account) = 0;

  /// As Store::list; empty for an account that was never touched.
  virtual net::Task<std::vector<MailboxInfo>> list(AccountRef account) = 0;
  virtual net::Task<MailboxView> open(AccountRef account, MailboxId mailbox) = 0;
  virtual net::Task<void> fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) = 0;

  /// One that has the name and is so already (UIDVALIDITY; for a \Noselect one that it is one; the id where one is given) keeps what it
  /// holds and takes the special use over. Anything else under the name goes away with its messages, and a new one is made. Its messages
  /// are not \Recent.
  /// Fault::refused: ALREADYEXISTS where another mailbox has the id (parents first: one that is made on the way takes any), USEATTR where
  /// another mailbox that held a message has the special use, CANNOT for a name or UIDVALIDITY that is none, LIMIT.
  virtual net::Task<MailboxInfo> create(AccountRef account, ImportedMailbox mailbox) = 0;
  /// Without its children. A \Noselect one that has the new name gives way. Fault::refused ALREADYEXISTS where a mailbox has it. One that
  /// is called so already is left alone.
  virtual net::Task<void> rename(AccountRef account, MailboxId mailbox, std::string to) = 0;
  /// INBOX too. One that is not there is no error.
  virtual net::Task<void> remove(AccountRef account, MailboxId mailbox) = 0;
  /// Exactly these, by storage name.
  virtual net::Task<void> set_subscriptions(AccountRef account, std::vector<std::string> names) = 0;

  /// All or nothing. Messages whose UID is there already with the same size and digest are skipped (whatever their flags are now), so that
  /// a batch can be repeated. Fault::refused CANNOT for another message under a UID that is there, a UID below UIDNEXT that is not there,
  /// UIDs that do not ascend; LIMIT where the mailbox has too many different keywords. One transaction: up to some thousand messages, or
  /// others of the shard wait.
  virtual net::Task<void> append(AccountRef account, MailboxId mailbox, std::vector<ImportedMessage> messages) = 0;
  /// UIDs that are not there are ignored; of one that is named twice the last counts. Many are imposed in several steps, ascending.
  virtual net::Task<void> impose(AccountRef account, MailboxId mailbox, std::vector<ImposedState> states) = 0;
  /// Whatever their flags; UIDs that are not there are ignored. A large set goes in several steps, ascending.
  /// @param mod_seq  of the tombstones; 0: a new one
  virtual net::Task<void> expunge(AccountRef account, MailboxId mailbox, NumberSet uids, ModSeq mod_seq) = 0;
  virtual net::Task<void> set_counters(AccountRef account, MailboxId mailbox, ImportedCounters counters) = 0;

  /// Ascending by name. @param mailbox nullopt: the account's
  virtual net::Task<std::vector<Attribute>> attributes(AccountRef account, std::optional<MailboxId> mailbox) = 0;
  /// Others stay as they are; an empty value removes one. All or nothing. Fault::refused LIMIT beyond 1,000 of a mailbox or an account.
  virtual net::Task<void> set_attributes(AccountRef account, std::optional<MailboxId> mailbox, std::vector<Attribute> attributes) = 0;

  /// Reads the messages from where they lie, decodes and digests them on workers: what a verification compares with what was received.
  /// Ascending UID; those that are not there are left out.
  virtual net::Task<std::vector<ContentDigest>> digests(AccountRef account, MailboxId mailbox, NumberSet uids) = 0;
  /// A message as it is stored, to be appended on another shard without being decoded; its EMAILID goes with it. Its summary lacks the
  /// Message-ID. Fault::refused EXPUNGEISSUED where it is gone.
  virtual net::Task<PreparedPtr> take(AccountRef account, MailboxId mailbox, Uid uid) = 0;
};

}  // namespace relais::storage
