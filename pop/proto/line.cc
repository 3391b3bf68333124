// POP3's lines: found once, however they arrive.
#include "pop/proto/line.h"

#include <algorithm>

namespace relais::pop {

LineFramer::Step LineFramer::feed(std::string_view input, std::size_t limit) noexcept {
  const auto end = input.find('\n', std::min(searched_, input.size()));
  if (end == std::string_view::npos) {
    if (input.size() < limit && skipped_ == 0) {
      searched_ = input.size();
      return {};
    }
    skipped_ += input.size();
    searched_ = 0;
    return {skipped_ > kMaxSkipped ? Event::endless : Event::more, input.size(), {}};
  }
  searched_ = 0;
  const auto used = end + 1;
  if (skipped_ > 0 || used > limit) {
    skipped_ = 0;
    return {Event::too_long, used, {}};
  }
  auto line = input.substr(0, end);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return {Event::line, used, line};
}

}  // namespace relais::pop
