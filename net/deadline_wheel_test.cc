// The wheel against a sorted list: never early, at most a tick late.
#include "net/deadline_wheel.h"

#include <gtest/gtest.h>

#include <list>
#include <random>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using Time = DeadlineWheel::Time;

TEST(DeadlineWheel, ExpiresOnTime) {
  for (const auto delay : {0ms, 1ms, 63ms, 64ms, 65ms, 16'383ms, 16'384ms, 16'385ms, 60'000ms, 1'800'000ms, 4'177'920ms, 5'000'000ms, 86'400'000ms}) {
    SCOPED_TRACE(delay.count());
    const Time start{1h};
    DeadlineWheel wheel(start);
    DeadlineWheel::Entry entry;
    wheel.arm(entry, start + delay);
    auto now = start;
    while (wheel.size() > 0) {
      const auto next = wheel.next_due();
      ASSERT_TRUE(next);
      ASSERT_GE(*next, now);
      now = *next;
      if (auto* expired = wheel.expire_one(now)) {
        EXPECT_EQ(expired, &entry);
        EXPECT_FALSE(entry.armed());
      } else {
        now += 1ms;
      }
    }
    EXPECT_GE(now, start + delay);
    EXPECT_LE(now, start + delay + DeadlineWheel::kTick + 1ms);
    EXPECT_FALSE(wheel.next_due());
  }
}

TEST(DeadlineWheel, AgreesWithASimpleModel) {
  for (unsigned seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    struct Item {
      DeadlineWheel::Entry entry;
      Time deadline;
    };
    const Time start{17min};
    auto now = start;
    DeadlineWheel wheel(now);
    std::vector<Item> items(200);
    for (int step = 0; step < 5000; ++step) {
      auto& item = items[random() % items.size()];
      switch (random() % 4) {
        case 0:
        case 1: {
          const auto reach = std::uint64_t{1} << random() % 24;  // ms: up to 4.6 hours
          item.deadline = now + std::chrono::milliseconds(random() % reach);
          wheel.arm(item.entry, item.deadline);
          break;
        }
        case 2: wheel.disarm(item.entry); break;
        default: now += std::chrono::milliseconds(random() % (std::uint64_t{1} << random() % 20));
      }
      while (auto* expired = wheel.expire_one(now)) {
        const auto& owner = *reinterpret_cast<Item*>(expired);
        EXPECT_LE(owner.deadline, now);
      }
      std::size_t armed = 0;
      for (const auto& each : items)
        if (each.entry.armed()) {
          ++armed;
          EXPECT_GT(each.deadline + DeadlineWheel::kTick, now);
        }
      EXPECT_EQ(armed, wheel.size());
    }
  }
}

}  // namespace
}  // namespace relais::net
