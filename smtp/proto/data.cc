// Line end check of BDAT chunks.
#include "smtp/proto/data.h"

namespace relais::smtp {

void LineEnds::feed(std::string_view octets) noexcept {
  if (!good_ || octets.empty()) return;
  if (cr_ && octets.front() != '\n') {
    good_ = false;
    return;
  }
  std::size_t at = cr_ ? 1 : 0;
  cr_ = false;
  while (at < octets.size()) {
    const auto rest = octets.substr(at);
    const auto lf = rest.find('\n');
    const auto line = rest.substr(0, lf);
    const auto cr = line.find('\r');
    if (lf == std::string_view::npos) {
      if (cr == std::string_view::npos) return;
      if (cr + 1 == line.size()) {
        cr_ = true;
      } else {
        good_ = false;
      }
      return;
    }
    if (cr == std::string_view::npos || cr + 1 != line.size()) {
      good_ = false;
      return;
    }
    at += lf + 1;
  }
}

}  // namespace relais::smtp
