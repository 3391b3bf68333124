// One account's move over a model of mail: the way through, every reason to give an attempt up, and what is ended after a kill.
#include "migrate/move_testing.h"

#include "base/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <future>

namespace relais::migrate {
namespace {

namespace asio = net::asio;
using namespace migrate::testing;
using directory::GateCall;
using directory::GuestKind;
using directory::Placement;
using storage::AccountState;
using storage::MemoryFault;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr auto kAll = kNoWayBack | kAllowUnreadable | kWithoutUidls | kWithoutMailboxes;

Placement legacy(std::uint64_t epoch) { return {Placement::Kind::legacy, 0, "old", epoch}; }
Placement native(std::uint64_t epoch) { return {Placement::Kind::shard, 1, "", epoch}; }
Placement moving(std::uint64_t epoch) { return {Placement::Kind::moving, 1, "old", epoch}; }

const Finding kClash{.code = "name-clash", .weight = Weight::red, .mailbox = "INBOX.Cafe", .text = "has the same name here as INBOX.CAFE"};

class MoveTest : public ::testing::Test {
 protected:
  void plan(std::uint8_t consents = kAll) {
    const auto planned = w.run(plan_move(w.services, w.ann.number, {.shard = 1, .wave = "w1", .consents = consents}));
    ASSERT_TRUE(planned) << planned.error().text;
  }
  /// In step, and no switch is allowed yet.
  void tail() {
    plan();
    const auto done = w.move({.copy = true, .cut_over = false}, 4);
    ASSERT_TRUE(done) << done.error().text;
    ASSERT_EQ(w.stage().stage, Stage::tailing);
    ASSERT_TRUE(w.stage().verified_in_full);
  }
  /// A session or a transfer that answers each drain at once, or never.
  struct Present {
    std::optional<directory::Guest> guest;
    std::vector<GateCall> calls;
    bool rests = true;
  };
  std::shared_ptr<Present> enter(GuestKind kind) {
    auto present = std::make_shared<Present>();
    auto told = [present = present.get()](GateCall call) {
      present->calls.push_back(call);
      if (call == GateCall::drain && present->rests) present->guest->rest();
      if (call == GateCall::moved) present->guest->leave();
    };
    auto account = w.directory.run(w.directory->find_number(w.ann.number)).value().value();
    present->guest = w.run(w.gate.enter(account, kind, w.loop(), told)).value();
    return present;
  }
  void leave(Present& present) {
    w.run([](Present& who) -> asio::awaitable<bool> {
      if (who.guest) who.guest->leave();
      co_return true;
    }(present));
  }
  void expect_switched() {
    EXPECT_EQ(w.placement(), native(w.placement().epoch));
    EXPECT_EQ(w.shard.now(), AccountState::open);
    EXPECT_EQ(w.shard.mail, w.source);
    EXPECT_EQ(w.stage().stage, Stage::native);
    EXPECT_EQ(w.stage().epoch, w.placement().epoch);
    EXPECT_EQ(w.stage().attempts, 0);
  }
  void expect_released(std::string_view why, std::uint64_t epoch = 3) {
    EXPECT_EQ(w.placement(), legacy(epoch));
    EXPECT_EQ(w.shard.now(), AccountState::importing);
    EXPECT_EQ(w.stage().stage, Stage::tailing);
    EXPECT_EQ(w.stage().epoch, epoch);
    EXPECT_THAT(w.stage().error, ::testing::StartsWith(why));
    EXPECT_EQ(w.mail_released, 1);
  }

