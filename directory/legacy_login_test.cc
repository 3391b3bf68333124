// Whom a login is asked of, by placement and by what is known; a platform that answers as the test says.
#include "directory/legacy_login.h"

#include "directory/test_support.h"

#include <gtest/gtest.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <functional>
#include <future>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace relais::directory {
namespace {

/// Knows one password per user.
class FakePlatform final : public LegacyCheck {
 public:
  net::Task<void> check(LegacyAttempt attempt) override {
    ++asked;
    last = attempt;
    if (meanwhile) meanwhile();
    if (asked > release_above) release();
    while (held) static_cast<void>(co_await held->async_wait(net::asio::as_tuple(net::asio::use_awaitable)));
    if (unclear) co_return fail(Fault::temporary, "later", "UNCLEAR");
    if (away) co_return fail(Fault::temporary, "no route to host");
    if (passwords[attempt.user] == attempt.password) co_return Result<void>{};
    co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
  }
  std::map<std::string, std::string> passwords;
  std::optional<LegacyAttempt> last;
  std::function<void()> meanwhile;
  bool away = false;
  bool unclear = false;
  int asked = 0;

  /// Answers nobody until release(), or until more than so many were asked for.
  void hold(const net::asio::any_io_executor& executor, int most) {
    held.emplace(executor, net::asio::steady_timer::time_point::max());
    release_above = most;
  }
  void release() {
    const auto timer = std::exchange(held, std::nullopt);
    release_above = std::numeric_limits<int>::max();
  }

 private:
  std::optional<net::asio::steady_timer> held;
  int release_above = std::numeric_limits<int>::max();
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
  /// So many logins at once; the platform answers none before those that do not reach it are through.
  std::vector<std::string> log_in_at_once(int count, const std::string& password) {
    constexpr auto kMost = static_cast<int>(AskLimits::kRefusals);
    auto& loop = d.loops().at(0);
    platform.asked = 0;
    platform.hold(loop.executor(), kMost);
    int done = 0;  // on that loop
    const auto one = [&]() -> net::asio::awaitable<std::string> {
      LegacyLogin login({*d, *d, gate, platform, limits, accepted, std::chrono::milliseconds(0)}, "192.0.2.1");
      const auto result = co_await login.authenticate("ann@example.org", password);
      if (++done == count - kMost) platform.release();
      co_return result ? "ok" : std::string(to_string(result.error().fault)) + " " + result.error().code;
    };
    std::vector<std::future<std::string>> logins;
    for (int i = 0; i < count; ++i) logins.push_back(net::asio::co_spawn(loop.executor(), one, net::asio::use_future));
    std::vector<std::string> outcomes;
    for (auto& login : logins) outcomes.push_back(login.get());
    std::ranges::sort(outcomes);
    wait_for_upgrades(*d);
    return outcomes;
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

TEST_F(LegacyLoginTest, GuessesAtOnceDoNotPassTheLimit) {
  std::vector<std::string> expected(AskLimits::kRefusals, "refused AUTHENTICATIONFAILED");
  expected.insert(expected.end(), 5, "temporary UNAVAILABLE");
  EXPECT_EQ(log_in_at_once(15, "guess"), expected);
  EXPECT_EQ(platform.asked, static_cast<int>(AskLimits::kRefusals));
  EXPECT_EQ(log_in("secret").error().code, "AUTHENTICATIONFAILED");
  EXPECT_EQ(platform.asked, static_cast<int>(AskLimits::kRefusals));
}

TEST_F(LegacyLoginTest, RightPasswordsAtOnceAreNeverToldWrong) {
  std::vector<std::string> expected(AskLimits::kRefusals, "ok");
  expected.insert(expected.end(), 5, "temporary UNAVAILABLE");
  EXPECT_EQ(log_in_at_once(15, "secret"), expected);
  EXPECT_TRUE(log_in("secret"));
}

TEST_F(LegacyLoginTest, UnclearAnswersCountButAreNoWrongPassword) {
  platform.unclear = true;
  for (std::uint32_t i = 0; i < AskLimits::kRefusals; ++i) EXPECT_EQ(log_in("guess").error().fault, Fault::temporary);
  platform.unclear = false;
  EXPECT_EQ(log_in("secret").error().fault, Fault::temporary);
  EXPECT_EQ(platform.asked, static_cast<int>(AskLimits::kRefusals));
  clock.advance(AskLimits::kWindow);
  EXPECT_TRUE(log_in("secret"));
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
  using Answer = AskLimits::Answer;
  ManualClock clock;
  AskLimits limits(2, clock);
  limits.ask(1, "192.0.2.1")->answered(Answer::refused);
  limits.ask(4, "192.0.2.1")->answered(Answer::other);  // not remembered
  limits.ask(2, "2001:db8::1")->answered(Answer::refused);
  EXPECT_TRUE(limits.ask(1, "192.0.2.1"));
  EXPECT_TRUE(limits.ask(2, "2001:db8::ffff")) << "the same /64";
  EXPECT_FALSE(limits.ask(3, "192.0.2.1"));
  clock.advance(AskLimits::kWindow);
  EXPECT_TRUE(limits.ask(3, "192.0.2.1"));
}

TEST(AskLimits, AQuestionWithoutAnAnswerCounts) {
  ManualClock clock;
  AskLimits limits(2, clock);
  for (std::uint32_t i = 0; i < AskLimits::kRefusals; ++i) EXPECT_TRUE(limits.ask(1, "192.0.2.1"));
  EXPECT_EQ(limits.ask(1, "192.0.2.1").error().code, "AUTHENTICATIONFAILED");
}

TEST(AskLimits, WhatIsUnderWayOutlivesTheWindow) {
  ManualClock clock;
  AskLimits limits(1, clock);
  auto question = limits.ask(1, "192.0.2.1");
  clock.advance(AskLimits::kWindow);
  EXPECT_FALSE(limits.ask(2, "192.0.2.1")) << "there is no room as long as it is under way";
  question->answered(AskLimits::Answer::other);
  EXPECT_TRUE(limits.ask(2, "192.0.2.1"));
}

}  // namespace
}  // namespace relais::directory
