// The grammar of POP3's commands: a keyword and at most two arguments.
#include "pop/proto/command.h"

#include "base/ascii.h"

#include <algorithm>
#include <array>
#include <limits>

namespace relais::pop {
namespace {

enum class Arguments : std::uint8_t {
  none,
  number,           // msg
  number_optional,  // [msg]
  number_lines,     // msg n
  rest,             // all of the line after one space
  auth,             // [mechanism [initial-response]]
};

struct Row {
  std::string_view name;
  Arguments arguments;
};

// In the order of Verb.
constexpr std::array<Row, kVerbs> kTable{{
    {"AUTH", Arguments::auth},             // RFC 5034 §4
    {"CAPA", Arguments::none},             // RFC 2449 §5
    {"DELE", Arguments::number},           // RFC 1939 §5
    {"LIST", Arguments::number_optional},
    {"NOOP", Arguments::none},
    {"PASS", Arguments::rest},             // RFC 1939 §7
    {"QUIT", Arguments::none},
    {"RETR", Arguments::number},
    {"RSET", Arguments::none},
    {"STAT", Arguments::none},
    {"STLS", Arguments::none},             // RFC 2595 §4
    {"TOP", Arguments::number_lines},      // RFC 1939 §7
    {"UIDL", Arguments::number_optional},
    {"USER", Arguments::rest},
    {"UTF8", Arguments::none},             // RFC 6856 §2.1
}};

std::unexpected<Error> bad(std::string_view text) { return fail(Fault::syntax, text); }

bool has_controls(std::string_view line) noexcept {
  return std::ranges::any_of(line, [](char c) { return (c >= 0 && c < 0x20) || c == 0x7f; });
}

/// Takes the next word off the front, and the spaces before it.
std::string_view take_word(std::string_view& rest) noexcept {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const auto word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  return word;
}

Result<std::uint32_t> parse_number(std::string_view word, std::string_view what) {
  if (word.empty()) return bad(std::string("missing ").append(what));
  const auto number = parse_u64(word);
  if (!number || *number > std::numeric_limits<std::uint32_t>::max()) return bad(std::string("malformed ").append(what));
  return static_cast<std::uint32_t>(*number);
}

Result<void> parse_arguments(Command& command, Arguments form, std::string_view rest) {
  switch (form) {
    case Arguments::rest:
      // RFC 1939 §7: PASS has one argument, so spaces in it are part of the password.
      if (rest.size() < 2) return bad("missing argument");
      command.text = rest.substr(1);
      return {};
    case Arguments::auth:
      command.text = take_word(rest);
      if (const auto initial = take_word(rest); !initial.empty()) command.initial = initial == "=" ? "" : std::string(initial);
      break;
    case Arguments::number_optional: {
      const auto word = take_word(rest);
      if (word.empty()) break;
      RELAIS_TRY(command.message, parse_number(word, "message number"));
      break;
    }
    case Arguments::number:
    case Arguments::number_lines: {
      RELAIS_TRY(command.message, parse_number(take_word(rest), "message number"));
      if (form == Arguments::number_lines) {
        RELAIS_TRY(command.lines, parse_number(take_word(rest), "number of lines"));
      }
      break;
    }
    case Arguments::none: break;
  }
  if (!take_word(rest).empty()) return bad("too many arguments");
  return {};
}

}  // namespace

std::string_view to_string(Verb verb) noexcept { return kTable[static_cast<std::size_t>(verb)].name; }

Result<Command> parse_command(std::string_view line) {
  if (has_controls(line)) return bad("control character in command");
  const auto keyword = line.substr(0, line.find(' '));
  const auto row = std::ranges::find_if(kTable, [&](const Row& r) { return iequals(r.name, keyword); });
  if (row == kTable.end()) return fail(Fault::refused, "unknown command");
  if (row->arguments != Arguments::rest && !is_ascii(line)) return bad("8-bit octet in command");
  Command command;
  command.verb = static_cast<Verb>(row - kTable.begin());
  RELAIS_TRY_VOID(parse_arguments(command, row->arguments, line.substr(keyword.size())));
  return command;
}

}  // namespace relais::pop
