// How a coroutine waits for another thread and comes back on its own executor.
#pragma once

#include "net/task.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <functional>
#include <utility>
#include <vector>

namespace relais::storage {

namespace asio = boost::asio;

/// A suspended coroutine. It must be resumed once; its executor is kept running until then. Any thread.
class Resumption {
 public:
  Resumption(asio::any_io_executor executor, std::move_only_function<void()> resume)
      : executor_(executor), work_(std::move(executor)), resume_(std::move(resume)) {}

  /// Posts one resumption to its executor.
  static void post(Resumption one);
  /// Posts many: one post per executor, so that a group's waiters cost each event loop one wake-up. They resume in their order.
  static void post(std::vector<Resumption> many);

 private:
  asio::any_io_executor executor_;
  asio::executor_work_guard<asio::any_io_executor> work_;
  std::move_only_function<void()> resume_;
};

/// Suspends the calling coroutine and hands it to `start(Resumption)`, which passes it on to whoever resumes it; that may happen before
/// `start` returns. `start` must not throw and must not touch what the coroutine owns once it has passed the Resumption on.
template <class Start>
asio::awaitable<void> suspend(Start start) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  const auto initiate = [&executor, &start](auto handler) { start(Resumption(executor, std::move(handler))); };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(initiate, asio::use_awaitable);
}

}  // namespace relais::storage
