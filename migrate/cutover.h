// How an account changes sides: freeze, final delta, verify, switch or release; and how a freeze that was cut off is ended.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "migrate/journal.h"
#include "migrate/move_ends.h"
#include "net/loop.h"
#include "net/task.h"
#include "storage/import.h"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

/// How moves are made. What an administrator agrees to for an account is in its StageRecord::consents.
struct MoveOptions {
  std::chrono::milliseconds freeze_limit{10'000};  ///< from `moving` to the journaled decision; beyond it: released
  std::chrono::milliseconds quiet_wait{30'000};    ///< before a freeze, for POP3 sessions, transfers and long commands to end
  std::chrono::milliseconds long_command{1'000};   ///< a command that has run for so long is waited for, outside of the freeze
  std::uint64_t small_changes = 100;               ///< a pass is small below all three of these …
  std::uint64_t small_octets = 5U << 20U;
  std::chrono::milliseconds small_time{1'000};
  std::uint32_t small_in_a_row = 2;        ///< … so many times
  std::chrono::seconds shortest_pause{5};  ///< between passes
  std::chrono::seconds longest_pause{300};
  std::chrono::seconds first_retry{300};  ///< after a released attempt or a pass that failed; doubles up to
  std::chrono::seconds longest_retry{4 * 3600};
  std::uint16_t max_attempts = 5;                ///< released in a row; then stuck
  std::chrono::milliseconds write_again{1'000};  ///< where directory or shard could not be written and a freeze has to be ended
  bool read_back = true;                         ///< what lies in the target is compared with what was received, octet by octet
};

/// What moves work with. All of it outlives them.
struct MoveServices {
  directory::Moves* directory = nullptr;
  directory::PlacementGate* gate = nullptr;
  storage::Import* import = nullptr;
  Journal* journal = nullptr;
  const Clock* clock = &system_clock();
  /// Logs in to the source of an account and opens its target in this shard. Not needed by recover(). Errors: as Source.
  std::function<net::Task<std::unique_ptr<MoveEnds>>(directory::Located account, storage::ShardNumber shard, net::Loop& loop)> open{};
  /// The placement is settled: mail that waits is due (smtp::queue::Queue::release_account). Any thread. May be empty.
  std::function<void(AccountNumber)> release_mail{};
  /// Before messages of a platform are asked for (their number) and after they came (their octets): may wait. Not called in a freeze. May
  /// be empty.
  std::function<net::Task<void>(std::string platform, std::uint64_t messages, std::uint64_t octets)> budget{};
  /// Told at each of kCrashPoints, for tests that end the process there. May be empty.
  std::function<void(std::string_view point)> crash_point{};
};

/// The instants between two durable changes, in the order of a move.
inline constexpr std::array<std::string_view, 17> kCrashPoints{
    "copying.journaled",  // the stage is in the journal, nothing was done
    "copying.origin",     // the directory has the source's view of names
    "copying.importing",  // the target takes mail from the mover alone
    "copying.copied",     // all mailboxes were in step once
    "tailing.journaled",
    "cutover.journaled",    // the journal says that the placement may be moving
    "cutover.moving",       // it is
    "cutover.drained",      // nobody acts on it
    "cutover.copied",       // the final delta
    "cutover.verified",     // nothing differs
    "switching.journaled",  // decided: from here on there is only forward
    "switching.open",       // the target takes mail from everybody
    "switching.placed",     // the placement names the target
    "switching.told",       // guests and queue know
    "native.journaled",
    "release.placed",  // given up: the placement names the source again
    "release.told",
};

/// Why an attempt was given up. Counted, journaled, shown.
enum class Release : std::uint8_t {
  none,        ///< it was not: the account was switched
  limit,       ///< of the freeze
  drain,       ///< a guest came to no boundary
  difference,  ///< verification found one
  source,      ///< an error of the source
  target,      ///< of ours: shard full, read-only
  records,     ///< directory or journal could not be written
  epoch,       ///< somebody else has changed the placement: stuck
  asked,       ///< by an administrator, or the platform stops
};
std::string_view to_string(Release why) noexcept;

/// What one attempt came to.
struct CutoverResult {
  Release why = Release::none;
  std::string detail{};  ///< of what went wrong, one line
  std::vector<Finding> differences{};
  std::chrono::milliseconds frozen{0};
  StageRecord stage{};  ///< as journaled. Still `cutover` or `switching` where directory or journal could not be written: end_freeze() is
                        ///< to be called until it is neither, and the account is served by nobody meanwhile
};

/// One attempt, from a StageRecord that says `tailing`.
///
/// Invariants, in the order of what can be lost:
///  - the placement is changed by compare-and-set alone, and names one side at any instant;
///  - `switching` is in the journal before the placement names the target, and nothing but a verification that found nothing puts it there;
///  - whatever happens, this ends with the gate told and the mail released, or end_freeze() does it;
///  - the limit bounds each step by what is left of it; past the journaled decision there is none: it is finished.
/// Guests that must be waited for outside of a freeze were: see wait_for_quiet().
///
/// @param cursors  kept up to date  @param known  findings of the copy  @param stopping  asked before each step up to the decision
/// Errors: Fault::temporary where the freeze never began; the stage is `tailing` or `cutover` then. All else is a CutoverResult.
net::Task<CutoverResult> cut_over(const MoveServices& services, const MoveOptions& options, AccountNumber account, StageRecord record,
                                  MoveEnds& ends, Cursors& cursors, std::vector<Finding> known, std::function<bool()> stopping);

/// Ends what a freeze has left: `cutover` is released, `switching` completed. docs/migration.md has the table. Idempotent; any other stage
/// is given back as it is. @return the stage as journaled
/// Errors: Fault::temporary where directory, journal or storage cannot be written: to be called again.
net::Task<StageRecord> end_freeze(const MoveServices& services, AccountNumber account, StageRecord record);

/// Until no POP3 session, no transfer and no long command is present. @return false where that is not so at the deadline, or `stopping`
net::Task<bool> wait_for_quiet(const MoveServices& services, const MoveOptions& options, AccountNumber account,
                               std::function<bool()> stopping);

/// At the start, before listeners open: every freeze that was cut off is ended.
struct Recovered {
  std::uint64_t released = 0;
  std::uint64_t completed = 0;
  std::uint64_t waiting = 0;  ///< could not be ended: these accounts get temporary failures until the mover has done it
};
/// Errors: Fault::temporary, Fault::corrupt where the journal cannot be read: which accounts wait is not known then.
net::Task<Recovered> recover(const MoveServices& services);

}  // namespace relais::migrate
