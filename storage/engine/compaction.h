// Reclaims the dead octets of segments: copies what lives to the newest segment and removes the file.
#pragma once

#include "base/result.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "storage/engine/committer.h"
#include "storage/engine/index.h"
#include "storage/engine/layers.h"
#include "storage/engine/segment_table.h"
#include "storage/engine/segments.h"

#include <cstdint>
#include <string>
#include <vector>

namespace relais::storage {

/// One run of compaction over the segments that are worth it. One at a time; all references must outlive run().
class Compaction {
 public:
  Compaction(const Index& index, const TableSet& tables, SegmentFolder& folder, const SegmentTable& segments, Committer& committer,
             net::WorkerPool& pool)
      : index_(index), tables_(tables), folder_(folder), segments_(segments), committer_(committer), pool_(pool) {}

  /// As Engine::compact(). A segment with a damaged record is left as it is, and said so in the log.
  net::Task<std::uint64_t> run(double dead_share);

 private:
  struct Batch {
    std::string octets;      // what the moves' records point into
    std::vector<Move> moves;
    std::uint64_t next = 0;  // where the scan goes on
  };

  std::vector<std::uint32_t> victims(double dead_share) const;
  /// @return octets freed
  net::Task<std::uint64_t> compact_segment(std::uint32_t segment);
  /// On a worker: the live records from `offset` on, some megabytes of them.
  Result<Batch> scan(std::uint32_t segment, std::uint64_t offset, std::uint64_t end) const;

  const Index& index_;
  const TableSet& tables_;
  SegmentFolder& folder_;
  const SegmentTable& segments_;
  Committer& committer_;
  net::WorkerPool& pool_;
};

}  // namespace relais::storage
