// Drives the moves of running waves; see runner.h.
#include "migrate/runner.h"

#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "migrate/window.h"
#include "net/completion.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace relais::migrate {
namespace {

using TimePoint = std::chrono::steady_clock::time_point;
using Outcome = Movable::Outcome;

constexpr std::size_t kRanks = 4;

/// What is frozen comes before everything, then what can be switched soonest.
std::size_t rank_of(Stage stage) noexcept {
  switch (stage) {
    case Stage::cutover:
    case Stage::switching: return 0;
    case Stage::tailing: return 1;
    case Stage::copying: return 2;
    default: return 3;
  }
}

void rethrow(std::exception_ptr thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

struct Wave {
  explicit Wave(WaveRecord r) : record(std::move(r)), window(Window::parse(record.window).value_or(Window{})) {}
  WaveRecord record;
  const Window window;
  std::atomic<bool> running{false};  ///< read by moves on their loops
  std::size_t left = 0;              ///< accounts that are not at rest
  std::size_t active = 0;
  std::size_t seen = 0;   ///< accounts that have been in it
  std::size_t stuck = 0;  ///< since it was started or resumed
  std::array<std::set<std::pair<TimePoint, AccountNumber>>, kRanks> due;
};

struct Entry {
  std::shared_ptr<Wave> wave;
  Stage stage = Stage::planned;
  TimePoint due{};
  bool queued = false;
};

}  // namespace

bool at_rest(Stage stage) noexcept {
  return stage == Stage::native || stage == Stage::settled || stage == Stage::stuck || stage == Stage::skipped;
}

struct Runner::Impl : std::enable_shared_from_this<Runner::Impl> {
  Impl(RunnerParts p, RunnerOptions o) : parts(std::move(p)), options(o), timer(parts.home->context()) {}

  const RunnerParts parts;
  const RunnerOptions options;

  // ---- the home loop alone
  net::asio::steady_timer timer;
  std::map<std::string, std::shared_ptr<Wave>, std::less<>> waves;
  std::unordered_map<AccountNumber, Entry> entries;
  std::unordered_map<AccountNumber, Stage> stages;  ///< of all accounts that the journal has, for metrics
  /// Accounts that are run or held, with who waits for them.
  std::unordered_map<AccountNumber, std::deque<net::Completion<bool>>> taken;
  std::size_t active = 0;

  // ---- any thread
  mutable std::mutex mutex;
  std::condition_variable ended;
  std::map<AccountNumber, std::pair<std::shared_ptr<Movable>, net::Loop*>> moves;  ///< guarded by mutex
  std::map<AccountNumber, int> wanted;  ///< guarded by mutex; accounts that somebody waits for: their moves do not begin
  bool stopping = false;                ///< guarded by mutex

  bool is_stopping() const {
    const std::lock_guard lock(mutex);
    return stopping;
  }

  // ---- metrics
  static metrics::Gauge& gauge(Stage stage) {
    return metrics::gauge("relais_migrate_accounts", "Accounts by what their move has come to.", {{"stage", to_string(stage)}});
  }
  void count(AccountNumber account, Stage stage) {
    const auto [at, fresh] = stages.try_emplace(account, stage);
    if (!fresh && at->second == stage) return;
    if (!fresh) gauge(at->second).add(-1);
    at->second = stage;
    gauge(stage).add(1);
  }