  MoveWorld w;
};

// ---- what an administrator asks for

TEST_F(MoveTest, WhoDoesNotLiveOnAPlatformIsNotMoved) {
  auto bob = w.directory.run(w.directory->add_account("bob@example.org", "secret", 0)).value();
  EXPECT_EQ(w.run(plan_move(w.services, bob.number, {})).error().code, "PLACEMENT");
  EXPECT_EQ(w.run(plan_move(w.services, 4711, {})).error().code, "NONEXISTENT");
  EXPECT_EQ(w.run(retry_move(w.services, w.ann.number)).error().code, "NONEXISTENT");
  EXPECT_EQ(w.run(skip_move(w.services, w.ann.number)).error().code, "NONEXISTENT");
  EXPECT_EQ(w.move().error().code, "NONEXISTENT");
  plan();
  EXPECT_EQ(w.run(plan_move(w.services, w.ann.number, {})).error().code, "ALREADYEXISTS");
  EXPECT_EQ(w.stage().epoch, 1U);
  EXPECT_EQ(w.stage().wave, "w1");
}

TEST_F(MoveTest, OneThatIsSkippedStaysUntilItIsRetried) {
  tail();
  ASSERT_TRUE(w.run(skip_move(w.services, w.ann.number)));
  EXPECT_TRUE(w.run(skip_move(w.services, w.ann.number)));
  EXPECT_EQ(w.move()->next, std::chrono::steady_clock::time_point::max());
  EXPECT_EQ(w.placement(), legacy(1));
  ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.run(skip_move(w.services, w.ann.number)).error().code, "STAGE");
  EXPECT_EQ(w.run(retry_move(w.services, w.ann.number)).error().code, "PLACEMENT");
}

TEST_F(MoveTest, AFreezeThatNoJournalKnowsOfIsEndedByWhoeverAsks) {
  ASSERT_TRUE(w.directory.place("ann@example.org", moving(0)));
  ASSERT_TRUE(w.run(recover(w.services)));
  EXPECT_EQ(w.placement(), moving(2));
  plan();
  EXPECT_EQ(w.placement(), legacy(3));
  EXPECT_EQ(w.mail_released, 1);
  auto record = w.stage();
  record.stage = Stage::stuck;
  ASSERT_TRUE(w.run(w.journal->step(w.ann.number, Stage::planned, {.stage = record})));
  ASSERT_TRUE(w.directory.place("ann@example.org", moving(0)));
  ASSERT_TRUE(w.run(skip_move(w.services, w.ann.number)));
  EXPECT_EQ(w.placement(), legacy(5));
  ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  ASSERT_TRUE(w.move());
  expect_switched();
}

// ---- the way through

TEST_F(MoveTest, AnAccountMoves) {
  plan();
  const auto session = enter(GuestKind::imap_relay);
  const auto done = w.move();
  ASSERT_TRUE(done) << done.error().text;
  EXPECT_EQ(done->next, std::chrono::steady_clock::time_point::max());
  expect_switched();
  EXPECT_EQ(w.placement(), native(3));
  EXPECT_THAT(session->calls, ElementsAre(GateCall::drain, GateCall::moved));
  EXPECT_EQ(w.mail_released, 1);
  EXPECT_EQ(w.directory.run(w.directory->located(w.ann.number)).value()->origin.names.prefix, "INBOX.");
  EXPECT_EQ(w.directory.run(w.directory->located(w.ann.number)).value()->origin.platform, "old");
  EXPECT_THAT(w.points, ElementsAre("copying.journaled", "copying.origin", "copying.importing", "copying.copied", "tailing.journaled",
                                    "cutover.journaled", "cutover.moving", "cutover.drained", "cutover.copied", "cutover.verified",
                                    "switching.journaled", "switching.open", "switching.placed", "switching.told", "native.journaled"));
  EXPECT_EQ(w.script.opened, 1U) << "connections are kept between passes";
  EXPECT_EQ(w.script.verified, 1U);
  EXPECT_EQ(w.stage().copied_messages, 3U);
  EXPECT_GT(w.stage().freezes_ms[0], 0U);
  EXPECT_EQ(w.journal->events(1).value().front().kind, "switched");
  const auto again = w.move();
  EXPECT_EQ(again->stage.stage, Stage::native) << "nothing is left to do";
}

TEST_F(MoveTest, ChangesArriveUpToTheFreezeAndInIt) {
  tail();
  w.source.append("INBOX", "three");
  w.source.erase("INBOX", 1);
  w.source.edit([](Mail::Mailboxes& all) {
    all.erase("Sent");
    all["New"][1] = "n";
  });
  w.script.before_pass = [this](bool frozen) -> net::Task<void> {
    if (frozen) w.source.append("INBOX", "last");
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.shard.mail.all()["INBOX"].size(), 3U);
  EXPECT_THAT(w.journal->account(w.ann.number)->mailboxes,
              UnorderedElementsAre(::testing::Field(&MailboxStep::wire, "INBOX"), ::testing::Field(&MailboxStep::wire, "New")));
}

TEST_F(MoveTest, NothingIsSwitchedThatIsNotLetThrough) {
  tail();
  const auto passes = w.script.passes;
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 3));
  EXPECT_GT(w.script.passes, passes) << "it is kept in step";
  EXPECT_EQ(w.placement(), legacy(1));
  const auto before = w.script.passes;
  ASSERT_TRUE(w.move({.copy = false, .cut_over = true}, 3));
  EXPECT_EQ(w.script.passes, before);
  EXPECT_EQ(w.placement(), legacy(1));
}

