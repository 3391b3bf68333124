// One transaction's working set: messages, their chunks, and tombstones.
#include "storage/model/work.h"

#include "base/check.h"
#include "storage/model/walk.h"

#include <algorithm>

namespace relais::storage::model {
namespace {

constexpr std::size_t kSliceChunks = 256;  // chunks held in memory at one time while editing
constexpr std::size_t kSmallChunk = 16;    // records at or below which a chunk looks for a neighbour to join
constexpr std::size_t kMergedChunk = 48;   // records that two may have together: room is left for appends

}  // namespace

Result<void> Work::load_tail(Box& box) {
  if (box.tail) return {};
  RELAIS_TRY(const auto last, txn_.last_in(chunk_key(box.id, 0), mailbox_end(kChunkFamily, box.id)));
  box.tail.emplace();
  if (!last) return {};
  RELAIS_TRY(const auto view, ChunkView::parse(last->second));
  if (view.count() == kChunkRecords) return {};
  *box.tail = HotChunk(view);
  box.tail_key = view.first_uid();
  return {};
}

// The tail's octets go to the Txn, and the Box forgets it.
Result<void> Work::write_tail(Box& box) {
  if (!box.tail) return {};
  if (box.tail->count() > 0) {
    box.tail->encode(buffer_);
    RELAIS_TRY_VOID(txn_.put(chunk_key(box.id, box.tail_key), buffer_));
  }
  box.tail.reset();
  return {};
}

// Makes box.group the group that `uid` belongs to, or an empty one named after it where the mailbox has none before it.
Result<void> Work::load_group(Box& box, Uid uid) {
  if (box.group && uid >= box.group->first && uid < box.group->end) return {};
  RELAIS_TRY_VOID(write_group(box));
  const auto begin = group_key(box.id, 0);
  const auto end = mailbox_end(kGroupFamily, box.id);
  RELAIS_TRY(const auto at, txn_.last_in(begin, group_key(box.id, uid + 1)));
  GroupSpan span{uid, std::uint64_t{UINT32_MAX} + 1, {}};
  if (at) {
    RELAIS_TRY(span.record, decode_group(at->second));
    span.first = uid_of(at->first).value_or(0);
  }
  auto next = [&](const KeyValue& entry) {
    span.end = uid_of(entry.key).value_or(0);
    return false;
  };
  RELAIS_TRY_VOID(txn_.range(group_key(box.id, uid + 1), end, std::ref(next)));
  box.group = span;
  return {};
}

Result<void> Work::write_group(Box& box) {
  if (!box.group) return {};
  const auto span = *std::exchange(box.group, std::nullopt);
  if (span.record.messages == 0) return txn_.erase(group_key(box.id, span.first));
  return txn_.put(group_key(box.id, span.first), encode(span.record));
}

Result<Uid> Work::append(Box& box, HotRecord record, std::string_view message_record, std::string_view header_fields_apart) {
  if (box.record.uid_next > kMaxUid) return fail(Fault::refused, "mailbox has no UIDs left", "LIMIT");
  RELAIS_TRY_VOID(load_tail(box));
  record.uid = box.record.uid_next;
  if (box.tail->full()) {
    RELAIS_TRY_VOID(write_tail(box));
    box.tail.emplace();
  }
  RELAIS_TRY_VOID(load_group(box, record.uid));
  if (box.tail->count() == 0) {
    box.tail_key = record.uid;
    if (box.group->record.messages >= context_.group_messages ||
        box.group->record.messages == 0) {  // an empty one was named after an older UID
      RELAIS_TRY_VOID(write_group(box));
      box.group = GroupSpan{record.uid, std::uint64_t{UINT32_MAX} + 1, {}};
    }
  }
  box.tail->push_back(record);
  auto& group = box.group->record;
  group.last_uid = record.uid;
  ++group.messages;
  group.max_mod_seq = std::max(group.max_mod_seq, record.mod_seq);
  if ((record.flags & kSeen) == 0) ++group.unseen;
  if ((record.flags & kDeleted) != 0) ++group.deleted;
  RELAIS_TRY_VOID(txn_.put(message_key(box.id, record.uid), message_record));
  if (!header_fields_apart.empty()) RELAIS_TRY_VOID(txn_.put(header_key(box.id, record.uid), header_fields_apart));

  auto& r = box.record;
  r.uid_next = record.uid + 1;
  if (has_uidl(message_record)) r.uidl_until = record.uid;
  ++r.messages;
  r.octets += record.size;
  if ((record.flags & kSeen) == 0) ++r.unseen;
  if ((record.flags & kDeleted) != 0) ++r.deleted;
  account_.octets += record.size;
  ++account_.messages;
  account_dirty_ = true;
  raise_mod_seq(box, record.mod_seq);
  return record.uid;
}

// Applies the edit to one chunk in memory and writes it. True where it has become small.
Result<bool> Work::edit_chunk(Box& box, LoadedChunk& loaded, Wanted& wanted, std::uint64_t& left,
                              const std::function<Edit(HotRecord&)>& edit) {
  auto& chunk = loaded.chunk;
  const auto count = chunk.count();
  const auto unseen = chunk.unseen();
  const auto deleted = chunk.deleted();
  bool changed = false;
  std::size_t kept = 0;
  std::uint64_t octets_gone = 0;
  auto want = wanted.at_or_after(chunk[0].uid);
  for (std::size_t i = 0; i < count; ++i) {
    auto& record = chunk[i];
    if (want != 0 && want < record.uid) want = wanted.at_or_after(record.uid);
    if (want == record.uid && left > 0) {
      const auto what = edit(record);
      if (what == Edit::remove) {
        octets_gone += record.size;
        --left;
        changed = true;
        continue;
      }
      changed = changed || what == Edit::changed;
    }
    chunk[kept++] = record;
  }
  if (!changed) return false;
  chunk.truncate(kept);

  auto& r = box.record;
  const auto gone = static_cast<std::uint32_t>(count - kept);
  r.messages -= gone;
  r.unseen = r.unseen - unseen + chunk.unseen();
  r.deleted = r.deleted - deleted + chunk.deleted();
  RELAIS_TRY_VOID(load_group(box, loaded.key));
  auto& group = box.group->record;
  group.messages -= gone;
  group.unseen = group.unseen - unseen + chunk.unseen();
  group.deleted = group.deleted - deleted + chunk.deleted();
  for (const auto& record : chunk) group.max_mod_seq = std::max(group.max_mod_seq, record.mod_seq);
  r.octets -= octets_gone;
  account_.messages -= std::min<std::uint64_t>(account_.messages, gone);
  account_.octets -= std::min(account_.octets, octets_gone);
  account_dirty_ = account_dirty_ || gone > 0;
  box.dirty = true;

  // A chunk is named after its first record.
  if (kept == 0 || chunk[0].uid != loaded.key) RELAIS_TRY_VOID(txn_.erase(chunk_key(box.id, loaded.key)));
  if (kept == 0) return false;
  loaded.key = chunk[0].uid;
  chunk.encode(buffer_);
  RELAIS_TRY_VOID(txn_.put(chunk_key(box.id, loaded.key), buffer_));
  return gone > 0 && kept <= kSmallChunk;
}

Result<void> Work::edit_chunks(Box& box, const NumberSet& uids, std::uint64_t limit, bool only_deleted,
                               const std::function<Edit(HotRecord&)>& edit) {
  RELAIS_TRY_VOID(write_tail(box));
  RELAIS_TRY_VOID(write_group(box));
  std::vector<LoadedChunk> slice;
  std::vector<Uid> small;
  Wanted wanted(uids);
  Wanted editing(uids);  // follows behind
  auto want = wanted.at_or_after(1);
  auto left = limit;
  while (want != 0 && left > 0) {
    // A Txn must not be modified while it is walked: load some, then edit them.
    slice.clear();
    Uid next = 0;
    const auto load = [&](const ChunkView& view) -> Uid {
      const auto last = view.last_uid();
      const auto first_wanted = wanted.at_or_after(std::max(view.first_uid(), want));
      const bool skip = only_deleted && view.deleted() == 0;
      if (first_wanted != 0 && first_wanted <= last && !skip) slice.push_back({view.first_uid(), HotChunk(view)});
      next = last == UINT32_MAX || first_wanted == 0 ? 0 : wanted.at_or_after(last + 1);
      return slice.size() < kSliceChunks ? next : 0;
    };
    if (only_deleted) {
      RELAIS_TRY_VOID(walk_groups(txn_, box.id, want, [](const GroupRecord& group) { return group.deleted > 0; }, load));
    } else {
      RELAIS_TRY_VOID(walk_chunks(txn_, box.id, want, load));
    }
    small.clear();
    for (auto& loaded : slice) {
      if (left == 0) break;
      RELAIS_TRY(const auto is_small, edit_chunk(box, loaded, editing, left, edit));
      if (is_small) small.push_back(loaded.key);
    }
    RELAIS_TRY_VOID(merge_small(box, small));
    RELAIS_TRY_VOID(write_group(box));  // the next walk reads it
    if (slice.size() < kSliceChunks) break;
    want = next;
  }
  return {};
}

// Chunks that expunges left nearly empty join the one before or behind in their group, so that scans stay short.
Result<void> Work::merge_small(Box& box, std::span<const Uid> keys) {
  Uid gone = 0;  // joined the one before already
  for (const auto key : keys) {
    if (key == gone) continue;
    RELAIS_TRY(const auto octets, txn_.get(chunk_key(box.id, key)));
    if (!octets) continue;
    RELAIS_TRY(const auto view, ChunkView::parse(*octets));
    HotChunk chunk(view);

    RELAIS_TRY_VOID(load_group(box, key));
    const auto group = *box.group;
    RELAIS_TRY(const auto before, txn_.last_in(chunk_key(box.id, group.first), chunk_key(box.id, key)));
    if (before) {
      RELAIS_TRY(const auto previous, ChunkView::parse(before->second));
      if (previous.count() + chunk.count() <= kMergedChunk) {
        HotChunk joined(previous);
        for (const auto& record : chunk) joined.push_back(record);
        const auto joined_key = previous.first_uid();
        joined.encode(buffer_);
        RELAIS_TRY_VOID(txn_.put(chunk_key(box.id, joined_key), buffer_));
        RELAIS_TRY_VOID(txn_.erase(chunk_key(box.id, key)));
        continue;
      }
    }
    std::optional<HotChunk> next;
    Result<void> damaged;
    auto take_first = [&](const KeyValue& entry) {
      if (auto behind = ChunkView::parse(entry.value)) {
        if (behind->count() + chunk.count() <= kMergedChunk) next.emplace(*behind);
      } else {
        damaged = std::unexpected(std::move(behind).error());
      }
      return false;
    };
    const auto group_end = group.end > UINT32_MAX ? mailbox_end(kChunkFamily, box.id) : chunk_key(box.id, static_cast<Uid>(group.end));
    RELAIS_TRY_VOID(txn_.range(chunk_key(box.id, key + 1), group_end, std::ref(take_first)));
    RELAIS_TRY_VOID(std::move(damaged));
    if (!next) continue;
    gone = (*next)[0].uid;
    for (const auto& record : *next) chunk.push_back(record);
    chunk.encode(buffer_);
    RELAIS_TRY_VOID(txn_.put(chunk_key(box.id, key), buffer_));
    RELAIS_TRY_VOID(txn_.erase(chunk_key(box.id, gone)));
  }
  return {};
}

Result<void> Work::erase_messages(Box& box, const NumberSet& uids, bool release_blobs) {
  Result<void> failed;
  for (const auto range : uids.ranges()) {
    for (std::uint64_t n = range.first; n <= range.last; ++n) {
      const auto uid = static_cast<Uid>(n);
      RELAIS_TRY(const auto octets, txn_.get(message_key(box.id, uid)));
      if (!octets) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "hot record without message record");
      RELAIS_TRY(const auto record, decode_message(*octets));
      const auto blob = record.blob;
      const bool apart = record.header_fields_apart;
      if (release_blobs) RELAIS_TRY_VOID(txn_.release_blob(blob));
      RELAIS_TRY_VOID(txn_.erase(message_key(box.id, uid)));
      if (apart) RELAIS_TRY_VOID(txn_.erase(header_key(box.id, uid)));
    }
  }
  return {};
}

