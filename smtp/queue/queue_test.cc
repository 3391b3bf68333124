// The whole queue in a world of its own: from accept() to the last notice, through trouble, faults and restarts.
#include "smtp/queue/queue.h"

#include "smtp/queue/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>

namespace relais::smtp::queue {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// Replies by the local part: "ok", "no" (permanent), "later" (temporary), "dead" (unreachable) and what follows is free.
FakeReply by_name(const std::string&, const Dispatch& dispatch) {
  Outcome outcome = all(dispatch, Disposition::relayed);
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    const auto& address = dispatch.recipients[i].address;
    auto& one = outcome.recipients[i];
    if (address.starts_with("no")) {
      one.disposition = Disposition::permanent;
      one.code = 550;
      one.status = "5.1.1";
      one.text = "550 5.1.1 no such user";
    } else if (address.starts_with("later")) {
      one.disposition = Disposition::temporary;
      one.code = 450;
      one.status = "4.2.0";
      one.text = "450 4.2.0 greylisted";
    } else if (address.starts_with("dead")) {
      return {unreachable(dispatch), 30s};
    }
  }
  return {outcome};
}

std::vector<std::string> trace_of(const World& world, std::string_view id) {
  std::vector<std::string> out;
  for (const auto& event : world.trace.events()) {
    if (event.id == id) out.emplace_back(to_string(event.kind));
  }
  return out;
}

std::vector<Sent> reports(const World& world) { return world.sent_to("sender@here.example"); }

