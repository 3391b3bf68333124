// What the index says of every segment, in memory.
#pragma once

#include "storage/engine/index_format.h"

#include <map>
#include <mutex>
#include <optional>

namespace relais::storage {

/// The committed rows of all segments. Changed by the committer after each commit; read by anyone.
class SegmentTable {
 public:
  using Rows = std::map<std::uint32_t, SegmentRow>;
  Rows all() const {
    const std::lock_guard lock(mutex_);
    return rows_;
  }
  std::optional<SegmentRow> row(std::uint32_t segment) const {
    const std::lock_guard lock(mutex_);
    const auto found = rows_.find(segment);
    return found == rows_.end() ? std::nullopt : std::optional(found->second);
  }
  void set(std::uint32_t segment, const SegmentRow& row) {
    const std::lock_guard lock(mutex_);
    rows_.insert_or_assign(segment, row);
  }
  void erase(std::uint32_t segment) {
    const std::lock_guard lock(mutex_);
    rows_.erase(segment);
  }

 private:
  mutable std::mutex mutex_;
  Rows rows_;  // guarded by mutex_
};

}  // namespace relais::storage
