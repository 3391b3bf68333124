// What a Loop consists of, for the other parts of net/. Internal to net/.
#pragma once

#include "net/deadline_wheel.h"
#include "net/loop.h"
#include "net/pipe_pool.h"
#include "net/poller.h"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace relais::net {

/// What lives on a Loop and is told of deadlines and of the end: a connection.
class LoopMember : private DeadlineWheel::Entry {
 public:
  explicit LoopMember(Loop::Impl& loop);
  virtual ~LoopMember();
  LoopMember(const LoopMember&) = delete;
  LoopMember& operator=(const LoopMember&) = delete;
  virtual void on_deadline() noexcept = 0;
  /// The graceful stop has begun.
  virtual void on_shutdown() noexcept = 0;
  /// The graceful stop has taken too long.
  virtual void on_force_close() noexcept = 0;

 protected:
  Loop::Impl& loop_;

 private:
  friend struct Loop::Impl;
  LoopMember* previous_ = nullptr;
  LoopMember* next_ = nullptr;
};

/// Read buffers that connections of one loop borrow while they have unconsumed octets.
class BufferPool {
 public:
  static constexpr std::size_t kSize = 64 * 1024;
  static constexpr std::size_t kKept = 16;  ///< free ones kept for the next
  std::unique_ptr<char[]> take();
  void give(std::unique_ptr<char[]> buffer);

 private:
  std::vector<std::unique_ptr<char[]>> free_;
};

struct Loop::Impl {
  explicit Impl(Loop& owner);
  ~Impl();

  void arm(LoopMember& member, Deadline deadline);
  void disarm(LoopMember& member) noexcept { wheel.disarm(member); }
  void begin_shutdown();
  void force_close();
  void start_timer(DeadlineWheel::Time at);
  void on_timer();

  Loop& self;
  DeadlineWheel wheel;
  BufferPool buffers;
  PipePool pipes;
  LoopMember* members = nullptr;
  std::size_t pauses = 0;  ///< Connection::pause() calls that are going on
  std::atomic<std::size_t> connections{0};
  std::atomic<bool> shutting_down{false};
  std::function<void()> on_empty;  ///< on the loop's thread, each time the last connection ends
  // After what the coroutines destroyed with it may still touch.
  Poller poller;
  asio::io_context context{1};
  asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
  asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, asio::io_context::executor_type>
      timer{context.get_executor()};
  DeadlineWheel::Time timer_at = DeadlineWheel::Time::max();
};

}  // namespace relais::net
