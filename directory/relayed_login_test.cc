// Whether a session is opened elsewhere, by whom, and how long a login waits.
#include "directory/relayed_login.h"

#include "directory/test_support.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>
#include <vector>

namespace relais::directory {
namespace {

using Kind = Placement::Kind;

class RelayedLoginTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(d->set_platform({.name = "old", .imap = {.host = "imap.old.example", .port = 143}})));
    number = d.run(d->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}})).value().number;
    ASSERT_TRUE(d.run(d->set_password("ann@example.org", "here")));
  }

  net::Task<bool> open(Located who, std::optional<std::string> password) {
    EXPECT_EQ(who.account.number, number);
    opened.push_back(password.value_or("by the master"));
    if (refuse) co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
    if (stale > 0) {
      --stale;
      co_return false;
    }
    co_return true;
  }
  RelayedLogin login(std::chrono::milliseconds wait = net::kSoon) {
    return {{*d, &*d, &gate}, "192.0.2.1", wait, [this](Located who, std::optional<std::string> password) {
              return open(std::move(who), std::move(password));
            }};
  }
  /// "ok" or fault and code; what open() was asked comes into `opened`.
  std::string authenticate(std::string password, std::chrono::milliseconds wait = net::kSoon) {
    opened.clear();
    auto who = login(wait);
    return told(d.run(who.authenticate("ann", std::move(password))));
  }
  std::string prove() {
    opened.clear();
    auto who = login();
    const auto keys = d.run(who.scram_keys("ann"));
    return told(d.run(who.login_verified("ann", keys->generation)));
  }
  static std::string told(const Result<Login>& done) {
    return done ? "ok" : std::string(to_string(done.error().fault)) + " " + done.error().code;
  }
  void place(Kind kind) { ASSERT_TRUE(d.place("ann@example.org", {.kind = kind, .legacy = kind == Kind::shard ? "" : "old"})); }
  /// The freeze ends as soon as a login has found the account moving and is registered to wait.
  void settle_as(Kind kind) {
    when_waiting = [this, kind](Placement moving) -> net::asio::awaitable<void> {
      const auto next = co_await d->change_placement(number, moving.epoch, {.kind = kind, .legacy = kind == Kind::shard ? "" : "old"});
      EXPECT_TRUE(next);
      if (next) gate.settled(number, *next);
    };
  }

  TestDirectory d{{.default_domain = "example.org"}};
  std::function<net::asio::awaitable<void>(Placement moving)> when_waiting;
  bool gone = false;  ///< the account is removed when a login waits for it
  PlacementGate gate{[this](AccountNumber account) -> net::Task<std::optional<Account>> {
    if (gone) {
      EXPECT_TRUE(co_await d->remove_account("ann@example.org"));
      co_return std::optional<Account>();
    }
    auto found = co_await d->find_number(account);
    if (when_waiting && found && *found && (*found)->placement.kind == Kind::moving) co_await when_waiting((*found)->placement);
    co_return found;
  }};
  AccountNumber number = 0;
  std::vector<std::string> opened;
  bool refuse = false;
  int stale = 0;
};

using Opened = std::vector<std::string>;

TEST_F(RelayedLoginTest, WhoLivesElsewhereIsTheirsToJudge) {
  EXPECT_EQ(authenticate("theirs"), "ok");
  EXPECT_EQ(opened, Opened{"theirs"});
  refuse = true;
  EXPECT_EQ(authenticate("here"), "refused AUTHENTICATIONFAILED") << "what is known here opens nothing there";
  EXPECT_EQ(opened, Opened{"here"});
}

TEST_F(RelayedLoginTest, WhoLivesHereIsTheDirectorysToJudge) {
  place(Kind::shard);
  EXPECT_EQ(authenticate("here"), "ok");
  EXPECT_EQ(authenticate("theirs"), "refused AUTHENTICATIONFAILED");
  EXPECT_EQ(prove(), "ok");
  EXPECT_EQ(opened, Opened{});
}

TEST_F(RelayedLoginTest, AProofIsPassedOnByTheMaster) {
  EXPECT_EQ(prove(), "ok");
  EXPECT_EQ(opened, Opened{"by the master"});
}

TEST_F(RelayedLoginTest, AFreezeIsWaitedFor) {
  for (const bool proof : {false, true}) {
    for (const auto kind : {Kind::legacy, Kind::shard}) {
      place(Kind::moving);
      settle_as(kind);
      EXPECT_EQ(proof ? prove() : authenticate("here"), "ok");
      EXPECT_EQ(opened.size(), kind == Kind::legacy ? 1U : 0U);
    }
  }
}

TEST_F(RelayedLoginTest, ButNotForever) {
  place(Kind::moving);
  EXPECT_EQ(authenticate("here", std::chrono::milliseconds(0)), "temporary UNAVAILABLE");
  EXPECT_EQ(opened, Opened{});
}

TEST_F(RelayedLoginTest, APlacementThatChangesMeanwhileIsLookedUpAgain) {
  stale = 1;
  EXPECT_EQ(authenticate("theirs"), "ok");
  EXPECT_EQ(opened, (Opened{"theirs", "theirs"}));
  stale = 1'000;
  EXPECT_EQ(authenticate("theirs"), "temporary UNAVAILABLE");
  EXPECT_EQ(prove(), "temporary UNAVAILABLE");
}

// Removed during its freeze, an account is one that does not exist.
TEST_F(RelayedLoginTest, AnAccountThatIsGoneIsNotServed) {
  place(Kind::moving);
  gone = true;
  EXPECT_EQ(authenticate("here"), "refused AUTHENTICATIONFAILED");
}

TEST_F(RelayedLoginTest, WithoutMovesEverybodyLivesHere) {
  RelayedLogin who({*d}, "192.0.2.1", std::chrono::milliseconds(0), [](Located, std::optional<std::string>) -> net::Task<bool> {
    ADD_FAILURE() << "nothing to open";
    co_return false;
  });
  EXPECT_EQ(told(d.run(who.authenticate("ann", "here"))), "ok");
}

}  // namespace
}  // namespace relais::directory
