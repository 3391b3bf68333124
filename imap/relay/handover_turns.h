// So that sessions that leave their platforms at the same time do not stampede.
#pragma once

#include "net/task.h"

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

namespace relais::imap {

class HandoverTurns;

/// A place among those who may. Movable; given back by the destructor, on any thread.
class HandoverTurn {
 public:
  HandoverTurn() noexcept = default;
  HandoverTurn(HandoverTurn&& other) noexcept = default;
  HandoverTurn& operator=(HandoverTurn&& other) noexcept;
  ~HandoverTurn() { end(); }
  void end() noexcept;

 private:
  friend class HandoverTurns;
  explicit HandoverTurn(std::shared_ptr<HandoverTurns> owner) noexcept : owner_(std::move(owner)) {}
  std::shared_ptr<HandoverTurns> owner_;
};

/// At most so many at a time; the others wait in the order in which they came. Each costs its platform two lists of a mailbox, and the
/// shard one; their clients notice nothing but a short silence.
///
/// Threads: any. Lifetime: shared with the turns; the loops of those who wait outlive their wait.
class HandoverTurns : public std::enable_shared_from_this<HandoverTurns> {
 public:
  static constexpr std::size_t kAtOnce = 16;
  explicit HandoverTurns(std::size_t at_once = kAtOnce) : free_(at_once) {}

  /// Errors: Fault::temporary "timeout" at the deadline.
  net::Task<HandoverTurn> take(net::Deadline until);

 private:
  friend class HandoverTurn;
  struct Waiter;
  struct Place;
  bool abandon(Waiter& waiter) noexcept;
  void give_back() noexcept;

  std::mutex mutex_;
  std::size_t free_;                           ///< guarded by mutex_
  std::deque<std::shared_ptr<Waiter>> queue_;  ///< guarded by mutex_
};

}  // namespace relais::imap
