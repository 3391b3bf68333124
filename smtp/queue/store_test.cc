// The queue's transactions against a model, on the memory engine with faults and on the embedded one with reopening.
#include "smtp/queue/store.h"

#include "base/encode.h"
#include "smtp/queue/intake.h"
#include "storage/engine/engine_test_support.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/engine/memory_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace relais::smtp::queue {
namespace {

using storage::BlobId;
using storage::MemoryFault;
using storage::testing::TempFolder;
using storage::testing::wait;

constexpr Lifetimes kLifetimes{};

/// What one message is in the model: records as they should be, with replies spelled out.
struct ModelRecipient {
  std::string address;
  RecipientState state = RecipientState::open;
  std::string reply;
  std::uint32_t turns = 0;
  auto operator<=>(const ModelRecipient&) const = default;
};
struct ModelJob {
  std::int64_t due = 0;
  std::uint32_t attempts = 0;
  bool held = false;
  PriorityClass priority = 2;
  std::map<std::uint32_t, ModelRecipient> recipients;
  std::set<OnceRecord> once;
  bool open() const {
    return std::ranges::any_of(recipients, [](const auto& one) { return one.second.state == RecipientState::open; });
  }
};
struct ModelMessage {
  std::string trace_id;
  std::string content;
  std::int64_t check = 0;
  std::uint32_t next_recipient = 0;
  std::map<std::string, ModelJob> jobs;
};
struct Model {
  std::map<MessageId, ModelMessage> messages;
  std::map<JobRef, std::set<OnceRecord>> forgets;

  void add(const Entry& entry) {
    auto& message = messages[entry.id];
    message.trace_id = entry.message.trace_id;
    message.check = entry.message.check;
    message.next_recipient = entry.message.next_recipient;
    std::string octets;
    EXPECT_TRUE(entry.content->decode(0, UINT64_MAX, octets));
    message.content = octets;
    for (const auto& [destination, job] : entry.jobs) {
      auto& mine = message.jobs[destination];
      mine.due = job.due;
      mine.priority = job.priority;
      for (const auto& one : job.recipients) mine.recipients[one.number] = {one.address, RecipientState::open, {}, one.turns};
    }
  }

  void close(MessageId id, const std::string& destination) {
    auto& message = messages.at(id);
    const auto once = message.jobs.at(destination).once;
    if (!once.empty()) forgets[{id, destination}].insert(once.begin(), once.end());
    message.jobs.erase(destination);
    if (message.jobs.empty()) messages.erase(id);
  }

  static bool knows(const ModelJob& job, const std::string& address) {
    return std::ranges::any_of(
        job.recipients, [&](const auto& one) { return one.second.address == address && one.second.state != RecipientState::failed; });
  }

  void apply(const JobUpdate& update, std::int64_t now) {
    const auto found = messages.find(update.job.id);
    if (found == messages.end() || !found->second.jobs.contains(update.job.destination)) return;
    auto& message = found->second;
    auto& job = message.jobs.at(update.job.destination);
    std::vector<std::pair<const RecipientUpdate*, ModelRecipient>> moving;
    for (const auto& news : update.recipients) {
      const auto at = job.recipients.find(news.number);
      if (at == job.recipients.end() || at->second.state != RecipientState::open) continue;
      if (!news.moves.empty()) {
        moving.emplace_back(&news, at->second);
        job.recipients.erase(at);
        continue;
      }
      at->second.state = news.state;
      at->second.reply = news.reply.text;
    }
    for (const auto& [news, recipient] : moving) {
      for (const auto& move : news->moves) {
        const auto number = message.next_recipient++;
        const bool fresh = !message.jobs.contains(move.destination);
        auto& there = message.jobs[move.destination];
        if (fresh) {
          there.due = now;
          there.priority = job.priority;
        } else if (knows(there, move.address)) {
          continue;
        }
        there.recipients[number] = {move.address, RecipientState::open, {}, recipient.turns + 1};
      }
    }
    job.once.insert(update.once.begin(), update.once.end());
    for (const auto& report : update.reports) add(report);
    if (!job.open()) {
      close(update.job.id, update.job.destination);
    } else if (update.over) {
      ++job.attempts;
      job.due = update.due;
    }
  }

