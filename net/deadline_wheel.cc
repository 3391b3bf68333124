// The timer wheel behind every connection's deadline.
#include "net/deadline_wheel.h"

#include <algorithm>

namespace relais::net {
namespace {

constexpr std::size_t slot(std::int64_t n) noexcept { return static_cast<std::size_t>(n & 255); }

}  // namespace

DeadlineWheel::DeadlineWheel(Time now) : start_(now) {
  for (auto* level : {&near_, &far_})
    for (auto& head : *level) head.previous = head.next = &head;
}

std::int64_t DeadlineWheel::tick_of(Time time) const noexcept {
  if (time <= start_) return 0;
  return std::chrono::duration_cast<std::chrono::milliseconds>(time - start_).count() / kTick.count();
}

void DeadlineWheel::link(Entry& head, Entry& entry) noexcept {
  entry.previous = head.previous;
  entry.next = &head;
  head.previous->next = &entry;
  head.previous = &entry;
}

void DeadlineWheel::unlink(Entry& entry) noexcept {
  entry.previous->next = entry.next;
  entry.next->previous = entry.previous;
  entry.previous = entry.next = nullptr;
}

void DeadlineWheel::insert(Entry& entry) noexcept {
  // The slot of a far entry is visited (cascaded) at its first tick, so it may hold only ticks whose slot start is still ahead.
  const auto due = std::clamp(entry.due, current_ + 1, current_ + kSlots * (kSlots - 1));
  link(due - current_ < kSlots ? near_[slot(due)] : far_[slot(due / kSlots)], entry);
}

void DeadlineWheel::arm(Entry& entry, Time deadline) noexcept {
  if (entry.armed()) disarm(entry);
  entry.due = tick_of(deadline) + 1;  // rounded up: never early
  ++armed_;
  insert(entry);
}

void DeadlineWheel::disarm(Entry& entry) noexcept {
  if (!entry.armed()) return;
  unlink(entry);
  --armed_;
}

void DeadlineWheel::cascade(Entry& head) noexcept {
  Entry moved;
  if (head.next == &head) return;
  moved.next = head.next;
  moved.previous = head.previous;
  moved.next->previous = moved.previous->next = &moved;
  head.previous = head.next = &head;
  while (moved.next != &moved) {
    Entry& entry = *moved.next;
    unlink(entry);
    // Entries due at this very tick belong to the near slot that is about to be expired.
    if (entry.due <= current_)
      link(near_[slot(current_)], entry);
    else
      insert(entry);
  }
}

DeadlineWheel::Entry* DeadlineWheel::expire_one(Time now) noexcept {
  const auto until = tick_of(now);
  if (armed_ == 0) {
    current_ = std::max(current_, until);
    return nullptr;
  }
  for (;;) {
    auto& head = near_[slot(current_)];
    if (head.next != &head) {
      Entry& entry = *head.next;
      unlink(entry);
      if (entry.due <= current_) {
        --armed_;
        return &entry;
      }
      insert(entry);  // it was beyond the wheel's reach when armed
      continue;
    }
    if (current_ >= until) return nullptr;
    ++current_;
    if (slot(current_) == 0) cascade(far_[slot(current_ / kSlots)]);
  }
}

std::optional<DeadlineWheel::Time> DeadlineWheel::next_due() const noexcept {
  if (armed_ == 0) return std::nullopt;
  const auto at = [&](std::int64_t tick) { return start_ + kTick * tick; };
  if (near_[slot(current_)].next != &near_[slot(current_)]) return at(current_);
  for (auto tick = current_ + 1; tick < current_ + kSlots; ++tick) {
    if (near_[slot(tick)].next != &near_[slot(tick)]) return at(tick);
    if (slot(tick) == 0 && far_[slot(tick / kSlots)].next != &far_[slot(tick / kSlots)]) return at(tick);
  }
  for (auto block = (current_ + kSlots) / kSlots; block <= current_ / kSlots + kSlots; ++block)
    if (far_[slot(block)].next != &far_[slot(block)]) return at(block * kSlots);
  return at(current_ + kSlots);
}

}  // namespace relais::net
