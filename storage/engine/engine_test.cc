// What every engine promises, run on each of them.
#include "storage/engine.h"

#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/engine/memory_engine.h"
#include "storage/engine/overlay.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

namespace relais::storage {
namespace {

using namespace testing;
constexpr AccountId kAnn{7};
constexpr AccountId kBob{8};

enum class Kind : std::uint8_t { lmdb, memory };

class EngineTest : public ::testing::TestWithParam<Kind> {
 protected:
  EngineTest() {
    if (GetParam() == Kind::memory) {
      engine = make_memory_engine();
    } else {
      auto opened = open_lmdb_engine({.path = folder.path() / "shard", .pool = &pool, .map_size = 1 << 30, .min_free = 0});
      if (!opened) throw std::runtime_error(opened.error().detail);
      engine = std::move(*opened);
    }
  }
  Result<void> transact(AccountId account, TxnBody body) { return wait(engine->transact(account, {}, std::move(body))); }

  TempFolder folder;
  net::WorkerPool pool{2, 1000};
  std::unique_ptr<Engine> engine;
};
INSTANTIATE_TEST_SUITE_P(Engines, EngineTest, ::testing::Values(Kind::lmdb, Kind::memory),
                         [](const auto& param) { return param.param == Kind::lmdb ? "Lmdb" : "Memory"; });

TEST_P(EngineTest, KeysAreOrderedAndApartByAccount) {
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto* key : {"b", "a", "c", "ab"}) RELAIS_TRY_VOID(txn.put(key, std::string(key) + "!"));
    return txn.put(std::string_view("\xFF\0", 2), "");
  }));
  ASSERT_TRUE(transact(kBob, put("b", "bob's")));
  const auto snapshot = engine->read(kAnn).value();
  EXPECT_EQ(list(*snapshot, "a", "c"), "a=a! ab=ab! b=b!");
  EXPECT_EQ(list(*snapshot, "aa", "zz"), "ab=ab! b=b! c=c!");
  EXPECT_EQ(list(*snapshot, "d", "zz"), "");
  EXPECT_EQ(list(*snapshot, "", std::string(kMaxKey + 50, '\xFF')), std::string("a=a! ab=ab! b=b! c=c! \xFF\0=", 25));
  EXPECT_EQ(snapshot->get("b").value(), "b!");
  EXPECT_EQ(snapshot->get("bb").value(), std::nullopt);
  EXPECT_EQ(get(*engine, kBob, "b"), "bob's");
  EXPECT_EQ(get(*engine, AccountId{9}, "b"), std::nullopt);
  EXPECT_EQ(engine->accounts().value(), (std::vector{kAnn, kBob}));
}

TEST_P(EngineTest, LastInFindsTheNewestOfAFamily) {
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto* key : {"m1", "m2", "m5", "n1"}) RELAIS_TRY_VOID(txn.put(key, key));
    return {};
  }));
  ASSERT_TRUE(transact(kBob, put("m9", "")));
  const auto last = [](const Reader& reader, std::string_view from, std::string_view to) {
    const auto found = reader.last_in(from, to).value();
    return found ? found->first + "=" + std::string(found->second) : "none";
  };
  const auto snapshot = engine->read(kAnn).value();
  EXPECT_EQ(last(*snapshot, "m", "n"), "m5=m5");
  EXPECT_EQ(last(*snapshot, "m", "m5"), "m2=m2");
  EXPECT_EQ(last(*snapshot, "m3", "m5"), "none");
  EXPECT_EQ(last(*snapshot, "m", "z"), "n1=n1");
  EXPECT_EQ(last(*snapshot, "a", "m1"), "none");
  EXPECT_EQ(last(*engine->read(kBob).value(), "a", std::string(9, '\xFF')), "m9=");
  EXPECT_EQ(last(*engine->read(AccountId{99}).value(), "a", std::string(9, '\xFF')), "none");
  ASSERT_TRUE(transact(kAnn, [&](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY_VOID(txn.erase("m5"));
    EXPECT_EQ(last(txn, "m", "n"), "m2=m2");
    RELAIS_TRY_VOID(txn.erase("m2"));
    EXPECT_EQ(last(txn, "m", "n"), "m1=m1");
    RELAIS_TRY_VOID(txn.put("m3", "new"));
    EXPECT_EQ(last(txn, "m", "n"), "m3=new");
    RELAIS_TRY_VOID(txn.put("m1", "changed"));
    EXPECT_EQ(last(txn, "m", "m2"), "m1=changed");
    EXPECT_EQ(last(txn, "m", "m1"), "none");
    RELAIS_TRY_VOID(txn.erase("m1"));
    RELAIS_TRY_VOID(txn.erase("m3"));
    EXPECT_EQ(last(txn, "m", "n"), "none");
    return {};
  }));
}

