// Messages whose UID, mod-sequence, flags and dates are dictated.
#include "storage/model/import_messages.h"

#include "storage/model/walk.h"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace relais::storage::model {
namespace {

std::unexpected<Error> cannot(std::string_view why, Uid uid = 0) {
  return fail(Fault::refused, why, "CANNOT", uid == 0 ? std::string() : "UID " + std::to_string(uid));
}

struct There {
  Uid uid = 0;
  std::uint32_t size = 0;
};

// Those of the messages whose UIDs were given before that are there, ascending.
Result<std::vector<There>> find_there(Work& work, const Box& box, std::span<const PlannedMessage> messages) {
  NumberSet passed;
  for (const auto& message : messages) {
    if (*message.uid >= box.record.uid_next) break;
    passed.add(*message.uid);
  }
  std::vector<There> there;
  if (passed.empty()) return there;
  RELAIS_TRY_VOID(walk_records(work.txn(), box.id, passed, 1, kEverything, [&](const HotRecord& record) {
    there.push_back({record.uid, record.size});
    return true;
  }));
  return there;
}

// The EMAILID is a digest of the content.
Result<bool> is_same(Work& work, const Box& box, const There& there, const PlannedMessage& message) {
  if (there.size != message.size) return false;
  RELAIS_TRY(const auto octets, work.txn().get(message_key(box.id, there.uid)));
  if (!octets) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "hot record without message record");
  RELAIS_TRY(const auto stored, decode_message(*octets));
  RELAIS_TRY(const auto wanted, decode_message(message.record));
  return stored.email_id == wanted.email_id;
}

// Flags of dictated states as bits of one mailbox.
class KeywordBits {
 public:
  // All at once: what is added must not be taken for unused while the rest is added.
  Result<void> make(Work& work, Box& box, std::span<const ImposedState> states) {
    std::vector<std::string> names;
    bits_.clear();
    for (const auto& state : states) {
      for (const auto& keyword : state.keywords) {
        if (bits_.try_emplace(keyword, 0).second) names.push_back(keyword);
      }
    }
    RELAIS_TRY([[maybe_unused]] const auto all, work.keyword_bits(box, names, true));
    for (auto& [name, bit] : bits_) {
      RELAIS_TRY(bit, work.keyword_bits(box, {name}, false));
    }
    return {};
  }
  FlagBits of(const ImposedState& state) const {
    FlagBits bits = state.system_flags & kSystemFlags;
    for (const auto& keyword : state.keywords) bits |= bits_.find(keyword)->second;
    return bits;
  }

 private:
  std::map<std::string, FlagBits, std::less<>> bits_;
};

NumberSet uids_of(std::span<const ImposedState> states) {
  NumberSet uids;
  for (const auto& state : states) uids.add(state.uid);
  return uids;
}

// Makes room for keywords that take the place of others: those of the messages that get new ones are forgotten first. What the messages
// had goes to `before`, in the mailbox's new positions; nullopt where a keyword of it has none any more.
using FlagsBefore = std::map<Uid, std::optional<FlagBits>>;
Result<void> make_room(Work& work, Box& box, std::span<const ImposedState> states, KeywordBits& keywords, FlagsBefore& before) {
  const auto old_names = box.record.keywords;
  std::map<Uid, FlagBits> old_flags;
  RELAIS_TRY_VOID(work.edit_chunks(box, uids_of(states), UINT64_MAX, false, [&](HotRecord& record) {
    old_flags[record.uid] = record.flags;
    if ((record.flags & ~kSystemFlags) == 0) return Work::Edit::keep;
    record.flags &= kSystemFlags;
    return Work::Edit::changed;
  }));
  RELAIS_TRY_VOID(keywords.make(work, box, states));
  const auto& names = box.record.keywords;
  for (const auto& [uid, flags] : old_flags) {
    std::optional<FlagBits> now = flags & kSystemFlags;
    for (std::size_t i = 0; i < old_names.size() && now; ++i) {
      if ((flags & FlagBits{1} << (kFirstKeyword + i)) == 0) continue;
      const auto at = std::ranges::find(names, old_names[i]);
      if (at == names.end() || old_names[i].empty()) {
        now.reset();
      } else {
        *now |= FlagBits{1} << (kFirstKeyword + static_cast<unsigned>(at - names.begin()));
      }
    }
    before[uid] = now;
  }
  return {};
}

// A UIDL is part of the message record.
Result<void> impose_uidl(Work& work, Box& box, Uid uid, const std::string& uidl) {
  RELAIS_TRY(const auto octets, work.txn().get(message_key(box.id, uid)));
  if (!octets) return {};
  const std::string stored(*octets);
  RELAIS_TRY(auto record, decode_message(stored));
  if (record.uidl == uidl) return {};
  record.uidl = uidl;
  auto encoded = encode(record);
  if (encoded.size() > kMaxInlineRecord && !record.header_fields.empty()) {
    RELAIS_TRY_VOID(work.txn().put(header_key(box.id, uid), record.header_fields));
    record.header_fields = {};
    record.header_fields_apart = true;
    encoded = encode(record);
  }
  if (!uidl.empty() && uid > box.record.uidl_until) {
    box.record.uidl_until = uid;
    box.dirty = true;
  }
  return work.txn().put(message_key(box.id, uid), encoded);
}

Result<Box*> selectable(Work& work, MailboxId mailbox) {
  RELAIS_TRY(auto* box, work.get(mailbox));
  if (!box->record.selectable) return no_such_mailbox();
  return box;
}

}  // namespace

Result<void> check_mod_seq(ModSeq mod_seq) {
  if (mod_seq > kMaxDictatedModSeq) return cannot("MODSEQ is too large");
  return {};
}