struct Bar {
  std::string name;
  std::uint8_t missing;
  std::string finding;
};
class BarTest : public MoveTest, public ::testing::WithParamInterface<Bar> {};

TEST_P(BarTest, HoldsASwitchUntilAnAdministratorAgrees) {
  ASSERT_TRUE(w.run(w.journal->note_use({{w.ann.number, {.last_pop = 20'000}}})));
  w.script.findings = {{.code = "unreadable", .weight = Weight::red, .mailbox = "INBOX", .uid = 9}, kClash};
  plan(static_cast<std::uint8_t>(kAll & ~GetParam().missing));
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::tailing);
  EXPECT_EQ(w.placement(), legacy(1)) << "nobody was frozen for it";
  EXPECT_THAT(w.findings(), Contains(GetParam().finding));
  EXPECT_THAT(w.stage().error, Not(IsEmpty()));
  ASSERT_TRUE(w.run(w.journal->set_consents(w.ann.number, kAll)));
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_THAT(w.findings(), UnorderedElementsAre("unreadable", "name-clash")) << "what was left behind stays in the report";
}

INSTANTIATE_TEST_SUITE_P(Consents, BarTest,
                         ::testing::Values(Bar{"NoWayBack", kNoWayBack, "no-way-back"}, Bar{"Uidls", kWithoutUidls, "pop3-uidls"},
                                           Bar{"Unreadable", kAllowUnreadable, "unreadable-messages"},
                                           Bar{"Mailboxes", kWithoutMailboxes, "mailboxes-left-out"}),
                         [](const auto& param) { return param.param.name; });

constexpr std::uint8_t kNotWithoutMailboxes = kAll & ~kWithoutMailboxes;

TEST_F(MoveTest, MailboxesOfOthersAreToldAndBarNothing) {
  w.script.findings = {{.code = "shared-mailbox", .weight = Weight::amber, .mailbox = "user.bob", .text = "is of another user"}};
  plan(kNotWithoutMailboxes);
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_THAT(w.findings(), ElementsAre("shared-mailbox"));
}

TEST_F(MoveTest, AMailboxThatCanBeCarriedNowBarsNoMore) {
  w.script.findings = {kClash};
  plan(kNotWithoutMailboxes);
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.placement(), legacy(1));
  EXPECT_THAT(w.stage().error, HasSubstr("--without-mailboxes"));
  w.script.findings = {};  // renamed at the source
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_THAT(w.findings(), IsEmpty());
}

TEST_F(MoveTest, APassInWhichNothingChangedIsNotJournaled) {
  w.script.findings = {kClash, {.code = "unreadable", .weight = Weight::red, .mailbox = "INBOX", .uid = 9}};
  tail();
  const auto passes = w.script.passes;
  const auto commits = w.engine->commits();
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 3));
  EXPECT_GT(w.script.passes, passes);
  EXPECT_EQ(w.engine->commits(), commits);
  EXPECT_THAT(w.findings(), UnorderedElementsAre("name-clash", "unreadable"));
}

// ---- given up

TEST_F(MoveTest, TheLimitReleasesWhatIsUntouched) {
  tail();
  auto& limited = metrics::counter("relais_migrate_released_total", "", {{"reason", "limit"}});
  const auto counted = limited.value();
  const auto session = enter(GuestKind::imap_relay);
  w.options.freeze_limit = std::chrono::milliseconds(20);
  std::promise<void> slow;  // the source answers after the account was released
  w.services.release_mail = [&](AccountNumber) {
    if (++w.mail_released == 1) slow.set_value();
  };
  w.script.before_pass = [&, answer = slow.get_future().share()](bool frozen) -> net::Task<void> {
    asio::steady_timer poll(w.loop().context());
    while (frozen && answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      poll.expires_after(std::chrono::milliseconds(1));
      co_await poll.async_wait(asio::use_awaitable);
    }
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move());
  expect_released("limit");
  EXPECT_EQ(limited.value(), counted + 1);
  EXPECT_EQ(w.stage().attempts, 1);
  EXPECT_EQ(w.stage().not_before, w.clock.seconds() + w.options.first_retry.count());
  EXPECT_GE(w.stage().freezes_ms[0], 20U);
  EXPECT_THAT(session->calls, ElementsAre(GateCall::drain, GateCall::released));
  w.source.append("INBOX", "meanwhile");
  w.script.before_pass = {};
  w.options.freeze_limit = std::chrono::hours(1);
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::tailing) << "it is not time yet";
  w.clock.advance(w.options.first_retry);
  ASSERT_TRUE(w.move());
  expect_switched();
}

TEST_F(MoveTest, AGuestThatComesToNoBoundaryHoldsNobodyUp) {
  tail();
  const auto session = enter(GuestKind::imap_relay);
  session->rests = false;
  w.options.freeze_limit = std::chrono::milliseconds(20);
  ASSERT_TRUE(w.move());
  expect_released("drain");
  EXPECT_THAT(session->calls, ElementsAre(GateCall::drain, GateCall::released));
  EXPECT_THAT(w.stage().error, HasSubstr("IMAP session"));
}

TEST_F(MoveTest, ADifferenceInTheFreezeIsMendedAndTriedAgain) {
  tail();
  w.script.unseen = {"Sent"};
  w.script.before_pass = [this](bool frozen) -> net::Task<void> {
    if (frozen) w.source.append("Sent", "nobody told");
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 1));
  expect_released("difference");
  EXPECT_FALSE(w.stage().verified_in_full);
  EXPECT_THAT(w.findings(), Contains("count-differs"));
  w.script.before_pass = {};
  w.clock.advance(w.options.first_retry);
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_THAT(w.findings(), IsEmpty());
}