  // ---- queues
  void enqueue(AccountNumber account, Entry& entry) {
    if (entry.queued || taken.contains(account)) return;
    entry.queued = true;
    entry.wave->due[rank_of(entry.stage)].emplace(entry.due, account);
  }
  void dequeue(AccountNumber account, Entry& entry) {
    if (!entry.queued) return;
    entry.queued = false;
    entry.wave->due[rank_of(entry.stage)].erase({entry.due, account});
  }
  void drop(AccountNumber account) {
    const auto at = entries.find(account);
    if (at == entries.end()) return;
    dequeue(account, at->second);
    const auto wave = std::move(at->second.wave);
    entries.erase(at);
    --wave->left;
    finish_if_done(wave);
  }
  /// Where the account is now, as the journal has it.
  void put(AccountNumber account, const StageRecord& record, TimePoint due) {
    count(account, record.stage);
    const auto wave = waves.find(record.wave);
    if (at_rest(record.stage) || wave == waves.end()) return drop(account);
    const auto [at, fresh] = entries.try_emplace(account);
    auto& entry = at->second;
    if (!fresh) dequeue(account, entry);
    if (entry.wave != wave->second) {
      if (entry.wave) --entry.wave->left;
      const auto before = std::exchange(entry.wave, wave->second);
      ++entry.wave->left;
      ++entry.wave->seen;
      if (before) finish_if_done(before);
    }
    entry.stage = record.stage;
    entry.due = due;
    enqueue(account, entry);
  }
  void finish_if_done(const std::shared_ptr<Wave>& wave) {
    if (wave->left > 0 || wave->record.state != WaveRecord::State::running || wave->record.name.empty()) return;
    auto record = wave->record;
    record.state = WaveRecord::State::done;
    record.ended = parts.clock->seconds();
    write_later(std::move(record));
  }
  void write_later(WaveRecord record) {
    auto write = [](std::shared_ptr<Impl> self, WaveRecord done) -> net::asio::awaitable<void> {
      const auto name = done.name;
      if (const auto written = co_await self->set_wave(std::move(done)); !written)
        log::event(log::Level::error, "wave not recorded",
                   {{"wave", name}, {"reason", written.error().text}, {"detail", written.error().detail}});
    };
    net::asio::co_spawn(parts.home->context(), write(shared_from_this(), std::move(record)), rethrow);
  }

  /// One more account of it is stuck.
  void judge(const std::shared_ptr<Wave>& wave) {
    ++wave->stuck;
    const auto accounts = std::max<std::size_t>(wave->seen, wave->record.accounts);
    const bool many = wave->stuck >= options.gate_stuck && wave->stuck * 1'000 >= accounts * options.gate_per_thousand;
    if (!many || wave->left == 0 || !wave->running) return;
    wave->running = false;
    auto record = wave->record;
    record.state = WaveRecord::State::paused;
    record.why = std::to_string(wave->stuck) + " of " + std::to_string(accounts) + " accounts are stuck";
    write_later(std::move(record));
  }

  std::optional<AccountNumber> next_due(TimePoint now) {
    for (std::size_t rank = 0; rank < kRanks; ++rank) {
      std::optional<std::pair<TimePoint, AccountNumber>> first;
      for (const auto& [name, wave] : waves) {
        const bool full = wave->record.at_once != 0 && wave->active >= wave->record.at_once;
        if (rank > 0 && (!wave->running || full)) continue;
        const auto& due = wave->due[rank];
        if (!due.empty() && due.begin()->first <= now && (!first || *due.begin() < *first)) first = *due.begin();
      }
      if (first) return first->second;
    }
    return std::nullopt;
  }

  void schedule() {
    if (is_stopping()) return;
    const auto now = std::chrono::steady_clock::now();
    while (active < options.at_once) {
      const auto account = next_due(now);
      if (!account) break;
      launch(*account);
    }
    auto earliest = TimePoint::max();
    for (const auto& [name, wave] : waves) {
      for (std::size_t rank = 0; rank < kRanks; ++rank) {
        if ((rank == 0 || wave->running) && !wave->due[rank].empty()) earliest = std::min(earliest, wave->due[rank].begin()->first);
      }
    }
    timer.cancel();
    if (earliest <= now || earliest == TimePoint::max()) return;  // who ends next calls again
    timer.expires_at(earliest);
    timer.async_wait([self = weak_from_this()](const boost::system::error_code& error) {
      if (const auto impl = self.lock(); impl && !error) impl->schedule();
    });
  }

  void launch(AccountNumber account) {
    auto& entry = entries.at(account);
    dequeue(account, entry);
    taken.try_emplace(account);
    ++active;
    ++entry.wave->active;
    auto& loop = parts.loops->next();
    net::asio::co_spawn(loop.context(), drive(shared_from_this(), account, entry.wave, loop), rethrow);
  }

