// Many threads on one account: nothing is lost, numbered twice, or told wrongly. Most useful under ThreadSanitizer.
#include "storage/engine/memory_engine.h"
#include "storage/model/check.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

namespace relais::storage::testing {
namespace {

constexpr AccountRef kAccount{AccountId{3}, 0};

TEST(Parallel, WritersReadersAndSubscribers) {
  constexpr unsigned kWriters = 4;
  constexpr unsigned kEach = 60;
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(make_memory_engine());
  ShardedStore store(std::move(engines), nullptr);
  const auto id = await(store.status(kAccount, "INBOX"))->id;
  const auto prepared = *await(store.prepare(sample_message(1)));

  std::atomic<ModSeq> told{0};
  const auto subscription = store.subscribe_changes(kAccount.account, [&](const ChangeEvent& event) {
    EXPECT_GE(event.mod_seq, told.exchange(event.mod_seq));  // in commit order
  });
  std::atomic<bool> writing{true};
  std::vector<std::set<Uid>> uids(kWriters);
  {
    std::vector<std::jthread> threads;
    for (unsigned writer = 0; writer < kWriters; ++writer) {
      threads.emplace_back([&, writer] {
        for (unsigned i = 0; i < kEach; ++i) {
          const auto done = await(store.append(kAccount, "INBOX", {append_message(prepared)}, false, ""));
          ASSERT_TRUE(done);
          uids[writer].insert(done->uids.front());
          const NumberSet own(NumberRange{done->uids.front(), done->uids.front()});
          ASSERT_TRUE(await(store.store_flags(kAccount, id, {own, FlagOperation::add, kSeen, {"by" + std::to_string(writer)}, {}})));
          if (i % 3 == 0) ASSERT_TRUE(await(store.expunge(kAccount, id, own, true)));
          if (i % 5 == 1) ASSERT_TRUE(await(store.move(kAccount, id, own, "Archive")));
        }
      });
    }
    std::jthread reader([&] {
      MailboxChanges last;
      FetchBatch batch;
      while (writing) {
        const auto view = *await(store.open(kAccount, "INBOX", true));
        EXPECT_EQ(view.uids.count(), view.info.messages);
        const auto changes = *await(store.changes(kAccount, id, last.highest_mod_seq, true));
        EXPECT_GE(changes.highest_mod_seq, last.highest_mod_seq);
        last = changes;
        FetchRequest request;
        request.uids = &view.uids;
        request.fields = kFetchEnvelope | kFetchContent;
        ASSERT_TRUE(await(store.fetch(kAccount, id, request, batch)));
        for (const auto& message : batch.messages) EXPECT_EQ(message.content, sample_message(1));
      }
    });
    std::jthread subscriber([&] {
      while (writing) auto brief = store.subscribe_changes(kAccount.account, [](const ChangeEvent&) {});
    });
    for (auto& thread : threads) thread.join();
    writing = false;
  }
  std::set<Uid> all;
  for (const auto& some : uids) all.insert(some.begin(), some.end());
  EXPECT_EQ(all.size(), kWriters * kEach);
  EXPECT_EQ(await(store.status(kAccount, "INBOX"))->highest_mod_seq, await(store.changes(kAccount, id, 0, false))->highest_mod_seq);
  EXPECT_THAT(check_model(store.engine(0))->problems, ::testing::IsEmpty());
}

}  // namespace
}  // namespace relais::storage::testing
