// The mailbox model's rules, on the memory engine.
#include "storage/engine/memory_engine.h"
#include "storage/model/check.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace relais::storage {
namespace {

using testing::append_message;
using testing::await;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
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

// ---- flags and mod-sequences

TEST_F(StoreTest, OnlyARealChangeGetsANewModSequence) {  // RFC 7162 §3.1.3
  fill("INBOX", 3);
  const auto before = status("INBOX");
  auto done = flag(before.id, "1:2", FlagOperation::add, kFlagged);
  ASSERT_TRUE(done);
  EXPECT_GT(done->highest_mod_seq, before.highest_mod_seq);
  EXPECT_EQ(done->changed.size(), 2U);
  const auto highest = done->highest_mod_seq;
  for (const auto& [operation, flags] :
       {std::pair{FlagOperation::add, kFlagged}, std::pair{FlagOperation::remove, kSeen}, std::pair{FlagOperation::replace, kFlagged}}) {
    done = flag(before.id, "1:2", operation, flags);
    ASSERT_TRUE(done);
    EXPECT_EQ(done->highest_mod_seq, highest);
    ASSERT_EQ(done->changed.size(), 2U);
    EXPECT_EQ(done->changed[0].mod_seq, highest);
  }
  EXPECT_EQ(status("INBOX").highest_mod_seq, highest);
  EXPECT_THAT(await(store->changes(kAccount, before.id, highest, true))->changed, IsEmpty());
}

TEST_F(StoreTest, UnchangedSinceRefusesWhatChangedLater) {  // RFC 7162 §3.1.3
  fill("INBOX", 4);
  const auto info = status("INBOX");
  ASSERT_TRUE(flag(info.id, "2", FlagOperation::add, kSeen));
  const auto done = flag(info.id, "1:4", FlagOperation::add, kDeleted, {}, info.highest_mod_seq);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->failed.to_string(), "2");
  EXPECT_EQ(done->changed.size(), 3U);
  const auto none = flag(info.id, "1:4", FlagOperation::add, kDraft, {}, 0);
  EXPECT_EQ(none->failed.to_string(), "1:4");
  EXPECT_THAT(none->changed, IsEmpty());
  EXPECT_EQ(status("INBOX").deleted, 3U);
}

TEST_F(StoreTest, KeywordsAreSharedByCaseAndUnusedOnesMakeRoom) {
  fill("INBOX", 2);
  const auto id = status("INBOX").id;
  ASSERT_TRUE(flag(id, "1", FlagOperation::add, 0, {"$Junk"}));
  const auto done = flag(id, "2", FlagOperation::add, 0, {"$JUNK"});
  EXPECT_THAT(done->keywords, ElementsAre("$Junk"));
  EXPECT_EQ(done->changed[0].flags, FlagBits{1} << kFirstKeyword);
  for (std::size_t i = 1; i < kMaxKeywords; ++i) ASSERT_TRUE(flag(id, "1", FlagOperation::add, 0, {"k" + std::to_string(i)}));
  EXPECT_EQ(code(flag(id, "1", FlagOperation::add, 0, {"one-more"})), "LIMIT");
  ASSERT_TRUE(flag(id, "1", FlagOperation::remove, 0, {"k5", "never-there"}));
  const auto more = flag(id, "1", FlagOperation::add, 0, {"one-more"});
  ASSERT_TRUE(more);
  EXPECT_EQ(more->keywords[5], "one-more");
  EXPECT_EQ(more->keywords[0], "$Junk");
  for (const std::string bad : {"", "two words", "a(b", "a\\b", "a]b", "a%b", "\x80"})
    EXPECT_EQ(code(flag(id, "1", FlagOperation::add, 0, {bad})), "CANNOT") << bad;
  EXPECT_TRUE(flag(id, "1", FlagOperation::remove, 0, {"two words"}));
}

