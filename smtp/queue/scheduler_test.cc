// The scheduler's decisions, with the backlog in a map: gates, shares, turns, rates, cursors.
#include "smtp/queue/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <random>

namespace relais::smtp::queue {
namespace {

using Step = Scheduler::Step;

/// A backlog outside the scheduler, and lanes that are moved by hand.
struct Bench {
  explicit Bench(std::uint32_t connections = 100, Rule rule = {})
      : rule_(rule), scheduler(connections, 1, [this](std::string_view) { return rule_; }, [] { return 0.5; }) {}

  void add(const std::string& destination, MessageId id, std::int64_t due = 0, PriorityClass priority = 2) {
    const Position position{priority, due, id};
    backlog[destination].insert(position);
    scheduler.added(destination, 0, position, now);
  }
  DueJobs due(const std::string& destination, const ScanRequest& request) const {
    ++looks;
    DueJobs found;
    const auto all = backlog.find(destination);
    if (all == backlog.end()) return found;
    for (auto at = all->second.lower_bound(request.from); at != all->second.end() && at->priority == request.from.priority; ++at) {
      if (at->due * 1'000 > now || found.jobs.size() >= request.limit) {
        found.next = *at;
        break;
      }
      found.jobs.push_back(*at);
    }
    return found;
  }
  /// What the lane does next, looking included.
  Scheduler::Next next(Scheduler::Turn& turn) {
    for (;;) {
      auto step = scheduler.next(turn, now);
      for (const auto& scan : step.scans) scheduler.scanned(turn, scan, due(turn.name(), scan), now);
      if (step.step == Step::look) continue;
      return step;
    }
  }
  void finish(Scheduler::Turn& turn, const Ticket& ticket, Health health = Health::good) {
    backlog[turn.name()].erase(ticket.position);
    scheduler.done(turn, ticket, health, "trouble", false, now);
  }
  /// Lanes that start now, by destination.
  std::vector<Scheduler::Turn> start_all() {
    std::vector<Scheduler::Turn> turns;
    while (auto turn = scheduler.start(now)) turns.push_back(std::move(*turn));
    return turns;
  }
  static std::map<std::string, int> count(const std::vector<Scheduler::Turn>& turns) {
    std::map<std::string, int> out;
    for (const auto& turn : turns) ++out[turn.name()];
    return out;
  }

