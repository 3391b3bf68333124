// What the process that the crash test kills and the test itself agree on.
#pragma once

#include "base/clock.h"

#include <chrono>
#include <cstdint>
#include <string>

namespace relais::smtp::queue::testing {

/// Time that goes by faster, so that pauses of minutes pass in a test; it goes on from process to process.
class FastClock final : public Clock {
 public:
  static constexpr std::int64_t kTimes = 200;
  /// @param origin  milliseconds since the epoch when the first process began
  explicit FastClock(std::int64_t origin) : origin_(origin) {}
  std::chrono::system_clock::time_point now() const override {
    const auto real = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
    return std::chrono::system_clock::time_point(std::chrono::milliseconds(origin_ + (real - origin_) * kTimes));
  }
  std::chrono::steady_clock::time_point steady_now() const override { return std::chrono::steady_clock::now(); }

 private:
  const std::int64_t origin_;
};

// The local part says what becomes of a recipient: "ok", "no" (refused), "later" (two times in three not now), "dead" (never answers).
// Lines on the helper's standard output, each written with one call:
//   accepted ID ADDRESS…      accept() has returned
//   took ID ADDRESS           the other server has it (its reply is on the way)
//   recorded ID ADDRESS       the queue has made that durable
//   report ID KIND            the sender's server took a report: KIND is "failed" or "delayed", ID that of the report
//   started, empty            the queue is open; nothing is left in it (with "drain" alone)

}  // namespace relais::smtp::queue::testing
