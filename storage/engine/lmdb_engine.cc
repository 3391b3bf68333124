// The embedded engine: opens and recovers a shard, and ties index, segments, journal, committer and compaction together.
#include "storage/engine/lmdb_engine.h"

#include "base/check.h"
#include "base/encode.h"
#include "base/log.h"
#include "net/worker_pool.h"
#include "storage/blob.h"
#include "storage/engine/blob_reader.h"
#include "storage/engine/check.h"
#include "storage/engine/checkpointer.h"
#include "storage/engine/committer.h"
#include "storage/engine/compaction.h"
#include "storage/engine/disk_space.h"
#include "storage/engine/errors.h"
#include "storage/engine/index.h"
#include "storage/engine/journal.h"
#include "storage/engine/layers.h"
#include "storage/engine/segment_table.h"
#include "storage/engine/segments.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <set>

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
      if (errno == EWOULDBLOCK) return fail(Fault::refused, "storage is in use by another process", "INUSE", path.string() + " is locked");
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
  LmdbSnapshot(const LmdbEngine& engine, View view, AccountId account)
      : engine_(engine), view_(std::move(view)), entries_(view_, RowPrefix(account)) {}
  Result<std::optional<std::string_view>> get(std::string_view key) const override { return entries_.top().get(key); }
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override {
    return entries_.top().range(first, last, visit);
  }
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override {
    return entries_.top().last_in(first, last);
  }
  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override;

 private:
  const LmdbEngine& engine_;
  const View view_;
  const Layers entries_;
};

const std::string kBeyondKeys(kAccountSize + kMaxKey + 1, '\xFF');

class LmdbView final : public ShardView {
 public:
  explicit LmdbView(View view) : view_(std::move(view)) {}

  Result<void> for_each_key(const std::function<bool(AccountId, const KeyValue&)>& visit) const override {
    const Layers entries(view_, RowPrefix::raw_entries());
    Result<void> verified;
    RELAIS_TRY_VOID(entries.top().range({}, kBeyondKeys, [&](const KeyValue& row) {
      const auto account = account_of(row.key);
      const auto value = entry_value(row.key, row.value);
      if (!account || !value) {
        verified = value ? fail(damaged("an entry without account")) : fail(value.error());
        return false;
      }
      return visit(*account, KeyValue{row.key.substr(kAccountSize), *value});
    }));
    return verified;
  }

  Result<void> for_each_blob(const std::function<bool(BlobId, std::uint64_t)>& visit) const override {
    const Layers blobs(view_, RowPrefix(RowKind::blob));
    Result<void> decoded;
    RELAIS_TRY_VOID(blobs.top().range({}, kBeyondKeys, [&](const KeyValue& row) {
      const auto blob = decode_blob_row(row.value);
      if (!blob) decoded = fail(blob.error());
      return blob && visit(static_cast<BlobId>(Decoder(row.key).u64()), blob->references);
    }));
    return decoded;
  }

 private:
  const View view_;
};