TEST_F(StoreTest, ExpungeTakesOnlyDeletedOnesOfTheSet) {  // RFC 9051 §6.4.9
  fill("INBOX", 5);
  const auto id = status("INBOX").id;
  ASSERT_TRUE(flag(id, "2:4", FlagOperation::add, kDeleted));
  const auto since = status("INBOX").highest_mod_seq;
  auto done = await(store->expunge(kAccount, id, NumberSet::parse("1:3"), false));
  ASSERT_TRUE(done);
  EXPECT_EQ(done->expunged.to_string(), "2:3");
  EXPECT_GT(done->highest_mod_seq, since);
  const auto changes = *await(store->changes(kAccount, id, since, true));
  EXPECT_EQ(changes.vanished.to_string(), "2:3");
  EXPECT_FALSE(changes.vanished_unknown);
  EXPECT_THAT(changes.changed, IsEmpty());
  done = await(store->expunge(kAccount, id, NumberSet::parse("1"), true));
  EXPECT_EQ(done->expunged.to_string(), "1");
  done = await(store->expunge(kAccount, id, std::nullopt, false));
  EXPECT_EQ(done->expunged.to_string(), "4");
  EXPECT_EQ(open("INBOX").uids.to_string(), "5");
  EXPECT_EQ(memory->stats()->blobs, 1U);
  std::string gone;
  EXPECT_EQ(code(await(store->read_content(kAccount, id, 4, 0, 10, gone))), "EXPUNGEISSUED");
}

