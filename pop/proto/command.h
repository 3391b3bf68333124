// POP3 commands as values.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::pop {

enum class Verb : std::uint8_t {
  auth, capa, dele, list, noop, pass, quit, retr, rset, stat, stls, top, uidl, user, utf8,
};
inline constexpr std::size_t kVerbs = 15;

/// "RETR", …
std::string_view to_string(Verb verb) noexcept;

/// One command. Which members mean something depends on the verb.
struct Command {
  Verb verb = Verb::noop;
  std::optional<std::uint32_t> message;  ///< LIST, UIDL (absent: all); RETR, DELE, TOP
  std::uint32_t lines = 0;               ///< TOP
  std::string text;                      ///< USER: name; PASS: password, with its spaces; AUTH: mechanism, or empty: list them
  std::optional<std::string> initial;    ///< AUTH: the initial response, still in base64; "" for "=" (RFC 5034 §4)
};

/// Parses a line without its end.
///
/// Keywords in any case. More than one space between arguments and spaces at the end are taken (older clients send them), but for PASS,
/// whose argument is the rest of the line (RFC 1939 §7).
/// @return Fault::refused "unknown command", or Fault::syntax naming what is wrong: NUL or another control character, octets above 0x7F elsewhere
///         than in USER and PASS (RFC 6856 §2.2 allows UTF-8 there), missing or extra arguments, numbers that are none or above 2^32-1.
/// Pure. Source: RFC 1939 §3, RFC 2449 §4, RFC 5034 §4.
Result<Command> parse_command(std::string_view line);

}  // namespace relais::pop
