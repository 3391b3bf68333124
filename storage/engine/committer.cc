// Gathers waiting changes, appends their blobs, commits them in one index transaction and resumes the waiters.
//
// The order of writes, and why a crash at any instant loses nothing acknowledged (docs/storage.md has it at length):
//   1. records are appended to the newest segment       crash: octets beyond the acknowledged length, cut off at the next open
//   2. fdatasync of the segment                          crash: the same
//   3. one index transaction with keys, locations and    crash: LMDB's previous state stands, and with it the old acknowledged length
//      segment lengths; LMDB syncs its pages, then the
//      page that makes them valid
//   4. waiters resume
#include "storage/engine/committer.h"

#include "base/check.h"
#include "base/log.h"
#include "storage/blob.h"
#include "storage/engine/errors.h"
#include "storage/engine/overlay.h"

#include <pthread.h>

#include <cerrno>
#include <exception>

namespace relais::storage {
namespace {

constexpr std::size_t kArena = 256 * 1024;               // octets that a body may write before its overlay allocates more
constexpr std::uint64_t kDiskIsFull = 1ULL << 20;        // octets free below which an I/O error of LMDB is taken for a short write
constexpr std::uint64_t kFloorShare = 4;                 // bodies without blobs may use the reserve down to this part of it

std::uint64_t octets_of(const CommitRequest& request) {
  std::uint64_t octets = 0;
  for (const auto& blob : request.blobs) octets += record_size(*blob);
  for (const auto& move : request.moves) octets += move.record.size();
  return octets;
}

}  // namespace

Committer::Committer(Index& index, SegmentWriter writer, SegmentTable& segments, const DiskSpace& space, Limits limits, std::uint64_t next_blob,
                     FaultInjector* faults, const std::string& shard)
    : index_(index),
      segments_(segments),
      space_(space),
      limits_(limits),
      faults_(faults),
      shard_(shard),
      commits_(metrics::counter("relais_storage_commits_total", "commits of the index", {{"shard", shard}})),
      bodies_(metrics::counter("relais_storage_transactions_total", "transactions that were committed", {{"shard", shard}})),
      full_(metrics::counter("relais_storage_full_total", "transactions refused for lack of space", {{"shard", shard}})),
      read_only_(metrics::gauge("relais_storage_read_only", "1 where a shard refuses writes after a failed commit or fsync", {{"shard", shard}})),
      duration_(metrics::histogram("relais_storage_commit_seconds", "from taking a group to its durability", {{"shard", shard}})),
      writer_(std::move(writer)),
      next_blob_(next_blob),
      arena_buffer_(kArena),
      arena_(arena_buffer_.data(), arena_buffer_.size()),
      thread_([this] { work(); }) {
  pthread_setname_np(thread_.native_handle(), "relais-commit");
}

Committer::~Committer() { close(); }

asio::awaitable<void> Committer::submit(CommitRequest& request) {
  co_await suspend([this, &request](Resumption resumption) {
    std::unique_lock lock(mutex_);
    if (!state_ || closing_) {
      request.result = state_ ? Result<void>(fail(closing())) : state_;
      lock.unlock();
      Resumption::post(std::move(resumption));
      return;
    }
    request.resumption.emplace(std::move(resumption));
    queue_.push_back(&request);
    const bool first = queue_.size() == 1;
    lock.unlock();
    if (first) wake_.notify_one();
  });
}

void Committer::listen(std::function<void(const ChangeEvent&)> listener) {
  const std::lock_guard lock(mutex_);
  listener_ = std::move(listener);
}

Result<void> Committer::state() const {
  const std::lock_guard lock(mutex_);
  if (state_ && closing_) return fail(closing());
  return state_;
}

Result<void> Committer::broken() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

Result<void> Committer::room(bool with_blobs) const {
  const auto needed = with_blobs ? limits_.min_free : limits_.min_free / kFloorShare;
  if (const auto free = space_.free(); free < needed)
    return fail(storage_full(std::to_string(free) + " octets free, " + std::to_string(needed) + " are kept in reserve"));
  return {};
}

void Committer::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

// ---- the committer's thread

void Committer::work() {
  Group group;
  while (take(group)) {
    run(group);
    std::vector<Resumption> waiters;
    waiters.reserve(group.size());
    for (auto* request : group) waiters.push_back(std::move(*request->resumption));
    Resumption::post(std::move(waiters));  // from here on the requests are gone
    group.clear();
  }
}

bool Committer::take(Group& group) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  std::size_t count = 0;
  std::uint64_t octets = 0;
  while (count < queue_.size() && count < limits_.max_group && octets < limits_.max_group_octets) octets += octets_of(*queue_[count++]);
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  group.assign(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return !group.empty();
}

void Committer::run(Group& all) {
  const auto start = std::chrono::steady_clock::now();
  Group group = all;
  if (const auto now = broken(); !now) return fail_all(group, now.error());
  admit(group);
  writer_.begin();
  append(group);
  if (group.empty()) return;
  auto outcome = commit(group);
  // A group that does not fit is tried one by one: what is small enough, or only erases, may still go through, and one too large for a
  // transaction does not take the others with it.
  if (outcome == Outcome::failed && group.size() > 1)
    for (auto* request : group)
      if (broken() && commit({request}) == Outcome::committed) outcome = Outcome::committed;
  if (outcome != Outcome::committed && broken()) writer_.rewind();
  duration_.observe(std::chrono::steady_clock::now() - start);
}

void Committer::admit(Group& group) {
  const auto room_for_blobs = room(true);
  const auto room_at_all = room(false);
  if (room_for_blobs && room_at_all) return;
  std::erase_if(group, [&](CommitRequest* request) {
    const auto& room = request->blobs.empty() ? room_at_all : room_for_blobs;  // compaction's moves make room, so they may use the reserve
    if (room) return false;
    full_.add();
    request->result = room;
    return true;
  });
}

/// Steps 1 and 2. Requests whose octets could not be written leave the group with their result.
void Committer::append(Group& group) {
  auto appended = append_all(group);
  if (appended) return;
  writer_.rewind();
  if (appended.error().code == "READ_ONLY") {
    stop_writes(appended.error());
    fail_all(group, appended.error());
    group.clear();
    return;
  }
  std::erase_if(group, [&](CommitRequest* request) {
    if (!request->writes_segments()) return false;
    full_.add();
    request->result = std::unexpected(appended.error());
    return true;
  });
  writer_.begin();
}

Result<void> Committer::append_all(const Group& group) {
  std::size_t header_octets = 0;
  std::uint64_t octets = 0;
  for (const auto* request : group) {
    for (const auto& blob : request->blobs) header_octets += record_header_size(blob->chunk_count());
    octets += octets_of(*request);
  }
  headers_.clear();
  headers_.reserve(header_octets);  // so that what points into it stays
  bool any = false;
  for (auto* request : group) {
    any |= request->writes_segments();
    RELAIS_TRY_VOID(append(*request));
  }
  if (!any) return {};
  space_.used(octets);
  return writer_.sync();
}

Result<void> Committer::append(CommitRequest& request) {
  request.ids.clear();
  request.places.clear();
  if (request.roll) RELAIS_TRY_VOID(writer_.roll());
  for (const auto& blob : request.blobs) {
    const auto id = static_cast<BlobId>(next_blob_++);
    const std::size_t start = headers_.size();
    encode_record_header(id, request.account, *blob, headers_);
    pieces_.clear();
    pieces_.push_back(std::string_view(headers_).substr(start));
    for (const auto& part : blob->parts())
      for (const auto& chunk : *part) pieces_.push_back(chunk.octets);
    RELAIS_TRY(const auto place, writer_.add(pieces_));
    request.ids.push_back(id);
    request.places.push_back(place);
  }
  for (auto& move : request.moves) {
    RELAIS_TRY(move.to, writer_.add(std::span(&move.record, 1)));
  }
  return {};
}

/// Step 3.
Committer::Outcome Committer::commit(const Group& group) {
  Changes changes;
  if (auto done = transaction(group, changes); !done) {
    if (done.error().code == "READ_ONLY") stop_writes(done.error());
    if (done.error().code == "STORAGE_FULL") full_.add(group.size());
    fail_all(group, done.error());
    return Outcome::failed;
  }
  if (!changes.any) return Outcome::nothing;
  commits_.add();
  bodies_.add(group.size());
  for (const auto& [segment, row] : rows_after(changes)) segments_.set(segment, row);
  for (const auto segment : changes.dropped) segments_.erase(segment);
  std::unique_lock lock(mutex_);
  const auto& listener = listener_;  // set once, before the first transaction
  lock.unlock();
  if (listener)
    for (const auto& event : changes.events) listener(event);
  return Outcome::committed;
}

Result<void> Committer::transaction(const Group& group, Changes& changes) {
  RELAIS_TRY(auto txn, index_.write());
  bool ids = false;
  for (auto* request : group) {
    RELAIS_TRY_VOID(run_body(*request, txn, changes));
    ids |= !request->ids.empty();
  }
  if (!changes.any) return {};
  if (ids)
    if (const int rc = txn.put_next_blob(next_blob_); rc != 0) return fail(lmdb_error("put", rc));
  return finish(std::move(txn), changes);
}

/// A body's own error stays in its request; an error that comes back is the transaction's.
Result<void> Committer::run_body(CommitRequest& request, Index::WriteTxn& txn, Changes& changes) {
  request.result = {};
  if (request.roll) changes.any = true;
  if (!request.moves.empty()) RELAIS_TRY_VOID(apply_moves(request, txn, changes));
  if (request.drop) RELAIS_TRY_VOID(apply_drop(request, txn, changes));
  if (!request.body) return {};
  arena_.release();
  const auto entries = txn.entries(request.account);
  Overlay overlay(entries, txn, request.ids, arena_);
  try {
    request.result = request.body(overlay, request.ids);
  } catch (const std::exception& e) {  // a bug or no memory; the others in the group must not suffer from it
    log::event(log::Level::error, "storage.body_threw", {{"shard", shard_}, {"detail", e.what()}});
    request.result = fail(Fault::temporary, "internal error", {}, e.what());
  }
  if (!request.result) return {};
  return apply(request, overlay, txn, changes);
}

Result<void> Committer::apply(const CommitRequest& request, const Overlay& overlay, Index::WriteTxn& txn, Changes& changes) {
  const auto check = [](int rc) -> Result<void> { return rc == 0 ? Result<void>() : fail(lmdb_error("write", rc)); };
  for (const auto& [key, value] : overlay.changes())
    RELAIS_TRY_VOID(check(value ? txn.put_entry(request.account, key, *value) : txn.erase_entry(request.account, key)));
  for (const auto& [id, change] : overlay.blob_changes()) {
    if (change.before == change.now) continue;
    std::optional<BlobRow> row;
    if (change.before == 0) {  // came with this body
      row = request.places[static_cast<std::size_t>(id) - static_cast<std::size_t>(request.ids.front())];
      changes.live[row->segment] += static_cast<std::int64_t>(row->length);
    } else {
      RELAIS_TRY(row, txn.blob(id));
      RELAIS_CHECK(row.has_value());  // the overlay saw it in this very transaction
    }
    row->references = change.now;
    if (change.now == 0) changes.live[row->segment] -= static_cast<std::int64_t>(row->length);
    RELAIS_TRY_VOID(check(change.now == 0 ? txn.erase_blob(id) : txn.put_blob(id, *row)));
  }
  changes.any |= !overlay.changes().empty() || !overlay.blob_changes().empty();
  changes.events.insert(changes.events.end(), overlay.events().begin(), overlay.events().end());
  return {};
}

Result<void> Committer::apply_moves(CommitRequest& request, Index::WriteTxn& txn, Changes& changes) {
  for (const auto& move : request.moves) {
    RELAIS_TRY(auto row, txn.blob(move.blob));
    if (!row || !row->same_place(move.from)) continue;  // released or moved meanwhile: the copy is dead
    auto to = move.to;
    to.references = row->references;
    if (const int rc = txn.put_blob(move.blob, to); rc != 0) return fail(lmdb_error("move", rc));
    changes.live[move.from.segment] -= static_cast<std::int64_t>(move.from.length);
    changes.live[to.segment] += static_cast<std::int64_t>(to.length);
    changes.any = true;
  }
  return {};
}

Result<void> Committer::apply_drop(CommitRequest& request, Index::WriteTxn& txn, Changes& changes) {
  const auto row = segments_.row(*request.drop);
  const auto change = changes.live.find(*request.drop);
  const auto live = row ? static_cast<std::int64_t>(row->live) + (change == changes.live.end() ? 0 : change->second) : 0;
  if (!row || live != 0 || *request.drop == writer_.segment()) {
    request.result = fail(Fault::refused, "segment is in use", {}, std::to_string(live) + " octets live");
    return {};
  }
  if (const int rc = txn.erase_segment(*request.drop); rc != 0) return fail(lmdb_error("drop", rc));
  changes.live.erase(*request.drop);
  changes.dropped.push_back(*request.drop);
  changes.any = true;
  return {};
}

/// The rows of every segment that the group wrote to, or whose live octets changed.
std::map<std::uint32_t, SegmentRow> Committer::rows_after(const Changes& changes) const {
  std::map<std::uint32_t, SegmentRow> rows;
  for (const auto& [segment, length] : writer_.touched()) {
    rows[segment] = segments_.row(segment).value_or(SegmentRow{.length = kFileHeaderSize});
    rows[segment].length = length;
  }
  for (const auto& [segment, live] : changes.live) {
    const auto [row, fresh] = rows.try_emplace(segment);
    if (fresh) row->second = segments_.row(segment).value_or(SegmentRow{.length = kFileHeaderSize});
    const auto most = static_cast<std::int64_t>(row->second.length - kFileHeaderSize);
    row->second.live = static_cast<std::uint64_t>(std::clamp(static_cast<std::int64_t>(row->second.live) + live, std::int64_t{0}, most));
  }
  return rows;
}

Result<void> Committer::finish(Index::WriteTxn txn, const Changes& changes) {
  for (const auto& [segment, row] : rows_after(changes))
    if (const int rc = txn.put_segment(segment, row); rc != 0) return fail(lmdb_error("put segment", rc));
  const int injected = faults_ != nullptr ? faults_->fail_at(FaultPoint::index_commit) : 0;
  const int rc = injected != 0 ? injected : txn.commit();
  if (rc == 0) return {};
  auto error = lmdb_error("commit", rc);
  // LMDB calls a short write, which only a full disk brings about, an I/O error. Its previous state is whole either way: pages in use are
  // never written to, and the page that names the new root is written last.
  if (is_full(rc) || rc == MDB_TXN_FULL || (rc == EIO && space_.free() < kDiskIsFull)) return fail(storage_full(error.detail));
  return fail(read_only(error.detail));
}

void Committer::fail_all(const Group& group, const Error& error) {
  for (auto* request : group) request->result = std::unexpected(error);
}

void Committer::stop_writes(const Error& reason) {
  log::event(log::Level::error, "storage.read_only", {{"shard", shard_}, {"detail", reason.detail}});
  read_only_.set(1);
  const std::lock_guard lock(mutex_);
  state_ = std::unexpected(reason);
}

}  // namespace relais::storage
