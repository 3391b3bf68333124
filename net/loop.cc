// Event loops and the threads that run them.
#include "net/loop.h"

#include "base/check.h"
#include "net/loop_impl.h"

#include <boost/asio/post.hpp>

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>

namespace relais::net {
namespace {

thread_local Loop* current_loop = nullptr;

/// After a graceful stop's limit every connection is closed; this is what their sessions get to notice and end.
constexpr std::chrono::seconds kForcedCloseLimit{2};

}  // namespace

LoopMember::LoopMember(Loop::Impl& loop) : loop_(loop), next_(loop.members) {
  if (next_ != nullptr) next_->previous_ = this;
  loop_.members = this;
  loop_.connections.fetch_add(1, std::memory_order_relaxed);
}

LoopMember::~LoopMember() {
  loop_.disarm(*this);
  (previous_ != nullptr ? previous_->next_ : loop_.members) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  const auto before = loop_.connections.fetch_sub(1, std::memory_order_release);
  if (before == 1 && loop_.on_empty) loop_.on_empty();
}

std::unique_ptr<char[]> BufferPool::take() {
  if (free_.empty()) return std::make_unique_for_overwrite<char[]>(kSize);
  auto buffer = std::move(free_.back());
  free_.pop_back();
  return buffer;
}

void BufferPool::give(std::unique_ptr<char[]> buffer) {
  if (free_.size() < kKept) free_.push_back(std::move(buffer));
}

Loop::Impl::Impl(Loop& owner) : self(owner), wheel(std::chrono::steady_clock::now()) { poller.attach(context); }

Loop::Impl::~Impl() {
  on_empty = nullptr;
  poller.abandon();
}

void Loop::Impl::arm(LoopMember& member, Deadline deadline) {
  wheel.arm(member, deadline);
  const auto latest = deadline + 2 * DeadlineWheel::kTick;
  if (latest < timer_at) start_timer(latest);
}

void Loop::Impl::start_timer(DeadlineWheel::Time at) {
  timer_at = at;
  timer.expires_at(at);
  timer.async_wait([this](const boost::system::error_code& error) {
    if (!error) on_timer();
  });
}

void Loop::Impl::on_timer() {
  timer_at = DeadlineWheel::Time::max();
  const auto now = std::chrono::steady_clock::now();
  while (auto* entry = wheel.expire_one(now)) {
    static_cast<LoopMember*>(entry)->on_deadline();  // nothing else is armed
  }
  if (const auto next = wheel.next_due(); next && *next < timer_at) start_timer(*next + DeadlineWheel::kTick);
}

void Loop::Impl::begin_shutdown() {
  shutting_down.store(true, std::memory_order_relaxed);
  for (auto* member = members; member != nullptr; member = member->next_) member->on_shutdown();
}

void Loop::Impl::force_close() {
  for (auto* member = members; member != nullptr; member = member->next_) member->on_force_close();
}

Loop::Loop() {
  // Writes to a closed peer give EPIPE; OpenSSL's own writes cannot ask for that per call.
  static const auto ignored = std::signal(SIGPIPE, SIG_IGN);
  static_cast<void>(ignored);
  impl_ = std::make_unique<Impl>(*this);
}

Loop::~Loop() = default;

asio::io_context& Loop::context() noexcept { return impl_->context; }
asio::any_io_executor Loop::executor() noexcept { return impl_->context.get_executor(); }
void Loop::post(std::function<void()> f) { asio::post(impl_->context, std::move(f)); }

void Loop::run() {
  auto* const before = std::exchange(current_loop, this);
  impl_->context.run();
  current_loop = before;
}

bool Loop::step(bool wait) {
  auto* const before = std::exchange(current_loop, this);
  const auto count = wait ? impl_->context.run_one() : impl_->context.poll_one();
  current_loop = before;
  return count > 0;
}

void Loop::stop() { impl_->context.stop(); }
Loop* Loop::current() noexcept { return current_loop; }
void Loop::begin_shutdown() { impl_->begin_shutdown(); }
bool Loop::shutting_down() const noexcept { return impl_->shutting_down.load(std::memory_order_relaxed); }
std::size_t Loop::connections() const noexcept { return impl_->connections.load(std::memory_order_acquire); }

struct LoopPool::Impl {
  std::vector<std::unique_ptr<Loop>> loops;
  std::vector<std::thread> threads;
  std::atomic<std::size_t> turn{0};
  std::mutex mutex;
  std::condition_variable ended;

  bool all_ended() const {
    return std::ranges::all_of(loops, [](const auto& loop) { return loop->connections() == 0; });
  }
  void join() {
    for (auto& loop : loops) loop->stop();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }
};

LoopPool::LoopPool(unsigned threads) : impl_(std::make_unique<Impl>()) {
  if (threads == 0) threads = std::max(1U, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < threads; ++i) impl_->loops.push_back(std::make_unique<Loop>());
}

LoopPool::~LoopPool() { impl_->join(); }

std::size_t LoopPool::size() const noexcept { return impl_->loops.size(); }
Loop& LoopPool::at(std::size_t i) { return *impl_->loops.at(i); }
Loop& LoopPool::next() { return *impl_->loops[impl_->turn.fetch_add(1, std::memory_order_relaxed) % impl_->loops.size()]; }

void LoopPool::start() {
  RELAIS_CHECK(impl_->threads.empty());
  for (auto& loop : impl_->loops) impl_->threads.emplace_back([&loop = *loop] { loop.run(); });
}

bool LoopPool::shutdown(std::chrono::milliseconds limit) {
  auto& pool = *impl_;
  const auto wait = [&pool](std::chrono::milliseconds at_most) {
    std::unique_lock lock(pool.mutex);
    return pool.ended.wait_for(lock, at_most, [&pool] { return pool.all_ended(); });
  };
  for (auto& loop : pool.loops)
    loop->post([&pool, &loop = *loop] {
      loop.impl().on_empty = [&pool] {
        const std::lock_guard lock(pool.mutex);  // pairs with the check in wait: no wake-up is lost
        pool.ended.notify_all();
      };
      loop.begin_shutdown();
      if (loop.connections() == 0) loop.impl().on_empty();  // the last one ended before it knew whom to tell
    });
  bool graceful = true;
  if (!pool.threads.empty() && !wait(limit)) {
    graceful = false;
    for (auto& loop : pool.loops) loop->post([&loop = *loop] { loop.impl().force_close(); });
    wait(kForcedCloseLimit);
  }
  pool.join();
  return graceful;
}

}  // namespace relais::net
