// Readiness of sockets for one loop: an edge-triggered epoll set of our own beside Asio's, because it needs no allocation
// and no system call per wait, where an Asio socket costs about 500 octets and two epoll_ctl calls. Internal to net/.
#pragma once

#include "net/stream.h"
#include "net/task.h"
#include "net/wait_slot.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <optional>

#include <sys/epoll.h>

namespace relais::net {

class Poller;

/// One socket in a Poller; owns the file descriptor. Threads: the loop's.
///
/// A waiting coroutine is owned by the watch it waits on; destroying the watch resumes it later with Wake::cancelled.
class Watch {
 public:
  /// @param fd non-blocking; closed by the destructor
  Watch(Poller& poller, int fd);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  int fd() const noexcept { return fd_; }
  /// False where a read is known to give EAGAIN: nothing has come since the last one that did.
  bool readable() const noexcept { return readable_; }
  bool writable() const noexcept { return writable_; }
  /// To be told when a read gave EAGAIN or fewer octets than asked for.
  void drained() noexcept { readable_ = hung_up_; }
  /// To be told when a write gave EAGAIN or took fewer octets than offered.
  void filled() noexcept { writable_ = false; }

  asio::awaitable<Wake> wait_readable() {
    return reader_.wait([this] { return answer(readable_); });
  }
  asio::awaitable<Wake> wait_writable() {
    return writer_.wait([this] { return answer(writable_); });
  }
  /// Ends pending waits. The waiters resume later, never inside this call.
  void cancel();
  /// cancel(), and closes the descriptor. Idempotent.
  void close() noexcept;

 private:
  friend class Poller;
  std::optional<Wake> answer(bool ready) const noexcept {
    if (fd_ < 0) return Wake::cancelled;
    return ready ? std::optional(Wake::ready) : std::nullopt;
  }

  Poller& poller_;
  Watch* previous_ = nullptr;
  Watch* next_ = nullptr;
  WaitSlot reader_;
  WaitSlot writer_;
  int fd_;
  bool readable_ = true;
  bool writable_ = true;
  bool hung_up_ = false;  ///< the peer has closed its side, so reading always has an answer
};

/// The epoll set of one loop, itself watched by the loop's io_context.
/// Lifetime: outlives the io_context (whose end destroys coroutines that own watches); abandon() comes before that end.
class Poller {
 public:
  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;
  /// Starts to watch, in handlers of the context.
  void attach(asio::io_context& context);
  /// Destroys every coroutine that waits, and lets go of the context.
  void abandon() noexcept;

 private:
  friend class Watch;
  void add(Watch& watch);
  void remove(Watch& watch) noexcept;
  void arm();
  void dispatch();

  static constexpr int kBatch = 256;  ///< events taken at a time
  int epoll_;
  std::optional<asio::posix::basic_stream_descriptor<asio::io_context::executor_type>> watched_;
  std::array<epoll_event, kBatch> events_{};
  int first_ = 0;  ///< events_ not yet dispatched: [first_, count_)
  int count_ = 0;
  Watch* watches_ = nullptr;
};

}  // namespace relais::net
