// The mover's door: states of an account, and mailboxes and messages that are dictated.
#include "storage/import.h"

#include "storage/engine/memory_engine.h"
#include "storage/model/check.h"
#include "storage/model/digest.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <boost/asio/detached.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

namespace relais::storage {
namespace {

namespace asio = net::asio;
using testing::append_message;
using testing::await;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using testing::sample_message;

constexpr AccountRef kAccount{AccountId{7}, 0};
constexpr auto kOpen = AccountState::open;
constexpr auto kImporting = AccountState::importing;
constexpr auto kSealed = AccountState::sealed;

class ImportTest : public ::testing::Test {
 protected:
  ImportTest() {
    auto engine = make_memory_engine();
    memory = engine.get();
    memory->run_bodies_twice(true);
    std::vector<std::unique_ptr<Engine>> engines;
    engines.push_back(std::move(engine));
    store = std::make_unique<ShardedStore>(std::move(engines), nullptr, clock);
    store->limit_groups(100);
    import = &store->importer();
  }
  ~ImportTest() override {
    const auto report = check_model(*memory);
    EXPECT_TRUE(report);
    if (report) EXPECT_THAT(report->problems, IsEmpty());
  }

  void start() { ASSERT_TRUE(await(import->set_state(kAccount, kOpen, kImporting))); }
  void serve() { ASSERT_TRUE(await(import->set_state(kAccount, kImporting, kOpen))); }
  static std::string code(const auto& result) { return result ? "OK" : result.error().code; }
  PreparedPtr prepared(unsigned number) {
    const auto octets = sample_message(number);
    return *await(store->prepare(octets));
  }
  ImportedMessage message(Uid uid, ModSeq mod_seq = 0, FlagBits flags = 0, std::vector<std::string> keywords = {}) {
    ImportedMessage out;
    out.message = prepared(uid);
    out.uid = uid;
    out.mod_seq = mod_seq;
    out.system_flags = flags;
    out.keywords = std::move(keywords);
    out.internal_date = 1'000 + uid;
    out.internal_zone = -90;
    return out;
  }
  MailboxInfo create(const std::string& name, std::uint32_t uid_validity = 17, std::uint8_t special_use = kUseNone) {
    auto made = await(import->create(kAccount, {.name = name, .uid_validity = uid_validity, .special_use = special_use}));
    EXPECT_TRUE(made) << name << made.error().text;
    return made ? *made : MailboxInfo{};
  }
  MailboxId fill(const std::string& name, unsigned count) {
    const auto id = create(name).id;
    std::vector<ImportedMessage> messages;
    for (unsigned i = 1; i <= count; ++i) messages.push_back(message(i, 100 + i));
    EXPECT_TRUE(await(import->append(kAccount, id, std::move(messages))));
    return id;
  }
  Result<void> append(MailboxId id, std::vector<ImportedMessage> messages) {
    return await(import->append(kAccount, id, std::move(messages)));
  }
  Result<void> impose(MailboxId id, std::vector<ImposedState> states) { return await(import->impose(kAccount, id, std::move(states))); }
  MailboxView view(MailboxId id) { return *await(import->open(kAccount, id)); }
  std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const auto& info : *await(import->list(kAccount))) out.push_back(info.name + (info.selectable ? "" : info.exists ? " -" : " ?"));
    return out;
  }
  /// UID → mod-sequence of what has changed since.
  std::map<Uid, ModSeq> changed(MailboxId id, ModSeq since) {
    std::map<Uid, ModSeq> out;
    for (const auto& change : await(store->changes(kAccount, id, since, true))->changed) out[change.uid] = change.mod_seq;
    return out;
  }
  std::string vanished(MailboxId id, ModSeq since) {
    const auto changes = *await(store->changes(kAccount, id, since, true));
    return changes.vanished.to_string() + (changes.vanished_unknown ? " unknown" : "");
  }
  FetchBatch fetch(MailboxId id, std::string_view uids) {
    const auto set = *NumberSet::parse(uids);
    FetchRequest request;
    request.uids = &set;
    request.fields = kFetchMeta | kFetchContent;
    FetchBatch batch;
    EXPECT_TRUE(await(import->fetch(kAccount, id, request, batch)));
    return batch;
  }
  std::uint64_t blobs() { return memory->stats()->blobs; }

  ManualClock clock;
  MemoryEngine* memory = nullptr;
  std::unique_ptr<ShardedStore> store;
  Import* import = nullptr;
};

TEST_F(ImportTest, StatesAreComparedAndSet) {
  EXPECT_EQ(*await(import->state(kAccount)), kOpen);
  EXPECT_EQ(code(await(import->set_state(kAccount, kImporting, kSealed))), "STATE");
  EXPECT_EQ(code(await(import->set_state(kAccount, kOpen, kImporting))), "OK");
  EXPECT_EQ(*await(import->state(kAccount)), kImporting);
  EXPECT_EQ(code(await(import->set_state(kAccount, kOpen, kSealed))), "STATE");
  EXPECT_EQ(code(await(import->set_state(kAccount, kOpen, kImporting))), "OK") << "it is so already";
  EXPECT_EQ(code(await(import->set_state(kAccount, kImporting, kOpen))), "OK");
  EXPECT_EQ(code(await(import->set_state(kAccount, kOpen, kSealed))), "OK");
  EXPECT_EQ(code(await(import->set_state(kAccount, kSealed, kImporting))), "OK");
  EXPECT_EQ(code(await(import->set_state({AccountId{7}, 5}, kOpen, kSealed))), "UNAVAILABLE") << "no such shard";
}