TEST_F(MoveTest, WhatTheFinalDeltaHasWrittenIsComparedInTheFreeze) {
  tail();
  EXPECT_THAT(w.script.asked.only, IsEmpty());
  w.script.before_pass = [this](bool frozen) -> net::Task<void> {
    if (frozen) {
      w.source.append("INBOX", "last");
      w.source.erase("INBOX", 1);
    }
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.script.asked.depth, VerifyDepth::messages);
  EXPECT_THAT(w.script.asked.only, ElementsAre("INBOX"));
  ASSERT_THAT(w.script.asked.written, ElementsAre(::testing::Key("INBOX")));
  EXPECT_EQ(w.script.asked.written.at("INBOX").to_string(), "1,3");
  EXPECT_EQ(w.script.asked.cursors.at("INBOX").messages, 2U);
}

TEST_F(MoveTest, AfterMuchHasComeAllIsComparedAgain) {
  tail();
  ASSERT_EQ(w.script.verified, 1U);
  w.source.append("INBOX", "little");
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 4));
  EXPECT_EQ(w.script.verified, 1U);
  w.options.small_changes = 4;
  w.source.append("INBOX", "much");
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 4));
  EXPECT_EQ(w.script.verified, 2U);
  EXPECT_TRUE(w.stage().verified_in_full);
  ASSERT_TRUE(w.move());
  expect_switched();
}

TEST_F(MoveTest, AMailboxThatFailsInTheFreezeReleases) {
  tail();
  std::uint64_t epoch = 1;
  for (const std::string code : {"mailbox-failed", "mailbox-refused", "no-state"}) {
    SCOPED_TRACE(code);
    w.mail_released = 0;
    w.script.before_pass = [&](bool frozen) -> net::Task<void> {
      w.script.findings.clear();
      if (frozen) w.script.findings = {{.code = code, .weight = Weight::red, .mailbox = "Sent", .text = "could not"}};
      co_return Result<void>{};
    };
    ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 1));
    expect_released("difference", epoch += 2);
    EXPECT_THAT(w.stage().error, HasSubstr("Sent: could not"));
    EXPECT_THAT(w.findings(), Contains(code));
    EXPECT_FALSE(w.stage().verified_in_full);
    w.clock.advance(w.options.longest_retry);
  }
  w.script.before_pass = {};
  w.script.findings.clear();
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_THAT(w.findings(), IsEmpty());
}

