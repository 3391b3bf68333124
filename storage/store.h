// The one door to mail: what frontends, delivery and the migrator may do with an account's mailboxes.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "net/task.h"
#include "storage/types.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage {

/// Which account, and the shard that its placement names.
struct AccountRef {
  AccountId account{};
  ShardNumber shard = 0;
};

/// A message's octets, parsed, compressed and checksummed once, ready to be appended any number of times (to many recipients).
/// Immutable; any thread.
class PreparedMessage;
using PreparedPtr = std::shared_ptr<const PreparedMessage>;

/// One message for append().
struct AppendMessage {
  PreparedPtr message;
  /// Complete header fields (each ends with CRLF) to put in front: Return-Path, Delivered-To, Received. Differs per recipient.
  std::string trace_header;
  FlagBits system_flags = 0;  ///< of kSystemFlags
  std::vector<std::string> keywords;
  std::int64_t internal_date = 0;  ///< seconds since epoch; 0 means now
  std::int16_t internal_zone = 0;  ///< minutes east of UTC
  // What a migrator dictates:
  std::optional<Uid> uid;         ///< must be >= uid_next, else Fault::refused
  std::optional<ModSeq> mod_seq;  ///< must be above the mailbox's highest, else a new one is used
  std::string uidl;               ///< POP3 UIDL to keep, 1-70 characters of 0x21-0x7E
};

struct AppendResult {
  MailboxId mailbox{};
  std::uint32_t uid_validity = 0;
  std::vector<Uid> uids;  ///< in the order of the messages
};

enum class FlagOperation : std::uint8_t { replace, add, remove };

struct StoreFlagsRequest {
  NumberSet uids;
  FlagOperation operation = FlagOperation::add;
  FlagBits system_flags = 0;
  std::vector<std::string> keywords;
  /// RFC 7162 §3.1.3: messages changed after this are left alone and reported.
  std::optional<ModSeq> unchanged_since;
};

struct StoreFlagsResult {
  std::vector<FlagChange> changed;  ///< every message that exists in the set and passed unchanged_since, with its flags afterwards
  NumberSet failed;                 ///< refused by unchanged_since
  ModSeq highest_mod_seq = 0;
  ModSeq made = 0;                    ///< of the messages whose flags this changed; 0 where all were so already
  std::vector<std::string> keywords;  ///< of the mailbox afterwards
};

struct ExpungeResult {
  NumberSet expunged;
  ModSeq highest_mod_seq = 0;
};

struct CopyResult {
  MailboxId mailbox{};             ///< the destination
  std::uint32_t uid_validity = 0;  ///< of the destination
  /// Pairwise, ascending source order (RFC 4315 §3): from[i] became to[i].
  std::vector<Uid> from;
  std::vector<Uid> to;
  ModSeq highest_mod_seq = 0;  ///< of the source, after a MOVE
};

/// What fetch() shall bring. Batches are bounded by octets and count: ask again with first = FetchBatch::next.
struct FetchRequest {
  const NumberSet* uids = nullptr;     ///< not null; valid until fetch() returns
  Uid first = 1;                       ///< resume here
  std::uint32_t fields = kFetchFlags;  ///< of FetchField
  ModSeq changed_since = 0;            ///< only messages changed after it
  std::uint32_t max_messages = 2'000;
  std::uint32_t max_octets = 512 * 1024;     ///< stop adding messages beyond it
  std::uint32_t content_limit = 256 * 1024;  ///< a larger message's content is left to read_content()
};

/// Some messages, ascending UID. Reuse one object for many calls: its memory is kept.
struct FetchBatch {
  std::vector<MessageView> messages;
  std::string octets;          ///< what the views point into
  Uid next = 0;                ///< where to go on; 0 at the end
  ModSeq highest_mod_seq = 0;  ///< of the mailbox when this was read
};

struct QuotaUsage {
  std::uint64_t octets = 0;
  std::uint64_t messages = 0;
  std::uint64_t octets_limit = 0;    ///< 0: none
  std::uint64_t messages_limit = 0;  ///< 0: none
};

/// While it lives, events reach the callback. Destroy it on any thread; no call begins after the destructor returned.
class Subscription {
 public:
  virtual ~Subscription() = default;
};

/// The mailbox model over the shards.
///
/// Threads: any; a coroutine resumes on its caller's executor. Calls may complete without suspending.
/// Durability: a value from a modifying call means fsynced.
/// Errors of all calls: Fault::temporary (shard full, read-only, down; codes as in engine.h, and IMAP's where one fits), Fault::corrupt.
///   Fault::refused with IMAP codes (RFC 5530): NONEXISTENT no such mailbox, ALREADYEXISTS, OVERQUOTA, CANNOT (INBOX, bad name), LIMIT (too
///   many keywords, mailboxes, no UIDs left), TRYCREATE (destination of APPEND, COPY, MOVE missing), USEATTR, HASCHILDREN (RFC 9051 §7.1),
///   EXPUNGEISSUED.
///   Fault::temporary MOVED: the account is being moved (storage/import.h): nothing was written, and whoever looks its placement up again
///   may find it elsewhere. Answered by everything that writes, but for set_quota(), forget_once() and remove_account(); by list(),
///   status() and open() while the account is being brought here. One that was taken away from here still can be read.
/// Mailbox names: UTF-8, '/' between levels, no empty level, no control characters, at most 255 octets per level and 1,000 in all;
/// "INBOX" in any case is the inbox, which exists always. From its first touch on an account also has Archive, Drafts, Junk, Sent and
/// Trash, with their special uses and subscribed.
class Store {
 public:
  virtual ~Store() = default;

