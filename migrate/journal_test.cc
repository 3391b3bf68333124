// The journal: golden octets (docs/format.md shows the same ones), one transaction per step, and what is refused.
#include "migrate/journal.h"

#include "base/clock.h"
#include "base/encode.h"
#include "migrate/use_log.h"
#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/engine/memory_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace relais::migrate {
namespace {

using storage::MemoryEngine;
using storage::MemoryFault;
using storage::testing::wait;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr AccountNumber kAnn = 7;
constexpr std::int64_t kDay = 1'767'225'600;  // 2026-01-01

StageRecord stage_record() {
  StageRecord r;
  r.stage = Stage::cutover;
  r.since = kDay;
  r.epoch = 3;
  r.platform = "old";
  r.shard = 2;
  r.wave = "w1";
  r.consents = kNoWayBack | kWithoutUidls;
  r.verified_in_full = true;
  r.attempts = 1;
  r.failures = 2;
  r.not_before = kDay + 5;
  r.error = "no";
  r.last = {.mailboxes = 4, .appended = 5, .octets = 300, .flags = 6, .expunged = 7, .took = std::chrono::milliseconds(128)};
  r.freezes_ms = {90, 200, 0, 0};
  r.messages = 1'000;
  r.copied_messages = 1'005;
  r.copied_octets = 70'000;
  return r;
}

MailboxStep mailbox_step() {
  return {.wire = "INBOX.Sent",
          .name = "Sent",
          .cursor = {.uid_validity = 1'767'225'604, .uid_next = 10, .highest_mod_seq = 299, .messages = 2}};
}

Finding finding() {
  return {.code = "flags-differ",
          .weight = Weight::red,
          .mailbox = "Sent",
          .uid = 9,
          .text = "flags differ",
          .source_value = "\\Seen",
          .target_value = ""};
}

UseRecord use_record() { return {.last_imap = 20'454, .last_pop = 0}; }

WaveRecord wave_record() {
  return {.platform = "old",
          .name = "w1",
          .state = WaveRecord::State::paused,
          .why = "ann",
          .accounts = 3,
          .window = "01:00-06:00",
          .at_once = 2,
          .created = kDay,
          .started = kDay + 1,
          .ended = 0};
}

JournalEvent event() { return {.time = kDay, .kind = "released", .subject = "a@b", .text = "limit"}; }

// ---- octets

struct Golden {
  std::string name;
  std::string octets;
  std::string hex;
  std::function<bool(std::string_view)> decodes;  ///< to the same
};

template <class T>
std::function<bool(std::string_view)> to_same(T record, Result<T> (*decode)(std::string_view)) {
  return [record = std::move(record), decode](std::string_view octets) {
    const auto found = decode(octets);
    return found && encode(*found) == encode(record);
  };
}

std::vector<Golden> goldens() {
  return {
      {"stage", encode(stage_record()),
       "01030501000000006955b900000000006955b9050300020102036f6c64027731026e6f0405ac02060780015ac8010000e807"
       "ed07f0a204",
       to_same(stage_record(), decode_stage)},
      {"mailbox", encode(mailbox_step()), "016955b9040000000a00000002000000000000012b0a494e424f582e53656e740453656e74",
       to_same(mailbox_step(), decode_mailbox_step)},
      {"finding", encode(finding()), "0102000000090c666c6167732d6469666665720453656e740c666c61677320646966666572055c5365656e00",
       to_same(finding(), decode_finding)},
      {"use", encode(use_record()), "0100004fe600000000", to_same(use_record(), decode_use)},
      {"wave", encode(wave_record()),
       "01020000000300000002000000006955b900000000006955b9010000000000000000036f6c6402773103616e6e0b30313a30"
       "302d30363a3030",
       to_same(wave_record(), decode_wave)},
      {"event", encode(event()), "01000000006955b9000872656c656173656403614062056c696d6974", to_same(event(), decode_event)},
  };
}

TEST(JournalRecords, Golden) {
  for (const auto& row : goldens()) {
    SCOPED_TRACE(row.name);
    EXPECT_EQ(to_hex(row.octets), row.hex);
    EXPECT_TRUE(row.decodes(*from_hex(row.hex)));
  }
  EXPECT_EQ(decode_stage(encode(stage_record())).value(), stage_record());
  EXPECT_EQ(decode_mailbox_step(encode(mailbox_step())).value(), mailbox_step());
  EXPECT_EQ(decode_use(encode(use_record())).value(), use_record());
  EXPECT_EQ(decode_wave(encode(wave_record())).value(), wave_record());
  EXPECT_EQ(decode_event(encode(event())).value(), event());
  const auto again = decode_finding(encode(finding())).value();
  EXPECT_EQ(again, finding());
  EXPECT_EQ(again.weight, Weight::red);
  EXPECT_EQ(again.source_value, "\\Seen");
}

TEST(JournalRecords, Keys) {
  EXPECT_EQ(to_hex(mailbox_step_key("INBOX")), "6d494e424f58");
  EXPECT_EQ(to_hex(finding_key("x", "Sent", 9)), "66780053656e740000000009");
  EXPECT_EQ(to_hex(finding_key("x", "", 0)), "6678000000000000");
  EXPECT_EQ(to_hex(use_key(7)), "6c0000000000000007");
  EXPECT_EQ(to_hex(wave_key("w1")), "777731");
  EXPECT_EQ(to_hex(wave_account_key("w1", "a@b")), "78773100614062");
  EXPECT_EQ(to_hex(event_key(258)), "650000000000000102");
  const std::string longest(900, 'a');
  EXPECT_EQ(mailbox_step_key(longest).size(), 1U + 200 + 1 + 32);
  EXPECT_NE(mailbox_step_key(longest), mailbox_step_key(longest + "b"));
}

TEST(JournalRecords, TruncatedLongerAndNewerRecordsAreCorrupt) {
  for (const auto& row : goldens()) {
    SCOPED_TRACE(row.name);
    for (std::size_t size = 0; size < row.octets.size(); ++size) EXPECT_FALSE(row.decodes(row.octets.substr(0, size))) << size;
    EXPECT_FALSE(row.decodes(row.octets + '\0'));
    auto newer = row.octets;
    newer[0] = 2;
    EXPECT_FALSE(row.decodes(newer));
  }
  auto unknown = encode(stage_record());
  unknown[1] = 6;  // a stage of a later release
  EXPECT_EQ(decode_stage(unknown).error().fault, Fault::corrupt);
}

TEST(JournalRecords, StagesFollowEachOther) {
  EXPECT_TRUE(may_follow(Stage::planned, Stage::copying));
  EXPECT_TRUE(may_follow(Stage::cutover, Stage::switching));
  EXPECT_TRUE(may_follow(Stage::cutover, Stage::tailing));
  EXPECT_TRUE(may_follow(Stage::stuck, Stage::copying));
  for (const auto stage : {Stage::planned, Stage::copying, Stage::tailing, Stage::stuck, Stage::skipped}) {
    EXPECT_FALSE(may_follow(stage, Stage::switching)) << to_string(stage) << ": nothing but a freeze comes to a switch";
    EXPECT_FALSE(may_follow(stage, Stage::native)) << to_string(stage);
    EXPECT_FALSE(may_follow(Stage::native, stage)) << to_string(stage);
  }
  EXPECT_FALSE(may_follow(Stage::cutover, Stage::native));
}

// ---- steps

class JournalTest : public testing::Test {
 protected:
  JournalTest() {
    auto made = storage::make_memory_engine();
    engine = made.get();
    engine->run_bodies_twice(true);
    journal = wait(Journal::open(std::move(made))).value();
  }
  Result<void> to(Stage stage, std::optional<Stage> expected, JournalStep step = {}) {
    step.stage = StageRecord{.stage = stage, .platform = "old"};
    return wait(journal->step(kAnn, expected, std::move(step)));
  }
  MemoryEngine* engine = nullptr;
  std::unique_ptr<Journal> journal;
};

TEST_F(JournalTest, AStepIsTakenFromTheStageThatIsThere) {
  EXPECT_FALSE(journal->stage(kAnn).value());
  EXPECT_EQ(to(Stage::copying, std::nullopt).error().code, "STAGE") << "begins with planned";
  ASSERT_TRUE(to(Stage::planned, std::nullopt));
  EXPECT_EQ(to(Stage::planned, std::nullopt).error().code, "STAGE");
  EXPECT_EQ(to(Stage::tailing, Stage::copying).error().code, "STAGE");
  EXPECT_EQ(to(Stage::switching, Stage::planned).error().code, "STAGE");
  EXPECT_EQ(journal->stage(kAnn).value()->stage, Stage::planned);
  ASSERT_TRUE(to(Stage::copying, Stage::planned));
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::copying, {.stage = StageRecord{.stage = Stage::copying, .attempts = 3}})));
  EXPECT_EQ(journal->stage(kAnn).value()->attempts, 3);
  EXPECT_EQ(journal->stage(kAnn).value()->stage, Stage::copying);
}

TEST_F(JournalTest, ConsentsAreTheAdministrators) {
  EXPECT_EQ(wait(journal->set_consents(kAnn, kNoWayBack)).error().code, "NONEXISTENT");
  ASSERT_TRUE(wait(journal->step(kAnn, std::nullopt, {.stage = StageRecord{.consents = kWithoutUidls}})));
  EXPECT_EQ(journal->stage(kAnn).value()->consents, kWithoutUidls);
  ASSERT_TRUE(wait(journal->set_consents(kAnn, kNoWayBack)));
  ASSERT_TRUE(to(Stage::copying, Stage::planned));
  EXPECT_EQ(journal->stage(kAnn).value()->consents, kNoWayBack) << "a move that read the record before does not take it back";
}

TEST_F(JournalTest, WhatWasFoundInAMailboxGoesWithIt) {
  const Finding elsewhere{.code = "extra", .mailbox = "Drafts", .uid = 1};
  JournalStep step{.mailboxes = {mailbox_step()}, .findings = {finding(), elsewhere}};
  step.stage = StageRecord{};
  ASSERT_TRUE(wait(journal->step(kAnn, std::nullopt, step)));
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::planned, {.gone = {"INBOX.Sent", "INBOX.None"}})));
  EXPECT_THAT(journal->account(kAnn).value().findings, ElementsAre(elsewhere));
  EXPECT_THAT(journal->account(kAnn).value().mailboxes, IsEmpty());
}

