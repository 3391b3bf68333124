// The segment files of a shard: opened for reading and kept, appended to by the committer.
#pragma once

#include "base/result.h"
#include "storage/engine/faults.h"
#include "storage/engine/index_format.h"
#include "storage/engine/segment_format.h"

#include <sys/uio.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace relais::storage {

/// An open file, closed with its last owner: readers of a segment that compaction removes meanwhile can finish. Threads: any.
class SegmentFile {
 public:
  SegmentFile(int fd, std::uint32_t number) noexcept : fd_(fd), number_(number) {}
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;
  int fd() const noexcept { return fd_; }
  std::uint32_t number() const noexcept { return number_; }
  /// fdatasync. Blocks. @return READ_ONLY where it fails, or ever failed before: a failure is told to one caller only, and the kernel may
  /// have
  ///         dropped the pages and would call the next try a success
  Result<void> sync(FaultInjector* faults) const;

 private:
  friend class SegmentFolder;
  const int fd_;
  const std::uint32_t number_;
  mutable std::mutex sync_mutex_;
  mutable int sync_error_ = 0;                  // guarded by sync_mutex_
  mutable std::atomic<std::uint64_t> used_{0};  // when it was last asked for, in look-ups
};

/// The folder of a shard's segments. Threads: any.
class SegmentFolder {
 public:
  SegmentFolder(std::filesystem::path path, const ShardUuid& shard, std::uint32_t max_open);
  SegmentFolder(const SegmentFolder&) = delete;
  SegmentFolder& operator=(const SegmentFolder&) = delete;

  /// Open already, or nullptr. Never waits for the disk.
  std::shared_ptr<const SegmentFile> opened(std::uint32_t number) const;
  /// Opens where needed and verifies the file header. Blocks. @return Fault::corrupt where it is missing or another's
  Result<std::shared_ptr<const SegmentFile>> open(std::uint32_t number) const;
  /// Makes an empty one with its header, for appending; both file and folder are synced. Blocks.
  Result<std::shared_ptr<const SegmentFile>> create(std::uint32_t number, FaultInjector* faults);
  /// Opens for appending at `length`, cutting off what lies beyond. Blocks.
  Result<std::shared_ptr<const SegmentFile>> open_for_append(std::uint32_t number, std::uint64_t length);
  /// Writes octets that a journal holds to where they belong, making the file where it is missing. Blocks; not synced.
  /// @return STORAGE_FULL; READ_ONLY where it fails otherwise; Fault::corrupt, and nothing written, where the file is another shard's
  Result<void> restore(std::uint32_t number, std::uint64_t offset, std::string_view record, FaultInjector* faults);
  /// Syncs the file and the folder. Blocks.
  Result<void> sync(std::uint32_t number, FaultInjector* faults);
  /// Removes the file; those who have it open keep reading it. Blocks.
  Result<void> remove(std::uint32_t number);
  /// The numbers of all files here, ascending.
  Result<std::vector<std::uint32_t>> list() const;
  /// False where the file's header names another shard; true also where it has none (a crash right after its creation). Blocks.
  Result<bool> belongs_here(std::uint32_t number) const;
  /// Octets of the file, or nullopt where there is none.
  std::optional<std::uint64_t> file_size(std::uint32_t number) const;

  const std::filesystem::path& path() const noexcept { return path_; }
  /// Reads may be tried without waiting (RWF_NOWAIT); false on file systems that have no such thing.
  bool nowait() const noexcept { return nowait_.load(std::memory_order_relaxed); }
  void no_nowait() const noexcept { nowait_.store(false, std::memory_order_relaxed); }
  /// The file system is memory: no read ever waits.
  bool in_memory() const noexcept { return in_memory_; }

 private:
  std::filesystem::path file(std::uint32_t number) const;
  std::shared_ptr<const SegmentFile> keep(int fd, std::uint32_t number) const;
  void forget(std::uint32_t number) const;

  const std::filesystem::path path_;
  const ShardUuid shard_;
  const std::uint32_t max_open_;
  bool in_memory_ = false;
  mutable std::atomic<bool> nowait_{true};
  mutable std::atomic<std::uint64_t> clock_{0};
  mutable std::shared_mutex mutex_;
  mutable std::unordered_map<std::uint32_t, std::shared_ptr<const SegmentFile>> open_;  // guarded by mutex_
};

/// Appends records to the newest segment. One thread: the committer's.
///
/// A group is: begin(), add() of every record, then flush() or sync(). Where anything fails, or the group is given up, rewind() puts the
/// end back to where begin() found it: nothing that was acknowledged lies beyond.
class SegmentWriter {
 public:
  /// @param segment,length  where the last acknowledged octet lies; no segment yet: 0, 0
  SegmentWriter(SegmentFolder& folder, std::uint64_t segment_size, std::uint32_t segment, std::uint64_t length, FaultInjector* faults);

  void begin();
  /// A place for a record of `pieces`, whose octets must stay valid until flush(). Rolls to a new segment where it would not fit.
  Result<BlobRow> add(std::span<const std::string_view> pieces);
  /// Begins a new segment now, within a group. The one before is synced.
  Result<void> roll();
  /// Everything added is where readers find it; the journal must hold it too, until the segment is synced.
  /// @return STORAGE_FULL, or READ_ONLY for errors after which the disk's state is unknown; rewind() after either
  Result<void> flush();
  /// As flush(), and everything added is on disk.
  Result<void> sync();
  void rewind();

  std::uint32_t segment() const noexcept { return segment_; }
  /// The newest segment's file, for syncing it from another thread; the others are synced. Null before the first.
  const std::shared_ptr<const SegmentFile>& file() const noexcept { return file_; }
  /// Every segment that the group wrote to and how long each is now. After flush() or sync().
  const std::vector<std::pair<std::uint32_t, std::uint64_t>>& touched() const noexcept { return touched_; }

 private:
  Result<void> write();
  Result<void> sync_file();

  SegmentFolder& folder_;
  const std::uint64_t segment_size_;
  FaultInjector* const faults_;
  std::shared_ptr<const SegmentFile> file_;
  std::uint32_t segment_;
  std::uint64_t length_;        // of the segment, including what is pending
  std::vector<iovec> pending_;  // to be written, ending at length_
  std::uint64_t pending_octets_ = 0;
  std::uint32_t mark_segment_ = 0;
  std::uint64_t mark_length_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint64_t>> touched_;
};

}  // namespace relais::storage
