// POP3's grammar, by table.
#include "pop/proto/command.h"

#include <gtest/gtest.h>

namespace relais::pop {
namespace {

using namespace std::string_literals;

struct Good {
  std::string line;
  Verb verb;
  std::optional<std::uint32_t> message = std::nullopt;
  std::uint32_t lines = 0;
  std::string text{};
  std::optional<std::string> initial = std::nullopt;
};

TEST(PopCommand, WellFormedOnes) {
  const Good cases[] = {
      {"QUIT", Verb::quit},
      {"quit", Verb::quit},
      {"Noop  ", Verb::noop},
      {"STAT", Verb::stat},
      {"CAPA", Verb::capa},
      {"STLS", Verb::stls},
      {"UTF8", Verb::utf8},
      {"RSET", Verb::rset},
      {"LIST", Verb::list},
      {"LIST ", Verb::list},
      {"LIST 7", Verb::list, 7},
      {"list  007 ", Verb::list, 7},
      {"UIDL 4294967295", Verb::uidl, 4'294'967'295U},
      {"RETR 0", Verb::retr, 0},
      {"DELE 12", Verb::dele, 12},
      {"TOP 3 0", Verb::top, 3, 0},
      {"TOP 3 10", Verb::top, 3, 10},
      {"USER ann@example.org", Verb::user, {}, 0, "ann@example.org"},
      {"USER j\xc3\xb6rg", Verb::user, {}, 0, "j\xc3\xb6rg"},
      {"PASS a b  c ", Verb::pass, {}, 0, "a b  c "},
      {"PASS  x", Verb::pass, {}, 0, " x"},
      {"PASS caf\xe9", Verb::pass, {}, 0, "caf\xe9"},
      {"AUTH", Verb::auth},
      {"AUTH PLAIN", Verb::auth, {}, 0, "PLAIN"},
      {"AUTH PLAIN =", Verb::auth, {}, 0, "PLAIN", ""},
      {"AUTH plain AGFubg==", Verb::auth, {}, 0, "plain", "AGFubg=="},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.line);
    const auto command = parse_command(c.line);
    ASSERT_TRUE(command) << command.error().text;
    EXPECT_EQ(command->verb, c.verb);
    EXPECT_EQ(command->message, c.message);
    EXPECT_EQ(command->lines, c.lines);
    EXPECT_EQ(command->text, c.text);
    EXPECT_EQ(command->initial, c.initial);
  }
}

TEST(PopCommand, RefusedOnes) {
  const std::pair<std::string, Fault> cases[] = {
      {"", Fault::refused},           {"HELO x", Fault::refused},     {"APOP ann 0123", Fault::refused}, {"RETRX 1", Fault::refused},
      {" QUIT", Fault::refused},      {"RETR", Fault::syntax},        {"RETR x", Fault::syntax},         {"RETR -1", Fault::syntax},
      {"RETR +1", Fault::syntax},     {"RETR 1 2", Fault::syntax},    {"RETR 4294967296", Fault::syntax}, {"RETR 99999999999999999999", Fault::syntax},
      {"RETR 1x", Fault::syntax},     {"TOP 1", Fault::syntax},       {"TOP 1 2 3", Fault::syntax},      {"TOP x 1", Fault::syntax},
      {"TOP 1 -1", Fault::syntax},    {"QUIT now", Fault::syntax},    {"LIST 1 2", Fault::syntax},       {"USER", Fault::syntax},
      {"USER ", Fault::syntax},       {"PASS", Fault::syntax},        {"AUTH PLAIN = x", Fault::syntax}, {"NOOP\0"s, Fault::syntax},
      {"USER a\0b"s, Fault::syntax},  {"USER a\tb", Fault::syntax},   {"PASS a\x7f", Fault::syntax},     {"LIST \xc3\xb6", Fault::syntax},
      {"QUIT\r", Fault::syntax},      {"\xff\xfe", Fault::refused},
  };
  for (const auto& [line, fault] : cases) {
    SCOPED_TRACE(line);
    const auto command = parse_command(line);
    ASSERT_FALSE(command);
    EXPECT_EQ(command.error().fault, fault);
    EXPECT_FALSE(command.error().text.empty());
  }
}

TEST(PopCommand, NamesMatchVerbs) {
  for (std::size_t i = 0; i < kVerbs; ++i) {
    const auto verb = static_cast<Verb>(i);
    const auto command = parse_command(std::string(to_string(verb)) + " 1 1");
    if (command) EXPECT_EQ(command->verb, verb);
    else EXPECT_EQ(command.error().fault, Fault::syntax) << to_string(verb);
  }
}

}  // namespace
}  // namespace relais::pop
