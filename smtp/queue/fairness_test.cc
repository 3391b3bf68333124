// Many destinations, some dead, some slow: the healthy ones do not notice. In the world's own time.
#include "smtp/queue/queue.h"
#include "smtp/queue/test_support.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

namespace relais::smtp::queue {
namespace {

using namespace testing;
using namespace std::chrono_literals;

constexpr int kDestinations = 200;
constexpr int kDead = 20;
constexpr int kSlow = 20;

struct Distribution {
  std::int64_t median = 0;
  std::int64_t p99 = 0;
  std::int64_t longest = 0;
  std::size_t count = 0;
};

/// @param messages in all, coming in over `over`   @return delays of the healthy destinations' messages, in milliseconds
Distribution run(bool with_sick, int messages, milliseconds over, std::uint32_t connections, milliseconds healthy_takes) {
  QueueOptions options;
  options.connections = connections;
  World world(1, options);
  world.keep_reports = false;
  const auto number = [](const std::string& destination) { return std::stoi(destination.substr(4)); };
  world.serve = [&](const std::string& destination, const Dispatch& dispatch) {
    const auto n = number(destination);
    if (n < kDead) return FakeReply{unreachable(dispatch), 30s};
    if (n < kDead + kSlow) return FakeReply{all(dispatch, Disposition::relayed), 60s};
    return FakeReply{all(dispatch, Disposition::relayed), healthy_takes};
  };
  const auto content = storage::make_blob({}, storage::encode_chunks("Subject: x\r\n\r\nbody\r\n"));
  std::map<std::string, std::int64_t> arrived;
  const auto begin = world.milliseconds_now();
  for (int i = 0; i < messages; ++i) {
    const auto n = i % kDestinations;
    if (!with_sick && n < kDead + kSlow) continue;
    NewMessage message;
    message.trace_id = std::to_string(i);
    message.sender = "sender@here.example";
    message.content = content;
    const auto domain = "d" + std::to_string(n) + ".test";
    message.recipients.push_back({.address = "u@" + domain, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + domain});
    const auto due = begin + over.count() * i / messages;
    if (due > world.milliseconds_now()) world.run_for(milliseconds(due - world.milliseconds_now()));
    arrived[message.trace_id] = world.milliseconds_now();
    EXPECT_TRUE(world.accept(std::move(message)));
  }
  const auto expected = static_cast<std::size_t>(messages) / kDestinations * (kDestinations - kDead - kSlow);
  std::size_t seen = 0;
  std::size_t at = 0;
  world.run_for(24h, [&] {
    for (; at < world.sent.size(); ++at) seen += number(world.sent[at].destination) >= kDead + kSlow;
    return seen >= expected;
  });
  std::vector<std::int64_t> delays;
  for (const auto& one : world.sent) {
    if (number(one.destination) >= kDead + kSlow) delays.push_back(one.time - arrived.at(one.trace_id));
  }
  EXPECT_LE(world.most_all_lanes, connections);
  std::ranges::sort(delays);
  if (delays.empty()) return {};
  return {delays[delays.size() / 2], delays[delays.size() * 99 / 100], delays.back(), delays.size()};
}

/// @param percent  that the delays may be longer with the sick ones
void compare(const char* name, int messages, milliseconds over, std::uint32_t connections, milliseconds healthy_takes, int percent) {
  const auto without = run(false, messages, over, connections, healthy_takes);
  const auto with = run(true, messages, over, connections, healthy_takes);
  std::printf("%s: median %lld ms (%lld without sick ones), 99%% %lld ms (%lld), longest %lld ms (%lld), %zu messages\n", name,
              static_cast<long long>(with.median), static_cast<long long>(without.median), static_cast<long long>(with.p99),
              static_cast<long long>(without.p99), static_cast<long long>(with.longest), static_cast<long long>(without.longest),
              with.count);
  EXPECT_EQ(with.count, without.count);
  for (const auto& [mine, theirs] :
       {std::pair(with.median, without.median), std::pair(with.p99, without.p99), std::pair(with.longest, without.longest)}) {
    EXPECT_LE(mine, theirs + theirs * percent / 100 + 50);
  }
}

TEST(QueueFairness, ASteadyStream) { compare("steady stream", 20'000, 100s, 500, 50ms, 5); }
// All at once, and about as many connections as there are destinations: those that slow and dead ones hold are not the healthy ones'.
TEST(QueueFairness, ABurst) { compare("burst", 20'000, 0ms, 500, 50ms, 5); }
TEST(QueueFairness, AHundredThousand) { compare("100,000 messages", 100'000, 200s, 500, 50ms, 5); }

}  // namespace
}  // namespace relais::smtp::queue