TEST_F(ImportTest, ImportingMakesNoMailboxesAndOpeningAnInbox) {
  EXPECT_THAT(names(), IsEmpty());
  EXPECT_THAT(*memory->accounts(), IsEmpty()) << "looking at it makes no account";
  start();
  EXPECT_THAT(names(), IsEmpty());
  create("Trash", 5, kUseTrash);
  serve();
  EXPECT_THAT(names(), ElementsAre("INBOX", "Trash"));
  // An inbox that was dictated is kept.
  ASSERT_TRUE(await(import->set_state(kAccount, kOpen, kImporting)));
  const auto inbox = create("inbox", 4711);
  serve();
  EXPECT_EQ(await(store->status(kAccount, "INBOX"))->uid_validity, 4711U);
  EXPECT_EQ(await(store->status(kAccount, "INBOX"))->id, inbox.id);
}

TEST_F(ImportTest, SealingWhatWasNeverTouchedIsAFirstTouch) {
  ASSERT_TRUE(await(import->set_state(kAccount, kOpen, kSealed)));
  EXPECT_EQ(await(store->list(kAccount))->size(), 6U);
}

TEST_F(ImportTest, StoreIsRefusedByState) {
  ASSERT_TRUE(await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, false, "once")));
  const auto inbox = await(store->status(kAccount, "INBOX"))->id;
  struct Row {
    std::string_view what;
    std::function<Result<void>()> call;
    bool reads;
  };
  const auto drop = [](const auto& result) -> Result<void> {
    if (!result) return fail(result.error());
    return {};
  };
  const NumberSet one(NumberRange{1, 1});
  const Row rows[] = {
      {"append", [&] { return drop(await(store->append(kAccount, "INBOX", {append_message(prepared(2))}, true, ""))); }, false},
      {"append once more", [&] { return drop(await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, false, "once"))); },
       false},
      {"flags", [&] { return drop(await(store->store_flags(kAccount, inbox, {one, FlagOperation::add, kSeen, {}, {}}))); }, false},
      {"expunge", [&] { return drop(await(store->expunge(kAccount, inbox, one, true))); }, false},
      {"copy", [&] { return drop(await(store->copy(kAccount, inbox, one, "Sent"))); }, false},
      {"move", [&] { return drop(await(store->move(kAccount, inbox, one, "Sent"))); }, false},
      {"create", [&] { return drop(await(store->create(kAccount, "new", 0, {}))); }, false},
      {"rename", [&] { return await(store->rename(kAccount, "Sent", "Gone")); }, false},
      {"remove", [&] { return await(store->remove(kAccount, "Trash")); }, false},
      {"subscribe", [&] { return await(store->subscribe(kAccount, "x", true)); }, false},
      {"list", [&] { return drop(await(store->list(kAccount))); }, true},
      {"status", [&] { return drop(await(store->status(kAccount, "INBOX"))); }, true},
      {"open", [&] { return drop(await(store->open(kAccount, "INBOX", true))); }, true},
  };
  for (const auto state : {kSealed, kImporting}) {
    ASSERT_TRUE(await(import->set_state(kAccount, state == kSealed ? kOpen : kSealed, state)));
    for (const auto& row : rows) {
      const auto result = row.call();
      EXPECT_EQ(code(result), row.reads && state == kSealed ? "OK" : "MOVED") << row.what;
      if (!result) EXPECT_EQ(result.error().fault, Fault::temporary);
    }
    EXPECT_TRUE(await(store->set_quota(kAccount, 1'000'000, 0)));
    EXPECT_TRUE(await(store->forget_once(kAccount, "other")));
  }
  EXPECT_EQ(view(inbox).info.messages, 1U);
  EXPECT_EQ(await(store->quota(kAccount))->octets_limit, 1'000'000U);
  serve();
  for (const auto& row : rows) EXPECT_EQ(code(row.call()), "OK") << row.what;
}

TEST_F(ImportTest, ImportIsRefusedUnlessImporting) {
  ASSERT_TRUE(await(store->list(kAccount)));
  const auto inbox = await(store->status(kAccount, "INBOX"))->id;
  for (const auto state : {kOpen, kSealed}) {
    ASSERT_TRUE(await(import->set_state(kAccount, kOpen, state)));
    EXPECT_EQ(code(await(import->create(kAccount, {.name = "x", .uid_validity = 1}))), "STATE");
    EXPECT_EQ(code(await(import->rename(kAccount, inbox, "x"))), "STATE");
    EXPECT_EQ(code(await(import->remove(kAccount, inbox))), "STATE");
    EXPECT_EQ(code(await(import->set_subscriptions(kAccount, {}))), "STATE");
    EXPECT_EQ(code(append(inbox, {message(1)})), "STATE");
    EXPECT_EQ(code(append(inbox, {})), "STATE");
    EXPECT_EQ(code(impose(inbox, {})), "STATE");
    EXPECT_EQ(code(await(import->expunge(kAccount, inbox, {}, 0))), "STATE");
    EXPECT_EQ(code(await(import->set_counters(kAccount, inbox, {.uid_next = 9}))), "STATE");
    EXPECT_EQ(view(inbox).info.uid_next, 1U) << "reads go on";
  }
  EXPECT_EQ(code(await(import->create({AccountId{8}, 0}, {.name = "x", .uid_validity = 1}))), "STATE");
  EXPECT_THAT(*memory->accounts(), ElementsAre(AccountId{7})) << "a refusal makes no account";
}

