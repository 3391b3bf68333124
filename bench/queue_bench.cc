// The queue over the embedded engine: messages taken and completed per second, both durable; and opening a large one. Runs in the folder of
// the environment variable RELAIS_BENCH_DIR, else in the temporary one: a file system in memory tells nothing.
#include "net/worker_pool.h"
#include "smtp/queue/queue.h"
#include "storage/engine/lmdb_engine.h"

#include <benchmark/benchmark.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <thread>

namespace relais::smtp::queue {
namespace {

std::string text(std::size_t size, unsigned seed) {
  std::string out = "Subject: benchmark\r\n\r\n";
  for (unsigned i = seed * 7919 + 1; out.size() < size; i = i * 1664525 + 1013904223)
    out += "word" + std::to_string(i % 4001) + (i % 11 == 0 ? "\r\n" : " ");
  out.resize(size);
  return out;
}

/// Servers that take everything at once.
class Sink final : public Transport, public Router {
 public:
  std::unique_ptr<Lane> lane(const std::string&, net::Loop&) override { return std::make_unique<SinkLane>(sent); }
  net::Task<std::string> destination(std::string) override { co_return "mx:here.example"; }
  std::atomic<std::uint64_t> sent{0};

 private:
  class SinkLane final : public Lane {
   public:
    explicit SinkLane(std::atomic<std::uint64_t>& sent) : sent_(sent) {}
    net::asio::awaitable<Outcome> send(const Dispatch& dispatch) override {
      Outcome outcome;
      std::string content;
      (void)co_await dispatch.content->read(0, dispatch.content->size(), content);
      outcome.recipients.assign(
          dispatch.recipients.size(),
          {.disposition = Disposition::relayed, .code = 250, .status = {}, .text = "250 2.0.0 ok", .host = "sink", .remote = true});
      sent_.fetch_add(1, std::memory_order_relaxed);
      co_return outcome;
    }
    net::asio::awaitable<void> close() override { co_return; }

