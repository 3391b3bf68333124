// One coroutine beside another.
#include "migrate/beside.h"

#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/this_coro.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <stdexcept>
#include <string>

namespace relais::migrate {
namespace {

namespace asio = net::asio;

asio::awaitable<void> pause() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }

net::Task<void> count(std::string& out, int steps, Result<void> result) {
  for (int i = 0; i < steps; ++i) {
    co_await pause();
    out += 'b';
  }
  co_return result;
}

net::Task<void> throwing() {
  co_await pause();
  throw std::runtime_error("defect");
}

using Kept = std::optional<net::Completion<bool>>;

/// Waits for what is never told.
net::Task<void> silent(Kept& kept) {
  auto keep = [&kept](net::Completion<bool> completion) { kept.emplace(std::move(completion)); };
  co_await net::suspended<bool>(keep);
  co_return Result<void>{};
}

template <class Body>
void run(Body body) {
  asio::io_context context;
  asio::co_spawn(context, body(), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
  context.run();
}

TEST(Beside, RunsBesideAndIsJoined) {
  run([]() -> asio::awaitable<void> {
    Beside beside(co_await asio::this_coro::executor);
    EXPECT_TRUE(co_await beside.join()) << "none was started";
    for (const int steps : {0, 1, 100}) {
      std::string out;
      beside.start(count(out, steps, {}));
      for (int i = 0; i < 5; ++i) co_await pause();
      out += 'a';
      EXPECT_TRUE(co_await beside.join());
      EXPECT_EQ(std::ranges::count(out, 'b'), steps);
      if (steps == 100) EXPECT_TRUE(out.starts_with('b') && out.ends_with('b')) << out;
    }
    std::string out;
    beside.start(count(out, 1, fail(Fault::temporary, "no")));
    const auto failed = co_await beside.join();
    EXPECT_FALSE(failed);
    EXPECT_TRUE(co_await beside.join()) << "told once";
  });
}

TEST(Beside, ThrowsWhatWasThrown) {
  run([]() -> asio::awaitable<void> {
    Beside beside(co_await asio::this_coro::executor);
    beside.start(throwing());
    bool thrown = false;
    try {
      static_cast<void>(co_await beside.join());
    } catch (const std::runtime_error&) {
      thrown = true;
    }
    EXPECT_TRUE(thrown);
  });
}

// Everything goes down with the context, wherever it stands; leaks are the sanitizer's to find.
TEST(Beside, GoesDownWithItsContext) {
  for (int steps = 0; steps < 12; ++steps) {
    std::string out;
    asio::io_context context;
    Kept kept;  // goes first
    auto body = [&]() -> asio::awaitable<void> {
      Beside beside(co_await asio::this_coro::executor);
      beside.start(count(out, 2, {}));
      co_await pause();
      EXPECT_TRUE(co_await beside.join());
      beside.start(silent(kept));
      static_cast<void>(co_await beside.join());
      ADD_FAILURE() << "nobody has told it";
    };
    asio::co_spawn(context, body(), asio::detached);
    int done = 0;
    while (done < steps && context.poll_one() != 0) ++done;
    if (done < steps) EXPECT_TRUE(kept) << "all have come as far as they can";
  }
}

}  // namespace
}  // namespace relais::migrate