// A delivery that was on its way before the seal is in, one behind it is not: the order of the calls is the order of the commits.
TEST_F(ImportTest, ASealStandsBetweenWhatIsQueued) {
  ASSERT_TRUE(await(store->list(kAccount)));
  const auto first = prepared(1);
  const auto second = prepared(2);
  std::vector<std::string> codes(3);
  const auto note = [&codes](std::size_t at, const auto& result) { codes[at] = code(result); };
  auto deliver = [&](std::size_t at, PreparedPtr octets) -> asio::awaitable<void> {
    note(at, co_await store->append(kAccount, "INBOX", {append_message(octets)}, true, ""));
  };
  auto seal = [&]() -> asio::awaitable<void> { note(1, co_await import->set_state(kAccount, kOpen, kSealed)); };
  memory->hold();
  auto& loop = testing::test_loop();
  asio::co_spawn(loop, deliver(0, first), asio::detached);
  asio::co_spawn(loop, seal(), asio::detached);
  asio::co_spawn(loop, deliver(2, second), asio::detached);
  loop.poll();
  loop.restart();
  memory->release();  // all three in one commit
  loop.run();
  loop.restart();
  EXPECT_THAT(codes, ElementsAre("OK", "OK", "MOVED"));
  EXPECT_EQ(await(store->status(kAccount, "INBOX"))->messages, 1U);
  EXPECT_EQ(blobs(), 1U);
}

TEST_F(ImportTest, AccountsGoAwayInAnyState) {
  start();
  fill("a", 5);
  EXPECT_TRUE(await(store->remove_account(kAccount)));
  EXPECT_THAT(*memory->accounts(), IsEmpty());
  EXPECT_EQ(code(await(import->create(kAccount, {.name = "x", .uid_validity = 1}))), "STATE") << "the mover learns of it";
}

