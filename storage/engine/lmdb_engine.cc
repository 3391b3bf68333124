// The embedded engine: opens and recovers a shard, and ties index, segments, committer and compaction together.
#include "storage/engine/lmdb_engine.h"

#include "base/check.h"
#include "base/log.h"
#include "net/worker_pool.h"
#include "storage/blob.h"
#include "storage/engine/blob_reader.h"
#include "storage/engine/check.h"
#include "storage/engine/committer.h"
#include "storage/engine/compaction.h"
#include "storage/engine/disk_space.h"
#include "storage/engine/errors.h"
#include "storage/engine/index.h"
#include "storage/engine/segment_table.h"
#include "storage/engine/segments.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>

namespace relais::storage {
namespace {

/// Held while the engine is open; a killed process loses it.
class LockFile {
 public:
  static Result<LockFile> take(const std::filesystem::path& path) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) return fail(disk_error("open " + path.string(), errno));
    LockFile lock(fd);
    if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        return fail(Fault::refused, "storage is in use by another process", "INUSE", path.string() + " is locked");
      return fail(disk_error("lock " + path.string(), errno));
    }
    return lock;
  }
  LockFile(LockFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  LockFile& operator=(LockFile&&) = delete;
  ~LockFile() {
    if (fd_ >= 0) ::close(fd_);
  }

 private:
  explicit LockFile(int fd) noexcept : fd_(fd) {}
  int fd_;
};

Result<void> sync_path(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(disk_error("open " + path.string(), errno));
  const int rc = ::fsync(fd);
  const int error = errno;
  ::close(fd);
  return rc == 0 ? Result<void>() : fail(disk_error("fsync " + path.string(), error));
}

/// Makes the folder where it is missing, so that it is still there after a power cut.
Result<void> make_folder(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) return {};
  if (path.has_parent_path() && path.parent_path() != path) RELAIS_TRY_VOID(make_folder(path.parent_path()));
  if (!std::filesystem::create_directory(path, error) && error) return fail(disk_error("make " + path.string(), error.value()));
  return sync_path(path.has_parent_path() ? path.parent_path() : ".");
}

class LmdbEngine;

class LmdbSnapshot final : public Snapshot {
 public:
  LmdbSnapshot(const LmdbEngine& engine, Index::ReadTxn txn, AccountId account)
      : engine_(engine), txn_(std::move(txn)), entries_(txn_.entries(account)) {}
  Result<std::optional<std::string_view>> get(std::string_view key) const override { return entries_.get(key); }
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override { return entries_.range(first, last, visit); }
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override {
    return entries_.last_in(first, last);
  }
  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override;

 private:
  const LmdbEngine& engine_;
  const Index::ReadTxn txn_;
  const EntryReader entries_;
};

class LmdbView final : public ShardView {
 public:
  explicit LmdbView(Index::ReadTxn txn) : txn_(std::move(txn)) {}

  Result<void> for_each_key(const std::function<bool(AccountId, const KeyValue&)>& visit) const override {
    Result<void> verified;
    RELAIS_TRY_VOID(txn_.for_each_entry([&](std::string_view key, std::string_view stored) {
      const auto account = account_of(key);
      const auto value = entry_value(key, stored);
      if (!account || !value) {
        verified = value ? fail(damaged("an entry without account")) : fail(value.error());
        return false;
      }
      return visit(*account, KeyValue{key.substr(kAccountSize), *value});
    }));
    return verified;
  }

  Result<void> for_each_blob(const std::function<bool(BlobId, std::uint64_t)>& visit) const override {
    Result<void> decoded;
    RELAIS_TRY_VOID(txn_.for_each_blob(BlobId{0}, [&](BlobId id, const Result<BlobRow>& row) {
      if (!row) decoded = fail(row.error());
      return row && visit(id, row->references);
    }));
    return decoded;
  }

 private:
  const Index::ReadTxn txn_;
};

