// The announcement of a literal at the end of a line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace relais::imap {

/// A literal that was announced at the end of a line.
struct Literal {
  std::uint64_t size = 0;  ///< octets
  bool sync = true;        ///< false for `{n+}`: the octets come without being asked for (RFC 7888)
  bool binary = false;     ///< `~{n}`: may hold NUL (RFC 3516)
};

struct Announcement {
  Literal literal;
  std::size_t octets = 0;  ///< of the announcement itself, without CRLF
  bool too_large = false;  ///< the number has more than 63 bits
};

/// How much of a line's end is looked at: "~{", 20 digits, "+}", and then some. Octets.
inline constexpr std::size_t kAnnouncementTail = 64;

/// Looks for `{n}`, `{n+}`, `~{n}` or `~{n+}` at the end of a line given without CRLF. Only the last kAnnouncementTail octets count.
/// Source: RFC 9051 §9 `literal`, RFC 4466 §6 `literal8`, RFC 7888 §3 and §8.
std::optional<Announcement> find_announcement(std::string_view line) noexcept;

}  // namespace relais::imap