TEST_F(ImportTest, MailboxesAreMadeAsDictated) {
  start();
  const auto sent = create("Sent", 4'000'000'000, kUseSent);
  EXPECT_EQ(sent.uid_validity, 4'000'000'000U);
  EXPECT_EQ(sent.special_use, kUseSent);
  const auto again = create("Sent", 4'000'000'000, kUseSent);
  EXPECT_EQ(again.id, sent.id);

  const auto deep = create("a/b/c", 9);
  EXPECT_THAT(names(), ElementsAre("Sent", "a -", "a/b -", "a/b/c"));
  const auto parent = create("a", 8);
  EXPECT_TRUE(parent.selectable);
  EXPECT_THAT(names(), ElementsAre("Sent", "a", "a/b -", "a/b/c"));
  EXPECT_EQ(view(deep.id).info.name, "a/b/c");

  struct Row {
    ImportedMailbox mailbox;
    std::string_view code;
  };
  const Row rows[] = {
      {{.name = "x", .uid_validity = 0}, "CANNOT"},
      {{.name = "x//y", .uid_validity = 1}, "CANNOT"},
      {{.name = "INBOX", .uid_validity = 1, .special_use = kUseTrash}, "USEATTR"},
      {{.name = "INBOX", .uid_validity = 1, .selectable = false}, "CANNOT"},
      {{.name = "x", .uid_validity = 1, .id = deep.id}, "ALREADYEXISTS"},
      {{.name = "x", .uid_validity = 1, .id = MailboxId{0}}, "CANNOT"},
      {{.name = "x", .uid_validity = 1, .id = MailboxId{UINT32_MAX}}, "CANNOT"},
      {{.name = "noselect", .selectable = false}, "OK"},
      {{.name = "noselect", .selectable = false}, "OK"},
      {{.name = "own", .uid_validity = 1, .id = MailboxId{900}}, "OK"},
      {{.name = "own", .uid_validity = 1, .id = MailboxId{900}}, "OK"},
  };
  for (const auto& row : rows) EXPECT_EQ(code(await(import->create(kAccount, row.mailbox))), row.code) << row.mailbox.name;
  EXPECT_EQ(create("own", 1).id, MailboxId{900});
  EXPECT_EQ(create("next", 1).id, MailboxId{901});
  EXPECT_THAT(names(), ElementsAre("Sent", "a", "a/b -", "a/b/c", "next", "noselect -", "own"));
}

TEST_F(ImportTest, AnotherUidValidityMakesTheMailboxAnew) {
  start();
  const auto id = fill("a", 10);
  create("a/child");
  const auto anew = create("a", 18);
  EXPECT_NE(anew.id, id);
  EXPECT_EQ(anew.messages, 0U);
  EXPECT_EQ(anew.uid_next, 1U);
  EXPECT_EQ(blobs(), 0U) << "what it held is cleared away";
  EXPECT_THAT(names(), ElementsAre("a", "a/child"));
  EXPECT_EQ(code(await(import->open(kAccount, id))), "NONEXISTENT");
}

TEST_F(ImportTest, AnIdIsGivenAgainOnceItsMessagesAreGone) {
  start();
  ImportedMailbox mailbox{.name = "a", .uid_validity = 5, .id = MailboxId{70}};
  const auto made = *await(import->create(kAccount, mailbox));
  ASSERT_TRUE(append(made.id, {message(1), message(2)}));
  ASSERT_TRUE(await(import->remove(kAccount, made.id)));
  EXPECT_TRUE(await(import->create(kAccount, mailbox)));
  ASSERT_TRUE(append(made.id, {message(1), message(2)}));
  mailbox.uid_validity = 6;  // the id stays, and what lies there must be gone first
  const auto anew = await(import->create(kAccount, mailbox));
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->id, MailboxId{70});
  EXPECT_EQ(anew->messages, 0U);
  EXPECT_EQ(blobs(), 0U);
  ASSERT_TRUE(append(anew->id, {message(1)}));
}

// Its own number is the one that a parent would get.
TEST_F(ImportTest, ParentsMadeOnTheWayDoNotTakeTheDictatedId) {
  start();
  const auto made = await(import->create(kAccount, {.name = "a/b/c", .uid_validity = 5, .id = MailboxId{2}}));
  ASSERT_TRUE(made);
  EXPECT_EQ(made->id, MailboxId{2});
  EXPECT_THAT(names(), ElementsAre("a -", "a/b -", "a/b/c"));
  ASSERT_TRUE(append(made->id, {message(1)}));
  EXPECT_EQ(view(made->id).info.name, "a/b/c");
}

TEST_F(ImportTest, AMailboxThatIsMadeAnewUnderItsIdStaysTheParentOfItsChildren) {
  start();
  ImportedMailbox mailbox{.name = "a/b", .uid_validity = 1, .id = MailboxId{9}};
  ASSERT_TRUE(await(import->create(kAccount, mailbox)));
  ASSERT_TRUE(append(MailboxId{9}, {message(1)}));
  create("a/b/c");
  mailbox.uid_validity = 2;
  memory->arm(MemoryFault::lost_reply, 1);  // the first of its two steps is the last that is done
  EXPECT_FALSE(await(import->create(kAccount, mailbox)));
  EXPECT_THAT(check_model(*memory)->problems, IsEmpty());
  memory->reopen();
  const auto anew = await(import->create(kAccount, mailbox));
  ASSERT_TRUE(anew);
  EXPECT_EQ(anew->id, MailboxId{9});
  EXPECT_EQ(anew->messages, 0U);
}

TEST_F(ImportTest, SpecialUsesAreDictated) {
  start();
  const auto a = create("a", 1, kUseSent);
  create("b", 1, kUseSent);  // `a` never held a message
  EXPECT_EQ(view(a.id).info.special_use, kUseNone);
  create("b", 1, kUseArchive);
  create("a", 1, kUseSent);
  EXPECT_EQ(view(a.id).info.special_use, kUseSent);
  ASSERT_TRUE(append(a.id, {message(1)}));
  EXPECT_EQ(code(await(import->create(kAccount, {.name = "b", .uid_validity = 1, .special_use = kUseSent}))), "USEATTR");
  create("a", 1);
  create("b", 1, kUseSent);
  EXPECT_EQ(view(a.id).info.messages, 1U);
}

TEST_F(ImportTest, RenamingMovesOneMailboxAlone) {
  start();
  const auto a = fill("a", 3);
  const auto child = create("a/b").id;
  ASSERT_TRUE(await(import->rename(kAccount, a, "x/y")));
  ASSERT_TRUE(await(import->rename(kAccount, a, "x/y")));
  EXPECT_THAT(names(), ElementsAre("a -", "a/b", "x -", "x/y"));
  EXPECT_EQ(view(a).info.messages, 3U);
  EXPECT_EQ(code(await(import->rename(kAccount, a, "a/b"))), "ALREADYEXISTS");
  ASSERT_TRUE(await(import->rename(kAccount, a, "a")));  // takes the place of the name without mailbox
  EXPECT_THAT(names(), ElementsAre("a", "a/b", "x -"));
  ASSERT_TRUE(await(import->rename(kAccount, child, "a/b/c")));  // below itself
  EXPECT_THAT(names(), ElementsAre("a", "a/b -", "a/b/c", "x -"));
  EXPECT_EQ(code(await(import->rename(kAccount, MailboxId{99}, "q"))), "NONEXISTENT");
  EXPECT_EQ(code(await(import->rename(kAccount, a, ""))), "CANNOT");
  ASSERT_TRUE(await(import->rename(kAccount, a, "inbox")));
  serve();
  EXPECT_EQ(await(store->status(kAccount, "INBOX"))->id, a);
}

TEST_F(ImportTest, RemovingLeavesTheNamesOfParents) {
  start();
  const auto a = fill("a", 3);
  const auto child = create("a/b").id;
  ASSERT_TRUE(await(import->remove(kAccount, a)));
  ASSERT_TRUE(await(import->remove(kAccount, a)));
  EXPECT_THAT(names(), ElementsAre("a -", "a/b"));
  EXPECT_EQ(blobs(), 0U);
  const auto rest = await(import->list(kAccount))->front().id;
  ASSERT_TRUE(await(import->remove(kAccount, rest)));
  EXPECT_THAT(names(), ElementsAre("a -", "a/b")) << "it is a name alone already";
  ASSERT_TRUE(await(import->remove(kAccount, child)));
  ASSERT_TRUE(await(import->remove(kAccount, rest)));
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(ImportTest, SubscriptionsAreExactlyThese) {
  ASSERT_TRUE(await(store->list(kAccount)));
  start();
  ASSERT_TRUE(await(import->set_subscriptions(kAccount, {"inbox", "elsewhere", "Sent", "Sent"})));
  std::vector<std::string> subscribed;
  for (const auto& info : *await(import->list(kAccount))) {
    if (info.subscribed) subscribed.push_back(info.name + (info.exists ? "" : "?"));
  }
  EXPECT_THAT(subscribed, ElementsAre("INBOX", "Sent", "elsewhere?"));
  EXPECT_EQ(code(await(import->set_subscriptions(kAccount, {"a", ""}))), "CANNOT");
  EXPECT_EQ(code(await(import->set_subscriptions(kAccount, std::vector<std::string>(10'001, "a")))), "LIMIT");
}

TEST_F(ImportTest, MessagesAreAsDictated) {
  start();
  const auto id = create("a").id;
  auto first = message(5, 700, kSeen | kFlagged, {"$Forwarded", "work"});
  first.uidl = "u5";
  first.save_date = 77;
  auto second = message(9, 300);
  second.internal_date = 0;
  ASSERT_TRUE(append(id, {first, second}));
  ASSERT_TRUE(append(id, {message(20, 1)}));
  const auto seen = view(id);
  EXPECT_EQ(seen.uids.to_string(), "5,9,20");
  EXPECT_EQ(seen.info.uid_next, 21U);
  EXPECT_EQ(seen.info.highest_mod_seq, 700U);
  EXPECT_EQ(seen.info.unseen, 2U);
  EXPECT_EQ(seen.info.recent_from, 21U) << "nothing is recent";
  EXPECT_EQ(seen.info.uidl_until, 5U);
  EXPECT_THAT(changed(id, 0), ElementsAre(Pair(5, 700), Pair(9, 300), Pair(20, 1)));
  EXPECT_THAT(changed(id, 299), ElementsAre(Pair(5, 700), Pair(9, 300)));
  EXPECT_THAT(changed(id, 300), ElementsAre(Pair(5, 700)));
  const auto batch = fetch(id, "1:100");
  ASSERT_EQ(batch.messages.size(), 3U);
  EXPECT_EQ(batch.messages[0].content, sample_message(5));
  EXPECT_EQ(batch.messages[0].internal_date, 1'005);
  EXPECT_EQ(batch.messages[0].internal_zone, -90);
  EXPECT_EQ(batch.messages[0].save_date, 77);
  EXPECT_EQ(batch.messages[0].uidl, "u5");
  EXPECT_EQ(batch.messages[1].internal_date, 0);
  EXPECT_EQ(batch.messages[1].save_date, clock.seconds());

  // What comes later is above everything, also of other mailboxes.
  ASSERT_TRUE(append(id, {message(21)}));
  EXPECT_EQ(changed(id, 700).at(21), 701U);
  serve();
  const auto delivered = await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, true, ""));
  ASSERT_TRUE(delivered);
  EXPECT_EQ(await(store->status(kAccount, "INBOX"))->highest_mod_seq, 702U);
}

TEST_F(ImportTest, ABatchCanBeRepeated) {
  start();
  const auto id = create("a").id;
  const auto batch = [&](Uid first, Uid last) {
    std::vector<ImportedMessage> out;
    for (auto uid = first; uid <= last; uid += 2) out.push_back(message(uid, uid));
    return out;
  };
  ASSERT_TRUE(append(id, batch(1, 301)));
  const auto before = blobs();
  ASSERT_TRUE(impose(id, {{.uid = 3, .system_flags = kSeen, .mod_seq = 900}}));
  ASSERT_TRUE(append(id, batch(1, 301)));
  EXPECT_EQ(blobs(), before) << "the octets of what is there already are not kept twice";
  ASSERT_TRUE(append(id, batch(201, 401)));
  EXPECT_EQ(view(id).info.messages, 201U);
  EXPECT_EQ(changed(id, 800), (std::map<Uid, ModSeq>{{3, 900}})) << "flags that were imposed meanwhile stay";

  auto other = message(5);
  other.message = prepared(6);
  auto longer = message(7);
  longer.message = prepared(8);
  struct Row {
    std::string_view what;
    std::vector<ImportedMessage> messages;
  };
  const Row rows[] = {
      {"another message", {other}},
      {"another size", {longer}},
      {"never there", {message(4)}},
      {"new and old", {message(4), message(500)}},
      {"not ascending", {message(600), message(600)}},
      {"descending", {message(601), message(600)}},
      {"zero", {message(0)}},
      {"too large", {message(UINT32_MAX)}},
      {"mod-sequence", {message(600, (ModSeq{1} << 62) + 1)}},
      {"keyword", {message(600, 1, 0, {"a b"})}},
  };
  for (const auto& row : rows) EXPECT_EQ(code(append(id, row.messages)), "CANNOT") << row.what;
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("401"), 0)));
  EXPECT_EQ(code(append(id, {message(401)})), "CANNOT") << "a UID never comes back";
  EXPECT_EQ(view(id).info.uid_next, 402U);
  EXPECT_EQ(blobs(), 200U);
  EXPECT_EQ(code(append(MailboxId{99}, {message(1)})), "NONEXISTENT");
}

TEST_F(ImportTest, QuotaDoesNotHoldTheMoverUp) {
  ASSERT_TRUE(await(store->set_quota(kAccount, 10, 1)));
  start();
  fill("a", 5);
  serve();
  EXPECT_EQ(code(await(store->append(kAccount, "INBOX", {append_message(prepared(1))}, true, ""))), "OVERQUOTA");
}

TEST_F(ImportTest, StatesAreImposedAsValues) {
  start();
  const auto id = fill("a", 300);  // mod-sequences 101 to 400
  const std::vector<ImposedState> states{
      {.uid = 250, .system_flags = kSeen, .keywords = {"work"}, .mod_seq = 50},
      {.uid = 7, .system_flags = kFlagged, .mod_seq = 0},
      {.uid = 8, .system_flags = 0, .mod_seq = 0},
      {.uid = 9, .system_flags = 0, .mod_seq = 1'000, .uidl = "u9"},
      {.uid = 9'999, .system_flags = kSeen},
      {.uid = 1, .system_flags = kDeleted},
      {.uid = 1, .system_flags = kSeen, .uidl = "u1"},
  };
  ASSERT_TRUE(impose(id, states));
  const auto check = [&] {
    const auto now = changed(id, 0);
    EXPECT_EQ(now.at(250), 50U);
    EXPECT_EQ(now.at(8), 108U) << "nothing of it changed";
    EXPECT_EQ(now.at(9), 1'000U);
    EXPECT_EQ(now.at(7), 401U);
    EXPECT_EQ(now.at(1), 401U);
    const auto info = view(id).info;
    EXPECT_EQ(info.highest_mod_seq, 1'000U);
    EXPECT_EQ(info.unseen, 298U);
    EXPECT_EQ(info.deleted, 0U) << "of two states the last counts";
    EXPECT_EQ(info.uidl_until, 9U);
    const auto batch = fetch(id, "1,7,9,250");
    EXPECT_EQ(batch.messages[0].flags, kSeen);
    EXPECT_EQ(batch.messages[0].uidl, "u1");
    EXPECT_EQ(batch.messages[1].flags, kFlagged);
    EXPECT_EQ(batch.messages[2].uidl, "u9");
    EXPECT_EQ(batch.messages[3].flags, kSeen | FlagBits{1} << kFirstKeyword);
    EXPECT_THAT(changed(id, 400).size(), 3U);
  };
  check();
  ASSERT_TRUE(impose(id, states));
  check();
  ASSERT_TRUE(impose(id, {{.uid = 9, .mod_seq = 0, .uidl = ""}}));
  EXPECT_EQ(fetch(id, "9").messages[0].uidl, "");
  EXPECT_EQ(changed(id, 0).at(9), 1'000U);

  EXPECT_EQ(code(impose(id, {{.uid = 1, .keywords = {"a b"}}})), "CANNOT");
  EXPECT_EQ(code(impose(id, {{.uid = 1, .uidl = "a b"}})), "CANNOT");
  EXPECT_EQ(code(impose(id, {{.uid = 1, .mod_seq = UINT64_MAX}})), "CANNOT");
  EXPECT_EQ(code(impose(MailboxId{99}, {{.uid = 1}})), "NONEXISTENT");
}

// A mailbox full of keywords: new ones may take the places of those that the same call takes away.
TEST_F(ImportTest, KeywordsMayTakeThePlacesOfOthers) {
  start();
  const auto id = fill("a", 3);
  std::vector<std::string> old_names;
  for (std::size_t i = 0; i < kMaxKeywords; ++i) old_names.push_back("old" + std::to_string(i));
  auto new_names = old_names;
  for (std::size_t i = 0; i < kMaxKeywords; i += 2) new_names[i] = "new" + std::to_string(i);
  ASSERT_TRUE(impose(id, {{.uid = 1, .keywords = old_names, .mod_seq = 500}, {.uid = 2, .keywords = {"old1"}, .mod_seq = 500}}));
  EXPECT_EQ(code(impose(id, {{.uid = 3, .keywords = {"one-more"}}})), "LIMIT");
  ASSERT_TRUE(impose(id, {{.uid = 1, .keywords = new_names}, {.uid = 2, .keywords = {"old1"}}}));
  const auto info = view(id).info;
  const auto batch = fetch(id, "1:2");
  const auto names_of = [&](FlagBits flags) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < info.keywords.size(); ++i) {
      if ((flags & FlagBits{1} << (kFirstKeyword + i)) != 0) out.push_back(info.keywords[i]);
    }
    return out;
  };
  EXPECT_THAT(names_of(batch.messages[0].flags), ::testing::UnorderedElementsAreArray(new_names));
  EXPECT_THAT(names_of(batch.messages[1].flags), ElementsAre("old1"));
  EXPECT_THAT(changed(id, 499), ElementsAre(Pair(1, 501), Pair(2, 500))) << "what is the same as before keeps its mod-sequence";
}

TEST_F(ImportTest, ExpungesTakeTheDictatedModSeq) {
  start();
  const auto id = fill("a", 300);
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("3:5,9999"), 250)));
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("4,7"), 250)));  // 4 is gone already
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("3:5,7"), 900)));
  EXPECT_EQ(view(id).info.highest_mod_seq, 400U) << "nothing was left to be expunged";
  EXPECT_EQ(vanished(id, 249), "3:5,7");
  EXPECT_EQ(vanished(id, 250), "");
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("10"), 0)));
  EXPECT_EQ(view(id).info.highest_mod_seq, 401U);
  EXPECT_EQ(vanished(id, 400), "10");
  EXPECT_EQ(vanished(id, 0), "3:5,7,10");
  EXPECT_EQ(blobs(), 295U);
  EXPECT_EQ(code(await(import->expunge(kAccount, id, {}, UINT64_MAX))), "CANNOT");
}

