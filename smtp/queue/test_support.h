// For tests of the queue: a world with a clock of its own, in which other servers are functions.
#pragma once

#include "smtp/queue/queue.h"
#include "storage/engine/memory_engine.h"
#include "storage/engine/resumption.h"

#include <boost/asio/co_spawn.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::queue::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// What a fake server does with a message, and how long it takes.
struct FakeReply {
  Outcome outcome;
  milliseconds takes{10};
};

/// One thing that came about at a destination.
struct Sent {
  std::int64_t time = 0;  ///< milliseconds since the epoch
  std::string destination;
  std::string trace_id;
  std::string sender;
  std::string address;
  Disposition disposition = Disposition::relayed;
  std::string content{};  ///< of reports alone
};

/// The first events alone: a test of 100,000 messages is about the queue's memory, not the log's.
class FirstEvents final : public TraceLog {
 public:
  void add(TraceEvent event) override {
    if (events_.size() < kKept) events_.push_back(std::move(event));
  }
  const std::vector<TraceEvent>& events() const noexcept { return events_; }

 private:
  static constexpr std::size_t kKept = 10'000;
  std::vector<TraceEvent> events_;
};

/// A clock, a loop turned by hand, sleepers, engines in memory, and servers made of a function. One thread.
class World final : public Transport, public Router {
 public:
  explicit World(std::size_t shards = 1, QueueOptions options = {}, Rules rules = {});
  /// With engines of the test's own.
  World(std::vector<storage::Engine*> engines, QueueOptions options, Rules rules);
  ~World() override;

  // ---- what servers do; set before anything is sent
  std::function<FakeReply(const std::string& destination, const Dispatch& dispatch)> serve;
  /// Where mail for an address goes, and how long it takes to find out; without it "mx:" and the domain.
  std::function<Result<std::string>(const std::string& address)> route;
  milliseconds route_takes{0};

  // ---- Transport, Router
  std::unique_ptr<Lane> lane(const std::string& destination, net::Loop& loop) override;
  net::Task<std::string> destination(std::string address) override;

  /// Resumes the caller after that time of this world.
  net::asio::awaitable<void> sleep(milliseconds time);
  /// Until nothing happens any more before that much time has passed, or `done` is true.
  void run_for(milliseconds time, const std::function<bool()>& done = {});
  /// Runs one call to its end, while the world goes on.
  template <class T>
  Result<T> run(net::Task<T> call) {
    std::optional<Result<T>> result;
    net::asio::co_spawn(loop.context(), std::move(call), [&result](std::exception_ptr thrown, Result<T> value) {
      if (thrown) std::rethrow_exception(thrown);
      result.emplace(std::move(value));
    });
    run_for(std::chrono::hours(1), [&result] { return result.has_value(); });
    return std::move(result).value();
  }
  /// A new queue over the same engines, as after a kill: nothing of the old one's memory stays.
  void restart();
  std::int64_t milliseconds_now() const;
  std::int64_t seconds_now() const { return milliseconds_now() / 1'000; }

  /// A message of some octets from sender@here.example for these addresses, each at the MX of its domain.
  NewMessage message(const std::string& trace_id, const std::vector<std::string>& addresses, std::string_view body = "body\r\n") const;
  Result<void> accept(NewMessage message) { return run(queue->accept(std::move(message))); }
  std::vector<Sent> sent_to(std::string_view address) const;
  /// All keys of all shards and the blobs with their counts: "0 M0000…" and "0 blob 1 2".
  std::vector<std::string> keys() const;
  bool empty() const { return keys().empty(); }

  ManualClock clock;
  net::Loop loop;
  std::vector<std::unique_ptr<storage::MemoryEngine>> memory;
  std::vector<storage::Engine*> engines;
  FirstEvents trace;
  QueueOptions options;
  Rules rules;
  std::unique_ptr<Queue> queue;
  std::vector<Sent> sent;
  bool keep_reports = true;
  std::map<std::string, std::uint32_t> open_lanes;  ///< by destination
  std::map<std::string, std::uint32_t> most_lanes;
  std::uint32_t all_lanes = 0;
  std::uint32_t most_all_lanes = 0;

 private:
  class FakeLane;
  void make_queue();
  bool turn();
  std::multimap<std::int64_t, storage::Resumption> sleepers_;  ///< by milliseconds since the epoch
  std::uint32_t draws_ = 0;
};

/// Outcomes for every recipient alike.
Outcome all(const Dispatch& dispatch, Disposition disposition, std::uint16_t code = 250, std::string text = "250 2.0.0 ok");
Outcome unreachable(const Dispatch& dispatch, std::string why = "connection timed out");

}  // namespace relais::smtp::queue::testing
