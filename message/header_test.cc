// Header fields: finding, unfolding, selecting.
#include "message/header.h"

#include <gtest/gtest.h>

namespace relais::message {
namespace {

using namespace std::string_literals;

TEST(Header, FieldsWithTheirNamesValuesAndOffsets) {
  const auto header =
      "From u@h Mon Jan  1 00:00:00 2001\nSubject : a\r\n\tb\r\nno colon here\r\nX:\r\nTo:c\0d\xff\r\n e\r\n\r\nBody: no\r\n"s;
  std::vector<std::string> seen;
  for_each_field(header, [&](const Field& field) {
    EXPECT_EQ(std::string_view(header).substr(field.offset, field.raw.size()), field.raw);
    seen.push_back(std::string(field.name) + "|" + std::string(field.value));
  });
  EXPECT_EQ(seen, (std::vector{"Subject| a\r\n\tb"s, "X|"s, "To|c\0d\xff\r\n e"s}));
}

TEST(Header, LinesThatAreNoFieldsHaveNoName) {
  const std::string_view header = " first\nX: 1\n:\nfoo bar: 2\n";
  std::size_t pos = 0;
  Field field;
  std::vector<std::string> raws;
  while (next_field(header, pos, field)) raws.push_back(std::string(field.name) + "|" + std::string(field.raw));
  EXPECT_EQ(raws, (std::vector{"| first\n"s, "X|X: 1\n"s, "|:\n"s, "|foo bar: 2\n"s}));
}

TEST(Header, TheWalkEndsWhenToldTo) {
  int count = 0;
  for_each_field("A: 1\nB: 2\nC: 3\n", [&](const Field& field) { return ++count, field.name != "B"; });
  EXPECT_EQ(count, 2);
}

TEST(Header, EndIsBehindTheFirstEmptyLine) {
  EXPECT_EQ(header_end("A: 1\r\n\r\nbody"), 8U);
  EXPECT_EQ(header_end("A: 1\n\nbody"), 6U);
  EXPECT_EQ(header_end("\r\nbody"), 2U);
  EXPECT_EQ(header_end("A: 1\r\n \r\n\r\nb"), 11U);
  EXPECT_EQ(header_end("A: 1\r\n"), 6U);
  EXPECT_EQ(header_end("A: 1"), 4U);
  EXPECT_EQ(header_end("A: 1\r\n\rB: 2\r\n\r\n"), 15U);  // a bare CR ends no line
  EXPECT_EQ(header_end(""), 0U);
}

TEST(Header, Unfold) {
  EXPECT_EQ(unfold(" a\r\n b\n\tc \r\n"), "a b\tc");
  EXPECT_EQ(unfold("a\rb\0c"s), "abc");
  EXPECT_EQ(unfold(""), "");
}

TEST(Header, FindField) {
  const std::string_view header = "subject: one\r\nSUBJECT: two\r\nX:\r\n\r\nY: body\r\n";
  EXPECT_EQ(find_field(header, "Subject"), "one");
  EXPECT_EQ(find_field(header, "x"), "");
  EXPECT_EQ(find_field(header, "Y"), std::nullopt);
}

TEST(Header, CachedFields) {
  for (const std::string_view name : {"From", "TO", "message-id", "List-Id", "X-Priority", "Content-Type", "References", "delivered-to"})
    EXPECT_TRUE(is_cached_field(name)) << name;
  for (const std::string_view name : {"", "Received", "DKIM-Signature", "Fro", "Fromm", "X-", "Subjecu"})
    EXPECT_FALSE(is_cached_field(name)) << name;
}

// RFC 9051 §6.4.5.1: the fields as they are, then the blank line.
TEST(Header, SelectFields) {
  const std::string_view header = "From x\nFrom: a\r\nTO: b,\r\n c\r\nX-Long-Name: d\r\nto: e\nReceived: f\r\n\r\nFrom: body\r\n";
  const std::vector<std::string> names = {"to", "FROM", "absent"};
  EXPECT_EQ(select_fields(header, names, false), "From: a\r\nTO: b,\r\n c\r\nto: e\n\r\n");
  EXPECT_EQ(select_fields(header, names, true), "From x\nX-Long-Name: d\r\nReceived: f\r\n\r\n");
  EXPECT_EQ(select_fields("From: a", names, false), "From: a\r\n\r\n");
  EXPECT_EQ(select_fields("", names, false), "\r\n");
  EXPECT_EQ(select_fields(header, {}, false), "\r\n");
}

TEST(Header, SelectorKnowsWhatTheCacheHolds) {
  const std::vector<std::string> cached = {"From", "TO"};
  const std::vector<std::string> mixed = {"From", "Received"};
  EXPECT_TRUE(FieldSelector(cached, false).cached());
  EXPECT_FALSE(FieldSelector(cached, true).cached());
  EXPECT_FALSE(FieldSelector(mixed, false).cached());
}

TEST(Header, SelectorFindsEachOfManyNames) {
  std::vector<std::string> names;
  for (int i = 0; i < 2000; ++i) names.push_back("X-Name-" + std::to_string(i));
  names.emplace_back(100, 'z');
  const FieldSelector selector(names, false);
  for (const auto& name : names) EXPECT_TRUE(selector.matches(name));
  EXPECT_TRUE(selector.matches(std::string(100, 'Z')));
  EXPECT_FALSE(selector.matches("x-name-2000"));
  EXPECT_FALSE(selector.matches(std::string(101, 'z')));
}

}  // namespace
}  // namespace relais::message
