// The LMDB environment of a shard: accounts' entries, blob locations, segment states.
#pragma once

#include "base/result.h"
#include "storage/engine/index_format.h"
#include "storage/engine/overlay.h"
#include "storage/engine/segment_format.h"

#include <lmdb.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace relais::storage {

/// What an LMDB return code means for the engine: STORAGE_FULL, Fault::corrupt, or Fault::temporary.
Error lmdb_error(std::string_view what, int rc);
/// True where an abandoned transaction would succeed with more room: map, disk or quota full.
bool is_full(int rc) noexcept;

/// A read transaction and the one cursor that is kept open with it.
struct IndexTxn {
  MDB_txn* txn = nullptr;
  MDB_cursor* cursor = nullptr;
  MDB_dbi cursor_db = 0;
  bool cursor_stale = false;  ///< belongs to the transaction's life before its last renewal
  bool cursor_busy = false;
};

/// The rows under one prefix in a transaction. Every entry's checksum is verified. One thread; must not outlive the transaction.
class RowReader final : public Reader {
 public:
  RowReader(IndexTxn& txn, MDB_dbi db, RowPrefix rows) noexcept : txn_(txn), db_(db), rows_(rows) {}
  Result<std::optional<std::string_view>> get(std::string_view key) const override;
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override;
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override;

 private:
  Result<std::string_view> value(std::string_view index_key, std::string_view stored) const;
  IndexTxn& txn_;
  MDB_dbi db_;
  RowPrefix rows_;
};

/// One LMDB environment. Threads: read() any; write() one at a time.
class Index {
 public:
  struct Databases {
    MDB_dbi entries = 0;
    MDB_dbi blobs = 0;
    MDB_dbi segments = 0;
    MDB_dbi meta = 0;
  };

  /// A consistent view; costs some 100 ns, since each thread reuses one transaction.
  class ReadTxn {
   public:
    ReadTxn(const Index& index, IndexTxn* txn) noexcept : index_(&index), txn_(txn) {}
    ReadTxn(ReadTxn&& other) noexcept : index_(other.index_), txn_(std::exchange(other.txn_, nullptr)) {}
    ReadTxn& operator=(ReadTxn&&) = delete;
    ~ReadTxn();
    RowReader rows(const RowPrefix& rows) const noexcept { return {*txn_, index_->database(rows.kind()), rows}; }
    Result<std::vector<AccountId>> accounts() const;
    std::uint64_t entry_count() const noexcept;
    std::uint64_t blob_count() const noexcept;

   private:
    const Index* index_;
    IndexTxn* txn_;
  };

  /// The one transaction that writes; aborted unless committed. Codes are LMDB's, 0 for success: after any other the transaction must be
  /// dropped.
  class WriteTxn {
   public:
    WriteTxn(const Index& index, MDB_txn* txn) noexcept : index_(&index), txn_(txn) {}
    WriteTxn(WriteTxn&& other) noexcept : index_(other.index_), txn_(std::exchange(other.txn_, nullptr)) {}
    WriteTxn& operator=(WriteTxn&&) = delete;
    ~WriteTxn();
    int put(RowKind kind, std::string_view key, std::string_view stored);
    int erase(RowKind kind, std::string_view key);  ///< 0 also where there was none
    int commit();

   private:
    const Index* index_;
    MDB_txn* txn_;
  };

  /// Opens or creates. Blocks.
  static Result<std::unique_ptr<Index>> open(const std::filesystem::path& folder, std::uint64_t map_size, std::uint32_t max_readers);
  ~Index();
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;

  Result<ReadTxn> read() const;
  Result<WriteTxn> write();

  const ShardUuid& shard() const noexcept { return shard_; }
  /// Octets of the data file that are in use or free for reuse.
  std::uint64_t octets() const noexcept;

 private:
  explicit Index(MDB_env* env) noexcept : env_(env) {}
  Result<void> load();
  MDB_dbi database(RowKind kind) const noexcept;
  IndexTxn* take() const;
  void give(IndexTxn* txn) const;

  // constant after open()
  MDB_env* env_;
  Databases dbs_{};
  ShardUuid shard_{};

  // Idle read transactions, one place per thread: taking one is an exchange that no other thread contends for.
  static constexpr std::size_t kPlaces = 256;
  mutable std::array<std::atomic<IndexTxn*>, kPlaces> places_{};
  mutable std::mutex spare_mutex_;
  mutable std::vector<IndexTxn*> spare_;  // guarded by spare_mutex_: those whose place was taken
  mutable std::atomic<std::size_t> spare_count_{0};
  mutable std::atomic<std::size_t> lent_{0};
};

}  // namespace relais::storage