TEST_F(StoreTest, ManyExpungesAreStillToldOnceTombstonesWereDropped) {
  constexpr unsigned kMessages = 10'100;
  const auto message = prepared(1);
  for (unsigned i = 0; i < kMessages / 100; ++i) {
    std::vector<AppendMessage> batch(100, append_message(message));
    ASSERT_TRUE(await(store->append(kAccount, "INBOX", std::move(batch), false, "")));
  }
  const auto info = status("INBOX");
  for (Uid uid = 1; uid <= kMessages; uid += 1) {
    if (uid % 1'000 != 0) ASSERT_TRUE(await(store->expunge(kAccount, info.id, NumberSet(NumberRange{uid, uid}), true)));
  }
  const auto all = *await(store->changes(kAccount, info.id, info.highest_mod_seq, true));
  EXPECT_TRUE(all.vanished_unknown);
  EXPECT_EQ(all.vanished.count(), kMessages - kMessages / 1'000);
  EXPECT_FALSE(all.vanished.contains(2'000));
  const auto late = *await(store->changes(kAccount, info.id, status("INBOX").highest_mod_seq - 1, true));
  EXPECT_FALSE(late.vanished_unknown);
  EXPECT_EQ(late.vanished.to_string(), std::to_string(kMessages));
  EXPECT_THAT(check_model(*memory)->problems, IsEmpty());
  // Chunks that expunges emptied have joined: ten messages do not lie in ten chunks.
  std::size_t chunks = 0;
  auto count = [&](const KeyValue&) { return ++chunks > 0; };
  ASSERT_TRUE((*memory->read(kAccount.account))->range("h", "i", count));
  EXPECT_LE(chunks, 3U);  // one for each group
}

TEST_F(StoreTest, StepsOfALongExpungeAndMove) {
  constexpr unsigned kMessages = 12'500;  // more than two steps
  const auto message = prepared(1);
  for (unsigned i = 0; i < kMessages / 500; ++i) {
    auto one = append_message(message);
    one.system_flags = kDeleted;
    ASSERT_TRUE(await(store->append(kAccount, "INBOX", std::vector<AppendMessage>(500, one), false, "")));
  }
  const auto id = status("INBOX").id;
  const auto moved = await(store->move(kAccount, id, NumberSet(NumberRange{1, UINT32_MAX}), "INBOX"));
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->from.size(), kMessages);
  EXPECT_EQ(moved->to.back(), 2 * kMessages);
  EXPECT_EQ(open("INBOX").uids.to_string(), "12501:25000");
  const auto done = await(store->expunge(kAccount, id, std::nullopt, false));
  EXPECT_EQ(done->expunged.count(), kMessages);
  EXPECT_EQ(await(store->quota(kAccount))->messages, 0U);
  EXPECT_THAT(check_model(*memory)->problems, IsEmpty());
}

// RFC 9051 §6.4.7: a COPY that fails leaves the destination as it was, also where it takes more than one transaction.
TEST_F(StoreTest, ALongCopyIsAllOrNothing) {
  constexpr unsigned kMessages = 12'500;  // more than two steps
  const auto message = append_message(prepared(1));
  for (unsigned i = 0; i < kMessages / 500; ++i)
    ASSERT_TRUE(await(store->append(kAccount, "INBOX", std::vector<AppendMessage>(500, message), false, "")));
  ASSERT_TRUE(append("Sent", 2));
  const auto id = status("INBOX").id;
  const auto before = await(store->quota(kAccount));
  memory->arm(MemoryFault::full, 3);
  EXPECT_EQ(code(await(store->copy(kAccount, id, NumberSet(NumberRange{1, UINT32_MAX}), "Sent"))), "STORAGE_FULL");
  EXPECT_EQ(open("Sent").uids.to_string(), "1");
  EXPECT_EQ(await(store->quota(kAccount))->octets, before->octets);
  ASSERT_TRUE(await(store->set_quota(kAccount, before->octets * 3 / 2, 0)));
  const auto uid_next = status("Sent").uid_next;
  EXPECT_EQ(code(await(store->copy(kAccount, id, NumberSet(NumberRange{1, UINT32_MAX}), "Sent"))), "OVERQUOTA");
  EXPECT_EQ(status("Sent").uid_next, uid_next) << "known before the first step";
  ASSERT_TRUE(await(store->set_quota(kAccount, 0, 0)));
  const auto copied = await(store->copy(kAccount, id, NumberSet(NumberRange{1, UINT32_MAX}), "INBOX"));
  ASSERT_TRUE(copied);
  EXPECT_EQ(copied->mailbox, id);
  EXPECT_EQ(copied->from.size(), kMessages);
  EXPECT_EQ(copied->to.front(), kMessages + 1);
  EXPECT_EQ(open("INBOX").uids.to_string(), "1:25000");
  ASSERT_TRUE(await(store->rename(kAccount, "INBOX", "old")));
  EXPECT_EQ(status("INBOX").messages, 0U);
  EXPECT_EQ(status("old").messages, 2 * kMessages);
  ASSERT_TRUE(await(store->remove(kAccount, "old")));
  EXPECT_EQ(memory->stats()->blobs, 1U);
  EXPECT_THAT(check_model(*memory)->problems, IsEmpty());
}

// ---- append

TEST_F(StoreTest, AppendToAMissingMailbox) {
  EXPECT_EQ(code(append("nowhere", 1)), "TRYCREATE");
  const auto done = await(store->append(kAccount, "lists/a", {append_message(prepared(1))}, true, ""));
  ASSERT_TRUE(done);
  EXPECT_TRUE(status("lists").selectable);
  EXPECT_EQ(code(await(store->append(kAccount, "bad//name", {append_message(prepared(1))}, true, ""))), "CANNOT");
}

TEST_F(StoreTest, OneDeliveryIsMadeOnce) {
  const auto first = await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, true, "id-1"));
  const auto again = await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, true, "id-1"));
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->uids, again->uids);
  EXPECT_EQ(status("INBOX").messages, 1U);
  EXPECT_EQ(memory->stats()->blobs, 1U);
  ASSERT_TRUE(await(store->forget_once(kAccount, "id-1")));
  EXPECT_EQ(await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, true, "id-1"))->uids, std::vector<Uid>{2});
}