  static net::asio::awaitable<void> drive(std::shared_ptr<Impl> self, AccountNumber account, std::shared_ptr<Wave> wave, net::Loop& loop) {
    auto permission = [wave, minute = self->parts.minute_of_day]() -> MovePermission {
      const bool running = wave->running;
      return {.copy = running, .cut_over = running && wave->window.is_open(minute())};
    };
    auto outcome = co_await self->run(account, std::move(permission), loop);
    self->parts.home->post([self, account, wave, result = std::move(outcome)] { self->drove(account, wave, result); });
  }

  /// On the loop that the move lives on.
  net::Task<Outcome> run(AccountNumber account, std::function<MovePermission()> allowed, net::Loop& loop) {
    const std::shared_ptr<Movable> move = parts.make(account, loop);
    {
      const std::lock_guard lock(mutex);
      if (stopping) co_return fail(Fault::temporary, "the platform is stopping", "SHUTDOWN");
      if (wanted.contains(account)) co_return fail(Fault::temporary, "something else is done with the account", "INUSE");
      moves[account] = {move, &loop};
    }
    auto changed = [self = shared_from_this(), account](const StageRecord& record) {
      self->parts.home->post([self, account, stage = record.stage] { self->count(account, stage); });
    };
    auto outcome = co_await move->run(std::move(allowed), std::move(changed));
    {
      const std::lock_guard lock(mutex);
      moves.erase(account);
    }
    ended.notify_all();
    co_return outcome;
  }

  void drove(AccountNumber account, const std::shared_ptr<Wave>& wave, const Result<Outcome>& outcome) {
    --active;
    --wave->active;
    const auto now = std::chrono::steady_clock::now();
    if (outcome) {
      put(account, outcome->stage, outcome->next);
      if (outcome->stage.stage == Stage::stuck) judge(wave);
    } else if (outcome.error().code == "INUSE") {
      if (const auto entry = entries.find(account); entry != entries.end()) entry->second.due = now;
    } else if (!is_stopping()) {
      log::event(log::Level::error, "move not driven",
                 {{"account", account}, {"reason", outcome.error().text}, {"detail", outcome.error().detail}});
      const auto record = parts.journal->stage(account);
      if (record && *record)
        put(account, **record, now + options.after_failure);
      else if (record)
        drop(account);
      else if (const auto entry = entries.find(account); entry != entries.end())
        entry->second.due = now + options.after_failure;
    }
    give_back(account);
    schedule();
  }

  // ---- holds
  /// Hands the account to the first who waits for it, else to its wave.
  void give_back(AccountNumber account) {
    const auto at = taken.find(account);
    RELAIS_CHECK(at != taken.end());
    if (!at->second.empty()) {
      auto first = std::move(at->second.front());
      at->second.pop_front();
      std::move(first).resume(true);
      return;
    }
    taken.erase(at);
    if (const auto entry = entries.find(account); entry != entries.end()) enqueue(account, entry->second);
  }

  net::asio::awaitable<void> take(AccountNumber account) {
    const auto [at, free] = taken.try_emplace(account);
    if (free) {
      if (const auto entry = entries.find(account); entry != entries.end()) dequeue(account, entry->second);
      co_return;
    }
    stop_move(account);
    co_await net::suspended<bool>([this, account](net::Completion<bool> waiter) { taken.at(account).push_back(std::move(waiter)); });
    const std::lock_guard lock(mutex);
    if (--wanted.at(account) == 0) wanted.erase(account);
  }

  void stop_move(AccountNumber account) {
    const std::lock_guard lock(mutex);
    ++wanted[account];
    const auto at = moves.find(account);
    if (at == moves.end()) return;
    const auto& running = at->second;
    running.second->post([move = running.first] { move->stop(); });
  }