TEST_F(ImportTest, CountersAreNeverLowered) {
  start();
  const auto id = fill("a", 10);  // mod-sequences 101 to 110
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("2"), 105)));
  ASSERT_TRUE(await(import->set_counters(kAccount, id, {.uid_next = 50, .highest_mod_seq = 1'000, .tombstone_floor = 120})));
  ASSERT_TRUE(await(import->set_counters(kAccount, id, {.uid_next = 5, .highest_mod_seq = 3, .tombstone_floor = 7})));
  const auto info = view(id).info;
  EXPECT_EQ(info.uid_next, 50U);
  EXPECT_EQ(info.highest_mod_seq, 1'000U);
  EXPECT_EQ(info.recent_from, 50U);
  // Who comes from before the floor is told of every UID that is not there; who comes from it or later, of what is known.
  EXPECT_EQ(vanished(id, 119), "2,11:49 unknown");
  EXPECT_EQ(vanished(id, 120), "");
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("3"), 110)));  // before the floor: nobody can ask for it
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("4"), 121)));
  EXPECT_EQ(vanished(id, 120), "4");
  EXPECT_EQ(vanished(id, 105), "2:4,11:49 unknown");
  ASSERT_TRUE(append(id, {message(60)}));
  EXPECT_EQ(changed(id, 1'000).at(60), 1'001U);
  EXPECT_EQ(code(await(import->set_counters(kAccount, id, {.tombstone_floor = UINT64_MAX}))), "CANNOT");
}