TEST_F(MoveTest, AMailboxThatHasNoPlaceIsFoundInTheFreeze) {
  plan(kNotWithoutMailboxes);
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 4));
  w.script.before_pass = [this](bool frozen) -> net::Task<void> {
    if (frozen) w.script.findings = {kClash};
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 1));
  expect_released("difference");
  EXPECT_THAT(w.stage().error, HasSubstr("INBOX.Cafe"));
  EXPECT_THAT(w.findings(), Contains("name-clash"));
}

TEST_F(MoveTest, ADifferenceThatCannotBeMendedIsForAPerson) {
  plan();
  ASSERT_TRUE(w.move({.copy = true, .cut_over = false}, 1));
  w.source.edit([](Mail::Mailboxes& all) { all["Sent"][7] = "changed"; });
  w.script.hopeless = {"Sent"};
  ASSERT_TRUE(w.run(w.journal->step(w.ann.number, Stage::tailing, {.stage = [&] {
                                      auto record = w.stage();
                                      record.verified_in_full = false;
                                      return record;
                                    }()})));
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck);
  EXPECT_EQ(w.placement(), legacy(1));
  EXPECT_THAT(w.findings(), ElementsAre("flags-differ"));
  w.script.hopeless = {};
  ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  ASSERT_TRUE(w.move());
  expect_switched();
}

TEST_F(MoveTest, AnErrorOfEitherSideReleases) {
  tail();
  for (const auto& [code, why] : {std::pair<std::string, std::string>{"", "source"}, {"STORAGE_FULL", "target"}}) {
    SCOPED_TRACE(why);
    w.mail_released = 0;
    const auto epoch = w.placement().epoch;
    w.script.before_pass = [&](bool frozen) -> net::Task<void> {
      if (frozen) co_return fail(Fault::temporary, "no more", code);
      co_return Result<void>{};
    };
    ASSERT_TRUE(w.move());
    expect_released(why, epoch + 2);
    w.clock.advance(w.options.longest_retry);
  }
  EXPECT_EQ(w.stage().attempts, 2);
  w.script.before_pass = {};
  w.script.before_verify = [this]() -> net::Task<void> {
    if (w.placement().kind == Placement::Kind::moving) co_return fail(Fault::closed, "gone");
    co_return Result<void>{};
  };
  w.mail_released = 0;
  ASSERT_TRUE(w.move());
  expect_released("source", 7);
}

TEST_F(MoveTest, AfterSoManyAttemptsAPersonMustLook) {
  tail();
  w.script.before_pass = [](bool frozen) -> net::Task<void> {
    if (frozen) co_return fail(Fault::temporary, "no more");
    co_return Result<void>{};
  };
  std::vector<std::int64_t> waits;
  for (int attempt = 1; attempt <= w.options.max_attempts; ++attempt) {
    ASSERT_EQ(w.stage().stage, Stage::tailing) << attempt;
    ASSERT_TRUE(w.move());
    waits.push_back(w.stage().not_before - w.clock.seconds());
    w.clock.advance(w.options.longest_retry);
  }
  EXPECT_THAT(waits, ElementsAre(300, 600, 1'200, 2'400, 4'800));
  EXPECT_EQ(w.stage().stage, Stage::stuck);
  EXPECT_EQ(w.placement().kind, Placement::Kind::legacy);
  w.script.before_pass = {};
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck);
  ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  ASSERT_TRUE(w.move());
  expect_switched();
}

TEST_F(MoveTest, WhoeverElseChangesThePlacementStopsTheMove) {
  tail();
  w.services.crash_point = [this](std::string_view point) {
    if (point == "cutover.journaled") ASSERT_TRUE(w.directory.place("ann@example.org", legacy(0)));
  };
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck);
  EXPECT_EQ(w.placement(), legacy(2)) << "theirs stays";
  w.services.crash_point = {};
  ASSERT_TRUE(w.run(retry_move(w.services, w.ann.number)));
  EXPECT_EQ(w.stage().epoch, 2U);
  ASSERT_TRUE(w.move());
  expect_switched();
}

TEST_F(MoveTest, ThePlacementIsTakenAwayInTheFreeze) {
  tail();
  w.services.crash_point = [this](std::string_view point) {
    if (point == "cutover.verified") ASSERT_TRUE(w.directory.place("ann@example.org", {Placement::Kind::shard, 0, "", 0}));
  };
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck) << "decided, and somebody was faster: nothing is written over";
  EXPECT_EQ(w.placement(), (Placement{Placement::Kind::shard, 0, "", 3}));
}

