// Opens the LMDB environment; lends read transactions; reads and writes its rows.
#include "storage/engine/index.h"

#include "base/check.h"
#include "base/encode.h"
#include "base/log.h"
#include "base/random.h"
#include "storage/engine/errors.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

namespace relais::storage {
namespace {

constexpr std::uint64_t kSmallestMap = 1ULL << 30;  // octets below which a lack of address space is an error
constexpr std::uint64_t kLeastMap = 1ULL << 20;

MDB_val val(std::string_view octets) noexcept { return {octets.size(), const_cast<char*>(octets.data())}; }
template <std::size_t N>
MDB_val val(const std::array<char, N>& octets) noexcept {
  return {N, const_cast<char*>(octets.data())};
}
std::string_view view(const MDB_val& v) noexcept { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::size_t this_thread_number() noexcept {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t number = next.fetch_add(1, std::memory_order_relaxed);
  return number;
}

/// The transaction's own cursor, or one more where that is in use (a range inside a range).
class Cursor {
 public:
  static Result<Cursor> open(IndexTxn& txn, MDB_dbi db) {
    MDB_cursor* cursor = nullptr;
    if (!txn.cursor_busy && (txn.cursor == nullptr || txn.cursor_db == db)) {
      txn.cursor_db = db;
      if (txn.cursor == nullptr) {
        if (const int rc = mdb_cursor_open(txn.txn, db, &txn.cursor); rc != 0) return fail(lmdb_error("cursor_open", rc));
      } else if (txn.cursor_stale) {
        if (const int rc = mdb_cursor_renew(txn.txn, txn.cursor); rc != 0) return fail(lmdb_error("cursor_renew", rc));
      }
      txn.cursor_stale = false;
      txn.cursor_busy = true;
      return Cursor(&txn, txn.cursor);
    }
    if (const int rc = mdb_cursor_open(txn.txn, db, &cursor); rc != 0) return fail(lmdb_error("cursor_open", rc));
    return Cursor(nullptr, cursor);
  }
  Cursor(Cursor&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)), cursor_(std::exchange(other.cursor_, nullptr)) {}
  Cursor& operator=(Cursor&&) = delete;
  ~Cursor() {
    if (owner_ != nullptr) {
      owner_->cursor_busy = false;
    } else if (cursor_ != nullptr) {
      mdb_cursor_close(cursor_);
    }
  }
  int get(MDB_val& key, MDB_val& value, MDB_cursor_op op) { return mdb_cursor_get(cursor_, &key, &value, op); }

 private:
  Cursor(IndexTxn* owner, MDB_cursor* cursor) noexcept : owner_(owner), cursor_(cursor) {}
  IndexTxn* owner_;
  MDB_cursor* cursor_;
};

void end_read(IndexTxn* txn) {
  if (txn->cursor != nullptr) mdb_cursor_close(txn->cursor);
  mdb_txn_abort(txn->txn);
  delete txn;  // NOLINT: owned by the pool of the Index
}

/// LMDB writes to its lock file through a mapping: a hole in it would end the process (SIGBUS) when a further reader comes while the disk
/// is full. Before LMDB has it open: to close it afterwards would give up LMDB's own lock (POSIX: any descriptor's closing does).
void reserve_lock_file(const std::filesystem::path& path, std::uint32_t max_readers) {
  constexpr off_t kReader = 64;  // octets, as LMDB's MDB_reader; its header has less than sixteen of those
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;  // LMDB says why
  if (const int error = ::posix_fallocate(fd, 0, (off_t{max_readers} + 16) * kReader); error != 0)
    log::event(log::Level::warning, "storage.lock_file_not_reserved",
               {{"file", path.string()}, {"detail", std::generic_category().message(error)}});
  ::close(fd);
}

}  // namespace

bool is_full(int rc) noexcept { return rc == MDB_MAP_FULL || rc == ENOSPC || rc == EDQUOT || rc == EFBIG; }

Error lmdb_error(std::string_view what, int rc) {
  const auto detail = "index " + std::string(what) + ": " + mdb_strerror(rc);
  if (is_full(rc)) return storage_full(detail);
  switch (rc) {
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_PANIC:
    case MDB_INCOMPATIBLE: return damaged(detail);
    default: return {.fault = Fault::temporary, .code = {}, .text = "storage cannot be reached, try again later", .detail = detail};
  }
}

// ---- RowReader

Result<std::string_view> RowReader::value(std::string_view index_key, std::string_view stored) const {
  if (!rows_.checksummed()) return stored;
  return entry_value(index_key, stored);
}

Result<std::optional<std::string_view>> RowReader::get(std::string_view key) const {
  if (key.size() > kMaxKey) return std::nullopt;
  const RowKey full(rows_, key);
  MDB_val k = val(full.index_key());
  MDB_val v{};
  const int rc = mdb_get(txn_.txn, db_, &k, &v);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error("get", rc));
  return value(full.index_key(), view(v));
}

