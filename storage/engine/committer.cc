// Gathers waiting changes, makes them durable with one write and one sync, and resumes the waiters.
//
// The order of writes, and why a crash at any instant loses nothing acknowledged (docs/storage.md has it at length):
//   1. records are appended to the newest segment, not      crash: octets beyond the acknowledged length, cut off at the next open
//      synced (a large group: synced)
//   2. one journal record: changed rows and, unless         crash before the sync: the record is whole or it does not verify; it was not
//      synced in 1, the records' octets; one sync           acknowledged, so either is right
//   3. the rows join the table in memory: readers see them  crash: replay of the journal restores rows and octets
//   4. waiters resume
// The checkpointer moves tables to the index later; until then the journal is what keeps them.
#include "storage/engine/committer.h"

#include "base/check.h"
#include "base/log.h"
#include "storage/blob.h"
#include "storage/engine/errors.h"
#include "storage/engine/overlay.h"

#include <pthread.h>

#include <exception>

namespace relais::storage {
namespace {

constexpr std::size_t kArena = 256 * 1024;  // octets that a body may write before its overlay allocates more
constexpr std::uint64_t kRoomForZeros =
    64ULL << 20;                          // octets free, beyond twice the reserve, from which files are lengthened ahead of need
constexpr std::uint64_t kFloorShare = 4;  // bodies without blobs may use the reserve down to this part of it
constexpr std::uint64_t kJournaledOctets =
    1 << 20;  // a group with more octets of records has its segment synced in place of journaling them
constexpr std::uint64_t kJournalHardLimit =
    4;  // times its size that a journal, or the table in memory, may grow to while the index is behind
constexpr std::chrono::microseconds kPatience{1'000};  // that a patient request waits for another one, at most …
constexpr std::chrono::microseconds kExpected{2'000};  // … if one came in so short a time before
constexpr std::size_t kPatientGroup = 32;              // so many of them are worth a sync of their own
constexpr std::chrono::seconds kIdle{5};               // after which what is only in the journal goes to the index

std::uint64_t octets_of(const CommitRequest& request) {
  std::uint64_t octets = 0;
  for (const auto& blob : request.blobs) octets += record_size(*blob);
  for (const auto& move : request.moves) octets += move.record.size();
  return octets;
}

}  // namespace

Committer::Committer(Parts parts, SegmentWriter writer, Journal journal, Limits limits, std::uint64_t next_blob, const std::string& shard)
    : parts_(parts),
      limits_(limits),
      shard_(shard),
      commits_(metrics::counter("relais_storage_commits_total", "groups of transactions made durable", {{"shard", shard}})),
      bodies_(metrics::counter("relais_storage_transactions_total", "transactions in those groups", {{"shard", shard}})),
      full_(metrics::counter("relais_storage_full_total", "transactions refused for lack of space", {{"shard", shard}})),
      read_only_(
          metrics::gauge("relais_storage_read_only", "1 where a shard refuses writes after a failed write or sync", {{"shard", shard}})),
      duration_(metrics::histogram("relais_storage_commit_seconds", "from taking a group to its durability", {{"shard", shard}})),
      writer_(std::move(writer)),
      journal_(std::move(journal)),
      next_blob_(next_blob),
      version_(parts.tables.version()),
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
    // Whoever comes first wakes the thread, and whoever ends its waiting for the patient ones.
    bool wake = queue_.empty();
    if (request.patient) {
      if (++patient_ == 1) patient_since_ = std::chrono::steady_clock::now();
      wake = wake || patient_ == kPatientGroup;
    } else {
      wake = wake || queue_.size() == patient_;
      pressing_at_ = std::chrono::steady_clock::now();
    }
    queue_.push_back(&request);
    lock.unlock();
    if (wake) wake_.notify_one();
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
  if (const auto free = parts_.space.free(); free < needed)
    return fail(storage_full(std::to_string(free) + " octets free, " + std::to_string(needed) + " are kept in reserve"));
  return {};
}

bool Committer::roomy() const { return parts_.space.free() >= 2 * limits_.min_free + kRoomForZeros; }

Result<void> Committer::flush() {
  // The waiting for a checkpoint that is under way is done here: the committer has others to serve.
  while (true) {
    RELAIS_TRY_VOID(parts_.checkpointer.wait());
    std::unique_lock lock(mutex_);
    if (closing_) return fail(closing());
    const auto mine = ++flushes_wanted_;
    wake_.notify_one();
    flushed_.wait(lock, [this, mine] { return flushes_done_ >= mine || closing_; });
    if (closing_) return fail(closing());
    if (flush_sealed_) break;  // else another checkpoint began in between
  }
  return parts_.checkpointer.wait();
}

void Committer::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  flushed_.notify_all();
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
    seal(false);
  }
  if (parts_.checkpointer.wait()) {  // so that the next open has nothing to replay
    seal(true);
    (void)parts_.checkpointer.wait();  // what does not fit stays in the journal
  }
}

