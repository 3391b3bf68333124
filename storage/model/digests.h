// Digests of messages as they lie in a shard.
#pragma once

#include "net/worker_pool.h"
#include "storage/engine.h"
#include "storage/import.h"

#include <optional>
#include <vector>

namespace relais::storage::model {

/// A message that has to be read from the disk.
struct StoredContent {
  Uid uid = 0;
  std::uint32_t size = 0;
  BlobId blob{};
};

struct SomeDigests {
  std::vector<ContentDigest> digests;
  std::optional<StoredContent> to_read;  ///< the one behind the digests, where it is not cached
  Uid next = 0;                          ///< where to go on; 0 at the end
};

/// The messages of `uids` from UID `from` on, a few MB of them. Never waits for the disk; long enough to be run on a worker.
/// Fault::refused NONEXISTENT where the mailbox is gone, Fault::corrupt where a record, a checksum or a size does not hold.
Result<SomeDigests> digest_some(const Engine& engine, AccountId account, MailboxId mailbox, const NumberSet& uids, Uid from);

/// One message, read in pieces. @param pool may be nullptr  @return nullopt where it was expunged meanwhile
net::Task<std::optional<ContentDigest>> digest_waiting(const Engine& engine, net::WorkerPool* pool, StoredContent content);

}  // namespace relais::storage::model
