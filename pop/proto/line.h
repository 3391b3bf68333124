// Cuts what a POP3 client sends into lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace relais::pop {

/// Octets of a command line with its CRLF. RFC 2449 §4 has 255; user names and passwords that SASL carries may be longer in USER and PASS too.
inline constexpr std::size_t kMaxCommandLine = 512;
/// Octets of a line of a SASL exchange with its CRLF, RFC 5034 §4.
inline constexpr std::size_t kMaxSaslLine = 12'288;
/// Octets of one line that are read only to be thrown away; who sends more is not spoken to any longer.
inline constexpr std::size_t kMaxSkipped = 64 * 1024;

/// Incremental, bounded line framer; how the octets are cut makes no difference.
///
/// A line ends with CRLF; LF alone is taken too (people type POP3 by hand, and nothing can be smuggled: no command carries a message).
class LineFramer {
 public:
  enum class Event : std::uint8_t {
    more,      ///< no complete line yet
    line,      ///< `line` is one, without its end
    too_long,  ///< the end of a line was found that was longer than the limit; the line is gone
    endless,   ///< more than kMaxSkipped octets without a line end
  };
  struct Step {
    Event event = Event::more;
    std::size_t used = 0;    ///< octets of the input to drop, after `line` was looked at
    std::string_view line;   ///< into the input
  };

  /// @param input  all octets that were read and not yet dropped  @param limit  octets of a line with its end
  Step feed(std::string_view input, std::size_t limit) noexcept;

 private:
  std::size_t searched_ = 0;  ///< octets of the input known to hold no LF
  std::size_t skipped_ = 0;   ///< octets of the present line that were dropped
};

}  // namespace relais::pop
