// One account through its stages: planned, copying, tailing, cutover, native.
#pragma once

#include "migrate/cutover.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace relais::migrate {

// ---- what an administrator asks for. An account whose placement is `moving` although its stage knows of no freeze is put back on its
// platform by each of these.
/// An account that is to be moved: the record that everything begins with.
struct PlannedMove {
  storage::ShardNumber shard = 0;
  std::string wave{};  ///< empty: none
  std::uint8_t consents = kConsentNone;
};
/// Errors: Fault::refused "NONEXISTENT" (no such account), "PLACEMENT" (it does not live on a legacy platform), "ALREADYEXISTS" (it has a
/// stage: retry_move() for one that is stuck or was skipped).
net::Task<StageRecord> plan_move(const MoveServices& services, AccountNumber account, PlannedMove plan);
/// One that is stuck or was skipped begins again with what it has copied; one that waits for its next attempt need not any more.
/// Errors: Fault::refused "NONEXISTENT" (no stage), "STAGE" (it is past that), "PLACEMENT".
net::Task<StageRecord> retry_move(const MoveServices& services, AccountNumber account);
/// It stays where it is. Errors: as retry_move().
net::Task<StageRecord> skip_move(const MoveServices& services, AccountNumber account);

/// One account's move, driven as far as it may go, and kept in step. Everything is in the journal: the object can be dropped between two
/// runs and made anew.
///
/// Threads: one loop's for its life. Lifetime: not destroyed while run() runs.
class AccountMove {
 public:
  AccountMove(const MoveServices& services, const MoveOptions& options, AccountNumber account, net::Loop& loop);
  ~AccountMove();
  AccountMove(const AccountMove&) = delete;
  AccountMove& operator=(const AccountMove&) = delete;

  /// What it may do now.
  struct Permission {
    bool copy = true;       ///< read from the source at all
    bool cut_over = false;  ///< the wave runs, its window is open
  };
  struct Outcome {
    StageRecord stage{};
    /// When run() is to be called again (maybe of another object); max(): nothing is left to do, or a person must look.
    std::chrono::steady_clock::time_point next{};
  };
  /// Copies, follows, cuts over, as far as it is allowed. Returns when there is nothing to do before `next`, or stop() was called. A source
  /// or a shard that fails is no Error: it is in the record, and `next` is later.
  /// @param allowed  asked at each decision, and while copying  @param changed  after each journaled stage, and as copying goes on
  /// Errors: of the journal and the directory; Fault::refused "NONEXISTENT" without a stage, "STAGE" where somebody else (retry_move(),
  /// skip_move()) has taken it elsewhere meanwhile.
  net::Task<Outcome> run(std::function<Permission()> allowed, std::function<void(const StageRecord&)> changed);

  /// A switch that is decided is finished, a freeze that is not is released, copying ends where it is; then run() returns.
  void stop() noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::migrate
