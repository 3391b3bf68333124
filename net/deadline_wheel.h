// Deadlines of many connections in one structure: arming and disarming cost a few pointer writes and no allocation.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace relais::net {

/// A two-level timer wheel of intrusive entries. An entry never expires early, and at most one tick late (plus the caller's own lateness).
/// Deadlines beyond the wheel's reach (about 70 minutes) are re-armed on the way. Threads: one.
class DeadlineWheel {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::milliseconds kTick{64};

  /// Part of what has a deadline. Must be disarmed (or expired) before it dies.
  struct Entry {
    Entry* previous = nullptr;
    Entry* next = nullptr;
    std::int64_t due = 0;  ///< tick
    bool armed() const noexcept { return next != nullptr; }
  };

  explicit DeadlineWheel(Time now);
  DeadlineWheel(const DeadlineWheel&) = delete;
  DeadlineWheel& operator=(const DeadlineWheel&) = delete;

  /// Arms the entry, or moves it where it was armed. A deadline that has passed expires at the next tick.
  void arm(Entry& entry, Time deadline) noexcept;
  void disarm(Entry& entry) noexcept;
  /// Takes out one entry whose deadline is not after `now`, or nullptr. Call until it gives nullptr: the caller may arm and disarm in between.
  Entry* expire_one(Time now) noexcept;
  /// When expire_one should be called next; nullopt where nothing is armed. May be early, never late.
  std::optional<Time> next_due() const noexcept;
  std::size_t size() const noexcept { return armed_; }

 private:
  static constexpr std::int64_t kSlots = 256;
  std::int64_t tick_of(Time time) const noexcept;
  void insert(Entry& entry) noexcept;
  static void link(Entry& head, Entry& entry) noexcept;
  static void unlink(Entry& entry) noexcept;
  void cascade(Entry& head) noexcept;

  Time start_;
  std::int64_t current_ = 0;  ///< every tick up to it has expired
  std::size_t armed_ = 0;
  std::array<Entry, kSlots> near_;  ///< one tick a slot
  std::array<Entry, kSlots> far_;   ///< kSlots ticks a slot
};

}  // namespace relais::net
