// Finds the announcement of a literal at the end of a line.
#include "imap/proto/announcement.h"

#include <algorithm>

#include "base/ascii.h"
#include "imap/proto/values.h"

namespace relais::imap {

// literal = "{" number64 ["+"] "}" CRLF; literal8 = "~{" number64 ["+"] "}" CRLF        RFC 9051 §9, RFC 4466 §6, RFC 7888 §8
// RFC 7888 §3: the receiver MUST check the end of every line for it.
std::optional<Announcement> find_announcement(std::string_view line) noexcept {
  line = line.substr(line.size() - std::min(line.size(), kAnnouncementTail));
  const auto whole = line;
  if (!line.ends_with('}')) return std::nullopt;
  line.remove_suffix(1);
  Announcement found;
  found.literal.sync = !line.ends_with('+');
  if (!found.literal.sync) line.remove_suffix(1);
  const auto brace = line.rfind('{');
  if (brace == std::string_view::npos || brace + 1 == line.size()) return std::nullopt;
  const auto digits = line.substr(brace + 1);
  if (!std::ranges::all_of(digits, ascii_digit)) return std::nullopt;
  const auto size = parse_u64(digits);
  found.too_large = !size || *size > kMaxNumber64;
  found.literal.size = found.too_large ? kMaxNumber64 : *size;
  found.literal.binary = brace > 0 && line[brace - 1] == '~';
  found.octets = whole.size() - brace + (found.literal.binary ? 1 : 0);
  return found;
}

}  // namespace relais::imap
