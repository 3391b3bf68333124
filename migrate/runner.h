// Which accounts move now: waves that run, so many accounts at once, windows; stopped and taken up again from the journal.
#pragma once

#include "base/clock.h"
#include "migrate/journal.h"
#include "net/loop.h"
#include "net/task.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace relais::migrate {

/// What a move may do now.
struct MovePermission {
  bool copy = true;       ///< read from the source at all
  bool cut_over = false;  ///< its wave runs, and the window is open
};

/// One account's move as the runner drives it: AccountMove, but for tests.
class Movable {
 public:
  struct Outcome {
    StageRecord stage{};
    std::chrono::steady_clock::time_point next{};  ///< when it is to be run again; max(): a person must look, or nothing is left to do
  };
  virtual ~Movable() = default;
  virtual net::Task<Outcome> run(std::function<MovePermission()> allowed, std::function<void(const StageRecord&)> changed) = 0;
  virtual void stop() noexcept = 0;
};

struct RunnerOptions {
  std::uint32_t gate_stuck = 2;                     ///< so many accounts of a wave stuck since it was started or resumed, …
  std::uint32_t gate_per_thousand = 20;             ///< … and such a share of its accounts, pause it
  std::uint32_t at_once = 8;                        ///< accounts that are copied or switched at one time
  std::chrono::milliseconds after_failure{60'000};  ///< when directory or journal could not be read or written
};

struct RunnerParts {
  Journal* journal = nullptr;
  net::Loop* home = nullptr;       ///< of the runner itself
  net::LoopPool* loops = nullptr;  ///< moves are shared out among them
  std::function<std::unique_ptr<Movable>(AccountNumber account, net::Loop& loop)> make{};
  std::function<std::uint16_t()> minute_of_day{};  ///< local time, for windows. Threads: any
  const Clock* clock = &system_clock();
};

/// Moves of running waves run, those furthest on first; what is frozen is ended whatever its wave does. One move of an account at a time. A
/// wave in which too many accounts get stuck is paused: only a person resumes it. All that must outlive the process is in the journal; the
/// runner is told of what others change there.
///
/// Threads: all calls on the home loop, but for those that say otherwise. Lifetime: `parts` outlive the loops; destroyed before the loops,
/// and not while one of its tasks runs.
class Runner {
  struct Impl;

 public:
  Runner(RunnerParts parts, RunnerOptions options);
  ~Runner();
  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  /// Takes up what the journal has. Errors: those of the journal.
  net::Task<void> start();

  /// The wave as it is from now on: running, paused with a reason, …; journaled, and made known here where it is new.
  net::Task<void> set_wave(WaveRecord wave);
  /// A plan was made: waves that are `planned` may have gone.
  net::Task<void> refresh_waves();

  /// Nothing moves the account as long as this lives. On the home loop.
  class Hold {
   public:
    Hold() noexcept = default;
    Hold(Hold&& other) noexcept = default;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold() { release(); }
    void release() noexcept;

   private:
    friend class Runner;
    Hold(std::shared_ptr<Impl> impl, AccountNumber account) noexcept : impl_(std::move(impl)), account_(account) {}
    std::shared_ptr<Impl> impl_;  ///< null: holds nothing
    AccountNumber account_ = 0;
  };
  /// Stops the account's move at the next point where that can be, and keeps others from beginning. Waits for earlier holds.
  net::Task<Hold> hold(AccountNumber account);
  /// The account's stage was changed by who holds it: it is run accordingly once that hold ends.
  void changed(AccountNumber account, const StageRecord& record);
  /// Runs a held account once, whatever its wave; it is not switched. Errors: as Movable; Fault::temporary where the platform stops.
  net::Task<Movable::Outcome> run_once(AccountNumber account);

  /// Moves that run now. Threads: any.
  std::size_t running() const;
  /// No move begins any more, those that run come to their end. Threads: any.
  void stop() noexcept;
  /// @return false where moves still run at the end of `limit`. Threads: any but those of the loops.
  bool await_stopped(std::chrono::milliseconds limit);

 private:
  const std::shared_ptr<Impl> impl_;
};

/// No move of it is to be expected any more without a person: native, settled, stuck, skipped.
bool at_rest(Stage stage) noexcept;

}  // namespace relais::migrate
