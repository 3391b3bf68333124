// The front of commands.
#include "imap/proto/command.h"

#include <gtest/gtest.h>

#include <string>

#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

std::string parse(std::string_view text) {
  const auto found = parse_tagged(text);
  if (!found) return testing::outcome(found);
  return found->tag + "|" + (found->uid ? "UID " : "") + std::string(name_of(found->command)) + "|" + std::string(found->rest);
}

TEST(Command, HasTagAndKeyword) {
  EXPECT_EQ(parse("a001 LOGIN fred pw"), "a001|LOGIN| fred pw");
  EXPECT_EQ(parse("a noop"), "a|NOOP|");
  EXPECT_EQ(parse("a]. UiD fEtCh 1 FLAGS"), "a].|UID FETCH| 1 FLAGS");
  EXPECT_EQ(parse("a UID EXPUNGE 1"), "a|UID EXPUNGE| 1");
  EXPECT_EQ(parse("a GETQUOTAROOT INBOX"), "a|GETQUOTAROOT| INBOX");
  EXPECT_EQ(parse(""), "syntax: expected tag");
  EXPECT_EQ(parse("* NOOP"), "syntax: expected tag");
  EXPECT_EQ(parse("+a NOOP"), "syntax: expected tag");
  EXPECT_EQ(parse("a+ NOOP"), "syntax: expected tag");
  EXPECT_EQ(parse(std::string(256, 'a') + " NOOP"), "syntax: expected tag");
  EXPECT_EQ(parse("a"), "syntax: expected SP");
  EXPECT_EQ(parse("a  NOOP"), "syntax: expected a command that is known here");
  EXPECT_EQ(parse("a XYZZY"), "syntax: expected a command that is known here");
  EXPECT_EQ(parse("a UID NOOP"), "syntax: expected COPY, EXPUNGE, FETCH, MOVE, SEARCH or STORE behind UID");
  EXPECT_EQ(parse("a UID"), "syntax: expected SP");
  testing::feed_every_prefix("a001 UID FETCH 1", parse_tagged);
}

TEST(Command, TagsOfWhatIsNoCommand) {
  EXPECT_EQ(tag_of("a1 nonsense"), "a1");
  EXPECT_EQ(tag_of("a1"), "a1");
  EXPECT_EQ(tag_of("a1 X {3}\r\nabc"), "a1");
  EXPECT_EQ(tag_of(""), "*");
  EXPECT_EQ(tag_of("a(b c"), "*");
  EXPECT_EQ(tag_of("\xC3\xA9 x"), "*");
}

TEST(Command, WithoutArguments) {
  EXPECT_TRUE(parse_nothing(""));
  EXPECT_EQ(testing::outcome(parse_nothing(" ")), "syntax: expected end of command");
  for (std::size_t i = 0; i < kCommandCount; ++i) EXPECT_FALSE(name_of(static_cast<Command>(i)).empty());
}

}  // namespace
}  // namespace relais::imap
