// Where the steps of messages' lives are written to.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "smtp/trace/event.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

namespace relais::smtp {

/// Takes events. Threads: any; add() never waits for a disk.
class TraceLog {
 public:
  virtual ~TraceLog() = default;
  /// An event without a time happens now. What cannot be kept (the buffer is full, the disk too) is dropped and counted
  /// (relais_smtp_trace_dropped_total): mail is never delayed or refused for want of a trace.
  virtual void add(TraceEvent event) = 0;
};

struct TraceOptions {
  std::filesystem::path directory;             ///< made where it is missing
  std::chrono::days retention{30};             ///< files that ended longer ago are removed; 0: none is
  std::size_t max_buffered = 8 * 1024 * 1024;  ///< octets that may wait for the disk
  std::chrono::milliseconds gather{50};        ///< how long a line may wait for company
};

/// The log in files: DIRECTORY/YYYYMMDDHH.log (UTC), one line an event, only ever appended to. Nothing is synced: what the machine's end
/// takes with it is history, not mail. Lines are written by a thread of its own.
class FileTraceLog final : public TraceLog {
 public:
  /// Errors: Fault::temporary where the directory cannot be made.
  static Result<std::unique_ptr<FileTraceLog>> open(TraceOptions options, const Clock& clock = system_clock());
  ~FileTraceLog() override;  ///< writes what is buffered
  FileTraceLog(const FileTraceLog&) = delete;
  FileTraceLog& operator=(const FileTraceLog&) = delete;

  void add(TraceEvent event) override;
  /// What was added before is in its file when this returns, unless the disk takes nothing for 5 seconds. Blocks: not on a loop.
  void flush();
  const std::filesystem::path& directory() const noexcept;

 private:
  struct Impl;
  explicit FileTraceLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Keeps events in memory: for tests.
class MemoryTraceLog final : public TraceLog {
 public:
  void add(TraceEvent event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  std::vector<TraceEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<TraceEvent> events_;  // guarded by mutex_
};

/// Forgets everything.
TraceLog& no_trace();

}  // namespace relais::smtp
