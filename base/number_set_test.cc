// NumberSet against std::set with random operations, and its text form.
#include "base/number_set.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace relais {
namespace {

TEST(NumberSet, TextForm) {
  EXPECT_EQ(NumberSet::parse("5:3,1,4,7")->to_string(), "1,3:5,7");
  EXPECT_EQ(NumberSet::parse("4294967295")->to_string(), "4294967295");
  for (const auto* bad : {"", "0", "1:", ":1", "1,,2", "a", "4294967296", "1:0", "-1"}) EXPECT_FALSE(NumberSet::parse(bad)) << bad;
}

TEST(NumberSet, BehavesLikeASet) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 rng(seed);
  for (int round = 0; round < 50; ++round) {
    NumberSet set;
    std::set<std::uint32_t> model;
    for (int step = 0; step < 200; ++step) {
      const std::uint32_t first = rng() % 100 + 1;
      const NumberRange range{first, first + static_cast<std::uint32_t>(rng() % 8)};
      switch (rng() % 4) {
        case 0:
          set.add(range);
          for (auto n = range.first; n <= range.last; ++n) model.insert(n);
          break;
        case 1:
          set.remove(range);
          for (auto n = range.first; n <= range.last; ++n) model.erase(n);
          break;
        default: {
          NumberSet other;
          for (int k = 0; k < 6; ++k) other.add(static_cast<std::uint32_t>(rng() % 120 + 1));
          const bool add = rng() % 2 == 0;
          EXPECT_EQ(set.intersect(other).count(), static_cast<std::uint64_t>(std::ranges::count_if(model, [&](auto n) { return other.contains(n); })));
          if (add) set.add(other);
          if (!add) set.remove(other);
          other.for_each([&](std::uint32_t n) {
            if (add) model.insert(n);
            if (!add) model.erase(n);
          });
        }
      }
      ASSERT_EQ(set.count(), model.size());
      std::uint64_t at = 0;
      for (const auto n : model) {
        ASSERT_EQ(set.nth(at), n);
        ASSERT_EQ(set.rank(n), at);
        ++at;
      }
      ASSERT_FALSE(set.nth(at));
      const auto probe = static_cast<std::uint32_t>(rng() % 120 + 1);
      ASSERT_EQ(set.contains(probe), model.contains(probe));
      const auto next = model.lower_bound(probe);
      ASSERT_EQ(set.lower_bound(probe), next == model.end() ? std::nullopt : std::optional(*next));
      for (std::size_t i = 1; i < set.ranges().size(); ++i) ASSERT_LT(set.ranges()[i - 1].last + 1, set.ranges()[i].first);
    }
  }
}

}  // namespace
}  // namespace relais
