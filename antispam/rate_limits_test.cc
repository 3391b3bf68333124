// Token buckets, rate limits and verdicts.
#include "antispam/rate_limits.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

namespace relais::antispam {
namespace {

using namespace std::chrono_literals;

TEST(TokenBuckets, BurstThenRate) {
  ManualClock clock;
  TokenBuckets buckets({.per_minute = 60, .burst = 3}, 256, clock);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(buckets.take("a"));
  EXPECT_FALSE(buckets.take("a"));
  EXPECT_TRUE(buckets.take("b")) << "keys are apart";
  clock.advance(1s);
  EXPECT_TRUE(buckets.take("a"));
  EXPECT_FALSE(buckets.take("a"));
  clock.advance(1h);
  EXPECT_DOUBLE_EQ(buckets.available("a"), 3);
}

TEST(TokenBuckets, ZeroRateIsNoLimit) {
  TokenBuckets buckets({}, 256);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(buckets.take("a"));
}

TEST(TokenBuckets, ManyKeysForgetTheFullestFirst) {
  ManualClock clock;
  TokenBuckets buckets({.per_minute = 1, .burst = 100}, 256, clock);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(buckets.take("flood"));
  // Strangers who took one token each are nearer to full than the one who took all.
  for (int i = 0; i < 20'000; ++i) buckets.take("key" + std::to_string(i));
  EXPECT_FALSE(buckets.take("flood"));
}

TEST(TokenBuckets, AnyThread) {
  ManualClock clock;
  TokenBuckets buckets({.per_minute = 1, .burst = 10'000}, 256, clock);
  std::atomic<int> taken{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) taken += buckets.take("a") ? 1 : 0;
    });
  }
  threads.clear();
  EXPECT_EQ(taken, 10'000);
}

TEST(ClientKey, OnePerIpv4AndPer64) {
  std::array<char, 40> a{};
  std::array<char, 40> b{};
  EXPECT_EQ(client_key("192.0.2.1", a), "192.0.2.1");
  EXPECT_EQ(client_key("2001:db8::1", a), client_key("2001:db8:0:0:ffff::", b));
  EXPECT_NE(client_key("2001:db8::1", a), client_key("2001:db8:0:1::1", b));
  EXPECT_NE(client_key("::ffff:192.0.2.1", a), client_key("::ffff:192.0.2.2", b));
  EXPECT_EQ(client_key("no:address", a), "no:address");
}

TEST(RateLimits, ClientAndAccountAreCountedApart) {
  ManualClock clock;
  RateLimits limits({.client_messages = {1, 1}, .client_recipients = {1, 2}, .sender_messages = {1, 2}, .sender_recipients = {}, .tracked = 256}, clock);
  EXPECT_EQ(limits.message("192.0.2.1", 0).action, Action::accept);
  const auto second = limits.message("192.0.2.1", 0);
  EXPECT_EQ(second.action, Action::defer);
  EXPECT_EQ(second.reasons, std::vector<std::string>{"rate of client: messages"});
  EXPECT_EQ(limits.message("192.0.2.1", 7).action, Action::accept) << "a login is not held against its address";
  EXPECT_EQ(limits.message("192.0.2.9", 7).action, Action::accept);
  EXPECT_EQ(limits.message("192.0.2.9", 7).action, Action::defer);
  EXPECT_EQ(limits.recipient("192.0.2.1", 0).action, Action::accept);
}

TEST(Verdict, TheHarsherWins) {
  Verdict verdict{Action::defer, "later", {"a"}};
  verdict.merge({Action::accept, "", {"b"}});
  EXPECT_EQ(verdict.action, Action::defer);
  EXPECT_EQ(verdict.text, "later");
  verdict.merge({Action::reject, "no", {"c"}});
  EXPECT_EQ(to_string(verdict.action), "reject");
  EXPECT_EQ(verdict.text, "no");
  EXPECT_EQ(verdict.reasons.size(), 3U);
}

}  // namespace
}  // namespace relais::antispam
