// Views of a mailbox and its changes.
#include "storage/model/read.h"

#include "storage/model/chunk.h"
#include "storage/model/keys.h"
#include "storage/model/walk.h"
#include "storage/model/work.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

namespace relais::storage::model {
namespace {

void add_uids(NumberSet& uids, const ChunkView& chunk) {
  const auto first = chunk.first_uid();
  const auto last = chunk.last_uid();
  if (last - first + 1 == chunk.count()) return uids.add(NumberRange{first, last});
  auto run = NumberRange{first, first};
  for (std::size_t i = 1; i < chunk.count(); ++i) {
    const auto uid = chunk.uid(i);
    if (uid != run.last + 1) {
      uids.add(run);
      run.first = uid;
    }
    run.last = uid;
  }
  uids.add(run);
}

Uid first_unseen(const ChunkView& chunk) {
  for (std::size_t i = 0; i < chunk.count(); ++i) {
    if ((chunk.flags(i) & kSeen) == 0) return chunk.uid(i);
  }
  return 0;
}

Uid behind(const ChunkView& chunk) { return chunk.last_uid() == UINT32_MAX ? 0 : chunk.last_uid() + 1; }

// Solid groups give their UIDs without a look at their chunks.
Result<void> read_uids(const Reader& reader, MailboxId id, NumberSet& uids, Uid* unseen) {
  RELAIS_TRY(const auto groups, read_groups(reader, id));
  for (const auto& group : groups) {
    const bool find_unseen = unseen != nullptr && *unseen == 0 && group.record.unseen > 0;
    const bool solid = group.record.solid(group.first);
    if (solid) uids.add(NumberRange{group.first, group.record.last_uid});
    if (solid && !find_unseen) continue;
    RELAIS_TRY([[maybe_unused]] const auto rest, walk_chunks_until(reader, id, group.first, group.end, [&](const ChunkView& chunk) -> Uid {
                 if (!solid) add_uids(uids, chunk);
                 if (find_unseen && *unseen == 0 && chunk.unseen() > 0) *unseen = first_unseen(chunk);
                 return solid && *unseen != 0 ? 0 : behind(chunk);
               }));
  }
  return {};
}

Result<void> read_vanished(const Reader& reader, MailboxId id, const MailboxRecord& record, ModSeq since, MailboxChanges& changes) {
  if (since < record.tombstone_floor) {
    // Old tombstones are dropped. RFC 7162 §3.2.10.2: then every UID that is not there may be told.
    changes.vanished_unknown = true;
    NumberSet present;
    RELAIS_TRY_VOID(read_uids(reader, id, present, nullptr));
    if (record.uid_next > 1) changes.vanished.add(NumberRange{1, record.uid_next - 1});
    changes.vanished.remove(present);
    return {};
  }
  Result<void> damaged;
  std::vector<NumberRange>
      ranges;  // sorted once: thousands of small sets, in the order of their expunging, would be merged again and again
  auto visit = [&](const KeyValue& entry) {
    const auto set = decode_set(entry.value);
    if (!set) {
      damaged = std::unexpected(set.error());
      return false;
    }
    ranges.insert(ranges.end(), set->ranges().begin(), set->ranges().end());
    return true;
  };
  RELAIS_TRY_VOID(reader.range(tombstone_key(id, since + 1), mailbox_end(kTombstoneFamily, id), std::ref(visit)));
  RELAIS_TRY_VOID(std::move(damaged));
  std::ranges::sort(ranges, {}, &NumberRange::first);
  for (const auto range : ranges) changes.vanished.add(range);
  return {};
}

}  // namespace

Result<MailboxView> read_view(const Reader& reader, MailboxId id, MailboxRecord record) {
  MailboxView view;
  RELAIS_TRY_VOID(read_uids(reader, id, view.uids, &view.first_unseen));
  view.info = to_info(id, std::move(record));
  return view;
}

Result<MailboxChanges> read_changes(const Reader& reader, MailboxId id, ModSeq since, bool with_vanished) {
  MailboxChanges changes;
  RELAIS_TRY(auto record, read_mailbox(reader, id));
  if (!record) {
    changes.exists = false;
    return changes;
  }
  changes.highest_mod_seq = record->highest_mod_seq;
  changes.uid_next = record->uid_next;
  changes.uid_validity = record->uid_validity;
  if (record->highest_mod_seq > since) {
    const auto newer = [since](const GroupRecord& group) { return group.max_mod_seq > since; };
    RELAIS_TRY_VOID(walk_groups(reader, id, 1, newer, [&](const ChunkView& chunk) -> Uid {
      for (std::size_t i = 0; chunk.max_mod_seq() > since && i < chunk.count(); ++i) {
        if (chunk.mod_seq(i) > since) changes.changed.push_back({chunk.uid(i), chunk.flags(i), chunk.mod_seq(i)});
      }
      return behind(chunk);
    }));
    if (with_vanished) RELAIS_TRY_VOID(read_vanished(reader, id, *record, since, changes));
  }
  changes.keywords = std::move(record->keywords);
  return changes;
}

}  // namespace relais::storage::model
