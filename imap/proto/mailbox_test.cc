// Modified UTF-7 both ways, and patterns against a plain recursive matcher.
#include "imap/proto/mailbox.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace relais::imap {
namespace {

struct Pair {
  std::string utf7;
  std::string utf8;
};

TEST(ModifiedUtf7, ConvertsBothWays) {
  const std::vector<Pair> table = {
      {"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"},  // RFC 3501 §5.1.3
      {"&Jjo-!", "☺!"},
      {"Hi Mom -&Jjo--!", "Hi Mom -☺-!"},
      {"&U,BTF2XlZyyKng-", "台北日本語"},
      {"plain", "plain"},
      {"", ""},
      {"A&-B", "A&B"},
      {"&-", "&"},
      {"&-&-", "&&"},
      {"&-&AOk-", "&é"},
      {"&AOk-&-", "é&"},
      {"&AOkA6Q-", "éé"},
      {"Entw&APw-rfe", "Entwürfe"},
      {"&BB4EQgQ,BEAEMAQyBDsENQQ9BD0ESwQ1-", "Отправленные"},
      {"&2D3eAA-", "😀"},
      {"x&2D3eANg93gE-y", "x😀😁y"},
      {"-", "-"},
      {"a-b+c,d", "a-b+c,d"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(utf7_to_utf8(row.utf7), row.utf8) << row.utf7;
    EXPECT_EQ(utf8_to_utf7(row.utf8), row.utf7) << row.utf8;
  }
}

TEST(ModifiedUtf7, RefusesWhatAnEncoderWouldNotWrite) {
  const std::vector<std::string> table = {
      "&Jjo!",               // RFC 3501 §5.1.3: no shift back
      "&U,BTFw-&ZeVnLIqe-",  // RFC 3501 §5.1.3: superfluous shift
      "&",
      "&A",
      "a&",
      "&AOk",   // unfinished
      "&AGE-",  // "a" can represent itself
      "&ACY-",  // so can "&", as "&-"
      "&AOk=-",
      "&AO k-",
      "&AO/k-",  // not its alphabet
      "&AOl-",   // padding bits that are not zero
      "&AOkA-",  // a superfluous sextet
      "&AA-",
      "&AAA-extra&AA-",  // half a character
      "&2D0-",           // high surrogate alone
      "&3gA-",           // low surrogate alone
      "&2D3YPQ-",        // two high ones
      "\xC3\xA9",
      "a\tb",
      "a\x7F",
  };
  for (const auto& text : table) EXPECT_EQ(utf7_to_utf8(text), std::nullopt) << text;
  EXPECT_EQ(utf8_to_utf7("\xFF"), std::nullopt);
  EXPECT_EQ(utf8_to_utf7("\xED\xA0\x80"), std::nullopt);
}

TEST(ModifiedUtf7, AcceptedMeansCanonical) {
  std::mt19937 random(3);
  constexpr std::string_view kChars = "&&&-AOk2D3e,+a/";
  int accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text;
    for (unsigned n = random() % 10; n > 0; --n) text += kChars[random() % kChars.size()];
    const auto decoded = utf7_to_utf8(text);
    if (!decoded) continue;
    ++accepted;
    ASSERT_EQ(utf8_to_utf7(*decoded), text);
  }
  EXPECT_GT(accepted, 1000);
}

TEST(MailboxName, HoldsNoControls) {
  for (const std::string_view good : {"a", "INBOX", "台北", "a b", "\xC2\xA0", "a/b"}) EXPECT_TRUE(is_mailbox_name(good)) << good;
  for (const std::string_view bad : {"", "a\n", "\x7F", "\xC2\x80", "\xC2\x9F", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xFF"}) {
    EXPECT_FALSE(is_mailbox_name(bad)) << bad;
  }
}

TEST(MailboxName, InboxIsOne) {
  const std::vector<Pair> table = {{"inbox", "INBOX"},     {"InBoX", "INBOX"},     {"inbox/a", "INBOX/a"},
                                   {"inboxes", "inboxes"}, {"a/inbox", "a/inbox"}, {"inbo", "inbo"}};
  for (const auto& row : table) {
    auto name = row.utf7;
    canonicalise_inbox(name);
    EXPECT_EQ(name, row.utf8);
  }
}

bool matches_plainly(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*' || pattern.front() == '%') {
    if (matches_plainly(pattern.substr(1), name)) return true;
    return !name.empty() && (pattern.front() == '*' || name.front() != '/') && matches_plainly(pattern, name.substr(1));
  }
  return !name.empty() && pattern.front() == name.front() && matches_plainly(pattern.substr(1), name.substr(1));
}

TEST(ListPattern, Matches) {
  struct Row {
    std::string_view pattern, name;
    bool matches;
  };
  constexpr Row kTable[] = {
      {"*", "a/b/c", true},
      {"%", "a", true},
      {"%", "a/b", false},
      {"a/%", "a/b", true},
      {"a/%", "a", false},
      {"a*", "a/b", true},
      {"%/%", "a/b", true},
      {"%/%", "a/b/c", false},
      {"*c", "a/b/c", true},
      {"%c", "a/b/c", false},
      {"inbox", "INBOX", true},
      {"iNb%", "INBOX", true},
      {"inbox/a", "INBOX/a", true},
      {"inbox/A", "INBOX/a", false},
      {"in%/*", "INBOX/a/b", true},
      {"a", "A", false},
      {"", "", true},
      {"", "a", false},
      {"*", "", true},
      {"inboxes", "INBOXES", false},
      {"*a%b", "xaya/b", false},
      {"*a%b", "x/ayb", true},
      {"日*", "日本語", true},
  };
  for (const auto& row : kTable) EXPECT_EQ(list_matches(row.pattern, row.name), row.matches) << row.pattern << " " << row.name;
}

TEST(ListPattern, LevelsEndWhereTheSeparatorIs) {
  struct Row {
    char separator;
    std::string_view pattern;
    std::string_view name;
    bool matches;
  };
  constexpr Row kTable[] = {
      {'.', "%", "a/b", true},        {'.', "%", "a.b", false},          {'.', "a.%", "a.b/c", true},        {'.', "a.%", "a.b.c", false},
      {'.', "*", "a.b.c", true},      {'.', "inbox.%", "INBOX.a", true}, {'.', "inbox/%", "INBOX/a", false}, {'\0', "%", "a/b.c", true},
      {'\0', "inbox", "INBOX", true},
  };
  for (const auto& row : kTable)
    EXPECT_EQ(list_matches(row.pattern, row.name, row.separator), row.matches) << row.separator << row.pattern << " " << row.name;
}

TEST(ListPattern, AgreesWithThePlainMatcher) {
  std::mt19937 random(11);
  const auto text = [&random](std::string_view chars, unsigned most) {
    std::string out;
    for (unsigned n = random() % (most + 1); n > 0; --n) out += chars[random() % chars.size()];
    return out;
  };
  int matched = 0;
  for (int i = 0; i < 100'000; ++i) {
    const auto pattern = text("ab/*%", 7);
    const auto name = text("ab/", 9);
    const bool expected = matches_plainly(pattern, name);
    matched += expected ? 1 : 0;
    ASSERT_EQ(list_matches(pattern, name), expected) << pattern << " " << name;
    auto collapsed = pattern;
    collapse_wildcards(collapsed);
    ASSERT_EQ(list_matches(collapsed, name), expected) << pattern << " " << name;
  }
  EXPECT_GT(matched, 5000);
}

TEST(ListPattern, SurvivesHostileOnes) {
  std::string pattern;
  while (pattern.size() + 2 <= kMaxPatternOctets) pattern += "*a";
  EXPECT_FALSE(list_matches(pattern + "b", std::string(1000, 'a')));
  EXPECT_TRUE(list_matches(pattern, std::string(1000, 'a')));
  EXPECT_FALSE(list_matches(std::string(kMaxPatternOctets + 1, '*'), "a"));
  EXPECT_TRUE(list_matches(std::string(kMaxPatternOctets, '*'), "a"));
}

}  // namespace
}  // namespace relais::imap
