// Replies of another server, as they come in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace relais::smtp {

/// A whole reply of another server.
struct RemoteReply {
  std::uint16_t code = 0;  ///< 200 to 599; 0: there is no reply
  std::string enhanced;    ///< "5.1.1" where the text begins with one of the code's class (RFC 2034 §4); else empty
  std::string text;        ///< without codes; '\n' between lines; printable (others are "?"), UTF-8; cut at kMaxReplyText

  bool positive() const noexcept { return code >= 200 && code < 300; }
  bool intermediate() const noexcept { return code >= 300 && code < 400; }
  bool temporary() const noexcept { return code >= 400 && code < 500; }
  bool permanent() const noexcept { return code >= 500; }
  /// "550 5.1.1 no such user" on one line, lines joined by a space: for logs and for Diagnostic-Code (RFC 3464 §2.3.6).
  std::string line() const;
};

/// Most octets of one line of a reply, CRLF included. RFC 5321 §4.5.3.1.5 says 512; real servers send more.
inline constexpr std::size_t kMaxRemoteReplyLine = 4'096;
/// Most lines of one reply: EHLO of the busiest servers has about thirty.
inline constexpr std::size_t kMaxRemoteReplyLines = 500;
/// Octets of text that are kept of one reply; what follows is read and dropped.
inline constexpr std::size_t kMaxReplyText = 32 * 1024;

/// Incremental, bounded, and the same answer however the octets are cut.
///
/// Lines end with CRLF; LF alone is taken too, as every client does (a reply can't smuggle anything into our own stream). The code of a
/// reply is that of its last line; lines of another class before it, a code that is none, and what exceeds the limits is garbage: the
/// connection is of no more use. A code without text ("250" CRLF) is good: RFC 5321 §4.2.
///
/// Threads: one.
class ReplyParser {
 public:
  enum class Event : std::uint8_t {
    more,     ///< nothing complete: read more input, keep what was not used
    reply,    ///< reply() has it
    garbage,  ///< not SMTP, or more than the limits; error() says what. For good
  };
  struct Step {
    std::size_t used = 0;  ///< octets of the input to drop
    Event event = Event::more;
  };

  /// @param input  everything read and not yet used; at Event::more call again with the rest and more
  Step feed(std::string_view input);
  /// The reply that the last step completed; the next step empties it.
  RemoteReply& reply() noexcept { return reply_; }
  /// What was wrong: one line, printable.
  const std::string& error() const noexcept { return error_; }
  /// True between replies: no line of an unfinished one has been taken.
  bool idle() const noexcept { return lines_ == 0; }
  /// As new: the input was replaced (STARTTLS).
  void reset() { *this = ReplyParser{}; }

 private:
  Step take_line(std::string_view line, std::size_t used);
  Step garbage(std::string_view what, std::string_view line);

  RemoteReply reply_;
  std::string error_;
  std::size_t scanned_ = 0;  ///< octets at the front of the input known to hold no LF
  std::size_t lines_ = 0;    ///< of the reply that is being read
  bool complete_ = false;    ///< reply_ was handed out: the next step begins another
  bool failed_ = false;
};

}  // namespace relais::smtp