Result<void> Work::add_tombstone(Box& box, const NumberSet& expunged, std::optional<ModSeq> mod_seq) {
  if (expunged.empty()) return {};
  const auto when = mod_seq ? *mod_seq : this->mod_seq();
  raise_mod_seq(box, when);
  if (when <= box.record.tombstone_floor) return {};  // nobody can ask for it
  RELAIS_TRY(const auto there, txn_.get(tombstone_key(box.id, when)));
  if (there) {  // a second expunge of the same body, or one with the same dictated mod-sequence
    RELAIS_TRY(auto all, decode_set(*there));
    all.add(expunged);
    return txn_.put(tombstone_key(box.id, when), encode(all));
  }
  RELAIS_TRY_VOID(txn_.put(tombstone_key(box.id, when), encode(expunged)));
  if (++box.record.tombstones > kMaxTombstones) return drop_old_tombstones(box);
  return {};
}

Result<void> Work::drop_old_tombstones(Box& box) {
  std::vector<std::string> keys;
  auto visit = [&](const KeyValue& entry) {
    keys.emplace_back(entry.key);
    return keys.size() < kDroppedTombstones;
  };
  RELAIS_TRY_VOID(txn_.range(tombstone_key(box.id, 0), mailbox_end(kTombstoneFamily, box.id), std::ref(visit)));
  for (const auto& key : keys) {
    RELAIS_CHECK(key.size() == 13);
    box.record.tombstone_floor = std::max(box.record.tombstone_floor, load_big_endian<std::uint64_t>(key.data() + 5));
    RELAIS_TRY_VOID(txn_.erase(key));
    --box.record.tombstones;
  }
  box.dirty = true;
  return {};
}

