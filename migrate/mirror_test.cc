// What a pass over an account does, rule by rule; mirror_random_test.cc has what it comes to under change and faults.
#include "migrate/mirror.h"

#include "migrate/testing.h"
#include "migrate/verify.h"
#include "storage/model/testing.h"

#include <gtest/gtest.h>

#include <utility>

namespace relais::migrate {
namespace {

using storage::testing::await;
using testing::HeldMessage;
using testing::MemoryServer;
using testing::MemorySource;
using testing::MemoryTarget;
using Kind = MemoryServer::Kind;

HeldMessage message(std::string octets, storage::FlagBits flags = 0, std::set<std::string> keywords = {}) {
  HeldMessage out;
  out.octets = std::move(octets);
  out.flags = flags;
  out.keywords = std::move(keywords);
  out.date = 1'700'000'000;
  out.zone = 60;
  return out;
}

/// A server, a target, and the passes between them.
struct Account {
  explicit Account(Kind kind = Kind::qresync, std::size_t max_keywords = 56) : server(kind), target({}, max_keywords) {
    events.finding = [this](Finding finding) { findings.push_back(std::move(finding)); };
    events.postponed = [this](const SourceMailbox& mailbox, const Error&) { told += "postponed " + mailbox.name + "\n"; };
    events.gone = [this](std::string wire) -> net::Task<void> {
      told += "gone " + wire + "\n";
      co_return Result<void>{};
    };
    events.in_step = [this](const SourceMailbox& mailbox, const TargetMailbox&, Cursor cursor) -> net::Task<void> {
      told += (cursor == Cursor{} ? "void " : "in step ") + mailbox.name + "\n";
      co_return Result<void>{};
    };
  }

  Result<PassFigures> pass(std::size_t sources = 1) {
    findings.clear();
    told.clear();
    std::vector<std::unique_ptr<MemorySource>> opened;
    std::vector<Source*> given;
    for (std::size_t i = 0; i < sources; ++i) {
      opened.push_back(std::make_unique<MemorySource>(server, hook));
      opened.back()->left = left;
      given.push_back(opened.back().get());
    }
    auto done = await(mirror_pass(given, target, cursors, rules, events));
    asked = opened.front()->asked;
    return done;
  }
  std::string difference() const { return testing::difference(server, target.mailboxes); }
  std::string codes() const {
    std::string out;
    for (const auto& one : findings) out += one.code + " " + one.mailbox + (one.uid == 0 ? "" : " " + std::to_string(one.uid)) + "\n";
    return out;
  }
  std::string verified(VerifyRules how = {.depth = VerifyDepth::digests}) {
    MemorySource source(server, verify_hook);
    const auto differences = await(verify(source, target, std::move(how)));
    if (!differences) return differences.error().text;
    std::string out;
    for (const auto& one : *differences) out += one.code + " " + one.mailbox + (one.uid == 0 ? "" : " " + std::to_string(one.uid)) + "\n";
    return out;
  }