TEST(Queue, AMessageGoesOutAndLeavesNothing) {
  World world;
  std::string content;
  world.serve = [](const std::string& destination, const Dispatch& dispatch) {
    EXPECT_EQ(destination, "mx:x.test");
    EXPECT_EQ(dispatch.sender, "sender@here.example");
    EXPECT_EQ(dispatch.recipients.size(), 2U);
    EXPECT_EQ(dispatch.attempts, 0U);
    return FakeReply{all(dispatch, Disposition::relayed)};
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test", "b@x.test"})));
  EXPECT_EQ(world.queue->messages(), 1U);
  world.run_for(1s);
  EXPECT_EQ(world.sent.size(), 2U);
  EXPECT_TRUE(world.empty());
  EXPECT_EQ(world.queue->messages(), 0U);
  EXPECT_THAT(trace_of(world, "t1"), ElementsAre("queued", "relayed"));
}

TEST(Queue, WhatOneConnectionTooManyWasMeantForGoesByTheOthers) {
  World world;
  int calls = 0;
  world.serve = [&](const std::string&, const Dispatch& dispatch) {
    EXPECT_EQ(dispatch.attempts, 0U) << dispatch.trace_id;
    if (++calls != 2) return FakeReply{all(dispatch, Disposition::relayed), 100ms};
    auto refused = unreachable(dispatch, "421 too many connections");
    refused.begun = false;
    return FakeReply{refused, 1s};
  };
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(world.accept(world.message("t" + std::to_string(i), {"a" + std::to_string(i) + "@x.test"})));
  world.run_for(10s);
  EXPECT_EQ(calls, 41);
  EXPECT_EQ(world.sent.size(), 41U);
  EXPECT_TRUE(world.empty());
  for (int i = 0; i < 40; ++i) EXPECT_THAT(trace_of(world, "t" + std::to_string(i)), ElementsAre("queued", "relayed"));
}

TEST(Queue, OneTransactionPerDestination) {
  World world;
  int dispatches = 0;
  world.serve = [&](const std::string&, const Dispatch& dispatch) {
    ++dispatches;
    return FakeReply{all(dispatch, Disposition::relayed)};
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test", "b@y.test", "c@x.test", "d@z.test"})));
  world.run_for(1s);
  EXPECT_EQ(dispatches, 3);
  EXPECT_EQ(world.sent.size(), 4U);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, ManyRecipientsGoOutInParts) {
  Rule rule;
  rule.recipients_per_transaction = 10;
  World world(1, {}, Rules(rule, Rules::local_rule(), {}));
  std::vector<std::size_t> sizes;
  world.serve = [&](const std::string& d, const Dispatch& dispatch) {
    sizes.push_back(dispatch.recipients.size());
    return by_name(d, dispatch);
  };
  std::vector<std::string> to;
  for (int i = 0; i < 25; ++i) to.push_back((i == 12 ? "later" : "ok") + std::to_string(i) + "@x.test");
  ASSERT_TRUE(world.accept(world.message("t1", to)));
  world.run_for(1s);
  EXPECT_THAT(sizes, ElementsAre(10U, 10U, 5U));
  world.serve = [&](const std::string&, const Dispatch& dispatch) {
    EXPECT_EQ(dispatch.recipients.size(), 1U);
    EXPECT_EQ(dispatch.attempts, 1U);
    return FakeReply{all(dispatch, Disposition::relayed)};
  };
  world.run_for(10min);
  EXPECT_EQ(world.sent_to("later12@x.test").size(), 2U);
  EXPECT_EQ(world.sent.size(), 26U);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, ATemporaryReplyIsTriedAgainWithGrowingPauses) {
  World world(1, {}, Rules(Rule{.retry = {.first = 60s, .longest = 600s, .factor = 2, .jitter = 0}}, Rules::local_rule(), {}));
  world.serve = by_name;
  const auto began = world.milliseconds_now();
  ASSERT_TRUE(world.accept(world.message("t1", {"later@x.test"})));
  world.run_for(1h);
  std::vector<std::int64_t> at;
  for (const auto& one : world.sent) at.push_back((one.time - began + 500) / 60'000);
  EXPECT_THAT(at, ElementsAre(0, 1, 3, 7, 15, 25, 35, 45, 55));
  const auto shown = world.run(world.queue->show("t1")).value();
  ASSERT_EQ(shown.size(), 1U);
  ASSERT_EQ(shown[0].jobs.size(), 1U);
  EXPECT_EQ(shown[0].jobs[0].attempts, 9U);
  EXPECT_EQ(shown[0].jobs[0].recipients[0].reply, "450 4.2.0 greylisted (mx.example [192.0.2.1]:25)");
  EXPECT_THAT(shown[0].header, HasSubstr("Subject: t1\r\n"));
}

TEST(Queue, APermanentReplyIsReportedToTheSenderOnce) {
  World world;
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"no@x.test", "ok@x.test", "no2@x.test", "no3@y.test"})));
  world.run_for(1min);
  const auto told = reports(world);
  ASSERT_EQ(told.size(), 2U) << "one for each destination";
  EXPECT_EQ(told[0].sender, "");
  EXPECT_EQ(told[0].destination, "mx:here.example");
  EXPECT_THAT(told[0].trace_id, ::testing::StartsWith("t1-r"));
  const auto& both = told[0].content.contains("no2@x.test") ? told[0].content : told[1].content;
  EXPECT_THAT(both, HasSubstr("Action: failed"));
  EXPECT_THAT(both, HasSubstr("no@x.test"));
  EXPECT_THAT(both, HasSubstr("no2@x.test"));
  EXPECT_THAT(both, HasSubstr("550 5.1.1 no such user"));
  EXPECT_THAT(both, Not(HasSubstr("ok@x.test")));
  EXPECT_THAT(both, HasSubstr("Subject: t1"));
  EXPECT_TRUE(world.empty());
  EXPECT_THAT(trace_of(world, "t1"), ::testing::IsSupersetOf({"relayed", "bounced", "bounced", "notice", "notice"}));
}

TEST(Queue, NotifyDecidesWhoIsTold) {
  struct Row {
    const char* name;
    const char* address;
    std::uint8_t notify;
    Disposition disposition;
    int reports;
    const char* action;
  };
  const std::vector<Row> table{
      {"failure by default", "a@x.test", 0, Disposition::permanent, 1, "failed"},
      {"never", "a@x.test", Notify::kNever, Disposition::permanent, 0, ""},
      {"success alone, and it fails", "a@x.test", Notify::kSuccess, Disposition::permanent, 0, ""},
      {"failure", "a@x.test", Notify::kFailure, Disposition::permanent, 1, "failed"},
      {"no success wanted", "a@x.test", 0, Disposition::relayed_without_dsn, 0, ""},
      {"success, next host tells", "a@x.test", Notify::kSuccess, Disposition::relayed, 0, ""},
      {"success, next host does not", "a@x.test", Notify::kSuccess, Disposition::relayed_without_dsn, 1, "relayed"},
      {"success here", "a@x.test", Notify::kSuccess | Notify::kFailure, Disposition::delivered, 1, "delivered"},
      {"never, and here", "a@x.test", Notify::kNever, Disposition::delivered, 0, ""},
  };
  for (const auto& row : table) {
    World world;
    world.serve = [&](const std::string&, const Dispatch& dispatch) {
      return FakeReply{dispatch.report ? all(dispatch, Disposition::relayed) : all(dispatch, row.disposition, 250, "250 as you like")};
    };
    auto message = world.message("t1", {row.address});
    message.recipients[0].notify.bits = row.notify;
    message.envelope_id = "QQ314";
    ASSERT_TRUE(world.accept(std::move(message)));
    world.run_for(1min);
    const auto told = reports(world);
    ASSERT_EQ(told.size(), static_cast<std::size_t>(row.reports)) << row.name;
    if (row.reports != 0) {
      EXPECT_THAT(told[0].content, HasSubstr("Action: " + std::string(row.action))) << row.name;
      EXPECT_THAT(told[0].content, HasSubstr("QQ314")) << row.name;
    }
    EXPECT_TRUE(world.empty()) << row.name;
  }
}

