// The verb of a command line.
#include "smtp/proto/command.h"

#include "base/ascii.h"

#include <array>

namespace relais::smtp {
namespace {

constexpr std::array<std::string_view, kVerbs> kNames{"HELO", "EHLO", "LHLO", "MAIL", "RCPT",     "DATA", "BDAT", "RSET",   "NOOP",
                                                      "QUIT", "VRFY", "EXPN", "HELP", "STARTTLS", "AUTH", "http", "unknown"};

constexpr std::array<std::string_view, 9> kHttp{"GET", "POST", "PUT", "HEAD", "OPTIONS", "CONNECT", "DELETE", "PATCH", "Host:"};

Verb find_verb(std::string_view word) noexcept {
  for (std::size_t i = 0; i < static_cast<std::size_t>(Verb::http); ++i) {
    if (iequals(word, kNames[i])) return static_cast<Verb>(i);
  }
  for (const auto name : kHttp) {
    if (iequals(word, name)) return Verb::http;
  }
  return Verb::unknown;
}

}  // namespace

std::string_view to_string(Verb verb) noexcept { return kNames[static_cast<std::size_t>(verb)]; }

CommandLine parse_command(std::string_view line) noexcept {
  while (!line.empty() && ascii_wsp(line.back())) line.remove_suffix(1);
  const auto space = line.find(' ');
  CommandLine command;
  command.verb = find_verb(line.substr(0, space));
  if (space != std::string_view::npos) {
    command.rest = line.substr(space);
    while (!command.rest.empty() && command.rest.front() == ' ') command.rest.remove_prefix(1);
  }
  command.has_arguments = !command.rest.empty();
  return command;
}

bool takes_no_argument(Verb verb) noexcept {
  return verb == Verb::data || verb == Verb::rset || verb == Verb::quit || verb == Verb::starttls;
}

}  // namespace relais::smtp
