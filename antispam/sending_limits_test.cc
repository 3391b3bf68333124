// Sending limits: windows, texts, restarts.
#include "antispam/sending_limits.h"

#include "base/encode.h"
#include "base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <latch>
#include <thread>

namespace relais::antispam {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

constexpr SendingLimitOptions kSmall{.messages_hour = 3, .messages_day = 5, .recipients_hour = 4, .recipients_day = 6};

class SendingLimitsTest : public ::testing::Test {
 protected:
  Action send(std::uint64_t account = 7) { return limits.message(account, "ann@example.org").action; }
  Action to(std::uint64_t account = 7) { return limits.recipient(account, "ann@example.org").action; }
  ManualClock clock;
  SendingLimits limits{kSmall, clock};
};

TEST_F(SendingLimitsTest, AnHourThenADay) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(), Action::accept);
  const auto refused = limits.message(7, "ann@example.org");
  EXPECT_EQ(refused.action, Action::defer);
  EXPECT_EQ(refused.status, "4.7.1");
  EXPECT_EQ(refused.limit, "messages an hour");
  EXPECT_EQ(refused.text, "this account may send at most 3 messages an hour, try again in an hour");
  EXPECT_TRUE(refused.newly);
  EXPECT_FALSE(limits.message(7, "ann@example.org").newly);
  EXPECT_EQ(send(8), Action::accept);  // another account
  clock.advance(minutes(66));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(send(), Action::accept);
  const auto final = limits.message(7, "ann@example.org");
  EXPECT_EQ(final.action, Action::reject);
  EXPECT_EQ(final.status, "5.7.1");
  EXPECT_THAT(final.text, HasSubstr("at most 5 messages a day, send the rest tomorrow"));
  clock.advance(hours(26));
  EXPECT_EQ(send(), Action::accept);
}

TEST_F(SendingLimitsTest, RecipientsCountByThemselves) {
  for (int i = 0; i < 4; ++i) EXPECT_EQ(to(), Action::accept);
  const auto refused = limits.recipient(7, "ann@example.org");
  EXPECT_EQ(refused.action, Action::defer);
  EXPECT_EQ(refused.text, "this account may send to at most 4 recipients an hour, try again in an hour");
  EXPECT_EQ(send(), Action::accept);
  clock.advance(minutes(66));
  EXPECT_EQ(to(), Action::accept);
  EXPECT_EQ(to(), Action::accept);
  EXPECT_EQ(limits.recipient(7, "").action, Action::reject);
}

// Never more than the limit within any hour and any day, whenever one looks; and what was refused does not count.
TEST_F(SendingLimitsTest, NoWindowIsEverExceeded) {
  std::deque<std::int64_t> sent;
  std::size_t total = 0;
  std::uint64_t state = 1;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 6'364'136'223'846'793'005ULL + 1;
    clock.advance(seconds(static_cast<std::int64_t>((state >> 33U) % 900)));
    if (send() != Action::accept) continue;
    ++total;
    sent.push_back(clock.seconds());
    while (sent.front() <= clock.seconds() - 86'400) sent.pop_front();
    ASSERT_LE(sent.size(), 5U);
    ASSERT_LE(std::ranges::count_if(sent, [&](std::int64_t at) { return at > clock.seconds() - 3'600; }), 3);
  }
  // Some 104 days: nobody waits much longer than a day for the next five.
  EXPECT_GT(total, 450U);
}

TEST_F(SendingLimitsTest, WhatCameToNothingIsGivenBack) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(), Action::accept);
  limits.give_back(7, 1, 5);
  EXPECT_EQ(limits.usage(7).messages_hour, 2U);
  EXPECT_EQ(limits.usage(7).messages_day, 2U);
  EXPECT_EQ(limits.usage(7).recipients_hour, 0U);
  clock.advance(minutes(10));
  limits.give_back(7, 100, 0);
  EXPECT_EQ(limits.usage(7).messages_day, 0U);
  limits.give_back(99, 1, 1);
  EXPECT_EQ(send(), Action::accept);
}

TEST_F(SendingLimitsTest, TheAdminIsTold) {
  static std::string logged;
  logged.clear();
  log::capture([](std::string_view line) { logged.append(line); });
  for (int i = 0; i < 6; ++i) static_cast<void>(send());
  for (int i = 0; i < 8; ++i) static_cast<void>(to(3));
  log::flush();
  log::capture(nullptr);
  EXPECT_THAT(logged, HasSubstr("event=sending-limit account=7 address=ann@example.org limit=\"messages an hour\" allowed=3"));
  EXPECT_EQ(logged.find("account=7"), logged.rfind("account=7"));
  const auto refused = limits.refused();
  ASSERT_EQ(refused.size(), 2U);
  EXPECT_EQ(refused[0].account, 3U);
  EXPECT_EQ(refused[0].refused, 4U);
  EXPECT_EQ(refused[1].address, "ann@example.org");
  EXPECT_EQ(refused[1].messages_hour, 3U);
  EXPECT_EQ(refused[1].since, clock.seconds());
  limits.forgive(7);
  EXPECT_EQ(limits.refused().size(), 1U);
  EXPECT_EQ(send(), Action::accept);
  clock.advance(hours(25));
  EXPECT_TRUE(limits.refused().empty());
}

TEST_F(SendingLimitsTest, NoLimits) {
  limits.set_options({0, 0, 0, 0});
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(send(), Action::accept);
    EXPECT_EQ(to(), Action::accept);
  }
  limits.set_options(kSmall);
  EXPECT_EQ(send(), Action::reject);
}