class LmdbEngine final : public Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(LmdbOptions options);
  ~LmdbEngine() override { LmdbEngine::close(); }
  LmdbEngine(const LmdbEngine&) = delete;
  LmdbEngine& operator=(const LmdbEngine&) = delete;

  Result<std::unique_ptr<Snapshot>> read(AccountId account) const override {
    RELAIS_TRY(auto view, tables_.view(*index_));
    return std::make_unique<LmdbSnapshot>(*this, std::move(view), account);
  }

  net::Task<void> transact(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) override {
    CommitRequest request{.account = account, .blobs = std::move(blobs), .body = std::move(body)};
    co_await committer_->submit(request);
    co_return std::move(request.result);
  }

  net::Task<void> transact_along(AccountId account, std::vector<std::shared_ptr<const EncodedBlob>> blobs, TxnBody body) override {
    CommitRequest request{.account = account, .blobs = std::move(blobs), .body = std::move(body), .patient = true};
    co_await committer_->submit(request);
    co_return std::move(request.result);
  }

  net::Task<void> read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    RELAIS_CO_TRY(const bool read, try_read_blob(blob, offset, length, into));
    if (read) co_return Result<void>();
    const auto job = [this, blob, offset, length, &into] {
      return read_waiting(blob, [&](const SegmentFile& file, const BlobRow& row) -> Result<void> {
        RELAIS_TRY_VOID(read_record(*folder_, file, row, blob, offset, length, ReadMode::wait, into));
        return {};
      });
    };
    co_return co_await options_.pool->run(job);
  }

  Result<bool> try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const override {
    RELAIS_TRY(const auto row, locate(blob));
    return read_cached(row, blob, offset, length, into);
  }

  net::Task<std::shared_ptr<const EncodedBlob>> take_blob(BlobId blob) const override {
    RELAIS_CO_TRY(const auto row, locate(blob));
    if (const auto file = folder_->opened(row.segment); file && row.length <= kWholeRead) {
      RELAIS_CO_TRY(auto cached, take_record(*folder_, *file, row, blob, ReadMode::no_wait));
      if (cached) co_return std::move(cached);
    }
    const auto job = [this, blob]() -> Result<std::shared_ptr<const EncodedBlob>> {
      std::shared_ptr<const EncodedBlob> taken;
      RELAIS_TRY_VOID(read_waiting(blob, [&](const SegmentFile& file, const BlobRow& place) -> Result<void> {
        RELAIS_TRY(taken, take_record(*folder_, file, place, blob, ReadMode::wait));
        return {};
      }));
      return taken;
    };
    co_return co_await options_.pool->run(job);
  }

  /// From the page cache, through a segment that is open already.
  Result<bool> read_cached(const BlobRow& row, BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
    const auto file = folder_->opened(row.segment);
    if (!file) return false;  // opening it could wait for the disk
    return read_record(*folder_, *file, row, blob, offset, length, ReadMode::no_wait, into);
  }

  void listen(std::function<void(const ChangeEvent&)> listener) override { committer_->listen(std::move(listener)); }

  Result<std::unique_ptr<ShardView>> view() const override {
    RELAIS_TRY(auto view, tables_.view(*index_));
    return std::make_unique<LmdbView>(std::move(view));
  }

  Result<std::vector<AccountId>> accounts() const override;

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
    if (auto index = checkpointer_->state(); !index && index.error().code == "READ_ONLY") return index;
    return committer_->room(true);
  }

  Result<EngineStats> stats() const override {
    if (const auto flushed = committer_->flush(); !flushed)  // the counts are then those of the index alone
      log::event(log::Level::debug, "storage.stats_behind", {{"detail", flushed.error().detail}});
    RELAIS_TRY(const auto all, accounts());
    RELAIS_TRY(const auto txn, index_->read());
    EngineStats stats{.accounts = all.size(),
                      .keys = txn.entry_count(),
                      .blobs = txn.blob_count(),
                      .index_octets = index_->octets(),
                      .free_octets = space_.free()};
    for (const auto& [segment, row] : segments_.all()) {
      stats.live_octets += row.live;
      stats.dead_octets += row.dead();
      ++stats.segments;
    }
    return stats;
  }

  Result<CheckReport> check() const override { return check_shard(*index_, tables_, *folder_); }

  net::Task<std::uint64_t> compact(double dead_share) override {
    if (compacting_.exchange(true)) co_return fail(Fault::refused, "compaction is running already", "INUSE");
    const std::unique_ptr<std::atomic<bool>, decltype([](std::atomic<bool>* running) { running->store(false); })> ends(&compacting_);
    Compaction compaction(*index_, tables_, *folder_, segments_, *committer_, *options_.pool);
    co_return co_await compaction.run(dead_share);
  }

  void close() override {
    if (committer_) committer_->close();
  }

 private:
  LmdbEngine(LmdbOptions options, LockFile lock)
      : options_(std::move(options)), space_(options_.path, options_.min_free), lock_(std::move(lock)) {}

  Result<void> recover();
  Result<std::optional<JournalRow>> journal_row() const;
  Result<void> replay(Journal& journal, const JournalRow& after);
  Result<void> load_segments();
  Result<std::uint64_t> next_blob() const;
  Result<void> remove_unknown_files();

  Result<BlobRow> locate(BlobId blob) const {
    RELAIS_TRY(const auto view, tables_.view(*index_));
    RELAIS_TRY(const auto row, blob_row(view, blob));
    if (!row) return fail(no_blob(blob));
    return *row;
  }

  /// read(const SegmentFile&, const BlobRow&) -> Result<void>, at the blob's place, waiting for the disk.
  template <class Read>
  Result<void> read_waiting(BlobId blob, Read read_at) const {
    RELAIS_TRY(auto row, locate(blob));
    while (true) {
      auto read = read_from(row, read_at);
      if (read || read.error().fault != Fault::corrupt) return read;
      // Compaction may have moved the blob and removed the file between the look-up and the read.
      RELAIS_TRY(const auto now, locate(blob));
      if (now.same_place(row)) return read;
      row = now;
    }
  }

  template <class Read>
  Result<void> read_from(const BlobRow& row, Read& read_at) const {
    RELAIS_TRY(const auto file, folder_->open(row.segment));
    return read_at(*file, row);
  }

  const LmdbOptions options_;
  const DiskSpace space_;
  const LockFile lock_;
  std::unique_ptr<Index> index_;
  std::unique_ptr<SegmentFolder> folder_;
  TableSet tables_;
  SegmentTable segments_;
  std::atomic<bool> compacting_{false};
  std::unique_ptr<Checkpointer> checkpointer_;  // these last: their threads use the others, the committer's the checkpointer too
  std::unique_ptr<Committer> committer_;
};