TEST_F(JournalTest, AStepIsAllOrNothing) {
  ASSERT_TRUE(to(Stage::planned, std::nullopt));
  JournalStep both{.mailboxes = {mailbox_step()}, .findings = {finding()}};
  EXPECT_FALSE(to(Stage::native, Stage::planned, both));
  EXPECT_THAT(journal->account(kAnn).value().mailboxes, IsEmpty());
  engine->arm(MemoryFault::full, 1);
  EXPECT_EQ(to(Stage::copying, Stage::planned, both).error().code, "STORAGE_FULL");
  EXPECT_THAT(journal->account(kAnn).value().findings, IsEmpty());
  ASSERT_TRUE(to(Stage::copying, Stage::planned, both));
  const auto known = journal->account(kAnn).value();
  EXPECT_EQ(known.stage->stage, Stage::copying);
  EXPECT_THAT(known.mailboxes, ElementsAre(mailbox_step()));
  EXPECT_THAT(known.findings, ElementsAre(finding()));
}

TEST_F(JournalTest, MailboxesAndFindingsComeAndGo) {
  ASSERT_TRUE(to(Stage::planned, std::nullopt));
  const auto found = [](std::string code, std::string mailbox, Uid uid) {
    return Finding{.code = std::move(code), .mailbox = std::move(mailbox), .uid = uid};
  };
  const MailboxStep inbox{.wire = "INBOX", .name = "INBOX"};
  JournalStep step{.mailboxes = {inbox, mailbox_step()},
                   .findings = {found("extra", "A", 1), found("extra", "A", 2), found("extra", "B", 1), found("extra", "", 0),
                                found("extra-quota", "A", 1), found("extra", "A", 1)}};
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::planned, step)));
  EXPECT_EQ(journal->account(kAnn).value().findings.size(), 5U) << "the same finding twice is one";
  auto moved = inbox;
  moved.cursor.uid_next = 5;
  step = {.gone = {"INBOX.Sent", "INBOX"}, .mailboxes = {moved}, .resolved = {{"extra", "A", 2}}};
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::planned, step)));
  EXPECT_THAT(journal->account(kAnn).value().mailboxes, ElementsAre(moved)) << "made anew in the step that it was gone in";
  EXPECT_THAT(journal->account(kAnn).value().findings,
              ElementsAre(found("extra", "", 0), found("extra", "A", 1), found("extra", "B", 1), found("extra-quota", "A", 1)));
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::planned, {.resolved = {{"extra", ""}}})));
  EXPECT_EQ(journal->account(kAnn).value().findings.size(), 3U) << "the account's own";
  ASSERT_TRUE(wait(journal->step(kAnn, Stage::planned, {.resolved = {{"extra"}}, .findings = {found("extra", "C", 1)}})));
  EXPECT_THAT(journal->account(kAnn).value().findings, ElementsAre(found("extra", "C", 1), found("extra-quota", "A", 1)));
}