  Rule rule_;
  Instant now = 1'000'000;
  std::map<std::string, std::set<Position>> backlog;
  mutable std::uint64_t looks = 0;
  Scheduler scheduler;
};

TEST(QueueScheduler, OneMessageOneLane) {
  Bench bench;
  bench.add("mx:a", 1);
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 1U);
  const auto step = bench.next(turns[0]);
  ASSERT_EQ(step.step, Step::job);
  EXPECT_EQ(step.ticket.position.id, 1U);
  EXPECT_TRUE(bench.scheduler.in_flight("mx:a", 0, 1));
  EXPECT_TRUE(bench.start_all().empty());
  bench.finish(turns[0], step.ticket);
  EXPECT_EQ(bench.next(turns[0]).step, Step::end);
  bench.scheduler.ended(turns[0], bench.now);
  EXPECT_EQ(bench.scheduler.lanes(), 0U);
  EXPECT_EQ(bench.scheduler.remembered(), 0U);
}

TEST(QueueScheduler, NothingIsStartedBeforeItIsDue) {
  Bench bench;
  bench.add("mx:a", 1, 2'000);
  EXPECT_TRUE(bench.start_all().empty());
  EXPECT_EQ(bench.scheduler.wake(), 2'000'000);
  bench.now = 1'999'999;
  EXPECT_TRUE(bench.start_all().empty());
  bench.now = 2'000'000;
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 1U);
  EXPECT_EQ(bench.next(turns[0]).step, Step::job);
}

TEST(QueueScheduler, ABacklogIsWorkedOffInOrderWithLittleMemory) {
  Bench bench;
  for (MessageId id = 1; id <= 5'000; ++id)
    bench.add("mx:a", id, static_cast<std::int64_t>(id % 3), static_cast<PriorityClass>(id % 2 + 1));
  EXPECT_LT(bench.scheduler.remembered(), 100U);
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 2U);
  Position last{};
  std::size_t jobs = 0;
  for (;;) {
    turns[0].jobs = 0;  // a connection without end
    const auto step = bench.next(turns[0]);
    if (step.step != Step::job) break;
    EXPECT_LT(last, step.ticket.position);
    last = step.ticket.position;
    ++jobs;
    EXPECT_LT(bench.scheduler.remembered(), 100U);
    bench.finish(turns[0], step.ticket);
  }
  EXPECT_EQ(jobs, 5'000U);
  EXPECT_TRUE(bench.backlog["mx:a"].empty());
  EXPECT_LT(bench.looks, 400U);
}

// Whatever comes in between looks, jobs in flight and jobs that are put elsewhere: every job is had in the end, and never by two lanes.
TEST(QueueScheduler, NoJobIsForgottenOrHadTwice) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 30; ++round) {
    Rule rule;
    rule.messages_per_connection = 1 + random() % 30;
    Bench bench(1 + random() % 12, rule);
    std::vector<Scheduler::Turn> turns;
    struct Flight {
      std::size_t turn;
      Ticket ticket;
    };
    std::vector<Flight> flights;
    struct Look {
      std::size_t turn;
      ScanRequest request;
      DueJobs found;
      bool then_job;
    };
    std::vector<Look> looks;
    std::set<std::pair<std::string, MessageId>> had;
    std::map<std::string, std::map<MessageId, Position>> places;
    std::set<MessageId> done;
    MessageId next_id = 0;
    std::uint64_t created = 0;
    const auto draw = [&random](unsigned below) { return static_cast<std::int64_t>(random() % below); };
    const auto put = [&](const std::string& destination, MessageId id, std::int64_t due) {
      const Position position{static_cast<PriorityClass>(id % 4), due, id};
      if (const auto old = places[destination].find(id); old != places[destination].end()) bench.backlog[destination].erase(old->second);
      places[destination][id] = position;
      bench.backlog[destination].insert(position);
      bench.scheduler.added(destination, 0, position, bench.now);
    };
    for (int i = 0; i < 4'000 || done.size() < created; ++i) {
      ASSERT_LT(i, 4'000'000) << done.size() << " of " << created;
      const bool draining = i >= 4'000;
      const auto seconds = bench.now / 1'000;
      switch (random() % 8) {
        case 0:
          if (!draining) {
            ++created;
            put("mx:" + std::to_string(random() % 4), ++next_id, seconds + (random() % 3 == 0 ? draw(50) : 0));
          }
          break;
        case 1: bench.now += static_cast<Instant>(random() % 3'000); break;
        case 2:
        case 3:
          if (auto turn = bench.scheduler.start(bench.now)) turns.push_back(std::move(*turn));
          break;
        case 4: {  // a lane asks
          std::vector<std::size_t> idle;
          for (std::size_t t = 0; t < turns.size(); ++t) {
            const bool busy = std::ranges::any_of(flights, [t](const Flight& f) { return f.turn == t; }) ||
                              std::ranges::any_of(looks, [t](const Look& l) { return l.turn == t; });
            if (turns[t].destination && !busy) idle.push_back(t);
          }
          if (idle.empty()) break;
          const auto t = idle[random() % idle.size()];
          const auto name = turns[t].name();
          const auto step = bench.scheduler.next(turns[t], bench.now);
          for (const auto& scan : step.scans) looks.push_back({t, scan, bench.due(name, scan), false});
          if (step.step == Step::job) {
            EXPECT_TRUE(had.emplace(name, step.ticket.position.id).second) << "two lanes have it";
            flights.push_back({t, step.ticket});
          } else if (step.step == Step::end) {
            bench.scheduler.ended(turns[t], bench.now);
          }
          break;
        }
        case 5: {  // a look that was taken some time ago comes in
          if (looks.empty()) break;
          const auto at = random() % looks.size();
          const auto look = looks[at];
          looks.erase(looks.begin() + static_cast<std::ptrdiff_t>(at));
          bench.scheduler.scanned(turns[look.turn], look.request, look.found, bench.now);
          break;
        }
        case 6: {  // an attempt ends
          if (flights.empty()) break;
          const auto at = random() % flights.size();
          const auto flight = flights[at];
          if (std::ranges::any_of(looks, [&](const Look& l) { return l.turn == flight.turn; })) break;  // it looks first
          flights.erase(flights.begin() + static_cast<std::ptrdiff_t>(at));
          auto& turn = turns[flight.turn];
          const auto name = turn.name();
          const auto id = flight.ticket.position.id;
          had.erase({name, id});
          const auto place = places[name].find(id);
          if (place == places[name].end() || place->second != flight.ticket.position) {
            bench.scheduler.stale(turn, flight.ticket, bench.now);
          } else if (random() % 3 != 0) {
            bench.backlog[name].erase(place->second);
            places[name].erase(place);
            EXPECT_TRUE(done.insert(id).second);
            bench.scheduler.done(turn, flight.ticket, random() % 20 == 0 ? Health::busy : Health::good, "t", false, bench.now);
          } else if (random() % 4 == 0) {
            bench.scheduler.done(turn, flight.ticket, Health::unreachable, "t", true, bench.now);  // never was begun
          } else if (random() % 2 == 0) {
            put(name, id, seconds + 1 + draw(30));
            bench.scheduler.done(turn, flight.ticket, random() % 5 == 0 ? Health::unreachable : Health::good, "t", false, bench.now);
          } else {
            bench.scheduler.done(turn, flight.ticket, Health::good, "t", false, bench.now);
            put(name, id, seconds + 1 + draw(30));
          }
          break;
        }
        default: {  // an admin retries one, in flight or not
          const auto name = "mx:" + std::to_string(random() % 4);
          if (places[name].empty() || random() % 5 != 0) break;
          auto at = places[name].begin();
          std::advance(at, random() % places[name].size());
          put(name, at->first, seconds);
          if (random() % 2 == 0) bench.scheduler.open_gate(name, bench.now);
          break;
        }
      }
    }
    EXPECT_EQ(done.size(), created);
  }
}

TEST(QueueScheduler, AGateKeepsTheRestOfADeadDestinationFromBeingTried) {
  Rule rule;
  rule.retry = {.first = std::chrono::seconds(100), .longest = std::chrono::seconds(1'000), .factor = 2.0, .jitter = 0.0};
  Bench bench(100, rule);
  for (MessageId id = 1; id <= 1'000; ++id) bench.add("mx:dead", id);
  std::uint64_t attempts = 0;
  std::vector<Instant> tried;
  const auto end = bench.now + 3'600 * 1'000;
  while (bench.now < end) {
    auto turns = bench.start_all();
    // All of them fail together.
    std::vector<std::pair<std::size_t, Ticket>> jobs;
    for (std::size_t i = 0; i < turns.size(); ++i) {
      const auto step = bench.next(turns[i]);
      if (step.step == Step::job) jobs.emplace_back(i, step.ticket);
    }
    for (const auto& [i, ticket] : jobs) {
      ++attempts;
      tried.push_back(bench.now);
      bench.finish(turns[i], ticket, Health::unreachable);
      bench.add("mx:dead", ticket.position.id, bench.now / 1'000 + 500);
    }
    for (auto& turn : turns) {
      EXPECT_EQ(bench.next(turn).step, Step::end);
      bench.scheduler.ended(turn, bench.now);
    }
    EXPECT_LT(bench.scheduler.remembered(), 10U);
    bench.now = std::max(bench.now + 1, std::min(bench.scheduler.wake(), end));
  }
  // Two at first, then one after 100, 200, 400, 800, 1,000, 1,000 seconds.
  EXPECT_EQ(attempts, 2U + 6U);
  EXPECT_EQ(tried[2] - tried[1], 100'000);
  EXPECT_EQ(tried[3] - tried[2], 200'000);
}

TEST(QueueScheduler, AProbeThatSucceedsOpensTheGate) {
  Bench bench;
  for (MessageId id = 1; id <= 10; ++id) bench.add("mx:a", id);
  auto first = bench.scheduler.start(bench.now);
  bench.finish(*first, bench.next(*first).ticket, Health::unreachable);
  bench.scheduler.ended(*first, bench.now);
  EXPECT_TRUE(bench.start_all().empty());
  EXPECT_EQ(bench.scheduler.shut(), 1U);
  const auto shown = bench.scheduler.describe("mx:a").value();
  EXPECT_EQ(shown.failures, 1U);
  EXPECT_EQ(shown.trouble, "trouble");
  bench.now = bench.scheduler.wake();
  auto probe = bench.start_all();
  ASSERT_EQ(probe.size(), 1U) << "one lane probes";
  const auto step = bench.next(probe[0]);
  EXPECT_TRUE(bench.start_all().empty());
  bench.finish(probe[0], step.ticket);
  EXPECT_EQ(bench.scheduler.shut(), 0U);
  EXPECT_FALSE(bench.start_all().empty());
}

TEST(QueueScheduler, AnAdminOpensTheGate) {
  Bench bench;
  bench.add("mx:a", 1);
  bench.add("mx:a", 2);
  auto first = bench.scheduler.start(bench.now);
  bench.finish(*first, bench.next(*first).ticket, Health::unreachable);
  bench.scheduler.ended(*first, bench.now);
  bench.scheduler.open_gate("mx:a", bench.now);
  EXPECT_EQ(bench.start_all().size(), 1U);
}

TEST(QueueScheduler, ConcurrencyGrowsWithSuccessAndShrinksWithTrouble) {
  Rule rule;
  rule.concurrency = 6;
  rule.messages_per_connection = 1'000'000;
  Bench bench(100, rule);
  for (MessageId id = 1; id <= 1'000; ++id) bench.add("mx:a", id);
  std::vector<Scheduler::Turn> turns;
  const auto grow = [&] {
    for (auto& turn : bench.start_all()) turns.push_back(std::move(turn));
  };
  grow();
  EXPECT_EQ(turns.size(), 2U);
  for (int i = 0; i < 2; ++i) {
    const auto step = bench.next(turns[0]);
    bench.finish(turns[0], step.ticket);
  }
  grow();
  EXPECT_EQ(turns.size(), 3U) << "one more after a round";
  for (int i = 0; i < 100; ++i) bench.finish(turns[0], bench.next(turns[0]).ticket);
  grow();
  EXPECT_EQ(turns.size(), 6U) << "no more than the rule allows";
  bench.finish(turns[0], bench.next(turns[0]).ticket, Health::busy);
  EXPECT_EQ(bench.scheduler.describe("mx:a")->limit, 3U);
  std::size_t left = 0;
  for (auto& turn : turns) left += bench.next(turn).step == Step::job ? 1U : 0U;
  EXPECT_EQ(left, 3U);
}

TEST(QueueScheduler, OneRefusedConnectionAmongGoodOnesShutsNothing) {
  Bench bench;
  for (MessageId id = 1; id <= 100; ++id) bench.add("mx:a", id);
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 2U);
  bench.finish(turns[0], bench.next(turns[0]).ticket);
  bench.finish(turns[1], bench.next(turns[1]).ticket, Health::unreachable);
  EXPECT_EQ(bench.scheduler.shut(), 0U);
  EXPECT_EQ(bench.scheduler.describe("mx:a")->limit, 1U);
}

TEST(QueueScheduler, AHostThatTakesSoManyIsNotAskedForMoreAtOnce) {
  Rule rule;
  rule.messages_per_connection = 1'000'000;
  rule.retry.first = std::chrono::seconds(60);
  Bench bench(100, rule);
  for (MessageId id = 1; id <= 1'000; ++id) bench.add("mx:a", id);
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 2U);
  for (auto& turn : turns) bench.finish(turn, bench.next(turn).ticket);
  auto third = bench.scheduler.start(bench.now);
  ASSERT_TRUE(third);
  EXPECT_TRUE(bench.scheduler.others_get_through(*third));
  bench.finish(*third, bench.next(*third).ticket, Health::unreachable);
  bench.scheduler.ended(*third, bench.now);
  EXPECT_EQ(bench.scheduler.describe("mx:a")->limit, 2U) << "those that are there stay";
  const auto succeed = [&](int times) {
    for (int i = 0; i < times; ++i) bench.finish(turns[0], bench.next(turns[0]).ticket);
  };
  succeed(50);
  EXPECT_FALSE(bench.scheduler.start(bench.now)) << "no more for a while, whatever succeeds";
  bench.now += 120'000;
  succeed(2);
  EXPECT_TRUE(bench.scheduler.start(bench.now)) << "then another is tried";
}

TEST(QueueScheduler, AlwaysBusyShutsTheGateInTheEnd) {
  Bench bench;
  for (MessageId id = 1; id <= 100; ++id) bench.add("mx:a", id);
  for (int i = 0; i < 5; ++i) {
    auto turn = bench.scheduler.start(bench.now);
    ASSERT_TRUE(turn) << i;
    bench.finish(*turn, bench.next(*turn).ticket, Health::busy);
    bench.scheduler.ended(*turn, bench.now);
  }
  EXPECT_EQ(bench.scheduler.shut(), 1U);
}

TEST(QueueScheduler, DestinationsTakeTurns) {
  Bench bench(12);
  for (const auto* name : {"mx:a", "mx:b", "mx:c", "mx:d"})
    for (MessageId id = 1; id <= 50; ++id) bench.add(name, id);
  const auto turns = bench.start_all();
  EXPECT_EQ(Bench::count(turns).size(), 4U) << "nobody gets a second one before everybody has the first";
  EXPECT_LE(turns.size(), 6U);
}

TEST(QueueScheduler, ASlowDestinationHoldsNoMoreThanItsShareOnceOthersCome) {
  Rule rule;
  rule.concurrency = 100;
  rule.initial_concurrency = 100;
  Bench bench(40, rule);
  for (MessageId id = 1; id <= 500; ++id) bench.add("mx:slow", id);
  std::vector<Scheduler::Turn> slow;
  auto known = bench.scheduler.start(bench.now);
  bench.finish(*known, bench.next(*known).ticket);
  EXPECT_EQ(bench.next(*known).step, Step::job);
  slow.push_back(std::move(*known));
  for (auto more = bench.start_all(); !more.empty(); more = bench.start_all()) {
    for (auto& turn : more) {
      EXPECT_EQ(bench.next(turn).step, Step::job);
      slow.push_back(std::move(turn));
    }
  }
  EXPECT_EQ(slow.size(), 30U) << "alone it has three quarters";
  for (int i = 0; i < 10; ++i)
    for (MessageId id = 1; id <= 5; ++id) bench.add("mx:fast" + std::to_string(i), id);
  const auto fast = Bench::count(bench.start_all());
  EXPECT_EQ(fast.size(), 10U) << "all of them are served at once";
}

TEST(QueueScheduler, DestinationsInTroubleHoldNoMoreThanAQuarter) {
  Bench bench(40);
  for (int i = 0; i < 100; ++i)
    for (MessageId id = 1; id <= 5; ++id) bench.add("mx:dead" + std::to_string(i), id);
  for (int round = 0; round < 30; ++round) {
    auto turns = bench.start_all();
    std::vector<Ticket> tickets;
    for (auto& turn : turns) {
      const auto step = bench.next(turn);
      ASSERT_EQ(step.step, Step::job);
      tickets.push_back(step.ticket);
    }
    if (round > 10) EXPECT_LE(turns.size(), 10U);
    for (std::size_t i = 0; i < turns.size(); ++i) {
      bench.finish(turns[i], tickets[i], Health::unreachable);
      bench.add(turns[i].name(), tickets[i].position.id, bench.now / 1'000);
      bench.scheduler.ended(turns[i], bench.now);
    }
    if (bench.scheduler.shut() == 100) bench.now = std::max(bench.now + 1'000, bench.scheduler.wake());
  }
}

TEST(QueueScheduler, UnknownDestinationsHoldNoMoreThanHalf) {
  Bench bench(40);
  bench.add("mx:known", 1);
  auto known = bench.scheduler.start(bench.now);
  bench.finish(*known, bench.next(*known).ticket);
  bench.scheduler.ended(*known, bench.now);
  for (int i = 0; i < 100; ++i)
    for (MessageId id = 1; id <= 5; ++id) bench.add("mx:fresh" + std::to_string(i), id);
  const auto fresh = bench.start_all();
  EXPECT_EQ(fresh.size(), 20U);
  for (MessageId id = 2; id <= 9; ++id) bench.add("mx:known", id);
  EXPECT_FALSE(bench.start_all().empty()) << "who is known to be good is served";
}

TEST(QueueScheduler, ALaneGivesItsPlaceToADestinationThatHasNone) {
  Bench bench(1);
  for (MessageId id = 1; id <= 100; ++id) bench.add("mx:a", id);
  auto a = bench.start_all();
  ASSERT_EQ(a.size(), 1U);
  bench.add("mx:b", 1);
  EXPECT_TRUE(bench.start_all().empty());
  int jobs = 0;
  for (;; ++jobs) {
    const auto step = bench.next(a[0]);
    if (step.step == Step::end) break;
    bench.finish(a[0], step.ticket);
  }
  EXPECT_EQ(jobs, 20);
  bench.scheduler.ended(a[0], bench.now);
  auto b = bench.start_all();
  ASSERT_EQ(b.size(), 1U);
  EXPECT_EQ(b[0].name(), "mx:b");
}

TEST(QueueScheduler, LocalMailNeedsNoConnection) {
  Bench bench(1);
  bench.add("mx:a", 1);
  auto turns = bench.start_all();
  bench.add("local", 2);
  bench.add("account:7", 3);
  const auto counts = Bench::count(bench.start_all());
  EXPECT_EQ(counts.size(), 2U);
}

TEST(QueueScheduler, ARateIsKept) {
  Rule rule;
  rule.rate = 60;
  rule.messages_per_connection = 1'000;
  Bench bench(100, rule);
  for (MessageId id = 1; id <= 1'000; ++id) bench.add("mx:a", id);
  const auto begin = bench.now;
  std::uint64_t sent = 0;
  while (bench.now < begin + 300'000) {
    auto turns = bench.start_all();
    for (auto& turn : turns) {
      for (;;) {
        const auto step = bench.next(turn);
        if (step.step != Step::job) break;
        ++sent;
        bench.finish(turn, step.ticket);
      }
      bench.scheduler.ended(turn, bench.now);
    }
    bench.now = std::max(bench.now + 1, bench.scheduler.wake());
  }
  EXPECT_NEAR(static_cast<double>(sent), 300.0 + 10.0, 3.0);
}

TEST(QueueScheduler, ConnectionsEndAfterSoManyMessagesOrSoMuchTime) {
  Rule rule;
  rule.messages_per_connection = 3;
  rule.connection_time = std::chrono::seconds(10);
  Bench bench(100, rule);
  for (MessageId id = 1; id <= 100; ++id) bench.add("mx:a", id);
  auto turns = bench.start_all();
  for (int i = 0; i < 3; ++i) bench.finish(turns[0], bench.next(turns[0]).ticket);
  EXPECT_EQ(bench.next(turns[0]).step, Step::end);
  bench.finish(turns[1], bench.next(turns[1]).ticket);
  bench.now += 10'000;
  EXPECT_EQ(bench.next(turns[1]).step, Step::end);
}

TEST(QueueScheduler, ClaimedJobsAreLeftAlone) {
  Bench bench;
  bench.add("mx:a", 1);
  EXPECT_TRUE(bench.scheduler.claim("mx:a", 0, 1, bench.now));
  EXPECT_FALSE(bench.scheduler.claim("mx:a", 0, 1, bench.now));
  EXPECT_TRUE(bench.start_all().empty());
  bench.scheduler.unclaim("mx:a", 0, 1, Position{2, 0, 1}, bench.now);
  auto turns = bench.start_all();
  ASSERT_EQ(turns.size(), 1U);
  EXPECT_EQ(bench.next(turns[0]).step, Step::job);
  EXPECT_FALSE(bench.scheduler.claim("mx:a", 0, 1, bench.now)) << "in flight";
}

TEST(QueueScheduler, AStoreThatCannotBeReadRestsTheDestination) {
  Bench bench;
  for (MessageId id = 1; id <= 100; ++id) bench.add("mx:a", id);
  auto turns = bench.start_all();
  auto step = bench.scheduler.next(turns[0], bench.now);
  ASSERT_FALSE(step.scans.empty());
  for (const auto& scan : step.scans) bench.scheduler.scanned(turns[0], scan, fail(Fault::temporary, "broken"), bench.now);
  bench.scheduler.done(turns[0], step.ticket, Health::good, "", true, bench.now);
  EXPECT_EQ(bench.scheduler.describe("mx:a")->trouble, "");
  bench.scheduler.stop();
  EXPECT_EQ(bench.scheduler.next(turns[0], bench.now).step, Step::end);
  EXPECT_EQ(bench.scheduler.next(turns[1], bench.now).step, Step::end);
}

TEST(QueueScheduler, StoppingStartsNothing) {
  Bench bench;
  bench.add("mx:a", 1);
  bench.scheduler.stop();
  EXPECT_TRUE(bench.start_all().empty());
}

/// One message for the destination, which takes so long for it.
void learn(Bench& bench, const std::string& name, Instant takes) {
  bench.add(name, 1);
  auto turn = bench.scheduler.start(bench.now);
  const auto ticket = bench.next(*turn).ticket;
  bench.now += takes;
  bench.finish(*turn, ticket);
  bench.scheduler.ended(*turn, bench.now);
}

// What slow and dead destinations hold is theirs: the healthy ones have their three quarters all the same.
TEST(QueueScheduler, SlowDestinationsShareAQuarterAndTakeNothingFromTheHealthy) {
  Rule rule;
  rule.concurrency = 100;
  rule.initial_concurrency = 100;
  Bench bench(40, rule);
  learn(bench, "mx:slow1", 60'000);
  learn(bench, "mx:slow2", 60'000);
  learn(bench, "mx:fast", 100);
  for (MessageId id = 2; id <= 200; ++id) bench.add(id % 2 == 0 ? "mx:slow1" : "mx:slow2", id);
  const auto slow = bench.start_all();
  EXPECT_EQ(slow.size(), 10U);
  for (MessageId id = 2; id <= 200; ++id) bench.add("mx:fast", id);
  std::size_t fast = 0;
  for (auto more = bench.start_all(); !more.empty(); more = bench.start_all()) {
    for (auto& turn : more) EXPECT_EQ(bench.next(turn).step, Step::job);
    fast += more.size();
  }
  EXPECT_EQ(fast, 30U);
}

// A destination that was slow for a while is not slow for ever.
TEST(QueueScheduler, WhoIsQuickAgainCountsAsHealthy) {
  Rule rule;
  rule.concurrency = 100;
  rule.initial_concurrency = 100;
  rule.messages_per_connection = 1'000;
  Bench bench(40, rule);
  for (MessageId id = 1; id <= 200; ++id) bench.add("mx:a", id);
  auto first = bench.scheduler.start(bench.now);
  for (const Instant takes : {20'000, 10, 10, 10, 10, 10, 10, 10, 10, 10}) {
    const auto ticket = bench.next(*first).ticket;
    bench.now += takes;
    bench.finish(*first, ticket);
  }
  EXPECT_EQ(bench.start_all().size(), 29U);
}

/// A lane that may rest, and how often it was rung.
struct Resting {
  explicit Resting(Bench& bench) : turn(bench.scheduler.start(bench.now)) {
    turn->ring = [this] { ++rings; };
  }
  int rings = 0;
  std::optional<Scheduler::Turn> turn;
};
void ring(Bench& bench) {
  for (const auto& one : bench.scheduler.rung()) one();
}

TEST(QueueScheduler, ALaneThatEndsWhileItRestsIsForgotten) {
  Bench bench;
  bench.add("mx:a", 1);
  Resting lane(bench);
  bench.finish(*lane.turn, bench.next(*lane.turn).ticket);
  ASSERT_EQ(bench.next(*lane.turn).step, Step::rest);
  bench.scheduler.ended(*lane.turn, bench.now);
  bench.add("mx:a", 2);
  EXPECT_EQ(bench.start_all().size(), 1U);
  bench.scheduler.stop();
  ring(bench);
  EXPECT_EQ(lane.rings, 0);
}

TEST(QueueScheduler, ALaneRestsUntilThereIsWorkAgain) {
  Bench bench;
  bench.add("mx:a", 1);
  Resting lane(bench);
  bench.finish(*lane.turn, bench.next(*lane.turn).ticket);
  EXPECT_EQ(bench.next(*lane.turn).step, Step::rest);
  EXPECT_EQ(bench.scheduler.wake(), bench.now + 2'000);
  bench.now += 500;
  bench.add("mx:a", 2);
  EXPECT_TRUE(bench.start_all().empty()) << "there is a lane already";
  ring(bench);
  EXPECT_EQ(lane.rings, 1);
  const auto step = bench.next(*lane.turn);
  ASSERT_EQ(step.step, Step::job);
  EXPECT_EQ(step.ticket.position.id, 2U);
  // While it is at work the next one is for another lane.
  bench.add("mx:a", 3);
  EXPECT_EQ(bench.start_all().size(), 1U);
  EXPECT_EQ(lane.rings, 1);
}

TEST(QueueScheduler, AJobThatIsDueLaterWakesWhoRests) {
  Bench bench;
  bench.add("mx:a", 1);
  Resting lane(bench);
  bench.finish(*lane.turn, bench.next(*lane.turn).ticket);
  EXPECT_EQ(bench.next(*lane.turn).step, Step::rest);
  bench.add("mx:a", 2, bench.now / 1'000 + 1);
  ring(bench);
  EXPECT_EQ(lane.rings, 0);
  bench.now += 1'000;
  EXPECT_TRUE(bench.start_all().empty());
  ring(bench);
  EXPECT_EQ(lane.rings, 1);
  EXPECT_EQ(bench.next(*lane.turn).step, Step::job);
}

TEST(QueueScheduler, ARestEnds) {
  Bench bench;
  bench.add("mx:a", 1);
  Resting lane(bench);
  bench.finish(*lane.turn, bench.next(*lane.turn).ticket);
  EXPECT_EQ(bench.next(*lane.turn).step, Step::rest);
  bench.now += 2'000;
  EXPECT_TRUE(bench.start_all().empty());
  ring(bench);
  EXPECT_EQ(lane.rings, 1);
  EXPECT_EQ(bench.next(*lane.turn).step, Step::end);
  bench.scheduler.ended(*lane.turn, bench.now);
  EXPECT_EQ(bench.scheduler.lanes(), 0U);
  EXPECT_EQ(bench.scheduler.remembered(), 0U);
}

TEST(QueueScheduler, NobodyRestsAfterTroubleOrAtTheEnd) {
  Bench bench;
  bench.add("mx:a", 1);
  bench.add("mx:b", 1);
  Resting a(bench);
  Resting b(bench);
  bench.finish(*a.turn, bench.next(*a.turn).ticket, Health::unreachable);
  EXPECT_EQ(bench.next(*a.turn).step, Step::end);
  bench.finish(*b.turn, bench.next(*b.turn).ticket);
  EXPECT_EQ(bench.next(*b.turn).step, Step::rest);
  bench.scheduler.stop();
  ring(bench);
  EXPECT_EQ(b.rings, 1);
  EXPECT_EQ(bench.next(*b.turn).step, Step::end);
}

// Connections that rest are there for others.
TEST(QueueScheduler, WhoRestsMakesRoom) {
  Bench bench(4);
  for (const auto* name : {"mx:c", "mx:d", "mx:e"}) learn(bench, name, 10);
  std::list<Resting> lanes;
  for (const auto* name : {"mx:a", "mx:b"}) {
    bench.add(name, 1);
    auto& lane = lanes.emplace_back(bench);
    bench.finish(*lane.turn, bench.next(*lane.turn).ticket);
    EXPECT_EQ(bench.next(*lane.turn).step, Step::rest);
  }
  std::vector<Scheduler::Turn> others;
  for (const auto* name : {"mx:c", "mx:d", "mx:e"}) {
    bench.add(name, 2);
    for (auto& turn : bench.start_all()) others.push_back(std::move(turn));
  }
  EXPECT_EQ(others.size(), 2U) << "all four are in use";
  ring(bench);
  for (auto& lane : lanes) {
    if (lane.rings == 0) continue;
    EXPECT_EQ(bench.next(*lane.turn).step, Step::end);
    bench.scheduler.ended(*lane.turn, bench.now);
  }
  for (auto& turn : bench.start_all()) others.push_back(std::move(turn));
  EXPECT_EQ(Bench::count(others), (std::map<std::string, int>{{"mx:c", 1}, {"mx:d", 1}, {"mx:e", 1}}));
}

}  // namespace
}  // namespace relais::smtp::queue
