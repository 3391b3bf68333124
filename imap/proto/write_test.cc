// Response writers: exact octets, and that what is written reads back.
#include "imap/proto/write.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

using namespace std::string_literals;

template <class F>
std::string written(F&& write) {
  std::string out;
  write(out);
  return out;
}

TEST(Write, RepliesForErrors) {
  EXPECT_EQ(reply_for("a1", {Fault::syntax, {}, "expected nz-number", "x"}), "a1 BAD expected nz-number\r\n");
  EXPECT_EQ(reply_for("a1", {Fault::refused, "TRYCREATE", "No such mailbox", {}}), "a1 NO [TRYCREATE] No such mailbox\r\n");
  EXPECT_EQ(reply_for("a1", {Fault::refused, "BADCHARSET (US-ASCII UTF-8)", "Unknown", {}}),
            "a1 NO [BADCHARSET (US-ASCII UTF-8)] Unknown\r\n");
  EXPECT_EQ(reply_for("a1", {Fault::temporary, {}, "Disk is full", "/var/x"}), "a1 NO [UNAVAILABLE] Disk is full\r\n");
  EXPECT_EQ(reply_for("a1", {Fault::corrupt, {}, {}, "bad record"}), "a1 NO [SERVERBUG] Internal error\r\n");
  EXPECT_EQ(reply_for("*", {Fault::syntax, "CLIENTBUG", {}, {}}), "* BAD [CLIENTBUG] Syntax error\r\n");
  EXPECT_EQ(reply_for("a1", {Fault::closed, {}, {}, {}}), "");
  EXPECT_EQ(reply_for("a1", {Fault::refused, {}, "x\r\na2 OK\xE9", {}}), "a1 NO x??a2 OK?\r\n");
}

struct Row {
  std::string text;
  std::string plain;
  std::string utf8;
};

TEST(Write, Strings) {
  const std::vector<Row> table = {
      {"abc", "\"abc\"", "\"abc\""},
      {"", "\"\"", "\"\""},
      {"a\"b\\", R"("a\"b\\")", R"("a\"b\\")"},
      {"é", "{2}\r\né", "\"é\""},
      {"\xE9", "{1}\r\n\xE9", "{1}\r\n\xE9"},
      {"a\r\nb", "{4}\r\na\r\nb", "{4}\r\na\r\nb"},
      {"a\0b"s, "{2}\r\nab", "{2}\r\nab"},
      {std::string(1025, 'x'), "{1025}\r\n" + std::string(1025, 'x'), "{1025}\r\n" + std::string(1025, 'x')},
  };
  for (const auto& row : table) {
    const auto plain = written([&](std::string& out) { append_string(out, row.text); });
    EXPECT_EQ(plain, row.plain);
    EXPECT_EQ(written([&](std::string& out) { append_string(out, row.text, {.utf8 = true}); }), row.utf8);
    if (row.text.contains('\0')) continue;
    Cursor in(plain);
    EXPECT_EQ(in.string(), row.text);
    EXPECT_TRUE(in.ok() && in.at_end());
  }
  EXPECT_EQ(written([](std::string& out) { append_nstring(out, std::nullopt); }), "NIL");
  EXPECT_EQ(written([](std::string& out) { append_nstring(out, "NIL"); }), "\"NIL\"");
  EXPECT_EQ(written([](std::string& out) { append_astring(out, "nil"); }), "\"nil\"");
  EXPECT_EQ(written([](std::string& out) { append_astring(out, "a]b"); }), "a]b");
  EXPECT_EQ(written([](std::string& out) { append_astring(out, "a b"); }), "\"a b\"");
  EXPECT_EQ(written([](std::string& out) { append_astring(out, ""); }), "\"\"");
  EXPECT_EQ(written([](std::string& out) { append_literal8_start(out, 5); }), "~{5}\r\n");
}

