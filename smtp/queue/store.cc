// The queue's transactions: intake, ends of attempts, notices, and what admins do; and the reads of scheduler and lists.
#include "smtp/queue/store.h"

#include "base/encode.h"
#include "base/log.h"

#include <algorithm>
#include <map>
#include <set>

namespace relais::smtp::queue {
namespace {

using storage::BlobId;
using storage::KeyValue;
using storage::Reader;
using storage::Txn;

constexpr std::size_t kSeeksPerSnapshot = 1'000;  // then a fresh one: an old one keeps the engine from reusing space

class BlobContent final : public Content {
 public:
  BlobContent(const storage::Engine& engine, BlobId blob, std::uint64_t size) : engine_(engine), blob_(blob), size_(size) {}
  std::uint64_t size() const noexcept override { return size_; }
  net::Task<void> read(std::uint64_t offset, std::uint64_t length, std::string& into) override {
    return engine_.read_blob(blob_, offset, length, into);
  }

 private:
  const storage::Engine& engine_;
  const BlobId blob_;
  const std::uint64_t size_;
};

Result<std::optional<MessageRecord>> get_message(const Reader& reader, MessageId id) {
  RELAIS_TRY(const auto stored, reader.get(message_key(id)));
  if (!stored) return std::nullopt;
  RELAIS_TRY(auto record, decode_message(*stored));
  return record;
}

Result<std::optional<JobRecord>> get_job(const Reader& reader, MessageId id, std::string_view destination) {
  RELAIS_TRY(const auto stored, reader.get(job_key(id, destination)));
  if (!stored) return std::nullopt;
  RELAIS_TRY(auto record, decode_job(*stored));
  return record;
}

Position position_of(const JobRecord& job, MessageId id) { return {.priority = job.priority, .due = job.due, .id = id}; }

/// The first key in a range.
Result<std::optional<std::string>> first_key(const Reader& reader, const std::string& first, const std::string& last) {
  std::optional<std::string> found;
  RELAIS_TRY_VOID(reader.range(first, last, [&found](const KeyValue& entry) { return found.emplace(entry.key), false; }));
  return found;
}

/// What accept() writes, encoded before the transaction: the committer's thread only puts.
struct EncodedEntry {
  MessageId id = 0;
  std::string message;
  std::string trace;
  std::string check;
  struct Job {
    std::string key;
    std::string record;
    std::string place;  // schedule or held key
  };
  std::vector<Job> jobs;
};

EncodedEntry encode_entry(const Entry& entry) {
  EncodedEntry out{.id = entry.id,
                   .message = encode(entry.message),
                   .trace = trace_key(entry.message.trace_id, entry.id),
                   .check = check_key(entry.message.check, entry.id),
                   .jobs = {}};
  out.jobs.reserve(entry.jobs.size());
  for (const auto& [destination, job] : entry.jobs) {
    out.jobs.push_back({.key = job_key(entry.id, destination),
                        .record = encode(job),
                        .place = job.held ? held_key(entry.id, destination) : schedule_key(destination, position_of(job, entry.id))});
  }
  return out;
}

/// @param content  the id of its blob, whose reference is this message's from now on
Result<void> put_entry(Txn& txn, EncodedEntry& entry, BlobId content) {
  set_content(entry.message, content);
  RELAIS_TRY_VOID(txn.put(message_key(entry.id), entry.message));
  RELAIS_TRY_VOID(txn.put(entry.trace, {}));
  RELAIS_TRY_VOID(txn.put(entry.check, {}));
  for (const auto& job : entry.jobs) {
    RELAIS_TRY_VOID(txn.put(job.key, job.record));
    RELAIS_TRY_VOID(txn.put(job.place, {}));
  }
  return {};
}

/// Entries with their blobs, each content once.
struct EncodedEntries {
  explicit EncodedEntries(const std::vector<Entry>& from) {
    std::map<const storage::EncodedBlob*, std::size_t> known;
    for (const auto& entry : from) {
      entries.push_back(encode_entry(entry));
      const auto [at, fresh] = known.try_emplace(entry.content.get(), blobs.size());
      if (fresh) blobs.push_back(entry.content);
      blob_of.push_back(at->second);
      first.push_back(fresh);
    }
  }
  Result<void> put(Txn& txn, std::span<const BlobId> ids) {
    for (std::size_t i = 0; i < entries.size(); ++i) {
      const auto blob = ids[blob_of[i]];
      if (!first[i]) RELAIS_TRY_VOID(txn.retain_blob(blob));
      RELAIS_TRY_VOID(put_entry(txn, entries[i], blob));
    }
    return {};
  }
  static Result<void> discard(Txn& txn, std::span<const BlobId> ids) {
    for (const auto blob : ids) RELAIS_TRY_VOID(txn.release_blob(blob));
    return {};
  }

