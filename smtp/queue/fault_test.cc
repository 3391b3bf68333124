// What must not come of faults and of two things that happen at once: lost mail, mail sent again and again, wrong reports.
#include "smtp/queue/queue.h"
#include "smtp/queue/record.h"
#include "smtp/queue/store.h"
#include "smtp/queue/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

namespace relais::smtp::queue {
namespace {

using namespace testing;
using namespace std::chrono_literals;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

/// Temporary for "later", permanent for "no", unreachable for "dead", else taken.
FakeReply by_name(const std::string&, const Dispatch& dispatch) {
  Outcome outcome = all(dispatch, Disposition::relayed);
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    const auto& address = dispatch.recipients[i].address;
    auto& one = outcome.recipients[i];
    if (address.starts_with("dead")) return {unreachable(dispatch), 10s};
    if (address.starts_with("no"))
      one = {.disposition = Disposition::permanent, .code = 550, .status = "5.1.1", .text = "550 5.1.1 nobody", .host = {}, .remote = true};
    if (address.starts_with("later"))
      one = {.disposition = Disposition::temporary, .code = 450, .status = "4.2.0", .text = "450 4.2.0 later", .host = {}, .remote = true};
  }
  return {outcome};
}

class QueueFault : public ::testing::Test {
 protected:
  static Rules retry_after(seconds pause) {
    return {Rule{.retry = {.first = pause, .longest = pause, .factor = 1, .jitter = 0}}, Rules::local_rule(), {}};
  }
  static std::vector<Sent> reports(const World& world) { return world.sent_to("sender@here.example"); }
  /// Another hand on the world's first shard: what lanes of other threads or an administrator do at the same time.
  static QueueShard other_hand(World& world) { return {*world.engines[0], 0, world.clock}; }
  static MessageId id_of(World& world, const std::string& trace_id) { return other_hand(world).by_trace_id(trace_id).value().at(0); }
  static void change(World& world, const std::function<Result<void>(storage::Txn&)>& what) {
    const auto body = [&](storage::Txn& txn, std::span<const storage::BlobId>) { return what(txn); };
    ASSERT_TRUE(world.run(world.engines[0]->transact(kQueueAccount, {}, body)));
  }
  static std::vector<std::string> trace_of(const World& world, std::string_view id) {
    std::vector<std::string> out;
    for (const auto& event : world.trace.events()) {
      if (event.id == id) out.push_back(std::string(to_string(event.kind)) + " " + event.detail);
    }
    return out;
  }
};

TEST_F(QueueFault, WhomAnAttemptHasReachedBeforeTheClaimIsNotToldOfAsExpired) {
  QueueOptions options;
  options.lifetime = 1h;
  options.delay_notice = 0s;
  World world(1, options, retry_after(7200s));
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"later@a.test", "later-one@b.test", "later-two@b.test"})));
  world.run_for(59min);
  world.route_takes = 60s;  // so long does the report about a.test take, and meanwhile …
  world.run_for(2min, [&] { return world.seconds_now() % 3600 == 0; });
  world.run_for(30s);
  EXPECT_THAT(reports(world), IsEmpty());
  auto shard = other_hand(world);
  const JobRef job{id_of(world, "t1"), "mx:b.test"};
  const auto loaded = shard.load(job.id, job.destination).value();
  JobUpdate update{.job = job, .due = world.seconds_now() + 7200};
  update.recipients.push_back({.number = loaded->job.recipients[0].number, .state = RecipientState::relayed});
  ASSERT_TRUE(world.run(shard.update(update))->found);  // … an attempt reaches one of b.test's
  world.run_for(5min);
  ASSERT_THAT(reports(world), SizeIs(2));
  const auto about_b = reports(world)[1].content;
  EXPECT_THAT(about_b, AllOf(HasSubstr("4.4.7"), HasSubstr("later-two@b.test"), Not(HasSubstr("later-one@b.test"))));
  EXPECT_TRUE(world.empty());
}

