// The embedded engine: an LMDB index for keys and locations, append-only segment files for blobs, a journal in front of both.
#pragma once

#include "base/result.h"
#include "storage/engine.h"

#include <cstdint>
#include <filesystem>
#include <memory>

namespace relais::net {
class WorkerPool;
}

namespace relais::storage {

class FaultInjector;

struct LmdbOptions {
  std::filesystem::path path;                 ///< made where it does not exist; holds index/, segments/, journal/ and a lock file
  net::WorkerPool* pool = nullptr;            ///< reads what is not cached; must outlive the engine
  std::uint64_t map_size = std::uint64_t{1} << 40;  ///< octets of address space for the index, its upper limit; not memory
  std::uint64_t segment_size = 256ULL << 20;  ///< octets after which the next segment begins
  std::uint64_t journal_size = 16ULL << 20;   ///< octets after which the journal's changes are written to the index; it may take eight times as much
  std::uint64_t min_free = 64ULL << 20;       ///< octets of free disk space below which blobs are refused; at a quarter of it everything is
  std::uint32_t max_readers = 1024;           ///< snapshots at one time
  std::uint32_t max_open_segments = 256;      ///< file descriptors kept open for reading
  std::uint32_t max_group = 1024;             ///< bodies in one commit
  std::uint64_t max_group_octets = 64ULL << 20;  ///< octets of blobs in one commit
  std::shared_ptr<FaultInjector> faults{};    ///< tests only
};

/// Opens or creates a shard. Recovers from any crash: what was acknowledged is there, what was not is gone.
///
/// Order of declaration: io_contexts of callers and the worker pool first, then the engine; its destructor finishes what is in flight.
/// Blocks (disk); call it at start-up.
/// @return Fault::refused, code "INUSE"  another process (or engine of this one) has it open
///         Fault::temporary              no permission, no space, too little address space; detail says which
///         Fault::corrupt                the index cannot be read, or segments of another shard lie in its folder. Damaged or missing
///                                       segments do not keep it from opening: their blobs fail one by one, and check() lists them
Result<std::unique_ptr<Engine>> open_lmdb_engine(LmdbOptions options);

}  // namespace relais::storage
