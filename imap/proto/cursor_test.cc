// The shared productions of the grammar: what they take, what they refuse, and that they stop where they should.
#include "imap/proto/cursor.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

using namespace std::string_literals;

/// What a read gave, as text: the value, or "!" and the reason.
template <class Read>
std::string read(std::string_view text, Read&& take, Dialect dialect = {}) {
  Cursor in(text, dialect);
  std::string value = take(in);
  in.end();
  if (!in.ok()) return "!" + testing::outcome(Result<void>(in.error()));
  return value;
}

struct Row {
  std::string input;
  std::string value;
};

TEST(Cursor, Astrings) {
  const std::vector<Row> table = {
      {"abc]", "abc]"},
      {"\"a b\"", "a b"},
      {R"("a\"b\\")", R"(a"b\)"},
      {"\"\"", ""},
      {"{3}\r\nabc", "abc"},
      {"{3+}\r\n\r\n\"", "\r\n\""},
      {"{0}\r\n", ""},
      {"\"é\"", "é"},
      {"NIL", "NIL"},
      {"", "!syntax: expected astring"},
      {"(", "!syntax: expected astring"},
      {"a{1}\r\nb", "!syntax: expected end of command"},
      {"\"abc", "!syntax: expected quoted string"},
      {"\"a\\bc\"", "!syntax: expected quoted string"},
      {"\"a\rb\"", "!syntax: expected quoted string"},
      {"\"a\0b\""s, "!syntax: expected quoted string"},
      {"\"\xE9\"", "!syntax: expected UTF-8 in quoted string"},
      {"{3}\r\na\0b"s, "!syntax: expected literal without NUL"},
      {"{4}\r\nabc", "!syntax: expected the octets of a literal"},
      {"{3}abc", "!syntax: expected CRLF behind the size of a literal"},
      {"{99999999999999999999}\r\nabc", "!syntax: expected number below 2^63"},
      {"\xC3\xA9", "!syntax: expected astring"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(read(row.input, [](Cursor& in) { return in.astring(); }), row.value) << row.input;
  }
}

TEST(Cursor, Numbers) {
  const auto number = [](Cursor& in) { return std::to_string(in.number()); };
  const auto nz = [](Cursor& in) { return std::to_string(in.nz_number()); };
  const auto n64 = [](Cursor& in) { return std::to_string(in.number64()); };
  EXPECT_EQ(read("0", number), "0");
  EXPECT_EQ(read("007", number), "7");
  EXPECT_EQ(read("4294967295", nz), "4294967295");
  EXPECT_EQ(read("4294967296", nz), "!syntax: expected nz-number");
  EXPECT_EQ(read("0", nz), "!syntax: expected nz-number");
  EXPECT_EQ(read("-1", number), "!syntax: expected number below 2^32");
  EXPECT_EQ(read("+1", number), "!syntax: expected number below 2^32");
  EXPECT_EQ(read("9223372036854775807", n64), "9223372036854775807");
  EXPECT_EQ(read("9223372036854775808", n64), "!syntax: expected number below 2^63");
  EXPECT_EQ(read("18446744073709551616", n64), "!syntax: expected number below 2^63");
}

TEST(Cursor, SequenceSets) {
  const auto set = [](Cursor& in) {
    const auto found = in.sequence_set();
    if (found.saved) return "$"s;
    std::string out;
    for (const auto& r : found.ranges) out += std::to_string(r.first) + ":" + std::to_string(r.last) + " ";
    return out;
  };
  EXPECT_EQ(read("2,4:7,9,12:*", set), "2:2 4:7 9:9 12:0 ");
  EXPECT_EQ(read("*:4,5:7", set), "0:4 5:7 ");
  EXPECT_EQ(read("*", set), "0:0 ");
  EXPECT_EQ(read("$", set), "$");
  for (const std::string_view bad : {"", "0", "1,", "1:", ",1", "1:0", "1,,2", "1:2:3", "a", "$,1", "1,$", "4294967296", "**", "1 2"}) {
    EXPECT_EQ(read(bad, set).front(), '!') << bad;
  }
}

TEST(SequenceSet, Resolves) {
  struct Case {
    std::string_view text;
    std::uint32_t star;
    std::string_view set;
  };
  constexpr Case kTable[] = {
      {"2,4:7,9,12:*", 15, "2,4:7,9,12:15"},  // RFC 9051 §9
      {"*:4,5:7", 10, "4:10"},
      {"3291:*", 10, "10:3291"},
      {"5,3,1,2,4", 9, "1:5"},
      {"9:7,1", 20, "1,7:9"},
      {"*", 7, "7"},
      {"*", 0, ""},
      {"1:*", 0, "1"},
      {"4294967295:*", 4294967295, "4294967295"},
  };
  for (const auto& row : kTable) {
    Cursor in(row.text);
    EXPECT_EQ(in.sequence_set().resolve(row.star).to_string(), row.set) << row.text;
  }
  const auto messages = [](std::string_view text, std::uint32_t exists) {
    Cursor in(text);
    const auto set = in.sequence_set().resolve_messages(exists);
    return set ? set->to_string() : "BAD";
  };
  EXPECT_EQ(messages("1:*", 3), "1:3");
  EXPECT_EQ(messages("4", 3), "BAD");
  EXPECT_EQ(messages("4:*", 3), "BAD");
  EXPECT_EQ(messages("*", 0), "BAD");
  EXPECT_EQ(messages("1:*", 0), "BAD");
}

TEST(SequenceSet, ResolvesLongOnesInAnyOrder) {
  std::string text;
  for (int i = 20'000; i > 0; --i) text += std::to_string(2 * i) + (i > 1 ? "," : "");
  Cursor in(text);
  EXPECT_EQ(in.sequence_set().resolve(1).count(), 20'000U);
}

TEST(Cursor, Mailboxes) {
  const auto mailbox = [](Cursor& in) { return in.mailbox(); };
  EXPECT_EQ(read("inbox", mailbox), "INBOX");
  EXPECT_EQ(read("\"Sent Items\"", mailbox), "Sent Items");
  EXPECT_EQ(read("{5}\r\nInBox", mailbox), "INBOX");
  EXPECT_EQ(read("Entw&APw-rfe", mailbox), "Entwürfe");
  EXPECT_EQ(read("Entw&APw-rfe", mailbox, {.utf8 = true}), "Entw&APw-rfe");
  EXPECT_EQ(read("\"Entwürfe\"", mailbox, {.utf8 = true}), "Entwürfe");
  EXPECT_EQ(read("\"Entwürfe\"", mailbox), "!refused [CANNOT]: Mailbox name is not modified UTF-7");
  EXPECT_EQ(read("a&b", mailbox), "!refused [CANNOT]: Mailbox name is not modified UTF-7");
  EXPECT_EQ(read("\"\"", mailbox), "!refused [CANNOT]: Mailbox name is empty");
  EXPECT_EQ(read("\"a\tb\"", mailbox), "!refused [CANNOT]: Mailbox name holds characters that are not allowed");
  EXPECT_EQ(read("&AAo-", mailbox), "!refused [CANNOT]: Mailbox name holds characters that are not allowed");
  EXPECT_EQ(read("{1}\r\n\xFF", mailbox, {.utf8 = true}), "!refused [CANNOT]: Mailbox name holds characters that are not allowed");
  const Dialect dots{.separator = '.', .any_names = true};
  EXPECT_EQ(read("inbox.Sent", mailbox, dots), "INBOX.Sent");
  EXPECT_EQ(read("inbox/Sent", mailbox, dots), "inbox/Sent");
  EXPECT_EQ(read("Entw&APw-rfe", mailbox, dots), "Entwürfe");
  EXPECT_EQ(read("a&b", mailbox, dots), "a&b");
  EXPECT_EQ(read("{2}\r\n\xFC"
                 "a",
                 mailbox, dots),
            "\xFC"
            "a");
  EXPECT_EQ(read("&AAo-", mailbox, dots), "\n");
  EXPECT_EQ(read("&AAA-", mailbox, dots), "!refused [CANNOT]: Mailbox name holds characters that are not allowed");
  EXPECT_EQ(read("\"\"", mailbox, dots), "!refused [CANNOT]: Mailbox name is empty");
  EXPECT_EQ(read("", mailbox), "!syntax: expected astring");
  EXPECT_EQ(read("a*", mailbox), "!syntax: expected end of command");
  EXPECT_EQ(read("a*%*b", [](Cursor& in) { return in.list_mailbox().value_or("none"); }), "a*b");
  EXPECT_EQ(read("\"\"", [](Cursor& in) { return in.list_mailbox().value_or("none") + "."; }), ".");
  EXPECT_EQ(read("a&b*", [](Cursor& in) { return in.list_mailbox().value_or("none"); }), "none");
  EXPECT_EQ(read("\"a\tb\"", [](Cursor& in) { return in.list_reference().value_or("none"); }), "none");
}

TEST(Cursor, Flags) {
  const auto flags = [](Cursor& in) {
    const auto found = in.flag_list();
    auto out = std::to_string(found.system);
    for (const auto& k : found.keywords) out += " " + k;
    return out;
  };
  EXPECT_EQ(read("()", flags), "0");
  EXPECT_EQ(read("(\\Seen \\DRAFT $Forwarded a $forwarded)", flags), "17 $Forwarded a");
  EXPECT_EQ(read("(\\Answered \\Flagged \\Deleted)", flags), "14");
  EXPECT_EQ(read("(\\Recent)", flags), "!syntax: expected flag that a client may set");
  EXPECT_EQ(read("(\\)", flags), "!syntax: expected flag that a client may set");
  EXPECT_EQ(read("(\\*)", flags), "!syntax: expected flag that a client may set");
  EXPECT_EQ(read("(\\Seem)", flags), "!refused [CANNOT]: No such system flag");
  EXPECT_EQ(read("(a b", flags), "!syntax: expected \")\" behind the flags");
  EXPECT_EQ(read("(a  b)", flags), "!syntax: expected flag");
  EXPECT_EQ(read("( a)", flags), "!syntax: expected flag");
  EXPECT_EQ(read("(\"a\")", flags), "!syntax: expected flag");
  EXPECT_EQ(read("(" + std::string(256, 'k') + ")", flags), "!refused [LIMIT]: Keyword is too long");
  std::string many = "(";
  for (std::size_t i = 0; i <= kMaxKeywords; ++i) many += "k" + std::to_string(i) + " ";
  many.back() = ')';
  EXPECT_EQ(read(many, flags), "!refused [LIMIT]: Too many keywords");
}

TEST(Cursor, Dates) {
  const auto date = [](Cursor& in) { return std::to_string(in.date().time_since_epoch().count()); };
  EXPECT_EQ(read("1-Feb-1994", date), "8797");
  EXPECT_EQ(read("\"01-feb-1994\"", date), "8797");
  EXPECT_EQ(read("29-Feb-2000", date), "11016");
  for (const std::string_view bad :
       {"", "29-Feb-1999", "32-Jan-2000", "0-Jan-2000", "1-Foo-2000", "1-Jan-99", "1 Jan 2000", "\"1-Jan-2000", "001-Jan-2000"}) {
    EXPECT_EQ(read(bad, date).front(), '!') << bad;
  }
  const auto time = [](Cursor& in) {
    const auto found = in.date_time();
    return std::to_string(found.seconds) + " " + std::to_string(found.zone_minutes);
  };
  EXPECT_EQ(read("\" 7-Feb-1994 21:52:25 -0800\"", time), "760686745 -480");
  EXPECT_EQ(read("\"17-Jul-1996 02:44:25 -0700\"", time), "837596665 -420");
  EXPECT_EQ(read("\"01-Jan-1970 05:30:00 +0530\"", time), "0 330");
  EXPECT_EQ(read("\"31-Dec-2016 23:59:60 +0000\"", time), "1483228800 0");
  for (const std::string_view bad : {"\"7-Feb-1994 21:52:25 -0800\"", "\" 7-Feb-1994 24:00:00 +0000\"", "\" 7-Feb-1994 21:52:25 0800\"",
                                     "\" 7-Feb-1994 21:52:25\"", "\" 7-Feb-1994 21:60:25 +0000\"", "\" 7-Feb-1994 21:52:25 +2460\"", ""}) {
    EXPECT_EQ(read(bad, time).front(), '!') << bad;
  }
}

TEST(Cursor, RemembersTheFirstMismatchOnly) {
  Cursor in("a b c");
  in.sp();
  in.mailbox();
  in.end();
  EXPECT_EQ(in.error().error().text, "expected SP");
  EXPECT_TRUE(in.at_end());
}

}  // namespace
}  // namespace relais::imap
