// The memory of verified passwords: bounds, order, expiry.
#include "directory/verified_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace relais::directory {
namespace {

TEST(VerifiedCache, DigestsDifferByAccountGenerationPasswordAndProcess) {
  const VerifiedCache cache(100, std::chrono::minutes(5), system_clock());
  const VerifiedCache other(100, std::chrono::minutes(5), system_clock());
  const auto base = cache.digest(1, 2, "secret");
  EXPECT_EQ(base, cache.digest(1, 2, "secret"));
  EXPECT_NE(base, cache.digest(2, 2, "secret"));
  EXPECT_NE(base, cache.digest(1, 3, "secret"));
  EXPECT_NE(base, cache.digest(1, 2, "secreT"));
  EXPECT_NE(base, other.digest(1, 2, "secret"));
}

TEST(VerifiedCache, ForgetsAfterItsLifetime) {
  ManualClock clock;
  VerifiedCache cache(100, std::chrono::seconds(300), clock);
  const auto digest = cache.digest(1, 1, "x");
  EXPECT_FALSE(cache.contains(digest));
  cache.remember(digest);
  clock.advance(std::chrono::seconds(299));
  EXPECT_TRUE(cache.contains(digest));
  clock.advance(std::chrono::seconds(1));
  EXPECT_FALSE(cache.contains(digest)) << "use does not prolong it";
  cache.remember(digest);
  EXPECT_TRUE(cache.contains(digest));
}

TEST(VerifiedCache, LifetimeZeroKeepsNothing) {
  VerifiedCache cache(100, std::chrono::seconds(0), system_clock());
  const auto digest = cache.digest(1, 1, "x");
  cache.remember(digest);
  EXPECT_FALSE(cache.contains(digest));
  EXPECT_EQ(cache.size(), 0U);
}

TEST(VerifiedCache, IsBoundedAndKeepsWhatIsUsed) {
  ManualClock clock;
  VerifiedCache cache(1'600, std::chrono::minutes(5), clock);
  const auto kept = cache.digest(0, 0, "kept");
  cache.remember(kept);
  for (AccountNumber i = 1; i <= 20'000; ++i) {
    cache.remember(cache.digest(i, 0, "x"));
    ASSERT_TRUE(cache.contains(kept)) << i;
  }
  EXPECT_LE(cache.size(), 1'600U);
  EXPECT_GE(cache.size(), 1'500U);
  EXPECT_FALSE(cache.contains(cache.digest(1, 0, "x")));
  EXPECT_TRUE(cache.contains(cache.digest(20'000, 0, "x")));
  std::size_t found = 0;
  for (AccountNumber i = 1; i <= 20'000; ++i) found += cache.contains(cache.digest(i, 0, "x")) ? 1 : 0;
  EXPECT_EQ(found + 1, cache.size());
}

}  // namespace
}  // namespace relais::directory