TEST_F(JournalTest, AccountsAreWalkedAndForgotten) {
  for (const AccountNumber account : {9U, 7U, 8U}) {
    StageRecord record{.stage = Stage::planned, .epoch = account};
    ASSERT_TRUE(wait(journal->step(account, std::nullopt, {.stage = record, .mailboxes = {mailbox_step()}})));
  }
  ASSERT_TRUE(wait(journal->add_event(event())));
  ASSERT_TRUE(wait(journal->note_use({{8, use_record()}})));
  std::vector<AccountNumber> seen;
  const auto visit = [&](AccountNumber account, const StageRecord& record) {
    EXPECT_EQ(record.epoch, account);
    seen.push_back(account);
    return true;
  };
  ASSERT_TRUE(journal->for_each(visit));
  EXPECT_THAT(seen, ElementsAre(7, 8, 9));
  seen.clear();
  ASSERT_TRUE(journal->for_each([&](AccountNumber account, const StageRecord&) {
    seen.push_back(account);
    return false;
  }));
  EXPECT_THAT(seen, ElementsAre(7));
  ASSERT_TRUE(wait(journal->forget(8)));
  EXPECT_FALSE(journal->stage(8).value());
  EXPECT_EQ(journal->use(8).value(), UseRecord{});
  EXPECT_TRUE(journal->stage(9).value());
}

