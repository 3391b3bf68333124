// Whom a login is asked of, by placement and by what is known; a platform that answers as the test says.
#include "directory/legacy_login.h"

#include "directory/test_support.h"

#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <functional>
#include <future>
#include <optional>

namespace relais::directory {
namespace {

/// Knows one password per user.
class FakePlatform final : public LegacyCheck {
 public:
  net::Task<void> check(LegacyAttempt attempt) override {
    ++asked;
    last = attempt;
    if (meanwhile) meanwhile();
    if (away) co_return fail(Fault::temporary, "no route to host");
    if (passwords[attempt.user] == attempt.password) co_return Result<void>{};
    co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
  }
  std::map<std::string, std::string> passwords;
  std::optional<LegacyAttempt> last;
  std::function<void()> meanwhile;
  bool away = false;
  int asked = 0;
};

class LegacyLoginTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(
        d->set_platform({.name = "old", .imap = {.host = "imap.old.example", .port = 143}, .user_format = "%n", .learn_passwords = true})));
    ann = d.run(d->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}})).value();
    platform.passwords["ann"] = "secret";
  }
  void move_here() {
    const auto now = d.run(d->find("ann@example.org")).value()->placement;
    ASSERT_TRUE(d.run(d->change_placement(ann.number, now.epoch, Placement{})));
  }
  Result<Login> log_in(std::string password, std::string from = "192.0.2.1", std::string user = "ann@example.org") {
    LegacyLogin login({*d, *d, gate, platform, limits, accepted, std::chrono::milliseconds(0)}, std::move(from));
    auto done = d.run(login.authenticate(std::move(user), std::move(password)));
    wait_for_upgrades(*d);
    return done;
  }
  Knowledge known() { return d.run(d->located(ann.number)).value()->knowledge; }

  ManualClock clock;
  TestDirectory d{{.default_domain = "example.org", .clock = &clock}};
  PlacementGate gate{*d};
  FakePlatform platform;
  AskLimits limits{100, clock};
  VerifiedCache accepted{100, std::chrono::minutes(5), clock};
  Account ann;
};

TEST_F(LegacyLoginTest, APlatformJudgesTheAccountsThatLiveThere) {
  EXPECT_EQ(log_in("wrong").error().code, "AUTHENTICATIONFAILED");
  const auto login = log_in("secret", "2001:db8::1", "ANN");
  ASSERT_TRUE(login) << login.error().text;
  EXPECT_EQ(login->account.placement.kind, Placement::Kind::legacy);
  EXPECT_EQ(platform.last->user, "ann");
  EXPECT_EQ(platform.last->client_address, "2001:db8::1");
  EXPECT_EQ(known(), Knowledge::learned);
  platform.passwords["ann"] = "changed there";
  EXPECT_TRUE(log_in("changed there"));
  EXPECT_FALSE(log_in("secret")) << "a learned hash opens nothing there";
}

TEST_F(LegacyLoginTest, WhatWasAcceptedLatelyIsNotAskedAgain) {
  EXPECT_TRUE(log_in("secret"));
  EXPECT_TRUE(log_in("secret"));  // learning has raised the generation: asked once more, and remembered from then on
  const auto asked = platform.asked;
  EXPECT_TRUE(log_in("secret"));
  EXPECT_EQ(platform.asked, asked);
  clock.advance(std::chrono::minutes(6));
  EXPECT_TRUE(log_in("secret"));
  EXPECT_EQ(platform.asked, asked + 1);
}

TEST_F(LegacyLoginTest, AMovedAccountWithoutAPasswordIsAskedForOnce) {
  move_here();
  EXPECT_EQ(known(), Knowledge::nothing);
  EXPECT_TRUE(log_in("secret"));
  EXPECT_EQ(platform.asked, 1);
  EXPECT_EQ(known(), Knowledge::learned);
  clock.advance(std::chrono::hours(48));
  platform.away = true;
  EXPECT_TRUE(log_in("secret")) << "known here";
  EXPECT_EQ(platform.asked, 1);
}

TEST_F(LegacyLoginTest, APasswordChangedAtTheLastMomentIsAskedForAgain) {
  EXPECT_TRUE(log_in("secret"));
  platform.passwords["ann"] = "changed";
  move_here();
  EXPECT_TRUE(log_in("changed"));
  EXPECT_FALSE(log_in("secret"));
  platform.away = true;
  EXPECT_TRUE(log_in("changed"));
}

