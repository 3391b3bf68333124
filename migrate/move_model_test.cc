// Random moves while sessions, transfers and faults go on: whatever was accepted is there once, and one side is served at any instant.
#include "migrate/move_testing.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <cstdlib>
#include <future>
#include <iostream>
#include <random>

namespace relais::migrate {
namespace {

namespace asio = net::asio;
using namespace migrate::testing;
using directory::GateCall;
using directory::GuestKind;
using directory::Placement;

constexpr auto kAll = kNoWayBack | kAllowUnreadable | kWithoutUidls | kWithoutMailboxes;
constexpr int kSessions = 3;
constexpr int kTransfers = 2;
constexpr int kNativeWrites = 3;  // of each guest, once the account has moved

/// The process is killed.
struct Killed {};

/// What clients and senders were told is there: texts by mailbox, and the UID where a client has seen it.
class Ledger {
 public:
  void accepted(const std::string& mailbox, Uid uid, const std::string& text) {
    const std::lock_guard lock(mutex_);
    seen_[mailbox][text] = uid;
  }
  void erased(const std::string& mailbox, const std::string& text) {
    const std::lock_guard lock(mutex_);
    seen_[mailbox].erase(text);
  }
  void compare(const Mail::Mailboxes& there) const {
    const std::lock_guard lock(mutex_);
    for (const auto& [mailbox, texts] : seen_) {
      const auto found = there.find(mailbox);
      ASSERT_TRUE(found != there.end() || texts.empty()) << mailbox;
      if (found == there.end()) continue;
      EXPECT_EQ(found->second.size(), texts.size()) << mailbox;
      for (const auto& [text, uid] : texts) {
        const auto message = found->second.find(uid);
        ASSERT_NE(message, found->second.end()) << mailbox << " has lost " << text;
        EXPECT_EQ(message->second, text) << mailbox << " " << uid;
      }
    }
  }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::map<std::string, Uid>> seen_;
};

asio::awaitable<void> yield() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }

/// Everybody who uses the account. On the directory's loop; the mover is on another thread.
class Users {
 public:
  Users(MoveWorld& world, std::uint64_t seed) : w_(world), random_(seed) {
    for (const auto& [mailbox, messages] : w_.source.all()) {
      for (const auto& [uid, text] : messages) ledger.accepted(mailbox, uid, text);
    }
    for (int i = 0; i < kSessions + kTransfers; ++i)
      ended_.push_back(asio::co_spawn(loop().executor(), i < kSessions ? session(i) : transfers(i), asio::use_future));
  }
  /// Waits until each has used the account where it is now.
  void finish() {
    for (auto& ended : ended_) ended.get();
  }
  Ledger ledger;

 private:
  struct Seat {
    std::optional<directory::Guest> guest;
    bool drain = false;
    bool moved = false;
    bool at_boundary = false;
  };

  net::Loop& loop() { return w_.directory.loops().at(0); }
  std::uint64_t upto(std::uint64_t most) { return random_() % (most + 1); }

  /// Acting on one side, for as long as it lives: nobody acts on the other.
  class Acting {
   public:
    Acting(std::atomic<int>& mine, const std::atomic<int>& other) : mine_(mine) {
      ++mine_;
      EXPECT_EQ(other, 0) << "both sides are served";
    }
    ~Acting() { --mine_; }
    Acting(const Acting&) = delete;
    Acting& operator=(const Acting&) = delete;

   private:
    std::atomic<int>& mine_;
  };

  void write_source(const std::string& name) {
    const std::string mailbox = upto(2) == 0 ? "Sent" : upto(3) == 0 ? "Box" + std::to_string(upto(2)) : "INBOX";
    const auto before = w_.source.all();
    const auto there = before.find(mailbox);
    if (upto(3) == 0 && there != before.end() && !there->second.empty()) {
      const auto& [uid, text] = *there->second.rbegin();
      // The last one stays, or its UID would be given again: what servers keep in UIDNEXT is not modelled.
      if (there->second.size() > 1) {
        const auto& [first, gone] = *there->second.begin();
        w_.source.erase(mailbox, first);
        ledger.erased(mailbox, gone);
      } else {
        const auto flagged = text + "!";
        w_.source.edit([&, where = uid](Mail::Mailboxes& all) { all[mailbox][where] = flagged; });
        ledger.erased(mailbox, text);
        ledger.accepted(mailbox, uid, flagged);
      }
      return;
    }
    const auto text = name + "-" + std::to_string(++written_);
    const auto uid = w_.source.append(mailbox, text);
    ledger.accepted(mailbox, uid, text);
  }