Result<void> RowReader::range(std::string_view first, std::string_view last, const Visitor& visit) const {
  const RowKey from(rows_, first);
  const RowKey to(rows_, last);
  const std::size_t prefix = rows_.view().size() - 1;
  RELAIS_TRY(auto cursor, Cursor::open(txn_, db_));
  MDB_val k = val(from.index_key());
  MDB_val v{};
  int rc = cursor.get(k, v, k.mv_size == 0 ? MDB_FIRST : MDB_SET_RANGE);
  for (; rc == 0; rc = cursor.get(k, v, MDB_NEXT)) {
    const auto key = view(k);
    if (key >= to.index_key()) return {};
    RELAIS_TRY(const auto shown, value(key, view(v)));
    if (!visit(KeyValue{key.substr(prefix), shown})) return {};
  }
  if (rc != MDB_NOTFOUND) return fail(lmdb_error("range", rc));
  return {};
}

Result<std::optional<std::pair<std::string, std::string_view>>> RowReader::last_in(std::string_view first, std::string_view last) const {
  const RowKey from(rows_, first);
  const RowKey to(rows_, last);
  RELAIS_TRY(auto cursor, Cursor::open(txn_, db_));
  MDB_val k = val(to.index_key());
  MDB_val v{};
  if (k.mv_size == 0) return std::nullopt;
  int rc = cursor.get(k, v, MDB_SET_RANGE);
  if (rc == 0 || rc == MDB_NOTFOUND) rc = cursor.get(k, v, rc == 0 ? MDB_PREV : MDB_LAST);
  if (rc == MDB_NOTFOUND) return std::nullopt;
  if (rc != 0) return fail(lmdb_error("last_in", rc));
  const auto key = view(k);
  if (key < from.index_key() || key >= to.index_key()) return std::nullopt;
  RELAIS_TRY(const auto shown, value(key, view(v)));
  return std::pair(std::string(key.substr(rows_.view().size() - 1)), shown);
}

// ---- Index

Result<std::unique_ptr<Index>> Index::open(const std::filesystem::path& folder, std::uint64_t map_size, std::uint32_t max_readers) {
  for (std::uint64_t size = std::max(map_size, kLeastMap);; size /= 2) {
    MDB_env* env = nullptr;
    if (const int rc = mdb_env_create(&env); rc != 0) return fail(lmdb_error("create", rc));
    std::unique_ptr<Index> index(new Index(env));  // NOLINT: the constructor is private
    mdb_env_set_maxdbs(env, 4);
    mdb_env_set_maxreaders(env, max_readers);
    mdb_env_set_mapsize(env, size);
    // Default durability: neither WRITEMAP (a stray pointer could write to the map) nor NOSYNC nor NOMETASYNC. NOTLS: read transactions are
    // lent by the pool above, not tied to threads.
    reserve_lock_file(folder / "lock.mdb", max_readers);
    const int rc = mdb_env_open(env, folder.c_str(), MDB_NOTLS, 0600);
    if (rc == ENOMEM && size / 2 >= kSmallestMap) continue;  // too little address space (ulimit -v, a sanitizer)
    if (rc != 0) return fail(lmdb_error("open " + folder.string(), rc));
    if (size < map_size) log::event(log::Level::warning, "storage.map_smaller", {{"index", folder.string()}, {"octets", size}});
    int cleared = 0;
    mdb_reader_check(env, &cleared);  // slots of processes that were killed
    RELAIS_TRY_VOID(index->load());
    return index;
  }
}

