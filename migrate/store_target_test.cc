// An account mirrored into the storage, on the engine in memory and on the one of the platform.
#include "migrate/store_target.h"

#include "migrate/mirror.h"
#include "migrate/testing.h"
#include "migrate/verify.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/check.h"
#include "storage/model/open_store.h"
#include "storage/model/sharded_store.h"
#include "storage/model/testing.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <utility>

namespace relais::migrate {
namespace {

using storage::AccountId;
using storage::AccountRef;
using storage::AccountState;
using storage::testing::await;
using testing::HeldMessage;
using testing::MemoryServer;
using testing::MemorySource;

constexpr AccountRef kAccount{AccountId{7}, 0};

struct Directory {
  Directory() : path(std::filesystem::temp_directory_path() / ("relais-store-target-" + std::to_string(std::random_device{}()))) {
    std::filesystem::create_directories(path);
  }
  ~Directory() { std::filesystem::remove_all(path); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  std::filesystem::path path;
};

enum class Where : std::uint8_t { memory, disk };

class StoreTargetTest : public ::testing::TestWithParam<Where> {
 protected:
  StoreTargetTest() {
    if (GetParam() == Where::disk) {
      storage::StoreOptions options;
      options.path = directory.path;
      options.pool = &pool;
      store = *storage::open_store(std::move(options));
    } else {
      auto engine = storage::make_memory_engine();
      engine->run_bodies_twice(true);
      std::vector<std::unique_ptr<storage::Engine>> engines;
      engines.push_back(std::move(engine));
      store = std::make_unique<storage::ShardedStore>(std::move(engines), nullptr);
    }
    target = make_store_target(*store, store->importer(), kAccount);
    events.finding = [this](Finding finding) { findings.push_back(std::move(finding)); };
  }
  ~StoreTargetTest() override {
    store->close();
    const auto report = storage::check_model(store->engine(0));
    EXPECT_TRUE(report);
    if (report) EXPECT_EQ(report->problems, std::vector<std::string>{});
  }

  void begin() { ASSERT_TRUE(await(store->importer().set_state(kAccount, AccountState::open, AccountState::importing))); }
  Result<PassFigures> pass(MemoryServer& server, testing::Hook hook = {}) {
    findings.clear();
    MemorySource source(server, std::move(hook));
    return await(mirror_pass({&source}, *target, cursors, rules, events));
  }
  std::string verified(MemoryServer& server) {
    MemorySource source(server);
    const auto differences = await(verify(source, *target, {.depth = VerifyDepth::digests, .known = findings}));
    if (!differences) return differences.error().text;
    std::string out;
    for (const auto& one : *differences) {
      if (one.text != "the source cannot give the message now") out += one.code + " " + one.mailbox + " " + std::to_string(one.uid) + "\n";
    }
    return out;
  }
  /// What lies in the storage, as a server's.
  std::map<std::string, testing::HeldMailbox> held() {
    std::map<std::string, testing::HeldMailbox> out;
    const auto listing = await(target->list());
    for (const auto& mailbox : listing->mailboxes) {
      auto& one = out[mailbox.name];
      one.uid_validity = mailbox.uid_validity;
      one.uid_next = mailbox.uid_next;
      one.special_use = mailbox.special_use;
      one.selectable = mailbox.selectable;
      if (!mailbox.selectable) continue;
      const auto messages = await(target->everything(mailbox));
      const auto uids = await(target->uids(mailbox));
      storage::FetchBatch batch;
      EXPECT_TRUE(await(store->importer().fetch(
          kAccount, storage::MailboxId{static_cast<std::uint32_t>(mailbox.id)},
          {.uids = &*uids, .fields = storage::kFetchContent, .max_octets = UINT32_MAX, .content_limit = UINT32_MAX}, batch)));
      EXPECT_EQ(batch.messages.size(), messages->size());
      for (std::size_t i = 0; i < messages->size(); ++i) {
        const auto& message = messages->at(i);
        one.messages[message.uid] = {.octets = std::string(batch.messages.at(i).content),
                                     .flags = message.system_flags,
                                     .keywords = {message.keywords.begin(), message.keywords.end()},
                                     .date = message.internal_date.value_or(0),
                                     .zone = message.internal_zone,
                                     .mod_seq = message.mod_seq};
      }
    }
    return out;
  }

