// The journal of a shard: every group of changes, durable with one write and one sync, until the index has it.
#pragma once

#include "base/result.h"
#include "storage/engine/faults.h"
#include "storage/engine/journal_format.h"

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage {

/// Two files that take turns: epoch e is written to file e mod 2, which must be in the index up to epoch e - 2. Files are overwritten in
/// place, never cut: a record of an earlier epoch ends the reading. One thread.
class Journal {
 public:
  /// Blocks. @param shard  goes into every checksum  @param make  the index says nothing of a journal yet: files that are missing are made
  /// @return Fault::corrupt where one is missing otherwise
  static Result<Journal> open(const std::filesystem::path& folder, const ShardUuid& shard, bool make, FaultInjector* faults);
  Journal(Journal&& other) noexcept;
  Journal& operator=(Journal&&) = delete;
  ~Journal();

  /// A record that was acknowledged.
  struct Record {
    JournalHeader header;
    std::string_view rows;
    std::string_view octets;
  };
  /// Visits every record that the index lacks, in order; the next append() goes on behind the last. All of them are on disk then, also one
  /// that was written but not synced when the process was killed. Blocks.
  /// @return Fault::corrupt where a record is damaged that others follow, or where the files go on long after what the index has: what came
  ///         after was acknowledged and must not be dropped silently; READ_ONLY where it cannot be synced; a visitor's error ends the
  ///         replay
  Result<void> replay(const JournalRow& after, const std::function<Result<void>(const Record&)>& visit);

  /// The next records are of this epoch and start its file anew.
  void start(std::uint64_t epoch) noexcept;
  /// Writes and syncs one record. @return STORAGE_FULL: nothing of it counts, the next one takes its place; READ_ONLY: the sync failed
  /// @param ahead  there is room enough to lengthen a file by zeros beyond the record, while it is new: those that follow then overwrite
  /// what
  ///               the file has already, and a sync without a new length and new blocks takes half the time
  Result<void> append(Version version, std::string_view rows, std::span<const std::string_view> octets, bool ahead);

  std::uint64_t epoch() const noexcept { return epoch_; }
  /// Octets of the current epoch.
  std::uint64_t octets() const noexcept { return end_; }

 private:
  Journal(const ShardUuid& shard, FaultInjector* faults) noexcept : shard_(shard), faults_(faults) {}
  void write_ahead(int fd, std::uint64_t end);
  Result<void> check_age(const JournalRow& after) const;
  Result<void> settle(std::uint64_t at);
  Result<void> read_epoch(std::uint64_t epoch, Version& last, std::uint64_t& last_at,
                          const std::function<Result<void>(const Record&)>& visit);
  Result<bool> read_record(int fd, std::uint64_t at, std::uint64_t size, std::string& buffer, JournalHeader& header) const;
  Result<bool> followed(int fd, std::uint64_t at, std::uint64_t size, std::uint64_t epoch, Version last) const;

  const ShardUuid shard_;
  FaultInjector* const faults_;
  std::array<int, 2> fds_{-1, -1};
  std::array<std::uint64_t, 2> sizes_{};  // of the files, at least
  std::uint64_t epoch_ = 0;
  std::uint64_t end_ = 0;
  std::vector<iovec> parts_;
};

}  // namespace relais::storage