   private:
    std::atomic<std::uint64_t>& sent_;
  };
};

struct Fixture {
  explicit Fixture(unsigned shards, bool sending = true) : loops(2) {
    const char* base = std::getenv("RELAIS_BENCH_DIR");
    std::string name =
        (std::filesystem::path(base != nullptr ? base : std::filesystem::temp_directory_path().string()) / "relais-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    path = name;
    open(shards);
    loops.start();
    if (sending) queue->start(loops);
  }
  void open(unsigned shards) {
    auto opened = open_queue_shards({.path = path, .shards = shards, .pool = &pool});
    if (!opened) throw std::runtime_error(opened.error().detail);
    engines = std::move(*opened);
    std::vector<storage::Engine*> plain;
    for (const auto& engine : engines) plain.push_back(engine.get());
    Rule rule;
    rule.messages_per_connection = 100'000;
    rule.initial_concurrency = 20;
    queue = std::make_unique<Queue>(QueueParts{.shards = plain, .transport = sink, .router = sink}, QueueOptions{},
                                    Rules(rule, Rules::local_rule(), {}));
    if (auto found = queue->open(); !found) throw std::runtime_error(found.error().detail);
  }
  ~Fixture() {
    while (!queue->stop()) std::this_thread::yield();
    (void)loops.shutdown(std::chrono::seconds(5));
    queue.reset();
    engines.clear();
    std::filesystem::remove_all(path);
  }
  std::filesystem::path path;
  net::WorkerPool pool{2, 1000};
  net::LoopPool loops;
  Sink sink;
  std::vector<std::unique_ptr<storage::Engine>> engines;
  std::unique_ptr<Queue> queue;
};

net::asio::awaitable<void> take(Fixture& fixture, std::shared_ptr<const storage::EncodedBlob> content, int writer, std::uint64_t count,
                                int destinations, std::atomic<std::uint64_t>& accepted) {
  for (std::uint64_t i = 0; i < count; ++i) {
    NewMessage message;
    message.trace_id = std::to_string(writer) + "-" + std::to_string(i);
    message.sender = "sender@here.example";
    message.content = content;
    const auto domain = "d" + std::to_string((i + static_cast<std::uint64_t>(writer)) % static_cast<std::uint64_t>(destinations)) + ".test";
    message.recipients.push_back({.address = "u@" + domain, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + domain});
    if (!co_await fixture.queue->accept(std::move(message))) throw std::runtime_error("accept");
    accepted.fetch_add(1, std::memory_order_relaxed);
  }
}

/// Accept and complete: shards, sessions at a time, destinations.
void BM_AcceptComplete(benchmark::State& state) {
  const auto sessions = static_cast<int>(state.range(1));
  const auto destinations = static_cast<int>(state.range(2));
  const auto content = storage::make_blob("Received: x\r\n", storage::encode_chunks(text(4'000, 1)));
  std::uint64_t done = 0;
  Fixture fixture(static_cast<unsigned>(state.range(0)));
  for (auto _ : state) {
    constexpr std::uint64_t kEach = 50;
    std::atomic<std::uint64_t> accepted{0};
    const auto total = kEach * static_cast<std::uint64_t>(sessions);
    const auto before = fixture.sink.sent.load();
    for (int writer = 0; writer < sessions; ++writer) {
      net::asio::co_spawn(fixture.loops.next().context(), take(fixture, content, writer, kEach, destinations, accepted),
                          net::asio::detached);
    }
    while (fixture.sink.sent.load() < before + total || fixture.queue->messages() != 0)
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    done += total;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
}
BENCHMARK(BM_AcceptComplete)
    ->Args({1, 64, 20})
    ->Args({1, 256, 20})
    ->Args({2, 256, 20})
    ->Args({1, 256, 1})
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

/// Intake alone.
void BM_Accept(benchmark::State& state) {
  const auto sessions = static_cast<int>(state.range(1));
  const auto content = storage::make_blob("Received: x\r\n", storage::encode_chunks(text(4'000, 1)));
  std::uint64_t done = 0;
  Fixture fixture(static_cast<unsigned>(state.range(0)), false);
  for (auto _ : state) {
    constexpr std::uint64_t kEach = 50;
    std::atomic<std::uint64_t> accepted{0};
    const auto total = kEach * static_cast<std::uint64_t>(sessions);
    for (int writer = 0; writer < sessions; ++writer) {
      net::asio::co_spawn(fixture.loops.next().context(), take(fixture, content, writer, kEach, 200, accepted), net::asio::detached);
    }
    while (accepted.load() < total) std::this_thread::sleep_for(std::chrono::microseconds(200));
    done += total;
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(done));
}
BENCHMARK(BM_Accept)->Args({1, 256})->Args({2, 256})->UseRealTime()->Unit(benchmark::kMillisecond);

/// Opening a queue of so many messages to 200 destinations, engine included.
void BM_Open(benchmark::State& state) {
  Fixture fixture(1, false);
  // Small ones: it is the keys that count.
  const auto content = storage::make_blob({}, storage::encode_chunks("Subject: x\r\n\r\nx\r\n"));
  std::atomic<std::uint64_t> accepted{0};
  const auto total = static_cast<std::uint64_t>(state.range(0));
  for (int writer = 0; writer < 500; ++writer) {
    net::asio::co_spawn(fixture.loops.next().context(), take(fixture, content, writer, total / 500, 200, accepted), net::asio::detached);
  }
  while (accepted.load() < total / 500 * 500) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  for (auto _ : state) {
    state.PauseTiming();
    fixture.queue.reset();
    fixture.engines.clear();
    state.ResumeTiming();
    fixture.open(1);
  }
  state.counters["messages"] = static_cast<double>(fixture.queue->messages());
}
BENCHMARK(BM_Open)->Arg(100'000)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(1);

}  // namespace
}  // namespace relais::smtp::queue

BENCHMARK_MAIN();