  Directory directory;
  net::WorkerPool pool{2, 64};
  std::unique_ptr<storage::ShardedStore> store;
  std::unique_ptr<Target> target;
  Cursors cursors;
  MirrorRules rules;
  MirrorEvents events;
  std::vector<Finding> findings;
};

TEST_P(StoreTargetTest, RefusesAnAccountThatIsServed) {
  MemoryServer server(MemoryServer::Kind::qresync);
  server.append("INBOX", {.octets = "Subject: x\r\n\r\n"});
  const auto done = pass(server);
  EXPECT_TRUE(!done || !findings.empty());
  EXPECT_NE(verified(server), "");
}

TEST_P(StoreTargetTest, IsWhatTheSourceIs) {
  begin();
  MemoryServer server(MemoryServer::Kind::qresync);
  server.create("Sent").special_use = storage::kUseSent;
  server.create("Work/2024/\xc3\xa9t\xc3\xa9");
  server.subscriptions = {"INBOX", "gone"};
  for (unsigned i = 1; i <= 60; ++i) {
    HeldMessage message;
    message.octets = storage::testing::sample_message(i);
    message.flags = i % 32;
    if (i % 3 == 0) message.keywords = {"$Forwarded", "k" + std::to_string(i % 5)};
    message.date = 1'700'000'000 + i;
    message.zone = -90;
    server.append("INBOX", std::move(message));
  }
  server.append("INBOX", {.octets = std::string(700'000, 'x') + "\r\n\n\0\r\xff"});
  server.append("INBOX", {.octets = "", .date = 0});
  server.mailboxes.at("INBOX").uid_next = 1'000;
  rules.batch_messages = 7;
  const auto first = pass(server);
  ASSERT_TRUE(first) << first.error().text << first.error().detail;
  EXPECT_EQ(findings.size(), 0U);
  EXPECT_EQ(testing::difference(server, held()), "");
  EXPECT_EQ(verified(server), "");

  for (Uid uid = 1; uid <= 60; uid += 7) server.expunge("INBOX", uid);
  for (Uid uid = 2; uid <= 60; uid += 7) {
    server.mailboxes.at("INBOX").messages.at(uid).keywords = {"later"};
    server.touched(server.mailboxes.at("INBOX"), uid);
  }
  server.rename("Sent", "Gesendet");
  server.append("INBOX", {.octets = "Subject: new\r\n\r\n", .date = 5});
  ASSERT_TRUE(pass(server));
  EXPECT_EQ(testing::difference(server, held()), "");
  EXPECT_EQ(verified(server), "");
  const auto some = await(target->everything(await(target->list())->mailboxes.front(), *NumberSet::parse("1:3,5,4000")));
  ASSERT_TRUE(some);
  ASSERT_EQ(some->size(), 3U) << "1 was expunged";
  EXPECT_EQ(some->at(0).uid, 2U);
  EXPECT_EQ(some->at(0).internal_date, 1'700'000'002);
  EXPECT_EQ(some->at(1).uid, 3U);
  EXPECT_EQ(some->at(2).uid, 5U);

  // Served from here on.
  ASSERT_TRUE(await(store->importer().set_state(kAccount, AccountState::importing, AccountState::open)));
  const auto view = await(store->open(kAccount, "INBOX", false));
  ASSERT_TRUE(view);
  EXPECT_EQ(view->info.highest_mod_seq, server.mailboxes.at("INBOX").highest_mod_seq);
  const auto changes = await(store->changes(kAccount, view->info.id, 1, true));
  ASSERT_TRUE(changes);
  EXPECT_TRUE(changes->vanished.contains(1)) << "a client that was away is told";
}

// The storage keeps a keyword's place until another one needs it.
TEST_P(StoreTargetTest, KeywordsThatNoMessageCarriesTakeNoRoom) {
  begin();
  MemoryServer server(MemoryServer::Kind::qresync);
  const auto named = [](std::string_view prefix) {
    std::set<std::string> keywords;
    for (std::size_t i = 0; i < storage::kMaxKeywords; ++i) keywords.insert(std::string(prefix) + std::to_string(i));
    return keywords;
  };
  server.append("INBOX", {.octets = "Subject: old\r\n\r\n", .keywords = named("old")});
  server.append("INBOX", {.octets = "Subject: other\r\n\r\n"});
  ASSERT_TRUE(pass(server));
  ASSERT_EQ(findings.size(), 0U);
  server.expunge("INBOX", 1);
  ASSERT_TRUE(pass(server));
  EXPECT_TRUE(await(target->list())->mailboxes.front().keywords.empty());
  server.append("INBOX", {.octets = "Subject: new\r\n\r\n", .keywords = named("new")});
  ASSERT_TRUE(pass(server));
  EXPECT_EQ(findings.size(), 0U);
  EXPECT_EQ(testing::difference(server, held()), "");
  EXPECT_EQ(verified(server), "");
}

// Random changes before and while a pass runs, a pass that is cut off now and then.
TEST_P(StoreTargetTest, FollowsAnAccountThatChanges) {
  begin();
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 dice(seed);
  const auto one_in = [&dice](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(dice) == 0; };
  MemoryServer server(static_cast<MemoryServer::Kind>(std::uniform_int_distribution<unsigned>(0, 2)(dice)));
  testing::Clients clients(server, dice);
  rules.batch_messages = 5;
  for (int round = 0; round < 12; ++round) {
    for (int i = 0; i < 15; ++i) clients.act();
    const auto during = pass(server, [&](std::string_view) -> Result<void> {
      while (one_in(20)) clients.act();
      if (one_in(60)) return fail(Fault::temporary, "injected");
      return {};
    });
    if (!during) ASSERT_EQ(during.error().text, "injected") << during.error().detail;
    const auto done = pass(server);
    ASSERT_TRUE(done) << done.error().text << " " << done.error().detail;
    for (const auto& finding : findings)
      EXPECT_TRUE(finding.code == "unreadable" || finding.code == "special-use-twice" || finding.code == "copied-anew" ||
                  finding.code == "uidvalidity-changed")
          << finding.code << " " << finding.text;
    ASSERT_EQ(verified(server), "");
    const auto nothing = pass(server);
    ASSERT_TRUE(nothing);
    ASSERT_EQ(nothing->changes(), 0U);
  }
}

INSTANTIATE_TEST_SUITE_P(Engines, StoreTargetTest, ::testing::Values(Where::memory, Where::disk));

}  // namespace
}  // namespace relais::migrate
