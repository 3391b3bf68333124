// A place where one coroutine waits to be woken. Internal to net/.
#pragma once

#include "net/stream.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <optional>
#include <utility>

namespace relais::net {

/// Holds the handler of one suspended coroutine; no allocation. Threads: one.
class WaitSlot {
 public:
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(Wake)>::handler_type;

  bool waiting() const noexcept { return handler_.has_value(); }
  /// Resumes the waiter later.
  void post(Wake wake) {
    auto handler = take();
    if (!handler) return;
    auto executor = asio::get_associated_executor(*handler);
    asio::post(executor, [waiter = std::move(*handler), wake]() mutable { std::move(waiter)(wake); });
  }
  /// Destroying what it returns destroys the coroutine.
  std::optional<Handler> take() noexcept { return std::exchange(handler_, std::nullopt); }

  /// Suspends the calling coroutine until it is resumed, at once (but not inside this call) where `ready()` gives a Wake.
  template <class Ready>
  asio::awaitable<Wake> wait(Ready ready) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(Wake)>(
        [this, ready](auto&& handler) {
          // Calling the handler here, inside the initiation, is not allowed.
          handler_.emplace(std::forward<decltype(handler)>(handler));
          if (const std::optional<Wake> wake = ready()) post(*wake);
        },
        asio::use_awaitable);
  }

 private:
  std::optional<Handler> handler_;
};

}  // namespace relais::net