TEST_F(MoveTest, AStopReleasesWhatIsNotDecided) {
  tail();
  auto driven = [](MoveWorld& world, std::string_view at) -> net::Task<AccountMove::Outcome> {
    AccountMove move(world.services, world.options, world.ann.number, world.loop());
    world.services.crash_point = [&move, at](std::string_view point) {
      if (point == at) move.stop();
    };
    auto outcome = co_await move.run([] { return AccountMove::Permission{.copy = true, .cut_over = true}; }, {});
    world.services.crash_point = {};
    co_return outcome;
  };
  ASSERT_TRUE(w.run(driven(w, "cutover.copied")));
  expect_released("asked");
  EXPECT_EQ(w.stage().attempts, 0) << "the account has not failed";
  w.mail_released = 0;
  ASSERT_TRUE(w.run(driven(w, "switching.journaled")));
  expect_switched();
  EXPECT_EQ(w.mail_released, 1);
}

TEST_F(MoveTest, GuestsThatCannotRestAreWaitedForBeforeTheFreeze) {
  tail();
  const auto transfer = enter(GuestKind::smtp_transfer);
  w.options.quiet_wait = std::chrono::milliseconds(0);
  ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 3));
  EXPECT_EQ(w.placement(), legacy(1)) << "nobody was frozen";
  EXPECT_EQ(w.stage().attempts, 0);
  leave(*transfer);
  const auto pop = enter(GuestKind::pop_relay);
  ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 3));
  EXPECT_EQ(w.placement(), legacy(1));
  leave(*pop);
  const auto busy = enter(GuestKind::imap_relay);
  w.options.long_command = std::chrono::milliseconds(0);
  ASSERT_TRUE(w.move({.copy = true, .cut_over = true}, 3));
  EXPECT_EQ(w.placement(), legacy(1));
  leave(*busy);
  ASSERT_TRUE(w.move());
  expect_switched();
}

// ---- what fails outside of a freeze

TEST_F(MoveTest, ASourceThatIsAwayIsTriedLaterAndLater) {
  plan();
  w.script.on_open = [] { return fail(Fault::temporary, "refused", "", "connect: refused"); };
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 8; ++i) {
    const auto outcome = w.move();
    ASSERT_TRUE(outcome);
    EXPECT_GT(outcome->next, std::chrono::steady_clock::now());
    EXPECT_EQ(w.script.opened, static_cast<std::uint64_t>(i) + 1);
    waits.push_back(w.stage().not_before - w.clock.seconds());
    EXPECT_TRUE(w.move());
    EXPECT_EQ(w.script.opened, static_cast<std::uint64_t>(i) + 1) << "not before its time";
    w.clock.advance(std::chrono::seconds(waits.back()));
  }
  EXPECT_THAT(waits, ElementsAre(300, 600, 1'200, 2'400, 4'800, 9'600, 14'400, 14'400));
  EXPECT_THAT(w.stage().error, HasSubstr("connect: refused"));
  w.script.on_open = {};
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.stage().failures, 0);
}

TEST_F(MoveTest, AConnectionThatHasIdledTooLongIsOpenedAgainAtOnce) {
  plan();
  w.script.before_pass = [this](bool) -> net::Task<void> {
    if (w.script.passes == 3 && w.script.opened == 1) co_return fail(Fault::closed, "autologout");
    co_return Result<void>{};
  };
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.script.opened, 2U);
}

TEST_F(MoveTest, AShardThatHasMailOfTheAccountIsNotWrittenOver) {
  ASSERT_TRUE(w.shard.deliver("INBOX", "from another life"));
  plan();
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck);
  EXPECT_EQ(w.shard.now(), AccountState::open);
  EXPECT_EQ(w.shard.mail.all()["INBOX"].size(), 1U);
}

TEST_F(MoveTest, SomebodyElseChangedThePlacementWhileItWasCopied) {
  plan();
  ASSERT_TRUE(w.directory.place("ann@example.org", legacy(0)));
  ASSERT_TRUE(w.move());
  EXPECT_EQ(w.stage().stage, Stage::stuck);
}

// ---- records that cannot be written

