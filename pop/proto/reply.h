// What a POP3 server writes: status lines, multi-line replies, unique ids.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::pop {

/// "+OK text CRLF". RFC 1939 §3
void append_ok(std::string& out, std::string_view text);
/// "-ERR [code] text CRLF"; code may be empty. RFC 2449 §8
void append_err(std::string& out, std::string_view code, std::string_view text);
/// The one place where an Error becomes POP3 text; its detail never leaves the process.
/// SYS/TEMP and SYS/PERM, AUTH (RFC 3206 §4, §5), IN-USE (RFC 2449 §8.1.2) and LOGIN-DELAY (RFC 2449 §8.1) as response codes.
void append_error(std::string& out, const Error& error);

/// Writes a message as the body of a multi-line reply: byte-stuffed, ended by CRLF "." CRLF (RFC 1939 §3).
///
/// Line ends are sent as stored. A "." is doubled at the start of a line, also where the line before ended in a bare LF, so that no reader, strict or
/// lenient, can take it for the end; a message that does not end with CRLF gets one.
/// Pure; the result does not depend on how the message is cut.
class MessageWriter {
 public:
  void append(std::string& out, std::string_view octets);
  void finish(std::string& out);

 private:
  bool line_start_ = true;   ///< the next octet is the first of a line
  char last_ = '\n';         ///< the last two octets that were sent
  char before_ = '\r';
};

/// Cuts a message for TOP: header, the empty line, and the first n lines of the body (RFC 1939 §7). Pure, incremental.
class TopCutter {
 public:
  explicit TopCutter(std::uint32_t lines) noexcept : lines_(lines) {}
  /// How much of the next octets belongs to the answer.
  std::size_t take(std::string_view octets) noexcept;
  bool done() const noexcept { return done_; }

 private:
  enum class Line : std::uint8_t { empty, carriage_return, text };
  std::uint32_t lines_;
  bool body_ = false;
  Line line_ = Line::empty;  ///< what there is of the present line
  bool done_ = false;
};

/// Appends a unique id for a message that the legacy platform gave none: UIDVALIDITY and UID as hexadecimal, "5f3a.1c". RFC 1939 §7: 1 to
/// 70 characters of 0x21-0x7E, the same in every session.
void append_unique_id(std::string& out, std::uint32_t uid_validity, std::uint32_t uid);
/// Whether a stored one can be sent.
bool is_unique_id(std::string_view text) noexcept;

}  // namespace relais::pop
