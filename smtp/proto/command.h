// The verb of a command line.
#pragma once

#include <cstdint>
#include <string_view>

namespace relais::smtp {

enum class Verb : std::uint8_t {
  helo, ehlo, lhlo, mail, rcpt, data, bdat, rset, noop, quit, vrfy, expn, help, starttls, auth,
  http,     ///< a web client, or a browser made to speak to us: close at once
  unknown,
};
inline constexpr std::size_t kVerbs = static_cast<std::size_t>(Verb::unknown) + 1;

/// For logs: "MAIL", …
std::string_view to_string(Verb verb) noexcept;

/// A line, taken apart. The views point into it.
struct CommandLine {
  Verb verb = Verb::unknown;
  std::string_view rest;      ///< behind the verb and one or more spaces; without trailing white space (RFC 5321 §4.1.1)
  bool has_arguments = false; ///< rest is not empty
};

/// Verbs are not case-sensitive: RFC 5321 §2.4. Never fails: what is no verb is Verb::unknown.
CommandLine parse_command(std::string_view line) noexcept;

/// True for verbs that take no argument; one that comes with an argument is answered 501 5.5.4 (RFC 5321 §4.3.2).
bool takes_no_argument(Verb verb) noexcept;

}  // namespace relais::smtp