  std::vector<EncodedEntry> entries;
  std::vector<std::shared_ptr<const storage::EncodedBlob>> blobs;
  std::vector<std::size_t> blob_of;
  std::vector<bool> first;
};

/// Erases what only a message as a whole has.
Result<void> erase_message(Txn& txn, MessageId id, const MessageRecord& message) {
  RELAIS_TRY_VOID(txn.erase(message_key(id)));
  RELAIS_TRY_VOID(txn.erase(trace_key(message.trace_id, id)));
  RELAIS_TRY_VOID(txn.erase(check_key(message.check, id)));
  auto released = txn.release_blob(message.content);
  if (released || released.error().fault != Fault::corrupt) return released;
  // Its content is gone: a loss that the sender must be able to hear of, so the message may end all the same.
  log::event(log::Level::error, "queued message damaged", {{"id", message.trace_id}, {"detail", released.error().detail}});
  return {};
}

/// Erases a job; and its message's keys where it was the last one. @return whether it was
Result<bool> close_job(Txn& txn, const JobRef& ref, const JobRecord& job, MessageRecord& message, bool& forget) {
  RELAIS_TRY_VOID(txn.erase(job_key(ref.id, ref.destination)));
  RELAIS_TRY_VOID(txn.erase(job.held ? held_key(ref.id, ref.destination) : schedule_key(ref.destination, position_of(job, ref.id))));
  if (!job.once.empty()) {
    // An earlier job of that name may have left its own, where a recipient came back to a destination that had been done with.
    ForgetRecord record{.once = message.trace_id, .places = job.once};
    const auto key = forget_key(ref.id, ref.destination);
    RELAIS_TRY(const auto stored, txn.get(key));
    if (stored) {
      RELAIS_TRY(const auto earlier, decode_forget(*stored));
      record.places.insert(record.places.end(), earlier.places.begin(), earlier.places.end());
    }
    RELAIS_TRY_VOID(txn.put(key, encode(record)));
    forget = true;
  }
  if (message.open_jobs > 1) {
    --message.open_jobs;
    return false;
  }
  RELAIS_TRY_VOID(erase_message(txn, ref.id, message));
  return true;
}

bool knows(const JobRecord& job, std::string_view address) {
  return std::ranges::any_of(job.recipients,
                             [&](const RecipientRecord& one) { return one.address == address && one.state != RecipientState::failed; });
}

/// One change of a job, as a transaction's body.
class JobWork {
 public:
  JobWork(const JobUpdate& update, std::int64_t now) : update_(update), now_(now), reports_(update.reports) {}

  const std::vector<std::shared_ptr<const storage::EncodedBlob>>& blobs() const noexcept { return reports_.blobs; }

