// 100,000 queued messages to 200 destinations need the memory of some hundred.
#include "smtp/queue/queue.h"
#include "smtp/queue/scheduler.h"
#include "smtp/queue/test_support.h"
#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"

#include <gtest/gtest.h>

#include <malloc.h>

#include <fstream>

namespace relais::smtp::queue {
namespace {

using namespace testing;
using namespace std::chrono_literals;

/// Octets of the heap in use: what the mapped files hold is the page cache's.
std::size_t heap() { return ::mallinfo2().uordblks + ::mallinfo2().hblkhd; }

net::asio::awaitable<void> accept_many(Queue& queue, std::shared_ptr<const storage::EncodedBlob> content, int first, int last, int step,
                                       int& left) {
  for (int i = first; i < last; i += step) {
    NewMessage message;
    message.trace_id = std::to_string(i);
    message.sender = "sender@here.example";
    message.content = content;
    const auto domain = "d" + std::to_string(i % 200) + ".test";
    message.recipients.push_back({.address = "u@" + domain, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + domain});
    const auto accepted = co_await queue.accept(std::move(message));
    EXPECT_TRUE(accepted) << accepted.error().detail;
  }
  --left;
}

TEST(QueueMemory, IsFlat) {
  storage::testing::TempFolder folder;
  net::WorkerPool pool(1, 100);
  storage::LmdbOptions options;
  options.path = folder.path() / "q000";
  options.pool = &pool;
  options.min_free = 0;
  options.map_size = 1ULL << 32;
  options.journal_size = 1 << 20;
  {
    auto engine = storage::open_lmdb_engine(options).value();
    World world({engine.get()}, {}, {});
    world.serve = [](const std::string&, const Dispatch& dispatch) { return FakeReply{unreachable(dispatch), 1ms}; };
    world.keep_reports = false;
    const auto content = storage::make_blob({}, storage::encode_chunks(storage::testing::text(2'000, 1)));
    std::size_t after_ten_thousand = 0;
    for (int begin = 0; begin < 100'000; begin += 10'000) {
      int left = 200;
      for (int k = 0; k < 200; ++k) {
        net::asio::co_spawn(world.loop.context(), accept_many(*world.queue, content, begin + k, begin + 10'000, 200, left),
                            net::asio::detached);
      }
      while (left != 0) {
        world.loop.step(true);
        (void)world.queue->work(world.loop);
      }
      if (begin == 0) after_ten_thousand = heap();
    }
    EXPECT_EQ(world.queue->messages() + world.sent.size() - world.sent.size(), 100'000U);
    const auto after_all = heap();
    std::printf("heap: %zu KB with 10,000 messages, %zu KB with 100,000\n", after_ten_thousand / 1024, after_all / 1024);
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
    EXPECT_LT(after_all, after_ten_thousand + (24U << 20U)) << "the journal's table in memory may be at another point";
#endif
    EXPECT_LE(world.queue->destinations(1'000).size(), 200U);
  }
  // And the next process finds its way through them.
  auto engine = storage::open_lmdb_engine(options).value();
  const auto before = heap();
  World world({engine.get()}, {}, {});
  EXPECT_EQ(world.queue->messages(), 100'000U);
  EXPECT_EQ(world.queue->destinations(1'000).size(), 200U);
#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
  EXPECT_LT(heap(), before + (4U << 20U));
#endif
  (void)before;
}

}  // namespace
}  // namespace relais::smtp::queue
