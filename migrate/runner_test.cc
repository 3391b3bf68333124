// Who moves when: bounds, order, waves, windows, holds, stops, and what is taken up again.
#include "migrate/runner.h"

#include "net/test_support.h"
#include "storage/engine/memory_engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <numeric>
#include <set>

namespace relais::migrate {
namespace {

using namespace std::chrono_literals;
using State = WaveRecord::State;
using testing::ElementsAre;

/// What the fake moves of a test share.
struct Stand {
  std::mutex mutex;
  std::condition_variable moved;
  std::vector<AccountNumber> begun;  ///< in the order in which run() was called
  std::set<AccountNumber> at_work;
  std::size_t most = 0;
  std::set<AccountNumber> blocked;       ///< their run() ends with stop() alone
  std::map<AccountNumber, int> failing;  ///< so many runs end with an Error
  std::set<AccountNumber> stuck;         ///< their run ends so
  std::atomic<std::uint16_t> minute{0};

  template <class Done>
  bool await(Done done) {
    std::unique_lock lock(mutex);
    return moved.wait_for(lock, 30s, [&] { return done(); });
  }
};

/// Goes through the stages as it is allowed, one each run.
class FakeMove final : public Movable {
 public:
  FakeMove(Stand& stand, Journal& journal, AccountNumber account, net::Loop& loop)
      : stand_(stand), journal_(journal), account_(account), stopped_(loop.context(), net::asio::steady_timer::time_point::max()) {}

  net::Task<Outcome> run(std::function<MovePermission()> allowed, std::function<void(const StageRecord&)> changed) override {
    bool blocked = false;
    bool failing = false;
    {
      const std::lock_guard lock(stand_.mutex);
      stand_.begun.push_back(account_);
      stand_.at_work.insert(account_);
      stand_.most = std::max(stand_.most, stand_.at_work.size());
      blocked = stand_.blocked.contains(account_);
      failing = stand_.failing[account_]-- > 0;
    }
    stand_.moved.notify_all();
    if (blocked && !stop_) {
      boost::system::error_code ignored;
      co_await stopped_.async_wait(net::asio::redirect_error(net::asio::use_awaitable, ignored));
    }
    auto outcome = gets_stuck() ? co_await get_stuck()
                   : failing    ? Result<Outcome>(fail(Fault::temporary, "not now"))
                                : co_await step(allowed());
    if (outcome) changed(outcome->stage);
    {
      const std::lock_guard lock(stand_.mutex);
      stand_.at_work.erase(account_);
    }
    stand_.moved.notify_all();
    co_return outcome;
  }
  void stop() noexcept override {
    stop_ = true;
    stopped_.cancel();
  }

 private:
  bool gets_stuck() const {
    const std::lock_guard lock(stand_.mutex);
    return stand_.stuck.contains(account_);
  }
  net::Task<Outcome> get_stuck() {
    RELAIS_CO_TRY(const auto known, journal_.stage(account_));
    auto record = *known;
    record.stage = Stage::stuck;
    RELAIS_CO_TRY_VOID(co_await journal_.step(account_, known->stage, {.stage = record}));
    co_return Outcome{record, std::chrono::steady_clock::time_point::max()};
  }
  net::Task<Outcome> step(MovePermission may) {
    RELAIS_CO_TRY(const auto known, journal_.stage(account_));
    auto record = *known;
    const auto before = record.stage;
    const auto now = std::chrono::steady_clock::now();
    switch (record.stage) {
      case Stage::planned:
        if (may.copy) record.stage = Stage::copying;
        break;
      case Stage::copying:
        if (may.copy) record.stage = Stage::tailing;
        break;
      case Stage::tailing:
        if (may.cut_over) record.stage = Stage::cutover;
        break;
      case Stage::cutover: record.stage = Stage::switching; break;
      case Stage::switching: record.stage = Stage::native; break;
      default: break;
    }
    if (record.stage == before) co_return Outcome{record, now + 5ms};
    RELAIS_CO_TRY_VOID(co_await journal_.step(account_, before, {.stage = record}));
    co_return Outcome{record, at_rest(record.stage) ? std::chrono::steady_clock::time_point::max() : now};
  }

  Stand& stand_;
  Journal& journal_;
  const AccountNumber account_;
  net::asio::steady_timer stopped_;
  bool stop_ = false;
};

class RunnerTest : public testing::Test {
 protected:
  void SetUp() override {
    loops_.start();
    journal_ = std::move(*at_home(Journal::open(storage::make_memory_engine())));
    runner_ = make({.at_once = 2, .after_failure = 5ms});
  }
  void TearDown() override {
    runner_->stop();
    EXPECT_TRUE(runner_->await_stopped(30s));
    loops_.shutdown(30s);
    runner_.reset();
    journal_->close();
  }

