// The engine for tests and simulation: all in memory, with faults on demand.
#pragma once

#include "storage/engine.h"

#include <cstdint>
#include <memory>

namespace relais::storage {

/// What goes wrong with a commit.
enum class MemoryFault : std::uint8_t {
  none,
  full,            ///< STORAGE_FULL: nothing was written, later ones succeed
  sync_failed,     ///< the commit fails and nothing of it is kept; READ_ONLY from then on, until reopen()
  lost_reply,      ///< the commit is kept but its caller gets READ_ONLY, as all later ones, until reopen(): a crash just before the reply
};

/// Same semantics as the embedded engine, no disk.
///
/// Calls complete on the calling thread; where hold() is on, transact() waits for release(), and everything that waits becomes one group.
/// Threads: any. Order of declaration as for the embedded engine: io_contexts of callers first.
class MemoryEngine : public Engine {
 public:
  /// The n-th commit from now (1 is the next) meets `fault`. One fault is armed at a time.
  virtual void arm(MemoryFault fault, std::uint64_t nth) = 0;
  /// How many commits were made, for choosing n.
  virtual std::uint64_t commits() const = 0;
  /// From now on every body runs twice, the first run being thrown away: shows bodies with outside effects.
  virtual void run_bodies_twice(bool on) = 0;
  /// The next reads of this blob find a wrong checksum.
  virtual void corrupt_blob(BlobId blob) = 0;
  /// From now on try_read_blob finds nothing cached, so that callers take the waiting path.
  virtual void forget_cache(bool on) = 0;
  /// Transactions wait from now on …
  virtual void hold() = 0;
  /// … and run as one group now.
  virtual void release() = 0;
  /// Those that wait get READ_ONLY and leave nothing; so does every later one, until reopen().
  virtual void crash() = 0;
  /// Writes are accepted again; all that was committed is there.
  virtual void reopen() = 0;
};

std::unique_ptr<MemoryEngine> make_memory_engine();

}  // namespace relais::storage