TEST(Queue, AReportNeverCausesAnother) {
  World world;
  world.serve = by_name;
  auto message = world.message("t1", {"no@x.test"});
  message.sender = "no-sender@gone.test";
  ASSERT_TRUE(world.accept(std::move(message)));
  auto null = world.message("t2", {"no@x.test"});
  null.sender.clear();
  ASSERT_TRUE(world.accept(std::move(null)));
  world.run_for(1min);
  EXPECT_EQ(world.sent_to("no-sender@gone.test").size(), 1U);
  EXPECT_EQ(world.sent.size(), 3U);
  EXPECT_TRUE(world.empty());
  EXPECT_THAT(trace_of(world, "t2"), ElementsAre("queued", "bounced"));
}

TEST(Queue, ASenderThatNobodyKnowsTheWayToIsNotTold) {
  World world;
  world.serve = by_name;
  world.route = [](const std::string&) -> Result<std::string> { return fail(Fault::refused, "no such domain", "5.1.2"); };
  ASSERT_TRUE(world.accept(world.message("t1", {"no@x.test"})));
  world.run_for(1min);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, ADirectoryThatCannotTellDelaysTheReport) {
  World world;
  world.serve = by_name;
  int asked = 0;
  world.route = [&](const std::string&) -> Result<std::string> {
    if (++asked < 4) return fail(Fault::temporary, "directory is down");
    return "mx:here.example";
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"no@x.test"})));
  world.run_for(1min, [&] { return reports(world).size() == 1; });
  EXPECT_EQ(world.sent_to("no@x.test").size(), 1U);
  EXPECT_EQ(reports(world).size(), 1U);
}

TEST(Queue, DelayNoticeAndExpiryOfADeadDestination) {
  World world;
  world.serve = by_name;
  auto quiet = world.message("t2", {"dead2@x.test"});
  quiet.recipients[0].notify.bits = Notify::kFailure;
  ASSERT_TRUE(world.accept(world.message("t1", {"dead@x.test"})));
  ASSERT_TRUE(world.accept(std::move(quiet)));
  world.run_for(4h - 1min);
  EXPECT_THAT(reports(world), IsEmpty());
  world.run_for(2min);
  ASSERT_EQ(reports(world).size(), 1U);
  EXPECT_THAT(reports(world)[0].content, HasSubstr("Action: delayed"));
  EXPECT_THAT(reports(world)[0].content, HasSubstr("dead@x.test"));
  EXPECT_THAT(reports(world)[0].content, HasSubstr("Will-Retry-Until"));
  world.run_for(24h * 5 - 4h - 10min);
  EXPECT_EQ(reports(world).size(), 1U) << "one notice is enough";
  world.run_for(1h);
  ASSERT_EQ(reports(world).size(), 3U);
  for (std::size_t i = 1; i < 3; ++i) {
    EXPECT_THAT(reports(world)[i].content, HasSubstr("Action: failed"));
    EXPECT_THAT(reports(world)[i].content, HasSubstr("4.4.7"));
    EXPECT_THAT(reports(world)[i].content, HasSubstr("connection timed out"));
  }
  EXPECT_TRUE(world.empty());
  // Five days, a gate of at most two hours: one attempt a pause, whatever the number of messages.
  EXPECT_LT(world.sent_to("dead@x.test").size() + world.sent_to("dead2@x.test").size(), 100U);
  EXPECT_GT(world.sent_to("dead@x.test").size() + world.sent_to("dead2@x.test").size(), 50U);
}