Result<PlannedMessage> plan_import(const ImportedMessage& message, Uid before, std::int64_t now) {
  if (message.uid <= before || message.uid > kMaxUid) return cannot("UIDs do not ascend", message.uid);
  RELAIS_TRY_VOID(check_mod_seq(message.mod_seq));
  AppendMessage append;
  append.message = message.message;
  append.system_flags = message.system_flags;
  append.keywords = message.keywords;
  append.internal_zone = message.internal_zone;
  append.uid = message.uid;
  if (message.mod_seq != 0) append.mod_seq = message.mod_seq;
  append.uidl = message.uidl;
  const auto save_date = message.save_date == 0 ? now : message.save_date;
  return plan_message(append, {.internal_date = message.internal_date, .save_date = save_date});
}

Result<void> append_imported(Work& work, MailboxId mailbox, std::span<const PlannedMessage> messages, std::span<const BlobId> blobs) {
  RELAIS_TRY(auto* box, selectable(work, mailbox));
  RELAIS_TRY(const auto there, find_there(work, *box, messages));
  const auto first_new = box->record.uid_next;
  auto at = there.begin();
  std::string buffer;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& message = messages[i];
    const auto uid = *message.uid;
    if (uid < first_new) {
      while (at != there.end() && at->uid < uid) ++at;
      if (at == there.end() || at->uid != uid) return cannot("UID was given before and its message is gone", uid);
      RELAIS_TRY(const bool same, is_same(work, *box, *at, message));
      if (!same) return cannot("another message has this UID", uid);
      RELAIS_TRY_VOID(work.txn().release_blob(blobs[i]));
      continue;
    }
    box->record.uid_next = uid;
    RELAIS_TRY(const auto keywords, work.keyword_bits(*box, message.keywords, true));
    const HotRecord hot{0, message.size, message.mod_seq ? *message.mod_seq : work.mod_seq(), message.system_flags | keywords};
    buffer = message.record;
    set_blob(buffer, blobs[i]);
    RELAIS_TRY([[maybe_unused]] const auto given, work.append(*box, hot, buffer, message.header_fields_apart));
    box->record.recent_from = box->record.uid_next;  // whoever had the mailbox before has announced them
  }
  return {};
}

Result<void> normalize_states(std::vector<ImposedState>& states) {
  for (const auto& state : states) {
    RELAIS_TRY_VOID(check_keywords(state.keywords));
    RELAIS_TRY_VOID(check_mod_seq(state.mod_seq));
    if (state.uidl) RELAIS_TRY_VOID(check_uidl(*state.uidl));
  }
  if (std::ranges::adjacent_find(states, std::greater_equal{}, &ImposedState::uid) == states.end()) return {};  // the usual case
  std::map<Uid, ImposedState> last;
  for (auto& state : states) {
    const auto uid = state.uid;
    last.insert_or_assign(uid, std::move(state));
  }
  states.clear();
  for (auto& [uid, state] : last) states.push_back(std::move(state));
  return {};
}

Result<void> impose_states(Work& work, MailboxId mailbox, std::span<const ImposedState> states) {
  RELAIS_TRY(auto* box, selectable(work, mailbox));
  KeywordBits keywords;
  FlagsBefore before;
  if (const auto made = keywords.make(work, *box, states); !made) {
    if (made.error().code != "LIMIT") return made;
    RELAIS_TRY_VOID(make_room(work, *box, states, keywords, before));
  }
  auto state = states.begin();
  RELAIS_TRY_VOID(work.edit_chunks(*box, uids_of(states), UINT64_MAX, false, [&](HotRecord& record) {
    while (state->uid < record.uid) ++state;
    const auto flags = keywords.of(*state);
    const auto had = before.find(record.uid);
    const bool other = had == before.end() ? flags != record.flags : flags != had->second;
    const auto mod_seq = state->mod_seq != 0 ? state->mod_seq : other ? work.mod_seq() : record.mod_seq;
    if (flags == record.flags && mod_seq == record.mod_seq) return Work::Edit::keep;
    record.flags = flags;
    record.mod_seq = mod_seq;
    work.raise_mod_seq(*box, mod_seq);
    return Work::Edit::changed;
  }));
  for (const auto& imposed : states) {
    if (imposed.uidl) RELAIS_TRY_VOID(impose_uidl(work, *box, imposed.uid, *imposed.uidl));
  }
  return {};
}

Result<std::uint64_t> expunge_imported(Work& work, MailboxId mailbox, const NumberSet& uids, ModSeq mod_seq, std::uint64_t limit) {
  RELAIS_TRY(auto* box, selectable(work, mailbox));
  NumberSet expunged;
  RELAIS_TRY_VOID(work.edit_chunks(*box, uids, limit, false, [&](HotRecord& record) {
    expunged.add(record.uid);
    return Work::Edit::remove;
  }));
  RELAIS_TRY_VOID(work.erase_messages(*box, expunged, true));
  RELAIS_TRY_VOID(work.add_tombstone(*box, expunged, mod_seq == 0 ? std::nullopt : std::optional(mod_seq)));
  return expunged.count();
}

Result<void> set_imported_counters(Work& work, MailboxId mailbox, const ImportedCounters& counters) {
  RELAIS_TRY(auto* box, selectable(work, mailbox));
  auto& record = box->record;
  if (counters.uid_next > record.uid_next) {
    record.uid_next = record.recent_from = counters.uid_next;
    box->dirty = box->changed = true;
  }
  if (counters.highest_mod_seq > record.highest_mod_seq) work.raise_mod_seq(*box, counters.highest_mod_seq);
  if (counters.tombstone_floor > record.tombstone_floor) {
    record.tombstone_floor = counters.tombstone_floor;
    box->dirty = true;
  }
  return {};
}

}  // namespace relais::storage::model
