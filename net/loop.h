// Event loops: a fixed pool of threads, each running its own io_context.
#pragma once

#include "net/task.h"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace relais::net {

/// One thread's event loop. A connection lives and dies on one Loop, so what belongs to it needs no locks.
///
/// Besides the io_context it keeps the deadlines of its connections in one coarse timer wheel (net/deadline_wheel.h:
/// never early, some 64 ms late): a deadline costs no timer object and no allocation per operation.
class Loop {
 public:
  Loop();
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  asio::io_context& context() noexcept;
  asio::any_io_executor executor() noexcept;
  /// Runs f on the loop's thread. Threads: any.
  void post(std::function<void()> f);
  /// Runs until stop(). Called by LoopPool, or by a test on its own thread.
  void run();
  void stop();
  /// For tests that drive a loop by hand: runs one handler that is ready, or waits for one. @return false where none was ready
  bool step(bool wait);
  /// The Loop that runs on the calling thread, or nullptr.
  static Loop* current() noexcept;

  /// Graceful stop, on the loop's thread: every Connection that waits for a command gets Fault::closed with code "shutdown";
  /// the others get it when they next wait for one.
  void begin_shutdown();
  /// Threads: any.
  bool shutting_down() const noexcept;
  /// Threads: any.
  std::size_t connections() const noexcept;

  struct Impl;
  /// For the other parts of net/ (net/loop_impl.h).
  Impl& impl() noexcept { return *impl_; }

 private:
  std::unique_ptr<Impl> impl_;
};

/// N loops on N threads.
class LoopPool {
 public:
  /// @param threads 0 means one per processor
  explicit LoopPool(unsigned threads);
  ~LoopPool();  ///< stops and joins
  std::size_t size() const noexcept;
  Loop& at(std::size_t i);
  /// Round robin. Threads: any.
  Loop& next();
  void start();
  /// Graceful: begin_shutdown on every loop, waits until no connection is left or the limit passes, stops the loops and joins.
  /// @return true where every connection ended by itself
  bool shutdown(std::chrono::milliseconds limit);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::net