// Two that move a job at once, and tell the scheduler in the wrong order: what it knows is an old time.
TEST_F(QueueFault, AJobThatIsDueAtAnotherTimeThanWasToldIsFoundThere) {
  World world(1, {}, {Rule{.concurrency = 1}, Rules::local_rule(), {}});
  world.serve = [](const std::string&, const Dispatch& dispatch) { return FakeReply{all(dispatch, Disposition::relayed), 60s}; };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test"})));
  world.run_for(1s);
  ASSERT_TRUE(world.accept(world.message("t2", {"b@x.test"})));  // waits for the one connection, as due now
  auto shard = other_hand(world);
  ASSERT_TRUE(world.run(shard.update(JobUpdate{.job = {id_of(world, "t2"), "mx:x.test"}, .due = world.seconds_now() + 600}))->found);
  world.run_for(9min);
  EXPECT_THAT(world.sent, SizeIs(1));
  world.run_for(4min);
  EXPECT_THAT(world.sent, SizeIs(2));
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, WhatBecomesDueWhileAShardTakesNothingIsDoneAfterwards) {
  QueueOptions options;
  options.lifetime = 1h;
  options.delay_notice = 0s;
  World world(1, options, retry_after(48h));  // it is the clock that ends the message, no attempt
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"later@x.test"})));
  world.run_for(50min);
  world.memory[0]->crash();
  world.run_for(1h);
  EXPECT_THAT(reports(world), IsEmpty());
  world.memory[0]->reopen();
  world.run_for(1min);
  ASSERT_THAT(reports(world), SizeIs(1));
  EXPECT_THAT(reports(world)[0].content, HasSubstr("4.4.7"));
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, AnOutcomeThatCanNeverBeRecordedIsNotSentAgainAndAgain) {
  World world;
  world.serve = [](const std::string& destination, const Dispatch& dispatch) {
    auto reply = by_name(destination, dispatch);
    if (dispatch.trace_id == "t1") reply.outcome.once.push_back({.account = 7, .shard = 0});
    return reply;
  };
  auto message = world.message("t1", {"a@x.test"});
  message.hold_until = world.seconds_now() + 5;
  ASSERT_TRUE(world.accept(std::move(message)));
  const auto key = forget_key(id_of(world, "t1"), "mx:x.test");  // which the outcome has to be added to
  change(world, [&](storage::Txn& txn) { return txn.put(key, "damaged"); });
  world.run_for(1h);
  EXPECT_THAT(world.sent_to("a@x.test"), SizeIs(1));
  EXPECT_EQ(world.queue->active(), 0U);
  ASSERT_TRUE(world.accept(world.message("t2", {"b@x.test"})));
  world.run_for(1min);
  EXPECT_THAT(world.sent_to("b@x.test"), SizeIs(1)) << "the others of the destination go on";
  EXPECT_EQ(world.run(world.queue->apply({.id = "t1"}, Action::hold))->jobs, 1U) << "it is still there";
}

TEST_F(QueueFault, TheSenderHearsOfAMessageWhoseContentIsGone) {
  World world;
  world.serve = by_name;
  auto message = world.message("t1", {"no@x.test"});
  message.hold_until = world.seconds_now() + 5;
  ASSERT_TRUE(world.accept(std::move(message)));
  const auto record = other_hand(world).message(id_of(world, "t1")).value();
  change(world, [&](storage::Txn& txn) { return txn.release_blob(record->content); });
  world.run_for(1min);
  EXPECT_THAT(world.sent_to("no@x.test"), SizeIs(1));
  ASSERT_THAT(reports(world), SizeIs(1));
  EXPECT_THAT(reports(world)[0].content, HasSubstr("550 5.1.1 nobody"));
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, AStopRecordsWhatNeedsNoReport) {
  World world;
  world.serve = by_name;
  world.route = [](const std::string&) -> Result<std::string> { return fail(Fault::temporary, "directory is down"); };
  ASSERT_TRUE(world.accept(world.message("t1", {"ok@x.test", "no@x.test"})));
  world.run_for(1min, [&] { return world.sent.size() == 2; });
  while (!world.queue->stop()) world.loop.step(false);
  world.restart();
  world.route = {};
  world.run_for(1h);
  EXPECT_THAT(world.sent_to("ok@x.test"), SizeIs(1)) << "it was reached, and that was recorded";
  EXPECT_THAT(world.sent_to("no@x.test"), SizeIs(2));
  EXPECT_THAT(reports(world), SizeIs(1));
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, WhatADroppedMessageCameToIsTraced) {
  World world;
  world.serve = [](const std::string& destination, const Dispatch& dispatch) {
    auto reply = by_name(destination, dispatch);
    reply.takes = 10s;
    return reply;
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"ok@x.test", "no@x.test", "later@x.test"})));
  world.run_for(1s);
  ASSERT_EQ(world.run(world.queue->apply({}, Action::drop))->active, 1U);
  world.run_for(1min);
  const auto traced = trace_of(world, "t1");
  EXPECT_THAT(traced, Contains(::testing::StartsWith("relayed")));
  EXPECT_THAT(traced, Contains("attempt it was dropped meanwhile").Times(2));
  EXPECT_THAT(traced, Each(Not(::testing::StartsWith("bounced"))));
  EXPECT_THAT(reports(world), IsEmpty());
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, ADamagedDeliveryIdDoesNotKeepTheOthers) {
  World world;
  change(world, [](storage::Txn& txn) { return txn.put(forget_key(1, "local"), "damaged"); });
  world.serve = [](const std::string&, const Dispatch& dispatch) {
    auto outcome = all(dispatch, Disposition::delivered);
    outcome.once.push_back({.account = 7, .shard = 0});
    return FakeReply{outcome};
  };
  ASSERT_TRUE(world.accept(world.message("t1", {"a@x.test"})));
  world.run_for(1min);
  EXPECT_THAT(world.keys(), SizeIs(1)) << "the damaged one alone";
}

