// A bounded pool of threads for what would block or hog an event loop.
#pragma once

#include "net/task.h"

#include <functional>
#include <optional>
#include <memory>
#include <type_traits>

namespace relais::net {

/// Threads that run plain functions: password hashing, compression, parsing of large messages.
/// A full queue is an answer: Fault::temporary. Threads: any.
class WorkerPool {
 public:
  /// @param threads 0 means one per processor  @param max_queued waiting jobs beyond which run() refuses
  WorkerPool(unsigned threads, std::size_t max_queued);
  ~WorkerPool();  ///< finishes what is queued, joins

  /// Runs `job` on a worker and resumes the caller on its own executor with the job's Result<T>.
  /// Takes the job by value: a lambda bound to a name, never a temporary that holds references to one.

  template <class F, class R = std::invoke_result_t<F>>
  asio::awaitable<R> run(F job) {
    std::optional<R> result;
    auto accepted = co_await submit([&] { result.emplace(job()); });
    if (!accepted) co_return std::unexpected(std::move(accepted).error());
    co_return std::move(*result);
  }

 private:
  /// Resumes when the function has run, or with Fault::temporary at once.
  Task<void> submit(std::function<void()> job);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::net
