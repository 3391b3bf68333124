// Guests and movers: one after the other, in random interleavings, and on several threads at once.
#include "directory/placement_gate.h"

#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <atomic>
#include <cstdlib>
#include <deque>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <random>

namespace relais::directory {
namespace {

namespace asio = net::asio;
using testing::ElementsAre;

constexpr AccountNumber kAccount = 7;
const net::Deadline kNever = net::Deadline::max() - std::chrono::hours(1);
const net::Deadline kAtOnce = net::Deadline::min();

Placement legacy(std::uint64_t epoch) { return {Placement::Kind::legacy, 0, "old", epoch}; }
Placement shard(std::uint64_t epoch) { return {Placement::Kind::shard, 1, "", epoch}; }
Placement moving(std::uint64_t epoch) { return {Placement::Kind::moving, 1, "old", epoch}; }

// ---- one after the other

class PlacementGateTest : public testing::Test {
 protected:
  net::Task<std::optional<Account>> read(AccountNumber number) {
    if (unreadable) co_return fail(Fault::temporary, "directory unavailable");
    if (number != kAccount || gone) co_return std::optional<Account>{};
    co_return account;
  }
  template <class T>
  T run(asio::awaitable<T> call) {
    auto done = asio::co_spawn(loop.executor(), std::move(call), asio::use_future);
    while (done.wait_for(std::chrono::seconds(0)) != std::future_status::ready) loop.step(true);
    return done.get();
  }
  void settle_loop() {
    while (loop.step(false)) {
    }
  }
  Result<Guest> enter(GuestKind kind = GuestKind::imap_relay) {
    return run(gate.enter(account, kind, loop, [this](GateCall call) { calls.push_back(call); }));
  }