  /// Parses, compresses and checksums; small messages at once, large ones on the worker pool. `octets` must stay valid until it returns.
  virtual net::Task<PreparedPtr> prepare(std::string_view octets) = 0;

  // ---- mailboxes
  /// All mailboxes and subscriptions, sorted by name, INBOX first. A parent that was never created does not appear.
  virtual net::Task<std::vector<MailboxInfo>> list(AccountRef account) = 0;
  virtual net::Task<MailboxInfo> status(AccountRef account, std::string name) = 0;
  /// Makes missing parents too; a \Noselect name becomes a mailbox. Fault::refused USEATTR (RFC 6154 §3) where another mailbox has the
  /// special use already, unless that one was never used (then the use passes on).
  /// @param uid_validity  dictated by a migrator. An existing mailbox that never held a message (INBOX and the other default ones) takes it
  ///                      over, together with the special use; any other gives ALREADYEXISTS.
  virtual net::Task<MailboxInfo> create(AccountRef account, std::string name, std::uint8_t special_use,
                                        std::optional<std::uint32_t> uid_validity) = 0;
  /// Children move along; renaming INBOX moves its messages into a new mailbox (RFC 9051 §6.3.6), many of them as move() does.
  virtual net::Task<void> rename(AccountRef account, std::string from, std::string to) = 0;
  /// A mailbox with children stays as \Noselect and loses its messages; one that is so already and has children is refused.
  virtual net::Task<void> remove(AccountRef account, std::string name) = 0;
  virtual net::Task<void> subscribe(AccountRef account, std::string name, bool subscribed) = 0;

  // ---- reading
  /// @param claim_recent  true for SELECT: the \Recent messages are this session's from now on (view.info.recent_from says which)
  virtual net::Task<MailboxView> open(AccountRef account, std::string name, bool claim_recent) = 0;
  /// A session tells its client of the messages from `known` to below `uid_next`. @param claim  \Recent is its own from now on, unless
  /// another session was first (RFC 3501 §2.3.2); false for EXAMINE. Never waits. @return where its recent messages begin; `known` where
  /// nothing is known of others
  virtual Uid claim_recent(AccountRef account, MailboxId mailbox, Uid known, Uid uid_next, bool claim) {
    static_cast<void>(account), static_cast<void>(mailbox), static_cast<void>(uid_next), static_cast<void>(claim);
    return known;
  }
  /// What changed after `since`. Cheap where nothing did. @param with_vanished false skips tombstones
  virtual net::Task<MailboxChanges> changes(AccountRef account, MailboxId mailbox, ModSeq since, bool with_vanished) = 0;
  virtual net::Task<void> fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) = 0;
  /// Appends [offset, offset + length) of a message to `into`. Fault::refused EXPUNGEISSUED where it is gone.
  virtual net::Task<void> read_content(AccountRef account, MailboxId mailbox, Uid uid, std::uint64_t offset, std::uint64_t length,
                                       std::string& into) = 0;
  virtual net::Task<QuotaUsage> quota(AccountRef account) = 0;

  // ---- writing
  /// All or nothing. @param mailbox name; created where `create_missing` (delivery), else TRYCREATE
  /// @param once  if not empty: a delivery id; an append with the same id that was done before is answered with its old result and changes
  ///              nothing (remembered until forget_once), so that a retry after a crash never delivers twice
  virtual net::Task<AppendResult> append(AccountRef account, std::string mailbox, std::vector<AppendMessage> messages, bool create_missing,
                                         std::string once) = 0;
  virtual net::Task<void> forget_once(AccountRef account, std::string once) = 0;
  virtual net::Task<StoreFlagsResult> store_flags(AccountRef account, MailboxId mailbox, StoreFlagsRequest request) = 0;
  /// Removes the messages of `uids` (nullopt: all) that carry \Deleted; with `any_flag` also those that do not (POP3, a migrator): that is
  /// one transaction, all or none. Without `any_flag` a large set is removed in several steps, and an error may leave a part of it removed.
  virtual net::Task<ExpungeResult> expunge(AccountRef account, MailboxId mailbox, std::optional<NumberSet> uids, bool any_flag) = 0;
  /// Flags, dates and ids are kept. All or nothing; UIDs that are gone are ignored. A large set is copied in several steps, which others
  /// may see; where one of them fails, what those before it have copied is removed again. A crash may leave a part of it.
  virtual net::Task<CopyResult> copy(AccountRef account, MailboxId from, NumberSet uids, std::string to) = 0;
  /// As copy() and then expunge of the originals, in one step per message (RFC 9051 §6.4.8): an error may leave a part of a large set
  /// moved.
  virtual net::Task<CopyResult> move(AccountRef account, MailboxId from, NumberSet uids, std::string to) = 0;
  virtual net::Task<void> set_quota(AccountRef account, std::uint64_t octets_limit, std::uint64_t messages_limit) = 0;
  /// Dictated by a migrator: never lowers them.
  virtual net::Task<void> set_uid_next(AccountRef account, MailboxId mailbox, Uid uid_next, ModSeq highest_mod_seq) = 0;
  /// Everything of the account.
  virtual net::Task<void> remove_account(AccountRef account) = 0;

  // ---- change feed
  /// `callback` runs on a committer's thread: it must only post to its own executor and return.
  virtual std::unique_ptr<Subscription> subscribe_changes(AccountId account, std::function<void(const ChangeEvent&)> callback) = 0;

  // ---- operation
  virtual std::size_t shards() const = 0;
  /// Would the shard take writes now?
  virtual Result<void> writable(ShardNumber shard) const = 0;
};

}  // namespace relais::storage
