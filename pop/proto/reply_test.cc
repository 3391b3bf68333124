// Status lines, byte-stuffing, TOP, unique ids.
#include "pop/proto/reply.h"

#include <gtest/gtest.h>

namespace relais::pop {
namespace {

TEST(PopReply, StatusLines) {
  std::string out;
  append_ok(out, "");
  append_ok(out, "2 320");
  append_err(out, "", "no such message");
  append_err(out, "IN-USE", "busy");
  EXPECT_EQ(out, "+OK\r\n+OK 2 320\r\n-ERR no such message\r\n-ERR [IN-USE] busy\r\n");
}

TEST(PopReply, ErrorsGetTheirResponseCode) {
  const std::pair<Error, std::string> cases[] = {
      {{Fault::syntax, "", "bad", ""}, "-ERR bad\r\n"},
      {{Fault::refused, "", "no", ""}, "-ERR no\r\n"},
      {{Fault::refused, "AUTHENTICATIONFAILED", "no", "secret detail"}, "-ERR [AUTH] no\r\n"},
      {{Fault::temporary, "STORAGE_FULL", "full", ""}, "-ERR [SYS/TEMP] full\r\n"},
      {{Fault::corrupt, "", "damaged", ""}, "-ERR [SYS/PERM] damaged\r\n"},
      {{Fault::refused, "IN-USE", "busy", ""}, "-ERR [IN-USE] busy\r\n"},
      {{Fault::refused, "NONEXISTENT", "gone", ""}, "-ERR gone\r\n"},
      {{Fault::temporary, "", "", ""}, "-ERR [SYS/TEMP] failed\r\n"},
  };
  for (const auto& [error, expected] : cases) {
    std::string out;
    append_error(out, error);
    EXPECT_EQ(out, expected);
  }
}

/// What a strict client makes of it: lines end with CRLF, one dot is taken off.
std::string unstuffed(std::string_view wire) {
  std::string out;
  bool start = true;
  for (std::size_t i = 0; i < wire.size(); ++i) {
    if (start && wire[i] == '.') {
      if (wire.substr(i) == ".\r\n") return out;
      start = false;
      continue;
    }
    out += wire[i];
    start = out.ends_with("\r\n");
  }
  return out + "(no end)";
}

TEST(MessageWriter, StuffsAndEnds) {
  const std::pair<std::string, std::string> cases[] = {
      {"", ".\r\n"},
      {"a\r\n", "a\r\n.\r\n"},
      {"a", "a\r\n.\r\n"},
      {".", "..\r\n.\r\n"},
      {".\r\n", "..\r\n.\r\n"},
      {"..\r\n.a\r\n", "...\r\n..a\r\n.\r\n"},
      {"a\r\n.\r\n.\r\n", "a\r\n..\r\n..\r\n.\r\n"},
      {"a.b\r\n", "a.b\r\n.\r\n"},
      {"a\n.\nb\n", "a\n..\nb\n\r\n.\r\n"},
      {"a\r", "a\r\r\n.\r\n"},
      {"\n", "\n\r\n.\r\n"},
      {"\r\n", "\r\n.\r\n"},
      {"a\r\n\r\n.\r\n\r\n", "a\r\n\r\n..\r\n\r\n.\r\n"},
  };
  for (const auto& [message, expected] : cases) {
    SCOPED_TRACE(message);
    for (std::size_t piece = 1; piece <= message.size() + 1; ++piece) {
      MessageWriter writer;
      std::string out;
      for (std::size_t at = 0; at < message.size(); at += piece) writer.append(out, std::string_view(message).substr(at, piece));
      writer.append(out, "");
      writer.finish(out);
      EXPECT_EQ(out, expected) << piece;
    }
    if (!message.contains("\n.\n")) {
      EXPECT_EQ(unstuffed(expected), message.ends_with("\r\n") || message.empty() ? message : message + "\r\n");
    }
  }
}

TEST(TopCutter, HeaderAndLines) {
  const std::string message = "A: 1\r\nB: 2\r\n\r\none\r\n\r\nthree\r\n";
  const std::string bare = "A: 1\n\none\ntwo";
  struct Case {
    std::string message;
    std::uint32_t lines;
    std::string expected;
  };
  const Case cases[] = {
      {message, 0, "A: 1\r\nB: 2\r\n\r\n"},
      {message, 1, "A: 1\r\nB: 2\r\n\r\none\r\n"},
      {message, 2, "A: 1\r\nB: 2\r\n\r\none\r\n\r\n"},
      {message, 3, message},
      {message, 4'000'000'000U, message},
      {bare, 0, "A: 1\n\n"},
      {bare, 1, "A: 1\n\none\n"},
      {bare, 2, bare},
      {"no header end", 0, "no header end"},
      {"\r\nbody\r\n", 0, "\r\n"},
      {"\r\nbody\r\n", 1, "\r\nbody\r\n"},
      {"A: 1\r\n", 5, "A: 1\r\n"},
      {"", 5, ""},
      {"A: 1\r\n\r\r\nbody\r\n", 0, "A: 1\r\n\r\r\nbody\r\n"},  // CR CR LF is no empty line, however it is cut
  };
  for (const auto& c : cases) {
    for (std::size_t piece = 1; piece <= c.message.size() + 1; ++piece) {
      TopCutter cutter(c.lines);
      std::string out;
      for (std::size_t at = 0; at < c.message.size(); at += piece) {
        const auto part = std::string_view(c.message).substr(at, piece);
        const auto wanted = cutter.take(part);
        out += part.substr(0, wanted);
        if (wanted < part.size()) {
          EXPECT_TRUE(cutter.done());
          break;
        }
      }
      EXPECT_EQ(out, c.expected) << piece << " of " << c.message;
    }
  }
}

TEST(UniqueId, DerivedAndStored) {
  std::string out;
  append_unique_id(out, 0x5f3a, 28);
  EXPECT_EQ(out, "5f3a.1c");
  out.clear();
  append_unique_id(out, 0xffffffff, 0xffffffff);
  EXPECT_EQ(out, "ffffffff.ffffffff");
  EXPECT_TRUE(is_unique_id(out));
  EXPECT_TRUE(is_unique_id(std::string(70, '~')));
  for (const auto& bad : {std::string(), std::string(71, 'x'), std::string("a b"), std::string("a\x7f"), std::string("\xc3\xb6")}) EXPECT_FALSE(is_unique_id(bad)) << bad;
}

}  // namespace
}  // namespace relais::pop