  bool write_shard(const std::string& name) {
    const Acting acting(on_shard_, on_source_);
    const auto text = name + "-native-" + std::to_string(++written_);
    const auto uid = w_.shard.deliver("INBOX", text);
    EXPECT_TRUE(uid) << "the placement names a shard that does not take mail";
    if (uid) ledger.accepted("INBOX", *uid, text);
    return uid.has_value();
  }

  asio::awaitable<void> session(int number) {
    const auto name = "s" + std::to_string(number);
    int native = 0;
    while (native < kNativeWrites) {
      const auto account = co_await w_.gate.await_settled(w_.ann.number, net::in(std::chrono::hours(1)));
      if (!account) {
        ADD_FAILURE() << account.error().detail;
        co_return;
      }
      const bool here = account->placement.kind == Placement::Kind::shard;
      Seat seat;
      auto told = [&seat](GateCall call) {
        seat.drain = call == GateCall::drain;
        seat.moved = call == GateCall::moved;
        if (seat.drain && seat.at_boundary) seat.guest->rest();
      };
      auto entered = co_await w_.gate.enter(*account, here ? GuestKind::imap_native : GuestKind::imap_relay, loop(), told);
      if (!entered) {
        co_await yield();
        continue;
      }
      seat.guest.emplace(*std::move(entered));
      seat.guest->busy(false);
      if (here) {
        native += write_shard(name) ? 1 : 0;
        continue;
      }
      for (auto commands = upto(30); commands > 0 && !seat.moved; --commands) co_await command(seat, name);
      if (seat.drain) co_await rest(seat);
      seat.guest.reset();
      co_await yield();
    }
  }

  /// Octets go out, the server does it, the reply comes: in between the session is at no boundary.
  asio::awaitable<void> command(Seat& seat, const std::string& name) {
    if (seat.drain) co_await rest(seat);
    if (seat.moved) co_return;
    seat.guest->busy(true);
    {
      const Acting acting(on_source_, on_shard_);
      if (upto(1) == 0) co_await yield();
      write_source(name);
      if (upto(1) == 0) co_await yield();
    }
    seat.guest->busy(false);
    seat.at_boundary = true;
    if (seat.drain) seat.guest->rest();
    for (auto idle = upto(3); idle > 0; --idle) co_await yield();
    seat.at_boundary = false;
  }

  /// Nothing is done until it is known where to.
  static asio::awaitable<void> rest(Seat& seat) {
    seat.at_boundary = true;
    seat.guest->rest();
    while (seat.drain) co_await yield();
    seat.at_boundary = false;
  }

  asio::awaitable<void> transfers(int number) {
    const auto name = "t" + std::to_string(number);
    int native = 0;
    while (native < kNativeWrites) {
      const auto found = co_await w_.directory->find_number(w_.ann.number);
      const auto& account = found.value().value();
      if (account.placement.kind == Placement::Kind::shard) {
        native += write_shard(name) ? 1 : 0;
      } else if (account.placement.kind == Placement::Kind::legacy) {
        auto guest = co_await w_.gate.enter(account, GuestKind::smtp_transfer, loop(), {});
        if (guest) {
          const Acting acting(on_source_, on_shard_);
          if (upto(1) == 0) co_await yield();
          write_source(name);
        }
      }  // else it waits in the queue
      for (auto idle = upto(20); idle > 0; --idle) co_await yield();
    }
  }

  MoveWorld& w_;
  std::mt19937_64 random_;
  std::vector<std::future<void>> ended_;
  std::atomic<int> on_source_{0};
  std::atomic<int> on_shard_{0};
  std::uint64_t written_ = 0;
};

/// What goes wrong in one run of the mover. Used on its loop.
class Faults {
 public:
  Faults(MoveWorld& world, std::uint64_t seed) : w_(world), random_(seed) {}