  net::Loop loop;
  Account account{.number = kAccount, .address = "ann@example.org", .placement = legacy(1)};
  bool unreadable = false;
  bool gone = false;
  std::vector<GateCall> calls;
  PlacementGate gate{[this](AccountNumber number) { return read(number); }};
};

TEST_F(PlacementGateTest, WhoKnowsAnotherPlacementLooksAgain) {
  auto known = account;
  account.placement = legacy(3);
  EXPECT_EQ(run(gate.enter(known, GuestKind::imap_relay, loop, {})).error().code, "PLACEMENT");
  account.placement = moving(4);
  EXPECT_EQ(enter().error().code, "PLACEMENT");
  unreadable = true;
  const auto refused = enter();
  EXPECT_EQ(refused.error().fault, Fault::temporary);
  EXPECT_EQ(refused.error().code, "UNAVAILABLE");
  unreadable = false;
  gone = true;
  EXPECT_EQ(enter().error().code, "PLACEMENT");
  EXPECT_EQ(gate.presence(kAccount).guests, 0U) << "who was refused is no guest";
}

TEST_F(PlacementGateTest, GuestsAreCountedUntilTheyLeave) {
  auto session = enter(GuestKind::pop_relay).value();
  auto transfer = enter(GuestKind::smtp_transfer).value();
  EXPECT_EQ(session.placement(), legacy(1));
  auto present = gate.presence(kAccount);
  EXPECT_EQ(present.guests, 2U);
  EXPECT_EQ(present.pop_sessions, 1U);
  EXPECT_EQ(present.transfers, 1U);
  EXPECT_GT(present.longest_busy.count(), 0);
  session.busy(false);
  transfer.busy(false);
  EXPECT_EQ(gate.presence(kAccount).longest_busy.count(), 0);
  auto moved = std::move(session);
  moved.leave();
  moved.leave();
  {
    const auto last = std::move(transfer);
  }
  EXPECT_EQ(gate.presence(kAccount).guests, 0U);
}

TEST_F(PlacementGateTest, WhoHasEnteredIsToldOf) {
  std::vector<std::pair<AccountNumber, GuestKind>> seen;
  gate.watch([&](AccountNumber number, GuestKind kind) { seen.emplace_back(number, kind); });
  auto session = enter(GuestKind::pop_relay).value();
  account.placement = moving(2);
  EXPECT_FALSE(enter());
  EXPECT_THAT(seen, ElementsAre(testing::Pair(kAccount, GuestKind::pop_relay))) << "and nobody who may not stay";
}

TEST_F(PlacementGateTest, ADrainWaitsForRestOrLeave) {
  auto session = enter().value();
  auto transfer = run(gate.enter(account, GuestKind::smtp_transfer, loop, {})).value();
  account.placement = moving(2);
  const auto late = run(gate.drain(kAccount, kAtOnce));
  EXPECT_EQ(late.error().fault, Fault::temporary);
  EXPECT_EQ(late.error().code, "LIMIT");
  EXPECT_TRUE(late.error().detail.contains("IMAP session") && late.error().detail.contains("SMTP transfer")) << late.error().detail;
  EXPECT_THAT(calls, ElementsAre(GateCall::drain));
  auto drained = asio::co_spawn(loop.executor(), gate.drain(kAccount, kNever), asio::use_future);
  settle_loop();
  session.rest();
  settle_loop();
  EXPECT_EQ(drained.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  EXPECT_EQ(gate.presence(kAccount).resting, 1U);
  transfer.leave();
  settle_loop();
  ASSERT_EQ(drained.wait_for(std::chrono::seconds(0)), std::future_status::ready);
  EXPECT_TRUE(drained.get());
  EXPECT_THAT(calls, ElementsAre(GateCall::drain)) << "once per occasion";
}

TEST_F(PlacementGateTest, ReleasedGuestsGoOnWithTheNewEpoch) {
  auto session = enter().value();
  account.placement = moving(2);
  EXPECT_FALSE(run(gate.drain(kAccount, kAtOnce)));
  session.rest();
  account.placement = legacy(3);
  gate.settled(kAccount, account.placement);
  settle_loop();
  EXPECT_THAT(calls, ElementsAre(GateCall::drain, GateCall::released));
  EXPECT_EQ(session.placement(), legacy(3));
  EXPECT_EQ(gate.presence(kAccount).resting, 0U);
  session.rest();
  EXPECT_EQ(gate.presence(kAccount).resting, 0U) << "nobody drains";
}

TEST_F(PlacementGateTest, ALateAnswerToAnEarlierDrainIsNone) {
  auto session = enter().value();
  account.placement = moving(2);
  EXPECT_FALSE(run(gate.drain(kAccount, kAtOnce)));
  ASSERT_THAT(calls, ElementsAre(GateCall::drain));
  account.placement = legacy(3);
  gate.settled(kAccount, account.placement);  // `released` is on its way …
  account.placement = moving(4);
  net::Loop movers;
  auto drained = asio::co_spawn(movers.executor(), gate.drain(kAccount, kNever), asio::use_future);
  while (movers.step(false)) {
  }
  ASSERT_THAT(calls, ElementsAre(GateCall::drain));
  session.rest();  // … and so is the next `drain`, which this does not answer
  EXPECT_EQ(gate.presence(kAccount).resting, 0U);
  settle_loop();
  ASSERT_THAT(calls, ElementsAre(GateCall::drain, GateCall::released, GateCall::drain));
  while (movers.step(false)) {
  }
  EXPECT_EQ(drained.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  session.rest();
  while (movers.step(false)) {
  }
  EXPECT_TRUE(drained.get());
}

TEST_F(PlacementGateTest, MovedGuestsAreWaitedForBeforeCopyBack) {
  auto session = enter().value();
  account.placement = moving(2);
  EXPECT_FALSE(run(gate.drain(kAccount, kAtOnce)));
  session.rest();
  EXPECT_TRUE(run(gate.drain(kAccount, kNever)));
  account.placement = shard(3);
  auto fresh = enter().value();  // came between the switch and settled()
  gate.settled(kAccount, account.placement);
  settle_loop();
  EXPECT_THAT(calls, ElementsAre(GateCall::drain, GateCall::moved));
  EXPECT_EQ(run(gate.await_left(kAccount, 3, kAtOnce)).error().code, "LIMIT");
  session.leave();
  EXPECT_TRUE(run(gate.await_left(kAccount, 3, kNever)));
  EXPECT_EQ(fresh.placement(), shard(3));
}

TEST_F(PlacementGateTest, NobodyIsToldAfterLeaving) {
  auto session = enter().value();
  account.placement = moving(2);
  EXPECT_FALSE(run(gate.drain(kAccount, kAtOnce)));
  calls.clear();
  session.rest();
  account.placement = legacy(3);
  gate.settled(kAccount, account.placement);
  session.leave();  // before the loop ran what was posted
  settle_loop();
  EXPECT_THAT(calls, ElementsAre());
}

TEST_F(PlacementGateTest, NewLoginsWaitUntilThePlacementIsSettled) {
  EXPECT_EQ(run(gate.await_settled(kAccount, kAtOnce))->placement, legacy(1)) << "nothing to wait for";
  account.placement = moving(2);
  EXPECT_EQ(run(gate.await_settled(kAccount, kAtOnce)).error().code, "UNAVAILABLE");
  auto waiting = asio::co_spawn(loop.executor(), gate.await_settled(kAccount, kNever), asio::use_future);
  settle_loop();
  EXPECT_EQ(waiting.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  account.placement = shard(3);
  gate.settled(kAccount, account.placement);
  settle_loop();
  EXPECT_EQ(waiting.get()->placement, shard(3));
  unreadable = true;
  EXPECT_EQ(run(gate.await_settled(kAccount, kNever)).error().fault, Fault::temporary);
  unreadable = false;
  gone = true;
  EXPECT_EQ(run(gate.await_settled(kAccount, kNever)).error().code, "NONEXISTENT");
}

// ---- in random interleavings

/// Guests and a mover as coroutines on one loop, each suspended at random places; what they may rely on is checked at every step.
class Model {
 public:
  explicit Model(std::uint64_t seed) : random_(seed) {}

  void run() {
    constexpr int kGuests = 6;
    for (int i = 0; i < kGuests; ++i) start(guest_actor(i));
    start(mover());
    while (live_ > 0) {
      if (loop_.step(false) || loop_.step(false)) continue;
      FAIL() << live_ << " wait for ever";
    }
    EXPECT_EQ(gate_.presence(kAccount).guests, 0U);
    EXPECT_GT(entered_, 0);
  }
  int switches() const noexcept { return switches_; }
  int entered() const noexcept { return entered_; }

 private:
  bool chance(unsigned one_in) { return random_() % one_in == 0; }
  asio::awaitable<void> pause() {
    for (auto n = random_() % 6; n > 0; --n) co_await asio::post(loop_.executor(), asio::use_awaitable);
  }
  void start(asio::awaitable<void> actor) {
    ++live_;
    asio::co_spawn(loop_.executor(), std::move(actor), [this](std::exception_ptr thrown) {
      --live_;
      if (thrown) std::rethrow_exception(thrown);
    });
  }
  net::Task<std::optional<Account>> read(AccountNumber) {
    co_await pause();
    const auto now = truth_;
    const bool unreadable = chance(20);
    co_await pause();
    if (unreadable) co_return fail(Fault::temporary, "directory unavailable");
    co_return now;
  }

  void act(const Placement& on) {
    EXPECT_FALSE(frozen_) << "somebody acts in the freeze";
    if (truth_.placement.kind == Placement::Kind::moving) return;
    EXPECT_EQ(on.kind, truth_.placement.kind) << "somebody acts on the old side";
  }

  asio::awaitable<void> guest_actor(int which) {
    constexpr int kRounds = 12;
    for (int round = 0; round < kRounds; ++round) {
      auto account = truth_;
      co_await pause();
      if (account.placement.kind == Placement::Kind::moving) {
        auto settled = co_await gate_.await_settled(kAccount, mover_done_ ? kAtOnce : kNever);
        if (!settled) {
          EXPECT_EQ(settled.error().code, "UNAVAILABLE");
          continue;
        }
        EXPECT_NE(settled->placement.kind, Placement::Kind::moving);
        account = *std::move(settled);
        co_await pause();
      }
      const auto kind = chance(3) ? GuestKind::smtp_transfer : GuestKind::imap_relay;
      auto calls = std::make_shared<std::deque<GateCall>>();
      std::function<void(GateCall)> told;
      if (kind == GuestKind::imap_relay) told = [calls](GateCall call) { calls->push_back(call); };
      auto entered = co_await gate_.enter(account, kind, loop_, std::move(told));
      if (!entered) {
        EXPECT_THAT(entered.error().code, testing::AnyOf("PLACEMENT", "UNAVAILABLE"));
        continue;
      }
      ++entered_;
      co_await stay(which, *std::move(entered), calls);
    }
  }

  asio::awaitable<void> stay(int which, Guest guest, std::shared_ptr<std::deque<GateCall>> calls) {
    constexpr int kMaxRests = 1'000'000;
    const auto side = guest.placement();
    bool resting = false;
    int rests = 0;
    acting_[which] = true;
    for (auto steps = random_() % 8 + 1; steps > 0 || resting; steps -= steps > 0 ? 1 : 0) {
      if (!resting) act(side);
      co_await asio::post(loop_.executor(), asio::use_awaitable);
      if (!resting) co_await pause();
      if (resting && ++rests > kMaxRests) {
        ADD_FAILURE() << "nobody tells a guest that rests";
        break;
      }
      if (calls->empty()) continue;
      const auto call = calls->back();  // the last word counts
      calls->clear();
      if (call == GateCall::moved) {
        EXPECT_TRUE(resting);
        break;
      }
      resting = call == GateCall::drain;
      acting_[which] = !resting;
      if (!resting) {
        EXPECT_GT(guest.placement().epoch, side.epoch);
        continue;
      }
      if (chance(3)) break;  // rather than rest
      guest.rest();
    }
    acting_[which] = false;
    if (chance(2)) co_await pause();
    guest.leave();
  }

  bool anybody_acts() const {
    return std::ranges::any_of(acting_, [](const auto& one) { return one.second; });
  }

  asio::awaitable<void> mover() {
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; ++round) {
      co_await pause();
      const auto before = truth_.placement;
      truth_.placement = moving(before.epoch + 1);
      co_await pause();
      const auto drained = co_await gate_.drain(kAccount, chance(4) ? kAtOnce : kNever);
      auto next = before;
      if (drained) {
        frozen_ = true;
        EXPECT_FALSE(anybody_acts());
        const auto present = gate_.presence(kAccount);
        EXPECT_LE(present.resting, present.guests);
        co_await pause();
        EXPECT_FALSE(anybody_acts());
        if (!chance(3)) {
          next = before.kind == Placement::Kind::legacy ? shard(0) : legacy(0);
          ++switches_;
        }
      } else {
        EXPECT_EQ(drained.error().code, "LIMIT");
      }
      next.epoch = before.epoch + 2;
      frozen_ = false;
      truth_.placement = next;
      co_await pause();
      gate_.settled(kAccount, next);
      if (next.kind != before.kind) EXPECT_TRUE(co_await gate_.await_left(kAccount, next.epoch, kNever));
    }
    mover_done_ = true;
  }

  std::mt19937_64 random_;
  Account truth_{.number = kAccount, .address = "ann@example.org", .placement = legacy(1)};
  PlacementGate gate_{[this](AccountNumber number) { return read(number); }};
  net::Loop loop_;
  std::map<int, bool> acting_;
  bool frozen_ = false;
  bool mover_done_ = false;
  int live_ = 0;
  int switches_ = 0;
  int entered_ = 0;
};

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// RELAIS_SEED=n begins with that seed, RELAIS_SEEDS=n tries so many.
TEST(PlacementGateModel, NobodyActsOnASideThatIsLeft) {
  auto seed = number_from("RELAIS_SEED", std::random_device{}());
  int switches = 0;
  for (auto left = number_from("RELAIS_SEEDS", 300); left > 0 && !testing::Test::HasFailure(); --left, ++seed) {
    SCOPED_TRACE("RELAIS_SEED=" + std::to_string(seed));
    Model model(seed);
    model.run();
    switches += model.switches();
    if (testing::Test::HasFailure()) std::cerr << "RELAIS_SEED=" << seed << "\n";
  }
  EXPECT_GT(switches, 0);
}

// ---- on several threads

class Threads {
 public:
  Threads() { loops_.start(); }

  void run() {
    constexpr std::size_t kGuests = 8;
    std::vector<std::future<void>> guests;
    for (std::size_t i = 0; i < kGuests; ++i)
      guests.push_back(asio::co_spawn(loops_.at(i % kLoops).executor(), guest(loops_.at(i % kLoops)), asio::use_future));
    asio::co_spawn(loops_.at(0).executor(), mover(), asio::use_future).get();
    for (auto& one : guests) one.get();
    EXPECT_EQ(gate_.presence(kAccount).guests, 0U);
    EXPECT_GT(entered_.load(), 0);
  }

 private:
  static constexpr std::size_t kLoops = 4;
  Account now() {
    const std::lock_guard lock(mutex_);
    return truth_;
  }
  void set(const Placement& placement) {
    const std::lock_guard lock(mutex_);
    truth_.placement = placement;
  }
  net::Task<std::optional<Account>> read(AccountNumber) { co_return now(); }
  std::atomic<int>& acting(const Placement& on) { return on.kind == Placement::Kind::legacy ? on_legacy_ : on_shard_; }

  asio::awaitable<void> guest(net::Loop& loop) {
    while (!done_) {
      const auto account = co_await gate_.await_settled(kAccount, kNever);
      if (!account) {
        ADD_FAILURE() << account.error().text;
        co_return;
      }
      auto calls = std::make_shared<std::deque<GateCall>>();
      auto entered = co_await gate_.enter(*account, GuestKind::imap_relay, loop, [calls](GateCall call) { calls->push_back(call); });
      if (!entered) continue;
      ++entered_;
      auto guest = *std::move(entered);
      auto& mine = acting(guest.placement());
      bool resting = false;
      ++mine;
      for (int step = 0; step < 20 || resting; ++step) {
        co_await asio::post(loop.executor(), asio::use_awaitable);
        if (calls->empty()) continue;
        const auto call = calls->back();
        calls->clear();
        if (call == GateCall::moved) break;
        const bool rests = call == GateCall::drain;
        if (rests != resting) mine += rests ? -1 : 1;
        resting = rests;
        if (resting) guest.rest();
      }
      if (!resting) --mine;
      guest.leave();
    }
  }

  asio::awaitable<void> mover() {
    constexpr int kMoves = 200;
    for (int i = 0; i < kMoves; ++i) {
      const auto before = now().placement;
      set(moving(before.epoch + 1));
      const bool drained = (co_await gate_.drain(kAccount, i % 5 == 0 ? kAtOnce : kNever)).has_value();
      auto next = before;
      if (drained) {
        EXPECT_EQ(acting(before).load(), 0);
        next = before.kind == Placement::Kind::legacy ? shard(0) : legacy(0);
      }
      next.epoch = before.epoch + 2;
      set(next);
      gate_.settled(kAccount, next);
      if (drained) EXPECT_TRUE(co_await gate_.await_left(kAccount, next.epoch, kNever));
    }
    done_ = true;
  }

  std::mutex mutex_;
  Account truth_{.number = kAccount, .address = "ann@example.org", .placement = legacy(1)};  // guarded by mutex_
  PlacementGate gate_{[this](AccountNumber number) { return read(number); }};
  std::atomic<int> on_legacy_{0};
  std::atomic<int> on_shard_{0};
  std::atomic<int> entered_{0};
  std::atomic<bool> done_{false};
  net::LoopPool loops_{kLoops};
};

TEST(PlacementGateThreads, ADrainSeesWhoeverActs) { Threads().run(); }

// ---- over the real directory

TEST(PlacementGateDirectory, ReadsWhatWasChanged) {
  TestDirectory d;
  ASSERT_TRUE(d.run(d->add_domain("example.org")));
  ASSERT_TRUE(d.run(d->set_platform({.name = "old", .imap = {.host = "imap.old.example", .port = 143}})));
  const auto ann = d.run(d->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}})).value();
  PlacementGate gate(*d);
  auto& loop = d.loops().at(0);
  auto guest = d.run(gate.enter(ann, GuestKind::smtp_transfer, loop, {}));
  ASSERT_TRUE(guest);
  const auto now = d.run(d->change_placement(ann.number, 1, Placement{Placement::Kind::moving, 0, "old", 0})).value();
  EXPECT_EQ(d.run(gate.enter(ann, GuestKind::smtp_transfer, loop, {})).error().code, "PLACEMENT");
  EXPECT_EQ(d.run(gate.drain(ann.number, kAtOnce)).error().code, "LIMIT");
  guest->leave();
  EXPECT_TRUE(d.run(gate.drain(ann.number, kNever)));
  EXPECT_TRUE(d.run(d->change_placement(ann.number, now.epoch, Placement{})));
}

}  // namespace
}  // namespace relais::directory