TEST_F(ImportTest, DigestsAreOfWhatLiesThere) {
  start();
  const auto id = fill("a", 30);
  auto large = message(40);
  const std::string octets = "Subject: large\r\n\r\n" + std::string(3'000'000, 'x');
  large.message = *await(store->prepare(octets));
  auto empty = message(41);
  empty.message = *await(store->prepare(""));
  ASSERT_TRUE(append(id, {large, empty}));
  ASSERT_TRUE(await(import->expunge(kAccount, id, *NumberSet::parse("2"), 0)));
  for (const bool cold : {false, true}) {
    memory->forget_cache(cold);
    const auto digests = await(import->digests(kAccount, id, *NumberSet::parse("1:3,30:4294967295")));
    ASSERT_TRUE(digests);
    std::vector<std::pair<Uid, std::string>> got;
    for (const auto& d : *digests) got.emplace_back(d.uid, std::string(d.sha256.begin(), d.sha256.end()));
    EXPECT_THAT(got,
                ElementsAre(Pair(1, model::sha256(sample_message(1))), Pair(3, model::sha256(sample_message(3))),
                            Pair(30, model::sha256(sample_message(30))), Pair(40, model::sha256(octets)), Pair(41, model::sha256(""))));
    EXPECT_EQ((*digests)[3].size, octets.size());
  }
  EXPECT_EQ(code(await(import->digests(kAccount, MailboxId{99}, NumberSet(NumberRange{1, 5})))), "NONEXISTENT");
  memory->corrupt_blob(BlobId{1});
  EXPECT_EQ(await(import->digests(kAccount, id, NumberSet(NumberRange{1, 40}))).error().fault, Fault::corrupt);
  memory->corrupt_blob(BlobId{0});
}

