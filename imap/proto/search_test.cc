// SEARCH: trees written back as text.
#include "imap/proto/search.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

using Kind = SearchKey::Kind;

constexpr std::string_view kNames[] = {"all",        "and",      "or",         "seq",     "uid",       "flag",        "recent",
                                       "keyword",    "header",   "body",       "text",    "larger",    "smaller",     "before",
                                       "on",         "since",    "sentbefore", "senton",  "sentsince", "savedbefore", "savedon",
                                       "savedsince", "savedate", "older",      "younger", "modseq",    "emailid",     "threadid"};

std::string text_of(const SearchKey& key) {
  std::string out = key.negated ? "!" : "";
  out += kNames[static_cast<std::size_t>(key.kind)];
  if (key.bits != 0) out += "=" + std::to_string(key.bits);
  if (key.number != 0) out += "=" + std::to_string(key.number);
  if (!key.name.empty()) out += ":" + key.name;
  if (!key.text.empty()) out += "'" + key.text + "'";
  if (key.date != std::chrono::sys_days{}) out += "@" + std::to_string(key.date.time_since_epoch().count());
  if (key.set.saved) out += " $";
  if (!key.set.ranges.empty()) out += " " + key.set.resolve(99).to_string();
  if (!key.keys.empty()) {
    char before = '(';
    for (const auto& k : key.keys) {
      out += before + text_of(k);
      before = ' ';
    }
    out += ")";
  }
  return out;
}

std::string parse(std::string_view text) {
  const auto found = parse_search(text);
  return found ? text_of(found->root) : testing::outcome(found);
}

struct Row {
  std::string input;
  std::string tree;
};

