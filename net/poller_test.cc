// Readiness of sockets: who waits is woken, whoever else waits.
#include "net/poller.h"

#include "net/loop_impl.h"

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include <array>

#include <sys/socket.h>
#include <unistd.h>

namespace relais::net {
namespace {

// One reads from a TLS stream and has to send for it, the other writes.
TEST(Watch, TwoMayWaitForTheSameSocketToTakeOctets) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  Watch watch(loop.impl().poller, ends[0]);
  std::array<char, 4096> block{};
  while (::send(ends[0], block.data(), block.size(), 0) > 0) {
  }
  watch.filled();

  int woken = 0;
  auto waiter = [&]() -> asio::awaitable<void> {
    EXPECT_EQ(co_await watch.wait_writable(), Wake::ready);
    ++woken;
  };
  asio::co_spawn(loop.context(), waiter(), asio::detached);
  asio::co_spawn(loop.context(), waiter(), asio::detached);
  while (loop.step(false)) {
  }
  EXPECT_EQ(woken, 0);

  while (::recv(ends[1], block.data(), block.size(), 0) > 0) {
  }
  while (woken == 0) loop.step(true);
  EXPECT_EQ(woken, 2);
  ::close(ends[1]);
}

TEST(Watch, BothAreToldThatItIsClosed) {
  Loop loop;
  std::array<int, 2> ends{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends.data()), 0);
  Watch watch(loop.impl().poller, ends[0]);
  watch.drained();
  int woken = 0;
  auto waiter = [&]() -> asio::awaitable<void> {
    EXPECT_EQ(co_await watch.wait_readable(), Wake::cancelled);
    ++woken;
  };
  asio::co_spawn(loop.context(), waiter(), asio::detached);
  asio::co_spawn(loop.context(), waiter(), asio::detached);
  while (loop.step(false)) {
  }
  watch.close();
  while (woken < 2) loop.step(true);
  ::close(ends[1]);
}

}  // namespace
}  // namespace relais::net
