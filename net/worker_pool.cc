// Worker threads and the way back to the caller's executor.
#include "net/worker_pool.h"

#include "base/metrics.h"

#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

namespace relais::net {
namespace {

using Handler = asio::async_result<asio::use_awaitable_t<>, void(Result<void>)>::handler_type;

Result<void> too_busy() { return fail(Fault::temporary, "too busy, try again later", "", "worker queue full or closed"); }

struct Job {
  std::function<void()> function;
  Handler handler;
  asio::any_io_executor executor;  ///< keeps the caller's context from running out of work meanwhile

  void resume(Result<void> result) && {
    // Once the function is posted the caller may be done, and its context gone: what is left here must not count as work of it.
    const auto to = asio::prefer(executor, asio::execution::outstanding_work.untracked);
    asio::post(to, [keep = std::move(executor), handler_ = std::move(handler), result_ = std::move(result)]() mutable {
      std::move(handler_)(std::move(result_));
    });
  }
};

}  // namespace

struct WorkerPool::Impl {
  explicit Impl(std::size_t limit) : max_queued(limit) {}

  void work() {
    for (;;) {
      std::unique_lock lock(mutex);
      wake.wait(lock, [this] { return ending || !queue.empty(); });
      if (queue.empty()) return;
      Job job = std::move(queue.front());
      queue.pop_front();
      lock.unlock();
      depth.add(-1);
      job.function();
      std::move(job).resume({});
    }
  }

  void end() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    wake.notify_all();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }

  const std::size_t max_queued;
  metrics::Gauge& depth = metrics::gauge("relais_net_worker_queue_jobs", "jobs that wait for a worker thread");
  metrics::Counter& refused = metrics::counter("relais_net_worker_refused_total", "jobs refused because the worker queue was full");
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Job> queue;  // guarded by mutex, as is ending
  bool ending = false;
  std::vector<std::thread> threads;
};

WorkerPool::WorkerPool(unsigned threads, std::size_t max_queued) : impl_(std::make_unique<Impl>(max_queued)) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < threads; ++i) impl_->threads.emplace_back([impl = impl_.get()] { impl->work(); });
}

WorkerPool::~WorkerPool() { impl_->end(); }

void WorkerPool::stop() {
  std::deque<Job> queued;
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->ending = true;
    queued.swap(impl_->queue);
  }
  impl_->depth.add(-static_cast<std::int64_t>(queued.size()));
  for (auto& job : queued) std::move(job).resume(too_busy());
  impl_->end();
}

Task<void> WorkerPool::submit(std::function<void()> job) {
  auto initiate = [impl = impl_.get(), function = std::move(job)](auto&& handler) mutable {
    auto executor = asio::prefer(asio::get_associated_executor(handler), asio::execution::outstanding_work.tracked);
    Job queued{std::move(function), std::forward<decltype(handler)>(handler), std::move(executor)};
    {
      const std::lock_guard lock(impl->mutex);
      if (impl->queue.size() < impl->max_queued && !impl->ending) {
        impl->queue.push_back(std::move(queued));
        impl->depth.add(1);
        impl->wake.notify_one();
        return;
      }
    }
    impl->refused.add();
    std::move(queued).resume(too_busy());
  };
  return asio::async_initiate<const asio::use_awaitable_t<>, void(Result<void>)>(std::move(initiate), asio::use_awaitable);
}

}  // namespace relais::net
