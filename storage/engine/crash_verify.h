// What tests that crash the engine look for in what a crash has left.
#pragma once

#include "storage/engine/crash_helper.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace relais::storage::testing {

/// The newest message of each writer that was acknowledged, or seen by a reader; each has at most one more under way.
struct Acknowledged {
  std::array<std::uint64_t, kCrashWriters> newest{};
  std::uint64_t lines = 0;
};

/// Expects the shard to open, each writer's newest messages whole, none beyond the one that was under way, and nothing else.
inline void verify(const std::filesystem::path& path, const Acknowledged& acknowledged) {
  net::WorkerPool pool(2, 1000);
  const auto engine = open_lmdb_engine(crash_options(path, pool));
  ASSERT_TRUE(engine) << engine.error().detail;
  std::map<BlobId, std::uint64_t> references;
  for (unsigned writer = 0; writer < kCrashWriters; ++writer) {
    const auto counter = get(**engine, crash_account(writer), crash_counter(writer));
    const std::uint64_t number = counter ? std::stoull(*counter) : 0;
    EXPECT_GE(number, acknowledged.newest[writer]);
    EXPECT_LE(number, acknowledged.newest[writer] + 1);
    for (std::uint64_t i = number < kCrashKept ? 1 : number - kCrashKept + 1; i <= number; ++i) {
      const auto id = get(**engine, crash_account(writer), crash_message(writer, i));
      ASSERT_TRUE(id) << writer << ' ' << i;
      const BlobId blob{std::stoull(*id)};
      EXPECT_TRUE(++references[blob] == 1) << "two messages share a blob id";
      const auto octets = load(**engine, blob);
      ASSERT_TRUE(octets) << octets.error().detail;
      EXPECT_TRUE(*octets == crash_octets(writer, i)) << writer << ' ' << i;
    }
    EXPECT_EQ(get(**engine, crash_account(writer), crash_message(writer, number + 1)), std::nullopt);
    if (number > kCrashKept) EXPECT_EQ(get(**engine, crash_account(writer), crash_message(writer, number - kCrashKept)), std::nullopt);
  }
  std::map<BlobId, std::uint64_t> found;
  const auto view = (*engine)->view().value();
  EXPECT_TRUE(view->for_each_blob([&found](BlobId id, std::uint64_t count) { return found.emplace(id, count), true; }));
  EXPECT_TRUE(found == references) << "blobs that no message names, or the other way round";
  EXPECT_EQ((*engine)->check()->problems, std::vector<std::string>());
}

}  // namespace relais::storage::testing
