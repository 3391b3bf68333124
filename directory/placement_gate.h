// Who acts on an account's placement now, so that a change of it can wait until nobody acts on the old one any more.
#pragma once

#include "directory/directory.h"
#include "net/loop.h"
#include "net/task.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

namespace relais::directory {

class PlacementGate;

/// What the gate tells a guest: on the guest's loop, once per occasion, never before enter() has returned, never after leave() or the
/// Guest's destruction.
enum class GateCall : std::uint8_t {
  drain,     ///< the placement changes: come to a boundary, then rest() or leave()
  released,  ///< nothing has changed after all: go on as before
  moved,     ///< the placement is another now: look it up, go there, then leave()
};

/// What a guest is, which decides how long it is waited for before a freeze begins.
enum class GuestKind : std::uint8_t {
  imap_relay,
  pop_relay,
  smtp_transfer,  ///< a message being given to the legacy platform; cannot rest, only leave
  imap_native,
  pop_native,
};

/// One presence of one account. Movable; leaving is idempotent and what the destructor does.
///
/// Threads: those of the loop that entered, but for the destructor, which is safe anywhere where nothing can be told any more.
class Guest {
 public:
  Guest() noexcept = default;
  Guest(Guest&& other) noexcept = default;
  Guest& operator=(Guest&& other) noexcept;
  ~Guest() { leave(); }

  /// Of what it has entered; with another epoch after `released`. Not after leave().
  const Placement& placement() const noexcept;
  /// Busy from now on, or not: set at each command's begin and end, so that a freeze can be put off while something long runs. A guest
  /// enters busy.
  void busy(bool now) noexcept;
  /// At a boundary, in answer to `drain`, when that was the last that was told: from now on nothing is done on the old side but to wait.
  /// Without effect when nobody drains, or something else is on its way to the guest.
  void rest() noexcept;
  void leave() noexcept;
  explicit operator bool() const noexcept { return state_ != nullptr; }

 private:
  friend class PlacementGate;
  struct State;
  explicit Guest(std::shared_ptr<State> state) noexcept : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

/// Why this is right without a clock: a guest is registered before it reads the placement it acts on, and a mover changes the placement
/// before it looks for guests. So either the guest has read the new placement (and enter() refuses the old one), or the mover sees the
/// guest. Guests die with their process, which is the only one that acts on its directory; with frontends on several hosts another
/// implementation asks each of them, and waits for the lease of those that are silent.
///
/// Threads: any. Memory: a record per account with guests or waiters; about 200 octets a guest.
/// Lifetime: outlives every guest and every waiter; loops outlive the guests that are told on them.
class PlacementGate {
 public:
  /// Reads an account's present record; as Directory::find_number().
  using Read = std::function<net::Task<std::optional<Account>>(AccountNumber)>;

  explicit PlacementGate(Directory& directory);
  explicit PlacementGate(Read read);
  ~PlacementGate();
  PlacementGate(const PlacementGate&) = delete;
  PlacementGate& operator=(const PlacementGate&) = delete;

  // ---- frontends
  /// Who is told of each guest that has entered, on the guest's thread: must not block. Set once, before the first guest.
  void watch(std::function<void(AccountNumber account, GuestKind kind)> entered);
  /// Registers, then reads the placement and compares.
  /// @param account  as it was looked up  @param told  see GateCall; empty for guests that are never told  @param loop  the caller's, where
  ///   `told` runs
  /// Errors: Fault::temporary "PLACEMENT" where the placement is another by now, or the account is being moved: look it up again;
  ///   Fault::temporary "UNAVAILABLE" where the directory cannot be read.
  net::Task<Guest> enter(Account account, GuestKind kind, net::Loop& loop, std::function<void(GateCall)> told);
  /// Waits while the placement is `moving`.
  /// @return the account with a placement that can be acted upon. Errors: Fault::temporary "UNAVAILABLE" at the deadline or where the
  ///   directory cannot be read; Fault::refused "NONEXISTENT" where the account is gone.
  net::Task<Account> await_settled(AccountNumber account, net::Deadline deadline);

  // ---- the mover
  struct Presence {
    std::uint32_t guests = 0;
    std::uint32_t pop_sessions = 0;
    std::uint32_t transfers = 0;
    std::uint32_t resting = 0;
    std::chrono::milliseconds longest_busy{0};  ///< of the guest that has been busy longest; 0: none is
  };
  Presence presence(AccountNumber account) const;
  /// After the placement was changed to `moving`: tells all guests `drain`, waits until each rests or has left.
  /// Errors: Fault::temporary "LIMIT" at the deadline, detail says who was still busy. Guests that rest go on resting: settled() must
  /// follow in either case.
  net::Task<void> drain(AccountNumber account, net::Deadline deadline);
  /// After the placement was changed from `moving`: guests hear `released` where it is that of before the drain but for its epoch, else
  /// `moved`; who waits goes on. Only after a drain that succeeded may it be another.
  void settled(AccountNumber account, const Placement& now);
  /// Until no guest of an epoch before `epoch` is left: copy-back may begin. Errors: Fault::temporary "LIMIT" at the deadline.
  net::Task<void> await_left(AccountNumber account, std::uint64_t epoch, net::Deadline deadline);

  struct Impl;

 private:
  const std::unique_ptr<Impl> impl_;
};

}  // namespace relais::directory