class LmdbEngine final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(LmdbOptions options);
  ~LmdbEngine() override { LmdbEngine::close(); }
  LmdbEngine(const LmdbEngine&) = delete;
  LmdbEngine& operator=(const LmdbEngine&) = delete;

  Result<std::unique_ptr<Snapshot>> read(AccountId account) const override {
    RELAIS_TRY(auto txn, index_->read());
    return std::make_unique<LmdbSnapshot>(*this, std::move(txn), account);
  }

  net::Task<void> transact(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) override {
    CommitRequest request{.account = account, .blobs = std::move(blobs), .body = std::move(body)};
    co_await committer_->submit(request);
    co_return std::move(request.result);
  }

  net::Task<void> read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    RELAIS_CO_TRY(const bool read, try_read_blob(blob, offset, length, into));
    if (read) co_return Result<void>();
    const auto job = [this, blob, offset, length, &into] { return read_waiting(blob, offset, length, into); };
    co_return co_await options_.pool->run(job);
  }

  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    RELAIS_TRY(const auto row, locate(blob));
    return read_cached(row, blob, offset, length, into);
  }

  /// From the page cache, through a segment that is open already.
  Result<bool> read_cached(const BlobRow& row, BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
    const auto file = folder_->opened(row.segment);
    if (!file) return false;  // opening it could wait for the disk
    return read_record(*folder_, *file, row, blob, offset, length, ReadMode::no_wait, into);
  }

  void listen(std::function<void(const ChangeEvent&)> listener) override { committer_->listen(std::move(listener)); }

  Result<std::unique_ptr<ShardView>> view() const override {
    RELAIS_TRY(auto txn, index_->read());
    return std::make_unique<LmdbView>(std::move(txn));
  }

  Result<std::vector<AccountId>> accounts() const override {
    RELAIS_TRY(const auto txn, index_->read());
    return txn.accounts();
  }

  net::Task<void> erase_account(AccountId account) override {
    constexpr std::size_t kAtOnce = 10'000;  // keys: a large account must not hold up the others
    for (bool more = true; more;) {
      const auto body = [&more](Txn& txn, std::span<const BlobId>) -> Result<void> {
        std::vector<std::string> keys;
        const std::string end(kMaxKey + 1, '\xFF');
        RELAIS_TRY_VOID(txn.range({}, end, [&keys](const KeyValue& entry) { return keys.emplace_back(entry.key), keys.size() < kAtOnce; }));
        for (const auto& key : keys) RELAIS_TRY_VOID(txn.erase(key));
        more = keys.size() == kAtOnce;
        return {};
      };
      RELAIS_CO_TRY_VOID(co_await transact(account, {}, body));
    }
    co_return Result<void>();
  }

  Result<void> writable() const override {
    RELAIS_TRY_VOID(committer_->state());
    return committer_->room(true);
  }

  Result<EngineStats> stats() const override {
    RELAIS_TRY(const auto txn, index_->read());
    RELAIS_TRY(const auto all, txn.accounts());
    EngineStats stats{.accounts = all.size(), .keys = txn.entry_count(), .blobs = txn.blob_count(), .index_octets = index_->octets(), .free_octets = space_.free()};
    for (const auto& [segment, row] : segments_.all()) {
      stats.live_octets += row.live;
      stats.dead_octets += row.dead();
      ++stats.segments;
    }
    return stats;
  }

  Result<CheckReport> check() const override { return check_shard(*index_, *folder_); }

  net::Task<std::uint64_t> compact(double dead_share) override {
    if (compacting_.exchange(true)) co_return fail(Fault::refused, "compaction is running already", "INUSE");
    Compaction compaction(*index_, *folder_, segments_, *committer_, *options_.pool);
    auto freed = co_await compaction.run(dead_share);
    compacting_ = false;
    co_return freed;
  }

  void close() override {
    if (committer_) committer_->close();
  }

 private:
  LmdbEngine(LmdbOptions options, LockFile lock) : options_(std::move(options)), space_(options_.path, options_.min_free), lock_(std::move(lock)) {}

  Result<void> recover();
  Result<void> remove_unknown_files();

  Result<BlobRow> locate(BlobId blob) const {
    RELAIS_TRY(const auto txn, index_->read());
    RELAIS_TRY(const auto row, txn.blob(blob));
    if (!row) return fail(no_blob(blob));
    return *row;
  }

  Result<void> read_waiting(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
    RELAIS_TRY(auto row, locate(blob));
    while (true) {
      auto read = read_from(row, blob, offset, length, into);
      if (read || read.error().fault != Fault::corrupt) return read;
      // Compaction may have moved the blob and removed the file between the look-up and the read.
      RELAIS_TRY(const auto now, locate(blob));
      if (now.same_place(row)) return read;
      row = now;
    }
  }

  Result<void> read_from(const BlobRow& row, BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
    RELAIS_TRY(const auto file, folder_->open(row.segment));
    RELAIS_TRY_VOID(read_record(*folder_, *file, row, blob, offset, length, ReadMode::wait, into));
    return {};
  }

  const LmdbOptions options_;
  const DiskSpace space_;
  const LockFile lock_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<SegmentFolder> folder_;
  SegmentTable segments_;
  std::atomic<bool> compacting_{false};
  std::unique_ptr<Committer> committer_;  // last: its thread uses the others
};

