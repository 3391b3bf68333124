// The embedded engine alone: reopening, crashes, failing and full disks, damage, compaction.
#include "storage/engine/lmdb_engine.h"

#include "storage/engine/engine_test_support.h"
#include "storage/engine/faults.h"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <future>
#include <map>
#include <random>
#include <thread>

namespace relais::storage {
namespace {

using namespace testing;
constexpr AccountId kAnn{7};

/// Fails at one point: the next `count` times, after letting `skip` pass.
class Faults final : public FaultInjector {
 public:
  void arm(FaultPoint point, int error, int count = 1, int skip = 0) {
    auto& fault = faults_[static_cast<std::size_t>(point)];
    fault.error = error;
    fault.skip = skip;
    fault.count = count;
  }
  int fail_at(FaultPoint point) override {
    auto& fault = faults_[static_cast<std::size_t>(point)];
    if (fault.count <= 0) return 0;
    if (fault.skip-- > 0) return 0;
    --fault.count;
    return fault.error;
  }

 private:
  struct Fault {
    std::atomic<int> error{0};
    std::atomic<int> skip{0};
    std::atomic<int> count{0};
  };
  std::array<Fault, 6> faults_;
};

/// Holds the index's commit up until it is let go.
class SlowIndex final : public FaultInjector {
 public:
  int fail_at(FaultPoint point) override {
    if (point == FaultPoint::index_commit) {
      begun.store(true);
      begun.notify_all();
      go_on.wait(false);
    }
    return 0;
  }
  std::atomic<bool> begun{false};
  std::atomic<bool> go_on{false};
};

class LmdbEngineTest : public ::testing::Test {
 protected:
  LmdbOptions options() {
    LmdbOptions out;
    out.path = folder.path() / "shard";
    out.pool = &pool;
    out.map_size = 1 << 30;
    out.min_free = 0;
    out.segment_size = segment_size;
    out.journal_size = journal_size;
    out.faults = faults;
    return out;
  }
  void open() {
    engine.reset();
    auto opened = open_lmdb_engine(options());
    ASSERT_TRUE(opened) << opened.error().detail;
    engine = std::move(*opened);
  }
  /// The folder as a kill -9 would leave it now, in place of the one that a clean end leaves.
  void crash() {
    const auto copy = folder.path() / "copy";
    std::filesystem::copy(folder.path() / "shard", copy, std::filesystem::copy_options::recursive);
    engine.reset();
    std::filesystem::remove_all(folder.path() / "shard");
    std::filesystem::rename(copy, folder.path() / "shard");
  }
  Result<void> transact(TxnBody body) { return wait(engine->transact(kAnn, {}, std::move(body))); }
  std::vector<std::string> problems() { return engine->check().value().problems; }
  std::filesystem::path segment(unsigned number) const {
    return folder.path() / "shard/segments" / ("0000000" + std::to_string(number) + ".seg");
  }
  std::filesystem::path journal(unsigned number) const { return folder.path() / "shard/journal" / (std::to_string(number) + ".jnl"); }
  static void damage(const std::filesystem::path& file, std::uint64_t offset, std::string_view octets) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(offset));
    out.write(octets.data(), static_cast<std::streamsize>(octets.size()));
    ASSERT_TRUE(out.good());
  }

  TempFolder folder;
  net::WorkerPool pool{2, 1000};
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  std::uint64_t segment_size = 1 << 20;
  std::uint64_t journal_size = 1 << 20;
  std::unique_ptr<Engine> engine;
};

// ---- reopening

