// Walks over a mailbox's chunks of hot records, touching only those that can hold wanted UIDs.
#pragma once

#include "base/number_set.h"
#include "storage/engine.h"
#include "storage/model/chunk.h"
#include "storage/model/keys.h"

#include <algorithm>
#include <functional>
#include <span>

namespace relais::storage::model {

/// Steps through a set in ascending order.
class Wanted {
 public:
  explicit Wanted(const NumberSet& set) noexcept : ranges_(set.ranges()) {}
  /// The smallest member not below `uid`; 0 where there is none. Never asked for less than before.
  Uid at_or_after(Uid uid) noexcept {
    while (!ranges_.empty() && ranges_.front().last < uid) ranges_ = ranges_.subspan(1);
    return ranges_.empty() ? 0 : std::max(uid, ranges_.front().first);
  }

 private:
  std::span<const NumberRange> ranges_;
};

/// A wanted UID farther away than this is looked up anew; a nearer one is reached by walking on.
inline constexpr Uid kSeekDistance = 1'024;

/// Calls f(const ChunkView&) for chunks in ascending order, from the one that may hold `want` on. f returns the next wanted UID, above the
/// chunk's last one, or 0 to stop.
template <class F>
Result<void> walk_chunks(const Reader& reader, MailboxId mailbox, Uid want, F&& f) {
  const auto begin = chunk_key(mailbox, 0);
  const auto end = mailbox_end(kChunkFamily, mailbox);
  while (want != 0) {
    std::string from{std::string_view(begin)};
    if (want > 1) {  // a chunk is named after its first UID: the one that may hold `want` starts at or before it
      const auto behind = want == UINT32_MAX ? end : chunk_key(mailbox, want + 1);
      RELAIS_TRY(auto at, reader.last_in(begin, behind));
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
      if (view->last_uid() < want) return true;
      const auto last = view->last_uid();
      want = f(*view);
      seek = want != 0 && want - last > kSeekDistance;
      return want != 0 && !seek;
    };
    RELAIS_TRY_VOID(reader.range(from, end, std::ref(visit)));
    RELAIS_TRY_VOID(std::move(damaged));
    if (!seek) break;
  }
  return {};
}

/// Calls f(const HotRecord&) for each existing message of the set from UID `from` on, ascending; f returns false to stop.
/// @param accept  called with each ChunkView that holds wanted UIDs; false skips it
template <class Accept, class F>
Result<void> walk_records(const Reader& reader, MailboxId mailbox, const NumberSet& uids, Uid from, Accept&& accept, F&& f) {
  Wanted wanted(uids);
  return walk_chunks(reader, mailbox, wanted.at_or_after(std::max<Uid>(from, 1)), [&](const ChunkView& chunk) -> Uid {
    const auto last = chunk.last_uid();
    auto want = wanted.at_or_after(chunk.first_uid());
    // The walk may start in the middle of the set.
    if (want < from) want = wanted.at_or_after(from);
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
  });
}

inline const NumberSet& every_uid() {
  static const NumberSet all(NumberRange{1, UINT32_MAX});
  return all;
}

}  // namespace relais::storage::model
