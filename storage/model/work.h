// What one transaction body works on: the account's record and the mailboxes that it touches, loaded once and saved once.
#pragma once

#include "storage/engine.h"
#include "storage/model/chunk.h"
#include "storage/model/keys.h"
#include "storage/model/recent.h"
#include "storage/model/records.h"
#include "storage/model/walk.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::storage::model {

inline constexpr std::size_t kMaxMailboxes = 10'000;           ///< per account
inline constexpr std::uint32_t kMaxTombstones = 10'000;        ///< records per mailbox; beyond it the oldest go
inline constexpr std::uint32_t kDroppedTombstones = 1'000;     ///< at one time
inline constexpr ModSeq kMaxDictatedModSeq = ModSeq{1} << 62;  ///< leaves room for as many again below 2^63 (RFC 7162 §3.1)
inline constexpr Uid kMaxUid = UINT32_MAX - 1;                 ///< so that uid_next is a number

/// On whose behalf a body runs: which states of the account let it.
enum class Door : std::uint8_t {
  store,     ///< open
  settings,  ///< any; as `store` for an account that was never touched
  import,    ///< importing
  states,    ///< any: what changes the state, or ends the account; an account that was never touched stays so
};

/// What a body needs from outside; the same in every run.
struct Context {
  AccountId account{};
  std::int64_t now = 0;                  ///< seconds since epoch
  const RecentClaims* recent = nullptr;  ///< may be null
  std::uint32_t group_messages = kGroupMessages;
  Door door = Door::store;
};

/// A mailbox to be made.
struct NewMailbox {
  std::string_view name;  ///< must be free; its parents are there
  std::uint8_t special_use = kUseNone;
  std::optional<std::uint32_t> uid_validity{};  ///< nullopt: a new one
  bool selectable = true;
  std::optional<MailboxId> id{};                ///< must be free; nullopt: the next one
};

/// A mailbox in work.
struct Box {
  MailboxId id{};
  MailboxRecord record;
  bool dirty = false;            ///< the record has to be saved
  bool changed = false;          ///< its messages changed under Work::mod_seq(): subscribers are told
  std::optional<HotChunk> tail;  ///< the last chunk while messages are appended
  Uid tail_key = 0;
  std::optional<GroupSpan> group;  ///< the one that is being changed; written back when another is wanted
};

/// Loads what the body asks for, hands out numbers, and writes it all back in save(). Everything below the flags' meaning and the
/// protocol's rules goes through here, so that counters, chunks, names and quota always move together.
///
/// Invariants after save(): MailboxRecord's counters are the sums of its groups, theirs of their chunks; AccountRecord's usage is the sum
/// of its mailboxes; each hot record has its message record and the other way round; every parent of a mailbox has a record. Errors: those
/// of the Txn; Fault::corrupt for records that do not decode. After an error the body must fail.
class Work {
 public:
  Work(Txn& txn, const Context& context) : txn_(txn), context_(context) {}

  /// Loads the account's record; a new account gets its default mailboxes, unless Context::door says otherwise.
  /// @return Fault::temporary MOVED, Fault::refused STATE where the account's state does not let this door in
  Result<void> load();
  Result<void> save();

  Txn& txn() noexcept { return txn_; }
  AccountRecord& account() noexcept { return account_; }
  /// The account has a record.
  bool exists() const noexcept { return exists_; }
  void set_state(AccountState state);
  const Context& context() const noexcept { return context_; }
  /// The mod-sequence of everything that this body changes; allocated at the first call.
  ModSeq mod_seq();
  /// Marks the mailbox as changed under mod_seq().
  ModSeq touch(Box& box);
  /// The mailbox takes part in a dictated mod-sequence.
  void raise_mod_seq(Box& box, ModSeq mod_seq);

  // ---- mailboxes. Pointers live as long as the Work.
  /// nullptr where there is none.
  Result<Box*> find(std::string_view name);
  Result<Box*> find(MailboxId id);
  /// As find; Fault::refused NONEXISTENT where there is none.
  Result<Box*> get(MailboxId id);
  /// A new mailbox and its missing parents. Its name must be free. Fault::refused LIMIT.
  Result<Box*> create(std::string_view name, std::uint8_t special_use, std::optional<std::uint32_t> uid_validity);
  /// Fault::refused LIMIT.
  Result<Box*> create(const NewMailbox& mailbox);
  /// New mailboxes get ids above this one.
  void reserve_id(MailboxId id);
  /// Makes the parents of the name that are missing, each selectable or not.
  Result<void> make_parents(std::string_view name, bool selectable);
  Result<void> make_default_mailboxes();
  /// As create, where `there` is nullptr or a \Noselect name that becomes a mailbox: a new one, with an id and a UIDVALIDITY of its own.
  Result<Box*> create_selectable(Box* there, const std::string& name, std::uint8_t special_use = kUseNone,
                                 std::optional<std::uint32_t> uid_validity = std::nullopt);
  /// Every mailbox record, in the order of ids.
  Result<std::vector<std::pair<MailboxId, MailboxRecord>>> all() const;
  std::uint32_t new_uid_validity();
  /// Later ones are above this dictated one.
  void note_uid_validity(std::uint32_t dictated);
  Result<void> rename(Box& box, std::string_view name);
  /// Takes the mailbox away from its name and the account's usage; clear_dead() removes what it held.
  Result<void> bury(Box& box);

