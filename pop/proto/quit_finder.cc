// Finds QUIT.
#include "pop/proto/quit_finder.h"

#include "base/ascii.h"

#include <algorithm>

namespace relais::pop {

void QuitFinder::feed(std::string_view octets) noexcept {
  while (!octets.empty()) {
    const auto end = octets.find('\n');
    const auto line = octets.substr(0, end);
    const auto taken = std::min(line.size(), kHead - size_);
    std::copy_n(line.begin(), taken, head_.begin() + static_cast<std::ptrdiff_t>(size_));
    size_ += taken;
    if (end == std::string_view::npos) return;
    end_line();
    octets.remove_prefix(end + 1);
  }
}

// "QUIT" CRLF; servers take spaces, arguments or a bare LF behind it too.
void QuitFinder::end_line() noexcept {
  const std::string_view head(head_.data(), size_);
  if (iequals(head.substr(0, 4), "QUIT") && (head.size() == 4 || head[4] == '\r' || head[4] == ' ' || head[4] == '\t')) found_ = true;
  size_ = 0;
}

}  // namespace relais::pop