TEST_F(ImportTest, AttributesAreKeptAndGoWithTheirMailbox) {
  const auto attributes = [&](std::optional<MailboxId> mailbox) {
    std::map<std::string, std::string> out;
    for (auto& attribute : *await(import->attributes(kAccount, mailbox))) out[attribute.name] = attribute.value;
    return out;
  };
  EXPECT_THAT(attributes({}), IsEmpty());
  start();
  const auto a = create("a").id;
  const auto b = create("b").id;
  const std::string large(1'024 * 1'024, 'v');
  const std::string long_name(255, 'n');
  ASSERT_TRUE(await(import->set_attributes(kAccount, {}, {{"sieve/one", "keep;"}, {"pop3-order", "3 1 2"}, {long_name, large}})));
  ASSERT_TRUE(await(import->set_attributes(kAccount, a, {{"acl/anyone", "lr"}, {"x", "1"}})));
  ASSERT_TRUE(await(import->set_attributes(kAccount, b, {{"x", "2"}})));
  ASSERT_TRUE(await(import->set_attributes(kAccount, a, {{"x", ""}, {"y", "3"}, {"never", ""}})));
  EXPECT_THAT(attributes({}), ElementsAre(Pair(long_name, large), Pair("pop3-order", "3 1 2"), Pair("sieve/one", "keep;")));
  EXPECT_THAT(attributes(a), ElementsAre(Pair("acl/anyone", "lr"), Pair("y", "3")));
  EXPECT_THAT(attributes(b), ElementsAre(Pair("x", "2")));

  const auto set = [&](std::optional<MailboxId> mailbox, std::string name, std::string value) {
    return code(await(import->set_attributes(kAccount, mailbox, {{"z", "all or nothing"}, {std::move(name), std::move(value)}})));
  };
  EXPECT_EQ(set({}, "", "v"), "CANNOT");
  EXPECT_EQ(set({}, long_name + "n", "v"), "CANNOT");
  EXPECT_EQ(set({}, "n", large + "v"), "LIMIT");
  EXPECT_EQ(set(MailboxId{0}, "n", "v"), "NONEXISTENT");
  EXPECT_EQ(set(MailboxId{99}, "n", "v"), "NONEXISTENT");
  EXPECT_EQ(code(await(import->attributes(kAccount, MailboxId{99}))), "NONEXISTENT");
  std::vector<Attribute> many;
  for (int i = 0; i < 1'000; ++i) many.push_back({"many" + std::to_string(i), "v"});
  EXPECT_EQ(code(await(import->set_attributes(kAccount, {}, many))), "LIMIT");
  EXPECT_EQ(attributes({}).size(), 3U);

  // A mailbox that never held a message leaves nothing behind either.
  ASSERT_TRUE(await(import->remove(kAccount, a)));
  ASSERT_TRUE(await(import->create(kAccount, {.name = "a", .uid_validity = 3, .id = a})));
  EXPECT_THAT(attributes(a), IsEmpty());
  serve();
  EXPECT_EQ(code(await(import->set_attributes(kAccount, {}, {{"n", "v"}}))), "STATE");
  EXPECT_EQ(attributes(b).size(), 1U) << "read in any state";
  ASSERT_TRUE(await(store->rename(kAccount, "b", "c")));
  EXPECT_EQ(attributes(b).size(), 1U);
  ASSERT_TRUE(await(store->remove(kAccount, "c")));
  ASSERT_TRUE(await(store->remove_account(kAccount)));
  EXPECT_THAT(*memory->accounts(), IsEmpty());
}

TEST_F(ImportTest, MessagesMoveFromShardToShardAsTheyAre) {
  const std::string large_header = "To: x\r\nReferences: " + std::string(3'000, 'r') + "\r\n\r\nbody\r\n";
  const std::string contents[] = {sample_message(1), large_header, "", std::string(2'000'000, 'z')};
  for (const auto& content : contents) {
    auto message = append_message(*await(store->prepare(content)));
    message.trace_header = "Received: by x; 5 Jan 2026 10:00:00 +0100\r\n";
    ASSERT_TRUE(await(store->append(kAccount, "INBOX", {message}, false, "")));
  }
  ASSERT_TRUE(await(import->set_state(kAccount, kOpen, kSealed)));
  const auto from = await(store->status(kAccount, "INBOX"))->id;

  MemoryEngine* other_memory = nullptr;
  std::vector<std::unique_ptr<Engine>> engines;
  auto engine = make_memory_engine();
  other_memory = engine.get();
  engines.push_back(std::move(engine));
  ShardedStore other(std::move(engines), nullptr, clock);
  auto& target = other.importer();
  ASSERT_TRUE(await(target.set_state(kAccount, kOpen, kImporting)));
  const auto to = await(target.create(kAccount, {.name = "INBOX", .uid_validity = 5, .id = MailboxId{33}}))->id;
  memory->forget_cache(true);
  std::vector<ImportedMessage> messages;
  for (Uid uid = 1; uid <= 4; ++uid) {
    auto taken = await(import->take(kAccount, from, uid));
    ASSERT_TRUE(taken) << taken.error().detail;
    messages.push_back({.message = std::move(*taken), .uid = uid, .mod_seq = 40 + uid});
  }
  ASSERT_TRUE(await(target.append(kAccount, to, messages)));
  ASSERT_TRUE(await(target.append(kAccount, to, messages))) << "a batch of taken messages can be repeated too";

  const NumberSet all(NumberRange{1, 10});
  FetchRequest request;
  request.uids = &all;
  request.fields = 0xFF;
  request.max_octets = 100'000'000;
  request.content_limit = 100'000'000;
  FetchBatch before;
  FetchBatch after;
  ASSERT_TRUE(await(import->fetch(kAccount, from, request, before)));
  ASSERT_TRUE(await(target.fetch(kAccount, to, request, after)));
  ASSERT_EQ(after.messages.size(), 4U);
  for (std::size_t i = 0; i < 4; ++i) {
    const auto& a = before.messages[i];
    const auto& b = after.messages[i];
    EXPECT_TRUE(a.content == b.content) << i;
    EXPECT_EQ(a.size, b.size);
    EXPECT_EQ(a.email_id, b.email_id);
    EXPECT_EQ(a.envelope, b.envelope);
    EXPECT_EQ(a.body_structure, b.body_structure);
    EXPECT_EQ(a.parts, b.parts);
    EXPECT_EQ(a.header_fields, b.header_fields);
    EXPECT_EQ(a.header_fields_complete, b.header_fields_complete);
    EXPECT_EQ(a.sent_date, b.sent_date);
    EXPECT_EQ(a.sent_zone, b.sent_zone);
  }
  EXPECT_THAT(check_model(*other_memory)->problems, IsEmpty());
  EXPECT_EQ(check_model(*other_memory)->importing, 1U);
  EXPECT_EQ(check_model(*memory)->sealed, 1U);
  EXPECT_EQ(code(await(import->take(kAccount, from, 5))), "EXPUNGEISSUED");
  memory->corrupt_blob(BlobId{1});
  EXPECT_EQ(await(import->take(kAccount, from, 1)).error().fault, Fault::corrupt);
}

}  // namespace
}  // namespace relais::storage
