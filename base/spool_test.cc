// The spool: the same octets whatever the pieces, in memory and on disk.
#include "base/spool.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include <sys/resource.h>

namespace relais {
namespace {

std::string temporary() { return std::filesystem::temp_directory_path().string(); }

std::string pattern(std::size_t size) {
  std::string out(size, '\0');
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<char>(i * 2654435761U >> 13);
  return out;
}

TEST(Spool, KeepsOctetsInOrder) {
  for (const std::size_t total : {0UL, 1UL, 5000UL, Spool::kInMemory - 1, Spool::kInMemory, Spool::kInMemory + 1, 3 * Spool::kInMemory + 17}) {
    for (const std::size_t piece : {61UL, 64UL * 1024, 1UL << 20}) {
      SCOPED_TRACE(testing::Message() << total << " in pieces of " << piece);
      const auto data = pattern(total);
      Spool spool(temporary());
      for (std::size_t at = 0; at < total; at += piece) ASSERT_TRUE(spool.append(std::string_view(data).substr(at, piece)));
      EXPECT_EQ(spool.size(), total);
      EXPECT_EQ(spool.on_disk(), total > Spool::kInMemory);
      const auto view = spool.view();
      ASSERT_TRUE(view);
      EXPECT_TRUE(*view == data);
    }
  }
}

TEST(Spool, GoesOnAfterAView) {
  const auto data = pattern(2 * Spool::kInMemory);
  Spool spool(temporary());
  ASSERT_TRUE(spool.append(data));
  ASSERT_TRUE(spool.view());
  ASSERT_TRUE(spool.append("end"));
  EXPECT_TRUE(spool.view().value() == data + "end");
}

TEST(Spool, Moves) {
  Spool first(temporary());
  ASSERT_TRUE(first.append(pattern(Spool::kInMemory + 1)));
  Spool second(std::move(first));
  EXPECT_TRUE(second.view().value() == pattern(Spool::kInMemory + 1));
  Spool third(temporary());
  ASSERT_TRUE(third.append("other"));
  third = std::move(second);
  EXPECT_EQ(third.size(), Spool::kInMemory + 1);
}

TEST(Spool, ClearStartsAgain) {
  Spool spool(temporary());
  ASSERT_TRUE(spool.append(pattern(Spool::kInMemory + 1)));
  spool.clear();
  EXPECT_EQ(spool.size(), 0U);
  ASSERT_TRUE(spool.append("new"));
  EXPECT_EQ(spool.view().value(), "new");
}

TEST(Spool, ADiskThatTakesNoMoreIsTemporaryAndLosesNothing) {
  // A limit on file size stands for a full disk.
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const auto data = pattern(4 * Spool::kInMemory);
  Spool spool(temporary());
  ASSERT_TRUE(spool.append(std::string_view(data).substr(0, Spool::kInMemory)));
  const rlimit small{Spool::kInMemory / 2, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused = spool.append(std::string_view(data).substr(Spool::kInMemory));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::temporary);
  EXPECT_EQ(spool.size(), Spool::kInMemory);
  ASSERT_TRUE(spool.append(std::string_view(data).substr(Spool::kInMemory)));  // room again
  EXPECT_TRUE(spool.view().value() == data);
}

TEST(Spool, AMissingDirectoryIsTemporary) {
  Spool spool("/nonexistent");
  const auto got = spool.append(pattern(2 * Spool::kInMemory));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().fault, Fault::temporary);
}

}  // namespace
}  // namespace relais
