// Merging what was changed with what was there before; the same for a body's writes and for tables in memory.
#pragma once

#include "storage/engine.h"
#include "storage/engine/mem_table.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace relais::storage {

/// Walks a range of `base` merged with `upper`, a cursor {valid, key, value, next} that stands on the first change not below `first` and
/// whose keys are the base's. A change hides the base's entry of the same key; a change without value hides it and shows nothing.
template <class Cursor>
Result<void> merged_range(const Reader& base, Cursor upper, std::string_view first, std::string_view last, const Visitor& visit) {
  if (!upper.valid() || upper.key() >= last) return base.range(first, last, visit);
  bool on = true;
  const auto one = [&upper, &on, &visit] {  // copies what it shows: the visitor may change the table that the cursor walks
    const KeyValue entry{upper.key(), upper.value().value_or(std::string_view())};
    const bool shown = upper.value().has_value();
    upper.next();
    if (shown) on = visit(entry);
    return on;
  };
  const auto merge = [&upper, &on, &visit, &one](const KeyValue& entry) {
    while (upper.valid() && upper.key() < entry.key)
      if (!one()) return false;
    if (upper.valid() && upper.key() == entry.key) return one();
    return on = visit(entry);
  };
  RELAIS_TRY_VOID(base.range(first, last, [&merge](const KeyValue& entry) { return merge(entry); }));
  while (on && upper.valid() && upper.key() < last) one();
  return {};
}

/// last_in() of `base` merged with `upper`, which gives find(key) → MemTable::Found and
/// before(bound) → the last changed key below it with its change, or nullopt.
template <class Upper>
Result<std::optional<std::pair<std::string, std::string_view>>> merged_last_in(const Reader& base, const Upper& upper, std::string_view first,
                                                                               std::string_view last) {
  // The newest change that is no erasure …
  std::optional<std::pair<std::string_view, std::string_view>> changed;
  for (auto at = upper.before(last); at && at->first >= first; at = upper.before(at->first)) {
    if (!at->second) continue;
    changed.emplace(at->first, *at->second);
    break;
  }
  // … against the newest entry of the base that no change hides.
  std::string bound(last);
  while (true) {
    RELAIS_TRY(auto found, base.last_in(changed ? changed->first : first, bound));
    if (!found) break;
    const auto hidden = upper.find(found->first);
    if (!hidden.there) return found;
    if (hidden.value) return std::pair(std::move(found->first), *hidden.value);
    bound = std::move(found->first);
  }
  if (!changed) return std::nullopt;
  return std::pair(std::string(changed->first), changed->second);
}

}  // namespace relais::storage
