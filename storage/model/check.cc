// The consistency check of the mailbox model.
#include "storage/model/check.h"

#include "base/encode.h"
#include "storage/model/attributes.h"
#include "storage/model/chunk.h"
#include "storage/model/keys.h"
#include "storage/model/names.h"
#include "storage/model/records.h"
#include "storage/model/walk.h"
#include "storage/model/work.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace relais::storage {
namespace {

using namespace model;  // NOLINT: this file is about nothing else

constexpr std::size_t kMaxProblems = 1'000;

// One mailbox while its keys go by. Families come in key order: records, dead, groups, chunks, messages, names, …, tombstones, header fields.
struct MailboxCheck {
  MailboxRecord record;
  bool named = false;
  std::uint64_t messages = 0, unseen = 0, deleted = 0, octets = 0;
  std::uint32_t tombstones = 0;
  Uid last_uid = 0;
  ModSeq highest = 0;
  std::vector<GroupSpan> groups;       // what they ought to hold
  std::vector<GroupRecord> found;      // what their chunks hold
  std::vector<NumberRange> uids;       // of hot records
  std::size_t next_range = 0;          // message records follow along
  Uid next_uid = 0;
  std::set<Uid> headers_apart;
};

class Checker {
 public:
  Result<ModelReport> run(const Engine& engine) {
    RELAIS_TRY(const auto view, engine.view());
    RELAIS_TRY_VOID(view->for_each_key([&](AccountId account, const KeyValue& entry) {
      if (first_ || account != account_) {
        finish_account();
        start_account(account);
      }
      ++report_.keys;
      visit(entry);
      return true;
    }));
    finish_account();
    RELAIS_TRY_VOID(check_blobs(*view));
    return std::move(report_);
  }

 private:
  void problem(const std::string& what) {
    if (report_.problems.size() >= kMaxProblems) return;
    report_.problems.push_back("account " + std::to_string(static_cast<std::uint64_t>(account_)) + ": " + what);
  }
  static std::string name_of(MailboxId id) { return "mailbox " + std::to_string(number(id)); }
  static std::string name_of(MailboxId id, Uid uid) { return name_of(id) + " UID " + std::to_string(uid); }

  void start_account(AccountId account) {
    first_ = false;
    account_ = account;
    have_record_ = false;
    record_ = {};
    mailboxes_.clear();
    dead_.clear();
    names_.clear();
  }

  void visit(const KeyValue& entry) {
    const auto id = mailbox_of(entry.key).value_or(MailboxId{});
    switch (entry.key.front()) {
      case kAccountFamily: return visit_account(entry.value);
      case kMailboxFamily: return visit_mailbox(id, entry.value);
      case kDeadFamily: dead_.insert(id); return;
      case kGroupFamily: return visit_group(id, entry);
      case kChunkFamily: return visit_chunk(id, entry);
      case kMessageFamily: return visit_message(id, entry);
      case kNameFamily: return visit_name(entry);
      case kOnceFamily:
        if (!decode_append_result(entry.value)) problem("delivery record does not decode");
        return;
      case kSubscribedFamily:
        if (subscribed_key(entry.value) != entry.key) problem("subscription lies under a wrong key");
        return;
      case kAttributeFamily: return visit_attribute(id, entry);
      case kTombstoneFamily: return visit_tombstone(id, entry);
      case kHeaderFamily: return visit_header(id, entry);
      default: problem("key of no known family");
    }
  }

  void visit_account(std::string_view value) {
    const auto record = decode_account(value);
    if (!record) return problem("account record does not decode");
    record_ = *record;
    have_record_ = true;
    if (record->state == AccountState::importing) ++report_.importing;
    if (record->state == AccountState::sealed) ++report_.sealed;
  }

