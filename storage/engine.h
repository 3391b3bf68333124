// What a shard is stored in: per-account ordered keys with serializable transactions, and immutable blobs.
#pragma once

#include "base/result.h"
#include "net/task.h"
#include "storage/types.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage {

/// Names a blob within its shard. Ascending in the order of writing; never reused.
enum class BlobId : std::uint64_t {};

/// A key and its value while a range is walked. Valid until the visitor returns.
struct KeyValue {
  std::string_view key;
  std::string_view value;
};

/// Walks keys in ascending order; return false to stop.
using Visitor = std::function<bool(const KeyValue&)>;

/// Read access to one account's keys. Keys are 1 to 400 octets, compared as unsigned octets; the engine puts the account in front.
class Reader {
 public:
  virtual ~Reader() = default;
  /// The value, or nullopt. The view lives as long as the Snapshot; inside a Txn until its next put, erase, retain or release.
  virtual Result<std::optional<std::string_view>> get(std::string_view key) const = 0;
  /// Visits keys in [first, last), ascending. The visitor must not modify the Txn.
  virtual Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const = 0;
  /// The last key in [first, last), or nullopt: finds the newest entry of an ascending family at the cost of one get.
  virtual Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const = 0;
};

/// One consistent view. Never waits for writers, never blocks them. One thread; keep it for milliseconds, never across a co_await:
/// an old view keeps the engine from reusing space.
class Snapshot : public Reader {
 public:
  /// As Engine::try_read_blob, found through this view: the cheapest way to read the blobs that a range names.
  virtual Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const = 0;
};

/// One consistent view of all accounts and blobs, for checks (do the references in the keys match those of the blobs?). One thread; it may
/// live for minutes, meanwhile the engine cannot reuse space.
class ShardView {
 public:
  virtual ~ShardView() = default;
  /// Ascending by account and key; return false to stop.
  virtual Result<void> for_each_key(const std::function<bool(AccountId account, const KeyValue& entry)>& visit) const = 0;
  /// Ascending by id; return false to stop.
  virtual Result<void> for_each_blob(const std::function<bool(BlobId blob, std::uint64_t references)>& visit) const = 0;
};

/// A transaction in progress. Reads see its own writes.
class Txn : public Reader {
 public:
  virtual Result<void> put(std::string_view key, std::string_view value) = 0;
  virtual Result<void> erase(std::string_view key) = 0;
  /// One more reference to a blob (COPY). Fault::corrupt where it does not exist.
  virtual Result<void> retain_blob(BlobId blob) = 0;
  /// One reference less; at none the blob is dead and its space is reclaimed by compaction. A blob of this very transaction may be released.
  virtual Result<void> release_blob(BlobId blob) = 0;
  /// Hands the event to the engine's listener once this transaction is durable; never if the body fails. A body that runs again publishes anew.
  virtual void publish(const ChangeEvent& event) = 0;
};

/// A blob ready to be stored: independently compressed, checksummed chunks, so that several blobs can share prepared chunks and a range
/// of a large one can be read alone. See storage/blob.h.
class EncodedBlob;

/// Runs on the engine's committer thread, may run again after a conflict or as part of another group: no outside effects but through
/// captured results that every run overwrites. An Error leaves nothing of it behind.
/// `blobs` are the ids given to the blobs passed along, each with one reference, which the body has to store somewhere.
using TxnBody = std::function<Result<void>(Txn& txn, std::span<const BlobId> blobs)>;

struct EngineStats {
  std::uint64_t accounts = 0;
  std::uint64_t keys = 0;
  std::uint64_t blobs = 0;
  std::uint64_t live_octets = 0;    ///< in segments, of blobs that are referenced
  std::uint64_t dead_octets = 0;    ///< in segments, reclaimable
  std::uint64_t index_octets = 0;   ///< key-value data on disk
  std::uint64_t segments = 0;
  std::uint64_t free_octets = 0;    ///< left on the file system
};