TEST_F(StoreTest, AMigratorDictates) {
  const auto inbox = await(store->create(kAccount, "inbox", kUseNone, 77));
  ASSERT_TRUE(inbox);
  EXPECT_EQ(inbox->uid_validity, 77U);
  ASSERT_TRUE(await(store->create(kAccount, "Sent Items", kUseSent, 4'000'000'000)));
  EXPECT_EQ(status("Sent").special_use, kUseNone);
  EXPECT_EQ(status("Sent Items").special_use, kUseSent);
  auto message = append_message(prepared(1));
  message.uid = 1'000;
  message.mod_seq = 5'000;
  message.uidl = "legacy-1";
  auto next = append_message(prepared(2));
  next.uid = 2'000;
  next.mod_seq = 4'000;  // not ascending with the UIDs: as they were
  ASSERT_TRUE(await(store->append(kAccount, "INBOX", {message, next}, false, "")));
  const auto changes = *await(store->changes(kAccount, inbox->id, 0, true));
  ASSERT_EQ(changes.changed.size(), 2U);
  EXPECT_EQ(changes.changed[0].mod_seq, 5'000U);
  EXPECT_EQ(changes.changed[1].mod_seq, 4'000U);
  EXPECT_EQ(changes.highest_mod_seq, 5'000U);
  message.uid = 1'999;
  EXPECT_EQ(code(await(store->append(kAccount, "INBOX", {message}, false, ""))), "CANNOT");
  EXPECT_EQ(code(await(store->create(kAccount, "INBOX", kUseNone, 78))), "ALREADYEXISTS");
  ASSERT_TRUE(await(store->set_uid_next(kAccount, inbox->id, 9'000, 8'000)));
  ASSERT_TRUE(await(store->set_uid_next(kAccount, inbox->id, 10, 10)));
  EXPECT_EQ(status("INBOX").uid_next, 9'000U);
  EXPECT_EQ(status("INBOX").uidl_until, 1'000U);
  EXPECT_EQ(status("INBOX").highest_mod_seq, 8'000U);
  const auto later = append("INBOX", 3);
  EXPECT_THAT(later->uids, ElementsAre(9'000U));
  EXPECT_GT(status("INBOX").highest_mod_seq, 8'000U);
  EXPECT_EQ(code(await(store->create(kAccount, "x", kUseNone, 0))), "CANNOT");
}

TEST_F(StoreTest, NothingIsWrittenOverQuota) {
  fill("INBOX", 2);
  const auto used = *await(store->quota(kAccount));
  ASSERT_TRUE(await(store->set_quota(kAccount, used.octets + 10, 0)));
  EXPECT_EQ(code(append("INBOX", 3)), "OVERQUOTA");
  EXPECT_EQ(code(await(store->copy(kAccount, status("INBOX").id, *NumberSet::parse("1"), "Sent"))), "OVERQUOTA");
  EXPECT_TRUE(await(store->move(kAccount, status("INBOX").id, *NumberSet::parse("1"), "Sent")));
  ASSERT_TRUE(await(store->set_quota(kAccount, 0, 2)));
  EXPECT_EQ(code(append("INBOX", 3)), "OVERQUOTA");
  ASSERT_TRUE(await(store->set_quota(kAccount, 0, 3)));
  EXPECT_TRUE(append("INBOX", 3));
  EXPECT_EQ(memory->stats()->blobs, 3U);
}

TEST_F(StoreTest, EmailIdsTellContentsApart) {  // RFC 8474 §4
  auto plain = append_message(prepared(1));
  auto traced = plain;
  traced.trace_header = "Received: by a\r\n";
  auto other = plain;
  other.trace_header = "Received: by b\r\n";
  const auto done = await(store->append(kAccount, "INBOX", {plain, plain, traced, other}, false, ""));
  ASSERT_TRUE(await(store->copy(kAccount, done->mailbox, *NumberSet::parse("3"), "INBOX")));
  FetchBatch batch;
  const NumberSet all(NumberRange{1, 100});
  FetchRequest request;
  request.uids = &all;
  request.fields = kFetchMeta;
  ASSERT_TRUE(await(store->fetch(kAccount, done->mailbox, request, batch)));
  ASSERT_EQ(batch.messages.size(), 5U);
  EXPECT_EQ(batch.messages[0].email_id, batch.messages[1].email_id);
  EXPECT_EQ(batch.messages[2].email_id, batch.messages[4].email_id);
  EXPECT_EQ(std::set({batch.messages[0].email_id, batch.messages[2].email_id, batch.messages[3].email_id}).size(), 3U);
}

// ---- copy and move

TEST_F(StoreTest, AStoreTellsTheModSequenceItMade) {
  fill("INBOX", 2);
  const auto id = status("INBOX").id;
  const auto first = flag(id, "1", FlagOperation::add, kSeen);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->made, first->highest_mod_seq);
  const auto both = flag(id, "1:2", FlagOperation::add, kSeen);  // one was so already: it keeps the mod-sequence of before
  ASSERT_TRUE(both);
  EXPECT_EQ(both->changed[0].mod_seq, first->made);
  EXPECT_EQ(both->changed[1].mod_seq, both->made);
  const auto none = flag(id, "1:2", FlagOperation::add, kSeen);
  ASSERT_TRUE(none);
  EXPECT_EQ(none->made, 0U);
}

TEST_F(StoreTest, CopyKeepsFlagsDatesAndKeywords) {  // RFC 9051 §6.4.7
  ASSERT_TRUE(append("INBOX", 1, kSeen, {"first", "second"}));
  ASSERT_TRUE(append("Sent", 2, 0, {"second"}));
  clock.advance(std::chrono::hours(1));
  const auto from = status("INBOX");
  const auto done = await(store->copy(kAccount, from.id, *NumberSet::parse("1:5"), "Sent"));
  ASSERT_TRUE(done);
  EXPECT_THAT(done->from, ElementsAre(1U));
  EXPECT_THAT(done->to, ElementsAre(2U));
  EXPECT_EQ(done->highest_mod_seq, from.highest_mod_seq);
  const auto sent = status("Sent");
  EXPECT_THAT(sent.keywords, ElementsAre("second", "first"));
  FetchBatch batch;
  const NumberSet all(NumberRange{2, 2});
  FetchRequest request;
  request.uids = &all;
  request.fields = kFetchMeta | kFetchContent;
  ASSERT_TRUE(await(store->fetch(kAccount, sent.id, request, batch)));
  EXPECT_EQ(batch.messages.at(0).flags, kSeen | FlagBits{3} << kFirstKeyword);
  EXPECT_EQ(batch.messages[0].content, sample_message(1));
  EXPECT_EQ(batch.messages[0].save_date, clock.seconds());  // RFC 8514: of this mailbox
  EXPECT_LT(batch.messages[0].internal_date, clock.seconds());
  EXPECT_EQ(memory->stats()->blobs, 2U);
  EXPECT_EQ(code(await(store->copy(kAccount, from.id, *NumberSet::parse("1"), "nowhere"))), "TRYCREATE");
}

TEST_F(StoreTest, MoveLeavesTombstones) {  // RFC 6851 §3.3
  fill("INBOX", 3, kSeen);
  const auto from = status("INBOX");
  const auto done = await(store->move(kAccount, from.id, *NumberSet::parse("1,3"), "Trash"));
  ASSERT_TRUE(done);
  EXPECT_THAT(done->to, ElementsAre(1U, 2U));
  EXPECT_GT(done->highest_mod_seq, from.highest_mod_seq);
  EXPECT_EQ(await(store->changes(kAccount, from.id, from.highest_mod_seq, true))->vanished.to_string(), "1,3");
  EXPECT_EQ(status("Trash").messages, 2U);
  EXPECT_EQ(await(store->quota(kAccount))->messages, 3U);
}

// ---- mailboxes

TEST_F(StoreTest, CreateAndRename) {
  ASSERT_TRUE(await(store->create(kAccount, "a/b/c", kUseNone, {})));
  EXPECT_EQ(code(await(store->create(kAccount, "a/b", kUseNone, {}))), "ALREADYEXISTS");
  ASSERT_TRUE(append("a/b/c", 1));
  const auto before = status("a/b/c");
  EXPECT_EQ(code(await(store->rename(kAccount, "a", "a/x"))), "CANNOT");
  EXPECT_EQ(code(await(store->rename(kAccount, "a", "Sent"))), "ALREADYEXISTS");
  EXPECT_EQ(code(await(store->rename(kAccount, "q", "r"))), "NONEXISTENT");
  EXPECT_EQ(
      code(await(store->rename(
          kAccount, "a", std::string(250, 'z') + "/" + std::string(250, 'y') + "/" + std::string(250, 'x') + "/" + std::string(245, 'w')))),
      "CANNOT");
  ASSERT_TRUE(await(store->rename(kAccount, "a", "z/y")));
  const auto after = status("z/y/b/c");
  EXPECT_EQ(after.id, before.id);
  EXPECT_EQ(after.uid_validity, before.uid_validity);
  EXPECT_THAT(names(), ElementsAre("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash", "z", "z/y", "z/y/b", "z/y/b/c"));
}

TEST_F(StoreTest, RenamingInboxMovesItsMessages) {  // RFC 9051 §6.3.6
  fill("INBOX", 3);
  ASSERT_TRUE(await(store->create(kAccount, "INBOX/child", kUseNone, {})));
  const auto before = status("INBOX");
  ASSERT_TRUE(await(store->rename(kAccount, "INBOX", "old/mail")));
  const auto inbox = status("INBOX");
  EXPECT_EQ(inbox.messages, 0U);
  EXPECT_EQ(inbox.id, before.id);
  EXPECT_EQ(inbox.uid_validity, before.uid_validity);
  EXPECT_EQ(inbox.uid_next, 4U);
  EXPECT_EQ(status("old/mail").messages, 3U);
  EXPECT_EQ(status("INBOX/child").messages, 0U);
  EXPECT_EQ(await(store->changes(kAccount, inbox.id, before.highest_mod_seq, true))->vanished.to_string(), "1:3");
}

TEST_F(StoreTest, DeleteLeavesParentsAndSubscriptions) {  // RFC 9051 §6.3.5
  ASSERT_TRUE(await(store->create(kAccount, "a/b", kUseNone, {})));
  ASSERT_TRUE(await(store->subscribe(kAccount, "a", true)));
  ASSERT_TRUE(append("a", 1));
  const auto before = status("a");
  EXPECT_EQ(code(await(store->remove(kAccount, "inbox"))), "CANNOT");
  EXPECT_EQ(code(await(store->remove(kAccount, "nowhere"))), "NONEXISTENT");
  ASSERT_TRUE(await(store->remove(kAccount, "a")));
  EXPECT_FALSE(await(store->changes(kAccount, before.id, 0, true))->exists);
  EXPECT_EQ(code(await(store->status(kAccount, "a"))), "NONEXISTENT");
  EXPECT_EQ(code(append("a", 1)), "TRYCREATE");
  EXPECT_EQ(code(await(store->remove(kAccount, "a"))), "HASCHILDREN");
  auto list = *await(store->list(kAccount));
  auto a = std::ranges::find(list, "a", &MailboxInfo::name);
  EXPECT_TRUE(a->exists && !a->selectable && a->subscribed);
  ASSERT_TRUE(await(store->remove(kAccount, "a/b")));
  ASSERT_TRUE(await(store->remove(kAccount, "a")));
  list = *await(store->list(kAccount));
  a = std::ranges::find(list, "a", &MailboxInfo::name);
  EXPECT_TRUE(!a->exists && a->subscribed);
  EXPECT_EQ(memory->stats()->blobs, 0U);
  EXPECT_EQ(await(store->quota(kAccount))->octets, 0U);
  const auto again = await(store->create(kAccount, "a", kUseNone, {}));
  EXPECT_GT(again->uid_validity, before.uid_validity);
  EXPECT_NE(again->id, before.id);
  EXPECT_TRUE(again->subscribed);
}

TEST_F(StoreTest, ASpecialUseBelongsToOneMailbox) {  // RFC 6154 §3
  ASSERT_TRUE(append("Sent", 1));
  EXPECT_EQ(code(await(store->create(kAccount, "Mine", kUseSent, {}))), "USEATTR");
  EXPECT_TRUE(await(store->create(kAccount, "Spam", kUseJunk, {})));
  EXPECT_EQ(status("Junk").special_use, kUseNone);
}

TEST_F(StoreTest, RecentBelongsToTheFirstWhoSelects) {  // RFC 3501 §2.3.2
  fill("INBOX", 2);
  EXPECT_EQ(open("INBOX").info.recent_from, 1U);
  EXPECT_EQ(await(store->open(kAccount, "INBOX", true))->info.recent_from, 1U);
  EXPECT_EQ(await(store->open(kAccount, "INBOX", true))->info.recent_from, 3U);
  ASSERT_TRUE(append("INBOX", 3));
  EXPECT_EQ(status("INBOX").recent_from, 3U);
  EXPECT_EQ(await(store->open(kAccount, "INBOX", true))->info.recent_from, 3U);
  EXPECT_EQ(await(store->open(kAccount, "INBOX", true))->info.recent_from, 4U);
}

TEST_F(StoreTest, RecentMessagesBelongToTheFirstThatIsTold) {  // RFC 3501 §2.3.2
  fill("INBOX", 2);
  const auto id = await(store->open(kAccount, "INBOX", true))->info.id;
  ASSERT_TRUE(append("INBOX", 3));
  EXPECT_EQ(store->claim_recent(kAccount, id, 3, 4, /*claim=*/false), 3U);  // EXAMINE only looks
  EXPECT_EQ(status("INBOX").recent_from, 3U);
  EXPECT_EQ(store->claim_recent(kAccount, id, 3, 4, /*claim=*/true), 3U);
  EXPECT_EQ(store->claim_recent(kAccount, id, 3, 4, /*claim=*/true), 4U);
  EXPECT_EQ(status("INBOX").recent_from, 4U);
}

TEST_F(StoreTest, RemovingAnAccountLeavesNothing) {
  fill("INBOX", 30);
  ASSERT_TRUE(await(store->copy(kAccount, status("INBOX").id, *NumberSet::parse("1:10"), "Sent")));
  ASSERT_TRUE(await(store->remove_account(kAccount)));
  EXPECT_THAT(*memory->accounts(), IsEmpty());
  EXPECT_EQ(memory->stats()->blobs, 0U);
  ASSERT_TRUE(await(store->remove_account(kAccount)));
}

// A delivery that was under way makes the inbox once more: its blob must go too.
TEST_F(StoreTest, RemovingAnAccountDuringADelivery) {
  fill("INBOX", 3);
  std::optional<Result<void>> removed;
  std::optional<Result<AppendResult>> delivered;
  const auto message = append_message(prepared(9));
  memory->hold();
  auto& loop = testing::test_loop();
  net::asio::co_spawn(loop, store->remove_account(kAccount), [&](std::exception_ptr, Result<void> result) { removed = std::move(result); });
  net::asio::co_spawn(loop, store->append(kAccount, "INBOX", {message}, true, ""),
                      [&](std::exception_ptr, Result<AppendResult> result) { delivered = std::move(result); });
  loop.poll();
  memory->release();
  loop.run();
  loop.restart();
  ASSERT_TRUE(removed && *removed);
  ASSERT_TRUE(delivered && *delivered);
  EXPECT_THAT(*memory->accounts(), IsEmpty());
  EXPECT_EQ(memory->stats()->blobs, 0U);
}

// ---- reading

TEST_F(StoreTest, BatchesEndAtTheirBoundsAndGoOn) {
  fill("INBOX", 200);
  const auto id = status("INBOX").id;
  ASSERT_TRUE(await(store->expunge(kAccount, id, NumberSet::parse("50:60,100,102,104"), true)));
  const auto wanted = *NumberSet::parse("2,4,6,8:120,199:400");
  const auto expected = wanted.intersect(open("INBOX").uids);
  for (const std::uint32_t fields :
       {std::uint32_t{kFetchFlags}, std::uint32_t{kFetchEnvelope}, std::uint32_t{kFetchContent | kFetchMeta}}) {
    for (const auto& [messages, octets] :
         {std::pair{1U, 0U}, std::pair{7U, 1U << 20}, std::pair{2'000U, 1'000U}, std::pair{2'000U, 1U << 30}}) {
      FetchRequest request;
      request.uids = &wanted;
      request.fields = fields;
      request.max_messages = messages;
      request.max_octets = octets;
      FetchBatch batch;
      NumberSet got;
      do {
        ASSERT_TRUE(await(store->fetch(kAccount, id, request, batch)));
        ASSERT_FALSE(batch.messages.empty());
        EXPECT_LE(batch.messages.size(), messages);
        for (const auto& message : batch.messages) {
          got.add(message.uid);
          if ((fields & kFetchContent) != 0) EXPECT_EQ(message.content, sample_message(message.uid));
          if ((fields & kFetchEnvelope) != 0) EXPECT_TRUE(message.envelope.contains("number " + std::to_string(message.uid) + "\""));
        }
        request.first = batch.next;
      } while (batch.next != 0);
      EXPECT_EQ(got, expected);
    }
  }
}

TEST_F(StoreTest, LargeContentIsLeftToReadContent) {
  fill("INBOX", 3);
  const auto id = status("INBOX").id;
  memory->forget_cache(true);  // contents come by the waiting path too
  FetchBatch batch;
  const NumberSet all(NumberRange{1, 100});
  FetchRequest request;
  request.uids = &all;
  request.fields = kFetchContent;
  ASSERT_TRUE(await(store->fetch(kAccount, id, request, batch)));
  for (const auto& message : batch.messages) EXPECT_EQ(message.content, sample_message(message.uid));
  request.content_limit = 10;
  ASSERT_TRUE(await(store->fetch(kAccount, id, request, batch)));
  ASSERT_EQ(batch.messages.size(), 3U);
  for (const auto& message : batch.messages) EXPECT_FALSE(message.has_content);
  EXPECT_EQ(content(id, 2), sample_message(2));
}

TEST_F(StoreTest, UnknownPlacesAreErrors) {
  EXPECT_EQ(code(await(store->list({AccountId{1}, 9}))), "UNAVAILABLE");
  EXPECT_EQ(code(await(store->open(kAccount, "x", false))), "NONEXISTENT");
  EXPECT_FALSE(await(store->changes(kAccount, MailboxId{99}, 0, true))->exists);
  FetchBatch batch;
  const NumberSet all(NumberRange{1, 100});
  FetchRequest request;
  request.uids = &all;
  EXPECT_EQ(code(await(store->fetch(kAccount, MailboxId{99}, request, batch))), "NONEXISTENT");
  EXPECT_EQ(code(flag(MailboxId{99}, "1", FlagOperation::add, kSeen)), "NONEXISTENT");
  EXPECT_EQ(code(await(store->expunge(kAccount, MailboxId{99}, std::nullopt, true))), "NONEXISTENT");
  EXPECT_EQ(code(await(store->move(kAccount, MailboxId{99}, all, "INBOX"))), "NONEXISTENT");
}

TEST_F(StoreTest, SubscribersHearOfCommitsInOrder) {
  std::vector<ChangeEvent> events;
  const auto id = status("INBOX").id;
  {
    const auto subscription = store->subscribe_changes(kAccount.account, [&](const ChangeEvent& event) { events.push_back(event); });
    const auto second = store->subscribe_changes(kAccount.account, [](const ChangeEvent&) {});
    const auto other = store->subscribe_changes(AccountId{1'000}, [](const ChangeEvent&) { FAIL(); });
    fill("INBOX", 2);
    ASSERT_TRUE(flag(id, "1", FlagOperation::add, kSeen));
    ASSERT_TRUE(flag(id, "1", FlagOperation::add, kSeen));  // changes nothing
    ASSERT_TRUE(await(store->move(kAccount, id, *NumberSet::parse("1"), "Sent")));
  }
  ASSERT_TRUE(append("INBOX", 3));
  ASSERT_EQ(events.size(), 5U);
  for (std::size_t i = 1; i < events.size(); ++i) EXPECT_GE(events[i].mod_seq, events[i - 1].mod_seq);
  EXPECT_EQ(events[0].mailbox, id);
  EXPECT_NE(events[3].mailbox, events[4].mailbox);  // both ends of the move
}

}  // namespace
}  // namespace relais::storage