Result<void> Index::load() {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, 0, &txn); rc != 0) return fail(lmdb_error("begin", rc));
  std::unique_ptr<MDB_txn, decltype([](MDB_txn* t) { mdb_txn_abort(t); })> guard(txn);
  const std::pair<const char*, MDB_dbi*> databases[] = {
      {"entries", &dbs_.entries}, {"blobs", &dbs_.blobs}, {"segments", &dbs_.segments}, {"meta", &dbs_.meta}};
  for (const auto& [name, db] : databases)
    if (const int rc = mdb_dbi_open(txn, name, MDB_CREATE, db); rc != 0) return fail(lmdb_error(name, rc));

  MDB_val key = val(kFormatKey);
  MDB_val value{};
  int rc = mdb_get(txn, dbs_.meta, &key, &value);
  if (rc == MDB_NOTFOUND) {  // new
    std::string format;
    put_u8(format, kIndexVersion);
    random_octets(shard_.size()).copy(shard_.data(), shard_.size());
    const std::pair<std::string_view, std::string_view> rows[] = {{kFormatKey, format}, {kShardKey, {shard_.data(), shard_.size()}}};
    for (const auto& [k, v] : rows) {
      key = val(k);
      value = val(v);
      if (rc = mdb_put(txn, dbs_.meta, &key, &value, 0); rc != 0) return fail(lmdb_error("put", rc));
    }
  } else {
    if (rc != 0) return fail(lmdb_error("get format", rc));
    if (view(value).size() != 1 || Decoder(view(value)).u8() != kIndexVersion)
      return fail(damaged("index of unknown version " + to_hex(view(value))));
    key = val(kShardKey);
    if (rc = mdb_get(txn, dbs_.meta, &key, &value); rc != 0 || value.mv_size != shard_.size()) return fail(damaged("index names no shard"));
    view(value).copy(shard_.data(), shard_.size());
  }
  rc = mdb_txn_commit(guard.release());
  if (rc != 0) return fail(lmdb_error("commit", rc));
  return {};
}

MDB_dbi Index::database(RowKind kind) const noexcept {
  switch (kind) {
    case RowKind::entry: return dbs_.entries;
    case RowKind::blob: return dbs_.blobs;
    case RowKind::segment: return dbs_.segments;
    case RowKind::meta: return dbs_.meta;
  }
  return dbs_.meta;
}

Index::~Index() {
  RELAIS_CHECK(lent_.load() == 0);  // a Snapshot outlives its engine
  for (auto& place : places_)
    if (auto* txn = place.exchange(nullptr)) end_read(txn);
  for (auto* txn : spare_) end_read(txn);
  mdb_env_close(env_);
}

std::uint64_t Index::octets() const noexcept {
  MDB_envinfo info{};
  MDB_stat stat{};
  mdb_env_info(env_, &info);
  mdb_env_stat(env_, &stat);
  return (static_cast<std::uint64_t>(info.me_last_pgno) + 1) * stat.ms_psize;
}

IndexTxn* Index::take() const {
  if (auto* txn = places_[this_thread_number() % kPlaces].exchange(nullptr, std::memory_order_acq_rel)) return txn;
  if (spare_count_.load(std::memory_order_relaxed) == 0) return nullptr;
  const std::lock_guard lock(spare_mutex_);
  if (spare_.empty()) return nullptr;
  auto* txn = spare_.back();
  spare_.pop_back();
  spare_count_.store(spare_.size(), std::memory_order_relaxed);
  return txn;
}