TEST_P(EngineTest, BodiesSeeTheirOwnWrites) {
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto* key : {"a", "c", "e"}) RELAIS_TRY_VOID(txn.put(key, "old"));
    return {};
  }));
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    const auto old = txn.get("c").value();
    RELAIS_TRY_VOID(txn.put("b", "new"));
    RELAIS_TRY_VOID(txn.put("c", "1"));
    RELAIS_TRY_VOID(txn.put("c", "2"));
    RELAIS_TRY_VOID(txn.erase("e"));
    RELAIS_TRY_VOID(txn.erase("not there"));
    RELAIS_TRY_VOID(txn.put("f", ""));
    EXPECT_EQ(list(txn, "a", "z"), "a=old b=new c=2 f=");
    EXPECT_EQ(list(txn, "b", "c"), "b=new");
    EXPECT_EQ(txn.get("e").value(), std::nullopt);
    EXPECT_EQ(txn.get("f").value(), "");
    EXPECT_EQ(old, "old") << "what was read stays valid until the body ends";
    std::string first_two;
    RELAIS_TRY_VOID(txn.range("a", "z", [&first_two](const KeyValue& entry) { return first_two += entry.key, first_two.size() < 2; }));
    EXPECT_EQ(first_two, "ab");
    return {};
  }));
  EXPECT_EQ(list(*engine->read(kAnn).value(), "a", "z"), "a=old b=new c=2 f=");
}

TEST_P(EngineTest, AFailedBodyLeavesNothing) {
  ASSERT_TRUE(transact(kAnn, put("a", "old")));
  const auto stored = store(*engine, kAnn, {blob("kept")}).value();
  const auto failed = wait(engine->transact(kAnn, {blob("dropped")}, [&](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
    RELAIS_TRY_VOID(txn.put("a", "new"));
    RELAIS_TRY_VOID(txn.put("b", "new"));
    RELAIS_TRY_VOID(txn.erase("blob1"));
    RELAIS_TRY_VOID(txn.release_blob(stored[0]));
    RELAIS_TRY_VOID(txn.retain_blob(ids[0]));
    txn.publish({.account = kAnn});
    return fail(Fault::refused, "no", "OVERQUOTA", "detail");
  }));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().fault, Fault::refused);
  EXPECT_EQ(failed.error().code, "OVERQUOTA");
  EXPECT_EQ(failed.error().detail, "detail");
  EXPECT_EQ(list(*engine->read(kAnn).value(), "a", "z"), "a=old blob1=1");
  EXPECT_EQ(load(*engine, stored[0]), "kept");
  EXPECT_EQ(engine->stats()->blobs, 1U);
}

TEST_P(EngineTest, KeysOutsideTheLimitsAreRefused) {
  for (const auto& [key, good] : {std::pair(std::string(), false), {std::string(kMaxKey, 'k'), true}, {std::string(kMaxKey + 1, 'k'), false}}) {
    EXPECT_EQ(transact(kAnn, put(key, "v")).has_value(), good) << key.size();
    EXPECT_EQ(get(*engine, kAnn, key), good ? std::optional<std::string>("v") : std::nullopt);
  }
}

