// Event loops: a fixed pool of threads, each running its own io_context.
#pragma once

#include "net/task.h"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <vector>

namespace relais::net {

class Connection;

/// One thread's event loop. A connection lives and dies on one Loop, so what belongs to it needs no locks.
///
/// Besides the io_context it keeps the deadlines of its connections in one coarse timer wheel (resolution 1 s below one
/// minute, exact order above is not promised): a deadline costs no timer object and no allocation per operation.
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
  /// The Loop that runs on the calling thread, or nullptr.
  static Loop* current() noexcept;

  /// Graceful stop, on the loop's thread: every Connection that waits for a command gets Fault::closed with code "shutdown";
  /// the others get it when they next wait for one.
  void begin_shutdown();
  bool shutting_down() const noexcept;
  std::size_t connections() const noexcept;

 private:
  friend class Connection;
  struct Impl;
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
