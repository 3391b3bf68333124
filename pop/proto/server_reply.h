// What a POP3 server says, as its client reads it: status lines, listings, and the body of a multi-line reply.
#pragma once

#include "base/result.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace relais::pop {

/// Octets of a line that is not part of a message, with its CRLF. RFC 2449 §4 has 512; unique ids and greetings of old servers are longer
/// at times.
inline constexpr std::size_t kMaxReplyLine = 8 * 1024;

/// The first line of a reply. RFC 1939 §3, RFC 2449 §8
struct ServerStatus {
  bool ok = false;
  std::string_view code{};  ///< what stands in brackets first, as it came: "IN-USE", "SYS/TEMP"; empty where there is none
  std::string_view text{};  ///< behind the status indicator, the code included
};

/// @param line  without its end  @return views into it. Errors: Fault::syntax where it begins with neither +OK nor -ERR (in any case:
/// servers were seen with "+ok").
Result<ServerStatus> parse_status(std::string_view line);

/// A line of LIST or UIDL: a message number, and what is told of it. RFC 1939 §5, §7
struct Listing {
  std::uint32_t number = 0;  ///< 1 and up
  std::string_view value{};  ///< not empty; a view into the line
};
/// Errors: Fault::syntax. What follows the value (RFC 1939 §5 lets servers add it) is left out.
Result<Listing> parse_listing(std::string_view line);

/// Reads the body of a multi-line reply: undoes byte-stuffing and finds the end (RFC 1939 §3). The result does not depend on how the octets
/// are cut. A line ends with CRLF alone: a server that sends bare LFs sends them as part of a line, and stuffs nothing behind them.
class BodyReader {
 public:
  struct Step {
    std::size_t used = 0;     ///< octets of the input to drop, after `octets` was looked at
    std::string_view octets;  ///< of the message, into the input (or constant); may be empty
    bool done = false;        ///< the end was read; what follows in the input is no part of the reply
  };
  /// To be called until it is done or `used` is the whole input.
  /// @param input  not empty
  Step feed(std::string_view input) noexcept;

 private:
  enum class State : std::uint8_t {
    line_start,
    dot,         ///< a dot at the start of a line
    dot_return,  ///< the same and CR
    text,
    text_return,  ///< CR
  };
  Step text(std::string_view input) noexcept;
  State state_ = State::line_start;
};

}  // namespace relais::pop
