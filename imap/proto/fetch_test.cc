// FETCH: items written back under their response names.
#include "imap/proto/fetch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

std::string parse(std::string_view text, bool uid = true) {
  const auto found = parse_fetch(text, uid);
  if (!found) return testing::outcome(found);
  std::string out = found->messages.saved ? "$" : found->messages.resolve(99).to_string();
  for (const auto& item : found->items) {
    out += item.sets_seen() ? " !" : " ";
    append_item_name(out, item);
    if (item.partial) out += std::to_string(item.partial->length);
  }
  if (found->changed_since) out += " since " + std::to_string(*found->changed_since);
  if (found->vanished) out += " vanished";
  if (found->partial) out += " partial " + std::to_string(found->partial->first) + ":" + std::to_string(found->partial->last);
  return out;
}

struct Row {
  std::string input;
  std::string items;
};

TEST(Fetch, Items) {
  const std::vector<Row> table = {
      {" 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])", "2:4 FLAGS !BODY[HEADER.FIELDS (DATE FROM)]"},  // RFC 9051 §6.4.5
      {" 1 ALL", "1 FLAGS INTERNALDATE RFC822.SIZE ENVELOPE"},
      {" 1 FAST", "1 FLAGS INTERNALDATE RFC822.SIZE"},
      {" 1 full", "1 FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY"},
      {" $ uid", "$ UID"},
      {" 1 BODY", "1 BODY"},
      {" 1 BODYSTRUCTURE", "1 BODYSTRUCTURE"},
      {" 1 BODY[]", "1 !BODY[]"},
      {" 1 body.peek[]<0.2048>", "1 BODY[]<0>2048"},
      {" 1 BODY[TEXT]<5.6>", "1 !BODY[TEXT]<5>6"},
      {" 1 BODY.PEEK[1.2.3.MIME]", "1 BODY[1.2.3.MIME]"},
      {" 1 BODY.PEEK[4.2.HEADER]", "1 BODY[4.2.HEADER]"},
      {" 1 BODY.PEEK[4.2]", "1 BODY[4.2]"},
      {" 1 BODY.PEEK[HEADER.FIELDS.NOT (\"a b\" {2}\r\ncd)]", "1 BODY[HEADER.FIELDS.NOT (\"a b\" cd)]"},
      {" 1 BODY.PEEK[1.HEADER.FIELDS (X-Y:)]", "1 BODY[1.HEADER.FIELDS (X-Y:)]"},
      {" 1 BINARY[1]", "1 !BINARY[1]"},
      {" 1 BINARY.PEEK[]<1.2>", "1 BINARY[]<1>2"},
      {" 1 BINARY.SIZE[2.1]", "1 BINARY.SIZE[2.1]"},
      {" 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)", "1 !RFC822 RFC822.HEADER !RFC822.TEXT RFC822.SIZE"},
      {" 1 (EMAILID THREADID SAVEDATE MODSEQ INTERNALDATE)", "1 EMAILID THREADID SAVEDATE MODSEQ INTERNALDATE"},
      {" 1 (FLAGS UID FLAGS)", "1 FLAGS UID"},
      {" 1 (BODY[1] BODY[1])", "1 !BODY[1] !BODY[1]"},
      {" 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)", "1:99 FLAGS since 12345 vanished"},  // RFC 7162 §3.2.6
      {" 1 FLAGS (CHANGEDSINCE 9223372036854775807)", "1 FLAGS since 9223372036854775807"},
      {" 1 FLAGS (VANISHED CHANGEDSINCE 1)", "1 FLAGS since 1 vanished"},
      {" 25900:26600 (UID FLAGS) (PARTIAL -1:-30)", "25900:26600 UID FLAGS partial 1:30"},  // RFC 9394 §3.4
      {" 1 FLAGS (VANISHED)", "syntax: expected CHANGEDSINCE beside VANISHED"},
      {" 1 FLAGS (CHANGEDSINCE 0)", "syntax: expected nz-number below 2^63"},
      {" 1 FLAGS (CHANGEDSINCE 9223372036854775808)", "syntax: expected nz-number below 2^63"},
      {" 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)", "syntax: expected CHANGEDSINCE, VANISHED or PARTIAL"},
      {" 1 ()", "syntax: expected fetch item"},
      {" 1 (ALL)", "syntax: expected fetch item"},
      {" 1 (FLAGS", "syntax: expected \")\" behind the fetch items"},
      {" 1 (FLAGS )", "syntax: expected fetch item"},
      {" 1 BODY[MIME]", "syntax: expected section"},
      {" 1 BODY[0]", "syntax: expected nz-number"},
      {" 1 BODY[1.]", "syntax: expected section"},
      {" 1 BODY[1.0]", "syntax: expected nz-number"},
      {" 1 BODY[.1]", "syntax: expected section"},
      {" 1 BODY[HEADER.FIELDS ()]", "syntax: expected astring"},
      {" 1 BODY[HEADER.FIELDS]", "syntax: expected SP"},
      {" 1 BODY[]<1>", "syntax: expected partial"},
      {" 1 BODY[]<1.0>", "syntax: expected nz-number below 2^63"},
      {" 1 BODY.PEEK", "syntax: expected fetch item"},
      {" 1 BINARY", "syntax: expected fetch item"},
      {" 1 BINARY[TEXT]", "syntax: expected \"]\" behind the section"},
      {" 1 BINARY[1.TEXT]", "syntax: expected \"]\" behind the section"},
      {" 1 BINARY.SIZE[1]<0.1>", "syntax: expected end of command"},
      {" 1 FLAGS[1]", "syntax: expected fetch item"},
      {" 0 FLAGS", "syntax: expected nz-number"},
      {" 1", "syntax: expected SP"},
      {"", "syntax: expected SP"},
  };
  for (const auto& row : table) {
    EXPECT_EQ(parse(row.input), row.items) << row.input;
    testing::feed_every_prefix(row.input, [](std::string_view text) { return parse_fetch(text, true); });
  }
}

TEST(Fetch, VanishedIsForUidFetch) {
  EXPECT_EQ(parse(" 1 FLAGS (CHANGEDSINCE 1 VANISHED)", false), "syntax: expected CHANGEDSINCE");
  EXPECT_EQ(parse(" 1 FLAGS (CHANGEDSINCE 1)", false), "1 FLAGS since 1");
}

TEST(Fetch, IsBounded) {
  std::string items = " 1 (";
  for (std::size_t i = 0; i <= kMaxFetchItems; ++i) items += "BODY[1] ";
  items.back() = ')';
  EXPECT_EQ(parse(items), "refused [LIMIT]: Too many fetch items");
  std::string part = " 1 BODY[1";
  for (std::size_t i = 0; i < kMaxSectionDepth; ++i) part += ".1";
  EXPECT_EQ(parse(part + "]"), "refused [LIMIT]: Section is nested too deeply");
}

}  // namespace
}  // namespace relais::imap