TEST_F(LegacyLoginTest, AnImportedHashThatNoLongerFitsIsAskedForToo) {
  const auto bob =
      d.run(d->add_legacy_account({.address = "bob@example.org", .origin = {.platform = "old"}, .password_hash = "{PLAIN}before"})).value();
  platform.passwords["bob"] = "after";
  ASSERT_TRUE(d.run(d->change_placement(bob.number, 1, Placement{})));
  EXPECT_TRUE(log_in("before", "192.0.2.1", "bob"));
  EXPECT_EQ(platform.asked, 0);
  EXPECT_TRUE(log_in("after", "192.0.2.1", "bob"));
  EXPECT_FALSE(log_in("before", "192.0.2.1", "bob"));
}

TEST_F(LegacyLoginTest, APasswordThatWasSetHereEndsAllQuestions) {
  move_here();
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "of the admin")));
  EXPECT_TRUE(log_in("of the admin"));
  EXPECT_FALSE(log_in("secret"));
  EXPECT_EQ(platform.asked, 0);
}

TEST_F(LegacyLoginTest, ASettledAccountIsAskedForNowhere) {
  move_here();
  ASSERT_TRUE(d.run(d->set_origin(ann.number, {})));
  EXPECT_FALSE(log_in("secret"));
  EXPECT_FALSE(log_in("x", "192.0.2.1", "nobody"));
  EXPECT_EQ(platform.asked, 0);
}

TEST_F(LegacyLoginTest, APlatformThatIsAwayIsNoWrongPassword) {
  platform.away = true;
  for (std::uint32_t i = 0; i <= AskLimits::kRefusals; ++i) EXPECT_EQ(log_in("secret").error().fault, Fault::temporary);
  platform.away = false;
  EXPECT_TRUE(log_in("secret")) << "that it was away counts for nothing";
}

TEST_F(LegacyLoginTest, AGuesserReachesThePlatformTenTimesAnHour) {
  move_here();
  for (std::uint32_t i = 0; i < AskLimits::kRefusals; ++i)
    EXPECT_EQ(log_in("guess " + std::to_string(i)).error().code, "AUTHENTICATIONFAILED");
  const auto asked = platform.asked;
  EXPECT_EQ(log_in("secret").error().code, "AUTHENTICATIONFAILED");
  EXPECT_EQ(platform.asked, asked);
  EXPECT_TRUE(log_in("secret", "192.0.2.2")) << "from elsewhere";
  clock.advance(AskLimits::kWindow);
  EXPECT_FALSE(log_in("another guess"));
  EXPECT_EQ(platform.asked, asked + 2);
}

TEST_F(LegacyLoginTest, WhatHappensWhileThePlatformIsAskedCounts) {
  const auto other_thread = [&](auto call) {
    return net::asio::co_spawn(d.loops().at(1).executor(), std::move(call), net::asio::use_future).get();
  };
  platform.meanwhile = [&] {
    ASSERT_TRUE(other_thread(d->change_placement(ann.number, 1, Placement{Placement::Kind::moving, 0, "old", 0})));
  };
  EXPECT_EQ(log_in("secret").error().fault, Fault::temporary);
  platform.meanwhile = {};
  EXPECT_EQ(log_in("secret").error().fault, Fault::temporary) << "it is being moved, and nobody settles that in time";
  ASSERT_TRUE(d.run(d->change_placement(ann.number, 2, Placement{})));
  platform.meanwhile = [&] { ASSERT_TRUE(other_thread(d->set_enabled("ann@example.org", false))); };
  EXPECT_EQ(log_in("secret").error().code, "AUTHENTICATIONFAILED");
  EXPECT_EQ(known(), Knowledge::nothing);
}

TEST(AskLimits, AFullMemoryAsksNobodyNew) {
  ManualClock clock;
  AskLimits limits(2, clock);
  limits.refused(1, "192.0.2.1");
  limits.refused(2, "2001:db8::1");
  EXPECT_TRUE(limits.may_ask(1, "192.0.2.1"));
  EXPECT_TRUE(limits.may_ask(2, "2001:db8::ffff")) << "the same /64";
  EXPECT_FALSE(limits.may_ask(3, "192.0.2.1"));
  clock.advance(AskLimits::kWindow);
  EXPECT_TRUE(limits.may_ask(3, "192.0.2.1"));
}

}  // namespace
}  // namespace relais::directory
