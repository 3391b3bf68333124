// One shard of the queue: its durable keys over a storage engine, one transaction per change.
#pragma once

#include "base/clock.h"
#include "net/task.h"
#include "smtp/queue/admin.h"
#include "smtp/queue/record.h"
#include "smtp/queue/transport.h"
#include "storage/engine.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::smtp::queue {

/// A message ready to be stored.
struct Entry {
  MessageId id = 0;
  MessageRecord message;
  std::vector<std::pair<std::string, JobRecord>> jobs;  ///< by destination, each once
  std::shared_ptr<const storage::EncodedBlob> content;
};

/// A schedule entry that a change has made.
struct Scheduled {
  std::string destination;
  Position position;
};

struct JobRef {
  MessageId id = 0;
  std::string destination;
  friend auto operator<=>(const JobRef&, const JobRef&) = default;
};

struct RecipientUpdate {
  std::uint32_t number = 0;
  RecipientState state = RecipientState::open;
  ReplyRecord reply{};
  std::vector<Move> moves{};  ///< not empty: it goes on there, and leaves this job
};

/// What an attempt, or the passing of time, has made of a job.
struct JobUpdate {
  JobRef job;
  std::vector<RecipientUpdate> recipients{};
  bool over = true;      ///< the attempt has ended: counted, and what is open is due again at …
  std::int64_t due = 0;  ///< … this time
  std::vector<OnceRecord> once{};
  std::vector<Entry> reports{};  ///< stored in the same transaction
};

struct JobChange {
  bool found = false;           ///< false: somebody dropped it meanwhile; nothing was changed, no report was stored
  bool closed = false;          ///< nothing of the job is open any more
  bool message_closed = false;  ///< nor of its message: all its keys are gone
  bool forget = false;          ///< delivery ids wait to be forgotten
  std::vector<Scheduled> added{};
};

/// What the clock has made of a message.
struct CheckUpdate {
  MessageId id = 0;
  std::int64_t check = 0;  ///< when to look again
  bool delay_told = false;
  bool by_told = false;
  std::vector<Entry> reports{};
};

struct ActionChange {
  ActionResult result;
  bool forget = false;
  std::vector<Scheduled> added{};
  std::vector<JobRef> changed{};
};

/// A job with its message.
struct LoadedJob {
  MessageRecord message;
  JobRecord job;
};

/// What a look at a destination's schedule found.
struct DueJobs {
  std::vector<Position> jobs;    ///< due, ascending
  std::optional<Position> next;  ///< where to go on: the first that is not among them; none: there is nothing behind
};

/// Threads: any. Durability, errors: as Engine; Fault::corrupt also where a record cannot be decoded.
/// Lifetime: the engine outlives it; it outlives the tasks it gave.
class QueueShard {
 public:
  QueueShard(storage::Engine& engine, std::uint16_t number, const Clock& clock);
  QueueShard(const QueueShard&) = delete;
  QueueShard& operator=(const QueueShard&) = delete;

  /// Calls `visit` with the first schedule entry of each destination and priority class, by skipping through the keys: a look-up each,
  /// however many jobs there are. Also counts messages. Blocks; before anything else.
  Result<void> open(const std::function<void(std::string_view destination, const Position& first)>& visit);

  /// Ascending, never given twice by this process, and not while a message of that id is there.
  MessageId next_id() noexcept;

  // ---- changes: each is one transaction
  /// All or nothing. Entries with the same content pointer share its blob.
  net::Task<void> accept(const std::vector<Entry>& entries);
  /// Together with others, where more is to be expected: no client waits for it.
  net::Task<JobChange> update(const JobUpdate& update);
  /// @return false where the message is gone
  net::Task<bool> update(const CheckUpdate& update);
  net::Task<ActionChange> act(const std::vector<JobRef>& jobs, Action action);
  net::Task<void> forgotten(const std::vector<JobRef>& jobs);

  // ---- reads: each one snapshot
  Result<std::optional<LoadedJob>> load(MessageId id, std::string_view destination) const;
  Result<std::optional<MessageRecord>> message(MessageId id) const;
  /// Ascending by destination.
  Result<std::vector<std::pair<std::string, JobRecord>>> jobs(MessageId id) const;
  Result<std::vector<MessageId>> by_trace_id(std::string_view trace_id) const;
  /// Jobs of one destination and class from a position on that are due at `until`, at most `limit`.
  Result<DueJobs> due(std::string_view destination, const Position& from, std::int64_t until, std::size_t limit) const;
  /// Messages to be looked at, between the times, both included.
  Result<std::vector<CheckEntry>> checks(std::int64_t first, std::int64_t last, std::size_t limit) const;
  Result<std::vector<std::pair<JobRef, ForgetRecord>>> forgets(std::size_t limit) const;
  /// Calls `visit` with up to `limit` jobs behind `after` in the order of ids; it returns false to stop. @return where it stopped; nullopt
  /// at the end
  Result<std::optional<JobRef>> walk(const JobRef& after, std::size_t limit,
                                     const std::function<bool(const JobRef& job, const LoadedJob& loaded)>& visit) const;

  std::shared_ptr<Content> content(const MessageRecord& message) const;
  Result<void> writable() const { return engine_.writable(); }
  std::uint16_t number() const noexcept { return number_; }
  std::uint64_t messages() const noexcept { return messages_.load(std::memory_order_relaxed); }

 private:
  storage::Engine& engine_;
  const std::uint16_t number_;
  const Clock& clock_;
  std::atomic<MessageId> last_id_{0};
  std::atomic<std::uint64_t> messages_{0};
};

}  // namespace relais::smtp::queue