  std::unique_ptr<Runner> make(RunnerOptions options) {
    return std::make_unique<Runner>(
        RunnerParts{
            .journal = journal_.get(),
            .home = &loops_.at(0),
            .loops = &loops_,
            .make = [this](AccountNumber account, net::Loop& loop) { return std::make_unique<FakeMove>(stand_, *journal_, account, loop); },
            .minute_of_day = [this] { return stand_.minute.load(); }},
        options);
  }
  template <class T>
  T at_home(net::asio::awaitable<T> task) {
    return net::run_on(loops_.at(0), std::move(task));
  }
  /// A planned wave with accounts that are planned.
  void plan(const std::string& wave, std::vector<AccountNumber> accounts, WaveRecord record = {}) {
    record.name = wave;
    record.platform = "old";
    plans_.push_back({record, {}});
    for (const auto account : accounts) plans_.back().accounts.push_back(std::to_string(account) + "@x.test");
    ASSERT_TRUE(at_home(journal_->set_plan("old", plans_)));
    for (const auto account : accounts) put(account, wave, Stage::planned);
  }
  void put(AccountNumber account, const std::string& wave, Stage stage) {
    StageRecord record;
    record.platform = "old";
    record.wave = wave;
    // The journal takes no leaps.
    std::optional<Stage> before;
    for (const auto next : {Stage::planned, Stage::copying, Stage::tailing, Stage::cutover, Stage::switching, Stage::native}) {
      record.stage = next;
      ASSERT_TRUE(at_home(journal_->step(account, before, {.stage = record})));
      before = next;
      if (next == stage) return;
    }
  }
  void set_wave(const std::string& name, State state) {
    for (const auto& wave : *journal_->waves()) {
      if (wave.name != name) continue;
      auto record = wave;
      record.state = state;
      ASSERT_TRUE(at_home(runner_->set_wave(record)));
    }
  }
  State state_of(const std::string& name) {
    for (const auto& wave : *journal_->waves()) {
      if (wave.name == name) return wave.state;
    }
    return State::rolled_back;
  }
  /// Ends what runs for the account; it may begin again at once.
  Stage stop_move(AccountNumber account) {
    const auto stop = [](Runner& runner, const Journal& journal, AccountNumber which) -> net::Task<Stage> {
      RELAIS_CO_TRY(const auto hold, co_await runner.hold(which));
      co_return (**journal.stage(which)).stage;
    };
    return at_home(stop(*runner_, *journal_, account)).value_or(Stage::skipped);
  }
  bool await(AccountNumber account, Stage stage) {
    return stand_.await([&] { return (*journal_->stage(account))->stage == stage; });
  }
  /// The journal is written after the last account's end: looked at again and again on the loop that does it.
  bool await_state(const std::string& name, State state) {
    for (int i = 0; i < 100'000; ++i) {
      if (at_home([](RunnerTest& self, const std::string& wave) -> net::asio::awaitable<State> { co_return self.state_of(wave); }(
                                                                    *this, name)) == state)
        return true;
      std::this_thread::yield();
    }
    return false;
  }

