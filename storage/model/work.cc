// One transaction's working set: account, mailboxes, numbers.
#include "storage/model/work.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/encode.h"
#include "storage/model/names.h"
#include "storage/model/walk.h"

#include <algorithm>
#include <array>
#include <functional>

namespace relais::storage::model {
namespace {

struct DefaultMailbox {
  std::string_view name;
  std::uint8_t special_use;
};
constexpr std::array kDefaultMailboxes = {
    DefaultMailbox{kInbox, kUseNone},         DefaultMailbox{"Archive", kUseArchive}, DefaultMailbox{"Drafts", kUseDrafts},
    DefaultMailbox{"Junk", kUseJunk},         DefaultMailbox{"Sent", kUseSent},       DefaultMailbox{"Trash", kUseTrash},
};

// Dictated UIDVALIDITYs above this one would leave no room to count on; they are unlikely to meet a clock-based one before 2097.
constexpr std::uint32_t kMaxTrackedValidity = 0xF000'0000;

std::string encode_id(MailboxId id) {
  std::string out;
  put_u32(out, number(id));
  return out;
}

}  // namespace

std::unexpected<Error> account_has_moved() {
  return fail(Fault::temporary, "this mailbox is being moved, try again", "MOVED");
}

std::unexpected<Error> no_such_mailbox() { return fail(Fault::refused, "no such mailbox", "NONEXISTENT"); }

Result<std::optional<AccountRecord>> read_account(const Reader& reader) {
  RELAIS_TRY(const auto octets, reader.get(account_key()));
  if (!octets) return std::nullopt;
  return decode_account(*octets);
}

Result<std::optional<MailboxRecord>> read_mailbox(const Reader& reader, MailboxId id) {
  RELAIS_TRY(const auto octets, reader.get(mailbox_key(id)));
  if (!octets) return std::nullopt;
  return decode_mailbox(*octets);
}

Result<std::optional<MailboxId>> read_name(const Reader& reader, std::string_view name) {
  RELAIS_TRY(const auto octets, reader.get(name_key(name)));
  if (!octets) return std::nullopt;
  Decoder in(*octets);
  const MailboxId id{in.u32()};
  if (!in.done()) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "name record does not decode");
  return id;
}

Result<std::vector<std::pair<MailboxId, MailboxRecord>>> read_mailboxes(const Reader& reader) {
  std::vector<std::pair<MailboxId, MailboxRecord>> all;
  Result<void> damaged;
  auto visit = [&](const KeyValue& entry) {
    const auto id = mailbox_of(entry.key);
    auto record = decode_mailbox(entry.value);
    if (!id || !record) {
      damaged = fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "mailbox record does not decode");
      return false;
    }
    all.emplace_back(*id, std::move(*record));
    return true;
  };
  RELAIS_TRY_VOID(reader.range(family_key(kMailboxFamily), family_end(kMailboxFamily), std::ref(visit)));
  RELAIS_TRY_VOID(std::move(damaged));
  return all;
}

Result<void> Work::load() {
  RELAIS_TRY(auto record, read_account(txn_));
  exists_ = record.has_value();
  if (record) account_ = *record;
  switch (context_.door) {
    case Door::store:
      if (account_.state != AccountState::open) return account_has_moved();
      [[fallthrough]];
    case Door::settings: return exists_ ? Result<void>{} : make_default_mailboxes();
    case Door::import:
      if (account_.state != AccountState::importing) return fail(Fault::refused, "the account is not being imported", "STATE");
      return {};
    case Door::states: return {};
  }
  return {};
}

void Work::set_state(AccountState state) {
  account_.state = state;
  account_dirty_ = true;
}

// An account has its usual folders from its first touch on, subscribed, so that every client agrees on where sent mail goes (RFC 6154 §1).
Result<void> Work::make_default_mailboxes() {
  account_dirty_ = true;
  for (const auto& box : kDefaultMailboxes) {
    RELAIS_TRY([[maybe_unused]] auto* made, create(box.name, box.special_use, std::nullopt));
    RELAIS_TRY_VOID(txn_.put(subscribed_key(box.name), box.name));
  }
  return {};
}

Result<void> Work::save() {
  for (auto& box : boxes_) {
    RELAIS_TRY_VOID(write_tail(*box));
    RELAIS_TRY_VOID(write_group(*box));
    if (!box->dirty) continue;
    auto& record = box->record;
    if (context_.recent != nullptr) record.recent_from = context_.recent->recent_from(context_.account, box->id, record.recent_from);
    RELAIS_TRY_VOID(txn_.put(mailbox_key(box->id), encode(record)));
    box->dirty = false;
  }
  if (account_dirty_) RELAIS_TRY_VOID(txn_.put(account_key(), encode(account_)));
  for (const auto& box : boxes_) {
    if (box->changed) txn_.publish({context_.account, box->id, box->record.highest_mod_seq});
  }
  return {};
}