TEST(Write, Mailboxes) {
  const auto name = [](std::string_view text, bool utf8) {
    return written([&](std::string& out) { append_mailbox(out, text, {.utf8 = utf8}); });
  };
  EXPECT_EQ(name("INBOX", false), "INBOX");
  EXPECT_EQ(name("Sent Items", false), "\"Sent Items\"");
  EXPECT_EQ(name("Entwürfe", false), "Entw&APw-rfe");
  EXPECT_EQ(name("Entwürfe", true), "\"Entwürfe\"");
  EXPECT_EQ(name("A&B", false), "A&-B");
  EXPECT_EQ(name("A&B", true), "A&B");
  EXPECT_EQ(name("a%", false), "\"a%\"");
}

TEST(Write, FlagsAndDates) {
  const std::vector<std::string> keywords = {"$Junk", "x"};
  EXPECT_EQ(written([&](std::string& out) { append_flags(out, 31, keywords, true); }),
            "(\\Seen \\Answered \\Flagged \\Deleted \\Draft \\Recent $Junk x)");
  EXPECT_EQ(written([](std::string& out) { append_flags(out, 0, std::span<const std::string>{}); }), "()");
  const auto date = [](std::int64_t seconds, std::int16_t zone) {
    return written([&](std::string& out) { append_date_time(out, {seconds, zone}); });
  };
  EXPECT_EQ(date(837596665, -420), "\"17-Jul-1996 02:44:25 -0700\"");
  EXPECT_EQ(date(760686745, -480), "\" 7-Feb-1994 21:52:25 -0800\"");
  EXPECT_EQ(date(0, 330), "\" 1-Jan-1970 05:30:00 +0530\"");
  EXPECT_EQ(date(-1, 0), "\"31-Dec-1969 23:59:59 +0000\"");
  EXPECT_EQ(date(INT64_MAX, 1439).size(), 28U);
  EXPECT_EQ(date(INT64_MIN, -1439).size(), 28U);
  for (std::int64_t t = -50'000'000'000; t < 200'000'000'000; t += 777'777'777) {
    const DateTime when{t, static_cast<std::int16_t>(t / 777'777'777 % 700)};
    const auto text = written([&](std::string& out) { append_date_time(out, when); });
    Cursor in(text);
    EXPECT_EQ(in.date_time(), when) << text;
  }
}

TEST(Write, Lists) {
  const std::string_view attributes[] = {"\\HasChildren", "\\Subscribed"};
  const std::string_view child[] = {"SUBSCRIBED"};
  EXPECT_EQ(written([&](std::string& out) { append_list(out, {.name = "foo", .attributes = attributes}, {}); }),
            "* LIST (\\HasChildren \\Subscribed) \"/\" foo\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_list(out, {.name = "Foo", .attributes = {}, .child_info = child}, {}); }),
            "* LIST () \"/\" Foo (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\n");  // RFC 5258 §5
  EXPECT_EQ(written([&](std::string& out) { append_list(out, {.name = "New", .attributes = {}, .lsub = true, .old_name = "O d"}, {}); }),
            "* LSUB () \"/\" New (\"OLDNAME\" (\"O d\"))\r\n");
  const auto with = [](char separator) {
    return written([&](std::string& out) { append_list(out, {.name = "a", .attributes = {}}, {.separator = separator}); });
  };
  EXPECT_EQ(with('.'), "* LIST () \".\" a\r\n");
  EXPECT_EQ(with('\\'), "* LIST () \"\\\\\" a\r\n");
  EXPECT_EQ(with('\0'), "* LIST () NIL a\r\n");
}