bool Committer::worth_waiting() const {
  if (closing_ || queue_.size() != patient_ || patient_ == 0 || patient_ >= kPatientGroup) return false;
  return patient_since_ - pressing_at_ < kExpected && std::chrono::steady_clock::now() - patient_since_ < kPatience;
}

/// @return false once closing and nothing waits
bool Committer::take(Group& group) {
  std::unique_lock lock(mutex_);
  const auto something = [this] { return closing_ || !queue_.empty() || flushes_wanted_ != flushes_done_; };
  while (true) {
    if (flushes_wanted_ != flushes_done_) {
      const auto wanted = flushes_wanted_;
      lock.unlock();
      const bool sealed = seal(true);
      lock.lock();
      flushes_done_ = wanted;
      flush_sealed_ = sealed;
      flushed_.notify_all();
    } else if (!queue_.empty()) {
      if (!worth_waiting()) break;
      wake_.wait_until(lock, patient_since_ + kPatience, [this] { return !worth_waiting() || flushes_wanted_ != flushes_done_; });
    } else if (closing_) {
      return false;
    } else if (parts_.tables.active()->empty()) {
      wake_.wait(lock, something);
    } else if (!wake_.wait_for(lock, kIdle, something)) {
      lock.unlock();
      seal(true);
      lock.lock();
    }
  }
  std::size_t count = 0;
  std::uint64_t octets = 0;
  while (count < queue_.size() && count < limits_.max_group && octets < limits_.max_group_octets) {
    patient_ -= queue_[count]->patient ? 1 : 0;
    octets += octets_of(*queue_[count++]);
  }
  const auto end = queue_.begin() + static_cast<std::ptrdiff_t>(count);
  group.assign(queue_.begin(), end);
  queue_.erase(queue_.begin(), end);
  return true;
}

/// Hands the active table to the checkpointer where it is free: once the journal is long enough, or when nothing else is to be done.
/// @return false where the checkpointer is busy
bool Committer::seal(bool idle) {
  if (parts_.checkpointer.busy()) return false;
  const auto active = parts_.tables.active();
  if (active->empty() || (!idle && journal_.octets() < limits_.journal_size && active->octets() < limits_.journal_size)) return true;
  journal_.start(journal_.epoch() + 1);
  parts_.checkpointer.start(
      {.table = parts_.tables.seal(), .segment = writer_.file(), .journal = {.epoch = journal_.epoch(), .version = version_}});
  return true;
}

/// Keeps journal and memory from growing without end while the index is behind.
Result<void> Committer::journal_room() {
  const auto most = kJournalHardLimit * limits_.journal_size;
  if (journal_.octets() < most && parts_.tables.active()->octets() < most) return {};
  RELAIS_TRY_VOID(parts_.checkpointer.wait());
  seal(false);
  return {};
}