  void act(const JobRef& ref, Action action, std::int64_t now) {
    const auto found = messages.find(ref.id);
    if (found == messages.end() || !found->second.jobs.contains(ref.destination)) return;
    auto& job = found->second.jobs.at(ref.destination);
    switch (action) {
      case Action::retry:
        if (!job.held) job.due = now;
        break;
      case Action::hold: job.held = true; break;
      case Action::release:
        if (job.held) job.due = now;
        job.held = false;
        break;
      case Action::drop: close(ref.id, ref.destination); break;
    }
  }

  std::set<std::string> keys() const {
    std::set<std::string> out;
    for (const auto& [id, message] : messages) {
      out.insert(message_key(id));
      out.insert(check_key(message.check, id));
      out.insert(trace_key(message.trace_id, id));
      for (const auto& [destination, job] : message.jobs) {
        out.insert(job_key(id, destination));
        out.insert(job.held ? held_key(id, destination) : schedule_key(destination, {.priority = job.priority, .due = job.due, .id = id}));
      }
    }
    for (const auto& [ref, places] : forgets) out.insert(forget_key(ref.id, ref.destination));
    return out;
  }
};

/// One run of random changes.
class RandomRun {
 public:
  RandomRun(storage::Engine& engine, unsigned seed) : random_(seed) { open(engine); }

  void open(storage::Engine& engine) {
    engine_ = &engine;
    shard_ = std::make_unique<QueueShard>(engine, std::uint16_t{0}, clock_);
    std::set<std::pair<std::string, PriorityClass>> seen;
    ASSERT_TRUE(shard_->open([&](std::string_view destination, const Position& first) {
      EXPECT_TRUE(seen.emplace(destination, first.priority).second);
      // It is the first one of its class.
      for (const auto& [id, message] : model_.messages) {
        const auto job = message.jobs.find(std::string(destination));
        if (job == message.jobs.end() || job->second.held || job->second.priority != first.priority) continue;
        EXPECT_LE(first, (Position{job->second.priority, job->second.due, id}));
      }
    }));
    std::set<std::pair<std::string, PriorityClass>> expected;
    for (const auto& [id, message] : model_.messages)
      for (const auto& [destination, job] : message.jobs)
        if (!job.held) expected.emplace(destination, job.priority);
    EXPECT_EQ(seen, expected);
    EXPECT_EQ(shard_->messages(), model_.messages.size());
  }

