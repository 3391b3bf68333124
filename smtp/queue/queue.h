// The queue: what was accepted and is not yet where it belongs.
#pragma once

#include "base/clock.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/worker_pool.h"
#include "smtp/queue/admin.h"
#include "smtp/queue/message.h"
#include "smtp/queue/rules.h"
#include "smtp/queue/transport.h"
#include "smtp/trace/log.h"
#include "storage/engine.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/store.h"

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace relais::smtp::queue {

struct QueueOptions {
  std::string hostname = "localhost";                   ///< in reports, as Reporting-MTA
  std::chrono::seconds lifetime{5 * 24 * 3600};         ///< after it what is left fails (RFC 5321 §4.5.4.1: 4-5 days)
  std::chrono::seconds report_lifetime{5 * 24 * 3600};  ///< the same for our own notices
  std::chrono::seconds delay_notice{4 * 3600};          ///< the sender hears that it takes longer; 0: never
  std::uint32_t connections = 500;                      ///< to others, in all
  std::uint64_t full_report = 64 * 1024;           ///< octets of a message up to which a failure report may bring it back whole (RET=FULL)
  std::chrono::milliseconds storage_pause{1'000};  ///< before an outcome that could not be recorded is tried to be recorded again
  std::chrono::milliseconds poll{1'000};           ///< between looks at what time has made due: notices, expiry, delivery ids
  /// Draws a number in [0, 1). Threads: any. Empty: the machine's randomness.
  std::function<double()> random{};
};

/// What the queue works with. All of it outlives the Queue.
struct QueueParts {
  std::vector<storage::Engine*> shards;  ///< at least one; in the order of their numbers
  Transport& transport;
  Router& router;                   ///< where reports go
  storage::Store* store = nullptr;  ///< to forget delivery ids; null where the transport delivers nowhere locally
  TraceLog& trace = no_trace();
  const Clock& clock = system_clock();
};

/// The durable queue and all that works on it.
///
/// Threads: any, but for start(), stop(), open() and work(), which one thread calls in turn; coroutines resume on their callers' executors.
/// Durability: a value means fsynced. Errors of all calls: Fault::temporary and Fault::corrupt as the engines say ("STORAGE_FULL",
///   "READ_ONLY"); Fault::refused, code "NONEXISTENT", for an id that is none.
/// Lifetime: stop() has returned, and the loops run no coroutine of it any more, before it goes.
class Queue {
 public:
  Queue(QueueParts parts, QueueOptions options, Rules rules = {});
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  /// All or nothing, in one transaction: several messages are those of one content under different reverse-paths. Attempts begin at once.
  /// May be called before start(). Fault::refused, code "5.5.4", where a field is not as NewMessage asks.
  net::Task<void> accept(std::vector<NewMessage> messages);
  net::Task<void> accept(NewMessage message);
  /// Would accept() take a message now? At least one shard must be writable.
  Result<void> writable() const;

  /// Finds destinations and counts messages: seconds for millions. Blocks: at start-up, before start().
  Result<void> open();
  /// Attempts and notices on the loops of the pool, from now on.
  void start(net::LoopPool& loops);
  /// No further attempt begins; those under way go on. @return true once none is (call again until then)
  bool stop();
  /// For tests that turn the loop themselves, in place of start(): starts what is due now on this loop. @return when to call again at the
  /// latest (Clock::now of QueueParts)
  std::chrono::system_clock::time_point work(net::Loop& loop);

  /// New limits, from the next connection on.
  void set_rules(Rules rules);

  // ---- for admins
  /// @param after  JobPage::next of the page before, or empty   @param limit jobs, at most
  net::Task<JobPage> list(Filter filter, std::string after, std::size_t limit);
  /// By trace id or queue id; several where messages share the trace id.
  net::Task<std::vector<ShownMessage>> show(std::string id);
  /// On every job that fits, in steps of some hundred each of which is durable: a large one that is cut short has done a part.
  net::Task<ActionResult> apply(Filter filter, Action action);
  /// Why something is still here, in sentences: by address (sender or recipient), trace id, queue id, or destination.
  net::Task<std::vector<std::string>> why(std::string what);
  /// With something to send, in trouble, or connected. At most `limit`, the longest shut first.
  std::vector<ShownDestination> destinations(std::size_t limit) const;
  /// The placement of an account has changed: all that waits for it ("account:NUMBER") is tried at once.
  net::Task<void> release_account(std::uint64_t account);
  /// A route or a legacy platform has changed: the destination's gate opens, and all that waits for it is due at once, but what is held.
  /// In steps as apply().
  net::Task<void> release_destination(std::string destination);

  /// Messages in the queue, and attempts under way.
  std::uint64_t messages() const;
  std::uint64_t active() const;

  struct Impl;

 private:
  std::shared_ptr<Impl> impl_;
};

struct QueueStorageOptions {
  std::filesystem::path path;  ///< of the platform's data: shards lie in path/queue/q000, q001, …
  unsigned shards = 1;         ///< 1 to 100. More than there are makes the missing ones; fewer are opened all the same while they hold mail
  net::WorkerPool* pool = nullptr;
  storage::LmdbOptions engine{};  ///< of each shard; path and pool are those above
};

/// Opens the queue's shards as those of mailboxes are (storage/engine/lmdb_engine.h), recovering what a crash left. Blocks.
Result<std::vector<std::unique_ptr<storage::Engine>>> open_queue_shards(QueueStorageOptions options);

}  // namespace relais::smtp::queue