TEST(Queue, DeliverByGivesUpOrTells) {
  World world;
  world.serve = by_name;
  auto give_up = world.message("t1", {"dead@x.test"});
  give_up.deliver_by = world.seconds_now() + 600;
  give_up.by_mode = ByMode::give_up;
  auto tell = world.message("t2", {"dead@y.test"});
  tell.deliver_by = world.seconds_now() + 600;
  tell.by_mode = ByMode::notify;
  ASSERT_TRUE(world.accept(std::move(give_up)));
  ASSERT_TRUE(world.accept(std::move(tell)));
  world.run_for(9min);
  EXPECT_THAT(reports(world), IsEmpty());
  world.run_for(3min);
  ASSERT_EQ(reports(world).size(), 2U);
  const auto first = reports(world)[0].content;
  const auto second = reports(world)[1].content;
  EXPECT_EQ(first.contains("Action: failed") + second.contains("Action: failed"), 1);
  EXPECT_EQ(first.contains("Action: delayed") + second.contains("Action: delayed"), 1);
  EXPECT_THAT(first + second, HasSubstr("5.4.7"));
  world.run_for(10h);
  EXPECT_EQ(reports(world).size(), 2U) << "the notice of the delay was the same one";
  EXPECT_EQ(world.queue->messages(), 1U);
}

TEST(Queue, HoldUntilKeepsAMessageAndItsExpiry) {
  World world;
  auto message = world.message("t1", {"ok@x.test"});
  message.hold_until = world.seconds_now() + 24 * 3600;
  ASSERT_TRUE(world.accept(std::move(message)));
  world.run_for(23h);
  EXPECT_THAT(world.sent, IsEmpty());
  const auto shown = world.run(world.queue->show("t1")).value();
  EXPECT_EQ(shown[0].expires, shown[0].arrival + 6 * 24 * 3600);
  EXPECT_THAT(world.run(world.queue->why("t1")).value()[0], HasSubstr("not to be sent before"));
  world.run_for(2h);
  EXPECT_EQ(world.sent.size(), 1U);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, UrgentMailGoesFirst) {
  Rule rule;
  rule.concurrency = 1;
  World world(1, {}, Rules(rule, Rules::local_rule(), {}));
  for (int i = 0; i < 40; ++i) {
    auto message = world.message("t" + std::to_string(i), {"u" + std::to_string(i) + "@x.test"});
    message.priority = i % 4 == 0 ? 6 : i % 4 == 1 ? 2 : i % 4 == 2 ? 0 : -4;
    message.hold_until = world.seconds_now() + 60;
    ASSERT_TRUE(world.accept(std::move(message)));
  }
  world.run_for(10min);
  ASSERT_EQ(world.sent.size(), 40U);
  for (std::size_t i = 0; i < 40; ++i) EXPECT_EQ(std::stoul(world.sent[i].address.substr(1)) % 4, i / 10) << i;
}

TEST(Queue, RecipientsMayBeSentElsewhere) {
  World world;
  world.serve = [](const std::string& destination, const Dispatch& dispatch) {
    auto outcome = all(dispatch, Disposition::delivered);
    if (destination == "account:7") return FakeReply{outcome};
    for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
      auto& one = outcome.recipients[i];
      if (dispatch.recipients[i].address == "moving@here.example") {
        one.disposition = Disposition::elsewhere;
        one.moves = {{"moving@here.example", "account:7"}};
      } else if (dispatch.recipients[i].address == "list@here.example") {
        one.disposition = Disposition::elsewhere;
        one.moves = {{"a@here.example", "local"}, {"b@far.test", "mx:far.test"}, {"c@here.example", "local"}};
      } else if (dispatch.recipients[i].address == "circle@here.example") {
        one.disposition = Disposition::elsewhere;
        one.moves = {{"circle@here.example", "local"}};
      }
    }
    return FakeReply{outcome};
  };
  auto message = world.message("t1", {"moving@here.example", "list@here.example", "a@here.example", "circle@here.example"});
  for (auto& recipient : message.recipients) recipient.destination = "local";
  ASSERT_TRUE(world.accept(std::move(message)));
  world.run_for(10min);
  EXPECT_EQ(world.sent_to("moving@here.example").back().destination, "account:7");
  EXPECT_EQ(world.sent_to("a@here.example").size(), 1U) << "it was there before";
  EXPECT_EQ(world.sent_to("b@far.test").size(), 1U);
  EXPECT_EQ(world.sent_to("c@here.example").size(), 1U);
  EXPECT_LT(world.sent_to("circle@here.example").size(), 20U);
  EXPECT_EQ(reports(world).size(), 1U);
  EXPECT_THAT(reports(world)[0].content, HasSubstr("5.4.6"));
  EXPECT_TRUE(world.empty());
}