  Result<void> run(Txn& txn, std::span<const BlobId> ids) {
    change = {};
    message_.reset();
    const auto& ref = update_.job;
    RELAIS_TRY(auto job, get_job(txn, ref.id, ref.destination));
    if (!job) return EncodedEntries::discard(txn, ids);
    change.found = true;
    const auto before = position_of(*job, ref.id);
    RELAIS_TRY_VOID(take_outcomes(txn, *job));
    if (job->open()) {
      RELAIS_TRY_VOID(keep(txn, *job, before));
    } else {
      change.closed = true;
      RELAIS_TRY_VOID(load(txn));
      RELAIS_TRY(change.message_closed, close_job(txn, ref, *job, *message_, change.forget));
    }
    if (message_ && !change.message_closed) RELAIS_TRY_VOID(txn.put(message_key(ref.id), encode(*message_)));
    for (const auto& entry : update_.reports) {
      for (const auto& [destination, one] : entry.jobs) change.added.push_back({destination, position_of(one, entry.id)});
    }
    return reports_.put(txn, ids);
  }

  JobChange change;

 private:
  Result<void> load(Txn& txn) {
    if (message_) return {};
    RELAIS_TRY(auto record, get_message(txn, update_.job.id));
    if (!record) return fail(Fault::corrupt, "the queue is damaged", {}, "a job without a message");
    message_.emplace(std::move(*record));
    return {};
  }

  Result<void> take_outcomes(Txn& txn, JobRecord& job) {
    std::set<std::uint32_t> moved;
    std::vector<std::pair<const RecipientUpdate*, RecipientRecord>> moving;
    for (const auto& news : update_.recipients) {
      const auto recipient = std::ranges::find(job.recipients, news.number, &RecipientRecord::number);
      if (recipient == job.recipients.end() || recipient->state != RecipientState::open) continue;
      if (!news.moves.empty()) {
        moving.emplace_back(&news, *recipient);
        moved.insert(news.number);
        continue;
      }
      recipient->state = news.state;
      job.set_reply(*recipient, news.reply);
    }
    std::erase_if(job.recipients, [&moved](const RecipientRecord& one) { return moved.contains(one.number); });
    for (const auto& [news, recipient] : moving) {
      for (const auto& move : news->moves) RELAIS_TRY_VOID(move_to(txn, job, recipient, move));
    }
    for (const auto& once : update_.once) {
      if (std::ranges::find(job.once, once) == job.once.end()) job.once.push_back(once);
    }
    return {};
  }

  Result<void> move_to(Txn& txn, JobRecord& here, const RecipientRecord& recipient, const Move& move) {
    RELAIS_TRY_VOID(load(txn));
    RecipientRecord arriving = recipient;
    arriving.number = message_->next_recipient++;
    arriving.reply = 0;
    arriving.turns = static_cast<std::uint8_t>(std::min(recipient.turns + 1, 255));
    if (arriving.given.empty() && move.address != recipient.address) arriving.given = recipient.address;
    arriving.address = move.address;
    if (move.destination == update_.job.destination) {
      if (!knows(here, move.address)) here.recipients.push_back(std::move(arriving));
      return {};
    }
    const auto id = update_.job.id;
    RELAIS_TRY(auto there, get_job(txn, id, move.destination));
    if (there) {
      if (knows(*there, move.address)) return {};
    } else {
      there.emplace();
      there->due = now_;
      there->priority = here.priority;
      ++message_->open_jobs;
      RELAIS_TRY_VOID(txn.put(schedule_key(move.destination, position_of(*there, id)), {}));
      change.added.push_back({move.destination, position_of(*there, id)});
    }
    there->recipients.push_back(std::move(arriving));
    return txn.put(job_key(id, move.destination), encode(*there));
  }

  Result<void> keep(Txn& txn, JobRecord& job, const Position& before) {
    const auto& ref = update_.job;
    if (update_.over) {
      ++job.attempts;
      job.due = update_.due;
      if (!job.held) {
        RELAIS_TRY_VOID(txn.erase(schedule_key(ref.destination, before)));
        RELAIS_TRY_VOID(txn.put(schedule_key(ref.destination, position_of(job, ref.id)), {}));
        change.added.push_back({ref.destination, position_of(job, ref.id)});
      }
    }
    return txn.put(job_key(ref.id, ref.destination), encode(job));
  }

