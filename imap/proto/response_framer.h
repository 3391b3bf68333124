// Cuts what a server sends into responses: lines, with their literals. The client's half of the framer.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace relais::imap {

/// How much one response may take. Octets.
struct ResponseLimits {
  /// A literal up to this size is inlined in the text; a larger one is handed to the caller.
  std::size_t inlined = 64 * 1024;
  /// The whole text of a response, inlined literals included: a SEARCH that finds a million messages needs 8 MB.
  std::size_t text = 32 * 1024 * 1024;
};

/// Incremental, bounded framer for a server's responses. What it says does not depend on how the octets were cut. Takes a bare LF for
/// the end of a line too: a client must live with what the server sends.
///
/// At `literal` the octets of a large literal are about to come, literal_size() of them: the caller takes them from its input past the
/// framer, keeps them under the number literals() - 1, and calls literal_taken(). In the text stands `{size@number}CRLF` instead, which
/// parse_response() turns into a reference.
///
/// Threads: one. Lifetime: text() is valid until the next call of a non-const function.
class ResponseFramer {
 public:
  enum class Event : std::uint8_t {
    more,      ///< all input is used; nothing is complete
    literal,   ///< a large literal is announced
    response,  ///< text() is a whole response
    broken,    ///< beyond the limits: close the connection
  };
  struct Step {
    std::size_t used = 0;
    Event event = Event::more;
  };

  explicit ResponseFramer(ResponseLimits limits = {}) noexcept : limits_(limits) {}

  /// From now on, also for the response in work. No smaller than before.
  void set_limits(ResponseLimits limits) noexcept { limits_ = limits; }
  Step feed(std::string_view input);
  /// The caller took the octets of the literal.
  void literal_taken();
  /// Ready for the next response. Memory beyond some kilobytes is given back.
  void next();

  /// The response so far, without its final line end.
  std::string_view text() const noexcept { return text_; }
  std::uint64_t literal_size() const noexcept { return wanted_; }
  /// How many literals of this response were handed to the caller.
  std::size_t literals() const noexcept { return literals_; }

 private:
  enum class State : std::uint8_t { line, literal, outside, broken, done };
  void end_of_line();

  ResponseLimits limits_;
  State state_ = State::line;
  std::size_t line_start_ = 0;
  std::uint64_t wanted_ = 0;
  std::size_t literals_ = 0;
  std::string text_;
};

}  // namespace relais::imap