TEST(Search, Keys) {
  const std::vector<Row> table = {
      // RFC 9051 §6.4.4
      {" FLAGGED SINCE 1-Feb-1994 NOT FROM \"Smith\"", "and(flag=4 since@8797 !header:From'Smith')"},
      {" TEXT \"string not in mailbox\"", "text'string not in mailbox'"},
      {" OR (1 2:3) NOT (SEEN DRAFT)", "or(and(seq 1 seq 2:3) !and(flag=1 flag=16))"},
      {" ALL", "all"},
      {" all unseen", "and(all !flag=1)"},
      {" UNANSWERED UNDELETED UNFLAGGED UNDRAFT", "and(!flag=2 !flag=8 !flag=4 !flag=16)"},
      {" NEW", "and(recent !flag=1)"},
      {" NOT NEW OLD RECENT", "and(!and(recent !flag=1) !recent recent)"},
      {" NOT NOT SEEN", "flag=1"},
      {" NOT UNSEEN", "flag=1"},
      {" OR OR A B C", "syntax: expected search key"},
      {" OR OR SEEN DRAFT ALL", "or(flag=1 flag=16 all)"},
      {" OR SEEN OR DRAFT OR ALL DELETED", "or(all flag=8 flag=16 flag=1)"},
      {" OR NOT OR SEEN DRAFT ALL", "or(!or(flag=1 flag=16) all)"},
      {" KEYWORD $Junk UNKEYWORD x", "and(keyword'$Junk' !keyword'x')"},
      {" HEADER Message-ID <a@b>", "header:Message-ID'<a@b>'"},
      {" HEADER \"X\" \"\"", "header:X"},
      {" BCC a CC b TO c SUBJECT d BODY e", "and(header:Bcc'a' header:Cc'b' header:To'c' header:Subject'd' body'e')"},
      {" LARGER 100 SMALLER 5000000000", "and(larger=100 smaller=5000000000)"},
      {" UID 1:* $ *", "and(uid 1:99 seq $ seq 99)"},
      {" BEFORE 1-Jan-2000 ON 2-Jan-2000 SENTBEFORE 1-Jan-2000 SENTON \"1-Jan-2000\" SENTSINCE 1-Jan-2000",
       "and(before@10957 on@10958 sentbefore@10957 senton@10957 sentsince@10957)"},
      {" SAVEDBEFORE 1-Jan-2000 SAVEDON 1-Jan-2000 SAVEDSINCE 1-Jan-2000 SAVEDATESUPPORTED",
       "and(savedbefore@10957 savedon@10957 savedsince@10957 savedate)"},
      {" UNSEEN YOUNGER 259200 OLDER 5", "and(!flag=1 younger=259200 older=5)"},  // RFC 5032 §4
      {" MODSEQ \"/flags/\\\\draft\" all 620162338", "modseq=620162338"},         // RFC 7162 §3.1.5
      {" MODSEQ 620162338", "modseq=620162338"},
      {" EMAILID M6d99ac3275bb4e THREADID T64b478a75b7ea9", "and(emailid'M6d99ac3275bb4e' threadid'T64b478a75b7ea9')"},  // RFC 8474 §6
      {" CHARSET UTF-8 SUBJECT {2}\r\né", "header:Subject'é'"},
      {" CHARSET ISO-8859-1 SUBJECT {1}\r\n\xE9", "header:Subject'\xE9'"},
      {" SUBJECT {1}\r\n\xE9", "syntax: expected text in the charset of the search"},
      {"", "syntax: expected SP"},
      {" ", "syntax: expected search key"},
      {" ()", "syntax: expected search key"},
      {" (SEEN", "syntax: expected \")\" behind search keys"},
      {" SEEN)", "syntax: expected end of command"},
      {" OR SEEN", "syntax: expected SP"},
      {" LARGER -1", "syntax: expected number below 2^63"},
      {" OLDER 0", "syntax: expected nz-number"},
      {" KEYWORD \\Seen", "syntax: expected atom"},
      {" 0", "syntax: expected nz-number"},
      {" SEEN  ALL", "syntax: expected search key"},
      {" ALL RETURN (MIN)", "syntax: expected search key"},
      {" MODSEQ \"/comment\" all 1", "syntax: expected entry name"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(parse(row.input), row.tree) << row.input;
    testing::feed_every_prefix(row.input, [](std::string_view text) { return parse_search(text); });
  }
}

std::string returns(std::string_view text) {
  const auto found = parse_search(text);
  if (!found) return testing::outcome(found);
  const auto& r = found->returns;
  std::string out = r.given ? "given" : "plain";
  if (r.min) out += " min";
  if (r.max) out += " max";
  if (r.all) out += " all";
  if (r.count) out += " count";
  if (r.save) out += " save";
  if (r.partial)
    out += (r.partial->from_end ? " partial-" : " partial ") + std::to_string(r.partial->first) + ":" + std::to_string(r.partial->last);
  return out;
}

TEST(Search, ReturnOptions) {
  EXPECT_EQ(returns(" ALL"), "plain");
  EXPECT_EQ(returns(" RETURN () ALL"), "given all");
  EXPECT_EQ(returns(" RETURN (MIN COUNT) FLAGGED"), "given min count");
  EXPECT_EQ(returns(" return (save) charset utf-8 ALL"), "given save");
  EXPECT_EQ(returns(" RETURN (PARTIAL 500:400) ALL"), "given partial 400:500");
  EXPECT_EQ(returns(" RETURN (PARTIAL -1:-100 MAX) ALL"), "given max partial-1:100");
  EXPECT_EQ(returns(" RETURN (PARTIAL -1:100) ALL"), "syntax: expected partial range of one sign");
  EXPECT_EQ(returns(" RETURN (ALL PARTIAL 1:2) ALL"), "syntax: expected either ALL or PARTIAL");
  EXPECT_EQ(returns(" RETURN (UPDATE) ALL"), "syntax: expected MIN, MAX, ALL, COUNT, SAVE or PARTIAL");
  EXPECT_EQ(returns(" RETURN (MIN)"), "syntax: expected SP");
  EXPECT_EQ(parse_search(" CHARSET \"utf-8\" ALL")->charset, "UTF-8");
  EXPECT_TRUE(parse_search(" OR SEEN MODSEQ 1")->uses_mod_seq);
  EXPECT_FALSE(parse_search(" OR SEEN DRAFT")->uses_mod_seq);
}

TEST(Search, IsBounded) {
  const auto nested = [](std::size_t depth, const std::string& open, const std::string& close) {
    std::string text = " ";
    for (std::size_t i = 0; i < depth; ++i) text += open;
    text += "ALL";
    for (std::size_t i = 0; i < depth; ++i) text += close;
    return text;
  };
  EXPECT_EQ(parse(nested(kMaxSearchDepth - 1, "(", ")")), "all");
  EXPECT_EQ(parse(nested(kMaxSearchDepth, "(", ")")), "refused [LIMIT]: Search is nested too deeply");
  EXPECT_EQ(parse(nested(30'000, "(", "")), "refused [LIMIT]: Search is nested too deeply");
  EXPECT_EQ(parse(nested(10'000, "NOT ", "")), "refused [LIMIT]: Search is nested too deeply");
  EXPECT_EQ(parse(nested(10'000, "OR ", " ALL")), "refused [LIMIT]: Search is nested too deeply");
  EXPECT_EQ(parse(nested(4096, "", " ALL")), "refused [LIMIT]: Search has too many keys");
  EXPECT_EQ(parse_search(nested(200, "OR ", " SEEN"))->root.keys.size(), 201U);
}

}  // namespace
}  // namespace relais::imap
