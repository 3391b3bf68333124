// How long wrong passwords make the next attempts wait.
#include "net/throttle.h"

#include "net/limits.h"

#include <gtest/gtest.h>

namespace relais::net {
namespace {

using namespace std::chrono_literals;

TEST(Throttle, TenFailuresAreFreeThenAttemptsWaitTwiceAsLongEachTime) {
  ManualClock clock;
  Throttle throttle(clock);
  std::vector<std::chrono::milliseconds> delays;
  for (int i = 0; i < 18; ++i) {
    delays.push_back(throttle.delay("192.0.2.1", "ann"));
    throttle.failed("192.0.2.1", "ann");
  }
  std::vector<std::chrono::milliseconds> expected(10, 0ms);
  expected.insert(expected.end(), {1s, 2s, 4s, 8s, 16s, 30s, 30s, 30s});
  EXPECT_EQ(delays, expected);
}

TEST(Throttle, CountsByAddressAndByAccount) {
  ManualClock clock;
  Throttle throttle(clock);
  for (int i = 0; i < 11; ++i) throttle.failed("192.0.2.1", "ann" + std::to_string(i));
  for (int i = 0; i < 10; ++i) throttle.failed("192.0.2." + std::to_string(10 + i), "bob");
  EXPECT_EQ(throttle.delay("192.0.2.1", "carol"), 2s);
  EXPECT_EQ(throttle.delay("198.51.100.1", "bob"), 1s);
  EXPECT_EQ(throttle.delay("198.51.100.1", "carol"), 0s);
}

TEST(Throttle, AnIpv6CustomerIsOneAddress) {
  ManualClock clock;
  Throttle throttle(clock);
  for (int i = 0; i < 10; ++i) throttle.failed("2001:db8:0:1::" + std::to_string(i), "ann" + std::to_string(i));
  EXPECT_EQ(throttle.delay("2001:db8:0:1:ffff::1", "bob"), 1s);
  EXPECT_EQ(throttle.delay("2001:db8:0:2::1", "bob"), 0s);
}

TEST(Throttle, SuccessClearsTheAccountAndHalfOfTheAddress) {
  ManualClock clock;
  Throttle throttle(clock);
  for (int i = 0; i < 22; ++i) throttle.failed("192.0.2.1", "ann");
  throttle.succeeded("192.0.2.1", "ann");
  EXPECT_EQ(throttle.delay("198.51.100.1", "ann"), 0s);
  EXPECT_EQ(throttle.delay("192.0.2.1", "bob"), 2s);
}

TEST(Throttle, ForgetsWithTime) {
  ManualClock clock;
  Throttle throttle(clock);
  for (int i = 0; i < 12; ++i) throttle.failed("192.0.2.1", "ann");
  EXPECT_EQ(throttle.delay("192.0.2.1", "ann"), 4s);
  clock.advance(Throttle::kForget);
  EXPECT_EQ(throttle.delay("192.0.2.1", "ann"), 2s);
  clock.advance(2 * Throttle::kForget);
  EXPECT_EQ(throttle.delay("192.0.2.1", "ann"), 0s);
  clock.advance(100 * Throttle::kForget);
  for (int i = 0; i < 10; ++i) throttle.failed("192.0.2.1", "ann");
  EXPECT_EQ(throttle.delay("192.0.2.1", "ann"), 1s);
}

TEST(Throttle, WhoNamesNobodyCountsForTheAddressAlone) {
  ManualClock clock;
  Throttle throttle(clock);
  for (int i = 0; i < 10; ++i) throttle.failed("192.0.2.1", "");
  EXPECT_EQ(throttle.keys(), 1U);
  EXPECT_EQ(throttle.delay("192.0.2.1", ""), 1s);
  EXPECT_EQ(throttle.delay("198.51.100.1", ""), 0s);
}

TEST(Throttle, NamesLongerThanAnyAccountsCostNoMore) {
  ManualClock clock;
  Throttle throttle(clock);
  const std::string end_a = std::string(320, 'x') + "a";
  for (int i = 0; i < 10; ++i) throttle.failed("192.0.2.1", end_a);
  EXPECT_EQ(throttle.delay("198.51.100.1", std::string(10'000, 'x')), 1s) << "they share one entry";
}

TEST(Throttle, MemoryIsBounded) {
  ManualClock clock;
  Throttle throttle(clock, 100);
  for (int i = 0; i < 1000; ++i) throttle.failed("192.0.2.1", "guess" + std::to_string(i));
  EXPECT_EQ(throttle.keys(), 100U);
  EXPECT_EQ(throttle.delay("192.0.2.1", "bob"), 30s);  // the guesser's address stays
}

AddressKey key(const char* address) { return address_key(parse_address(address, 0).value()); }

TEST(ConnectionCounts, LimitsInAllAndPerAddress) {
  ConnectionCounts counts(3, 2);
  using Answer = ConnectionCounts::Answer;
  EXPECT_EQ(counts.enter(key("192.0.2.1")), Answer::admitted);
  EXPECT_EQ(counts.enter(key("192.0.2.1")), Answer::admitted);
  EXPECT_EQ(counts.enter(key("192.0.2.1")), Answer::too_many_from_address);
  EXPECT_EQ(counts.enter(key("192.0.2.2")), Answer::admitted);
  EXPECT_EQ(counts.enter(key("192.0.2.3")), Answer::too_many);
  counts.leave(key("192.0.2.1"));
  EXPECT_EQ(counts.enter(key("192.0.2.1")), Answer::admitted);
  EXPECT_EQ(counts.total(), 3U);
}

TEST(AddressKey, WhatCountsTogether) {
  EXPECT_EQ(key("2001:db8::1"), key("2001:db8::2"));
  EXPECT_NE(key("2001:db8::1"), key("2001:db8:0:1::1"));
  EXPECT_NE(key("192.0.2.1"), key("192.0.2.2"));
  EXPECT_EQ(key("::ffff:192.0.2.1"), key("192.0.2.1"));
  EXPECT_NE(key("::c000:201:0:0:0:0"), key("192.0.2.1"));
  EXPECT_EQ(parse_address("::ffff:192.0.2.1", 7).value().address(), "192.0.2.1");
  EXPECT_EQ(parse_address("2001:DB8::1", 7).value().address(), "2001:db8::1");
  EXPECT_EQ(parse_address("::1", 7).value().port(), 7);
  for (const char* const bad : {"", "localhost", "192.0.2", "192.0.2.256", "[::1]", "192.0.2.1 "})
    EXPECT_FALSE(parse_address(bad, 0)) << bad;
}

}  // namespace
}  // namespace relais::net