ModSeq Work::mod_seq() {
  if (!mod_seq_) {
    mod_seq_ = ++account_.mod_seq;
    account_dirty_ = true;
  }
  return *mod_seq_;
}

ModSeq Work::touch(Box& box) {
  const auto now = mod_seq();
  raise_mod_seq(box, now);
  return now;
}

void Work::raise_mod_seq(Box& box, ModSeq mod_seq) {
  box.record.highest_mod_seq = std::max(box.record.highest_mod_seq, mod_seq);
  if (mod_seq > account_.mod_seq) {
    account_.mod_seq = mod_seq;
    account_dirty_ = true;
  }
  box.dirty = true;
  box.changed = true;
}

Result<Box*> Work::adopt(MailboxId id, std::string_view encoded) {
  RELAIS_TRY(auto record, decode_mailbox(encoded));
  auto box = std::make_unique<Box>();
  box->id = id;
  box->record = std::move(record);
  return boxes_.emplace_back(std::move(box)).get();
}

Result<Box*> Work::find(MailboxId id) {
  for (const auto& box : boxes_) {
    if (box->id == id) return box.get();
  }
  RELAIS_TRY(const auto octets, txn_.get(mailbox_key(id)));
  if (!octets) return nullptr;
  return adopt(id, *octets);
}

Result<Box*> Work::find(std::string_view name) {
  RELAIS_TRY(const auto id, read_name(txn_, name));
  if (!id) return nullptr;
  RELAIS_TRY(auto* box, find(*id));
  if (box == nullptr) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "name without mailbox");
  return box;
}

Result<Box*> Work::get(MailboxId id) {
  RELAIS_TRY(auto* box, find(id));
  if (box == nullptr) return no_such_mailbox();
  return box;
}

Result<std::vector<std::pair<MailboxId, MailboxRecord>>> Work::all() const { return read_mailboxes(txn_); }

// RFC 9051 §2.3.1.1: a name that is used again must get a larger UIDVALIDITY. Here none is ever used twice in an account.
std::uint32_t Work::new_uid_validity() {
  const auto clock = context_.now > 0 && context_.now < kMaxTrackedValidity ? static_cast<std::uint32_t>(context_.now) : 1;
  account_.last_uid_validity = std::max(account_.last_uid_validity + 1, clock);
  account_dirty_ = true;
  return account_.last_uid_validity;
}

void Work::note_uid_validity(std::uint32_t dictated) {
  if (dictated >= kMaxTrackedValidity || dictated <= account_.last_uid_validity) return;
  account_.last_uid_validity = dictated;
  account_dirty_ = true;
}

Result<Box*> Work::create(std::string_view name, std::uint8_t special_use, std::optional<std::uint32_t> uid_validity) {
  RELAIS_TRY_VOID(make_parents(name, true));
  return create(NewMailbox{.name = name, .special_use = special_use, .uid_validity = uid_validity});
}

void Work::reserve_id(MailboxId id) {
  account_.next_mailbox = std::max(account_.next_mailbox, number(id) + 1);
  account_dirty_ = true;
}

// RFC 9051 §6.3.4: superior names that do not exist are created.
Result<void> Work::make_parents(std::string_view name, bool selectable) {
  const auto parent = parent_of(name);
  if (parent.empty()) return {};
  RELAIS_TRY(const auto there, read_name(txn_, parent));
  if (there) return {};
  RELAIS_TRY_VOID(make_parents(parent, selectable));
  RELAIS_TRY([[maybe_unused]] auto* made, create(NewMailbox{.name = parent, .selectable = selectable}));
  return {};
}

Result<Box*> Work::create(const NewMailbox& mailbox) {
  const auto id = mailbox.id ? number(*mailbox.id) : account_.next_mailbox;
  if (account_.mailboxes >= kMaxMailboxes || id == UINT32_MAX) return fail(Fault::refused, "too many mailboxes", "LIMIT");
  ++account_.mailboxes;
  reserve_id(MailboxId{id});
  auto box = std::make_unique<Box>();
  box->id = MailboxId{id};
  box->record.name = mailbox.name;
  box->record.special_use = mailbox.special_use;
  box->record.selectable = mailbox.selectable;
  box->record.uid_validity = mailbox.uid_validity ? *mailbox.uid_validity : new_uid_validity();
  if (mailbox.uid_validity) note_uid_validity(*mailbox.uid_validity);
  box->dirty = true;
  account_dirty_ = true;
  RELAIS_TRY_VOID(txn_.put(name_key(mailbox.name), encode_id(box->id)));
  // Readers of the Txn, all() among them, shall see it at once.
  RELAIS_TRY_VOID(txn_.put(mailbox_key(box->id), encode(box->record)));
  return boxes_.emplace_back(std::move(box)).get();
}

