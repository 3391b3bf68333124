// Walks over a mailbox's chunks of hot records, touching only those that can hold wanted UIDs.
#pragma once

#include "base/number_set.h"
#include "storage/engine.h"
#include "storage/model/chunk.h"
#include "storage/model/keys.h"

#include <algorithm>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace relais::storage::model {

/// Steps through a set in ascending order.
class Wanted {
 public:
  explicit Wanted(const NumberSet& set) noexcept : ranges_(set.ranges()) {}
  /// The smallest member not below `uid`; 0 where there is none. Never asked for less than before.
  Uid at_or_after(Uid uid) noexcept {
    // In doubling steps: most are one range long, but a batch that begins far behind must not step over half a million ranges.
    for (std::size_t step = 1; !ranges_.empty() && ranges_.front().last < uid; step *= 2) {
      const auto part = ranges_.first(std::min(step, ranges_.size()));
      const auto passed = part.back().last < uid
                              ? part.size()
                              : static_cast<std::size_t>(std::ranges::lower_bound(part, uid, {}, &NumberRange::last) - part.begin());
      ranges_ = ranges_.subspan(passed);
    }
    return ranges_.empty() ? 0 : std::max(uid, ranges_.front().first);
  }

 private:
  std::span<const NumberRange> ranges_;
};

/// A wanted UID farther away than this is looked up anew; a nearer one is reached by walking on.
inline constexpr Uid kSeekDistance = 1'024;

/// Calls f(const ChunkView&) for the chunks whose first UID is below `end`, ascending, from the one that may hold `want` on. f returns the
/// next wanted UID, above the chunk's last one, or 0 to stop.
/// @return the next wanted UID behind the last chunk, or 0
template <class F>
Result<Uid> walk_chunks_until(const Reader& reader, MailboxId mailbox, Uid want, std::uint64_t end, F&& f) {
  const auto first_key = chunk_key(mailbox, 0);
  const auto end_key = end > UINT32_MAX ? mailbox_end(kChunkFamily, mailbox) : chunk_key(mailbox, static_cast<Uid>(end));
  while (want != 0 && want < end) {
    std::string from{std::string_view(first_key)};
    if (want > 1) {  // a chunk is named after its first UID: the one that may hold `want` starts at or before it
      const auto behind = want == UINT32_MAX ? mailbox_end(kChunkFamily, mailbox) : chunk_key(mailbox, want + 1);
      RELAIS_TRY(auto at, reader.last_in(first_key, behind));
      if (at) from = std::move(at->first);
    }
    bool seek = false;
    Result<void> damaged;
    auto visit = [&](const KeyValue& entry) {
      auto view = ChunkView::parse(entry.value);
      if (!view) {
        damaged = std::unexpected(std::move(view).error());
        return false;
      }
      const auto last = view->last_uid();
      if (last < want) return true;
      want = f(*view);
      seek = want != 0 && want - last > kSeekDistance;
      return want != 0 && !seek;
    };
    RELAIS_TRY_VOID(reader.range(from, end_key, std::ref(visit)));
    RELAIS_TRY_VOID(std::move(damaged));
    if (!seek) break;
  }
  return want;
}

template <class F>
Result<void> walk_chunks(const Reader& reader, MailboxId mailbox, Uid want, F&& f) {
  RELAIS_TRY([[maybe_unused]] const auto rest, walk_chunks_until(reader, mailbox, want, std::uint64_t{UINT32_MAX} + 1, f));
  return {};
}

/// A group and where it ends.
struct GroupSpan {
  Uid first = 0;
  std::uint64_t end = 0;  ///< first UID of the next group; above every UID for the last one
  GroupRecord record;
};

/// The groups of a mailbox, ascending, from the one that may hold `want` on.
Result<std::vector<GroupSpan>> read_groups(const Reader& reader, MailboxId mailbox, Uid want = 1);

/// As walk_chunks, but looks only into groups for which accept(const GroupRecord&) holds.
template <class Accept, class F>
Result<void> walk_groups(const Reader& reader, MailboxId mailbox, Uid want, Accept&& accept, F&& f) {
  if (want == 0) return {};
  RELAIS_TRY(const auto groups, read_groups(reader, mailbox, want));
  for (std::size_t i = 0; i < groups.size() && want != 0;) {
    if (!accept(groups[i].record)) {
      ++i;
      continue;
    }
    auto behind = i + 1;  // neighbours are walked in one go
    while (behind < groups.size() && accept(groups[behind].record)) ++behind;
    RELAIS_TRY(want, walk_chunks_until(reader, mailbox, std::max(want, groups[i].first), groups[behind - 1].end, f));
    i = behind;
  }
  return {};
}

/// Accepts every group or chunk.
inline constexpr auto kEverything = [](const auto&) { return true; };

/// Calls f(const HotRecord&) for each existing message of the set from UID `from` on, ascending; f returns false to stop.
/// @param accept  called with GroupRecords and ChunkViews; those for which it is false are skipped
template <class Accept, class F>
Result<void> walk_records(const Reader& reader, MailboxId mailbox, const NumberSet& uids, Uid from, Accept&& accept, F&& f) {
  Wanted wanted(uids);
  const auto visit = [&](const ChunkView& chunk) -> Uid {
    const auto last = chunk.last_uid();
    auto want = wanted.at_or_after(std::max(chunk.first_uid(), from));
    if (want != 0 && want <= last && accept(chunk)) {
      auto i = chunk.lower_bound(want);
      while (i < chunk.count()) {
        const auto uid = chunk.uid(i);
        want = wanted.at_or_after(uid);
        if (want == 0) return 0;
        if (want == uid) {
          if (!f(chunk.record(i))) return 0;
          ++i;
        } else {
          do ++i;
          while (i < chunk.count() && chunk.uid(i) < want);
        }
      }
    }
    return last == UINT32_MAX ? 0 : wanted.at_or_after(last + 1);
  };
  const auto want = wanted.at_or_after(std::max<Uid>(from, 1));
  if constexpr (std::is_same_v<std::remove_cvref_t<Accept>, std::remove_cvref_t<decltype(kEverything)>>) {
    return walk_chunks(reader, mailbox, want, visit);
  } else {
    return walk_groups(reader, mailbox, want, accept, visit);
  }
}

/// 1:4294967295.
const NumberSet& every_uid();

}  // namespace relais::storage::model