  // ---- waves
  net::Task<void> set_wave(WaveRecord record) {
    RELAIS_CO_TRY_VOID(co_await parts.journal->set_wave(record));
    auto& wave = waves[record.name];
    if (!wave || wave->record.window != record.window) replace(wave, record);
    wave->record = record;
    const bool runs = record.state == WaveRecord::State::running;
    if (runs && !wave->running) wave->stuck = 0;
    wave->running = runs;
    log::event(log::Level::info, "wave", {{"wave", record.name}, {"state", to_string(record.state)}, {"why", record.why}});
    finish_if_done(wave);
    schedule();
    co_return Result<void>{};
  }
  /// Moves that run keep what they have of the old one, which is paused.
  void replace(std::shared_ptr<Wave>& wave, const WaveRecord& record) {
    const auto before = std::exchange(wave, std::make_shared<Wave>(record));
    if (!before) return;
    before->running = false;
    wave->left = before->left;
    wave->seen = before->seen;
    wave->due = before->due;
    for (auto& [account, entry] : entries) {
      if (entry.wave == before) entry.wave = wave;
    }
  }

  net::Task<void> refresh_waves() {
    RELAIS_CO_TRY(auto records, parts.journal->waves());
    std::erase_if(waves, [&records](const auto& wave) {
      const bool kept =
          wave.first.empty() || std::ranges::any_of(records, [&wave](const WaveRecord& record) { return record.name == wave.first; });
      return !kept && wave.second->left == 0;
    });
    for (auto& record : records) {
      auto& wave = waves[record.name];
      if (!wave) wave = std::make_shared<Wave>(record);
      wave->record = std::move(record);
      wave->running = wave->record.state == WaveRecord::State::running;
    }
    co_return Result<void>{};
  }

  net::Task<void> start() {
    RELAIS_CO_TRY_VOID(co_await refresh_waves());
    // Of no wave: what is frozen is ended all the same.
    auto& nobodys = waves[""];
    if (!nobodys) nobodys = std::make_shared<Wave>(WaveRecord{});
    const auto now = std::chrono::steady_clock::now();
    RELAIS_CO_TRY_VOID(parts.journal->for_each([&](AccountNumber account, const StageRecord& record) {
      put(account, record, now);
      return true;
    }));
    for (const auto& [name, wave] : waves) finish_if_done(wave);
    schedule();
    co_return Result<void>{};
  }
};

Runner::Hold& Runner::Hold::operator=(Hold&& other) noexcept {
  if (this != &other) {
    release();
    impl_ = std::move(other.impl_);
    account_ = other.account_;
  }
  return *this;
}
void Runner::Hold::release() noexcept {
  const auto impl = std::move(impl_);
  if (!impl) return;
  impl->give_back(account_);
  impl->schedule();
}

Runner::Runner(RunnerParts parts, RunnerOptions options) : impl_(std::make_shared<Impl>(std::move(parts), options)) {}
Runner::~Runner() { stop(); }

net::Task<void> Runner::start() { return impl_->start(); }
net::Task<void> Runner::set_wave(WaveRecord wave) { return impl_->set_wave(std::move(wave)); }
net::Task<void> Runner::refresh_waves() { return impl_->refresh_waves(); }

net::Task<Runner::Hold> Runner::hold(AccountNumber account) {
  co_await impl_->take(account);
  co_return Hold(impl_, account);
}

void Runner::changed(AccountNumber account, const StageRecord& record) { impl_->put(account, record, std::chrono::steady_clock::now()); }

net::Task<Outcome> Runner::run_once(AccountNumber account) {
  RELAIS_CHECK(impl_->taken.contains(account));
  auto outcome = co_await impl_->run(account, [] { return MovePermission{.copy = true, .cut_over = false}; }, *impl_->parts.home);
  if (outcome) impl_->count(account, outcome->stage.stage);
  co_return outcome;
}

std::size_t Runner::running() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->moves.size();
}

void Runner::stop() noexcept {
  const std::lock_guard lock(impl_->mutex);
  impl_->stopping = true;
  for (const auto& [account, running] : impl_->moves) running.second->post([move = running.first] { move->stop(); });
}

bool Runner::await_stopped(std::chrono::milliseconds limit) {
  std::unique_lock lock(impl_->mutex);
  return impl_->ended.wait_for(lock, limit, [this] { return impl_->moves.empty(); });
}

}  // namespace relais::migrate
