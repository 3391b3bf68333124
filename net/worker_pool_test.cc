// The worker pool: results come back to the caller's thread, the queue is bounded.
#include "net/worker_pool.h"

#include "net/signals.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

#include <csignal>
#include <future>

namespace relais::net {
namespace {

using Number = Result<int>;

TEST(WorkerPool, RunsElsewhereAndResumesHere) {
  LoopPool loops(1);
  loops.start();
  WorkerPool pool(2, 10);
  auto caller = [&]() -> asio::awaitable<int> {
    const auto here = std::this_thread::get_id();
    auto job = [here]() -> Number { return std::this_thread::get_id() == here ? 0 : 42; };
    auto result = co_await pool.run(job);
    EXPECT_TRUE(std::this_thread::get_id() == here);
    co_return result.value();
  };
  EXPECT_EQ(run_on(loops.at(0), caller()), 42);
}

TEST(WorkerPool, ErrorsAndExceptionsComeBack) {
  LoopPool loops(1);
  loops.start();
  WorkerPool pool(1, 10);
  auto caller = [&]() -> asio::awaitable<Fault> {
    auto failing = []() -> Number { return fail(Fault::syntax, "no"); };
    auto result = co_await pool.run(failing);
    co_return result.error().fault;
  };
  EXPECT_EQ(run_on(loops.at(0), caller()), Fault::syntax);
  auto thrower = [&]() -> asio::awaitable<int> {
    auto throwing = []() -> Number { throw std::runtime_error("a job's bug"); };
    co_return (co_await pool.run(throwing)).value();
  };
  EXPECT_THROW(run_on(loops.at(0), thrower()), std::runtime_error);
}

TEST(WorkerPool, AFullQueueIsTemporary) {
  LoopPool loops(1);
  loops.start();
  std::promise<void> release;
  std::promise<void> started;
  auto released = release.get_future().share();
  WorkerPool pool(1, 2);
  auto slow = [&]() -> asio::awaitable<Number> {
    auto job = [&]() -> Number {
      started.set_value();
      released.wait();
      return 1;
    };
    co_return co_await pool.run(job);
  };
  auto quick = [&]() -> asio::awaitable<Number> {
    auto job = []() -> Number { return 2; };
    co_return co_await pool.run(job);
  };
  auto first = asio::co_spawn(loops.at(0).context(), slow(), asio::use_future);
  started.get_future().get();  // the worker is busy, the queue is empty
  auto second = asio::co_spawn(loops.at(0).context(), quick(), asio::use_future);
  auto third = asio::co_spawn(loops.at(0).context(), quick(), asio::use_future);
  auto fourth = asio::co_spawn(loops.at(0).context(), quick(), asio::use_future);
  const auto refused = fourth.get();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::temporary);
  release.set_value();
  EXPECT_EQ(first.get().value(), 1);
  EXPECT_EQ(second.get().value(), 2);
  EXPECT_EQ(third.get().value(), 2);
}

TEST(WorkerPool, AStopFinishesWhatRunsAndRefusesTheRest) {
  LoopPool loops(1);
  loops.start();
  std::promise<void> release;
  std::promise<void> started;
  WorkerPool pool(1, 10);
  auto run = [&](std::function<Number()> job) -> asio::awaitable<Number> { co_return co_await pool.run(std::move(job)); };
  auto running = asio::co_spawn(loops.at(0).context(), run([&]() -> Number {
                                  started.set_value();
                                  release.get_future().wait();
                                  return 1;
                                }),
                                asio::use_future);
  started.get_future().get();
  auto queued = asio::co_spawn(loops.at(0).context(), run([]() -> Number { return 2; }), asio::use_future);
  run_on(loops.at(0), []() -> asio::awaitable<int> { co_return 0; }());  // so that it is queued
  std::thread stopper([&] { pool.stop(); });
  EXPECT_EQ(queued.get().error().fault, Fault::temporary);
  release.set_value();
  EXPECT_EQ(running.get().value(), 1);
  stopper.join();
  const auto late = run_on(loops.at(0), run([]() -> Number { return 3; }));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().fault, Fault::temporary);
  pool.stop();
}

TEST(WorkerPool, ManyCallers) {
  LoopPool loops(2);
  loops.start();
  WorkerPool pool(3, 10'000);
  std::vector<std::future<int>> sums;
  auto caller = [&](int n) -> asio::awaitable<int> {
    int sum = 0;
    for (int i = 0; i < 200; ++i) {
      auto job = [n, i]() -> Number { return n + i; };
      sum += (co_await pool.run(job)).value();
    }
    co_return sum;
  };
  for (int n = 0; n < 20; ++n) sums.push_back(asio::co_spawn(loops.next().context(), caller(n), asio::use_future));
  for (int n = 0; n < 20; ++n) EXPECT_EQ(sums[static_cast<std::size_t>(n)].get(), 200 * n + 199 * 100);
}

TEST(Signals, CallWhatTheyStandFor) {
  Loop loop;
  std::string calls;
  const Signals signals(
      loop,
      [&] {
        calls += " stop";
        loop.stop();
      },
      [&] {
        calls += " reload";
        std::raise(calls == " reload" ? SIGHUP : SIGTERM);
      });
  std::raise(SIGPIPE);
  std::raise(SIGHUP);
  loop.run();
  EXPECT_EQ(calls, " reload reload stop");
}

}  // namespace
}  // namespace relais::net