/// What a check found; empty problems mean that everything verified.
struct CheckReport {
  std::uint64_t keys = 0;
  std::uint64_t blobs = 0;
  std::uint64_t octets = 0;
  std::vector<std::string> problems;  ///< one line each, at most 1,000
};

/// One shard's storage.
///
/// Threads: any thread may call; coroutines resume on the caller's executor. read() and read_blob() return at once from memory or the page
/// cache (a blob that is not cached is read on a worker).
/// Durability: when transact() returns a value, keys and blobs have been fsynced. Bodies of one engine run one after the other in call
/// order; many waiting ones share one commit.
/// Errors: a body's error comes back unchanged and nothing of that body (and none of its blobs) is kept.
///   Fault::temporary, code "STORAGE_FULL"  disk or map full: nothing was written; the engine goes on reading and accepts writes again
///                     once there is room
///   Fault::temporary, code "READ_ONLY"  a commit or an fsync failed before: what is on disk is unknown, so every write is refused
///                     until the engine is reopened
///   Fault::corrupt    a checksum or a record does not verify
///   Fault::refused, code "NONEXISTENT"  read_blob of a blob that is released and reclaimed
class Engine {
 public:
  virtual ~Engine() = default;
  virtual Result<std::unique_ptr<Snapshot>> read(AccountId account) const = 0;
  virtual net::Task<void> transact(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) = 0;
  /// As transact(), for what no client waits for: it may be held back for a moment, in which others come with whom it shares a sync.
  virtual net::Task<void> transact_along(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) {
    return transact(account, std::move(blobs), std::move(body));
  }
  /// Appends [offset, offset + length) of the blob's decoded octets to `into` (less at the blob's end).
  virtual net::Task<void> read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const = 0;
  /// As read_blob, for a caller that must not suspend: false (and nothing appended) where it would have to wait for the disk.
  virtual Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const = 0;
  /// The blob as it is stored: verified by its checksums, not decoded; to be stored in another engine. All of it is in memory then.
  virtual net::Task<std::shared_ptr<const EncodedBlob>> take_blob(BlobId blob) const = 0;
  /// Who gets what Txn::publish was given. Set once, before the first transact(). Called on the committer thread after the commit is durable
  /// and before its waiters resume, in the order of the bodies; it only posts, never blocks, never calls the engine.
  virtual void listen(std::function<void(const ChangeEvent&)> listener) = 0;
  /// Everything at one instant.
  virtual Result<std::unique_ptr<ShardView>> view() const = 0;
  /// All accounts that have keys here.
  virtual Result<std::vector<AccountId>> accounts() const = 0;
  /// Removes every key of the account and releases nothing else: the caller has released its blobs.
  virtual net::Task<void> erase_account(AccountId account) = 0;
  /// False where a write would be refused now; says why.
  virtual Result<void> writable() const = 0;
  /// Writes what is pending to the index first, so that the counts are of this moment where that is possible. Blocks; run it on a worker.
  virtual Result<EngineStats> stats() const = 0;
  /// Verifies every key page, blob record and checksum. Long; reads only; run it on a worker.
  virtual Result<CheckReport> check() const = 0;
  /// Every blob that has references and how many, ascending, from one consistent view; return false to stop. Where keys must be seen at the
  /// same instant, use view().
  Result<void> blob_references(const std::function<bool(BlobId blob, std::uint64_t references)>& visit) const {
    RELAIS_TRY(const auto all, view());
    return all->for_each_blob(visit);
  }
  /// Rewrites segments whose dead share exceeds `dead_share` (0 to 1) and removes them. Long; serving goes on meanwhile. @return octets freed
  virtual net::Task<std::uint64_t> compact(double dead_share) = 0;
  /// Waits for what is in flight and closes; later writes are refused.
  virtual void close() = 0;
};

}  // namespace relais::storage