TEST_F(SendingLimitsTest, AClockThatGoesBackForgivesNothing) {
  for (int i = 0; i < 3; ++i) EXPECT_EQ(send(), Action::accept);
  clock.advance(-hours(5));
  EXPECT_EQ(send(), Action::defer);
  EXPECT_EQ(limits.usage(7).messages_hour, 3U);
}

TEST_F(SendingLimitsTest, SnapshotsAreReadBack) {
  for (int i = 0; i < 4; ++i) static_cast<void>(send());
  static_cast<void>(to(9));
  const auto octets = limits.snapshot();
  SendingLimits later(kSmall, clock);
  ASSERT_TRUE(later.restore(octets));
  EXPECT_EQ(later.usage(7).messages_day, 3U);
  EXPECT_EQ(later.usage(9).recipients_hour, 1U);
  EXPECT_EQ(later.refused().size(), 1U);
  EXPECT_EQ(later.message(7, "ann@example.org").action, Action::defer);
  for (std::size_t cut = 0; cut < octets.size(); ++cut) EXPECT_EQ(later.restore(octets.substr(0, cut)).error().fault, Fault::corrupt);
  for (std::size_t i = 0; i < octets.size(); ++i) {
    auto damaged = octets;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(later.restore(damaged).error().fault, Fault::corrupt);
  }
  EXPECT_EQ(later.usage(7).messages_day, 3U);  // a damaged one changes nothing
  clock.advance(hours(30));
  SendingLimits much_later(kSmall, clock);
  ASSERT_TRUE(much_later.restore(octets));
  EXPECT_EQ(much_later.usage(7).messages_day, 0U);
  EXPECT_EQ(much_later.message(7, "").action, Action::accept);
}

// docs/format.md
TEST_F(SendingLimitsTest, SnapshotGolden) {
  static_cast<void>(limits.message(7, "a@b"));
  static_cast<void>(limits.recipient(7, "a@b"));
  const auto octets = limits.snapshot();
  // 1,767,225,600 / 300 mod 13 = 10; / 3,600 mod 25 = 21
  const auto zeros = [](std::size_t n) { return std::string(2 * n, '0'); };
  EXPECT_EQ(to_hex(octets),
            "52536e64"
            "01"
            "01"
            "07"
            "80f2d6ca06" +
                zeros(20) + "0101" + zeros(4) + zeros(42) + "0101" + zeros(6) +
                "03614062"
                "00"
                "00" +
                to_hex(octets.substr(octets.size() - 4)));
}

TEST_F(SendingLimitsTest, FilesAreReplacedAtomically) {
  char folder[] = "/tmp/relais-limits-XXXXXX";
  ASSERT_NE(::mkdtemp(folder), nullptr);
  const auto path = std::string(folder) + "/limits";
  EXPECT_TRUE(limits.load(path));  // a first start
  static_cast<void>(send());
  ASSERT_TRUE(limits.save(path));
  static_cast<void>(send());
  ASSERT_TRUE(limits.save(path));
  SendingLimits later(kSmall, clock);
  ASSERT_TRUE(later.load(path));
  EXPECT_EQ(later.usage(7).messages_day, 2U);
  EXPECT_EQ(limits.save("/nowhere/at/all").error().fault, Fault::temporary);
  EXPECT_EQ(later.load(folder).error().fault, Fault::temporary);
  std::ofstream(path) << "nonsense";
  EXPECT_EQ(later.load(path).error().fault, Fault::corrupt);
  std::filesystem::remove_all(folder);
}

TEST_F(SendingLimitsTest, ThreadsNeverExceedTheLimit) {
  limits.set_options({.messages_hour = 1'000, .messages_day = 0, .recipients_hour = 0, .recipients_day = 0});
  std::atomic<int> accepted{0};
  std::latch start(4);
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        start.arrive_and_wait();
        for (int i = 0; i < 500; ++i) accepted += limits.message(7, "ann@example.org").action == Action::accept ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(accepted, 1'000);
}

}  // namespace
}  // namespace relais::antispam