TEST_F(QueueFault, WhoeverSaysLaterForeverIsGivenUpWithItsOwnWords) {
  World world;
  world.serve = by_name;
  ASSERT_TRUE(world.accept(world.message("t1", {"later@x.test"})));
  world.run_for(24h * 6);
  EXPECT_THAT(world.sent_to("later@x.test"), SizeIs(::testing::AllOf(::testing::Gt(50U), ::testing::Lt(100U))));
  ASSERT_THAT(reports(world), SizeIs(2));
  EXPECT_THAT(reports(world)[0].content, AllOf(HasSubstr("Action: delayed"), HasSubstr("450 4.2.0 later")));
  EXPECT_THAT(reports(world)[1].content, AllOf(HasSubstr("Action: failed"), HasSubstr("Status: 4.4.7"), HasSubstr("450 4.2.0 later")));
  EXPECT_TRUE(world.empty());
}

// RFC 2852 §4.1.3
TEST_F(QueueFault, AfterTheTimeOfDeliverByNoAttemptIsMade) {
  World world(1, {}, retry_after(2s));
  world.serve = by_name;
  auto give_up = world.message("t1", {"later@x.test"});
  give_up.deliver_by = world.seconds_now() + 61;  // the clock's look at it comes some seconds afterwards
  give_up.by_mode = ByMode::give_up;
  const auto limit = give_up.deliver_by;
  ASSERT_TRUE(world.accept(std::move(give_up)));
  world.run_for(3min);
  EXPECT_GT(world.sent_to("later@x.test").size(), 20U);
  for (const auto& one : world.sent_to("later@x.test")) EXPECT_LE(one.time, limit * 1'000 + 20);
  ASSERT_THAT(reports(world), SizeIs(1));
  EXPECT_THAT(reports(world)[0].content, AllOf(HasSubstr("Action: failed"), HasSubstr("Status: 5.4.7")));
  EXPECT_TRUE(world.empty());
}

TEST_F(QueueFault, AnAttemptThatOutlastsTheTimeOfDeliverByTellsWhy) {
  World world;
  world.serve = [](const std::string& destination, const Dispatch& dispatch) {
    auto reply = by_name(destination, dispatch);
    if (!dispatch.report) reply.takes = 90s;
    return reply;
  };
  auto give_up = world.message("t1", {"later@x.test"});
  give_up.deliver_by = world.seconds_now() + 60;
  give_up.by_mode = ByMode::give_up;
  ASSERT_TRUE(world.accept(std::move(give_up)));
  auto tell = world.message("t2", {"later@y.test"});
  tell.deliver_by = world.seconds_now() + 60;
  tell.by_mode = ByMode::notify;
  ASSERT_TRUE(world.accept(std::move(tell)));
  world.run_for(3min);
  ASSERT_THAT(reports(world), SizeIs(2));
  const auto both = reports(world)[0].content + reports(world)[1].content;
  EXPECT_THAT(both, AllOf(HasSubstr("Action: failed\r\nStatus: 5.4.7"), HasSubstr("Action: delayed\r\nStatus: 4.4.7")));
}

// RFC 8689 §5
TEST_F(QueueFault, AReportAboutMailThatRequiresTlsRequiresItToo) {
  World world;
  bool required = false;
  world.serve = [&](const std::string& destination, const Dispatch& dispatch) {
    if (dispatch.report) required = dispatch.require_tls;
    return by_name(destination, dispatch);
  };
  auto message = world.message("t1", {"no@x.test"}, "a secret\r\n");
  message.require_tls = true;
  message.ret = Ret::full;
  ASSERT_TRUE(world.accept(std::move(message)));
  world.run_for(1min);
  ASSERT_THAT(reports(world), SizeIs(1));
  EXPECT_TRUE(required);
  EXPECT_THAT(reports(world)[0].content, AllOf(HasSubstr("Subject: t1"), Not(HasSubstr("a secret"))));
}

}  // namespace
}  // namespace relais::smtp::queue