  void visit_mailbox(MailboxId id, std::string_view value) {
    auto record = decode_mailbox(value);
    if (!record) return problem(name_of(id) + ": record does not decode");
    if (number(id) >= record_.next_mailbox) problem(name_of(id) + ": number was never handed out");
    if (const auto normal = normalize_name(record->name); !normal || *normal != record->name) problem(name_of(id) + ": name is not in its stored form");
    names_.insert(record->name);
    mailboxes_[id].record = std::move(*record);
  }

  // nullptr for a mailbox that is being cleared away, and (with a report) for one that is not there.
  MailboxCheck* find(MailboxId id) {
    const auto it = mailboxes_.find(id);
    if (it != mailboxes_.end()) return &it->second;
    if (!dead_.contains(id)) problem(name_of(id) + ": has messages, tombstones or attributes but no record");
    return nullptr;
  }

  void visit_group(MailboxId id, const KeyValue& entry) {
    auto* mailbox = find(id);
    if (mailbox == nullptr) return;
    const auto first = uid_of(entry.key);
    const auto record = decode_group(entry.value);
    if (!first || !record || record->messages == 0) return problem(name_of(id) + ": group does not decode");
    mailbox->groups.push_back({*first, 0, *record});
    mailbox->found.emplace_back();
  }

  // Adds the chunk to what the group before or at its first UID holds.
  void count_in_group(MailboxId id, MailboxCheck& mailbox, const HotChunk& chunk) {
    const auto behind = std::ranges::upper_bound(mailbox.groups, chunk[0].uid, {}, &GroupSpan::first);
    if (behind == mailbox.groups.begin()) return problem(name_of(id) + ": chunk belongs to no group");
    if (behind != mailbox.groups.end() && behind->first <= chunk[chunk.count() - 1].uid) problem(name_of(id) + ": chunk lies in two groups");
    auto& found = mailbox.found[static_cast<std::size_t>(behind - mailbox.groups.begin()) - 1];
    found.messages += static_cast<std::uint32_t>(chunk.count());
    found.unseen += chunk.unseen();
    found.deleted += chunk.deleted();
    for (const auto& record : chunk) {
      found.last_uid = record.uid;
      found.max_mod_seq = std::max(found.max_mod_seq, record.mod_seq);
    }
  }

  void check_groups(MailboxId id, const MailboxCheck& mailbox) {
    for (std::size_t i = 0; i < mailbox.groups.size(); ++i) {
      const auto& stored = mailbox.groups[i].record;
      const auto& found = mailbox.found[i];
      // The highest UID and mod-sequence are bounds: expunges leave them.
      if (stored.messages != found.messages || stored.unseen != found.unseen || stored.deleted != found.deleted || stored.last_uid < found.last_uid ||
          stored.max_mod_seq < found.max_mod_seq) {
        problem(name_of(id) + ": a group does not fit its chunks");
      }
    }
  }

  void visit_chunk(MailboxId id, const KeyValue& entry) {
    auto* mailbox = find(id);
    if (mailbox == nullptr) return;
    const auto view = ChunkView::parse(entry.value);
    if (!view) return problem(name_of(id) + ": chunk does not decode");
    const HotChunk chunk(*view);
    std::string again;
    chunk.encode(again);
    if (again != entry.value) problem(name_of(id) + ": header of a chunk does not fit its records");
    if (uid_of(entry.key) != view->first_uid()) problem(name_of(id) + ": chunk lies under a wrong key");
    count_in_group(id, *mailbox, chunk);
    for (const auto& record : chunk) {
      if (record.uid <= mailbox->last_uid) return problem(name_of(id, record.uid) + ": UIDs do not ascend");
      mailbox->last_uid = record.uid;
      mailbox->octets += record.size;
      mailbox->highest = std::max(mailbox->highest, record.mod_seq);
      if (!mailbox->uids.empty() && mailbox->uids.back().last + 1 == record.uid) {
        mailbox->uids.back().last = record.uid;
      } else {
        mailbox->uids.push_back({record.uid, record.uid});
      }
    }
    mailbox->messages += chunk.count();
    mailbox->unseen += chunk.unseen();
    mailbox->deleted += chunk.deleted();
  }