Result<Clearing> clear_dead(Txn& txn, std::size_t limit, std::string_view from) {
  std::optional<MailboxId> dead;
  auto first = [&](const KeyValue& entry) {
    dead = mailbox_of(entry.key);
    return false;
  };
  std::vector<std::string> keys;
  std::vector<BlobId> blobs;
  while (limit > 0) {
    dead.reset();
    RELAIS_TRY_VOID(txn.range(family_key(kDeadFamily), family_end(kDeadFamily), std::ref(first)));
    if (!dead) return Clearing{};
    const auto begun = mailbox_of(from) == dead ? from : std::string_view();
    keys.clear();
    blobs.clear();
    Result<void> damaged;
    auto take = [&](const KeyValue& entry) {
      if (keys.size() == limit) return false;
      if (entry.key.front() == kMessageFamily) {
        auto blob = decode_message_blob(entry.value);
        if (!blob) {
          damaged = std::unexpected(std::move(blob).error());
          return false;
        }
        blobs.push_back(*blob);
      }
      keys.emplace_back(entry.key);
      return true;
    };
    for (const char family : {kGroupFamily, kChunkFamily, kMessageFamily, kAttributeFamily, kTombstoneFamily, kHeaderFamily}) {  // in key order
      const auto start = Key(family).u32(number(*dead));
      const auto end = mailbox_end(family, *dead);
      if (begun >= std::string_view(end)) continue;
      RELAIS_TRY_VOID(txn.range(std::max(std::string_view(start), begun), end, std::ref(take)));
      RELAIS_TRY_VOID(std::move(damaged));
    }
    for (const auto blob : blobs) RELAIS_TRY_VOID(txn.release_blob(blob));
    for (const auto& key : keys) RELAIS_TRY_VOID(txn.erase(key));
    if (keys.size() == limit) return Clearing{.more = true, .next = std::move(keys.back())};
    RELAIS_TRY_VOID(txn.erase(dead_key(*dead)));
    limit -= keys.size();
    if (limit > 0) --limit;
  }
  return Clearing{.more = true, .next = {}};
}

Result<Erased> erase_emptied(Txn& txn, std::size_t limit) {
  std::vector<std::string> keys;
  bool in_use = false;
  auto take = [&](const KeyValue& entry) {
    in_use = entry.key.front() == kMailboxFamily || entry.key.front() == kDeadFamily;
    keys.emplace_back(entry.key);
    return !in_use && keys.size() < limit;
  };
  RELAIS_TRY_VOID(txn.range({}, "\xFF", std::ref(take)));
  if (in_use) return Erased::in_use;
  for (const auto& key : keys) RELAIS_TRY_VOID(txn.erase(key));
  return keys.size() == limit ? Erased::some : Erased::all;
}

}  // namespace relais::storage::model
