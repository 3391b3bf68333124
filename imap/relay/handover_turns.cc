// Lets a few sessions at a time leave their platforms.
#include "imap/relay/handover_turns.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <utility>

namespace relais::imap {

namespace asio = net::asio;

struct HandoverTurns::Waiter {
  Waiter(const asio::any_io_executor& executor, net::Deadline until) : timer(executor, until) {}
  asio::steady_timer timer;
  bool called = false;  ///< guarded by the mutex: the turn is this one's
};

HandoverTurn& HandoverTurn::operator=(HandoverTurn&& other) noexcept {
  if (this != &other) {
    end();
    owner_ = std::move(other.owner_);
  }
  return *this;
}

void HandoverTurn::end() noexcept {
  if (const auto owner = std::exchange(owner_, nullptr)) owner->give_back();
}

/// In the queue as long as the coroutine lives, which the end of its loop may destroy while it waits.
struct HandoverTurns::Place {
  Place(HandoverTurns& owner, std::shared_ptr<Waiter> of) : turns(owner), waiter(std::move(of)) {}
  ~Place() {
    std::unique_lock lock(turns.mutex_);
    if (turns.abandon(*waiter)) return;
    lock.unlock();
    turns.give_back();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  HandoverTurns& turns;
  const std::shared_ptr<Waiter> waiter;
};

// The mutex is held. False where the turn has come and was not taken.
bool HandoverTurns::abandon(Waiter& waiter) noexcept {
  std::erase_if(queue_, [&](const std::shared_ptr<Waiter>& other) { return other.get() == &waiter; });
  return !std::exchange(waiter.called, false);
}

net::Task<HandoverTurn> HandoverTurns::take(net::Deadline until) {
  const auto self = shared_from_this();
  const Place place(*this, std::make_shared<Waiter>(co_await asio::this_coro::executor, until));
  {
    const std::lock_guard lock(mutex_);
    if (free_ > 0) {
      --free_;
      co_return HandoverTurn(self);
    }
    queue_.push_back(place.waiter);
  }
  boost::system::error_code ignored;
  co_await place.waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  const std::lock_guard lock(mutex_);
  if (abandon(*place.waiter)) co_return fail(Fault::temporary, "too many sessions are being moved", "timeout");
  co_return HandoverTurn(self);
}

void HandoverTurns::give_back() noexcept {
  std::shared_ptr<Waiter> next;
  {
    const std::lock_guard lock(mutex_);
    if (queue_.empty()) {
      ++free_;
      return;
    }
    next = std::move(queue_.front());
    queue_.pop_front();
    next->called = true;
  }
  const auto executor = next->timer.get_executor();
  asio::post(executor, [next = std::move(next)] { next->timer.expires_at(net::Deadline::min()); });  // also where it has not begun to wait
}

}  // namespace relais::imap
