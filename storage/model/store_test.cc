// The mailbox model's rules, on the memory engine.
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace relais::storage {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::append_message;
using testing::await;
using testing::sample_message;

constexpr AccountRef kAccount{AccountId{7}, 0};

std::unique_ptr<ShardedStore> make_store(MemoryEngine*& memory, const Clock& clock) {
  auto engine = make_memory_engine();
  memory = engine.get();
  std::vector<std::unique_ptr<Engine>> engines;
  engines.push_back(std::move(engine));
  return std::make_unique<ShardedStore>(std::move(engines), nullptr, clock);
}

class StoreTest : public ::testing::Test {
 protected:
  PreparedPtr prepared(unsigned number) {
    const auto octets = sample_message(number);
    return *await(store->prepare(octets));
  }
  Result<AppendResult> append(std::string name, unsigned number, FlagBits flags = 0, std::vector<std::string> keywords = {}) {
    auto message = append_message(prepared(number));
    message.system_flags = flags;
    message.keywords = std::move(keywords);
    return await(store->append(kAccount, std::move(name), {std::move(message)}, false, ""));
  }
  void fill(const std::string& name, unsigned count, FlagBits flags = 0) {
    for (unsigned i = 1; i <= count; ++i) ASSERT_TRUE(append(name, i, flags));
  }
  MailboxInfo status(const std::string& name) {
    auto info = await(store->status(kAccount, name));
    EXPECT_TRUE(info) << name;
    return info ? *info : MailboxInfo{};
  }
  MailboxView open(const std::string& name) { return *await(store->open(kAccount, name, false)); }
  std::string code(const auto& result) { return result ? "OK" : result.error().code; }
  std::string content(MailboxId mailbox, Uid uid) {
    std::string out;
    EXPECT_TRUE(await(store->read_content(kAccount, mailbox, uid, 0, UINT64_MAX, out)));
    return out;
  }
  Result<StoreFlagsResult> flag(MailboxId mailbox, std::string_view uids, FlagOperation operation, FlagBits flags,
                                std::vector<std::string> keywords = {}, std::optional<ModSeq> unchanged_since = {}) {
    return await(store->store_flags(kAccount, mailbox, {*NumberSet::parse(uids), operation, flags, std::move(keywords), unchanged_since}));
  }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& info : *await(store->list(kAccount))) out.push_back(info.name);
    return out;
  }

  ManualClock clock;
  MemoryEngine* memory = nullptr;
  std::unique_ptr<ShardedStore> store = make_store(memory, clock);
};

TEST_F(StoreTest, AnAccountHasItsUsualMailboxesFromTheFirstTouch) {
  EXPECT_THAT(names(), ElementsAre("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"));
  const auto list = *await(store->list(kAccount));
  std::set<std::uint32_t> validities;
  for (const auto& info : list) {
    EXPECT_TRUE(info.subscribed && info.exists && info.selectable) << info.name;
    validities.insert(info.uid_validity);
  }
  EXPECT_EQ(validities.size(), list.size());
  EXPECT_EQ(status("inbox").uid_validity, list[0].uid_validity);
  EXPECT_EQ(status("Sent").special_use, kUseSent);
}

TEST_F(StoreTest, AppendedOctetsComeBackAndCountersFollow) {
  auto message = append_message(prepared(1));
  message.trace_header = "Return-Path: <a@example.org>\r\nDelivered-To: bob\r\n";
  message.system_flags = kSeen | kDeleted;
  message.internal_date = 1'700'000'000;
  message.internal_zone = -90;
  message.uidl = "old-uidl";
  const auto whole = message.trace_header + sample_message(1);
  const auto done = await(store->append(kAccount, "INBOX", {message, append_message(prepared(2))}, false, ""));
  ASSERT_TRUE(done) << done.error().detail;
  EXPECT_THAT(done->uids, ElementsAre(1U, 2U));
  EXPECT_EQ(content(done->mailbox, 1), whole);
  EXPECT_EQ(content(done->mailbox, 2), sample_message(2));
  std::string part;
  ASSERT_TRUE(await(store->read_content(kAccount, done->mailbox, 1, 13, 17, part)));
  EXPECT_EQ(part, whole.substr(13, 17));

  const auto info = status("INBOX");
  EXPECT_EQ(info.messages, 2U);
  EXPECT_EQ(info.unseen, 1U);
  EXPECT_EQ(info.deleted, 1U);
  EXPECT_EQ(info.octets, whole.size() + sample_message(2).size());
  EXPECT_EQ(info.uid_next, 3U);
  EXPECT_EQ(await(store->quota(kAccount))->octets, info.octets);

  FetchBatch batch;
  const NumberSet all(NumberRange{1, UINT32_MAX});
  FetchRequest request;
  request.uids = &all;
  request.fields = 0xFF;
  ASSERT_TRUE(await(store->fetch(kAccount, done->mailbox, request, batch)));
  ASSERT_EQ(batch.messages.size(), 2U);
  const auto& first = batch.messages[0];
  EXPECT_EQ(first.internal_date, 1'700'000'000);
  EXPECT_EQ(first.internal_zone, -90);
  EXPECT_EQ(first.uidl, "old-uidl");
  EXPECT_EQ(first.content, whole);
  EXPECT_EQ(first.sent_zone, 60);
  EXPECT_TRUE(first.envelope.contains("number 1"));
  EXPECT_NE(first.email_id, batch.messages[1].email_id);
  EXPECT_EQ(batch.messages[1].internal_date, clock.seconds());
  EXPECT_EQ(batch.next, 0U);
}

}  // namespace
}  // namespace relais::storage
