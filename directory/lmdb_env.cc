// LMDB with its return codes turned into errors, and the rule that nothing is written after a failed fsync.
#include "directory/lmdb_env.h"

#include "base/check.h"

#include <cerrno>
#include <filesystem>
#include <system_error>

namespace relais::directory {
namespace {

constexpr std::array<const char*, kTables> kTableNames{"meta",        "domains", "accounts", "numbers",
                                                         "credentials", "aliases", "routes",   "dkim_keys", "legacy", "origins"};
constexpr unsigned kMaxReaders = 1'024;
constexpr mode_t kFileMode = 0600;  // it holds password hashes

MDB_val to_val(std::string_view s) noexcept {
  // LMDB takes keys and values it only reads as void*.
  return MDB_val{s.size(), const_cast<char*>(s.data())};
}
std::string_view to_view(const MDB_val& v) noexcept { return {static_cast<const char*>(v.mv_data), v.mv_size}; }

std::unexpected<Error> lmdb_error(int rc, std::string_view operation) {
  std::string detail("directory: ");
  detail.append(operation).append(": ").append(mdb_strerror(rc));
  switch (rc) {
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
    case ENOSPC:
    case EDQUOT: return fail(Fault::temporary, "no room left for the directory", "STORAGE_FULL", detail);
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_PANIC:
    case MDB_BAD_TXN: return fail(Fault::corrupt, "directory damaged", "", detail);
    default: return fail(Fault::temporary, "directory unavailable", "", detail);
  }
}

std::size_t slot_of_thread() noexcept {
  static std::atomic<std::size_t> next{0};
  thread_local const std::size_t mine = next.fetch_add(1, std::memory_order_relaxed);
  return mine;
}

}  // namespace

Result<std::optional<std::string_view>> Txn::get(Table t, std::string_view key) const {
  if (key.empty() || key.size() > 511) return std::optional<std::string_view>{};  // LMDB's own bound on keys: none such is stored
  auto k = to_val(key);
  MDB_val v{};
  const int rc = mdb_get(txn_, table(t), &k, &v);
  if (rc == MDB_NOTFOUND) return std::optional<std::string_view>{};
  if (rc != 0) return lmdb_error(rc, "get");
  return std::optional(to_view(v));
}

Result<void> Txn::range(Table t, std::string_view prefix, const std::function<bool(std::string_view, std::string_view)>& visit) const {
  MDB_cursor* cursor = nullptr;
  if (const int rc = mdb_cursor_open(txn_, table(t), &cursor); rc != 0) return lmdb_error(rc, "cursor_open");
  const std::unique_ptr<MDB_cursor, decltype(&mdb_cursor_close)> guard(cursor, &mdb_cursor_close);
  auto k = to_val(prefix);
  MDB_val v{};
  int rc = mdb_cursor_get(cursor, &k, &v, prefix.empty() ? MDB_FIRST : MDB_SET_RANGE);
  while (rc == 0 && to_view(k).starts_with(prefix)) {
    if (!visit(to_view(k), to_view(v))) return {};
    rc = mdb_cursor_get(cursor, &k, &v, MDB_NEXT);
  }
  if (rc != 0 && rc != MDB_NOTFOUND) return lmdb_error(rc, "cursor_get");
  return {};
}

Result<void> Txn::put(Table t, std::string_view key, std::string_view value) {
  auto k = to_val(key);
  auto v = to_val(value);
  if (const int rc = mdb_put(txn_, table(t), &k, &v, 0); rc != 0) return lmdb_error(rc, "put");
  return {};
}

Result<void> Txn::erase(Table t, std::string_view key) {
  auto k = to_val(key);
  const int rc = mdb_del(txn_, table(t), &k, nullptr);
  if (rc != 0 && rc != MDB_NOTFOUND) return lmdb_error(rc, "del");
  return {};
}

Result<std::unique_ptr<LmdbEnv>> LmdbEnv::open(const std::string& path, std::size_t map_size) {
  std::error_code made;
  std::filesystem::create_directories(path, made);
  if (made) return fail(Fault::refused, "can't make the directory's folder: " + made.message(), "", path);
  std::unique_ptr<LmdbEnv> env(new LmdbEnv);
  if (const int rc = mdb_env_create(&env->env_); rc != 0) return lmdb_error(rc, "env_create");
  mdb_env_set_maxdbs(env->env_, kTables);
  mdb_env_set_maxreaders(env->env_, kMaxReaders);
  if (const int rc = mdb_env_set_mapsize(env->env_, map_size); rc != 0) return lmdb_error(rc, "env_set_mapsize");
  // MDB_NOTLS: a read transaction belongs to who holds it, not to the thread that began it. MDB_NORDAHEAD: look-ups are random.
  if (const int rc = mdb_env_open(env->env_, path.c_str(), MDB_NOTLS | MDB_NORDAHEAD, kFileMode); rc != 0) {
    auto error = lmdb_error(rc, "env_open").error();
    if (error.fault == Fault::temporary) error.fault = Fault::refused;
    error.text = std::string("can't open the directory: ") + mdb_strerror(rc);
    return fail(std::move(error));
  }
  int dead = 0;
  mdb_reader_check(env->env_, &dead);  // a killed process may have left its reader slots taken
  RELAIS_TRY_VOID(env->open_tables());
  return env;
}

Result<void> LmdbEnv::open_tables() {
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, 0, &txn); rc != 0) return lmdb_error(rc, "txn_begin");
  for (std::size_t i = 0; i < kTables; ++i) {
    if (const int rc = mdb_dbi_open(txn, kTableNames[i], MDB_CREATE, &tables_[i]); rc != 0) {
      mdb_txn_abort(txn);
      return lmdb_error(rc, "dbi_open");
    }
  }
  return commit(txn);
}

