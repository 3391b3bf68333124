// Suspends a coroutine until another thread has its value. Internal to net/ and to what does its own hand-over.
#pragma once

#include "net/task.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>

namespace relais::net {

/// A suspended coroutine that waits for a T. To be resumed once, from any thread; destroying it destroys the coroutine.
/// Lifetime: the coroutine's io_context outlives it.
template <class T>
class Completion {
 public:
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(T)>::handler_type;

  /// @param handler as async_initiate gives it
  explicit Completion(Handler handler)
      : handler_(std::move(handler)),
        executor_(asio::prefer(asio::get_associated_executor(handler_), asio::execution::outstanding_work.tracked)) {}

  /// The coroutine goes on, on its own executor, with the value.
  void resume(T value) && {
    // Once the function is posted the coroutine may be done, and its context gone: what is left here must not count as work of it.
    const auto to = asio::prefer(executor_, asio::execution::outstanding_work.untracked);
    asio::post(to, [keep = std::move(executor_), handler = std::move(handler_), v = std::move(value)]() mutable {
      std::move(handler)(std::move(v));
    });
  }

 private:
  Handler handler_;
  asio::any_io_executor executor_;  ///< keeps the coroutine's context from running out of work meanwhile
};

/// Suspends the calling coroutine and gives it to `start(Completion<T>)`, which may resume it at once.
template <class T, class Start>
asio::awaitable<T> suspended(Start start) {
  auto initiate = [start_ = std::move(start)](auto&& handler) mutable { start_(Completion<T>(std::forward<decltype(handler)>(handler))); };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(T)>(std::move(initiate), asio::use_awaitable);
}

}  // namespace relais::net