TEST(Queue, AnAccountInCutoverIsReleasedAtOnce) {
  World world;
  bool moved = false;
  world.serve = [&](const std::string&, const Dispatch& dispatch) {
    return FakeReply{moved ? all(dispatch, Disposition::delivered) : unreachable(dispatch, "the account is being moved"), 1ms};
  };
  for (int i = 0; i < 50; ++i) {
    auto message = world.message("t" + std::to_string(i), {"u@here.example"});
    message.recipients[0].destination = "account:7";
    ASSERT_TRUE(world.accept(std::move(message)));
  }
  world.run_for(3h);
  const auto tries = world.sent.size();
  EXPECT_LT(tries, 120U);
  EXPECT_THAT(world.run(world.queue->why("t5")).value()[0], HasSubstr("being moved"));
  moved = true;
  const auto at = world.milliseconds_now();
  ASSERT_TRUE(world.run(world.queue->release_account(7)));
  world.run_for(10s);
  std::size_t delivered = 0;
  for (const auto& one : world.sent) delivered += one.disposition == Disposition::delivered;
  EXPECT_EQ(delivered, 50U) << "those that were tried of late, too";
  EXPECT_LE(world.sent[tries].time, at + 100);
  world.run_for(10min);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, AdminsHoldReleaseRetryAndDrop) {
  World world;
  world.serve = by_name;
  for (int i = 0; i < 10; ++i) {
    auto message = world.message("t" + std::to_string(i), {"later" + std::to_string(i) + "@d" + std::to_string(i % 2) + ".test"});
    message.sender = i < 5 ? "boss@here.example" : "Bulk@here.example";
    ASSERT_TRUE(world.accept(std::move(message)));
  }
  world.run_for(10s);
  EXPECT_EQ(world.sent.size(), 10U);

  auto held = world.run(world.queue->apply({.sender = "bulk@HERE.example"}, Action::hold)).value();
  EXPECT_EQ(held.jobs, 5U);
  EXPECT_EQ(world.run(world.queue->apply({.sender = "bulk@HERE.example"}, Action::hold))->jobs, 0U) << "they are already";
  EXPECT_EQ(world.run(world.queue->list({.held = true}, "", 100))->jobs.size(), 5U);
  world.sent.clear();
  world.run_for(1h);
  for (const auto& one : world.sent) EXPECT_EQ(one.sender, "boss@here.example");
  EXPECT_FALSE(world.sent.empty());
  EXPECT_THAT(world.run(world.queue->why("t7")).value()[0], HasSubstr("holds it"));

  world.sent.clear();
  EXPECT_EQ(world.run(world.queue->apply({.domain = "d1.test"}, Action::retry))->jobs, 2U) << "held ones stay held";
  world.run_for(1s);
  EXPECT_EQ(world.sent.size(), 2U);

  EXPECT_EQ(world.run(world.queue->apply({.id = "t8"}, Action::release))->jobs, 1U);
  world.sent.clear();
  world.run_for(1s);
  EXPECT_EQ(world.sent.size(), 1U);

  const auto dropped = world.run(world.queue->apply({.error = "GREYlisted"}, Action::drop)).value();
  EXPECT_EQ(dropped.jobs, 10U);
  EXPECT_EQ(dropped.messages, 10U);
  EXPECT_TRUE(world.empty());
  EXPECT_THAT(reports(world), IsEmpty());
  EXPECT_THAT(trace_of(world, "t8"), ::testing::IsSupersetOf({"held", "released", "dropped"}));
  EXPECT_EQ(world.run(world.queue->show("t8")).error().code, "NONEXISTENT");
}

TEST(Queue, HeldMessagesDoNotExpire) {
  World world;
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"later@x.test", "later@y.test"})));
  world.run_for(1s);
  ASSERT_EQ(world.run(world.queue->apply({.domain = "x.test"}, Action::hold))->jobs, 1U);
  world.run_for(24h * 7);
  ASSERT_EQ(world.queue->messages(), 1U);
  EXPECT_EQ(world.run(world.queue->list({}, "", 10))->jobs.size(), 1U) << "the other one did";
  ASSERT_EQ(world.run(world.queue->apply({}, Action::release))->jobs, 1U);
  world.run_for(2h);
  EXPECT_TRUE(world.empty());
  EXPECT_EQ(reports(world).size(), 3U) << "delay, and two failures";
}