TEST_F(MoveTest, ADirectoryThatCannotBeWrittenReleases) {
  using Fault = FaultyMoves::Fault;
  tail();
  for (const auto what : {Fault::unwritten, Fault::lost_reply}) {
    SCOPED_TRACE(static_cast<int>(what));
    w.mail_released = 0;
    const auto epoch = w.placement().epoch;
    w.moves.fault = [what](const Placement& next) { return next.kind == Placement::Kind::moving ? what : Fault::none; };
    ASSERT_TRUE(w.move());
    expect_released("records", what == Fault::unwritten ? epoch : epoch + 2);
    EXPECT_EQ(w.stage().attempts, 0);
    w.clock.advance(w.options.longest_retry);
  }
  // Decided, and the placement cannot be written for a while: there is only forward.
  for (const auto what : {Fault::unwritten, Fault::lost_reply}) {
    if (w.placement().kind == Placement::Kind::shard) break;
    int times = 0;
    w.moves.fault = [&times, what](const Placement& next) {
      return next.kind == Placement::Kind::shard && ++times == 1 ? what : Fault::none;
    };
    ASSERT_TRUE(w.move());
  }
  expect_switched();
}

TEST_F(MoveTest, AReplyThatIsLostAfterTheSwitchIsASwitch) {
  using Fault = FaultyMoves::Fault;
  tail();
  int times = 0;
  w.moves.fault = [&times](const Placement& next) {
    return next.kind == Placement::Kind::shard && ++times == 1 ? Fault::lost_reply : Fault::none;
  };
  ASSERT_TRUE(w.move());
  expect_switched();
  EXPECT_EQ(w.placement(), native(3));
  EXPECT_EQ(times, 1);
}

TEST_F(MoveTest, AShardThatCannotBeOpenedIsWaitedForOnceItIsDecided) {
  tail();
  w.services.crash_point = [this](std::string_view point) {
    if (point == "switching.journaled") w.shard.fail_states = 1;
  };
  ASSERT_TRUE(w.move());
  expect_switched();
}

/// The journal meets a fault at each commit of an attempt in turn; then the platform is started again.
TEST_F(MoveTest, AJournalThatCannotBeWrittenAnywhereLosesNothing) {
  tail();
  for (const auto fault : {MemoryFault::full, MemoryFault::sync_failed, MemoryFault::lost_reply}) {
    for (std::uint64_t nth = 1; nth <= 3; ++nth) {
      SCOPED_TRACE(std::to_string(static_cast<int>(fault)) + " " + std::to_string(nth));
      MoveWorld world;
      ASSERT_TRUE(world.run(plan_move(world.services, world.ann.number, {.shard = 1, .consents = kAll})));
      ASSERT_TRUE(world.move({.copy = true, .cut_over = false}, 4));
      ASSERT_TRUE(world.stage().verified_in_full);
      bool armed = false;
      world.services.crash_point = [&](std::string_view point) {
        // the commits of an attempt: cutover, switching, native
        const auto at = nth == 1 ? "" : nth == 2 ? "cutover.verified" : "switching.told";
        if (point == at && !std::exchange(armed, true)) world.engine->arm(fault, 1);
      };
      if (nth == 1)
        world.script.before_pass = [&](bool frozen) -> net::Task<void> {
          if (!frozen && !std::exchange(armed, true)) world.engine->arm(fault, 1);
          co_return Result<void>{};
        };
      const auto moved = world.move();
      world.services.crash_point = {};
      world.script.before_pass = {};
      EXPECT_NE(world.placement().kind, Placement::Kind::moving) << "served by one side, whatever the journal says";
      world.engine->reopen();
      const auto recovered = world.run(recover(world.services));
      ASSERT_TRUE(recovered);
      EXPECT_EQ(recovered->waiting, 0U);
      EXPECT_NE(world.stage().stage, Stage::cutover);
      EXPECT_NE(world.stage().stage, Stage::switching);
      EXPECT_EQ(world.stage().epoch, world.placement().epoch);
      world.clock.advance(world.options.longest_retry);
      ASSERT_TRUE(world.move());
      EXPECT_EQ(world.stage().stage, Stage::native);
      EXPECT_EQ(world.placement().kind, Placement::Kind::shard);
      EXPECT_EQ(world.shard.now(), AccountState::open);
      EXPECT_EQ(world.shard.mail, world.source);
    }
  }
}

// ---- after a kill