  Stand stand_;
  net::LoopPool loops_{3};
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Runner> runner_;
  std::vector<Journal::PlannedWave> plans_;
};

TEST_F(RunnerTest, AWaveMovesAndIsDone) {
  plan("w1", {1, 2, 3, 4, 5, 6, 7});
  ASSERT_TRUE(at_home(runner_->start()));
  EXPECT_TRUE(stand_.begun.empty()) << "a planned wave does not begin by itself";
  set_wave("w1", State::running);
  for (AccountNumber account = 1; account <= 7; ++account) EXPECT_TRUE(await(account, Stage::native)) << account;
  EXPECT_TRUE(await_state("w1", State::done));
  EXPECT_LE(stand_.most, 2U);
}

TEST_F(RunnerTest, AWaveHasItsOwnBound) {
  plan("w1", {1, 2, 3, 4}, {.at_once = 1});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  for (AccountNumber account = 1; account <= 4; ++account) EXPECT_TRUE(await(account, Stage::native)) << account;
  EXPECT_EQ(stand_.most, 1U);
}

TEST_F(RunnerTest, WhoIsFurthestGoesFirst) {
  plan("w1", {}, {.at_once = 1});
  put(1, "w1", Stage::planned);
  put(2, "w1", Stage::copying);
  put(3, "w1", Stage::tailing);
  put(4, "w1", Stage::cutover);
  put(5, "w1", Stage::native);
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  for (AccountNumber account = 1; account <= 4; ++account) EXPECT_TRUE(await(account, Stage::native)) << account;
  EXPECT_THAT(stand_.begun, ElementsAre(4, 4, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 1));
}

TEST_F(RunnerTest, WhatIsFrozenIsEndedWhateverTheWaveDoes) {
  plan("w1", {1});
  put(2, "w1", Stage::switching);
  put(3, "", Stage::cutover);
  put(4, "", Stage::tailing);
  ASSERT_TRUE(at_home(runner_->start()));
  EXPECT_TRUE(await(2, Stage::native));
  EXPECT_TRUE(await(3, Stage::native));
  EXPECT_EQ((*journal_->stage(1))->stage, Stage::planned);
  EXPECT_EQ((*journal_->stage(4))->stage, Stage::tailing) << "of no wave";
}

TEST_F(RunnerTest, APausedWaveRestsAndGoesOn) {
  stand_.blocked = {1};
  plan("w1", {1, 2});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  ASSERT_TRUE(await(2, Stage::native));
  set_wave("w1", State::paused);
  EXPECT_EQ(stop_move(1), Stage::planned) << "nothing is allowed in a paused wave";
  {
    const std::lock_guard lock(stand_.mutex);
    stand_.blocked.clear();
  }
  EXPECT_EQ(state_of("w1"), State::paused);
  set_wave("w1", State::running);
  EXPECT_TRUE(await(1, Stage::native));
  EXPECT_TRUE(await_state("w1", State::done));
}

TEST_F(RunnerTest, OutsideOfTheWindowNothingIsSwitched) {
  plan("w1", {1}, {.window = "01:00-06:00"});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  ASSERT_TRUE(await(1, Stage::tailing));
  const auto seen = stand_.begun.size();
  EXPECT_TRUE(stand_.await([&] { return stand_.begun.size() >= seen + 3; })) << "it is kept in step";
  EXPECT_EQ((*journal_->stage(1))->stage, Stage::tailing);
  stand_.minute = 90;
  EXPECT_TRUE(await(1, Stage::native));
}

TEST_F(RunnerTest, AHeldAccountIsRunByItsHolderAlone) {
  plan("w1", {1, 2});
  ASSERT_TRUE(at_home(runner_->start()));
  auto hold = at_home(runner_->hold(1));
  ASSERT_TRUE(hold);
  set_wave("w1", State::running);
  EXPECT_TRUE(await(2, Stage::native));
  EXPECT_EQ((*journal_->stage(1))->stage, Stage::planned);
  for (const auto stage : {Stage::copying, Stage::tailing, Stage::tailing}) {
    const auto outcome = at_home(runner_->run_once(1));
    ASSERT_TRUE(outcome);
    EXPECT_EQ(outcome->stage.stage, stage) << "it is copied and not switched";
  }
  const auto release = [](Runner::Hold held) -> net::asio::awaitable<bool> {
    held.release();
    co_return true;
  };
  at_home(release(std::move(*hold)));
  EXPECT_TRUE(await(1, Stage::native));
}

TEST_F(RunnerTest, AnAccountThatComesLater) {
  plan("w1", {1});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  ASSERT_TRUE(await_state("w1", State::done));
  put(2, "w1", Stage::planned);
  const auto tell = [](Runner& runner, const Journal& journal) -> net::Task<void> {
    RELAIS_CO_TRY(const auto hold, co_await runner.hold(2));
    runner.changed(2, **journal.stage(2));
    co_return Result<void>{};
  };
  ASSERT_TRUE(at_home(tell(*runner_, *journal_)));
  set_wave("w1", State::running);
  EXPECT_TRUE(await(2, Stage::native));
}

TEST_F(RunnerTest, AMoveThatFailsIsTriedAgain) {
  stand_.failing[1] = 2;
  plan("w1", {1});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  EXPECT_TRUE(await(1, Stage::native));
  EXPECT_EQ(stand_.begun.size(), 7U);
}

TEST_F(RunnerTest, AWaveInWhichTooManyGetStuckIsPaused) {
  std::vector<AccountNumber> accounts(100);
  std::iota(accounts.begin(), accounts.end(), 1U);
  stand_.blocked = {100};
  stand_.stuck = {7, 8};
  plan("w1", accounts);
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  EXPECT_TRUE(await_state("w1", State::paused));
  for (const auto& wave : *journal_->waves()) EXPECT_EQ(wave.why, "2 of 100 accounts are stuck");

  {  // Resumed, it takes as many again.
    const std::lock_guard lock(stand_.mutex);
    stand_.stuck = {50};
    stand_.blocked.clear();
  }
  stop_move(100);
  set_wave("w1", State::running);
  EXPECT_TRUE(await_state("w1", State::done));
  EXPECT_EQ((*journal_->stage(50))->stage, Stage::stuck);
}

TEST_F(RunnerTest, AStopEndsWhatRunsAndTheNextStartTakesItUp) {
  stand_.blocked = {1, 2};
  plan("w1", {1, 2, 3});
  ASSERT_TRUE(at_home(runner_->start()));
  set_wave("w1", State::running);
  ASSERT_TRUE(stand_.await([&] { return stand_.at_work.size() == 2; }));
  runner_->stop();
  EXPECT_TRUE(runner_->await_stopped(30s));
  EXPECT_EQ(runner_->running(), 0U);

  {
    const std::lock_guard lock(stand_.mutex);
    stand_.blocked.clear();
  }
  auto next = make({.at_once = 2, .after_failure = 5ms});
  std::swap(next, runner_);
  ASSERT_TRUE(at_home(runner_->start()));
  for (AccountNumber account = 1; account <= 3; ++account) EXPECT_TRUE(await(account, Stage::native)) << account;
  EXPECT_TRUE(await_state("w1", State::done));
}

}  // namespace
}  // namespace relais::migrate
