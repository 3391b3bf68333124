// A task that goes on by itself, while somebody waits for it no longer than until a deadline.
#pragma once

#include "net/task.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace relais::migrate {

/// Starts at construction. One thread's: that of the executor. What the task uses outlives it: whoever has given up waiting waits for the
/// end all the same (finished()) before that goes.
template <class T>
class Pending {
 public:
  Pending(const net::asio::any_io_executor& executor, net::Task<T> task) : state_(std::make_shared<State>(executor)) {
    net::asio::co_spawn(executor, std::move(task), [state = state_](std::exception_ptr thrown, Result<T> result) {
      state->thrown = thrown;
      state->result.emplace(std::move(result));
      state->timer.expires_at(net::Deadline::min());  // also where the wait has not begun yet
    });
  }

  /// @return false at the deadline; the task goes on
  net::asio::awaitable<bool> until(net::Deadline deadline) {
    const auto state = state_;
    if (!state->result) {
      state->timer.expires_at(deadline);
      boost::system::error_code ignored;
      co_await state->timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, ignored));
    }
    co_return state->result.has_value();
  }
  net::asio::awaitable<void> finished() {
    while (!co_await until(net::Deadline::max())) {
    }
  }
  /// After until() has said true, once. What the task has thrown is thrown here.
  Result<T> take() {
    if (state_->thrown) std::rethrow_exception(state_->thrown);
    return std::move(*state_->result);
  }

 private:
  struct State {
    explicit State(const net::asio::any_io_executor& executor) : timer(executor) {}
    net::asio::steady_timer timer;
    std::optional<Result<T>> result;
    std::exception_ptr thrown;
  };
  std::shared_ptr<State> state_;
};

}  // namespace relais::migrate