Result<bool> LmdbSnapshot::try_read_blob(BlobId blob, std::uint64_t offset, std::uint64_t length, std::string& into) const {
  RELAIS_TRY(const auto row, blob_row(view_, blob));
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
  RELAIS_TRY_VOID(make_folder(options.path / "journal"));
  std::unique_ptr<LmdbEngine> engine(new LmdbEngine(std::move(options), std::move(lock)));  // NOLINT: the constructor is private
  RELAIS_TRY_VOID(engine->recover());
  return engine;
}

Result<std::vector<AccountId>> LmdbEngine::accounts() const {
  RELAIS_TRY(const auto view, tables_.view(*index_));
  RELAIS_TRY(const auto indexed, view.txn.accounts());
  // In memory an account may appear, or lose its last key: those are looked at one by one.
  std::map<AccountId, bool> found;
  for (const auto account : indexed) found.emplace(account, true);
  for (const auto& table : {view.tables->sealed, view.tables->active}) {
    if (!table) continue;
    MemTable::Cursor row(*table, view.version);
    const RowPrefix all(RowKind::entry);
    for (row.seek(all.view()); row.valid() && row.key().starts_with(all.view());) {
      const auto account = account_of(row.key().substr(1)).value_or(AccountId{0});
      const Layers entries(view, RowPrefix(account));
      bool any = false;
      RELAIS_TRY_VOID(entries.top().range({}, kBeyondKeys, [&any](const KeyValue&) { return any = true, false; }));
      found.insert_or_assign(account, any);
      row.seek(RowKey(RowPrefix(account), std::string(kMaxKey + 1, '\xFF')).view());
    }
  }
  std::vector<AccountId> out;
  for (const auto& [account, any] : found)
    if (any) out.push_back(account);
  return out;
}

/// What a crash left: groups that only the journal has, a tail beyond the acknowledged length of the newest segment, and files that nothing
/// names. Nothing is written to the index here, so that a shard on a full disk opens and serves reads.
Result<void> LmdbEngine::recover() {
  const auto name = options_.path.filename().string();
  RELAIS_TRY(index_, Index::open(options_.path / "index", options_.map_size, options_.max_readers));
  RELAIS_TRY_VOID(sync_path(options_.path / "index"));
  folder_ = std::make_unique<SegmentFolder>(options_.path / "segments", index_->shard(), options_.max_open_segments);
  RELAIS_TRY(const auto indexed, journal_row());
  RELAIS_TRY(auto journal, Journal::open(options_.path / "journal", index_->shard(), !indexed, options_.faults.get()));
  RELAIS_TRY_VOID(sync_path(options_.path / "journal"));
  checkpointer_ = std::make_unique<Checkpointer>(*index_, tables_, space_, options_.faults.get(), name);
  RELAIS_TRY_VOID(replay(journal, indexed.value_or(JournalRow{})));
  RELAIS_TRY_VOID(remove_unknown_files());
  RELAIS_TRY(const auto first_blob, next_blob());

  const auto rows = segments_.all();
  for (const auto& [segment, row] : rows)
    if (const auto size = folder_->file_size(segment); !size || *size < row.length)
      log::event(log::Level::error, "storage.segment_damaged",
                 {{"shard", name}, {"segment", segment}, {"octets", size.value_or(0)}, {"acknowledged", row.length}});
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
  const Committer::Limits limits{.min_free = options_.min_free,
                                 .max_group = options_.max_group,
                                 .max_group_octets = options_.max_group_octets,
                                 .journal_size = options_.journal_size};
  const Committer::Parts parts{.index = *index_,
                               .tables = tables_,
                               .segments = segments_,
                               .checkpointer = *checkpointer_,
                               .space = space_,
                               .faults = options_.faults.get()};
  committer_ = std::make_unique<Committer>(parts, std::move(writer), std::move(journal), limits, first_blob, name);
  return {};
}