  void visit_message(MailboxId id, const KeyValue& entry) {
    const auto uid = uid_of(entry.key).value_or(0);
    const auto record = decode_message(entry.value);
    if (!record) return problem(name_of(id, uid) + ": message record does not decode");
    blobs_.push_back(record->blob);
    auto* mailbox = find(id);
    if (mailbox == nullptr) return;
    if (record->header_fields_apart) mailbox->headers_apart.insert(uid);
    if (!record->uidl.empty() && uid > mailbox->record.uidl_until) problem(name_of(id, uid) + ": has a UIDL that the mailbox does not know of");
    // Hot records and message records walk in step.
    auto& at = mailbox->next_range;
    while (at < mailbox->uids.size() && uid > mailbox->uids[at].last) {
      missing(id, *mailbox, mailbox->uids[at].last);
      ++at;
      mailbox->next_uid = 0;
    }
    if (at == mailbox->uids.size() || uid < mailbox->uids[at].first) return problem(name_of(id, uid) + ": message record without hot record");
    if (uid > mailbox->uids[at].first) missing(id, *mailbox, uid - 1);
    mailbox->next_uid = uid + 1;
  }

  // Reports hot records of the present range up to `last` that had no message record.
  void missing(MailboxId id, const MailboxCheck& mailbox, Uid last) {
    const auto first = std::max(mailbox.next_uid, mailbox.uids[mailbox.next_range].first);
    for (std::uint64_t uid = first; uid <= last && report_.problems.size() < kMaxProblems; ++uid) {
      problem(name_of(id, static_cast<Uid>(uid)) + ": hot record without message record");
    }
  }

  void visit_name(const KeyValue& entry) {
    Decoder in(entry.value);
    const MailboxId id{in.u32()};
    const auto it = mailboxes_.find(id);
    if (!in.done() || it == mailboxes_.end()) return problem("name without mailbox");
    if (name_key(it->second.record.name) != entry.key) return problem(name_of(id) + ": lies under a wrong name");
    it->second.named = true;
  }

  void visit_attribute(MailboxId id, const KeyValue& entry) {
    if (number(id) != 0 && find(id) == nullptr) return;
    const auto name = attribute_name(entry.key);
    if (name.empty() || name.size() > kMaxAttributeName || !decode_attribute(entry.value)) problem(name_of(id) + ": attribute does not decode");
  }

  void visit_tombstone(MailboxId id, const KeyValue& entry) {
    auto* mailbox = find(id);
    if (mailbox == nullptr) return;
    ++mailbox->tombstones;
    const auto set = decode_set(entry.value);
    if (!set || set->empty() || entry.key.size() != 13) return problem(name_of(id) + ": tombstone does not decode");
    const auto mod_seq = load_big_endian<std::uint64_t>(entry.key.data() + 5);
    if (mod_seq > mailbox->record.highest_mod_seq) problem(name_of(id) + ": tombstone is newer than the mailbox");
    if (set->back() >= mailbox->record.uid_next) problem(name_of(id) + ": tombstone of a UID that was never there");
    for (const auto range : set->ranges()) {
      const auto at = std::ranges::lower_bound(mailbox->uids, range.first, {}, &NumberRange::last);
      if (at != mailbox->uids.end() && at->first <= range.last) return problem(name_of(id) + ": tombstone of a message that is there");
    }
  }

  void visit_header(MailboxId id, const KeyValue& entry) {
    auto* mailbox = find(id);
    if (mailbox == nullptr) return;
    const auto uid = uid_of(entry.key).value_or(0);
    if (mailbox->headers_apart.erase(uid) == 0) problem(name_of(id, uid) + ": header record without message");
  }

