// COPY and MOVE.
#include "storage/model/copy.h"

#include "storage/model/walk.h"

#include <bit>
#include <vector>

namespace relais::storage::model {
namespace {

// A message's record and its header fields where they lie apart, as copies that the next put cannot take away.
struct Stored {
  std::string record;
  std::string header_fields_apart;
  BlobId blob{};
};

Result<void> load(Work& work, MailboxId mailbox, Uid uid, Stored& stored) {
  RELAIS_TRY(const auto octets, work.txn().get(message_key(mailbox, uid)));
  if (!octets) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "hot record without message record");
  stored.record = *octets;
  RELAIS_TRY(const auto record, decode_message(stored.record));
  stored.blob = record.blob;
  stored.header_fields_apart.clear();
  if (!record.header_fields_apart) return {};
  RELAIS_TRY(const auto apart, work.txn().get(header_key(mailbox, uid)));
  if (!apart) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "header record is missing");
  stored.header_fields_apart = *apart;
  return {};
}

// Keyword positions differ from mailbox to mailbox.
class FlagMap {
 public:
  Result<void> make(Work& work, Box& from, Box& to, const std::vector<HotRecord>& records) {
    if (from.id == to.id) {
      identity_ = true;
      return {};
    }
    FlagBits used = 0;
    for (const auto& record : records) used |= record.flags;
    std::vector<std::string> names;
    for (std::size_t i = 0; i < from.record.keywords.size(); ++i) {
      const auto bit = FlagBits{1} << (kFirstKeyword + i);
      if ((used & bit) == 0 || from.record.keywords[i].empty()) continue;
      names.push_back(from.record.keywords[i]);
      from_.push_back(bit);
    }
    // All at once: what is added must not be taken for unused while the rest is added.
    RELAIS_TRY([[maybe_unused]] const auto all, work.keyword_bits(to, names, true));
    for (const auto& name : names) {
      RELAIS_TRY(const auto bit, work.keyword_bits(to, {name}, false));
      to_.push_back(bit);
    }
    return {};
  }
  FlagBits operator()(FlagBits flags) const {
    if (identity_) return flags;
    auto mapped = flags & kSystemFlags;
    for (std::size_t i = 0; i < from_.size(); ++i) {
      if ((flags & from_[i]) != 0) mapped |= to_[i];
    }
    return mapped;
  }

 private:
  bool identity_ = false;
  std::vector<FlagBits> from_;
  std::vector<FlagBits> to_;
};

}  // namespace

Result<CopyResult> copy_messages(Work& work, Box& from, const NumberSet& uids, Box& to, bool move, std::uint64_t limit) {
  std::vector<HotRecord> records;
  std::uint64_t octets = 0;
  RELAIS_TRY_VOID(walk_records(work.txn(), from.id, uids, 1, kEverything, [&](const HotRecord& record) {
    records.push_back(record);
    octets += record.size;
    return records.size() < limit;
  }));
  CopyResult result;
  result.mailbox = to.id;
  result.uid_validity = to.record.uid_validity;
  result.highest_mod_seq = from.record.highest_mod_seq;
  if (records.empty()) return result;
  if (!move) RELAIS_TRY_VOID(work.check_quota(octets, records.size()));

  FlagMap map;
  RELAIS_TRY_VOID(map.make(work, from, to, records));
  const auto mod_seq = work.touch(to);
  result.from.reserve(records.size());
  result.to.reserve(records.size());
  Stored stored;
  NumberSet gone;
  for (const auto& record : records) {
    RELAIS_TRY_VOID(load(work, from.id, record.uid, stored));
    set_save_date(stored.record, work.context().now);  // RFC 8514 §3: when it came into this mailbox
    if (!move) {
      RELAIS_TRY_VOID(drop_uidl(stored.record));
      RELAIS_TRY_VOID(work.txn().retain_blob(stored.blob));
    }
    const HotRecord hot{0, record.size, mod_seq, map(record.flags)};
    RELAIS_TRY(const auto uid, work.append(to, hot, stored.record, stored.header_fields_apart));
    result.from.push_back(record.uid);
    result.to.push_back(uid);
    if (move) gone.add(record.uid);
  }
  if (move) {
    RELAIS_TRY_VOID(work.edit_chunks(from, gone, UINT64_MAX, false, [](HotRecord&) { return Work::Edit::remove; }));
    RELAIS_TRY_VOID(work.erase_messages(from, gone, false));
    RELAIS_TRY_VOID(work.add_tombstone(from, gone));
  }
  result.highest_mod_seq = from.record.highest_mod_seq;
  return result;
}

Result<void> check_copy_fits(Work& work, MailboxId from, const NumberSet& uids, const std::string& to) {
  RELAIS_TRY(const auto* target, work.find(to));
  if (target == nullptr || !target->record.selectable) return {};  // copy_messages() has more to say
  std::uint64_t octets = 0;
  std::uint64_t messages = 0;
  RELAIS_TRY_VOID(walk_records(work.txn(), from, uids, 1, kEverything, [&](const HotRecord& record) {
    octets += record.size;
    ++messages;
    return true;
  }));
  return work.check_quota(octets, messages);
}

Result<CopyResult> copy_messages(Work& work, MailboxId from, const NumberSet& uids, const std::string& to, bool move, std::uint64_t limit) {
  RELAIS_TRY(auto* source, work.get(from));
  RELAIS_TRY(auto* target, work.find(to));
  // RFC 9051 §6.4.7: a missing destination is not created, but the client is told that it could.
  if (target == nullptr || !target->record.selectable) return fail(Fault::refused, "no such mailbox", "TRYCREATE");
  return copy_messages(work, *source, uids, *target, move, limit);
}

}  // namespace relais::storage::model