TEST_F(JournalTest, UseKeepsTheLatestDays) {
  ASSERT_TRUE(wait(journal->note_use({{7, {.last_imap = 100}}, {8, {.last_pop = 90}}})));
  ASSERT_TRUE(wait(journal->note_use({{7, {.last_imap = 99, .last_pop = 95}}})));
  EXPECT_EQ(journal->use(7).value(), (UseRecord{.last_imap = 100, .last_pop = 95}));
  EXPECT_EQ(journal->use(8).value(), (UseRecord{.last_imap = 0, .last_pop = 90}));
  EXPECT_EQ(journal->use(9).value(), UseRecord{});
}

TEST_F(JournalTest, SessionsAreNotedOnceADay) {
  using directory::GuestKind;
  ManualClock clock;
  const auto today = static_cast<std::int32_t>(clock.seconds() / 86'400);
  UseLog log(*journal, clock);
  log.note(7, GuestKind::imap_relay);
  log.note(7, GuestKind::pop_relay);
  log.note(8, GuestKind::imap_native);
  log.note(9, GuestKind::smtp_transfer);
  engine->arm(MemoryFault::full, 1);
  EXPECT_FALSE(wait(log.flush()));
  ASSERT_TRUE(wait(log.flush())) << "what could not be written is kept";
  EXPECT_EQ(journal->use(7).value(), (UseRecord{.last_imap = today, .last_pop = today}));
  EXPECT_EQ(journal->use(8).value(), (UseRecord{.last_imap = today, .last_pop = 0}));
  EXPECT_EQ(journal->use(9).value(), UseRecord{});
  const auto commits = engine->commits();
  log.note(7, GuestKind::pop_relay);
  ASSERT_TRUE(wait(log.flush()));
  EXPECT_EQ(engine->commits(), commits) << "once a day";
  clock.advance(std::chrono::hours(24));
  log.note(7, GuestKind::imap_relay);
  ASSERT_TRUE(wait(log.flush()));
  EXPECT_EQ(journal->use(7).value(), (UseRecord{.last_imap = today + 1, .last_pop = today}));
}

// ---- waves and events

TEST_F(JournalTest, APlanReplacesWhatHasNotStarted) {
  const auto wave = [](std::string name, std::vector<std::string> accounts) {
    return Journal::PlannedWave{{.name = std::move(name)}, std::move(accounts)};
  };
  ASSERT_TRUE(wait(journal->set_plan("old", {wave("canary", {"b@x", "a@x", "b@x"}), wave("rest", {"c@x"})})));
  ASSERT_TRUE(wait(journal->set_plan("older", {wave("theirs", {"z@y"})})));
  auto waves = journal->waves().value();
  ASSERT_EQ(waves.size(), 3U);
  EXPECT_EQ(waves[0].name, "canary");
  EXPECT_EQ(waves[0].accounts, 2U);
  EXPECT_EQ(waves[0].platform, "old");
  EXPECT_THAT(journal->wave_accounts("canary").value(), ElementsAre("a@x", "b@x"));
  waves[0].state = WaveRecord::State::running;
  ASSERT_TRUE(wait(journal->set_wave(waves[0])));
  EXPECT_EQ(wait(journal->set_plan("old", {wave("canary", {"d@x"})})).error().code, "STARTED");
  EXPECT_EQ(wait(journal->set_plan("old", {wave("theirs", {"d@x"})})).error().code, "STARTED");
  EXPECT_THAT(journal->wave_accounts("rest").value(), ElementsAre("c@x")) << "a refused plan changes nothing";
  ASSERT_TRUE(wait(journal->set_plan("old", {wave("second", {"d@x"}), wave("third", {"e@x"})})));
  EXPECT_THAT(journal->wave_accounts("rest").value(), IsEmpty());
  std::vector<std::string> names;
  for (const auto& there : journal->waves().value()) names.push_back(there.name);
  EXPECT_THAT(names, ElementsAre("canary", "second", "theirs", "third"));
  EXPECT_EQ(wait(journal->set_wave({.name = "none"})).error().code, "NONEXISTENT");
  EXPECT_EQ(wait(journal->set_plan("old", {wave("", {})})).error().fault, Fault::syntax);
  EXPECT_EQ(wait(journal->set_plan("old", {wave("a", {}), wave("a", {})})).error().fault, Fault::syntax);
}

TEST_F(JournalTest, TheNewestEventsAreKept) {
  EXPECT_THAT(journal->events(10).value(), IsEmpty());
  engine->run_bodies_twice(false);
  for (std::uint64_t i = 0; i < Journal::kEvents + 5; ++i)
    ASSERT_TRUE(wait(journal->add_event({.time = static_cast<std::int64_t>(i), .kind = "k"})));
  const auto last = journal->events(3).value();
  ASSERT_EQ(last.size(), 3U);
  EXPECT_EQ(last[0].time, static_cast<std::int64_t>(Journal::kEvents + 4));
  EXPECT_EQ(last[2].time, static_cast<std::int64_t>(Journal::kEvents + 2));
  const auto most = journal->events(2 * Journal::kEvents).value();
  EXPECT_EQ(most.size(), Journal::kEvents);
  EXPECT_EQ(most.back().time, 5);
}

TEST(JournalOnDisk, IsThereWhenItIsOpenedAgain) {
  storage::testing::TempFolder folder;
  net::WorkerPool pool(1, 100);
  const auto open = [&] {
    return storage::open_lmdb_engine({.path = folder.path() / "migrate", .pool = &pool, .map_size = 1 << 28, .min_free = 0}).value();
  };
  {
    const auto journal = wait(Journal::open(open())).value();
    auto record = stage_record();
    record.stage = Stage::planned;
    ASSERT_TRUE(wait(journal->step(kAnn, std::nullopt, {.stage = record, .mailboxes = {mailbox_step()}, .findings = {finding()}})));
  }
  {
    const auto journal = wait(Journal::open(open())).value();
    EXPECT_EQ(journal->stage(kAnn).value()->freezes_ms, stage_record().freezes_ms);
    EXPECT_EQ(journal->account(kAnn).value().findings.size(), 1U);
    std::vector<AccountNumber> seen;
    ASSERT_TRUE(journal->for_each([&](AccountNumber account, const StageRecord&) {
      seen.push_back(account);
      return true;
    }));
    EXPECT_THAT(seen, ElementsAre(kAnn));
  }
  auto engine = open();
  const auto newer = [](storage::Txn& txn, std::span<const storage::BlobId>) { return txn.put(kFormatKey, "\x02"); };
  ASSERT_TRUE(wait(engine->transact(storage::AccountId{0}, {}, newer)));
  EXPECT_EQ(wait(Journal::open(std::move(engine))).error().fault, Fault::refused);
}

}  // namespace
}  // namespace relais::migrate