  const JobUpdate& update_;
  const std::int64_t now_;
  EncodedEntries reports_;
  std::optional<MessageRecord> message_;
};

/// What an admin does with one job. @return false where there was nothing to do
Result<bool> act_on(Txn& txn, const JobRef& ref, Action action, std::int64_t now, ActionChange& change) {
  RELAIS_TRY(auto job, get_job(txn, ref.id, ref.destination));
  if (!job) return false;
  const auto before = position_of(*job, ref.id);
  if (action == Action::drop) {
    RELAIS_TRY(auto message, get_message(txn, ref.id));
    if (!message) return fail(Fault::corrupt, "the queue is damaged", {}, "a job without a message");
    RELAIS_TRY(const bool last, close_job(txn, ref, *job, *message, change.forget));
    if (last) {
      ++change.result.messages;
    } else {
      RELAIS_TRY_VOID(txn.put(message_key(ref.id), encode(*message)));
    }
    return true;
  }
  const bool hold = action == Action::hold;
  if (hold ? job->held : job->held != (action == Action::release)) return false;
  RELAIS_TRY_VOID(txn.erase(job->held ? held_key(ref.id, ref.destination) : schedule_key(ref.destination, before)));
  job->held = hold;
  if (!hold) job->due = now;
  RELAIS_TRY_VOID(txn.put(hold ? held_key(ref.id, ref.destination) : schedule_key(ref.destination, position_of(*job, ref.id)), {}));
  RELAIS_TRY_VOID(txn.put(job_key(ref.id, ref.destination), encode(*job)));
  if (!hold) change.added.push_back({ref.destination, position_of(*job, ref.id)});
  return true;
}

}  // namespace

QueueShard::QueueShard(storage::Engine& engine, std::uint16_t number, const Clock& clock)
    : engine_(engine), number_(number), clock_(clock) {}

Result<void> QueueShard::open(const std::function<void(std::string_view, const Position&)>& visit) {
  RELAIS_TRY(auto snapshot, engine_.read(kQueueAccount));
  std::uint64_t count = 0;
  RELAIS_TRY_VOID(snapshot->range("X", after_prefix("X"), [&count](const KeyValue&) { return ++count, true; }));
  messages_ = count;
  for (const char family : {'M', 'F'}) {
    RELAIS_TRY(const auto last, snapshot->last_in(std::string(1, family), after_prefix(std::string(1, family))));
    if (last && last->first.size() >= 9) last_id_ = std::max(last_id_.load(), Decoder(std::string_view(last->first).substr(1, 8)).u64());
  }

  const auto end = after_prefix(schedule_begin());
  auto at = schedule_begin();
  for (std::size_t seeks = 1;; ++seeks) {
    if (seeks % kSeeksPerSnapshot == 0) {
      snapshot.reset();
      RELAIS_TRY(snapshot, engine_.read(kQueueAccount));
    }
    RELAIS_TRY(const auto key, first_key(*snapshot, at, end));
    if (!key) return {};
    const auto entry = parse_schedule_key(*key);
    if (!entry) {
      log::event(log::Level::error, "queue entry damaged", {{"shard", number_}});
      at = *key + '\0';
      continue;
    }
    visit(entry->destination, entry->position);
    const auto next_class = static_cast<PriorityClass>(entry->position.priority + 1);
    at = next_class < kPriorityClasses ? schedule_key(entry->destination, {.priority = next_class}) : schedule_after(entry->destination);
  }
}

MessageId QueueShard::next_id() noexcept {
  const auto now = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now().time_since_epoch()).count();
  auto last = last_id_.load(std::memory_order_relaxed);
  MessageId next = 0;
  do {
    next = std::max(last + 1, static_cast<MessageId>(std::max<std::int64_t>(now, 1)));
  } while (!last_id_.compare_exchange_weak(last, next, std::memory_order_relaxed));
  return next;
}

net::Task<void> QueueShard::accept(const std::vector<Entry>& entries) {
  EncodedEntries encoded(entries);
  const auto body = [&encoded](Txn& txn, std::span<const BlobId> ids) { return encoded.put(txn, ids); };
  RELAIS_CO_TRY_VOID(co_await engine_.transact(kQueueAccount, encoded.blobs, body));
  messages_.fetch_add(entries.size(), std::memory_order_relaxed);
  co_return Result<void>{};
}

