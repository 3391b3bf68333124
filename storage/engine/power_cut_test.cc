// Power cuts at any instant: of what was not synced any sectors may be missing, in any order. Nothing acknowledged may be.
#include "storage/engine/crash_verify.h"
#include "storage/engine/recorded_disk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace relais::storage {
namespace {

using namespace testing;

std::uint64_t mark_of(unsigned writer, std::uint64_t number) { return std::uint64_t{writer} << 32 | number; }

void read_marks(const std::vector<std::uint64_t>& marks, Acknowledged& acknowledged) {
  for (const auto mark : marks) {
    if (const auto writer = mark >> 32; writer < kCrashWriters) acknowledged.newest[writer] = mark & UINT32_MAX;
  }
}

/// Writes messages as the kill test's helper does, and marks each one that is acknowledged.
asio::awaitable<void> write_messages(Engine& engine, RecordedDisk& disk, unsigned writer, std::uint64_t number, std::uint64_t count) {
  for (const auto last = number + count; number < last;) {
    ++number;
    std::vector<std::shared_ptr<const EncodedBlob>> blobs{blob(crash_octets(writer, number))};
    const auto body = [writer, number](Txn& txn, std::span<const BlobId> ids) { return crash_write(txn, writer, number, ids[0]); };
    const auto done = co_await engine.transact(crash_account(writer), std::move(blobs), body);
    EXPECT_TRUE(done) << done.error().detail;
    disk.note(mark_of(writer, number));
  }
}

asio::awaitable<void> compact(Engine& engine, unsigned times) {
  for (unsigned i = 0; i < times; ++i) {
    const auto done = co_await engine.compact(0.4);
    EXPECT_TRUE(done) << done.error().detail;
    for (int tick = 0; tick < 5; ++tick)  // some commits go by
      EXPECT_TRUE(co_await engine.transact(AccountId{99}, {}, put("tick", "x")));
  }
}

/// Opens the shard, marks what a reader sees, and lets every writer write.
void work(const std::filesystem::path& path, RecordedDisk& disk, std::uint64_t messages, unsigned compactions) {
  asio::io_context loop;
  net::WorkerPool pool(2, 1000);
  const auto engine = open_lmdb_engine(crash_options(path, pool));
  ASSERT_TRUE(engine) << engine.error().detail;
  for (unsigned writer = 0; writer < kCrashWriters; ++writer) {
    const auto counter = get(**engine, crash_account(writer), crash_counter(writer));
    const std::uint64_t number = counter ? std::stoull(*counter) : 0;
    disk.note(mark_of(writer, number));
    asio::co_spawn(loop, write_messages(**engine, disk, writer, number, messages), asio::detached);
  }
  asio::co_spawn(loop, compact(**engine, compactions), asio::detached);
  loop.run();
}

class PowerCut : public ::testing::Test {
 protected:
  /// Up to `count` instants behind `from`, ascending.
  std::vector<std::uint64_t> instants(std::uint64_t from, std::uint64_t to, std::size_t count) {
    std::vector<std::uint64_t> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(from + random() % (to - from + 1));
    std::ranges::sort(out);
    return out;
  }
  void cut(const DiskState& state, const Acknowledged& acknowledged) {
    constexpr std::array kProbabilities{0.0, 0.1, 0.5, 0.9, 1.0};
    const auto probability = kProbabilities[random() % kProbabilities.size()];
    SCOPED_TRACE("each sector survives with probability " + std::to_string(probability));
    const TempFolder image;
    state.write_after_power_cut(image.path() / "shard", probability, random);
    verify(image.path() / "shard", acknowledged);
  }

  const std::uint32_t seed = std::random_device{}();
  std::mt19937 random{seed};
};

TEST_F(PowerCut, NothingAcknowledgedIsLost) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  for (int round = 0; round < 2 && !HasFailure(); ++round) {
    const TempFolder folder;
    const auto path = folder.path() / "shard";
    RecordedDisk disk(path, {});
    work(path, disk, 60, 8);
    const auto end = disk.now();
    Acknowledged acknowledged;
    std::vector<std::uint64_t> marks;
    std::uint64_t at = 0;
    while (marks.size() < 2 && at < end) disk.at(++at, marks);  // a reader has seen the empty shard: it is made
    for (const auto instant : instants(at, end, 25)) {
      SCOPED_TRACE("operation " + std::to_string(instant) + " of " + std::to_string(end));
      const auto& state = disk.at(instant, marks);
      read_marks(marks, acknowledged);
      cut(state, acknowledged);
      if (HasFailure()) return;
    }
  }
}

// Killed first: what was written and not synced is there, the next process builds on it, and then the power fails.
TEST_F(PowerCut, WhatAKilledProcessHadNotSyncedIsNotTakenForDurable) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  const TempFolder first;
  RecordedDisk disk(first.path() / "shard", {});
  work(first.path() / "shard", disk, 25, 3);
  const auto end = disk.now();
  std::vector<std::uint64_t> marks;
  std::uint64_t at = 0;
  while (marks.size() < 2 && at < end) disk.at(++at, marks);
  for (const auto killed : instants(at, end, 25)) {
    SCOPED_TRACE("killed at operation " + std::to_string(killed) + " of " + std::to_string(end));
    const auto& state = disk.at(killed, marks);
    const TempFolder second;
    const auto path = second.path() / "shard";
    state.write_all(path);
    RecordedDisk again(path, state);
    work(path, again, random() % 4, 1);
    const auto last = again.now();
    Acknowledged acknowledged;
    read_marks(marks, acknowledged);
    std::vector<std::uint64_t> more;
    std::uint64_t opened = 0;
    while (more.size() < kCrashWriters + 1 && opened < last) again.at(++opened, more);
    auto cuts = instants(opened, last, 2);
    cuts.insert(cuts.begin(), opened);  // readers have seen what is there; nothing was written since
    for (const auto instant : cuts) {
      SCOPED_TRACE("cut at operation " + std::to_string(instant) + " of " + std::to_string(last));
      const auto& later = again.at(instant, more);
      read_marks(more, acknowledged);
      cut(later, acknowledged);
      if (HasFailure()) return;
    }
  }
}

}  // namespace
}  // namespace relais::storage
