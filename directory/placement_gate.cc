// Guests by account, and who waits for them.
#include "directory/placement_gate.h"

#include "base/check.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

namespace relais::directory {

namespace asio = net::asio;

namespace {

using Time = std::chrono::steady_clock;

bool same_side(const Placement& a, const Placement& b) noexcept { return a.kind == b.kind && a.shard == b.shard && a.legacy == b.legacy; }

std::string_view name_of(GuestKind kind) noexcept {
  switch (kind) {
    case GuestKind::imap_relay:
    case GuestKind::imap_native: return "IMAP session";
    case GuestKind::pop_relay:
    case GuestKind::pop_native: return "POP3 session";
    case GuestKind::smtp_transfer: return "SMTP transfer";
  }
  return "guest";
}

std::unexpected<Error> unavailable(std::string_view detail) {
  return fail(Fault::temporary, "the account is being moved, try again in a moment", "UNAVAILABLE", detail);
}

std::unexpected<Error> look_again() { return fail(Fault::temporary, "the account is being moved, try again in a moment", "PLACEMENT"); }

/// Somebody suspended until the gate has news of an account, or the deadline.
struct Waiter {
  Waiter(const asio::any_io_executor& executor, net::Deadline deadline) : timer(executor, deadline) {}
  asio::steady_timer timer;
  bool woken = false;  // on its executor
};
using WaiterPtr = std::shared_ptr<Waiter>;

}  // namespace

struct Guest::State {
  State(PlacementGate::Impl& owner, Account entering, GuestKind what, net::Loop& home, std::function<void(GateCall)> tell)
      : impl(owner),
        account(entering.number),
        kind(what),
        loop(home),
        told(std::move(tell)),
        shown(entering.placement),
        placement(std::move(entering.placement)) {}

  PlacementGate::Impl& impl;
  const AccountNumber account;
  const GuestKind kind;
  net::Loop& loop;
  const std::function<void(GateCall)> told;
  std::atomic<Time::rep> busy_since{Time::now().time_since_epoch().count()};  ///< 0: is not
  std::atomic<bool> gone{false};
  // the loop's:
  Placement shown;
  std::uint64_t heard = 0;  ///< calls that have reached the guest

  // guarded by the mutex of the account's shard:
  Placement placement;
  std::uint64_t sent = 0;  ///< calls on their way to it, those that have reached it included
  bool entered = false;
  bool drained = false;  ///< has to come to a boundary
  bool resting = false;
  bool outdated = false;  ///< the account has moved before it had entered
};

struct PlacementGate::Impl {
  using StatePtr = std::shared_ptr<Guest::State>;

  struct Room {
    std::vector<StatePtr> guests;
    std::vector<WaiterPtr> waiters;
    bool empty() const noexcept { return guests.empty() && waiters.empty(); }
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<AccountNumber, Room> rooms;  // guarded by mutex
  };
  static constexpr std::size_t kShards = 16;

  explicit Impl(Read reader) : read(std::move(reader)) {}

  Shard& shard_of(AccountNumber account) const { return shards[account % kShards]; }

  static void tidy(Shard& shard, AccountNumber account) {
    const auto room = shard.rooms.find(account);
    if (room != shard.rooms.end() && room->second.empty()) shard.rooms.erase(room);
  }

  static void wake(Room& room) {
    for (auto& waiter : room.waiters) {
      const auto executor = waiter->timer.get_executor();
      asio::post(executor, [waiter = std::move(waiter)] {
        waiter->woken = true;
        waiter->timer.expires_at(Time::time_point::min());  // also where the wait has not begun yet
      });
    }
    room.waiters.clear();
  }

  /// The mutex is held. What is told runs later, on the guest's loop.
  static void tell(const StatePtr& guest, GateCall call) {
    guest->loop.post([guest, call, now = guest->placement, serial = ++guest->sent] {
      if (guest->gone) return;
      guest->shown = now;
      guest->heard = serial;
      if (guest->told) guest->told(call);
    });
  }

  void leave(Guest::State& state) {
    state.gone = true;
    auto& shard = shard_of(state.account);
    const std::lock_guard lock(shard.mutex);
    const auto room = shard.rooms.find(state.account);
    if (room == shard.rooms.end()) return;
    std::erase_if(room->second.guests, [&](const StatePtr& guest) { return guest.get() == &state; });
    wake(room->second);
    tidy(shard, state.account);
  }