TEST(Write, Namespaces) {
  const auto with = [](std::string_view prefix, Dialect dialect) {
    return written([&](std::string& out) { append_namespace(out, prefix, dialect); });
  };
  EXPECT_EQ(with("", {}), "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
  EXPECT_EQ(with("INBOX.", {.separator = '.'}), "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\n");
  EXPECT_EQ(with("", {.separator = '\0'}), "* NAMESPACE ((\"\" NIL)) NIL NIL\r\n");
  EXPECT_EQ(with("é/", {}), "* NAMESPACE ((\"&AOk-/\" \"/\")) NIL NIL\r\n");
  EXPECT_EQ(with("é/", {.utf8 = true}), "* NAMESPACE ((\"é/\" \"/\")) NIL NIL\r\n");
}

TEST(Write, Status) {
  const StatusValues values{.messages = 231,
                            .recent = 1,
                            .uid_next = 44292,
                            .uid_validity = 7,
                            .unseen = 2,
                            .deleted = 3,
                            .size = 7'000'000'000,
                            .highest_mod_seq = 715194045007,
                            .mailbox_id = "F2212",
                            .append_limit = std::nullopt,
                            .deleted_storage = 8};
  EXPECT_EQ(written([&](std::string& out) { append_status(out, "blurdybloop", kStatusMessages | kStatusUidNext, values, {}); }),
            "* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_status(out, "b b", 2047, values, {}); }),
            "* STATUS \"b b\" (MESSAGES 231 RECENT 1 UIDNEXT 44292 UIDVALIDITY 7 UNSEEN 2 DELETED 3 DELETED-STORAGE 8 SIZE 7000000000 "
            "HIGHESTMODSEQ 715194045007 MAILBOXID (F2212) APPENDLIMIT NIL)\r\n");
}

TEST(Write, SearchResults) {
  NumberSet set;
  for (const std::uint32_t n : {2U, 10U, 11U}) set.add(n);
  EXPECT_EQ(written([&](std::string& out) { append_search(out, set, std::nullopt); }), "* SEARCH 2 10 11\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_search(out, set, 917162500); }), "* SEARCH 2 10 11 (MODSEQ 917162500)\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_search(out, {}, 1); }), "* SEARCH\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_esearch(out, {.tag = "A282", .min = 2, .count = 3}); }),
            "* ESEARCH (TAG \"A282\") MIN 2 COUNT 3\r\n");  // RFC 4731 §3.1
  EXPECT_EQ(written([&](std::string& out) { append_esearch(out, {.tag = "A", .uid = true, .max = 11, .all = &set, .mod_seq = 9}); }),
            "* ESEARCH (TAG \"A\") UID MAX 11 ALL 2,10:11 MODSEQ 9\r\n");
  const NumberSet none;
  EXPECT_EQ(written([&](std::string& out) { append_esearch(out, {.tag = "A", .all = &none}); }), "* ESEARCH (TAG \"A\")\r\n");
  EXPECT_EQ(written([&](std::string& out) {
              append_esearch(out, {.tag = "A01", .uid = true, .partial = PartialRange{1, 100, true}, .partial_found = &set});
            }),
            "* ESEARCH (TAG \"A01\") UID PARTIAL (-1:-100 2,10:11)\r\n");  // RFC 9394 §3.1
  EXPECT_EQ(written([&](std::string& out) { append_esearch(out, {.tag = "A", .partial = PartialRange{1, 2, false}}); }),
            "* ESEARCH (TAG \"A\") PARTIAL (1:2 NIL)\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_vanished(out, set, true); }), "* VANISHED (EARLIER) 2,10:11\r\n");
  EXPECT_EQ(written([&](std::string& out) { append_count(out, 23, "EXISTS"); }), "* 23 EXISTS\r\n");
}

TEST(Write, UidPlusCodes) {
  const std::vector<std::uint32_t> from = {304, 319, 320, 318};
  const std::vector<std::uint32_t> to = {3956, 3957, 3958, 3959};
  EXPECT_EQ(written([&](std::string& out) { append_copyuid(out, 38505, from, to); }), "[COPYUID 38505 304,319:320,318 3956:3959] ");
  EXPECT_EQ(written([&](std::string& out) { append_appenduid(out, 38505, NumberSet(NumberRange{3955, 3956})); }),
            "[APPENDUID 38505 3955:3956] ");
}

}  // namespace
}  // namespace relais::imap
