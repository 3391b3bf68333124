// The framer: bounds, and the same lines however the octets are cut.
#include "pop/proto/line.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace relais::pop {
namespace {

using Event = LineFramer::Event;

std::vector<std::string> lines(std::string_view input, std::size_t piece, std::size_t limit) {
  LineFramer framer;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = framer.feed(buffered, limit);
      if (step.event == Event::line) out.push_back("=" + std::string(step.line));
      if (step.event == Event::too_long) out.emplace_back("too long");
      buffered.erase(0, step.used);
      if (step.event == Event::endless) {
        out.emplace_back("endless");
        return out;
      }
      if (step.event == Event::more) break;
    }
    EXPECT_LE(buffered.size(), std::max(limit, piece));
  }
  return out;
}

TEST(PopLine, SameHoweverCut) {
  const std::string input = "STAT\r\nNOOP\n\r\nUSER a\rb\r\n" + std::string(20, 'x') + "\r\n" + std::string(100, 'y') + "\r\nQUIT\r\npart";
  const std::vector<std::string> expected{"=STAT", "=NOOP", "=", "=USER a\rb", "too long", "too long", "=QUIT"};
  for (std::size_t piece = 1; piece <= input.size(); ++piece) EXPECT_EQ(lines(input, piece, 20), expected) << piece;
}

TEST(PopLine, LimitCountsTheLineEnd) {
  EXPECT_EQ(lines(std::string(18, 'x') + "\r\n", 100, 20), (std::vector<std::string>{"=" + std::string(18, 'x')}));
  EXPECT_EQ(lines(std::string(19, 'x') + "\r\n", 100, 20), (std::vector<std::string>{"too long"}));
}

TEST(PopLine, EndlessLinesEnd) {
  const std::string input(kMaxSkipped + 1'000, 'x');
  EXPECT_EQ(lines(input, 1'000, kMaxCommandLine), (std::vector<std::string>{"endless"}));
}

}  // namespace
}  // namespace relais::pop
