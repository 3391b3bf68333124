// Opening the platform's shards in this process.
#pragma once

#include "base/clock.h"
#include "net/worker_pool.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/model/sharded_store.h"

#include <filesystem>
#include <memory>

namespace relais::storage {

struct StoreOptions {
  std::filesystem::path path;          ///< of the platform's data: shards lie in path/shards/000, 001, …
  unsigned shards = 1;                 ///< 1 to 1,000; more than there are makes the missing ones
  net::WorkerPool* pool = nullptr;     ///< outlives the store; may be nullptr
  LmdbOptions engine;                  ///< for each shard; its path and pool are set here
  Compression compression = Compression::lz4;  ///< of new messages; what is there stays readable
  const Clock* clock = &system_clock();
};

/// Opens every shard, recovering what a crash left. Blocks: call it at start-up.
/// @return Fault::refused "SHARDS" where there are more shards on disk than asked for: their accounts would be out of reach; else as
///         open_lmdb_engine()
Result<std::unique_ptr<ShardedStore>> open_store(StoreOptions options);

/// How many shards lie below the path; 0 where there are none yet.
Result<unsigned> count_shards(const std::filesystem::path& path);

}  // namespace relais::storage