void Committer::run(Group& all) {
  const auto start = std::chrono::steady_clock::now();
  Group group = all;
  if (const auto index = parts_.checkpointer.state(); !index && index.error().code == "READ_ONLY" && broken()) stop_writes(index.error());
  if (const auto now = broken(); !now) return fail_all(group, now.error());
  if (const auto room = journal_room(); !room) {
    full_.add(group.size());
    return fail_all(group, room.error());
  }
  admit(group);
  if (group.empty()) return;
  // A group that does not fit is tried one by one: what is small enough, or only erases, may still go through, and a bad row does not take
  // the whole group with it.
  if (commit(group) == Outcome::failed && group.size() > 1)
    for (auto* request : group) {
      if (!broken()) break;  // every result says so already
      commit({request});
    }
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

Committer::Outcome Committer::commit(const Group& group) {
  writer_.begin();
  const auto done = try_commit(group);
  if (done) return Outcome::done;
  if (done.error().code == "READ_ONLY") {
    stop_writes(done.error());
  } else {
    writer_.rewind();
  }
  if (done.error().code == "STORAGE_FULL") full_.add(group.size());
  fail_all(group, done.error());
  return Outcome::failed;
}

/// A body's own error stays in its request; an error that comes back is that of the whole group.
Result<void> Committer::try_commit(const Group& group) {
  std::size_t header_octets = 0;
  for (const auto* request : group)
    for (const auto& blob : request->blobs) header_octets += record_header_size(blob->chunk_count());
  headers_.clear();
  headers_.reserve(header_octets);  // so that what points into it stays
  octets_.clear();
  octets_places_.clear();
  group_octets_ = 0;
  bool ids = false;
  bool rolled = false;
  for (auto* request : group) {
    RELAIS_TRY_VOID(append(*request));
    ids |= !request->ids.empty();
    rolled |= request->roll;
  }
  if (!octets_places_.empty() || rolled) RELAIS_TRY_VOID(group_octets_ > kJournaledOctets ? writer_.sync() : writer_.flush());
  parts_.space.used(group_octets_);

  RELAIS_TRY(const auto view, parts_.tables.view(parts_.index));
  changes_.clear();
  GroupTxn txn(view, changes_);
  Changes changes;
  changes.any = rolled;
  for (auto* request : group) RELAIS_TRY_VOID(run_body(*request, txn, changes));
  if (!changes.any) {
    writer_.rewind();
    return {};
  }
  RELAIS_TRY_VOID(make_durable(txn, changes, ids));
  txn.add_to(*parts_.tables.active(), version_);
  parts_.tables.publish(version_);
  commits_.add();
  bodies_.add(group.size());
  published(changes);
  return {};
}

/// Step 1 for one request.
Result<void> Committer::append(CommitRequest& request) {
  request.ids.clear();
  request.places.clear();
  if (request.roll) RELAIS_TRY_VOID(writer_.roll());
  const auto add = [this]() -> Result<BlobRow> {
    RELAIS_TRY(const auto place, writer_.add(pieces_));
    octets_.insert(octets_.end(), pieces_.begin(), pieces_.end());
    octets_places_.push_back(place);
    group_octets_ += place.length;
    return place;
  };
  for (const auto& blob : request.blobs) {
    const auto id = static_cast<BlobId>(next_blob_++);
    const std::size_t start = headers_.size();
    encode_record_header(id, request.account, *blob, headers_);
    pieces_.clear();
    pieces_.push_back(std::string_view(headers_).substr(start));
    for (const auto& part : blob->parts())
      for (const auto& chunk : *part) pieces_.push_back(chunk.octets);
    RELAIS_TRY(const auto place, add());
    request.ids.push_back(id);
    request.places.push_back(place);
  }
  for (auto& move : request.moves) {
    pieces_.assign(1, move.record);
    RELAIS_TRY(move.to, add());
  }
  return {};
}

Result<void> Committer::run_body(CommitRequest& request, GroupTxn& txn, Changes& changes) {
  request.result = {};
  if (!request.moves.empty()) RELAIS_TRY_VOID(apply_moves(request, txn, changes));
  if (request.drop) apply_drop(request, txn, changes);
  if (!request.body) return {};
  arena_.release();
  const GroupReader entries(txn, request.account);
  Overlay overlay(entries.top(), txn, request.ids, arena_);
  try {
    request.result = request.body(overlay, request.ids);
  } catch (const std::exception& e) {  // a bug or no memory; the others in the group must not suffer from it
    log::event(log::Level::error, "storage.body_threw", {{"shard", shard_}, {"detail", e.what()}});
    request.result = fail(Fault::temporary, "internal error", {}, e.what());
  }
  if (!request.result) return {};
  return apply(request, overlay, txn, changes);
}

Result<void> Committer::apply(const CommitRequest& request, const Overlay& overlay, GroupTxn& txn, Changes& changes) {
  for (const auto& [key, value] : overlay.changes()) {
    if (value) {
      txn.put_entry(request.account, key, *value);
    } else {
      txn.erase_entry(request.account, key);
    }
  }
  for (const auto& [id, change] : overlay.blob_changes()) {
    if (change.before == change.now) continue;
    std::optional<BlobRow> row;
    if (change.before == 0) {  // came with this body
      row = request.places[static_cast<std::size_t>(id) - static_cast<std::size_t>(request.ids.front())];
      changes.live[row->segment] += static_cast<std::int64_t>(row->length);
    } else {
      RELAIS_TRY(row, txn.blob(id));
      RELAIS_CHECK(row.has_value());  // the overlay saw it in this very group
    }
    row->references = change.now;
    if (change.now != 0) {
      txn.put_blob(id, *row);
    } else {
      changes.live[row->segment] -= static_cast<std::int64_t>(row->length);
      txn.erase_blob(id);
    }
  }
  changes.any |= !overlay.changes().empty() || !overlay.blob_changes().empty();
  changes.events.insert(changes.events.end(), overlay.events().begin(), overlay.events().end());
  return {};
}

Result<void> Committer::apply_moves(CommitRequest& request, GroupTxn& txn, Changes& changes) {
  for (const auto& move : request.moves) {
    RELAIS_TRY(auto row, txn.blob(move.blob));
    if (!row || !row->same_place(move.from)) continue;  // released or moved meanwhile: the copy is dead
    auto to = move.to;
    to.references = row->references;
    txn.put_blob(move.blob, to);
    changes.live[move.from.segment] -= static_cast<std::int64_t>(move.from.length);
    changes.live[to.segment] += static_cast<std::int64_t>(to.length);
    changes.any = true;
  }
  return {};
}

void Committer::apply_drop(CommitRequest& request, GroupTxn& txn, Changes& changes) {
  const auto row = parts_.segments.row(*request.drop);
  const auto change = changes.live.find(*request.drop);
  const auto live = row ? static_cast<std::int64_t>(row->live) + (change == changes.live.end() ? 0 : change->second) : 0;
  if (!row || live != 0 || *request.drop == writer_.segment()) {
    request.result = fail(Fault::refused, "segment is in use", {}, std::to_string(live) + " octets live");
    return;
  }
  txn.erase_segment(*request.drop);
  changes.live.erase(*request.drop);
  changes.dropped.push_back(*request.drop);
  changes.any = true;
}

/// Step 2.
Result<void> Committer::make_durable(GroupTxn& txn, const Changes& changes, bool ids) {
  for (const auto& [segment, row] : rows_after(changes)) txn.put_segment(segment, row);
  if (ids) txn.put_next_blob(next_blob_);
  JournalRows rows;
  txn.write(rows);
  const bool journaled = group_octets_ <= kJournaledOctets;
  if (journaled)
    for (const auto& place : octets_places_) rows.add_octets(place.segment, place.offset, place.length);
  RELAIS_TRY_VOID(journal_.append(version_ + 1, rows.finish(),
                                  journaled ? std::span<const std::string_view>(octets_) : std::span<const std::string_view>(), roomy()));
  ++version_;
  return {};
}

void Committer::published(const Changes& changes) {
  for (const auto& [segment, row] : rows_after(changes)) parts_.segments.set(segment, row);
  for (const auto segment : changes.dropped) parts_.segments.erase(segment);
  std::unique_lock lock(mutex_);
  const auto& listener = listener_;  // set once, before the first transaction
  lock.unlock();
  if (listener)
    for (const auto& event : changes.events) listener(event);
}

/// The rows of every segment that the group wrote to, or whose live octets changed.
std::map<std::uint32_t, SegmentRow> Committer::rows_after(const Changes& changes) const {
  std::map<std::uint32_t, SegmentRow> rows;
  const auto before = [this](std::uint32_t segment) {
    return parts_.segments.row(segment).value_or(SegmentRow{.length = kFileHeaderSize});
  };
  for (const auto& [segment, length] : writer_.touched()) {
    rows[segment] = before(segment);
    rows[segment].length = length;
  }
  for (const auto& [segment, live] : changes.live) {
    const auto [row, fresh] = rows.try_emplace(segment);
    if (fresh) row->second = before(segment);
    const auto most = static_cast<std::int64_t>(row->second.length - kFileHeaderSize);
    row->second.live = static_cast<std::uint64_t>(std::clamp(static_cast<std::int64_t>(row->second.live) + live, std::int64_t{0}, most));
  }
  return rows;
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