  // ---- messages
  /// Position bits of these keywords; adds missing ones where `add`, else ignores them. Fault::refused LIMIT.
  Result<FlagBits> keyword_bits(Box& box, const std::vector<std::string>& keywords, bool add);
  /// Puts one message at the end: hot record, message record, counters and quota usage. record.uid is set to uid_next.
  Result<Uid> append(Box& box, HotRecord record, std::string_view message_record, std::string_view header_fields_apart);
  Result<void> set_limits(std::uint64_t octets, std::uint64_t messages);
  /// The body of a migrator's set_uid_next: never lowers anything.
  Result<void> raise_counters(MailboxId id, Uid uid_next, ModSeq highest_mod_seq);
  /// Fault::refused OVERQUOTA where that much more does not fit.
  Result<void> check_quota(std::uint64_t octets, std::uint64_t messages) const;

  /// What edit_chunks() does with one record.
  enum class Edit : std::uint8_t { keep, changed, remove };
  /// Calls edit(HotRecord&) for the existing messages of `uids`, ascending, and writes the chunks that changed; counters follow.
  /// Message records of removed ones are the caller's business.
  /// @param limit stop after this many removals  @param only_deleted skip chunks in which nothing carries \Deleted
  Result<void> edit_chunks(Box& box, const NumberSet& uids, std::uint64_t limit, bool only_deleted,
                           const std::function<Edit(HotRecord&)>& edit);
  /// Removes message records, header records, and blob references where `release_blobs`.
  Result<void> erase_messages(Box& box, const NumberSet& uids, bool release_blobs);
  /// @param mod_seq  of the tombstone; nullopt: mod_seq()
  Result<void> add_tombstone(Box& box, const NumberSet& expunged, std::optional<ModSeq> mod_seq = std::nullopt);

 private:
  struct LoadedChunk {
    Uid key = 0;
    HotChunk chunk;
  };
  Result<Box*> adopt(MailboxId id, std::string_view encoded);
  Result<void> load_tail(Box& box);
  Result<void> write_tail(Box& box);
  Result<void> load_group(Box& box, Uid uid);
  Result<void> write_group(Box& box);
  Result<bool> edit_chunk(Box& box, LoadedChunk& loaded, Wanted& wanted, std::uint64_t& left, const std::function<Edit(HotRecord&)>& edit);
  Result<void> merge_small(Box& box, std::span<const Uid> keys);
  Result<void> drop_old_tombstones(Box& box);
  Result<FlagBits> used_keywords(const Box& box) const;

  Txn& txn_;
  const Context& context_;
  AccountRecord account_;
  bool exists_ = false;
  bool account_dirty_ = false;
  std::optional<ModSeq> mod_seq_;
  std::vector<std::unique_ptr<Box>> boxes_;
  std::string buffer_;
};

/// The record of a mailbox as a snapshot has it; nullopt where there is none.
Result<std::optional<MailboxRecord>> read_mailbox(const Reader& reader, MailboxId id);
Result<std::optional<MailboxId>> read_name(const Reader& reader, std::string_view name);
/// nullopt for an account that was never written to.
Result<std::optional<AccountRecord>> read_account(const Reader& reader);
Result<std::vector<std::pair<MailboxId, MailboxRecord>>> read_mailboxes(const Reader& reader);

std::unexpected<Error> no_such_mailbox();
/// What Store says of an account that it must not serve.
std::unexpected<Error> account_has_moved();

/// What a step of clearing away has left.
struct Clearing {
  bool more = false;
  std::string next;  ///< where the next step goes on: everything before it is gone
};
/// Clears away at most `limit` messages of removed mailboxes.
/// @param from  Clearing::next of the step before, or empty: so that a step does not walk over what those before it have erased
Result<Clearing> clear_dead(Txn& txn, std::size_t limit, std::string_view from);

enum class Erased : std::uint8_t { all, some, in_use };
/// Erases at most `limit` keys of an account whose mailboxes are removed and cleared away; in_use, and nothing erased, where it has some
/// (again): their blobs must be released first.
Result<Erased> erase_emptied(Txn& txn, std::size_t limit);

}  // namespace relais::storage::model
