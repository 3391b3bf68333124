// Cuts what a client sends outside of messages into command lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace relais::smtp {

// Octets of a line, CRLF included.
inline constexpr std::size_t kMaxCommandLine = 512;      ///< RFC 5321 §4.5.3.1.4
/// MAIL and RCPT: 512, and what SIZE (26), 8BITMIME (17), AUTH (500), SMTPUTF8 (10), BINARYMIME (13) and UTF-8 addresses add
/// (RFC 1870 §4, RFC 6152 §2, RFC 4954 §3, RFC 6531 §3.1), rounded up.
inline constexpr std::size_t kMaxParameterLine = 2'048;
/// AUTH and the lines of its exchange: RFC 4954 §4, §4.1.
inline constexpr std::size_t kMaxAuthLine = 12'288;
/// How much of an endless line is read and thrown away before the client can't be followed any more.
inline constexpr std::uint64_t kMaxSkippedLine = 1'024 * 1'024;

/// Incremental, bounded, and the same answer however the octets are cut.
///
/// A line ends with CRLF. A line that ends with LF alone, or holds CR or NUL elsewhere, is complete but malformed: it is answered with 500,
/// never executed (RFC 5321 §2.3.8, §4.1.1: there is no other line end), and the next line is read as usual.
///
/// Threads: one.
class LineFramer {
 public:
  enum class Event : std::uint8_t {
    more,      ///< nothing complete: read more input, keep what was not used
    line,      ///< a good line
    bad,       ///< a complete line with a wrong end, a CR or a NUL within
    too_long,  ///< a complete line above its limit; it was thrown away
    endless,   ///< more than kMaxSkippedLine without an end: close
  };
  struct Step {
    std::size_t used = 0;       ///< octets of the input to drop once `line` was dealt with
    Event event = Event::more;
    std::string_view line{};    ///< into the input, without CRLF; for Event::line
  };

  /// @param input  everything read and not yet used; at Event::more call again with the rest and more
  /// @param in_auth_exchange  the line answers a 334: kMaxAuthLine applies
  Step feed(std::string_view input, bool in_auth_exchange = false);

  /// True where no octet of a line has been thrown away yet.
  bool idle() const noexcept { return skipped_ == 0; }
  /// Forgets what was scanned of an incomplete line: the input was replaced (STARTTLS).
  void reset() noexcept { *this = LineFramer{}; }

 private:
  std::size_t scanned_ = 0;     ///< octets at the front of the input known to hold no LF
  std::uint64_t skipped_ = 0;   ///< octets of an over-long line dropped so far
};

}  // namespace relais::smtp
