// A place where coroutines wait to be woken. Internal to net/.
#pragma once

#include "base/check.h"
#include "net/stream.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace relais::net {

/// Holds the handlers of suspended coroutines; no allocation. There are two at most: who reads from a TLS stream and who writes to it may
/// both have to wait for the socket to take octets (RFC 8446 §4.6.3: an update of keys is answered while reading). Threads: one.
class WaitSlot {
 public:
  using Handler = asio::async_result<asio::use_awaitable_t<>, void(Wake)>::handler_type;
  using Handlers = std::array<std::optional<Handler>, 2>;

  bool waiting() const noexcept { return std::ranges::any_of(handlers_, &std::optional<Handler>::has_value); }
  /// Resumes the waiters later.
  void post(Wake wake) {
    for (auto& handler : take()) {
      if (!handler) continue;
      auto executor = asio::get_associated_executor(*handler);
      asio::post(executor, [waiter = std::move(*handler), wake]() mutable { std::move(waiter)(wake); });
    }
  }
  /// Destroying what it returns destroys the coroutines.
  Handlers take() noexcept { return {std::exchange(handlers_[0], std::nullopt), std::exchange(handlers_[1], std::nullopt)}; }

  /// Suspends the calling coroutine until it is resumed, at once (but not inside this call) where `ready()` gives a Wake.
  template <class Ready>
  asio::awaitable<Wake> wait(Ready ready) {
    return asio::async_initiate<const asio::use_awaitable_t<>, void(Wake)>(
        [this, ready](auto&& handler) {
          // Calling the handler here, inside the initiation, is not allowed.
          auto& place = handlers_[0] ? handlers_[1] : handlers_[0];
          RELAIS_CHECK(!place);
          place.emplace(std::forward<decltype(handler)>(handler));
          if (const std::optional<Wake> wake = ready()) post(*wake);
        },
        asio::use_awaitable);
  }

 private:
  Handlers handlers_;
};

}  // namespace relais::net
