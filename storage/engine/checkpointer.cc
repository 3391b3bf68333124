// Moves what the journal keeps durable into the index.
//
// The order, and what a crash finds: segments are synced first, then one LMDB transaction writes all rows and says from which epoch on the
// journal is needed. Before its commit the index is as it was and the journal has everything; after it the journal's old epoch is not read.
#include "storage/engine/checkpointer.h"

#include "base/check.h"
#include "base/log.h"
#include "storage/engine/errors.h"

#include <pthread.h>

#include <cerrno>

namespace relais::storage {
namespace {

constexpr std::chrono::seconds kTryAgain{1};
constexpr std::uint64_t kDiskIsFull = 1ULL << 20;  // octets free below which an I/O error of LMDB is taken for a short write

}  // namespace

Checkpointer::Checkpointer(Index& index, TableSet& tables, const DiskSpace& space, FaultInjector* faults, const std::string& shard)
    : index_(index),
      tables_(tables),
      space_(space),
      faults_(faults),
      shard_(shard),
      duration_(metrics::histogram("relais_storage_checkpoint_seconds", "writing a sealed table to the index", {{"shard", shard}})),
      thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "relais-index");
}

Checkpointer::~Checkpointer() { close(); }

void Checkpointer::start(Job job) {
  {
    const std::lock_guard lock(mutex_);
    RELAIS_CHECK(!job_);
    job_.emplace(std::move(job));
  }
  changed_.notify_all();
}

bool Checkpointer::busy() const {
  const std::lock_guard lock(mutex_);
  return job_.has_value();
}

Result<void> Checkpointer::state() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<void> Checkpointer::wait() const {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !job_ || !state_; });
  return state_;
}

void Checkpointer::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Checkpointer::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return closing_ || job_; });
    if (!job_) return;
    const Job job = *job_;
    lock.unlock();
    const auto start = std::chrono::steady_clock::now();
    auto written = write(job);
    if (written) tables_.drop_sealed();
    duration_.observe(std::chrono::steady_clock::now() - start);
    lock.lock();
    if (written) {
      if (!state_) log::event(log::Level::info, "storage.index_writable", {{"shard", shard_}});
      state_ = {};
      job_.reset();
      changed_.notify_all();
      continue;
    }
    if (state_) log::event(log::Level::error, "storage.index_not_written", {{"shard", shard_}, {"detail", written.error().detail}});
    state_ = std::unexpected(written.error());
    changed_.notify_all();
    if (written.error().code == "READ_ONLY" || changed_.wait_for(lock, kTryAgain, [this] { return closing_; })) return;
  }
}

Result<void> Checkpointer::write(const Job& job) {
  if (job.segment) RELAIS_TRY_VOID(job.segment->sync(faults_));
  const auto failed = [this](std::string_view what, int rc) -> std::unexpected<Error> {
    auto error = lmdb_error(what, rc);
    // LMDB calls a short write, which only a full disk brings about, an I/O error. Its previous state is whole either way: pages in use are
    // never written to, and the page that names the new root is written last.
    if (is_full(rc) || (rc == EIO && space_.free() < kDiskIsFull)) return fail(storage_full(error.detail));
    return fail(read_only(error.detail));
  };
  auto begun = index_.write();
  if (!begun) return fail(read_only(begun.error().detail));
  auto txn = std::move(*begun);
  MemTable::Cursor row(*job.table, kNewest);
  for (row.seek({}); row.valid(); row.next()) {
    const auto kind = row_kind(row.key().front());
    RELAIS_CHECK(kind.has_value());
    const auto key = row.key().substr(1);
    const auto stored = row.value();
    if (const int rc = stored ? txn.put(*kind, key, *stored) : txn.erase(*kind, key); rc != 0) return failed("put", rc);
  }
  if (const int rc = txn.put(RowKind::meta, kJournalKey, encode_journal_row(job.journal)); rc != 0) return failed("put", rc);
  const int injected = faults_ != nullptr ? faults_->fail_at(FaultPoint::index_commit) : 0;
  if (const int rc = injected != 0 ? injected : txn.commit(); rc != 0) return failed("commit", rc);
  return {};
}

}  // namespace relais::storage
