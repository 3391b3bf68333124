// The inside of the queue: shards, scheduler, and the coroutines that work on them.
#pragma once

#include "base/metrics.h"
#include "smtp/queue/intake.h"
#include "smtp/queue/notice.h"
#include "smtp/queue/queue.h"
#include "smtp/queue/scheduler.h"
#include "smtp/queue/store.h"

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace relais::smtp::queue {

struct QueueMetrics {
  QueueMetrics();
  metrics::Gauge& messages;
  metrics::Gauge& destinations;
  metrics::Gauge& troubled;
  metrics::Gauge& connections;
  metrics::Gauge& attempts;
  metrics::Counter& accepted;
  metrics::Counter& relayed;
  metrics::Counter& delivered;
  metrics::Counter& deferred;
  metrics::Counter& failed;
  metrics::Counter& notices;
  metrics::Counter& unrecorded;
  metrics::Counter& defects;
  metrics::Histogram& intake;
  metrics::Histogram& delay;
};

struct Queue::Impl : std::enable_shared_from_this<Queue::Impl> {
  Impl(QueueParts with, QueueOptions chosen, Rules first_rules);

  // ---- queue.cc
  static net::Task<void> accept(std::shared_ptr<Impl> self, std::vector<NewMessage> messages);
  Result<void> open();
  void run_on(std::function<net::Loop&()> pick);
  static net::asio::awaitable<void> pump(std::shared_ptr<Impl> self);
  /// Starts what is due. @return when to call again at the latest
  Instant work();
  /// Starts lanes that may start, and wakes those that rest and shall not.
  void kick();
  /// No lane begins; those that rest end.
  void halt();
  void publish(std::uint16_t shard, const std::vector<Scheduled>& added);
  void set_rules(Rules fresh);
  Rule rule_of(std::string_view destination) const;
  Instant now() const;
  std::int64_t seconds() const { return now() / 1'000; }
  double draw() const;
  std::string report_id(const std::string& trace_id) const;
  std::string shown_id(std::uint16_t shard, MessageId id) const;
  std::optional<std::pair<std::uint16_t, MessageId>> parse_id(std::string_view id) const;
  void trace_queued(const Entry& entry);

  // ---- lane.cc: attempts
  static net::asio::awaitable<void> run_lane(std::shared_ptr<Impl> self, Scheduler::Turn turn, net::Loop& loop);
  void look(Scheduler::Turn& turn, const ScanRequest& scan);
  struct Attempt;
  /// @return whether the lane takes another job
  net::asio::awaitable<bool> attempt(Scheduler::Turn& turn, Ticket ticket, Lane& lane);
  net::asio::awaitable<bool> send_in_parts(Attempt& attempt, Lane& lane);
  /// What is to be recorded, with its reports. Where these cannot be made for now and the queue is stopping, their recipients stay open.
  net::asio::awaitable<JobUpdate> conclude(Attempt& attempt, const Dispatch& dispatch, const Outcome& outcome, bool over);
  /// Until it is durable. Fault::corrupt where it never can be; any other where the queue is stopping.
  net::Task<JobChange> record(QueueShard& shard, const JobUpdate& update);
  /// @param kept  false: the job was dropped during the attempt, and nothing was recorded
  void account_for(const Attempt& attempt, const Dispatch& dispatch, const Outcome& outcome, const JobUpdate& update, bool kept);

  // ---- checks.cc: what the clock does
  static net::asio::awaitable<void> run_checks(std::shared_ptr<Impl> self, std::uint16_t shard);
  net::Task<void> check(QueueShard& shard, CheckEntry entry);
  net::Task<void> expire(QueueShard& shard, MessageId id, const MessageRecord& message, bool by_time);
  net::Task<void> tell_delay(QueueShard& shard, MessageId id, const MessageRecord& message, bool deliver_by);
  static net::asio::awaitable<void> run_forgets(std::shared_ptr<Impl> self, std::uint16_t shard);
  /// A report about the message, ready to be stored in the same shard; nullopt where it can be sent to nobody.
  net::Task<std::optional<Entry>> notice(QueueShard& shard, const MessageRecord& message,
                                         std::vector<message::ReportedRecipient> recipients);

  // ---- admin.cc
  struct Selected;
  bool fits(const Filter& filter, std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded, std::int64_t now) const;
  ShownJob shown(std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded) const;
  static net::Task<JobPage> list(std::shared_ptr<Impl> self, Filter filter, std::string after, std::size_t limit);
  static net::Task<std::vector<ShownMessage>> show(std::shared_ptr<Impl> self, std::string id);
  static net::Task<ActionResult> apply(std::shared_ptr<Impl> self, Filter filter, Action action);
  static net::Task<void> release(std::shared_ptr<Impl> self, std::string destination);
  static net::Task<std::vector<std::string>> why(std::shared_ptr<Impl> self, std::string what);
  net::Task<ActionResult> apply_to(QueueShard& shard, const std::vector<JobRef>& jobs, const std::vector<LoadedJob>& loaded, Action action);
  std::string explain(std::uint16_t shard, const JobRef& ref, const LoadedJob& loaded) const;
  Result<std::vector<std::pair<std::uint16_t, MessageId>>> find_messages(const std::string& id) const;

  // Constant after construction.
  const QueueParts parts;
  const QueueOptions options;
  const Lifetimes lifetimes;
  std::vector<std::unique_ptr<QueueShard>> shards;
  QueueMetrics metrics;
  Scheduler scheduler;

  /// The shard that the next message goes to first: the fewer committers are at work, the more messages share a sync.
  std::size_t choose_shard() const;
  /// By shard: messages that are being accepted.
  std::vector<std::unique_ptr<std::atomic<std::uint32_t>>> accepting;
  std::atomic<bool> stopping{false};

  /// What runs in the background for a shard: one coroutine of each kind.
  struct Background {
    std::atomic<bool> checking{false};
    std::atomic<bool> forgetting{false};
    std::atomic<bool> to_forget{true};        ///< delivery ids wait; at the start a crash may have left some
    std::atomic<std::int64_t> checked_to{0};  ///< seconds: every check before it is done
  };
  std::vector<std::unique_ptr<Background>> background;
  std::atomic<Instant> next_poll{0};

  mutable std::mutex mutex;
  std::shared_ptr<const Rules> rules;  // guarded by mutex, as is pick
  std::function<net::Loop&()> pick;    // empty until start() or work()
};

}  // namespace relais::smtp::queue