net::Task<JobChange> QueueShard::update(const JobUpdate& update) {
  JobWork work(update, clock_.seconds());
  const auto body = [&work](Txn& txn, std::span<const BlobId> ids) { return work.run(txn, ids); };
  RELAIS_CO_TRY_VOID(co_await engine_.transact_along(kQueueAccount, work.blobs(), body));
  if (work.change.found) messages_.fetch_add(update.reports.size(), std::memory_order_relaxed);
  if (work.change.message_closed) messages_.fetch_sub(1, std::memory_order_relaxed);
  co_return std::move(work.change);
}

net::Task<bool> QueueShard::update(const CheckUpdate& update) {
  EncodedEntries reports(update.reports);
  bool found = false;
  const auto body = [&](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
    RELAIS_TRY(auto message, get_message(txn, update.id));
    found = message.has_value();
    if (!found) return EncodedEntries::discard(txn, ids);
    RELAIS_TRY_VOID(txn.erase(check_key(message->check, update.id)));
    message->check = update.check;
    if (update.delay_told) message->delay_at = 0;
    message->by_told = message->by_told || update.by_told;
    RELAIS_TRY_VOID(txn.put(check_key(message->check, update.id), {}));
    RELAIS_TRY_VOID(txn.put(message_key(update.id), encode(*message)));
    return reports.put(txn, ids);
  };
  RELAIS_CO_TRY_VOID(co_await engine_.transact(kQueueAccount, reports.blobs, body));
  if (found) messages_.fetch_add(update.reports.size(), std::memory_order_relaxed);
  co_return found;
}

net::Task<ActionChange> QueueShard::act(const std::vector<JobRef>& jobs, Action action) {
  ActionChange change;
  const auto now = clock_.seconds();
  const auto body = [&](Txn& txn, std::span<const BlobId>) -> Result<void> {
    change = {};
    for (const auto& job : jobs) {
      RELAIS_TRY(const bool done, act_on(txn, job, action, now, change));
      if (!done) continue;
      ++change.result.jobs;
      change.changed.push_back(job);
    }
    return {};
  };
  RELAIS_CO_TRY_VOID(co_await engine_.transact(kQueueAccount, {}, body));
  messages_.fetch_sub(change.result.messages, std::memory_order_relaxed);
  co_return change;
}

net::Task<void> QueueShard::forgotten(const std::vector<JobRef>& jobs) {
  const auto body = [&jobs](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto& job : jobs) RELAIS_TRY_VOID(txn.erase(forget_key(job.id, job.destination)));
    return {};
  };
  co_return co_await engine_.transact(kQueueAccount, {}, body);
}

Result<std::optional<LoadedJob>> QueueShard::load(MessageId id, std::string_view destination) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  RELAIS_TRY(auto job, get_job(*snapshot, id, destination));
  if (!job) return std::nullopt;
  RELAIS_TRY(auto message, get_message(*snapshot, id));
  if (!message) return fail(Fault::corrupt, "the queue is damaged", {}, "a job without a message");
  return LoadedJob{std::move(*message), std::move(*job)};
}

Result<std::optional<MessageRecord>> QueueShard::message(MessageId id) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  return get_message(*snapshot, id);
}

Result<std::vector<std::pair<std::string, JobRecord>>> QueueShard::jobs(MessageId id) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  std::vector<std::pair<std::string, JobRecord>> out;
  Result<void> decoded;
  const auto prefix = job_key(id, {});
  RELAIS_TRY_VOID(snapshot->range(prefix, after_prefix(prefix), [&](const KeyValue& entry) {
    auto job = decode_job(entry.value);
    if (job) {
      out.emplace_back(entry.key.substr(prefix.size()), std::move(*job));
    } else {
      decoded = fail(std::move(job).error());
    }
    return decoded.has_value();
  }));
  RELAIS_TRY_VOID(decoded);
  return out;
}