  void finish_account() {
    if (first_) return;
    if (!have_record_) problem("has keys but no account record");
    std::uint64_t octets = 0;
    std::uint64_t messages = 0;
    for (auto& [id, mailbox] : mailboxes_) {
      finish_mailbox(id, mailbox);
      octets += mailbox.record.octets;
      messages += mailbox.record.messages;
    }
    if (octets != record_.octets || messages != record_.messages) problem("usage is not the sum of the mailboxes");
    if (mailboxes_.size() != record_.mailboxes) problem("number of mailboxes is wrong");
    // Without any it is an account whose removal has begun.
    if (record_.state == AccountState::open && !mailboxes_.empty() && !names_.contains(kInbox)) problem("has no INBOX");
  }

  void finish_mailbox(MailboxId id, MailboxCheck& mailbox) {
    const auto& record = mailbox.record;
    for (; mailbox.next_range < mailbox.uids.size(); ++mailbox.next_range) {
      missing(id, mailbox, mailbox.uids[mailbox.next_range].last);
      mailbox.next_uid = 0;
    }
    check_groups(id, mailbox);
    if (!mailbox.named) problem(name_of(id) + ": has no name");
    if (const auto parent = parent_of(record.name); !parent.empty() && !names_.contains(parent)) problem(name_of(id) + ": has no parent");
    if (mailbox.messages != record.messages || mailbox.unseen != record.unseen || mailbox.deleted != record.deleted || mailbox.octets != record.octets) {
      problem(name_of(id) + ": counters are wrong");
    }
    if (mailbox.tombstones != record.tombstones) problem(name_of(id) + ": number of tombstones is wrong");
    if (mailbox.last_uid >= record.uid_next) problem(name_of(id) + ": UIDNEXT is too low");
    if (mailbox.highest > record.highest_mod_seq || record.highest_mod_seq > record_.mod_seq) problem(name_of(id) + ": highest mod-sequence is too low");
    if (record.uid_validity == 0) problem(name_of(id) + ": UIDVALIDITY is zero");
    if (!record.selectable && record.messages > 0) problem(name_of(id) + ": not selectable but has messages");
    if (!mailbox.headers_apart.empty()) problem(name_of(id, *mailbox.headers_apart.begin()) + ": header record is missing");
  }

  // Both lists ascend: one walk tells what is missing, too much, or counted wrongly.
  Result<void> check_blobs(const ShardView& view) {
    std::ranges::sort(blobs_);
    std::size_t at = 0;
    const auto blob_problem = [&](BlobId blob, const std::string& what) {
      if (report_.problems.size() < kMaxProblems) report_.problems.push_back("blob " + std::to_string(static_cast<std::uint64_t>(blob)) + ": " + what);
    };
    const auto skip_missing = [&](auto until) {
      for (; at < blobs_.size() && until(blobs_[at]); ++at) blob_problem(blobs_[at], "is named by a message but not there");
    };
    RELAIS_TRY_VOID(view.for_each_blob([&](BlobId blob, std::uint64_t references) {
      ++report_.blobs;
      skip_missing([blob](BlobId named) { return named < blob; });
      std::uint64_t named = 0;
      for (; at < blobs_.size() && blobs_[at] == blob; ++at) ++named;
      if (named != references) blob_problem(blob, "has " + std::to_string(references) + " references, but " + std::to_string(named) + " messages name it");
      return true;
    }));
    skip_missing([](BlobId) { return true; });
    return {};
  }

  ModelReport report_;
  bool first_ = true;
  AccountId account_{};
  bool have_record_ = false;
  AccountRecord record_;
  std::map<MailboxId, MailboxCheck> mailboxes_;
  std::set<MailboxId> dead_;
  std::set<std::string, std::less<>> names_;
  std::vector<BlobId> blobs_;
};

}  // namespace

Result<ModelReport> check_model(const Engine& engine) { return Checker().run(engine); }

}  // namespace relais::storage