  void choose() {
    clear();
    const bool late = one_in(6);
    if (late) w_.options.freeze_limit = std::chrono::milliseconds(0);
    w_.moves.fault = [this](const Placement&) {
      if (!one_in(8)) return FaultyMoves::Fault::none;
      return one_in(2) ? FaultyMoves::Fault::unwritten : FaultyMoves::Fault::lost_reply;
    };
    w_.script.before_pass = [this](bool) -> net::Task<void> {
      if (one_in(12)) co_return fail(one_in(2) ? Fault::temporary : Fault::closed, "source away");
      co_return Result<void>{};
    };
    w_.script.before_verify = [this]() -> net::Task<void> {
      if (one_in(12)) co_return fail(Fault::temporary, "source away");
      co_return Result<void>{};
    };
    // Not where a pass may still be under way, which a kill would end too.
    w_.services.crash_point = [this, late](std::string_view) {
      if (one_in(40)) w_.shard.fail_states = 1;
      if (one_in(60)) w_.engine->arm(storage::MemoryFault::full, 1);
      if (one_in(80)) w_.engine->arm(one_in(2) ? storage::MemoryFault::sync_failed : storage::MemoryFault::lost_reply, 1);
      if (!late && one_in(30)) throw Killed{};
    };
  }

  void clear() {
    w_.options.freeze_limit = std::chrono::hours(1);
    w_.moves.fault = {};
    w_.script.before_pass = {};
    w_.script.before_verify = {};
    w_.services.crash_point = {};
    w_.shard.fail_states = 0;
    w_.engine->arm(storage::MemoryFault::none, 1);
  }

 private:
  bool one_in(std::uint64_t n) { return random_() % n == 0; }
  MoveWorld& w_;
  std::mt19937_64 random_;
};

void drive(std::uint64_t seed) {
  MoveWorld w;
  w.options.quiet_wait = std::chrono::milliseconds(50);
  w.options.small_in_a_row = 1;
  Faults faults(w, seed);
  Users users(w, seed + 1);
  ASSERT_TRUE(w.run(plan_move(w.services, w.ann.number, {.shard = 1, .consents = kAll})));
  int runs = 0;
  while (w.stage().stage != Stage::native) {
    if (++runs < 60)
      faults.choose();
    else
      faults.clear();
    bool killed = false;
    Result<AccountMove::Outcome> moved = fail(Fault::closed, "killed");
    try {
      moved = w.move({.copy = true, .cut_over = true}, 3);
    } catch (const Killed&) {
      killed = true;
    }
    const auto stage = w.stage().stage;
    if (killed || !moved || stage == Stage::cutover || stage == Stage::switching) {
      faults.clear();
      w.engine->reopen();
      const auto recovered = w.run(recover(w.services));
      ASSERT_TRUE(recovered) << recovered.error().text;
      ASSERT_EQ(recovered->waiting, 0U);
      ASSERT_NE(w.placement().kind, Placement::Kind::moving);
    }
    w.clock.advance(w.options.longest_retry);
    ASSERT_NE(w.stage().stage, Stage::cutover) << w.stage().error;
    ASSERT_NE(w.stage().stage, Stage::switching) << w.stage().error;
    if (w.stage().stage == Stage::stuck) ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  }
  users.finish();
  EXPECT_EQ(w.placement().kind, Placement::Kind::shard);
  EXPECT_EQ(w.placement().epoch, w.stage().epoch);
  users.ledger.compare(w.shard.mail.all());
}

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// RELAIS_SEED=n begins with that seed, RELAIS_SEEDS=n tries so many.
TEST(MoveModel, NothingIsLostWhateverHappens) {
  auto seed = number_from("RELAIS_SEED", std::random_device{}());
  for (auto left = number_from("RELAIS_SEEDS", 20); left > 0 && !::testing::Test::HasFailure(); --left, ++seed) {
    SCOPED_TRACE("RELAIS_SEED=" + std::to_string(seed));
    drive(seed);
    if (::testing::Test::HasFailure()) std::cerr << "RELAIS_SEED=" << seed << "\n";
  }
}

}  // namespace
}  // namespace relais::migrate
