// Who is tried next: destinations, their gates and connections. Decisions alone; no I/O, no clock.
#pragma once

#include "smtp/queue/admin.h"
#include "smtp/queue/record.h"
#include "smtp/queue/rules.h"
#include "smtp/queue/store.h"
#include "smtp/queue/transport.h"

#include <cstdint>
#include <functional>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::smtp::queue {

/// Milliseconds since the epoch.
using Instant = std::int64_t;
inline constexpr Instant kNever = std::numeric_limits<Instant>::max();

/// A job that a lane shall try.
struct Ticket {
  std::uint16_t shard = 0;
  Position position;
};

/// A look at the store that the scheduler wants: QueueShard::due(destination, from, now, limit).
struct ScanRequest {
  std::uint16_t shard = 0;
  Position from;
  std::size_t limit = 0;
};

/// Keeps destinations and what is in flight in memory, never the backlog.
///
/// What it knows of a destination's backlog are *cursors*, one per shard and priority class: every schedule key that is not known here
/// (ready or in flight) lies at or behind its cursor. Lanes read on from there, some dozen keys at a time. What it holds is a hint
/// throughout: a lane loads the job it was given and drops a ticket whose job is gone or due at another time.
///
/// Fairness: a destination that wants a connection gets in line; connections go to the head of the line, one at a time, and whoever wants
/// more goes to its end. Once three quarters of all connections are in use, only destinations below their share (half of all connections
/// divided by those that are active) get more, so that slow ones cannot take what others need: while there are fewer active destinations
/// than a quarter of the connections, each of them finds one at once. Those in trouble, all together, never hold more than a quarter, those
/// that take seconds for a message neither, those of which nothing is known yet never more than half; and what all these hold does not
/// count against the healthy ones' three quarters.
///
/// A lane whose destination has nothing due rests for a moment with its connection open, unless connections are short: the next message
/// then needs no new one.
///
/// Threads: any. All times are given.
class Scheduler {
 public:
  /// @param connections  to others, in all   @param rules  asked at each step   @param random in [0, 1)
  Scheduler(std::uint32_t connections, std::size_t shards, std::function<Rule(std::string_view destination)> rules,
            std::function<double()> random);
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  /// A destination's state; lanes hold on to it.
  class Destination;
  using DestinationPtr = std::shared_ptr<Destination>;

  /// One lane's own part of the state.
  struct Turn {
    DestinationPtr destination;
    Instant started = 0;
    std::uint32_t jobs = 0;
    bool hungry = true;      ///< has not had a job yet
    bool proven = false;     ///< the destination took one of its jobs
    bool leaving = false;    ///< was told to end
    bool resting = false;    ///< was told to rest, and not rung since
    Instant rest_until = 0;  ///< since its last job it has rested; 0: it has not
    /// Wakes the lane from Step::rest; on any thread, once per rest. Empty: the lane never rests. Set before the first next(); the Turn
    /// stays where it is from then on.
    std::function<void()> ring{};
    const void* home = nullptr;                ///< where it runs
    const std::string& name() const noexcept;  ///< the destination's
  };

  // ---- what there is
  /// A schedule entry is durable: after accept(), a retry, a release.
  /// @param near  of lanes that rest, one of this home is woken rather than others
  void added(std::string_view destination, std::uint16_t shard, const Position& position, Instant now, const void* near = nullptr);
  /// At the start: the first entry of a shard and class.
  void found(std::string_view destination, std::uint16_t shard, const Position& first, Instant now);

  // ---- lanes
  /// A lane that shall start now; call until there is none.
  std::optional<Turn> start(Instant now);
  /// When start() may have something, given that nothing else happens. kNever: then never.
  Instant wake() const;
  /// Of lanes that shall rest no more: to be called by whoever has called anything else here, holding no lock.
  std::vector<std::function<void()>> rung();

  enum class Step : std::uint8_t {
    job,    ///< try `ticket`
    look,   ///< `scans` first, then ask again
    again,  ///< another lane is looking: ask again in a moment
    rest,   ///< keep the connection, and ask again when Turn::ring is called
    end,    ///< close the lane: no further call but ended()
  };
  struct Next {
    Step step = Step::end;
    Ticket ticket{};
    std::vector<ScanRequest> scans{};  ///< to be done (scanned() for each) before anything else, also with a job
  };
  Next next(Turn& turn, Instant now);
  /// @param found  an Error counts as if the position asked for were still to come; the destination pauses
  void scanned(Turn& turn, const ScanRequest& request, const Result<DueJobs>& found, Instant now);
  /// The ticket was of no use: its job is gone, held, or due at another time.
  void stale(Turn& turn, const Ticket& ticket, Instant now);
  /// The ticket's job was not touched and stays where it is: it will be found again.
  void put_back(Turn& turn, const Ticket& ticket, Instant now);
  /// The ticket's attempt is over and recorded (or never was begun: then `position_stands`, and the job will be found again).
  void done(Turn& turn, const Ticket& ticket, Health health, std::string_view trouble, bool position_stands, Instant now);
  /// Whether other lanes of the turn's destination have got mail through.
  bool others_get_through(const Turn& turn) const;
  /// What came of the ticket's attempt can never be recorded (its record is damaged): for this process the job is nobody's, else it would
  /// be sent again and again.
  void abandon(Turn& turn, const Ticket& ticket, Health health, std::string_view trouble, Instant now);
  /// The lane is closed.
  void ended(Turn& turn, Instant now);

  // ---- others who work on jobs
  /// Keeps lanes away from a job. @return false where an attempt is under way
  bool claim(std::string_view destination, std::uint16_t shard, MessageId id, Instant now);
  /// @param position  where it is in the schedule, if it still is
  void unclaim(std::string_view destination, std::uint16_t shard, MessageId id, std::optional<Position> position, Instant now);
  bool in_flight(std::string_view destination, std::uint16_t shard, MessageId id) const;

  /// The shard takes no writes: its jobs are left alone until then, those of other shards go on.
  void block(std::uint16_t shard, Instant until);

  // ---- admins
  void open_gate(std::string_view destination, Instant now);
  /// Lanes end after what they are at; none starts.
  void stop();
  std::optional<ShownDestination> describe(std::string_view destination) const;
  std::vector<ShownDestination> describe_all(std::size_t limit) const;

  std::size_t destinations() const;
  std::size_t shut() const;   ///< destinations whose gate is shut
  std::size_t lanes() const;  ///< all that are open
  std::size_t jobs_in_flight() const;
  /// Entries of backlog held in memory: for tests.
  std::size_t remembered() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::smtp::queue
