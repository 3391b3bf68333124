// Time as a parameter, so that tests need not wait.
#pragma once

#include <chrono>
#include <cstdint>

namespace relais {

/// Wall-clock and monotonic time. Threads: any.
class Clock {
 public:
  virtual ~Clock() = default;
  /// Wall clock, for dates that are stored or shown.
  virtual std::chrono::system_clock::time_point now() const = 0;
  /// Never goes back, for deadlines and rates.
  virtual std::chrono::steady_clock::time_point steady_now() const = 0;
  /// Whole seconds since 1970-01-01T00:00:00Z.
  std::int64_t seconds() const { return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count(); }
};

/// The machine's clock.
const Clock& system_clock();

/// A clock that a test sets.
class ManualClock final : public Clock {
 public:
  std::chrono::system_clock::time_point now() const override { return now_; }
  std::chrono::steady_clock::time_point steady_now() const override { return steady_; }
  void advance(std::chrono::milliseconds by) {
    now_ += by;
    steady_ += by;
  }

 private:
  std::chrono::system_clock::time_point now_{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z
  std::chrono::steady_clock::time_point steady_{};
};

}  // namespace relais