  void rest(Guest::State& state) {
    auto& shard = shard_of(state.account);
    const std::lock_guard lock(shard.mutex);
    // An answer to an earlier drain, with its `released` on the way, is none to this one.
    if (!state.drained || state.heard != state.sent) return;
    state.resting = true;
    if (const auto room = shard.rooms.find(state.account); room != shard.rooms.end()) wake(room->second);
  }

  void add(const StatePtr& state) {
    auto& shard = shard_of(state->account);
    const std::lock_guard lock(shard.mutex);
    shard.rooms[state->account].guests.push_back(state);
  }

  /// The placement was read and is what the guest looked up. False where it is no more, by what the gate has heard meanwhile.
  bool complete(const StatePtr& state) {
    auto& shard = shard_of(state->account);
    const std::lock_guard lock(shard.mutex);
    if (state->outdated) return false;
    state->entered = true;
    state->shown = state->placement;
    if (state->drained) tell(state, GateCall::drain);
    return true;
  }

  WaiterPtr add_waiter(AccountNumber account, const asio::any_io_executor& executor, net::Deadline deadline) {
    auto waiter = std::make_shared<Waiter>(executor, deadline);
    auto& shard = shard_of(account);
    const std::lock_guard lock(shard.mutex);
    shard.rooms[account].waiters.push_back(waiter);
    return waiter;
  }

  void remove_waiter(AccountNumber account, const WaiterPtr& waiter) {
    auto& shard = shard_of(account);
    const std::lock_guard lock(shard.mutex);
    const auto room = shard.rooms.find(account);
    if (room == shard.rooms.end()) return;
    std::erase(room->second.waiters, waiter);
    tidy(shard, account);
  }

  /// @return whether there was news before the deadline
  static asio::awaitable<bool> sleep(WaiterPtr waiter) {
    boost::system::error_code ignored;
    co_await waiter->timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    co_return waiter->woken;
  }

  /// Waits until none of the account's guests is `in_the_way`, a function of State. @return whose way it is at the deadline; empty:
  /// nobody's
  template <class InTheWay>
  asio::awaitable<std::vector<GuestKind>> wait_for_guests(AccountNumber account, net::Deadline deadline, InTheWay in_the_way) {
    const auto executor = co_await asio::this_coro::executor;
    bool late = false;
    while (true) {
      std::vector<GuestKind> present;
      const auto waiter = std::make_shared<Waiter>(executor, deadline);
      {
        auto& shard = shard_of(account);
        const std::lock_guard lock(shard.mutex);
        const auto room = shard.rooms.find(account);
        if (room == shard.rooms.end()) co_return present;
        for (const auto& guest : room->second.guests) {
          if (in_the_way(*guest)) present.push_back(guest->kind);
        }
        if (present.empty() || late) co_return present;
        room->second.waiters.push_back(waiter);
      }
      late = !co_await sleep(waiter);
      if (late) remove_waiter(account, waiter);
    }
  }

