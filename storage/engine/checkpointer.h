// Writes sealed tables to the index, beside the committer.
#pragma once

#include "base/metrics.h"
#include "base/result.h"
#include "storage/engine/disk_space.h"
#include "storage/engine/faults.h"
#include "storage/engine/index.h"
#include "storage/engine/layers.h"
#include "storage/engine/segments.h"

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace relais::storage {

/// One thread that puts a sealed table's rows into the index in one transaction, after the segments that they name are on disk, and then
/// drops the table and with it the need for its journal. Where the disk is full it tries again every second. Threads: any.
class Checkpointer {
 public:
  struct Job {
    std::shared_ptr<const MemTable> table;
    std::shared_ptr<const SegmentFile> segment;  ///< whose octets may not be on disk yet; may be null
    JournalRow journal;                          ///< what the index says once it has the table
  };

  /// All references must outlive the Checkpointer.
  Checkpointer(Index& index, TableSet& tables, const DiskSpace& space, FaultInjector* faults, const std::string& shard);
  ~Checkpointer();
  Checkpointer(const Checkpointer&) = delete;
  Checkpointer& operator=(const Checkpointer&) = delete;

  /// Only where it is not busy.
  void start(Job job);
  bool busy() const;
  /// STORAGE_FULL while a job waits for room; READ_ONLY once one has failed for good: then nothing is tried until the engine is reopened.
  Result<void> state() const;
  /// Waits until no job is left, or until state() is an error.
  Result<void> wait() const;
  /// Gives up what waits for room; the journal has it. Joins.
  void close();

 private:
  void work();
  Result<void> write(const Job& job);

  Index& index_;
  TableSet& tables_;
  const DiskSpace& space_;
  FaultInjector* const faults_;
  const std::string shard_;
  metrics::Histogram& duration_;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  // guarded by mutex_
  std::optional<Job> job_;
  Result<void> state_{};
  bool closing_ = false;

  std::thread thread_;  // last: it starts when all else is there
};

}  // namespace relais::storage
