// Where tests make the disk fail.
#pragma once

#include <cstdint>

namespace relais::storage {

enum class FaultPoint : std::uint8_t {
  segment_create,  ///< before a segment file is made
  segment_write,   ///< before octets are appended to a segment, or restored from the journal
  segment_sync,    ///< in place of fdatasync of a segment that is written to
  journal_write,   ///< before a record is written
  journal_sync,    ///< in place of fdatasync of the journal
  index_commit,    ///< in place of LMDB's commit
};

/// Asked at each FaultPoint. Threads: the committer's and the checkpointer's.
class FaultInjector {
 public:
  virtual ~FaultInjector() = default;
  /// @return 0 to go on, or the errno that the operation shall fail with
  virtual int fail_at(FaultPoint point) = 0;
};

}  // namespace relais::storage