  /// One random change. @param survived  tells whether a change that failed was kept all the same
  void step(const std::function<bool()>& survived) {
    clock_.advance(std::chrono::milliseconds(random_() % 3'000));
    switch (random_() % 8) {
      case 0:
      case 1: accept(survived); break;
      case 2:
      case 3:
      case 4:
      case 5: update(survived); break;
      case 6: act(survived); break;
      default: random_() % 2 == 0 ? check(survived) : forget(survived); break;
    }
  }

  void compare() {
    const auto view = engine_->view().value();
    std::set<std::string> keys;
    std::map<BlobId, std::uint64_t> references;
    ASSERT_TRUE(view->for_each_key([&](storage::AccountId account, const storage::KeyValue& entry) {
      EXPECT_EQ(account, kQueueAccount);
      keys.emplace(entry.key);
      return true;
    }));
    EXPECT_EQ(keys, model_.keys());
    for (const auto& [id, message] : model_.messages) {
      const auto stored = shard_->message(id);
      ASSERT_TRUE(stored && *stored) << id;
      EXPECT_EQ((*stored)->open_jobs, message.jobs.size());
      EXPECT_EQ((*stored)->next_recipient, message.next_recipient);
      ++references[(*stored)->content];
      if (random_() % 8 == 0) {
        std::string octets;
        EXPECT_TRUE(wait(shard_->content(**stored)->read(0, UINT64_MAX, octets)));
        EXPECT_EQ(octets, message.content);
      }
      const auto jobs = shard_->jobs(id);
      ASSERT_TRUE(jobs);
      ASSERT_EQ(jobs->size(), message.jobs.size());
      for (const auto& [destination, job] : *jobs) {
        const auto& mine = message.jobs.at(destination);
        EXPECT_EQ(job.attempts, mine.attempts);
        EXPECT_EQ(job.held, mine.held);
        EXPECT_EQ((std::set<OnceRecord>(job.once.begin(), job.once.end())), mine.once);
        std::map<std::uint32_t, ModelRecipient> recipients;
        for (const auto& one : job.recipients) {
          const auto* reply = job.reply_of(one);
          recipients[one.number] = {one.address, one.state, reply == nullptr ? std::string() : reply->text, one.turns};
        }
        EXPECT_EQ(recipients, mine.recipients);
      }
    }
    std::map<BlobId, std::uint64_t> found;
    ASSERT_TRUE(view->for_each_blob([&](BlobId id, std::uint64_t count) { return found.emplace(id, count), true; }));
    EXPECT_EQ(found, references);
    EXPECT_EQ(shard_->messages(), model_.messages.size());
    compare_walks();
  }

  std::size_t size() const { return model_.messages.size(); }
  std::uint64_t failures = 0;

 private:
  void compare_walks() {
    std::vector<JobRef> expected;
    for (const auto& [id, message] : model_.messages)
      for (const auto& [destination, job] : message.jobs) expected.push_back({id, destination});
    std::vector<JobRef> seen;
    std::optional<JobRef> at = JobRef{};
    while (at) {
      const auto walked =
          shard_->walk(*at, 1 + random_() % 5, [&seen](const JobRef& ref, const LoadedJob&) { return seen.push_back(ref), true; });
      ASSERT_TRUE(walked);
      at = *walked;
    }
    EXPECT_EQ(seen, expected);
  }

  template <class T>
  bool settle(const Result<T>& result, const std::function<bool()>& survived) {
    if (result) return true;
    ++failures;
    return survived();
  }

  std::string destination() { return "mx:d" + std::to_string(random_() % 6) + ".test"; }

  Entry entry(std::shared_ptr<const storage::EncodedBlob> content) {
    NewMessage message;
    message.trace_id = "t" + std::to_string(++traces_ / 2);  // sometimes two share one
    message.sender = "s@a.test";
    message.priority = static_cast<int>(random_() % 19) - 9;
    message.content = std::move(content);
    for (auto i = 1 + random_() % 4; i > 0; --i) {
      message.recipients.push_back({.address = "u" + std::to_string(random_() % 50) + "@x.test",
                                    .given = {},
                                    .original = {},
                                    .notify = {},
                                    .destination = destination()});
    }
    auto made = make_entry(message, shard_->next_id(), clock_.seconds(), kLifetimes);
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  std::shared_ptr<const storage::EncodedBlob> content() {
    return storage::testing::blob(storage::testing::text(50 + random_() % 900, ++texts_));
  }

  void accept(const std::function<bool()>& survived) {
    std::vector<Entry> entries;
    const auto shared = content();
    for (auto i = 1 + random_() % 3; i > 0; --i) entries.push_back(entry(random_() % 2 == 0 ? shared : content()));
    if (!settle(wait(shard_->accept(entries)), survived)) return;
    for (const auto& one : entries) model_.add(one);
  }

  JobRef some_job() {
    if (model_.messages.empty() || random_() % 20 == 0) return {12345, "mx:gone.test"};
    auto at = model_.messages.begin();
    std::advance(at, random_() % model_.messages.size());
    auto job = at->second.jobs.begin();
    std::advance(job, random_() % at->second.jobs.size());
    return {at->first, job->first};
  }

  void update(const std::function<bool()>& survived) {
    JobUpdate update{.job = some_job()};
    update.over = random_() % 4 != 0;
    update.due = clock_.seconds() + 1 + static_cast<std::int64_t>(random_() % 100);
    if (const auto found = model_.messages.find(update.job.id); found != model_.messages.end()) {
      for (const auto& [number, recipient] : found->second.jobs.at(update.job.destination).recipients) {
        if (random_() % 3 == 0) continue;
        RecipientUpdate news{.number = number};
        news.state = static_cast<RecipientState>(random_() % 4);
        news.reply = {.code = 250,
                      .remote = true,
                      .time = clock_.seconds(),
                      .status = "2.0.0",
                      .text = "r" + std::to_string(random_() % 5),
                      .host = "h"};
        if (random_() % 6 == 0) {
          for (auto i = 1 + random_() % 2; i > 0; --i)
            news.moves.push_back({"m" + std::to_string(random_() % 20) + "@y.test", destination()});
        }
        update.recipients.push_back(std::move(news));
      }
    }
    if (random_() % 5 == 0) update.once.push_back({random_() % 9, static_cast<std::uint16_t>(random_() % 2)});
    if (random_() % 4 == 0) update.reports.push_back(entry(content()));
    const auto now = clock_.seconds();
    const auto change = wait(shard_->update(update));
    if (!settle(change, survived)) return;
    model_.apply(update, now);
    if (!change) return;
    for (const auto& added : change->added) {
      const auto& job = model_.messages.at(added.position.id).jobs.at(added.destination);
      EXPECT_EQ(job.due, added.position.due);
    }
    EXPECT_EQ(change->message_closed, change->found && !model_.messages.contains(update.job.id));
  }

  void act(const std::function<bool()>& survived) {
    std::set<JobRef> some;
    for (auto i = 1 + random_() % 3; i > 0; --i) some.insert(some_job());
    const std::vector<JobRef> jobs(some.begin(), some.end());
    const auto action = static_cast<Action>(random_() % 4);
    const auto now = clock_.seconds();
    if (!settle(wait(shard_->act(jobs, action)), survived)) return;
    for (const auto& job : jobs) model_.act(job, action, now);
  }

  void check(const std::function<bool()>& survived) {
    CheckUpdate update{.id = some_job().id};
    update.check = clock_.seconds() + static_cast<std::int64_t>(random_() % 1'000);
    update.delay_told = random_() % 2 == 0;
    if (random_() % 2 == 0) update.reports.push_back(entry(content()));
    const auto there = model_.messages.contains(update.id);
    const auto result = wait(shard_->update(update));
    if (result) EXPECT_EQ(*result, there);
    if (!settle(result, survived) || !there) return;
    model_.messages.at(update.id).check = update.check;
    for (const auto& report : update.reports) model_.add(report);
  }

  void forget(const std::function<bool()>& survived) {
    const auto waiting = shard_->forgets(2);
    ASSERT_TRUE(waiting);
    std::vector<JobRef> over;
    for (const auto& [ref, record] : *waiting) {
      EXPECT_EQ((std::set<OnceRecord>(record.places.begin(), record.places.end())), model_.forgets.at(ref));
      over.push_back(ref);
    }
    if (over.empty() || !settle(wait(shard_->forgotten(over)), survived)) return;
    for (const auto& ref : over) model_.forgets.erase(ref);
  }

  std::mt19937 random_;
  ManualClock clock_;
  storage::Engine* engine_ = nullptr;
  std::unique_ptr<QueueShard> shard_;
  Model model_;
  unsigned traces_ = 0;
  unsigned texts_ = 0;
};

TEST(QueueStore, RandomChangesWithFaultsInMemory) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto engine = storage::make_memory_engine();
  engine->run_bodies_twice(true);
  RandomRun run(*engine, seed + 1);
  for (int i = 0; i < 3'000 && !::testing::Test::HasFailure(); ++i) {
    auto fault = MemoryFault::none;
    if (random() % 10 == 0) {
      fault = static_cast<MemoryFault>(1 + random() % 3);
      engine->arm(fault, 1);
    }
    run.step([fault] { return fault == MemoryFault::lost_reply; });
    engine->arm(MemoryFault::none, 1);
    engine->reopen();
    if (fault != MemoryFault::none && random() % 2 == 0) run.open(*engine);  // as the next process finds it
    // The counter of messages is this process's: a reply that was lost leaves it behind, until the next open.
    if (fault == MemoryFault::lost_reply || fault == MemoryFault::sync_failed) run.open(*engine);
    if (i % 7 == 0) run.compare();
  }
  run.compare();
  EXPECT_GT(run.failures, 50U);
}

TEST(QueueStore, RandomChangesWithReopeningOnDisk) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  TempFolder folder;
  net::WorkerPool pool(1, 100);
  storage::LmdbOptions options;
  options.path = folder.path() / "q000";
  options.pool = &pool;
  options.map_size = 1 << 28;
  options.min_free = 0;
  options.journal_size = 200'000;
  options.segment_size = 300'000;
  auto engine = storage::open_lmdb_engine(options).value();
  RandomRun run(*engine, seed);
  for (int i = 0; i < 400 && !::testing::Test::HasFailure(); ++i) {
    run.step([] { return false; });
    if (i % 40 != 39) continue;
    run.compare();
    engine.reset();
    engine = storage::open_lmdb_engine(options).value();
    run.open(*engine);
    run.compare();
  }
  EXPECT_EQ(run.failures, 0U);
  EXPECT_EQ(engine->check()->problems, std::vector<std::string>());
}

class Small : public ::testing::Test {
 protected:
  Small() {
    EXPECT_TRUE(shard.open([](std::string_view, const Position&) {}));
  }
  Entry entry(std::vector<NewRecipient> recipients, const std::function<void(NewMessage&)>& change = {}) {
    NewMessage message;
    message.trace_id = "t1";
    message.sender = "s@a.test";
    message.content = storage::testing::blob("content");
    message.recipients = std::move(recipients);
    if (change) change(message);
    return make_entry(message, shard.next_id(), clock.seconds(), kLifetimes).value();
  }
  static NewRecipient to(std::string address, std::string destination) {
    return {.address = std::move(address), .given = {}, .original = {}, .notify = {}, .destination = std::move(destination)};
  }
  ManualClock clock;
  std::unique_ptr<storage::MemoryEngine> engine = storage::make_memory_engine();
  QueueShard shard{*engine, 0, clock};
};

TEST_F(Small, DueJobsComeByPriorityClassAndTime) {
  std::vector<Entry> entries;
  for (int i = 0; i < 10; ++i) {
    entries.push_back(entry({to("u@x.test", "mx:x.test")}, [i](NewMessage& m) { m.priority = i % 2 == 0 ? 0 : 9; }));
    clock.advance(std::chrono::seconds(10));
  }
  ASSERT_TRUE(wait(shard.accept(entries)));
  const auto now = clock.seconds();
  const auto urgent = shard.due("mx:x.test", {.priority = 0}, now, 3).value();
  ASSERT_EQ(urgent.jobs.size(), 3U);
  EXPECT_EQ(urgent.jobs[0].id, entries[1].id);
  ASSERT_TRUE(urgent.next);
  EXPECT_EQ(urgent.next->id, entries[7].id);
  const auto rest = shard.due("mx:x.test", *urgent.next, now, 3).value();
  EXPECT_EQ(rest.jobs.size(), 2U);
  EXPECT_FALSE(rest.next);
  const auto early = shard.due("mx:x.test", {.priority = 2}, entries[2].jobs[0].second.due, 100).value();
  EXPECT_EQ(early.jobs.size(), 2U);
  EXPECT_EQ(early.next->id, entries[4].id);
  EXPECT_TRUE(shard.due("mx:y.test", {}, now, 3)->jobs.empty());
}

TEST_F(Small, IdsAscendWhateverTheClockDoes) {
  auto last = shard.next_id();
  for (int i = 0; i < 1'000; ++i) {
    if (i % 100 == 0) clock.advance(std::chrono::milliseconds(i % 200 == 0 ? -5'000 : 10));
    const auto next = shard.next_id();
    EXPECT_GT(next, last);
    last = next;
  }
  std::vector<Entry> entries{entry({to("u@x.test", "mx:x.test")})};
  ASSERT_TRUE(wait(shard.accept(entries)));
  clock.advance(-std::chrono::hours(1));
  QueueShard later(*engine, 0, clock);
  ASSERT_TRUE(later.open([](std::string_view, const Position&) {}));
  EXPECT_GT(later.next_id(), entries[0].id);
}

TEST_F(Small, OneContentIsStoredOnceForSeveralReversePaths) {
  const auto content = storage::testing::blob(storage::testing::text(5'000, 1));
  std::vector<Entry> entries;
  for (int i = 0; i < 3; ++i) entries.push_back(entry({to("u@x.test", "mx:x.test")}, [&](NewMessage& m) { m.content = content; }));
  ASSERT_TRUE(wait(shard.accept(entries)));
  EXPECT_EQ(engine->stats()->blobs, 1U);
  for (const auto& one : entries) {
    const auto done = wait(shard.update(
        {.job = {one.id, "mx:x.test"}, .recipients = {{.number = 0, .state = RecipientState::relayed, .reply = {}, .moves = {}}}}));
    ASSERT_TRUE(done);
    EXPECT_TRUE(done->message_closed);
  }
  EXPECT_EQ(engine->stats()->blobs, 0U);
  EXPECT_EQ(engine->stats()->keys, 0U);
}

TEST_F(Small, ContentIsReadInPieces) {
  const auto octets = storage::testing::text(700'000, 3);
  std::vector<Entry> entries{entry({to("u@x.test", "mx:x.test")}, [&](NewMessage& m) { m.content = storage::testing::blob(octets); })};
  ASSERT_TRUE(wait(shard.accept(entries)));
  const auto content = shard.content(**shard.message(entries[0].id));
  EXPECT_EQ(content->size(), octets.size());
  std::string back;
  for (std::uint64_t at = 0; at < octets.size(); at += 100'000) ASSERT_TRUE(wait(content->read(at, 100'000, back)));
  EXPECT_EQ(back, octets);
}

TEST_F(Small, ReportsOfADroppedJobAreNotStored) {
  std::vector<Entry> entries{entry({to("u@x.test", "mx:x.test")})};
  ASSERT_TRUE(wait(shard.accept(entries)));
  ASSERT_TRUE(wait(shard.act({{entries[0].id, "mx:x.test"}}, Action::drop)));
  JobUpdate update{.job = {entries[0].id, "mx:x.test"}};
  update.recipients.push_back({.number = 0, .state = RecipientState::failed, .reply = {}, .moves = {}});
  update.reports.push_back(entry({to("s@a.test", "mx:a.test")}));
  const auto change = wait(shard.update(update));
  ASSERT_TRUE(change);
  EXPECT_FALSE(change->found);
  EXPECT_EQ(engine->stats()->keys, 0U);
  EXPECT_EQ(engine->stats()->blobs, 0U);
}

TEST_F(Small, WhatCannotBeQueuedIsRefused) {
  const std::vector<std::pair<const char*, std::function<void(NewMessage&)>>> table{
      {"no recipients", [](NewMessage& m) { m.recipients.clear(); }},
      {"no content", [](NewMessage& m) { m.content.reset(); }},
      {"no trace id", [](NewMessage& m) { m.trace_id.clear(); }},
      {"long trace id", [](NewMessage& m) { m.trace_id.assign(101, 'x'); }},
      {"control in trace id", [](NewMessage& m) { m.trace_id = std::string("a\0b", 3); }},
      {"control in destination", [](NewMessage& m) { m.recipients[0].destination = std::string("mx:a\0b", 6); }},
      {"long destination", [](NewMessage& m) { m.recipients[0].destination = "mx:" + std::string(300, 'a'); }},
      {"no destination", [](NewMessage& m) { m.recipients[0].destination.clear(); }},
      {"no address", [](NewMessage& m) { m.recipients[0].address.clear(); }},
      {"line end in sender", [](NewMessage& m) { m.sender = "a@b\r\nX: y"; }},
      {"priority", [](NewMessage& m) { m.priority = 10; }},
  };
  for (const auto& [name, change] : table) {
    NewMessage message;
    message.trace_id = "t";
    message.content = storage::testing::blob("x");
    message.recipients.push_back(to("u@x.test", "mx:x.test"));
    change(message);
    const auto made = make_entry(message, 1, 1, kLifetimes);
    ASSERT_FALSE(made) << name;
    EXPECT_EQ(made.error().fault, Fault::refused) << name;
  }
}

}  // namespace
}  // namespace relais::smtp::queue
