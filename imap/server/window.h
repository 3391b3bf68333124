// PARTIAL: a window of a result (RFC 9394).
#pragma once

#include "base/number_set.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// The members at the positions of the window, counted from 1 at the lowest, or at the highest.
inline NumberSet window_of(const NumberSet& set, const PartialRange& range) {
  const auto count = set.count();
  NumberSet part;
  if (range.first > count) return part;
  const auto last = std::min<std::uint64_t>(range.last, count);
  const auto from = range.from_end ? count - last : range.first - std::uint64_t{1};
  const auto to = range.from_end ? count - range.first : last - 1;
  const auto low = *set.nth(from);
  const auto high = *set.nth(to);
  return set.intersect(NumberSet(NumberRange{low, high}));
}

}  // namespace relais::imap
