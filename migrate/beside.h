// One coroutine beside another: to read while what was read before is written.
#pragma once

#include "net/completion.h"
#include "net/task.h"

#include <boost/asio/co_spawn.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace relais::migrate {

/// Runs a task beside its owner, on the same thread. The owner joins before it ends: what the task works on is the owner's.
/// Threads: the executor's. Where the io_context goes down, both coroutines are destroyed wherever they are.
class Beside {
 public:
  explicit Beside(net::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  /// Not while one runs.
  void start(net::Task<void> task) {
    auto shared = std::make_shared<Shared>();
    auto waiter = std::make_shared<Waiter>();
    shared_ = shared;
    waiter_ = waiter;
    net::asio::co_spawn(executor_, std::move(task), [shared, waiter](std::exception_ptr thrown, Result<void> result) {
      shared->outcome.emplace(Outcome{std::move(thrown), std::move(result)});
      if (auto resumed = std::exchange(waiter->completion, std::nullopt)) std::move(*resumed).resume(true);
    });
  }

  /// Waits for the task's end. @return its result; a value where none was started since the last join. What it has thrown is thrown here.
  net::Task<void> join() {
    const auto shared = std::exchange(shared_, nullptr);
    if (!shared) co_return Result<void>{};
    if (!shared->outcome) {
      auto wait = [waiter = waiter_](net::Completion<bool> completion) {
        if (const auto there = waiter.lock()) there->completion.emplace(std::move(completion));
      };
      co_await net::suspended<bool>(std::move(wait));
    }
    if (shared->outcome->thrown) std::rethrow_exception(shared->outcome->thrown);
    co_return std::move(shared->outcome->result);
  }

 private:
  struct Outcome {
    std::exception_ptr thrown;
    Result<void> result;
  };
  struct Shared {
    std::optional<Outcome> outcome;
  };
  /// Held by the task alone: were it held by the owner, whom it holds, neither would ever go.
  struct Waiter {
    std::optional<net::Completion<bool>> completion;
  };

  net::asio::any_io_executor executor_;
  std::shared_ptr<Shared> shared_;
  std::weak_ptr<Waiter> waiter_;
};

}  // namespace relais::migrate
