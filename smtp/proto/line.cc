// Command lines: find the end, check the limit, refuse what is not CRLF.
#include "smtp/proto/line.h"

#include "base/ascii.h"

#include <algorithm>
#include <cstring>

namespace relais::smtp {
namespace {

std::size_t limit_of(std::string_view line, bool in_auth_exchange) {
  if (in_auth_exchange || istarts_with(line, "AUTH ")) return kMaxAuthLine;
  if (istarts_with(line, "MAIL ") || istarts_with(line, "RCPT ")) return kMaxParameterLine;
  return kMaxCommandLine;
}

}  // namespace

LineFramer::Step LineFramer::feed(std::string_view input, bool in_auth_exchange) {
  scanned_ = std::min(scanned_, input.size());
  const auto end = input.find('\n', scanned_);
  if (end == std::string_view::npos) {
    // Below five octets the verb is not known yet, and nothing is too long.
    if (skipped_ == 0 && input.size() < limit_of(input, in_auth_exchange)) {
      scanned_ = input.size();
      return {};
    }
    skipped_ += input.size();
    scanned_ = 0;
    return {input.size(), skipped_ > kMaxSkippedLine ? Event::endless : Event::more, {}};
  }
  const Step too_long{end + 1, Event::too_long, {}};
  const auto total = skipped_ + end + 1;
  scanned_ = 0;
  if (skipped_ != 0) {
    skipped_ = 0;
    return total > kMaxSkippedLine ? Step{end + 1, Event::endless, {}} : too_long;
  }
  const auto whole = input.substr(0, end + 1);
  if (whole.size() > limit_of(whole, in_auth_exchange)) return total > kMaxSkippedLine ? Step{end + 1, Event::endless, {}} : too_long;
  const bool crlf = end > 0 && input[end - 1] == '\r';
  const auto line = input.substr(0, crlf ? end - 1 : end);
  if (!crlf || line.find('\r') != std::string_view::npos || line.find('\0') != std::string_view::npos) return {end + 1, Event::bad, {}};
  return {end + 1, Event::line, line};
}

}  // namespace relais::smtp
