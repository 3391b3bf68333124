// Runs several coroutines of one kind at a time and waits for all of them.
#pragma once

#include "net/task.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>
#include <exception>
#include <memory>

namespace relais::smtp {

/// What the coroutines of one for_each_at_once() share. They all run on the thread of the caller's loop.
struct Gathering {
  explicit Gathering(const net::asio::any_io_executor& executor) : done(executor, net::asio::steady_timer::time_point::max()) {}
  std::size_t next = 0;
  std::size_t running = 0;
  std::exception_ptr thrown;
  net::asio::steady_timer done;  ///< never expires; cancelled by the last one
};

template <class F>
net::asio::awaitable<void> gather_some(std::shared_ptr<Gathering> gathering, std::size_t count, F& each) {
  while (gathering->next < count && !gathering->thrown) co_await each(gathering->next++);
}

/// Calls `co_await each(i)` for i in [0, count), at most `at_once` of them at a time, and returns when all have ended.
/// An exception of one ends the others after what they are at, and is rethrown here.
///
/// `each` is a callable that lives in the caller's frame, and returns awaitable<void>. One thread: the caller's.
template <class F>
net::asio::awaitable<void> for_each_at_once(std::size_t count, std::size_t at_once, F& each) {
  if (count == 1) {
    co_await each(0);
    co_return;
  }
  const auto executor = co_await net::asio::this_coro::executor;
  const auto gathering = std::make_shared<Gathering>(executor);
  const auto width = count < at_once ? count : at_once;
  for (std::size_t i = 0; i < width; ++i) {
    ++gathering->running;
    auto ended = [gathering](std::exception_ptr thrown) {
      if (thrown) gathering->thrown = thrown;
      if (--gathering->running == 0) gathering->done.cancel();
    };
    net::asio::co_spawn(executor, gather_some(gathering, count, each), std::move(ended));
  }
  while (gathering->running != 0) {
    boost::system::error_code cancelled;
    co_await gathering->done.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
  }
  if (gathering->thrown) std::rethrow_exception(gathering->thrown);
}

}  // namespace relais::smtp