TEST_F(LmdbEngineTest, EverythingIsThereAfterReopening) {
  for (const bool killed : {false, true}) {
    SCOPED_TRACE(killed);
    open();
    const auto ids = store(*engine, kAnn, {blob(text(9'000, 1)), blob(text(700'000, 2))}).value();
    ASSERT_TRUE(transact(put("a", "1")));
    killed ? crash() : engine.reset();
    open();
    EXPECT_EQ(get(*engine, kAnn, "a"), "1");
    EXPECT_TRUE(load(*engine, ids[0]) == text(9'000, 1));
    EXPECT_TRUE(load(*engine, ids[1]) == text(700'000, 2));
    const auto more = store(*engine, kAnn, {blob("more")}).value();
    EXPECT_GT(more[0], ids[1]) << "ids are never given twice";
    EXPECT_EQ(problems(), std::vector<std::string>());
  }
}

// What waits for others to share a sync with is as durable as they are, and waits no longer than a moment where nobody comes.
TEST_F(LmdbEngineTest, WhoComesAlongIsDurableToo) {
  const TxnBody count = [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY(const auto before, txn.get("count"));
    return txn.put("count", std::to_string(before ? std::stoi(std::string(*before)) + 1 : 1));
  };
  open();
  constexpr int kEach = 60;
  constexpr int kThreads = 4;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kEach; ++i) {
        const bool along = (i + thread) % 2 == 0;
        EXPECT_TRUE(wait(along ? engine->transact_along(kAnn, {}, count) : engine->transact(kAnn, {}, count)));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(wait(engine->transact_along(kAnn, {}, count))) << "nobody else comes";
  crash();
  open();
  EXPECT_EQ(get(*engine, kAnn, "count"), std::to_string(kThreads * kEach + 5));
}

TEST_F(LmdbEngineTest, OneEngineAtATime) {
  open();
  const auto second = open_lmdb_engine(options());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().fault, Fault::refused);
  EXPECT_EQ(second.error().code, "INUSE");
  engine.reset();
  open();
}

TEST_F(LmdbEngineTest, MemoryAndIndexAreReadAsOne) {
  journal_size = 20'000;  // the index is written every few transactions
  open();
  std::mt19937 random(5);
  std::map<std::string, std::string> model;
  for (int i = 0; i < 2'000; ++i) {
    const auto key = "k" + std::to_string(random() % 50);
    if (random() % 3 == 0) {
      model.erase(key);
      ASSERT_TRUE(transact([&key](Txn& txn, std::span<const BlobId>) { return txn.erase(key); }));
    } else {
      model[key] = std::to_string(i);
      ASSERT_TRUE(transact(put(key, std::to_string(i))));
    }
    if (i % 50 != 0) continue;
    std::string want;
    for (const auto& [k, v] : model) want += (want.empty() ? "" : " ") + k + "=" + v;
    {
      const auto snapshot = engine->read(kAnn).value();
      ASSERT_EQ(list(*snapshot, "k", "l"), want) << i;
      const auto last = snapshot->last_in("k", "l").value();
      EXPECT_EQ(last ? last->first : "", model.empty() ? "" : model.rbegin()->first);
    }
    std::size_t keys = 0;
    ASSERT_TRUE(engine->view().value()->for_each_key([&](AccountId account, const KeyValue& entry) {
      EXPECT_EQ(account, kAnn);
      EXPECT_EQ(model.at(std::string(entry.key)), entry.value);
      return ++keys, true;
    }));
    EXPECT_EQ(keys, model.size());
    EXPECT_EQ(engine->accounts()->empty(), model.empty());
    if (i % 500 == 0) crash(), open();
  }
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, AccountsComeAndGoInMemory) {
  open();
  ASSERT_TRUE(transact(put("a", "1")));
  ASSERT_TRUE(wait(engine->transact(AccountId{3}, {}, put("b", "1"))));
  EXPECT_EQ(engine->accounts().value(), (std::vector{AccountId{3}, kAnn}));
  EXPECT_EQ(engine->stats()->keys, 2U);  // and everything is in the index
  ASSERT_TRUE(wait(engine->erase_account(kAnn)));
  ASSERT_TRUE(wait(engine->transact(AccountId{9}, {}, put("b", "1"))));
  EXPECT_EQ(engine->accounts().value(), (std::vector{AccountId{3}, AccountId{9}}));
}

// ---- crashes

TEST_F(LmdbEngineTest, UnacknowledgedTailsAreCutOff) {
  open();
  const auto kept = store(*engine, kAnn, {blob(text(9'000, 1))}).value()[0];
  const auto size = std::filesystem::file_size(segment(1));
  crash();
  std::ofstream(segment(1), std::ios::app) << text(5'000, 9);  // a group that was written, not acknowledged
  std::ofstream(segment(2)) << "";                             // a segment that was being made
  const auto torn = std::filesystem::file_size(journal(1));
  damage(journal(1), (torn + 4095) / 4096 * 4096, std::string("RJnl\1\0\0\0", 8));  // a record that was being written
  open();
  EXPECT_EQ(std::filesystem::file_size(segment(1)), size);
  EXPECT_FALSE(std::filesystem::exists(segment(2)));
  EXPECT_TRUE(load(*engine, kept) == text(9'000, 1));
  const auto next = store(*engine, kAnn, {blob(text(9'000, 2))}).value()[0];
  EXPECT_TRUE(load(*engine, next) == text(9'000, 2));
  EXPECT_EQ(problems(), std::vector<std::string>());
}

// A power cut: what was written to segments but not synced is gone, or is zeros; the journal was synced.
TEST_F(LmdbEngineTest, TheJournalRestoresSegments) {
  for (const auto loss : {"cut", "zeros", "missing"}) {
    SCOPED_TRACE(loss);
    open();
    std::vector<std::pair<BlobId, std::string>> stored;
    for (unsigned i = 0; i < 30; ++i) {
      const auto octets = text(3'000 + i, i);
      stored.emplace_back(store(*engine, kAnn, {blob(octets)}).value()[0], octets);
    }
    crash();
    const auto size = std::filesystem::file_size(segment(1));
    if (loss == std::string("cut")) std::filesystem::resize_file(segment(1), size - 10'000);
    if (loss == std::string("zeros")) damage(segment(1), size - 10'000, std::string(10'000, '\0'));
    if (loss == std::string("missing")) std::filesystem::remove(segment(1));
    open();
    for (const auto& [id, octets] : stored) EXPECT_TRUE(load(*engine, id) == octets);
    EXPECT_EQ(problems(), std::vector<std::string>());
    engine.reset();
    std::filesystem::remove_all(folder.path() / "shard");
  }
}

TEST_F(LmdbEngineTest, EveryPrefixOfTheJournalIsAGroupOrNot) {
  open();
  for (int i = 1; i <= 8; ++i)
    ASSERT_TRUE(wait(
        engine->transact(kAnn, {blob(text(2'000, static_cast<unsigned>(i)))}, [i](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
          RELAIS_TRY_VOID(txn.put("count", std::to_string(i)));
          return txn.put("m" + std::to_string(i), std::to_string(static_cast<std::uint64_t>(ids[0])));
        })));
  crash();
  const auto shard = folder.path() / "shard";
  const auto kept = folder.path() / "kept";
  std::filesystem::copy(shard, kept, std::filesystem::copy_options::recursive);
  const auto size = std::filesystem::file_size(journal(1));
  for (std::uint64_t cut = 0; cut <= size; cut += 511) {
    std::filesystem::remove_all(shard);
    std::filesystem::copy(kept, shard, std::filesystem::copy_options::recursive);
    std::filesystem::resize_file(journal(1), cut);
    open();
    const auto count = std::stoul(get(*engine, kAnn, "count").value_or("0"));
    for (std::size_t i = 1; i <= 8; ++i) {
      const auto id = get(*engine, kAnn, "m" + std::to_string(i));
      ASSERT_EQ(id.has_value(), i <= count) << cut;
      if (id) EXPECT_TRUE(load(*engine, BlobId{std::stoul(*id)}) == text(2'000, static_cast<unsigned>(i)));
    }
    EXPECT_EQ(problems(), std::vector<std::string>()) << cut;
    engine.reset();
  }
}

TEST_F(LmdbEngineTest, ADamagedJournalIsNotPassedOverInSilence) {
  open();
  for (int i = 1; i <= 8; ++i) ASSERT_TRUE(transact(put("k", std::to_string(i))));
  crash();
  damage(journal(1), 3 * 4096 + 50, "damage");
  const auto opened = open_lmdb_engine(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, Fault::corrupt);
}

TEST_F(LmdbEngineTest, BothEpochsOfTheJournalAreReplayed) {
  journal_size = 40'000;
  open();
  faults->arm(FaultPoint::index_commit, ENOSPC, 1'000'000);  // the index stays behind
  std::vector<BlobId> ids;
  for (unsigned i = 0; i < 30; ++i) ids.push_back(store(*engine, kAnn, {blob(text(3'000, i))}).value()[0]);
  crash();
  faults->arm(FaultPoint::index_commit, 0, 0);
  EXPECT_GT(std::filesystem::file_size(journal(0)), 0U);
  EXPECT_GT(std::filesystem::file_size(journal(1)), 0U);
  open();
  for (unsigned i = 0; i < 30; ++i) EXPECT_TRUE(load(*engine, ids[i]) == text(3'000, i));
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, SegmentsOfAnotherShardAreRefused) {
  open();
  ASSERT_TRUE(store(*engine, kAnn, {blob("one")}));
  engine.reset();
  const auto other = folder.path() / "other";
  std::filesystem::rename(folder.path() / "shard", other);
  open();
  engine.reset();
  std::filesystem::copy_file(other / "segments/00000001.seg", segment(5));
  const auto opened = open_lmdb_engine(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, Fault::corrupt);
  EXPECT_TRUE(std::filesystem::exists(segment(5)));
}

// The journal must not write into another shard's segment either.
TEST_F(LmdbEngineTest, TheJournalLeavesSegmentsOfAnotherShardAlone) {
  open();
  ASSERT_TRUE(store(*engine, kAnn, {blob("of the other one")}));
  engine.reset();
  const auto other = folder.path() / "other.seg";
  std::filesystem::rename(segment(1), other);
  std::filesystem::remove_all(folder.path() / "shard");
  open();
  ASSERT_TRUE(store(*engine, kAnn, {blob(text(3'000, 1))}));
  crash();
  std::filesystem::remove(segment(1));
  std::filesystem::copy_file(other, segment(1));
  const auto opened = open_lmdb_engine(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, Fault::corrupt);
  const auto octets = [](const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  };
  EXPECT_EQ(octets(segment(1)), octets(other));
}

TEST_F(LmdbEngineTest, AMissingJournalIsNotTakenForAnEmptyOne) {
  open();
  ASSERT_TRUE(transact(put("a", "1")));
  engine.reset();
  open();
  ASSERT_TRUE(transact(put("a", "2")));
  crash();
  std::filesystem::remove(journal(0));
  for (int again = 0; again < 2; ++again) {
    const auto opened = open_lmdb_engine(options());
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().fault, Fault::corrupt);
  }
}

// An index of a backup, or one that the disk had not written when it said so, would make newer mail look like what a crash left.
TEST_F(LmdbEngineTest, AnIndexOlderThanTheJournalIsRefused) {
  segment_size = 1'000;
  open();
  ASSERT_TRUE(store(*engine, kAnn, {blob(text(9'000, 0))}));
  engine.reset();
  const auto old = folder.path() / "old";
  std::filesystem::copy(folder.path() / "shard/index", old, std::filesystem::copy_options::recursive);
  for (unsigned i = 1; i < 4; ++i) {
    open();
    ASSERT_TRUE(store(*engine, kAnn, {blob(text(9'000, i))}));
    engine.reset();
  }
  std::filesystem::remove_all(folder.path() / "shard/index");
  std::filesystem::rename(old, folder.path() / "shard/index");
  const auto opened = open_lmdb_engine(options());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().fault, Fault::corrupt);
  EXPECT_TRUE(std::filesystem::exists(segment(4)));
}

// ---- failing and full disks

// What compaction had emptied and removed need not be restored, and must not keep a shard with a full disk from opening.
TEST_F(LmdbEngineTest, AFullDiskKeepsOnlyWhatIsNeededFromOpening) {
  segment_size = 40'000;
  open();
  std::vector<BlobId> ids;
  for (unsigned i = 0; i < 8; ++i) ids.push_back(store(*engine, kAnn, {blob(text(9'000, i))}).value()[0]);
  for (unsigned i = 0; i < 7; ++i) ASSERT_TRUE(transact([&](Txn& txn, std::span<const BlobId>) { return txn.release_blob(ids[i]); }));
  ASSERT_TRUE(wait(engine->compact(0)));
  ASSERT_FALSE(std::filesystem::exists(segment(1)));
  crash();
  faults->arm(FaultPoint::segment_write, ENOSPC);  // the first that is restored
  open();
  EXPECT_TRUE(load(*engine, ids[7]) == text(9'000, 7));
  EXPECT_FALSE(std::filesystem::exists(segment(1)));
  const auto one = store(*engine, kAnn, {blob(text(9'000, 50))}).value()[0];
  crash();
  faults->arm(FaultPoint::segment_write, ENOSPC, 1'000);
  const auto full = open_lmdb_engine(options());
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, "STORAGE_FULL");
  faults->arm(FaultPoint::segment_write, 0, 0);
  open();
  EXPECT_TRUE(load(*engine, one) == text(9'000, 50));
  EXPECT_EQ(problems(), std::vector<std::string>());
}

// The kernel tells a failed write-back once. A second sync would be called a success, and the index would name octets that are not on the
// disk.
TEST_F(LmdbEngineTest, AFailedSyncOfASegmentIsNotTriedAgainByTheCheckpoint) {
  open();
  const auto small = store(*engine, kAnn, {blob(text(9'000, 1))}).value()[0];
  const auto size = std::filesystem::file_size(segment(1));
  faults->arm(FaultPoint::segment_sync, EIO);
  const auto one = text(1'000'000, 1);
  EXPECT_EQ(store(*engine, kAnn, {blob(one), blob(one), blob(one), blob(one), blob(one), blob(one), blob(one)}).error().code, "READ_ONLY");
  engine.reset();                                        // a clean end would write the index
  std::filesystem::resize_file(segment(1), size - 500);  // what the kernel had dropped
  open();
  EXPECT_TRUE(load(*engine, small) == text(9'000, 1));
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, StatsLetsOthersWriteWhileItWaitsForTheIndex) {
  const auto slow = std::make_shared<SlowIndex>();
  auto own = options();
  own.faults = slow;
  engine = open_lmdb_engine(own).value();
  ASSERT_TRUE(transact(put("a", "1")));
  auto first = std::async(std::launch::async, [this] { return engine->stats(); });
  slow->begun.wait(false);
  auto second = std::async(std::launch::async, [this] { return engine->stats(); });
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(transact(put("b", std::to_string(i))));
  slow->go_on.store(true);
  slow->go_on.notify_all();
  EXPECT_TRUE(first.get());
  EXPECT_TRUE(second.get());
  EXPECT_EQ(engine->stats()->keys, 2U);
}

TEST_F(LmdbEngineTest, TheLockFileHasNoHoles) {
  open();
  struct stat status{};
  ASSERT_EQ(::stat((folder.path() / "shard/index/lock.mdb").c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, status.st_size);
}

TEST_F(LmdbEngineTest, AFullDiskRefusesAndRecovers) {
  for (const auto point : {FaultPoint::segment_create, FaultPoint::segment_write, FaultPoint::journal_write}) {
    SCOPED_TRACE(static_cast<int>(point));
    open();
    ASSERT_TRUE(transact(put("a", "old")));
    faults->arm(point, ENOSPC);
    const auto full = wait(engine->transact(kAnn, {blob(text(4'000, 1))}, put("a", "new")));
    ASSERT_FALSE(full);
    EXPECT_EQ(full.error().code, "STORAGE_FULL");
    EXPECT_EQ(full.error().fault, Fault::temporary);
    EXPECT_EQ(get(*engine, kAnn, "a"), "old");
    ASSERT_TRUE(wait(engine->transact(kAnn, {blob(text(4'000, 1))}, put("a", "new"))));
    EXPECT_EQ(get(*engine, kAnn, "a"), "new");
    EXPECT_EQ(problems(), std::vector<std::string>());
    crash();
    open();
    EXPECT_EQ(get(*engine, kAnn, "a"), "new");
    EXPECT_EQ(problems(), std::vector<std::string>());
    engine.reset();
    std::filesystem::remove_all(folder.path() / "shard");
  }
}

TEST_F(LmdbEngineTest, AFailedSyncStopsWritesUntilReopened) {
  for (const auto point : {FaultPoint::journal_sync, FaultPoint::segment_write, FaultPoint::journal_write}) {
    SCOPED_TRACE(static_cast<int>(point));
    open();
    ASSERT_TRUE(transact(put("a", "old")));
    faults->arm(point, EIO);
    const auto failed = wait(engine->transact(kAnn, {blob(text(4'000, 1))}, put("b", "new")));
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().code, "READ_ONLY");
    EXPECT_EQ(transact(put("a", "new")).error().code, "READ_ONLY") << "no second try";
    EXPECT_EQ(engine->writable().error().code, "READ_ONLY");
    EXPECT_EQ(get(*engine, kAnn, "a"), "old") << "reading goes on";
    EXPECT_EQ(get(*engine, kAnn, "b"), std::nullopt);
    crash();
    open();
    EXPECT_EQ(get(*engine, kAnn, "a"), "old");
    ASSERT_TRUE(transact(put("a", "new")));
    EXPECT_EQ(problems(), std::vector<std::string>());
    engine.reset();
    std::filesystem::remove_all(folder.path() / "shard");
  }
}

TEST_F(LmdbEngineTest, ALargeGroupSyncsItsSegmentBeforeTheJournal) {
  open();
  const auto one = text(1'000'000, 1);
  faults->arm(FaultPoint::segment_sync, EIO);
  const auto failed = store(*engine, kAnn, {blob(one), blob(one), blob(one), blob(one), blob(one), blob(one), blob(one)});
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, "READ_ONLY");
}

TEST_F(LmdbEngineTest, AnIndexThatFailsStopsWritesAndLosesNothing) {
  open();
  ASSERT_TRUE(transact(put("a", "1")));
  faults->arm(FaultPoint::index_commit, EIO);
  (void)engine->stats();  // asks for the index to be written
  EXPECT_EQ(engine->writable().error().code, "READ_ONLY") << "also before anybody has tried";
  EXPECT_EQ(transact(put("a", "2")).error().code, "READ_ONLY");
  EXPECT_EQ(get(*engine, kAnn, "a"), "1");
  crash();
  open();
  EXPECT_EQ(get(*engine, kAnn, "a"), "1");
  EXPECT_TRUE(transact(put("a", "2")));
}

TEST_F(LmdbEngineTest, AnIndexWithoutRoomIsTriedAgain) {
  open();
  ASSERT_TRUE(transact(put("a", "1")));
  faults->arm(FaultPoint::index_commit, ENOSPC);
  (void)engine->stats();
  EXPECT_TRUE(transact(put("a", "2"))) << "the journal has room";
  EXPECT_EQ(get(*engine, kAnn, "a"), "2");
  engine.reset();
  open();
  EXPECT_EQ(get(*engine, kAnn, "a"), "2");
}

TEST_F(LmdbEngineTest, TheReserveIsForErasing) {
  const auto free = std::filesystem::space(folder.path()).available;
  auto own = options();
  own.min_free = free * 2;
  auto opened = open_lmdb_engine(own);
  ASSERT_TRUE(opened);
  engine = std::move(*opened);
  EXPECT_EQ(engine->writable().error().code, "STORAGE_FULL");
  EXPECT_EQ(store(*engine, kAnn, {blob("x")}).error().code, "STORAGE_FULL");
  EXPECT_TRUE(transact(put("a", "1"))) << "without blobs the reserve may be used";
  engine.reset();
  own.min_free = free * 5;
  opened = open_lmdb_engine(own);
  ASSERT_TRUE(opened);
  engine = std::move(*opened);
  EXPECT_EQ(transact(put("a", "2")).error().code, "STORAGE_FULL");
  EXPECT_EQ(get(*engine, kAnn, "a"), "1");
}

TEST_F(LmdbEngineTest, AMapThatIsFullRefusesAndKeepsWhatItTook) {
  auto own = options();
  own.map_size = 2 << 20;
  own.journal_size = 100'000;
  engine = open_lmdb_engine(own).value();
  int taken = 0;
  Result<void> last;
  while (taken < 2'000 && (last = transact(put("k" + std::to_string(taken), text(5'000, 1))))) ++taken;
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().code, "STORAGE_FULL");
  EXPECT_GT(taken, 100);
  EXPECT_EQ(get(*engine, kAnn, "k" + std::to_string(taken - 1)), text(5'000, 1));
  crash();
  open();  // with a larger map
  for (int i = 0; i < taken; ++i) ASSERT_EQ(get(*engine, kAnn, "k" + std::to_string(i)), text(5'000, 1)) << i;
  EXPECT_TRUE(transact(put("more", "1")));
}

// The kernel's own refusals, by a limit on the size of files: writes come back short, then fail.
TEST_F(LmdbEngineTest, ShortWritesAreUndone) {
  struct Limit {
    explicit Limit(rlim_t octets) {
      ::getrlimit(RLIMIT_FSIZE, &before);
      rlimit now{octets, before.rlim_max};
      ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~Limit() { ::setrlimit(RLIMIT_FSIZE, &before); }
    rlimit before{};
  };
  std::signal(SIGXFSZ, SIG_IGN);
  open();
  const auto kept = store(*engine, kAnn, {blob(text(9'000, 1))}).value()[0];
  const auto used = std::filesystem::file_size(segment(1));
  {
    const Limit limit(used + 1'000);
    const auto refused = store(*engine, kAnn, {blob(text(9'000, 2))});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, "STORAGE_FULL") << refused.error().detail;
  }
  EXPECT_EQ(std::filesystem::file_size(segment(1)), used);
  const auto next = store(*engine, kAnn, {blob(text(9'000, 3))}).value()[0];
  EXPECT_TRUE(load(*engine, kept) == text(9'000, 1));
  EXPECT_TRUE(load(*engine, next) == text(9'000, 3));
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, OneTooLargeBodyDoesNotTakeTheOthersWithIt) {
  open();
  faults->arm(FaultPoint::journal_write, ENOSPC, 1);
  auto& loop = thread_loop();
  int done = 0;
  for (int i = 0; i < 10; ++i)
    asio::co_spawn(loop, engine->transact(kAnn, {blob(text(500, 1))}, put("k" + std::to_string(i), "v")),
                   [&done](std::exception_ptr, Result<void> r) { done += r.has_value(); });
  loop.run();
  EXPECT_GE(done, 9) << "a group that fails is tried one by one";
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, BodiesThatThrowFailAlone) {
  open();
  const auto thrown = transact([](Txn&, std::span<const BlobId>) -> Result<void> { throw std::runtime_error("a bug"); });
  ASSERT_FALSE(thrown);
  EXPECT_EQ(thrown.error().fault, Fault::temporary);
  EXPECT_TRUE(transact(put("a", "1")));
}

// ---- damage

TEST_F(LmdbEngineTest, DamagedBlobsAreFoundAndTheOthersServed) {
  open();
  const auto ids = store(*engine, kAnn, {blob(text(20'000, 1)), blob(text(20'000, 2)), blob(text(900'000, 3))}).value();
  engine.reset();
  damage(segment(1), 36 + 300, "damage");
  open();
  EXPECT_EQ(wait(engine->take_blob(ids[0])).error().fault, Fault::corrupt) << "damage is not carried to another engine";
  EXPECT_EQ(load(*engine, ids[0]).error().fault, Fault::corrupt);
  EXPECT_TRUE(load(*engine, ids[1]) == text(20'000, 2));
  ASSERT_EQ(problems().size(), 1U);
  EXPECT_TRUE(problems()[0].contains("blob 1")) << problems()[0];
  engine.reset();
  damage(segment(1), std::filesystem::file_size(segment(1)) - 50, "damage");
  open();
  EXPECT_EQ(load(*engine, ids[2]).error().fault, Fault::corrupt);
  EXPECT_EQ(wait(engine->take_blob(ids[2])).error().fault, Fault::corrupt);
  EXPECT_TRUE(load(*engine, ids[2], 0, 1'000) == text(900'000, 3).substr(0, 1'000)) << "ranges that are whole are served";
  EXPECT_EQ(problems().size(), 2U);
}

TEST_F(LmdbEngineTest, AMissingSegmentDoesNotKeepAShardFromOpening) {
  segment_size = 8'000;
  open();
  std::vector<BlobId> ids;
  for (unsigned i = 0; i < 12; ++i) ids.push_back(store(*engine, kAnn, {blob(text(9'000, i))}).value()[0]);
  engine.reset();
  std::filesystem::remove(segment(1));
  open();
  EXPECT_EQ(load(*engine, ids[0]).error().fault, Fault::corrupt);
  EXPECT_TRUE(load(*engine, ids[11]) == text(9'000, 11));
  EXPECT_FALSE(problems().empty());
  engine.reset();
  std::filesystem::remove(segment(2));
  std::filesystem::resize_file(segment(3), 100);
  open();
  EXPECT_TRUE(store(*engine, kAnn, {blob(text(9'000, 50))}));
}

TEST_F(LmdbEngineTest, ADamagedEntryIsFound) {
  open();
  const std::string value = "a value that is easy to find in a file of pages";
  ASSERT_TRUE(transact(put("key", value)));
  engine.reset();
  const auto data = folder.path() / "shard/index/data.mdb";
  std::ifstream in(data, std::ios::binary);
  const std::string octets((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  const auto at = octets.find(value);
  ASSERT_NE(at, std::string::npos);
  damage(data, at + 2, "V");
  open();
  EXPECT_EQ(engine->read(kAnn).value()->get("key").error().fault, Fault::corrupt);
  EXPECT_EQ(problems().size(), 1U);
}

// ---- compaction

TEST_F(LmdbEngineTest, CompactionReclaimsDeadOctets) {
  segment_size = 40'000;
  open();
  std::map<BlobId, std::string> live;
  for (unsigned i = 0; i < 100; ++i) {
    const auto octets = text(9'000, i);
    const auto id = store(*engine, kAnn, {blob(octets)}).value()[0];
    if (i % 4 == 0)
      live.emplace(id, octets);
    else
      ASSERT_TRUE(transact([id](Txn& txn, std::span<const BlobId>) { return txn.release_blob(id); }));
  }
  const auto before = engine->stats().value();
  EXPECT_GT(before.segments, 3U);
  EXPECT_EQ(wait(engine->compact(1)).value(), 0U);
  const auto freed = wait(engine->compact(0.1)).value();
  const auto after = engine->stats().value();
  EXPECT_GE(freed, before.dead_octets);  // and the files' headers
  EXPECT_EQ(after.live_octets, before.live_octets);
  EXPECT_EQ(after.dead_octets, 0U);
  EXPECT_LT(after.segments, before.segments);
  for (const bool reopened : {false, true}) {
    if (reopened) crash(), open();
    for (const auto& [id, octets] : live) EXPECT_TRUE(load(*engine, id) == octets);
    EXPECT_EQ(problems(), std::vector<std::string>());
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path() / "shard/segments")) files += entry.is_regular_file();
    EXPECT_EQ(files, after.segments);
  }
}

TEST_F(LmdbEngineTest, CompactionWhileReadingAndWriting) {
  segment_size = 60'000;
  journal_size = 50'000;
  open();
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::map<BlobId, std::string> live;  // guarded by mutex
  std::atomic<int> reads{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i)
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<unsigned>(i));
      while (!stop) {
        std::pair<BlobId, std::string> picked;
        {
          const std::lock_guard lock(mutex);
          if (live.empty()) continue;
          picked = *std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
        }
        const auto snapshot = engine->read(kAnn).value();
        std::string octets;
        const auto read = snapshot->try_read_blob(picked.first, 0, UINT64_MAX, octets);
        const auto loaded = load(*engine, picked.first);
        EXPECT_TRUE(loaded ? *loaded == picked.second : loaded.error().code == "NONEXISTENT") << loaded.error().detail;
        EXPECT_TRUE(read ? !*read || octets == picked.second : read.error().code == "NONEXISTENT") << read.error().detail;
        ++reads;
      }
    });
  threads.emplace_back([&] {
    while (!stop) {
      const auto freed = wait(engine->compact(0.3));
      EXPECT_TRUE(freed) << freed.error().detail;
    }
  });
  std::mt19937 random(99);
  for (unsigned i = 0; i < 300 || reads < 200; ++i) {
    const auto octets = text(4'000 + random() % 5'000, i);
    const auto id = store(*engine, kAnn, {blob(octets)}).value()[0];
    std::optional<BlobId> victim;
    {
      const std::lock_guard lock(mutex);
      live.emplace(id, octets);
      if (live.size() > 20) {
        const auto picked = std::next(live.begin(), static_cast<std::ptrdiff_t>(random() % live.size()));
        victim = picked->first;
        live.erase(picked);
      }
    }
    if (victim) ASSERT_TRUE(transact([&](Txn& txn, std::span<const BlobId>) { return txn.release_blob(*victim); }));
  }
  stop = true;
  for (auto& thread : threads) thread.join();
  ASSERT_TRUE(wait(engine->compact(0)));
  crash();
  open();
  for (const auto& [id, octets] : live) EXPECT_TRUE(load(*engine, id) == octets);
  EXPECT_EQ(problems(), std::vector<std::string>());
}

TEST_F(LmdbEngineTest, CompactionLeavesDamagedSegmentsAlone) {
  segment_size = 8'000;  // several records each, however well they compress
  open();
  std::vector<BlobId> ids;
  for (unsigned i = 0; i < 24; ++i) ids.push_back(store(*engine, kAnn, {blob(text(3'500, i))}).value()[0]);
  for (unsigned i = 0; i < 24; i += 2) ASSERT_TRUE(transact([&](Txn& txn, std::span<const BlobId>) { return txn.release_blob(ids[i]); }));
  engine.reset();
  damage(segment(1), 36, "damage");
  open();
  ASSERT_TRUE(wait(engine->compact(0.1)));
  EXPECT_TRUE(std::filesystem::exists(segment(1)));
  EXPECT_FALSE(std::filesystem::exists(segment(2)));
  for (unsigned i = 1; i < 24; i += 2) EXPECT_TRUE(load(*engine, ids[i]) == text(3'500, i)) << i;
}

}  // namespace
}  // namespace relais::storage