  MemoryServer server;
  MemoryTarget target;
  testing::Hook hook{};
  testing::Hook verify_hook{};
  Cursors cursors{};
  MirrorRules rules{};
  MirrorEvents events{};
  std::vector<Finding> findings{};
  std::vector<SourceListing::Left> left{};
  std::string told{};
  std::uint64_t asked = 0;
};

class Mirror : public ::testing::TestWithParam<Kind> {};

TEST_P(Mirror, CopiesAndFollows) {
  Account account(GetParam());
  auto& server = account.server;
  server.create("Sent").special_use = storage::kUseSent;
  server.create("Work/2024");
  server.mailboxes["Work"].selectable = false;
  server.subscriptions = {"INBOX", "Work/2024", "gone"};
  for (int i = 0; i < 7; ++i) server.append("INBOX", message("inbox " + std::to_string(i), storage::kSeen, {"$Forwarded"}));
  server.append("Work/2024", message("work"));
  server.mailboxes.at("Sent").uid_next = 50;

  const auto first = account.pass();
  ASSERT_TRUE(first);
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(account.verified(), "");
  EXPECT_EQ(account.codes(), "");
  EXPECT_EQ(account.told, "in step INBOX\nin step Sent\nin step Work/2024\n");
  EXPECT_EQ(first->appended, 8U);
  EXPECT_EQ(first->octets, 7U * 7 + 4);
  EXPECT_EQ(account.target.subscriptions, (std::vector<std::string>{"INBOX", "Work/2024", "gone"}));

  const auto writes = account.target.writes;
  const auto nothing = account.pass();
  ASSERT_TRUE(nothing);
  EXPECT_EQ(nothing->changes(), 0U);
  EXPECT_EQ(nothing->mailboxes, GetParam() == Kind::plain ? 3U : 0U);
  EXPECT_EQ(account.told, "");
  EXPECT_EQ(account.target.writes, writes) << "nothing new, nothing written";

  server.expunge("INBOX", 2);
  server.mailboxes.at("INBOX").messages.at(3).flags = storage::kFlagged;
  server.touched(server.mailboxes.at("INBOX"), 3);
  server.append("Sent", message("sent"));
  server.remove("Work/2024");
  server.remove("Work");
  server.subscriptions = {"INBOX"};
  const auto second = account.pass();
  ASSERT_TRUE(second);
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(account.verified(), "");
  EXPECT_EQ(std::tuple(second->appended, second->flags, second->expunged), std::tuple(1U, 1U, 1U));
  EXPECT_EQ(account.told, "gone ~Work/2024\nin step INBOX\nin step Sent\n");
}

INSTANTIATE_TEST_SUITE_P(Kinds, Mirror, ::testing::Values(Kind::plain, Kind::condstore, Kind::qresync));

TEST(Mirror, ReadsInBatchesThatAreBounded) {
  Account account;
  for (int i = 0; i < 25; ++i) account.server.append("INBOX", message(std::string(100, 'x')));
  account.rules.batch_messages = 10;
  account.rules.batch_octets = 450;
  std::vector<std::uint64_t> before;
  std::uint64_t octets = 0;
  account.events.budget = [&](std::uint64_t messages, std::uint64_t came) -> net::Task<void> {
    if (messages != 0) before.push_back(messages);
    octets += came;
    co_return Result<void>{};
  };
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(before, (std::vector<std::uint64_t>{4, 4, 4, 4, 4, 4, 1})) << "sizes are known: no request is larger than a batch";
  EXPECT_EQ(octets, 2'500U);
  EXPECT_EQ(account.target.largest_append, 400U);

  // Sizes that are told wrong: what comes is what counts.
  for (int i = 0; i < 25; ++i) {
    auto wrong = message(std::string(100, 'y'));
    wrong.told_size = 0;
    account.server.append("INBOX", wrong);
  }
  before.clear();
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(before, (std::vector<std::uint64_t>{10, 10, 5}));
  EXPECT_EQ(account.target.largest_append, 500U);
  EXPECT_EQ(account.findings.size(), 25U);
  EXPECT_EQ(account.findings.front().code, "size-wrong");
  EXPECT_NE(account.verified(), "");
  EXPECT_EQ(account.verified({.depth = VerifyDepth::digests, .known = account.findings}), "");

  account.rules.frozen = true;
  before.clear();
  account.server.append("INBOX", message("last"));
  ASSERT_TRUE(account.pass());
  EXPECT_TRUE(before.empty()) << "a freeze waits for no budget";
}

TEST(Mirror, ReadsTheNextBatchWhileOneIsCommitted) {
  for (const unsigned slowness : {1U, 5U, 1'000U}) {
    Account account;
    for (int i = 0; i < 20; ++i) account.server.append("INBOX", message("x"));
    account.rules.batch_messages = 3;
    std::string steps;
    MemoryTarget target([&](std::string_view step) -> Result<void> {
      if (step == "append" || step == "append done") steps += step == "append" ? 'a' : 'd';
      return {};
    });
    target.slowness = slowness;
    MemorySource source(account.server, [&](std::string_view step) -> Result<void> {
      if (step == "message sent") steps += 'r';
      return {};
    });
    ASSERT_TRUE(await(mirror_pass({&source}, target, account.cursors, account.rules, account.events)));
    EXPECT_EQ(testing::difference(account.server, target.mailboxes), "");
    EXPECT_TRUE(steps.contains("ar")) << steps << ": the next ones are read meanwhile";
    if (slowness == 1'000) EXPECT_TRUE(steps.starts_with("rrarrrd")) << steps << ": up to two full batches, not beyond";
    std::size_t read = 0;
    std::size_t appended = 0;
    for (const char step : steps) {
      read += step == 'r' ? 1 : 0;
      appended += step == 'd' ? 3 : 0;
      EXPECT_LE(read, appended + 6) << steps;
    }
  }
}

TEST(Mirror, InboxComesFirstAndLargeMailboxesLast) {
  Account account;
  for (const auto* name : {"Big", "Small", "Tiny"}) account.server.create(name);
  for (int i = 0; i < 4; ++i) account.server.append("Big", message("b"));
  for (int i = 0; i < 5; ++i) account.server.append("INBOX", message("i"));
  account.rules.large_mailbox = 3;
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.told, "in step INBOX\nin step Small\nin step Tiny\nin step Big\n");
}

TEST(Mirror, SharesMailboxesOutAmongSources) {
  Account account;
  for (int box = 0; box < 12; ++box) {
    const auto name = "box" + std::to_string(box);
    account.server.create(name);
    for (int i = 0; i < 5; ++i) account.server.append(name, message(name + " " + std::to_string(i)));
  }
  const auto done = account.pass(4);
  ASSERT_TRUE(done);
  EXPECT_EQ(done->appended, 60U);
  EXPECT_LT(account.asked, 60U) << "the first source did not read all of it";
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(account.verified(), "");
}

TEST(Mirror, WhatCannotBeReadIsFoundAndComesLater) {
  for (const auto kind : {Kind::plain, Kind::condstore, Kind::qresync}) {
    Account account(kind);
    for (int i = 1; i <= 5; ++i) account.server.append("INBOX", message("m" + std::to_string(i)));
    account.server.mailboxes.at("INBOX").messages.at(2).unreadable = true;
    ASSERT_TRUE(account.pass());
    EXPECT_EQ(account.codes(), "unreadable INBOX 2\n");
    EXPECT_EQ(account.asked, 5U) << "not asked for twice in a pass";
    EXPECT_EQ(account.difference(), "");
    EXPECT_EQ(account.verified(), "count-differs INBOX\nmissing INBOX 2\n");
    EXPECT_EQ(account.verified({.depth = VerifyDepth::digests, .known = account.findings}), "");

    const auto again = account.pass();
    ASSERT_TRUE(again);
    EXPECT_EQ(account.codes(), "unreadable INBOX 2\n");
    EXPECT_EQ(account.asked, 1U) << "tried once more";
    EXPECT_EQ(again->changes(), 0U);

    account.server.mailboxes.at("INBOX").messages.at(2).unreadable = false;
    const auto third = account.pass();
    ASSERT_TRUE(third);
    EXPECT_EQ(account.codes(), "copied-anew INBOX 2\n");
    EXPECT_EQ(account.told, "void INBOX\nin step INBOX\n");
    EXPECT_EQ(third->appended, 5U);
    EXPECT_EQ(account.difference(), "");
    EXPECT_EQ(account.verified(), "");
  }
}

TEST(Mirror, AnotherUidValidityMakesTheMailboxAnew) {
  Account account;
  account.server.create("Box");
  for (int i = 1; i <= 3; ++i) account.server.append("Box", message("old " + std::to_string(i)));
  ASSERT_TRUE(account.pass());
  account.server.create("Box");
  account.server.append("Box", message("new"));
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.codes(), "uidvalidity-changed Box\n");
  EXPECT_EQ(account.told, "void Box\nin step Box\n");
  EXPECT_EQ(account.difference(), "");
}

TEST(Mirror, MakesAnewWhatVerificationNames) {
  Account account;
  account.server.create("Box");
  for (int i = 1; i <= 3; ++i) account.server.append("Box", message("right " + std::to_string(i)));
  ASSERT_TRUE(account.pass());
  account.target.mailboxes.at("Box").messages.at(2).octets = "wrong 2!";
  EXPECT_EQ(account.verified(), "size-differs Box 2\ndigest-differs Box 2\n");
  ASSERT_TRUE(account.pass());
  EXPECT_NE(account.difference(), "") << "nobody looks";
  account.rules.anew = {"Box"};
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(account.verified(), "");
}

TEST(Mirror, WhatIsWrittenWrongIsTakenAway) {
  Account account;
  for (int i = 1; i <= 3; ++i) account.server.append("INBOX", message("right " + std::to_string(i)));
  account.target.damaged = {"right 2"};
  const auto done = account.pass();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::corrupt);
  EXPECT_EQ(account.codes(), "digest-differs INBOX 2\n");
  EXPECT_EQ(account.told, "");
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
}

TEST(Mirror, RenamesWhereItIsSure) {
  for (const auto kind : {Kind::plain, Kind::qresync}) {
    Account account(kind);
    account.server.create("Old");
    for (int i = 1; i <= 3; ++i) account.server.append("Old", message("m" + std::to_string(i)));
    ASSERT_TRUE(account.pass());
    const auto id = account.target.mailboxes.at("Old").id;
    account.server.rename("Old", "New");
    account.server.append("New", message("later"));
    account.server.expunge("New", 1);
    const auto done = account.pass();
    ASSERT_TRUE(done);
    EXPECT_EQ(account.target.mailboxes.at("New").id, id);
    EXPECT_EQ(std::pair(done->appended, done->expunged), std::pair(std::uint64_t{1}, std::uint64_t{1}));
    EXPECT_EQ(account.told, "gone ~Old\nin step New\n");
    EXPECT_EQ(account.difference(), "");
  }
}

// Servers give the same UIDVALIDITY to mailboxes that are made in one second.
TEST(Mirror, DoesNotTakeAnotherMailboxForARenamedOne) {
  Account account;
  account.server.create("Old");
  for (int i = 1; i <= 3; ++i) account.server.append("Old", message("old " + std::to_string(i)));
  ASSERT_TRUE(account.pass());
  account.server.next_validity = account.server.mailboxes.at("Old").uid_validity;
  account.server.remove("Old");
  account.server.create("New");
  for (int i = 1; i <= 3; ++i) account.server.append("New", message("new " + std::to_string(i)));  // equal in size and date
  const auto done = account.pass();
  ASSERT_TRUE(done);
  EXPECT_EQ(done->appended, 3U);
  EXPECT_EQ(account.difference(), "");
  EXPECT_EQ(account.verified(), "");
}

/// What a small delta has written is what verification looks into, where nothing else can have changed.
TEST(Mirror, VerifyLooksIntoWhatWasWritten) {
  for (const auto kind : {Kind::plain, Kind::condstore, Kind::qresync}) {
    SCOPED_TRACE(static_cast<int>(kind));
    Account account(kind);
    const auto flag = [&account](Uid uid, storage::FlagBits flags) {
      auto& inbox = account.server.mailboxes.at("INBOX");
      inbox.messages.at(uid).flags = flags;
      account.server.touched(inbox, uid);
    };
    for (const auto* octets : {"one", "two", "three", "four"}) account.server.append("INBOX", message(octets));
    ASSERT_TRUE(account.pass());
    VerifyRules rules{.only = {"INBOX"}};
    account.events.written = [&rules](const std::string& mailbox, const NumberSet& uids) { rules.written[mailbox].add(uids); };
    account.server.append("INBOX", message("five"));
    flag(2, storage::kSeen);
    account.server.expunge("INBOX", 3);
    ASSERT_TRUE(account.pass());
    EXPECT_EQ(rules.written.at("INBOX").to_string(), "2:3,5");
    rules.cursors = account.cursors;
    std::string asked;
    account.verify_hook = [&asked](std::string_view step) -> Result<void> {
      asked += std::string(step) + "\n";
      return {};
    };
    EXPECT_EQ(account.verified(rules), "");
    EXPECT_EQ(asked, "list\neverything of some\n");

    auto& here = account.target.mailboxes.at("INBOX").messages;
    const auto as_it_should_be = here;
    here.at(2).flags = 0;
    EXPECT_EQ(account.verified(rules), "flags-differ INBOX 2\n");
    here = as_it_should_be;
    here.erase(5);
    here[3] = message("three");  // the counters agree
    EXPECT_EQ(account.verified(rules), "extra INBOX 3\nmissing INBOX 5\n");
    here = as_it_should_be;
    here.erase(1);
    EXPECT_EQ(account.verified(rules), "count-differs INBOX\nmissing INBOX 1\n") << "looked into in full";
    here = as_it_should_be;
    flag(4, storage::kSeen);  // since the delta
    EXPECT_EQ(account.verified(rules), kind == Kind::plain ? "" : "flags-differ INBOX 4\n");
    asked.clear();
    rules.written["INBOX"].clear();
    rules.cursors.begin()->second.highest_mod_seq = account.server.mailboxes.at("INBOX").highest_mod_seq;
    EXPECT_EQ(account.verified(rules), "");
    EXPECT_EQ(asked, "list\n") << "counters alone";
  }
}

TEST(Mirror, SpecialUsesPassOn) {
  Account account;
  account.server.create("A").special_use = storage::kUseSent;
  account.server.create("B");
  account.server.append("A", message("a"));
  ASSERT_TRUE(account.pass());
  account.server.mailboxes.at("A").special_use = storage::kUseNone;
  account.server.mailboxes.at("B").special_use = storage::kUseSent;
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
  account.server.mailboxes.at("A").special_use = storage::kUseSent;
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.codes(), "special-use-twice B\n");
  EXPECT_EQ(account.target.mailboxes.at("A").special_use, storage::kUseSent);
  EXPECT_EQ(account.verified(), "") << "it was told";
}

TEST(Mirror, TellsWhatIsNotCarried) {
  Account account(Kind::qresync, 2);
  account.left = {{"~bob/x", "is another user's", true}, {"a//b", "an empty level", false}};
  auto odd = message("odd", storage::kSeen, {"k1", "k2"});
  odd.odd_flags = {"\\Strange"};
  account.server.append("INBOX", odd);
  account.server.append("INBOX", message("more", 0, {"K1", "k3"}));
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.codes(), "shared-mailbox ~bob/x\nnot-carried a//b\nodd-flags INBOX\nkeywords-dropped INBOX\n");
  EXPECT_EQ(account.findings.at(0).weight, Weight::amber);
  EXPECT_EQ(account.findings.at(1).weight, Weight::red);
  EXPECT_EQ(account.target.mailboxes.at("INBOX").messages.at(2).keywords, (std::set<std::string>{"k1"}))
      << "keywords do not differ in case";
}

