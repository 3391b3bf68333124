// Lines and message content: limits, wrong line ends, smuggling, and the same answer however the octets are cut.
#include "smtp/proto/data.h"
#include "smtp/proto/line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace relais::smtp {
namespace {

using namespace std::string_literals;

struct Framed {
  std::string content;
  std::string rest;  // what follows the end
  bool end = false;
  bool good = true;
  friend bool operator==(const Framed&, const Framed&) = default;
};

Framed frame(std::string_view input, std::size_t piece) {
  DataFramer framer;
  Framed out;
  for (std::size_t at = 0; at < input.size();) {
    const auto step = framer.feed(input.substr(at, piece), [&](std::string_view octets) { out.content += octets; });
    at += step.used;
    if (step.end) {
      out.end = true;
      out.rest = input.substr(at);
      break;
    }
  }
  out.good = framer.good();
  return out;
}

TEST(DataFramer, EndsAtCrlfDotCrlfOnly) {
  struct Row {
    std::string input;
    Framed expected;
  };
  const std::vector<Row> rows{
      {".\r\n", {"", "", true, true}},
      {"a\r\n.\r\nQUIT\r\n", {"a\r\n", "QUIT\r\n", true, true}},
      {"..\r\n...a\r\n.b\r\n.\r\n", {".\r\n..a\r\nb\r\n", "", true, true}},
      {"\r\n\r\n.\r\n", {"\r\n\r\n", "", true, true}},
      {"a.\r\n.\r\n", {"a.\r\n", "", true, true}},
      {"\0\r\n.\r\n"s, {"\0\r\n"s, "", true, true}},
      {"a\r\n", {"a\r\n", "", false, true}},
  };
  for (const auto& row : rows) {
    for (std::size_t piece = 1; piece <= row.input.size(); ++piece) {
      SCOPED_TRACE(testing::PrintToString(row.input) + " by " + std::to_string(piece));
      EXPECT_TRUE(frame(row.input, piece) == row.expected);
    }
  }
}

// Each of these ended a message on some server. Here none does, nor does the dot behind a wrong line end count as stuffing.
TEST(DataFramer, SmugglingSequencesEndNothing) {
  const std::vector<std::string> wrong{
      "\n.\n",     "\n.\r\n",    "\r\n.\n",      "\r.\r",        "\r\n.\r",      "\r.\r\n",     "\n.\r",       "\r.\n",    "\r\n\0.\r\n"s,
      "\r\n.\0\r\n"s, "\n.\n\n", "\n\n.\r\n",    "\r\r.\r\r",    "\r\n.\r\r\n",  "\r\n.\r\x00\n"s, "\n\r.\r\n", "\r\n\n.\r\n", "\r\n\r.\r\n", "\r\n.\n\r\n",
      "\x0b.\r\n", "\x85.\r\n",  "\xe2\x80\xa8.\r\n", "\r\n .\r\n",
  };
  for (const auto& sequence : wrong) {
    const auto head = "Subject: x\r\n\r\ntext"s;
    const auto smuggled = "MAIL FROM:<a@b>\r\n"s;
    const auto input = head + sequence + smuggled + "\r\n.\r\nNOOP\r\n";
    const auto whole = frame(input, input.size());
    SCOPED_TRACE(testing::PrintToString(sequence));
    EXPECT_TRUE(whole.end);
    EXPECT_EQ(whole.rest, "NOOP\r\n");
    EXPECT_NE(whole.content.find(smuggled), std::string::npos);
    for (std::size_t piece = 1; piece < 9; ++piece) EXPECT_TRUE(frame(input, piece) == whole);
    bool bare = false;
    for (std::size_t i = 0; i < sequence.size(); ++i) {
      if (sequence[i] == '\n' && (i == 0 || sequence[i - 1] != '\r')) bare = true;
      if (sequence[i] == '\r' && (i + 1 == sequence.size() || sequence[i + 1] != '\n')) bare = true;
    }
    EXPECT_EQ(whole.good, !bare);
  }
}

TEST(DataFramer, ManyBareCarriageReturnsAreLinear) {
  std::string input;
  for (int i = 0; i < 2'000'000; ++i) input += "\rx";
  input += "\n\r\n.\r\n";
  const auto framed = frame(input, input.size());
  EXPECT_TRUE(framed.end);
  EXPECT_FALSE(framed.good);
}

TEST(LineEnds, BareOnesAreFoundAcrossCuts) {
  struct Row {
    std::string octets;
    bool good;
  };
  const std::vector<Row> rows{{"", true},          {"a", true},        {"a\r\nb\r\n", true}, {"\r\n\r\n", true}, {"a\nb", false}, {"\n", false},
                              {"a\rb\r\n", false}, {"a\r\n\r", false}, {"\r\r\n", false},    {"a\r", false},     {"\n\r", false}};
  for (const auto& row : rows) {
    for (std::size_t piece = 1; piece <= row.octets.size() + 1; ++piece) {
      LineEnds ends;
      for (std::size_t at = 0; at < row.octets.size(); at += piece) ends.feed(std::string_view(row.octets).substr(at, piece));
      ends.finish();
      EXPECT_EQ(ends.good(), row.good) << testing::PrintToString(row.octets) << " by " << piece;
    }
  }
}

// What a session sees of an input: events and lines, however it arrives.
std::vector<std::string> lines(std::string_view input, std::size_t piece, bool auth = false) {
  LineFramer framer;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = framer.feed(buffered, auth);
      using enum LineFramer::Event;
      if (step.event == line) out.emplace_back(step.line);
      if (step.event == bad) out.emplace_back("<bad>");
      if (step.event == too_long) out.emplace_back("<long>");
      if (step.event == endless) return out.emplace_back("<endless>"), out;
      buffered.erase(0, step.used);
      if (step.event == more) break;
    }
  }
  return out;
}

