// Posts suspended coroutines back to their executors, together where they share one.
#include "storage/engine/resumption.h"

#include <boost/asio/post.hpp>

#include <algorithm>

namespace relais::storage {
namespace {

/// Resumes in order. A coroutine that throws out of its resumption (a bug that the loop's owner reports) must not take the others with it:
/// they are posted again first.
class Batch {
 public:
  explicit Batch(asio::any_io_executor executor) : executor_(std::move(executor)) {}
  const asio::any_io_executor& executor() const noexcept { return executor_; }
  void add(asio::executor_work_guard<asio::any_io_executor> work, std::move_only_function<void()> resume) {
    work_.push_back(std::move(work));
    resumes_.push_back(std::move(resume));
  }

  void operator()() {
    while (next_ < resumes_.size()) {
      auto resume = std::move(resumes_[next_++]);
      try {
        resume();
      } catch (...) {
        const auto executor = executor_;
        asio::post(executor, std::move(*this));
        throw;
      }
    }
  }

 private:
  asio::any_io_executor executor_;
  std::vector<asio::executor_work_guard<asio::any_io_executor>> work_;
  std::vector<std::move_only_function<void()>> resumes_;
  std::size_t next_ = 0;
};

}  // namespace

// Each post holds work of its own until it is through: else the loop could end, and be destroyed, while this thread is still waking it.

void Resumption::post(Resumption one) {
  const auto executor = one.executor_;
  const auto work = asio::make_work_guard(executor);
  asio::post(executor, [kept = std::move(one.work_), resume = std::move(one.resume_)]() mutable { resume(); });
}

void Resumption::post(std::vector<Resumption> many) {
  std::vector<Batch> batches;  // as many as there are event loops: a linear search is the quickest
  for (auto& one : many) {
    auto batch = std::ranges::find(batches, one.executor_, &Batch::executor);
    if (batch == batches.end()) batch = batches.insert(batches.end(), Batch(one.executor_));
    batch->add(std::move(one.work_), std::move(one.resume_));
  }
  for (auto& batch : batches) {
    const auto executor = batch.executor();
    const auto work = asio::make_work_guard(executor);
    asio::post(executor, std::move(batch));
  }
}

}  // namespace relais::storage