Result<bool> LmdbSnapshot::try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
  RELAIS_TRY(const auto row, txn_.blob(blob));
  if (!row) return fail(no_blob(blob));
  // Where the file is not open (compaction may have removed it since the snapshot), the engine looks the blob up afresh.
  RELAIS_TRY(const bool read, engine_.read_cached(*row, blob, offset, length, into));
  return read;
}

Result<std::unique_ptr<Engine>> LmdbEngine::open(LmdbOptions options) {
  RELAIS_CHECK(options.pool != nullptr);
  RELAIS_TRY_VOID(make_folder(options.path));
  RELAIS_TRY(auto lock, LockFile::take(options.path / "lock"));
  RELAIS_TRY_VOID(make_folder(options.path / "index"));
  RELAIS_TRY_VOID(make_folder(options.path / "segments"));
  std::unique_ptr<LmdbEngine> engine(new LmdbEngine(std::move(options), std::move(lock)));  // NOLINT: the constructor is private
  RELAIS_TRY_VOID(engine->recover());
  return engine;
}

/// What a crash left: a tail beyond the acknowledged length of the newest segment, and files that the index does not know.
Result<void> LmdbEngine::recover() {
  const auto name = options_.path.filename().string();
  RELAIS_TRY(index_, Index::open(options_.path / "index", options_.map_size, options_.max_readers));
  RELAIS_TRY_VOID(sync_path(options_.path / "index"));
  folder_ = std::make_unique<SegmentFolder>(options_.path / "segments", index_->shard(), options_.max_open_segments);

  std::uint64_t next_blob = index_->next_blob_at_open();
  {
    RELAIS_TRY(const auto txn, index_->read());
    RELAIS_TRY_VOID(txn.for_each_segment([this](std::uint32_t segment, const SegmentRow& row) { return segments_.set(segment, row), true; }));
    RELAIS_TRY_VOID(txn.for_each_blob(static_cast<BlobId>(next_blob), [&next_blob](BlobId id, const Result<BlobRow>&) {
      next_blob = static_cast<std::uint64_t>(id) + 1;  // never happens while the two are written together; reusing an id would lose mail
      return true;
    }));
  }
  RELAIS_TRY_VOID(remove_unknown_files());
  const auto rows = segments_.all();
  for (const auto& [segment, row] : rows)
    if (const auto size = folder_->file_size(segment); !size || *size < row.length)
      log::event(log::Level::error, "storage.segment_damaged", {{"shard", name}, {"segment", segment}, {"octets", size.value_or(0)}, {"acknowledged", row.length}});

  std::uint32_t segment = 0;
  std::uint64_t length = 0;
  if (!rows.empty()) {
    segment = rows.rbegin()->first;
    length = rows.rbegin()->second.length;
    if (const auto cut = folder_->open_for_append(segment, length); !cut) {
      if (cut.error().fault != Fault::corrupt) return std::unexpected(cut.error());
      length = options_.segment_size;  // damaged: leave it as it is and begin a new one
    }
  }
  SegmentWriter writer(*folder_, options_.segment_size, segment, length, options_.faults.get());
  const Committer::Limits limits{.min_free = options_.min_free, .max_group = options_.max_group, .max_group_octets = options_.max_group_octets};
  committer_ = std::make_unique<Committer>(*index_, std::move(writer), segments_, space_, limits, next_blob, options_.faults.get(), name);
  return {};
}

/// Segments of a group that was never acknowledged, or that compaction had taken out of the index. Files of another shard are an operator's
/// mistake that must not be answered with deletion.
Result<void> LmdbEngine::remove_unknown_files() {
  RELAIS_TRY(const auto files, folder_->list());
  for (const auto segment : files) {
    if (segments_.row(segment)) continue;
    RELAIS_TRY(const bool ours, folder_->belongs_here(segment));
    if (!ours) return fail(damaged("segment " + std::to_string(segment) + " belongs to another shard"));
    log::event(log::Level::info, "storage.segment_removed", {{"shard", options_.path.filename().string()}, {"segment", segment}});
    RELAIS_TRY_VOID(folder_->remove(segment));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Engine>> open_lmdb_engine(LmdbOptions options) { return LmdbEngine::open(std::move(options)); }

}  // namespace relais::storage