LmdbEnv::~LmdbEnv() {
  for (auto& slot : slots_) {
    if (auto* txn = slot.txn.exchange(nullptr)) mdb_txn_abort(txn);
  }
  if (env_ != nullptr) mdb_env_close(env_);
}

Result<MDB_txn*> LmdbEnv::begin_read() const {
  auto& slot = slots_[slot_of_thread() % kSlots];
  if (auto* waiting = slot.txn.exchange(nullptr, std::memory_order_acquire)) {
    if (const int rc = mdb_txn_renew(waiting); rc != 0) {
      mdb_txn_abort(waiting);
      return lmdb_error(rc, "txn_renew");
    }
    return waiting;
  }
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, MDB_RDONLY, &txn); rc != 0) return lmdb_error(rc, "txn_begin");
  return txn;
}

void LmdbEnv::end_read(MDB_txn* txn) const noexcept {
  mdb_txn_reset(txn);
  MDB_txn* none = nullptr;
  if (!slots_[slot_of_thread() % kSlots].txn.compare_exchange_strong(none, txn, std::memory_order_release, std::memory_order_relaxed)) mdb_txn_abort(txn);
}

Result<MDB_txn*> LmdbEnv::begin_write() {
  if (broken_) return fail(Fault::temporary, "the directory takes no changes until it is reopened", "READ_ONLY");
  MDB_txn* txn = nullptr;
  if (const int rc = mdb_txn_begin(env_, nullptr, 0, &txn); rc != 0) return lmdb_error(rc, "txn_begin");
  return txn;
}

Result<void> LmdbEnv::commit(MDB_txn* txn) {
  const int rc = mdb_txn_commit(txn);  // frees txn even where it fails
  if (rc == 0) return {};
  auto error = lmdb_error(rc, "txn_commit");
  // Where there was no room, the old meta page still stands and nothing happened. After any other failure the kernel may have dropped dirty
  // pages: a later commit that "succeeds" would prove nothing, so there is none until somebody reopens and looks.
  if (error.error().code != "STORAGE_FULL") broken_ = true;
  return error;
}

}  // namespace relais::directory
