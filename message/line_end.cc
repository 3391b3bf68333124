// Line ends of raw octets.
#include "message/line_end.h"

namespace relais::message {

bool has_lone_line_end(std::string_view octets) noexcept {
  for (std::size_t at = 0; (at = octets.find_first_of("\r\n", at)) != std::string_view::npos; at += 2) {
    if (!octets.substr(at).starts_with("\r\n")) return true;
  }
  return false;
}

std::string_view without_line_end(std::string_view octets) noexcept {
  if (octets.ends_with('\n')) octets.remove_suffix(1);
  if (octets.ends_with('\r')) octets.remove_suffix(1);
  return octets;
}

}  // namespace relais::message
