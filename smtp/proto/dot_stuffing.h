// The content of DATA on its way out: dots, line ends and the final line.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace relais::smtp {

/// Adds what transparency needs, without copying: RFC 5321 §4.5.2, §4.1.1.4. Incremental: the same octets however the content is cut.
///
/// A line that begins with a dot gets another. A CR or LF that stands alone becomes CR LF (RFC 5321 §2.3.8: a client must not send them; a
/// server that takes one for a line end would see a message end where there is none). A content that does not end with CR LF gets one
/// before the final dot.
///
/// Threads: one.
class DotStuffer {
 public:
  static constexpr std::size_t kPieces = 64;
  /// Views into the input and literals, in order.
  struct Step {
    std::size_t used = 0;   ///< octets of the input that `pieces` stand for; the rest is for the next call
    std::size_t count = 0;  ///< of pieces
  };

  /// Turns the front of the input into at most kPieces pieces. Goes on where it stopped. @param input not empty
  Step feed(std::string_view input, std::span<std::string_view, kPieces> pieces);
  /// What must follow the last octet of the content: the final dot's line, with a line end in front where the content lacks one.
  std::string_view finish();

 private:
  enum class State : std::uint8_t {
    line_start,
    text,
    cr,  ///< the last octet was a CR, passed on
  };
  State state_ = State::line_start;
};

}  // namespace relais::smtp