TEST(Queue, DroppingWhatIsUnderWay) {
  World world;
  world.serve = [](const std::string&, const Dispatch& dispatch) {
    return FakeReply{all(dispatch, Disposition::permanent, 550, "550 no"), 10s};
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test"})));
  world.run_for(1s);
  EXPECT_EQ(world.queue->active(), 1U);
  EXPECT_THAT(world.run(world.queue->why("a@x.test")).value()[0], HasSubstr("under way"));
  const auto dropped = world.run(world.queue->apply({}, Action::drop)).value();
  EXPECT_EQ(dropped.active, 1U);
  world.run_for(1min);
  EXPECT_EQ(world.sent.size(), 1U);
  EXPECT_THAT(reports(world), IsEmpty());
  EXPECT_TRUE(world.empty());
}

TEST(Queue, ListsInPagesOldestFirst) {
  World world(3);
  world.serve = by_name;
  std::vector<std::string> expected;
  for (int i = 0; i < 57; ++i) {
    auto message = world.message("t" + std::to_string(i), {"later@a.test", "later@b.test"});
    ASSERT_TRUE(world.accept(std::move(message)));
    world.run_for(10ms);
    expected.push_back("t" + std::to_string(i) + " mx:a.test");
    expected.push_back("t" + std::to_string(i) + " mx:b.test");
  }
  for (const std::size_t limit : {1U, 2U, 7U, 113U, 114U, 1'000U}) {
    std::vector<std::string> seen;
    std::string after;
    do {
      const auto page = world.run(world.queue->list({}, after, limit)).value();
      EXPECT_LE(page.jobs.size(), limit);
      for (const auto& job : page.jobs) seen.push_back(job.trace_id + " " + job.destination);
      after = page.next;
    } while (!after.empty());
    EXPECT_EQ(seen, expected) << limit;
  }
  EXPECT_EQ(world.run(world.queue->list({}, "nonsense", 5)).error().fault, Fault::refused);
}

TEST(Queue, FiltersFitWhatTheySay) {
  World world;
  world.serve = by_name;
  auto first = world.message("t1", {"later@a.test"});
  first.recipients[0].given = "alias@here.example";
  auto second = world.message("t2", {"dead@b.test"});
  second.sender.clear();
  ASSERT_TRUE(world.accept(std::move(first)));
  world.run_for(1h);
  ASSERT_TRUE(world.accept(std::move(second)));
  world.run_for(1min);
  const auto id = world.run(world.queue->show("t1")).value()[0].id;
  const std::vector<std::pair<Filter, std::vector<std::string>>> table{
      {{}, {"t1", "t2"}},
      {{.id = "t1"}, {"t1"}},
      {{.id = id}, {"t1"}},
      {{.sender = "<>"}, {"t2"}},
      {{.sender = "@here.example"}, {"t1"}},
      {{.sender = "SENDER@here.example"}, {"t1"}},
      {{.recipient = "Later@a.test"}, {"t1"}},
      {{.recipient = "alias@here.example"}, {"t1"}},
      {{.domain = "B.test"}, {"t2"}},
      {{.destination = "mx:a.test"}, {"t1"}},
      {{.error = "timed OUT"}, {"t2"}},
      {{.error = "4.2.0"}, {"t1"}},
      {{.error = "no such"}, {}},
      {{.older_than = 30min}, {"t1"}},
      {{.younger_than = 30min}, {"t2"}},
      {{.held = true}, {}},
      {{.held = false}, {"t1", "t2"}},
      {{.sender = "<>", .domain = "a.test"}, {}},
  };
  for (std::size_t i = 0; i < table.size(); ++i) {
    std::vector<std::string> seen;
    for (const auto& job : world.run(world.queue->list(table[i].first, "", 10))->jobs) seen.push_back(job.trace_id);
    EXPECT_EQ(seen, table[i].second) << i;
  }
}

TEST(Queue, WhyTellsOfDestinations) {
  World world;
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"dead@x.test"})));
  world.run_for(2min);
  for (const auto* what : {"t1", "dead@x.test", "sender@here.example", "x.test", "mx:x.test"}) {
    const auto lines = world.run(world.queue->why(what)).value();
    ASSERT_FALSE(lines.empty());
    EXPECT_THAT(lines[0], HasSubstr("trouble")) << what;
    EXPECT_THAT(lines[0], HasSubstr("connection timed out")) << what;
  }
  EXPECT_TRUE(world.run(world.queue->why("nobody@x.test")).value().empty());
  const auto shown = world.queue->destinations(10);
  ASSERT_EQ(shown.size(), 1U);
  EXPECT_EQ(shown[0].destination, "mx:x.test");
  EXPECT_GT(shown[0].gate_until, world.seconds_now());
}