TEST(Mirror, AMailboxThatChangesHandsIsLeftToTheNextPass) {
  Account account;
  account.server.create("Box");
  account.server.append("Box", message("x"));
  account.hook = [&](std::string_view step) -> Result<void> {
    if (step == "message") account.server.remove("Box");
    return {};
  };
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.told, "in step INBOX\npostponed Box\n");
  account.hook = {};
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
}

TEST(Mirror, OneBadMailboxDoesNotEndThePass) {
  Account account;
  for (const auto* name : {"A", "B"}) account.server.create(name);
  account.server.append("B", message("b"));
  int changes = 0;
  account.hook = [&](std::string_view step) -> Result<void> {
    if (step == "changes" && ++changes == 2) return fail(Fault::corrupt, "the answers make no sense");
    return {};
  };
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.codes(), "mailbox-failed A\n");
  EXPECT_EQ(account.told, "in step INBOX\nin step B\n");
}

TEST(Mirror, AServerThatLostSightOfTheAccountEmptiesNothing) {
  Account account;
  account.server.append("INBOX", message("x"));
  ASSERT_TRUE(account.pass());
  auto kept = std::exchange(account.server.mailboxes, {});
  const auto done = account.pass();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().fault, Fault::temporary);
  account.server.mailboxes = std::move(kept);
  EXPECT_EQ(account.difference(), "");
}

TEST(Mirror, ASourceThatDoesNotKeepToTheOrder) {
  Account account;
  account.server.out_of_order = true;
  account.rules.batch_messages = 4;
  account.rules.batch_octets = 8;
  for (int i = 0; i < 12; ++i) {
    auto wrong = message("12345678");
    wrong.told_size = i % 2 == 0 ? 1 : 0;  // so that requests are larger than batches
    account.server.append("INBOX", wrong);
  }
  ASSERT_TRUE(account.pass());
  EXPECT_EQ(account.difference(), "");
}

}  // namespace
}  // namespace relais::migrate