  const Read read;
  std::function<void(AccountNumber, GuestKind)> entered;
  mutable std::array<Shard, kShards> shards;
};

// ---- guests

Guest& Guest::operator=(Guest&& other) noexcept {
  if (this != &other) {
    leave();
    state_ = std::move(other.state_);
  }
  return *this;
}

const Placement& Guest::placement() const noexcept { return state_->shown; }

void Guest::busy(bool now) noexcept {
  if (state_) state_->busy_since.store(now ? Time::now().time_since_epoch().count() : 0, std::memory_order_relaxed);
}

void Guest::rest() noexcept {
  if (!state_) return;
  busy(false);
  state_->impl.rest(*state_);
}

void Guest::leave() noexcept {
  if (!state_) return;
  state_->impl.leave(*state_);
  state_.reset();
}

// ---- frontends

PlacementGate::PlacementGate(Directory& directory)
    : PlacementGate([&directory](AccountNumber account) { return directory.find_number(account); }) {}
PlacementGate::PlacementGate(Read read) : impl_(std::make_unique<Impl>(std::move(read))) {}
PlacementGate::~PlacementGate() = default;

void PlacementGate::watch(std::function<void(AccountNumber account, GuestKind kind)> entered) { impl_->entered = std::move(entered); }

net::Task<Guest> PlacementGate::enter(Account account, GuestKind kind, net::Loop& loop, std::function<void(GateCall)> told) {
  const auto looked_up = account.placement;
  auto state = std::make_shared<Guest::State>(*impl_, std::move(account), kind, loop, std::move(told));
  impl_->add(state);
  Guest guest(state);  // leaves by itself where it may not stay
  // Registering comes before reading in the one order that all threads agree upon, as changing comes before looking in drain().
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const auto now = co_await impl_->read(state->account);
  if (!now) co_return unavailable(now.error().detail.empty() ? now.error().text : now.error().detail);
  if (!*now || (*now)->placement != looked_up || looked_up.kind == Placement::Kind::moving) co_return look_again();
  if (!impl_->complete(state)) co_return look_again();
  if (impl_->entered) impl_->entered(state->account, kind);
  co_return guest;
}

net::Task<Account> PlacementGate::await_settled(AccountNumber account, net::Deadline deadline) {
  const auto executor = co_await asio::this_coro::executor;
  while (true) {
    const auto waiter = impl_->add_waiter(account, executor, deadline);  // before reading: news after it are heard
    auto now = co_await impl_->read(account);
    const bool wait = now && *now && (*now)->placement.kind == Placement::Kind::moving;
    const bool woken = wait && co_await Impl::sleep(waiter);
    if (woken) continue;
    impl_->remove_waiter(account, waiter);
    if (!now) co_return unavailable(now.error().detail.empty() ? now.error().text : now.error().detail);
    if (!*now) co_return fail(Fault::refused, "no such account", "NONEXISTENT");
    if (wait) co_return unavailable("the account's placement was not settled in time");
    co_return **std::move(now);
  }
}

// ---- the mover

PlacementGate::Presence PlacementGate::presence(AccountNumber account) const {
  Presence found;
  const auto& shard = impl_->shard_of(account);
  const std::lock_guard lock(shard.mutex);
  const auto room = shard.rooms.find(account);
  if (room == shard.rooms.end()) return found;
  const auto now = Time::now();
  for (const auto& guest : room->second.guests) {
    ++found.guests;
    if (guest->kind == GuestKind::pop_relay || guest->kind == GuestKind::pop_native) ++found.pop_sessions;
    if (guest->kind == GuestKind::smtp_transfer) ++found.transfers;
    if (guest->resting) ++found.resting;
    const auto since = guest->busy_since.load(std::memory_order_relaxed);
    if (since == 0) continue;
    const auto busy = std::chrono::ceil<std::chrono::milliseconds>(now - Time::time_point(Time::duration(since)));
    found.longest_busy = std::max({found.longest_busy, busy, std::chrono::milliseconds(1)});
  }
  return found;
}

net::Task<void> PlacementGate::drain(AccountNumber account, net::Deadline deadline) {
  std::atomic_thread_fence(std::memory_order_seq_cst);  // as in enter()
  {
    auto& shard = impl_->shard_of(account);
    const std::lock_guard lock(shard.mutex);
    if (const auto room = shard.rooms.find(account); room != shard.rooms.end()) {
      for (const auto& guest : room->second.guests) {
        if (guest->drained) continue;
        guest->drained = true;
        if (guest->entered) Impl::tell(guest, GateCall::drain);
      }
    }
  }
  const auto busy = co_await impl_->wait_for_guests(account, deadline, [](const Guest::State& guest) { return !guest.resting; });
  if (busy.empty()) co_return Result<void>{};
  std::string who;
  for (const auto kind : busy) who.append(who.empty() ? "" : ", ").append(name_of(kind));
  co_return fail(Fault::temporary, "the account is in use", "LIMIT", "still busy: " + who);
}

void PlacementGate::settled(AccountNumber account, const Placement& now) {
  auto& shard = impl_->shard_of(account);
  const std::lock_guard lock(shard.mutex);
  const auto room = shard.rooms.find(account);
  if (room == shard.rooms.end()) return;
  for (const auto& guest : room->second.guests) {
    if (guest->placement.epoch >= now.epoch) continue;  // it has come since
    const bool same = same_side(guest->placement, now);
    const bool was_drained = guest->drained;
    guest->drained = guest->resting = false;
    if (same) guest->placement = now;
    if (!guest->entered)
      guest->outdated = !same;
    else if (!same)
      Impl::tell(guest, GateCall::moved);
    else if (was_drained)
      Impl::tell(guest, GateCall::released);
  }
  Impl::wake(room->second);
  Impl::tidy(shard, account);
}

net::Task<void> PlacementGate::await_left(AccountNumber account, std::uint64_t epoch, net::Deadline deadline) {
  const auto late =
      co_await impl_->wait_for_guests(account, deadline, [epoch](const Guest::State& guest) { return guest.placement.epoch < epoch; });
  if (late.empty()) co_return Result<void>{};
  co_return fail(Fault::temporary, "sessions of before the move are still there", "LIMIT", std::to_string(late.size()) + " guests");
}

}  // namespace relais::directory
