// A bounded pool of threads for what would block or hog an event loop.
#pragma once

#include "net/task.h"

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>

namespace relais::net {

/// Threads that run plain functions: password hashing, compression, parsing of large messages.
/// A full queue is an answer: Fault::temporary. Threads: any.
class WorkerPool {
 public:
  /// @param threads 0 means one per processor  @param max_queued waiting jobs beyond which run() refuses
  WorkerPool(unsigned threads, std::size_t max_queued);
  ~WorkerPool();  ///< finishes what is queued, joins

  /// Finishes the jobs that run and joins; those that are queued, and later ones, get Fault::temporary. Afterwards the callers' io_contexts
  /// may end before the pool, and so may what the jobs worked on. Idempotent; not from a worker.
  void stop();

  /// Runs `job` on a worker and resumes the caller on its own executor with the job's Result<T>.
  /// What the job throws is thrown here again. Lifetime: the caller's io_context outlives the pool, or its stop().
  template <class F, class R = std::invoke_result_t<F>>
  asio::awaitable<R> run(F job) {
    std::optional<R> result;
    std::exception_ptr thrown;
    auto work = [&] {
      try {
        result.emplace(job());
      } catch (...) {
        thrown = std::current_exception();  // rethrown below, on the caller's thread
      }
    };
    auto accepted = co_await submit(work);
    if (!accepted) co_return std::unexpected(std::move(accepted).error());
    if (thrown) std::rethrow_exception(thrown);
    co_return std::move(*result);
  }

 private:
  /// Resumes when the function has run, or with Fault::temporary at once.
  Task<void> submit(std::function<void()> job);
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::net
