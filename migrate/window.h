// The time of day in which accounts may be switched. Pure.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string_view>

namespace relais::migrate {

/// "01:00-06:00", "22:00-04:30" (over midnight), up to "24:00"; empty: always. Local time: minutes since midnight.
class Window {
 public:
  Window() = default;
  /// Errors: Fault::syntax naming what a window looks like.
  static Result<Window> parse(std::string_view text);
  bool is_open(std::uint16_t minute) const noexcept;

 private:
  std::uint16_t from_ = 0;
  std::uint16_t to_ = 24 * 60;
};

}  // namespace relais::migrate
