// Windows in which accounts may be switched; see window.h.
#include "migrate/window.h"

#include "base/ascii.h"

#include <optional>

namespace relais::migrate {
namespace {

constexpr std::uint16_t kDay = 24 * 60;

/// "HH:MM"
std::optional<std::uint16_t> minute_of(std::string_view text) {
  if (text.size() != 5 || text[2] != ':') return std::nullopt;
  const auto hour = parse_u64(text.substr(0, 2));
  const auto minute = parse_u64(text.substr(3));
  if (!hour || !minute || *minute > 59 || *hour * 60 + *minute > kDay) return std::nullopt;
  return static_cast<std::uint16_t>(*hour * 60 + *minute);
}

}  // namespace

Result<Window> Window::parse(std::string_view text) {
  Window window;
  if (text.empty()) return window;
  const auto dash = text.find('-');
  const auto from = minute_of(text.substr(0, dash));
  const auto to = dash == std::string_view::npos ? std::nullopt : minute_of(text.substr(dash + 1));
  if (!from || !to || *from == *to || *from == kDay)
    return fail(Fault::syntax, "a window is two times of the day, such as 01:00-06:00, not '" + std::string(text) + "'");
  window.from_ = *from;
  window.to_ = *to;
  return window;
}

bool Window::is_open(std::uint16_t minute) const noexcept {
  if (from_ < to_) return minute >= from_ && minute < to_;
  return minute >= from_ || minute < to_;
}

}  // namespace relais::migrate