Result<Box*> Work::create_selectable(Box* there, const std::string& name, std::uint8_t special_use, std::optional<std::uint32_t> uid_validity) {
  if (there != nullptr) RELAIS_TRY_VOID(bury(*there));
  return create(name, special_use, uid_validity);
}

Result<void> Work::rename(Box& box, std::string_view name) {
  RELAIS_TRY_VOID(txn_.erase(name_key(box.record.name)));
  RELAIS_TRY_VOID(txn_.put(name_key(name), encode_id(box.id)));
  box.record.name = name;
  box.dirty = true;
  return {};
}

Result<void> Work::bury(Box& box) {
  RELAIS_TRY_VOID(write_tail(box));
  RELAIS_TRY_VOID(write_group(box));
  RELAIS_TRY_VOID(txn_.erase(name_key(box.record.name)));
  RELAIS_TRY_VOID(txn_.erase(mailbox_key(box.id)));
  bool holds = box.record.uid_next > 1;  // or else what attributes it has must be cleared away too
  auto attribute = [&holds](const KeyValue&) {
    holds = true;
    return false;
  };
  if (!holds) RELAIS_TRY_VOID(txn_.range(attribute_key(box.id, {}), mailbox_end(kAttributeFamily, box.id), std::ref(attribute)));
  if (holds) RELAIS_TRY_VOID(txn_.put(dead_key(box.id), {}));
  account_.mailboxes -= std::min(account_.mailboxes, 1U);
  account_.octets -= std::min(account_.octets, box.record.octets);
  account_.messages -= std::min<std::uint64_t>(account_.messages, box.record.messages);
  account_dirty_ = true;
  txn_.publish({context_.account, box.id, mod_seq()});
  std::erase_if(boxes_, [&](const auto& b) { return b.get() == &box; });
  return {};
}

Result<void> Work::check_quota(std::uint64_t octets, std::uint64_t messages) const {
  const bool too_large = account_.octets_limit != 0 && account_.octets + octets > account_.octets_limit;
  const bool too_many = account_.messages_limit != 0 && account_.messages + messages > account_.messages_limit;
  if (too_large || too_many) return fail(Fault::refused, "mailbox is full", "OVERQUOTA");
  return {};
}

Result<void> Work::set_limits(std::uint64_t octets, std::uint64_t messages) {
  account_.octets_limit = octets;
  account_.messages_limit = messages;
  account_dirty_ = true;
  return {};
}

Result<void> Work::raise_counters(MailboxId id, Uid uid_next, ModSeq highest_mod_seq) {
  RELAIS_TRY(auto* box, get(id));
  if (uid_next > box->record.uid_next) {
    box->record.uid_next = uid_next;
    box->dirty = true;
    box->changed = true;
  }
  if (highest_mod_seq > box->record.highest_mod_seq && highest_mod_seq <= kMaxDictatedModSeq) raise_mod_seq(*box, highest_mod_seq);
  return {};
}

Result<FlagBits> Work::used_keywords(const Box& box) const {
  FlagBits used = 0;
  RELAIS_TRY_VOID(walk_records(txn_, box.id, every_uid(), 1, kEverything, [&](const HotRecord& r) {
    used |= r.flags;
    return true;
  }));
  return used;
}

Result<FlagBits> Work::keyword_bits(Box& box, const std::vector<std::string>& keywords, bool add) {
  auto& known = box.record.keywords;
  FlagBits bits = 0;
  for (const auto& keyword : keywords) {
    // Keywords are case-insensitive; the spelling that came first stays.
    auto it = std::ranges::find_if(known, [&](const std::string& k) { return iequals(k, keyword); });
    if (it == known.end()) {
      if (!add) continue;
      it = std::ranges::find(known, std::string{});
      if (it == known.end() && known.size() < kMaxKeywords) it = known.emplace(known.end());
      if (it == known.end()) {  // full: take back those that no message carries any more
        RELAIS_TRY_VOID(write_tail(box));
        RELAIS_TRY(const auto used, used_keywords(box));
        for (std::size_t i = 0; i < known.size(); ++i) {
          const auto bit = FlagBits{1} << (kFirstKeyword + i);
          if (((used | bits) & bit) == 0) known[i].clear();
        }
        it = std::ranges::find(known, std::string{});
        if (it == known.end()) return fail(Fault::refused, "too many different keywords in this mailbox", "LIMIT");
      }
      *it = keyword;
      box.dirty = true;
    }
    bits |= FlagBits{1} << (kFirstKeyword + static_cast<unsigned>(it - known.begin()));
  }
  return bits;
}

}  // namespace relais::storage::model