Result<std::vector<MessageId>> QueueShard::by_trace_id(std::string_view trace_id) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  std::vector<MessageId> out;
  const auto prefix = "T" + std::string(trace_id) + '\0';
  RELAIS_TRY_VOID(snapshot->range(prefix, after_prefix(prefix), [&](const KeyValue& entry) {
    if (const auto id = parse_trace_key(entry.key)) out.push_back(*id);
    return true;
  }));
  return out;
}

Result<DueJobs> QueueShard::due(std::string_view destination, const Position& from, std::int64_t until, std::size_t limit) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  DueJobs found;
  const auto last = schedule_key(destination, {.priority = static_cast<PriorityClass>(from.priority + 1)});
  RELAIS_TRY_VOID(snapshot->range(schedule_key(destination, from), last, [&](const KeyValue& entry) {
    const auto parsed = parse_schedule_key(entry.key);
    if (!parsed) return true;
    if (parsed->position.due > until || found.jobs.size() >= limit) {
      found.next = parsed->position;
      return false;
    }
    found.jobs.push_back(parsed->position);
    return true;
  }));
  return found;
}

Result<std::vector<CheckEntry>> QueueShard::checks(std::int64_t first, std::int64_t last, std::size_t limit) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  std::vector<CheckEntry> out;
  RELAIS_TRY_VOID(snapshot->range(check_key(first, 0), check_key(last + 1, 0), [&](const KeyValue& entry) {
    if (const auto check = parse_check_key(entry.key)) out.push_back(*check);
    return out.size() < limit;
  }));
  return out;
}

Result<std::vector<std::pair<JobRef, ForgetRecord>>> QueueShard::forgets(std::size_t limit) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  std::vector<std::pair<JobRef, ForgetRecord>> out;
  RELAIS_TRY_VOID(snapshot->range("F", after_prefix("F"), [&](const KeyValue& entry) {
    const auto name = parse_job_key(entry.key);
    auto record = decode_forget(entry.value);
    if (name && record) {
      out.emplace_back(JobRef{name->id, std::string(name->destination)}, std::move(*record));
    } else {  // the others are forgotten all the same
      log::event(log::Level::error, "queue entry damaged", {{"shard", number_}, {"key", to_hex(entry.key)}});
    }
    return out.size() < limit;
  }));
  return out;
}

Result<std::optional<JobRef>> QueueShard::walk(const JobRef& after, std::size_t limit,
                                               const std::function<bool(const JobRef&, const LoadedJob&)>& visit) const {
  RELAIS_TRY(const auto snapshot, engine_.read(kQueueAccount));
  std::optional<JobRef> stopped;
  JobRef at = after;
  LoadedJob loaded;
  MessageId message = 0;
  std::size_t seen = 0;
  RELAIS_TRY_VOID(snapshot->range(job_key(after.id, after.destination) + '\0', after_prefix("J"), [&](const KeyValue& entry) {
    const auto name = parse_job_key(entry.key);
    if (!name) return true;
    if (seen == limit) {
      stopped = at;
      return false;
    }
    ++seen;
    at = {name->id, std::string(name->destination)};
    auto job = decode_job(entry.value);
    if (job && message != name->id) {
      auto record = get_message(*snapshot, name->id);
      if (record && *record) {
        loaded.message = std::move(**record);
        message = name->id;
      } else {
        job = record ? fail(Fault::corrupt, "the queue is damaged", {}, "a job without a message") : fail(std::move(record).error());
      }
    }
    if (!job) {  // the others are shown all the same
      log::event(log::Level::error, "queue entry damaged", {{"shard", number_}, {"id", name->id}, {"detail", job.error().detail}});
      return true;
    }
    loaded.job = std::move(*job);
    if (visit(at, loaded)) return true;
    stopped = at;
    return false;
  }));
  return stopped;
}

std::shared_ptr<Content> QueueShard::content(const MessageRecord& message) const {
  return std::make_shared<BlobContent>(engine_, message.content, message.size);
}

}  // namespace relais::smtp::queue
