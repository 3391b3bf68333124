// Cuts what a client sends into commands: lines, with their literals.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/announcement.h"

namespace relais::imap {

/// How much one command may take. Octets.
struct FramerLimits {
  /// A command without its literals (RFC 9051 §4 names none; RFC 7162 §4 asks for 8192 at least).
  std::size_t line = 64 * 1024;
  /// All literals of a command together; an APPEND's messages are not counted.
  std::size_t literals = 128 * 1024;
  std::size_t literal_count = 256;
  /// What may be read and thrown away to stay in step with a client that was refused: the rest of an over-long line, or
  /// non-synchronizing literals (RFC 7888 §4). Beyond it the connection must be closed.
  std::uint64_t skip = 64 * 1024 * 1024;
};
/// For strangers: enough for a long SASL response and the largest ID (RFC 2971 §3.3: 30 fields of 30 and 1,024 octets), and next to nothing
/// is read only to be thrown away.
inline constexpr FramerLimits kLimitsBeforeLogin{36 * 1024, 16 * 1024, 64, 64 * 1024};

/// Incremental, bounded command framer. What it says does not depend on how the octets were cut.
///
///     for (;;) {
///       auto [used, event] = framer.feed(input);   // input: what was read and not yet used
///       drop `used` octets of the input
///       switch (event) {
///         more:       read more input
///         go_ahead:   send "+ OK CRLF", feed on
///         message:    see below
///         command:    parse framer.text(), execute, then framer.next()
///         refused:    send reply_for(framer.tag(), framer.error()), then framer.next()
///         broken:     send "* BYE …", close
///       }
///     }
///
/// Literals of other commands are collected into text(). The messages of an APPEND are not: at `message` the octets of
/// literal() are about to come. The caller reads the announced text() (append.h), then either
///   - sends "+ OK" if literal().sync, takes exactly literal().size octets from its input past the framer, calls message_taken(), and
///     feeds on: text() then starts afresh behind the message, and the next event is `message` again (RFC 3502) or `command`; or
///   - calls refuse(error) and feeds on: octets that come all the same are skipped, and the next event is `refused` (or `broken`).
/// In the second and later parts of a command tag() still names it.
///
/// The lines that answer a "+" (SASL responses, DONE) come as `command` too; their text() is the line.
///
/// Threads: one. Lifetime: text() is valid until the next call of a non-const function.
class Framer {
 public:
  enum class Event : std::uint8_t {
    more,      ///< all input is used; nothing is complete
    go_ahead,  ///< a synchronizing literal within the limits: the client waits for "+"
    message,   ///< a message of an APPEND is announced
    command,   ///< text() is a whole command, or what follows the last message of an APPEND
    refused,   ///< a whole command was read and thrown away; error() says why
    broken,    ///< the client can't be followed any more: say BYE and close; error() says why
  };
  struct Step {
    std::size_t used = 0;  ///< octets of the input that the framer took
    Event event = Event::more;
  };

  explicit Framer(FramerLimits limits = {}) noexcept : limits_(limits) {}

  Step feed(std::string_view input);
  /// Ready for the next command. Memory beyond a few hundred octets is given back.
  void next();
  /// The caller took the message's octets.
  void message_taken();
  /// The caller does not want this command's message, whatever the reason.
  void refuse(Error error);

  /// The command so far, literals inlined as `{n}CRLF octets`, without the final CRLF. At `message` it ends in `{n}` or `{n+}`.
  std::string_view text() const noexcept { return text_; }
  /// The command's tag, or "*" where it has none.
  std::string_view tag() const noexcept { return tag_; }
  /// True in the parts of an APPEND behind its first message.
  bool continued() const noexcept { return continued_; }
  const Literal& literal() const noexcept { return literal_; }
  const Error& error() const noexcept { return error_; }
  /// True where no part of a command has been read: a good moment to stop.
  bool idle() const noexcept { return state_ == State::line && text_.empty() && !continued_; }

  void set_limits(FramerLimits limits) noexcept { limits_ = limits; }

 private:
  enum class State : std::uint8_t { line, literal, message, skip_line, skip_literal, refused, broken, done };

  Event end_of_line();
  void give_up(const Literal& literal, bool announced, bool too_large);
  void start_skipping(Error error);
  std::size_t skip(std::string_view input);

  FramerLimits limits_;
  State state_ = State::line;
  bool continued_ = false;       ///< behind the first message of an APPEND
  bool append_ = false;          ///< the command is an APPEND
  bool first_line_ = true;       ///< no line of the command is complete yet
  std::size_t line_start_ = 0;   ///< in text_: where the present line begins
  std::size_t line_octets_ = 0;  ///< of the command, literals excluded
  std::size_t literal_octets_ = 0;
  std::size_t literal_count_ = 0;
  std::uint64_t wanted_ = 0;  ///< octets of the present literal still to come
  std::uint64_t skipped_ = 0;
  Literal literal_;
  std::string text_;
  std::string tag_ = "*";
  Error error_;
};

}  // namespace relais::imap