struct Left {
  std::string name;
  Stage journal;
  Placement placement;  ///< as it was left; its epoch is what it has then. The freeze began at epoch 1
  bool open;            ///< the target
  Stage expected;
  Placement expected_placement;
};
class RecoverTest : public MoveTest, public ::testing::WithParamInterface<Left> {};

TEST_P(RecoverTest, EndsTheFreeze) {
  const auto& left = GetParam();
  tail();
  auto record = w.stage();
  for (const auto stage : {Stage::cutover, Stage::switching}) {
    const auto before = record.stage;
    record.stage = stage;
    if (before == left.journal) break;
    ASSERT_TRUE(w.run(w.journal->step(w.ann.number, before, {.stage = record})));
  }
  const storage::AccountRef target{storage::AccountId{w.ann.number}, 1};
  if (left.open) ASSERT_TRUE(w.run(w.shard.set_state(target, AccountState::importing, AccountState::open)));
  for (auto epoch = w.placement().epoch; epoch < left.placement.epoch; ++epoch)
    ASSERT_TRUE(w.directory.place("ann@example.org", epoch + 1 == left.placement.epoch ? left.placement : moving(0)));
  ASSERT_EQ(w.placement(), left.placement);
  for (int time = 0; time < 2; ++time) {  // twice is once
    ASSERT_TRUE(w.run(recover(w.services)));
    EXPECT_EQ(w.stage().stage, left.expected);
    EXPECT_EQ(w.placement(), left.expected_placement);
    EXPECT_EQ(w.shard.now(), left.expected == Stage::native || left.open ? AccountState::open : AccountState::importing);
  }
  EXPECT_EQ(w.stage().attempts, 0) << "a kill is not the account's failure";
  if (left.expected == Stage::stuck) {
    const auto retried = w.run(retry_move(w.services, w.ann.number));
    ASSERT_EQ(retried.has_value(), left.placement.kind != Placement::Kind::shard);
    if (!retried) return;
    EXPECT_EQ(w.placement().kind, Placement::Kind::legacy) << "nobody's freeze is ended by who asks";
  }
  EXPECT_EQ(w.stage().epoch, w.placement().epoch);
  ASSERT_TRUE(w.move());
  expect_switched();
}

INSTANTIATE_TEST_SUITE_P(Table, RecoverTest,
                         ::testing::Values(Left{"NotFrozenYet", Stage::cutover, legacy(1), false, Stage::tailing, legacy(1)},
                                           Left{"Frozen", Stage::cutover, moving(2), false, Stage::tailing, legacy(3)},
                                           Left{"Released", Stage::cutover, legacy(3), false, Stage::tailing, legacy(3)},
                                           Left{"Decided", Stage::switching, moving(2), false, Stage::native, native(3)},
                                           Left{"Opened", Stage::switching, moving(2), true, Stage::native, native(3)},
                                           Left{"Placed", Stage::switching, native(3), true, Stage::native, native(3)},
                                           Left{"ReleasedAfterADecisionThatWasNotToldOf", Stage::switching, legacy(3), false,
                                                Stage::tailing, legacy(3)},
                                           Left{"TakenAway", Stage::cutover, native(3), false, Stage::stuck, native(3)},
                                           Left{"TakenAwayLater", Stage::switching, moving(3), false, Stage::stuck, moving(3)},
                                           Left{"TakenElsewhere", Stage::switching, legacy(2), false, Stage::stuck, legacy(2)}),
                         [](const auto& param) { return param.param.name; });

TEST_F(MoveTest, WhatCannotBeRecoveredWaits) {
  tail();
  auto record = w.stage();
  record.stage = Stage::cutover;
  ASSERT_TRUE(w.run(w.journal->step(w.ann.number, Stage::tailing, {.stage = record})));
  ASSERT_TRUE(w.directory.place("ann@example.org", moving(0)));
  w.moves.fault = [](const Placement&) { return FaultyMoves::Fault::unwritten; };
  const auto recovered = w.run(recover(w.services));
  ASSERT_TRUE(recovered);
  EXPECT_EQ(recovered->waiting, 1U);
  EXPECT_EQ(w.placement(), moving(2)) << "nobody serves it: temporary failures";
  EXPECT_FALSE(w.move()) << "nothing else is done before that";
  w.moves.fault = {};
  ASSERT_TRUE(w.move());
  expect_switched();
}

}  // namespace
}  // namespace relais::migrate