TEST_P(EngineTest, LargeValues) {
  for (const std::size_t size : {0U, 1U, 2'000U, 5'000U, 300'000U}) {
    const auto value = text(size, 3);
    ASSERT_TRUE(transact(kAnn, put("large", value)));
    EXPECT_TRUE(get(*engine, kAnn, "large") == value) << size;
  }
}

TEST_P(EngineTest, SnapshotsStayAsTheyWere) {
  ASSERT_TRUE(transact(kAnn, put("a", "1")));
  const auto before = engine->read(kAnn).value();
  const auto view = before->get("a").value();
  const auto other = engine->read(kAnn).value();  // two at a time on one thread
  for (int i = 2; i < 50; ++i) ASSERT_TRUE(transact(kAnn, put("a", std::to_string(i))));
  ASSERT_TRUE(transact(kAnn, put("b", "x")));
  EXPECT_EQ(view, "1");
  EXPECT_EQ(list(*before, "a", "z"), "a=1");
  EXPECT_EQ(list(*other, "a", "z"), "a=1");
  EXPECT_EQ(list(*engine->read(kAnn).value(), "a", "z"), "a=49 b=x");
}

TEST_P(EngineTest, RangesMayNest) {
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto* key : {"a1", "a2", "b1", "b2"}) RELAIS_TRY_VOID(txn.put(key, ""));
    return {};
  }));
  const auto snapshot = engine->read(kAnn).value();
  std::string seen;
  ASSERT_TRUE(snapshot->range("a", "b", [&](const KeyValue& outer) {
    EXPECT_TRUE(snapshot->range("b", "c", [&](const KeyValue& inner) { return seen.append(outer.key).append(inner.key), true; }));
    return true;
  }));
  EXPECT_EQ(seen, "a1b1a1b2a2b1a2b2");
}

TEST_P(EngineTest, BlobsComeBackInRanges) {
  const std::vector<std::string> octets = {"", "short", text(10'000, 1), text(1'000'000, 2), std::string(700'000, '\0')};
  std::vector<std::shared_ptr<const EncodedBlob>> blobs;
  for (const auto& each : octets) blobs.push_back(blob(each));
  const auto ids = store(*engine, kAnn, blobs).value();
  ASSERT_EQ(ids.size(), octets.size());
  EXPECT_TRUE(std::ranges::is_sorted(ids));
  const auto snapshot = engine->read(kAnn).value();
  for (std::size_t i = 0; i < ids.size(); ++i) {
    EXPECT_TRUE(load(*engine, ids[i]) == octets[i]) << i;
    for (const std::uint64_t offset : {0U, 1U, 5U, 262'143U, 262'144U, 600'000U, 2'000'000U})
      for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{300'000}, UINT64_MAX}) {
        const auto want = offset > octets[i].size() ? std::string() : octets[i].substr(offset, length);
        std::string got = "x";
        const auto read = snapshot->try_read_blob(ids[i], offset, length, got);
        ASSERT_TRUE(read) << read.error().detail;
        EXPECT_TRUE(*read ? got == "x" + want : got == "x" && load(*engine, ids[i], offset, length) == want) << i << ' ' << offset << ' ' << length;
      }
  }
  const auto gone = load(*engine, BlobId{12345});
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().code, "NONEXISTENT");
}

TEST_P(EngineTest, TakenBlobsAreAsTheyWereStored) {
  const std::vector<std::string> octets = {"", "short", text(10'000, 1), text(1'000'000, 2), std::string(700'000, '\0')};
  std::vector<std::shared_ptr<const EncodedBlob>> blobs;
  for (const auto& each : octets) blobs.push_back(make_blob("Received: x\r\n", encode_chunks(each)));
  const auto ids = store(*engine, kAnn, blobs).value();
  std::vector<std::shared_ptr<const EncodedBlob>> taken;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    auto blob = wait(engine->take_blob(ids[i]));
    ASSERT_TRUE(blob) << blob.error().detail;
    EXPECT_EQ((*blob)->chunk_count(), blobs[i]->chunk_count());
    EXPECT_EQ((*blob)->raw_size(), blobs[i]->raw_size());
    EXPECT_EQ((*blob)->stored_size(), blobs[i]->stored_size()) << "not decoded and compressed anew";
    taken.push_back(std::move(*blob));
  }
  const auto again = store(*engine, kBob, taken).value();
  for (std::size_t i = 0; i < again.size(); ++i) EXPECT_TRUE(load(*engine, again[i]) == "Received: x\r\n" + octets[i]) << i;
  EXPECT_EQ(wait(engine->take_blob(BlobId{12345})).error().code, "NONEXISTENT");
}