Result<std::optional<JournalRow>> LmdbEngine::journal_row() const {
  RELAIS_TRY(const auto txn, index_->read());
  RELAIS_TRY(const auto stored, txn.rows(RowPrefix(RowKind::meta)).get(kJournalKey));
  if (!stored) return std::nullopt;
  return decode_journal_row(*stored);
}

/// Rows that only the journal has go to the tables in memory, octets to where they belong. The tables end up as they were before the crash:
/// of two epochs the older one is sealed, and written to the index once the octets that its rows name are on disk.
Result<void> LmdbEngine::replay(Journal& journal, const JournalRow& after) {
  std::set<std::uint32_t> restored;
  std::map<std::uint32_t, Error> without_room;  // segments
  std::optional<Checkpointer::Job> sealed;
  tables_.publish(after.version);
  auto epoch = after.epoch;
  std::uint64_t groups = 0;
  RELAIS_TRY_VOID(journal.replay(after, [&](const Journal::Record& record) -> Result<void> {
    if (record.header.epoch != epoch && !tables_.active()->empty())
      sealed.emplace(Checkpointer::Job{
          .table = tables_.seal(), .segment = nullptr, .journal = {.epoch = record.header.epoch, .version = tables_.version()}});
    epoch = record.header.epoch;
    const auto active = tables_.active();
    const JournalVisitor visitor{.row = [&](RowKind kind, std::string_view key, std::optional<std::string_view> stored) -> Result<void> {
                                   active->add(static_cast<char>(kind) + std::string(key), record.header.version, stored);
                                   return {};
                                 },
                                 .octets = [&](std::uint32_t segment, std::uint64_t offset, std::string_view octets) -> Result<void> {
                                   restored.insert(segment);
                                   auto put = folder_->restore(segment, offset, octets, options_.faults.get());
                                   if (put || put.error().code != "STORAGE_FULL") return put;
                                   without_room.emplace(segment, std::move(put).error());
                                   return {};
                                 }};
    RELAIS_TRY_VOID(walk_journal_record(record.rows, record.octets, visitor));
    tables_.publish(record.header.version);
    ++groups;
    return {};
  }));
  RELAIS_TRY_VOID(load_segments());
  for (const auto& [segment, error] : without_room)
    if (segments_.row(segment))
      return std::unexpected(error);  // else compaction had emptied and removed it, maybe because the disk was full
  for (const auto segment : restored)
    if (segments_.row(segment)) RELAIS_TRY_VOID(folder_->sync(segment, options_.faults.get()));
  if (sealed) checkpointer_->start(std::move(*sealed));
  if (groups != 0)
    log::event(log::Level::info, "storage.journal_replayed", {{"shard", options_.path.filename().string()}, {"groups", groups}});
  return {};
}

Result<void> LmdbEngine::load_segments() {
  RELAIS_TRY(const auto view, tables_.view(*index_));
  const Layers rows(view, RowPrefix(RowKind::segment));
  Result<void> decoded;
  RELAIS_TRY_VOID(rows.top().range({}, kBeyondKeys, [&](const KeyValue& entry) {
    const auto row = decode_segment_row(entry.value);
    if (row)
      segments_.set(Decoder(entry.key).u32(), *row);
    else
      decoded = fail(row.error());
    return row.has_value();
  }));
  return decoded;
}

/// The lowest id never given to a blob.
Result<std::uint64_t> LmdbEngine::next_blob() const {
  RELAIS_TRY(const auto view, tables_.view(*index_));
  std::uint64_t next = 1;
  const Layers meta(view, RowPrefix(RowKind::meta));
  RELAIS_TRY(const auto stored, meta.top().get(kNextBlobKey));
  if (stored) next = Decoder(*stored).u64();
  const Layers blobs(view, RowPrefix(RowKind::blob));
  RELAIS_TRY(const auto last, blobs.top().last_in({}, kBeyondKeys));
  // The two are always written together; but an id given twice would lose mail, so it is made sure.
  return last ? std::max(next, Decoder(last->first).u64() + 1) : next;
}

/// Segments of a group that was never acknowledged, or that compaction had emptied. Files of another shard are an operator's
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