TEST(LineFramer, OnlyCrlfMakesALine) {
  const auto input = "NOOP\r\nA\nB\rC\r\nD\0E\r\n\r\n\nQUIT\r\nrest"s;
  const std::vector<std::string> expected{"NOOP", "<bad>", "<bad>", "<bad>", "", "<bad>", "QUIT"};
  for (std::size_t piece = 1; piece <= input.size(); ++piece) EXPECT_EQ(lines(input, piece), expected) << piece;
}

TEST(LineFramer, LimitsByVerb) {
  struct Row {
    std::string verb;
    std::size_t limit;  // octets with CRLF
    bool auth;
  };
  for (const auto& row : {Row{"NOOP ", kMaxCommandLine, false}, Row{"MAIL ", kMaxParameterLine, false}, Row{"rcpt ", kMaxParameterLine, false},
                          Row{"AUTH ", kMaxAuthLine, false}, Row{"", kMaxAuthLine, true}}) {
    const auto fits = row.verb + std::string(row.limit - row.verb.size() - 2, 'x') + "\r\n";
    const auto over = row.verb + std::string(row.limit - row.verb.size() - 1, 'x') + "\r\n";
    for (const std::size_t piece : {1UL, 3UL, 511UL, 512UL, 513UL, 4096UL, 100'000UL}) {
      const auto got = lines(fits + over + "RSET\r\n", piece, row.auth);
      ASSERT_EQ(got.size(), 3U) << row.verb << piece;
      EXPECT_EQ(got[0] + "\r\n", fits);
      EXPECT_EQ(got[1], "<long>");
      EXPECT_EQ(got[2], "RSET");
    }
  }
}

TEST(LineFramer, EndlessLineIsGivenUp) {
  const auto got = lines(std::string(kMaxSkippedLine + 10'000, 'x'), 4096);
  EXPECT_EQ(got, std::vector<std::string>{"<endless>"});
}

}  // namespace
}  // namespace relais::smtp