void Index::give(IndexTxn* txn) const {
  IndexTxn* expected = nullptr;
  if (places_[this_thread_number() % kPlaces].compare_exchange_strong(expected, txn, std::memory_order_acq_rel)) return;
  const std::lock_guard lock(spare_mutex_);
  spare_.push_back(txn);
  spare_count_.store(spare_.size(), std::memory_order_relaxed);
}

Result<Index::ReadTxn> Index::read() const {
  auto* txn = take();
  if (txn != nullptr) {
    if (const int rc = mdb_txn_renew(txn->txn); rc != 0) {
      end_read(txn);
      return fail(lmdb_error("txn_renew", rc));
    }
    txn->cursor_stale = true;
  } else {
    auto fresh = std::make_unique<IndexTxn>();
    if (const int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &fresh->txn); rc != 0) return fail(lmdb_error("begin read", rc));
    txn = fresh.release();
  }
  lent_.fetch_add(1, std::memory_order_relaxed);
  return ReadTxn(*this, txn);
}

Result<Index::WriteTxn> Index::write() {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, 0, &txn); rc != 0) return fail(lmdb_error("begin write", rc));
  return WriteTxn(*this, txn);
}

// ---- ReadTxn

Index::ReadTxn::~ReadTxn() {
  if (txn_ == nullptr) return;
  mdb_txn_reset(txn_->txn);
  index_->give(txn_);
  index_->lent_.fetch_sub(1, std::memory_order_relaxed);
}

Result<std::vector<AccountId>> Index::ReadTxn::accounts() const {
  std::vector<AccountId> out;
  IndexTxn shell{.txn = txn_->txn, .cursor_busy = true};
  RELAIS_TRY(auto cursor, Cursor::open(shell, index_->dbs_.entries));
  MDB_val key{};
  MDB_val value{};
  int rc = cursor.get(key, value, MDB_FIRST);
  while (rc == 0) {
    const auto account = account_of(view(key));
    if (!account) return fail(damaged("an entry without account"));
    out.push_back(*account);
    if (static_cast<std::uint64_t>(*account) == std::numeric_limits<std::uint64_t>::max()) return out;
    const auto next = blob_key(static_cast<BlobId>(static_cast<std::uint64_t>(*account) + 1));  // eight octets, big-endian, like an account
    key = val(next);
    rc = cursor.get(key, value, MDB_SET_RANGE);
  }
  if (rc != MDB_NOTFOUND) return fail(lmdb_error("accounts", rc));
  return out;
}

std::uint64_t Index::ReadTxn::entry_count() const noexcept {
  MDB_stat stat{};
  mdb_stat(txn_->txn, index_->dbs_.entries, &stat);
  return stat.ms_entries;
}

std::uint64_t Index::ReadTxn::blob_count() const noexcept {
  MDB_stat stat{};
  mdb_stat(txn_->txn, index_->dbs_.blobs, &stat);
  return stat.ms_entries;
}

// ---- WriteTxn

Index::WriteTxn::~WriteTxn() {
  if (txn_ != nullptr) mdb_txn_abort(txn_);
}

int Index::WriteTxn::put(RowKind kind, std::string_view key, std::string_view stored) {
  MDB_val k = val(key);
  MDB_val v = val(stored);
  return mdb_put(txn_, index_->database(kind), &k, &v, 0);
}

int Index::WriteTxn::erase(RowKind kind, std::string_view key) {
  MDB_val k = val(key);
  const int rc = mdb_del(txn_, index_->database(kind), &k, nullptr);
  return rc == MDB_NOTFOUND ? 0 : rc;
}

int Index::WriteTxn::commit() { return mdb_txn_commit(std::exchange(txn_, nullptr)); }

}  // namespace relais::storage
