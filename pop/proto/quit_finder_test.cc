// QUIT among the lines of a client, however they are cut.
#include "pop/proto/quit_finder.h"

#include <gtest/gtest.h>

#include <string>

namespace relais::pop {
namespace {

TEST(PopQuitFinder, Lines) {
  const struct {
    std::string_view octets;
    bool found;
    bool at_line_start;
  } rows[] = {
      {"", false, true},
      {"QUIT\r\n", true, true},
      {"quit\r\n", true, true},
      {"QUIT\n", true, true},
      {"QUIT  \r\n", true, true},
      {"QUIT now\r\n", true, true},
      {"STAT\r\nQuIt\r\n", true, true},
      {"QUIT\r\nSTAT", true, false},
      {"QUIT", false, false},
      {"QUIT\r", false, false},
      {"QUITE\r\n", false, true},
      {"QUI\r\nT\r\n", false, true},
      {" QUIT\r\n", false, true},
      {"RETR 1 QUIT\r\n", false, true},
      {"TOP 1 0\r\nXQUIT\r\n\r\n\n", false, true},
  };
  for (const auto& row : rows) {
    for (std::size_t piece = 1; piece <= row.octets.size() + 1; ++piece) {
      SCOPED_TRACE(std::string(row.octets) + " by " + std::to_string(piece));
      QuitFinder finder;
      for (std::size_t at = 0; at < row.octets.size(); at += piece) finder.feed(row.octets.substr(at, piece));
      EXPECT_EQ(finder.found(), row.found);
      EXPECT_EQ(finder.at_line_start(), row.at_line_start);
    }
  }
}

}  // namespace
}  // namespace relais::pop