TEST(Queue, ARestartFindsEverything) {
  World world(2);
  world.serve = [](const std::string&, const Dispatch& dispatch) { return FakeReply{all(dispatch, Disposition::relayed), 20s}; };
  for (int i = 0; i < 300; ++i)
    ASSERT_TRUE(world.run(world.queue->accept(world.message("t" + std::to_string(i), {"u@d" + std::to_string(i % 30) + ".test"}))));
  world.run_for(15s);
  EXPECT_THAT(world.sent, IsEmpty()) << "attempts are under way";
  world.restart();
  EXPECT_EQ(world.queue->messages(), 300U);
  world.serve = by_name;
  world.run_for(10min);
  EXPECT_EQ(world.sent.size(), 300U);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, WhatCannotBeRecordedIsNotSentAndNothingIsSentTwice) {
  World world;
  auto& engine = *world.memory[0];
  world.serve = [&](const std::string&, const Dispatch& dispatch) {
    if (dispatch.trace_id == "t1") engine.arm(storage::MemoryFault::full, 1);  // the outcome meets a full disk, once
    return FakeReply{all(dispatch, Disposition::relayed)};
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test"})));
  world.run_for(1s);
  EXPECT_EQ(world.sent.size(), 1U) << "recorded again, not sent again";
  EXPECT_TRUE(world.empty());

  auto later = world.message("t2", {"a@y.test"});
  later.hold_until = world.seconds_now() + 60;
  ASSERT_TRUE(world.accept(std::move(later)));
  engine.crash();
  world.sent.clear();
  world.run_for(1h);
  EXPECT_THAT(world.sent, IsEmpty());
  EXPECT_FALSE(world.queue->writable());
  EXPECT_FALSE(world.run(world.queue->accept(world.message("t3", {"a@y.test"}))));
  engine.reopen();
  world.run_for(3h);
  EXPECT_EQ(world.sent.size(), 1U);
  EXPECT_TRUE(world.empty());
}

TEST(Queue, IntakeGoesToAShardThatHasRoom) {
  World world(2);
  world.memory[0]->crash();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(world.run(world.queue->accept(world.message("t" + std::to_string(i), {"later@x.test"}))));
  world.memory[0]->reopen();
  world.memory[0]->arm(storage::MemoryFault::full, 1);
  for (int i = 4; i < 8; ++i) EXPECT_TRUE(world.run(world.queue->accept(world.message("t" + std::to_string(i), {"later@x.test"}))));
  EXPECT_EQ(world.queue->messages(), 8U);
  // A reply that is lost may have been a message that was kept: the client is told, and the other shard is not tried.
  world.memory[0]->arm(storage::MemoryFault::lost_reply, 1);
  world.memory[1]->arm(storage::MemoryFault::lost_reply, 1);
  EXPECT_FALSE(world.run(world.queue->accept(world.message("t9", {"later@x.test"}))));
}

TEST(Queue, ADamagedJobDoesNotStopTheOthers) {
  World world;
  world.serve = [](const std::string&, const Dispatch& dispatch) { return FakeReply{all(dispatch, Disposition::relayed)}; };
  auto held = world.message("t1", {"a@x.test"});
  held.hold_until = world.seconds_now() + 10;
  ASSERT_TRUE(world.accept(std::move(held)));
  std::string key;
  const auto view = world.engines[0]->view().value();
  (void)view->for_each_key([&](storage::AccountId, const storage::KeyValue& entry) {
    if (entry.key.starts_with('J')) key = entry.key;
    return true;
  });
  ASSERT_TRUE(world.run(world.engines[0]->transact(
      storage::AccountId{1}, {}, [&](storage::Txn& txn, std::span<const storage::BlobId>) { return txn.put(key, "damaged"); })));
  ASSERT_TRUE(world.accept(world.message("t2", {"b@x.test"})));
  world.run_for(1min);
  EXPECT_EQ(world.sent_to("b@x.test").size(), 1U);
  ASSERT_TRUE(world.accept(world.message("t3", {"c@x.test"})));
  world.run_for(1min);
  EXPECT_EQ(world.sent_to("c@x.test").size(), 1U);
  EXPECT_TRUE(world.run(world.queue->list({}, "", 10)));
}

// One reverse-path for the direct recipient, a rewritten one for a forward: one content, one transaction.
TEST(Queue, SeveralReversePathsOneTransaction) {
  World world;
  auto direct = world.message("t1", {"later@x.test"});
  auto forward = direct;
  forward.sender = "srs0=x=y=there.example=a@here.example";
  forward.recipients[0].address = "later@y.test";
  forward.recipients[0].destination = "mx:y.test";
  world.serve = by_name;
  std::vector<NewMessage> both{direct, forward};
  const auto commits = world.memory[0]->commits();
  ASSERT_TRUE(world.run(world.queue->accept(both)));
  EXPECT_EQ(world.memory[0]->commits(), commits + 1);
  EXPECT_EQ(world.memory[0]->stats()->blobs, 1U);
  world.run_for(1s);
  EXPECT_EQ(world.run(world.queue->show("t1"))->size(), 2U);
  both[1].recipients.clear();
  EXPECT_EQ(world.run(world.queue->accept(both)).error().fault, Fault::refused);
  EXPECT_EQ(world.queue->messages(), 2U);
}

// Random faults, restarts and replies: in the end every recipient was reached or its failure told, and the store is empty.
TEST(Queue, EverythingComesToAnEndThroughFaultsAndRestarts) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  QueueOptions options;
  options.lifetime = 12h;
  World world(2, options, Rules(Rule{.retry = {.first = 30s, .longest = 600s, .factor = 2, .jitter = 0.2}}, Rules::local_rule(), {}));
  world.serve = [&](const std::string& destination, const Dispatch& dispatch) {
    auto reply = by_name(destination, dispatch);
    reply.takes = milliseconds(random() % 5'000);
    if (random() % 10 == 0) return FakeReply{unreachable(dispatch), 30s};
    for (auto& one : reply.outcome.recipients) {
      if (one.disposition == Disposition::relayed && random() % 3 == 0) one.disposition = Disposition::temporary;
    }
    if (random() % 20 == 0) reply.outcome.health = Health::busy;
    if (random() % 20 == 0) reply.outcome.open = false;
    return reply;
  };
  std::set<std::string> accepted;
  int restarts = 0;
  for (int i = 0; i < 300; ++i) {
    if (random() % 15 == 0) {
      world.memory[random() % 2]->arm(static_cast<storage::MemoryFault>(1 + random() % 3), 1 + random() % 3);
    }
    auto message = world.message("t" + std::to_string(i), {});
    for (auto n = 1 + random() % 4; n > 0; --n) {
      const auto kind = std::array{"ok", "no", "later", "ok", "ok"}[random() % 5];
      const auto address = kind + std::to_string(i) + "-" + std::to_string(n) + "@d" + std::to_string(random() % 7) + ".test";
      message.recipients.push_back(
          {.address = address, .given = {}, .original = {}, .notify = {}, .destination = "mx:" + address.substr(address.find('@') + 1)});
    }
    const auto addresses = message.recipients;
    if (world.run(world.queue->accept(std::move(message)))) {
      for (const auto& one : addresses) accepted.insert(one.address);
    }
    world.run_for(milliseconds(random() % 60'000));
    if (random() % 10 == 0 || !world.memory[0]->writable() || !world.memory[1]->writable()) {
      ++restarts;
      world.restart();
      for (auto& engine : world.memory) {
        engine->arm(storage::MemoryFault::none, 1);
        engine->reopen();
      }
      world.restart();
    }
  }
  world.run_for(24h * 7);
  EXPECT_TRUE(world.empty()) << world.keys().size();
  EXPECT_GT(restarts, 5);
  std::set<std::string> settled;
  std::string told;
  for (const auto& one : world.sent) {
    if (one.disposition == Disposition::relayed) settled.insert(one.address);
    told += one.content;
  }
  for (const auto& address : accepted) EXPECT_TRUE(settled.contains(address) || told.contains(address)) << address;
}

}  // namespace
}  // namespace relais::smtp::queue