TEST_P(EngineTest, ReferencesAreCounted) {
  const auto id = store(*engine, kAnn, {blob(text(2'000, 1))}).value()[0];
  const auto retain = [id](Txn& txn, std::span<const BlobId>) { return txn.retain_blob(id); };
  const auto release = [id](Txn& txn, std::span<const BlobId>) { return txn.release_blob(id); };
  const auto references = [&] {
    std::map<BlobId, std::uint64_t> all;
    EXPECT_TRUE(engine->view().value()->for_each_blob([&all](BlobId blob, std::uint64_t count) { return all.emplace(blob, count), true; }));
    return all;
  };
  ASSERT_TRUE(transact(kAnn, retain));
  EXPECT_EQ(references(), (std::map<BlobId, std::uint64_t>{{id, 2}}));
  ASSERT_TRUE(transact(kBob, release));
  EXPECT_EQ(load(*engine, id), text(2'000, 1));
  ASSERT_TRUE(transact(kAnn, [id](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY_VOID(txn.release_blob(id));
    EXPECT_FALSE(txn.release_blob(id)) << "its own release is seen";
    return txn.retain_blob(id);
  }));
  EXPECT_EQ(references(), (std::map<BlobId, std::uint64_t>{{id, 1}}));
  const auto live = engine->stats()->live_octets;
  EXPECT_GT(live, 0U);
  ASSERT_TRUE(transact(kAnn, release));
  EXPECT_TRUE(references().empty());
  EXPECT_EQ(engine->stats()->dead_octets, live);
  EXPECT_EQ(load(*engine, id).error().code, "NONEXISTENT");
  for (const auto& body : {TxnBody(retain), TxnBody(release)}) EXPECT_EQ(transact(kAnn, body).error().fault, Fault::corrupt);
  const auto own = wait(engine->transact(kAnn, {blob("released at once")}, [](Txn& txn, std::span<const BlobId> ids) { return txn.release_blob(ids[0]); }));
  EXPECT_TRUE(own);
  EXPECT_TRUE(references().empty());
}

TEST_P(EngineTest, EventsComeAfterTheCommitInOrder) {
  std::vector<ModSeq> events;
  std::mutex mutex;
  engine->listen([&](const ChangeEvent& event) {
    const std::lock_guard lock(mutex);
    events.push_back(event.mod_seq);
  });
  for (ModSeq i = 1; i <= 20; ++i) {
    const bool fails = i % 5 == 0;
    EXPECT_EQ(transact(kAnn, [i, fails](Txn& txn, std::span<const BlobId>) -> Result<void> {
      txn.publish({.account = kAnn, .mod_seq = i});
      if (fails) return fail(Fault::refused, "no");
      return txn.put("k", std::to_string(i));
    }).has_value(), !fails);
  }
  const std::lock_guard lock(mutex);
  EXPECT_EQ(events, (std::vector<ModSeq>{1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14, 16, 17, 18, 19}));
}

TEST_P(EngineTest, AnAccountIsErased) {
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (int i = 0; i < 25'000; ++i) RELAIS_TRY_VOID(txn.put("key" + std::to_string(i), "v"));
    return txn.put(std::string(kMaxKey, '\xFF'), "last");
  }));
  ASSERT_TRUE(transact(kBob, put("a", "stays")));
  ASSERT_TRUE(wait(engine->erase_account(kAnn)));
  EXPECT_EQ(engine->accounts().value(), std::vector{kBob});
  EXPECT_EQ(engine->stats()->keys, 1U);
  ASSERT_TRUE(wait(engine->erase_account(kAnn)));
}

TEST_P(EngineTest, ManyWritersOfOneAccountNeverConflict) {
  constexpr int kWriters = 16;
  constexpr int kEach = 50;
  auto& loop = thread_loop();
  int done = 0;
  const auto writer = [&](int number) -> asio::awaitable<void> {
    for (int i = 0; i < kEach; ++i) {
      const auto octets = text(3'000, static_cast<unsigned>(number * kEach + i));
      const auto body = [](Txn& txn, std::span<const BlobId> ids) -> Result<void> {
        RELAIS_TRY(const auto count, txn.get("count"));
        const int n = count ? std::stoi(std::string(*count)) + 1 : 1;
        RELAIS_TRY_VOID(txn.put("count", std::to_string(n)));
        return txn.put("m" + std::to_string(n), std::to_string(static_cast<std::uint64_t>(ids[0])));
      };
      std::vector<std::shared_ptr<const EncodedBlob>> blobs{blob(octets)};
      const auto result = co_await engine->transact(kAnn, std::move(blobs), body);
      EXPECT_TRUE(result);
      done += result.has_value();
    }
  };
  for (int i = 0; i < kWriters; ++i) asio::co_spawn(loop, writer(i), asio::detached);
  loop.run();
  EXPECT_EQ(done, kWriters * kEach);
  EXPECT_EQ(get(*engine, kAnn, "count"), std::to_string(kWriters * kEach));
  const auto report = engine->check().value();
  EXPECT_EQ(report.problems, std::vector<std::string>());
  EXPECT_EQ(report.blobs, static_cast<std::uint64_t>(kWriters * kEach));
}

TEST_P(EngineTest, ThreadsReadWhileOthersWrite) {
  std::atomic<bool> stop{false};
  std::atomic<BlobId> newest{store(*engine, kAnn, {blob(text(5'000, 0))}).value()[0]};
  ASSERT_TRUE(transact(kAnn, [](Txn& txn, std::span<const BlobId>) { return txn.put("a", "0"), txn.put("b", "0"); }));
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&] {
      while (!stop) {
        const auto snapshot = engine->read(kAnn).value();
        EXPECT_EQ(snapshot->get("a").value(), snapshot->get("b").value());
        std::string octets;
        const auto read = engine->try_read_blob(newest.load(), 0, UINT64_MAX, octets);
        EXPECT_TRUE(read) << read.error().detail;
        EXPECT_TRUE(!*read || octets.size() == 5'000);
      }
    });
  for (int i = 1; i < 100; ++i) {
    ASSERT_TRUE(transact(kAnn, [i](Txn& txn, std::span<const BlobId>) { return txn.put("a", std::to_string(i)), txn.put("b", std::to_string(i)); }));
    newest = store(*engine, kAnn, {blob(text(5'000, static_cast<unsigned>(i)))}).value()[0];
  }
  stop = true;
  for (auto& reader : readers) reader.join();
}

TEST_P(EngineTest, ClosedEnginesRefuseWritesAndGoOnReading) {
  ASSERT_TRUE(transact(kAnn, put("a", "1")));
  EXPECT_TRUE(engine->writable());
  engine->close();
  EXPECT_EQ(transact(kAnn, put("a", "2")).error().code, "READ_ONLY");
  EXPECT_EQ(engine->writable().error().code, "READ_ONLY");
  EXPECT_EQ(get(*engine, kAnn, "a"), "1");
}

TEST_P(EngineTest, RandomOperationsMatchAPlainMap) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::map<std::string, std::string> model;
  for (int round = 0; round < 60; ++round) {
    auto next = model;
    const bool fails = random() % 4 == 0;
    const auto round_seed = random();
    const auto body = [&](Txn& txn, std::span<const BlobId>) -> Result<void> {
      next = model;  // a body may run again
      std::mt19937 r(round_seed);
      for (int i = 0; i < 20; ++i) {
        const std::string key(1 + r() % 2, static_cast<char>('a' + r() % 6));
        const std::string bound(1 + r() % 2, static_cast<char>('a' + r() % 7));
        switch (r() % 4) {
          case 0: next.erase(key); RELAIS_TRY_VOID(txn.erase(key)); break;
          case 1: next[key] = std::to_string(i); RELAIS_TRY_VOID(txn.put(key, std::to_string(i))); break;
          case 2: {
            std::string want;
            for (auto at = next.lower_bound(key); at != next.end() && at->first < bound; ++at) want += (want.empty() ? "" : " ") + at->first + "=" + at->second;
            EXPECT_EQ(list(txn, key, bound), want);
            break;
          }
          default: {
            auto at = next.lower_bound(bound);
            const bool any = at != next.begin() && (--at)->first >= key && at->first < bound;
            const auto found = txn.last_in(key, bound).value();
            EXPECT_EQ(found.has_value(), any);
            if (found && any) EXPECT_EQ(found->first + std::string(found->second), at->first + at->second);
          }
        }
      }
      return fails ? Result<void>(fail(Fault::refused, "no")) : Result<void>();
    };
    EXPECT_EQ(transact(kAnn, body).has_value(), !fails);
    if (!fails) model = next;
    std::string want;
    for (const auto& [key, value] : model) want += (want.empty() ? "" : " ") + key + "=" + value;
    ASSERT_EQ(list(*engine->read(kAnn).value(), "", "zzz"), want);
  }
}

}  // namespace
}  // namespace relais::storage
