// Responses: the RFCs' examples, and what servers in the field send.
#include "imap/proto/response.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "imap/proto/response_framer.h"
#include "imap/proto/testing.h"

namespace relais::imap {
namespace {

using namespace std::string_literals;
using Kind = Response::Kind;

constexpr std::string_view kKinds[] = {"+",       "ok",    "no",       "bad",    "bye",     "preauth",   "capability", "enabled",
                                       "flags",   "list",  "status",   "search", "esearch", "namespace", "exists",     "recent",
                                       "expunge", "fetch", "vanished", "id",     "quota",   "quotaroot", "other"};

std::string text_of(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words) out += " " + w;
  return out;
}

std::string text_of(const WireName& name) { return name.wire + "=" + name.utf8.value_or("?"); }

std::string text_of(const Octets& octets) {
  return octets.literal ? "@" + std::to_string(*octets.literal) + "x" + std::to_string(octets.size) : "'" + octets.inlined + "'";
}

struct Show {
  std::string operator()(std::monostate) const { return ""; }
  std::string operator()(const StatusText& s) const {
    return (s.code ? " [" + s.code->name + "|" + s.code->arguments + "]" : "") + " " + s.text;
  }
  std::string operator()(const Response::Words& words) const { return text_of(words); }
  std::string operator()(const ListedMailbox& m) const {
    auto out = (m.lsub ? " lsub" : "") + text_of(m.attributes) + " " + (m.separator ? std::string(1, *m.separator) : "NIL") + " " +
               text_of(m.name);
    if (!m.child_info.empty()) out += " children" + text_of(m.child_info);
    if (m.old_name) out += " was " + text_of(*m.old_name);
    return out;
  }
  std::string operator()(const MailboxStatus& s) const {
    auto out = " " + text_of(s.name);
    for (const auto& [name, value] : s.numbers) out += " " + name + "=" + std::to_string(value);
    return out + (s.mailbox_id.empty() ? "" : " id=" + s.mailbox_id);
  }
  std::string operator()(const SearchResult& s) const {
    return " " + s.numbers.to_string() + (s.mod_seq ? " modseq " + std::to_string(*s.mod_seq) : "");
  }
  std::string operator()(const EsearchResult& s) const {
    auto out = " " + s.tag + (s.uid ? " uid" : "");
    if (s.min) out += " min " + std::to_string(*s.min);
    if (s.max) out += " max " + std::to_string(*s.max);
    if (s.count) out += " count " + std::to_string(*s.count);
    if (s.mod_seq) out += " modseq " + std::to_string(*s.mod_seq);
    return out + (s.all.empty() ? "" : " all " + s.all.to_string());
  }
  std::string operator()(const Namespaces& n) const {
    std::string out;
    for (const auto* list : {&n.personal, &n.others, &n.shared}) {
      out += " |";
      for (const auto& e : *list) out += " '" + e.prefix + "'" + (e.separator ? std::string(1, *e.separator) : "NIL");
    }
    return out;
  }
  std::string operator()(std::uint32_t n) const { return " " + std::to_string(n); }
  std::string operator()(const FetchResult& f) const {
    auto out = " " + std::to_string(f.sequence);
    if (f.uid) out += " uid " + std::to_string(*f.uid);
    if (f.flags) out += " flags(" + text_of(*f.flags) + " )";
    if (f.internal_date) out += " date " + std::to_string(f.internal_date->seconds);
    if (f.size) out += " size " + std::to_string(*f.size);
    if (f.mod_seq) out += " modseq " + std::to_string(*f.mod_seq);
    if (!f.email_id.empty()) out += " email " + f.email_id;
    if (!f.thread_id.empty()) out += " thread " + f.thread_id;
    for (const auto& s : f.sections) {
      out += " " + s.name + (s.origin ? "<" + std::to_string(*s.origin) + ">" : "") + "=" + (s.octets ? text_of(*s.octets) : "NIL");
    }
    for (const auto& [name, value] : f.others) out += " {" + name + " " + value + "}";
    return out;
  }
  std::string operator()(const VanishedResult& v) const { return (v.earlier ? " earlier " : " ") + v.uids.to_string(); }
  std::string operator()(const Response::Fields& fields) const {
    std::string out;
    for (const auto& [name, value] : fields) out += " " + name + "=" + value.value_or("NIL");
    return out;
  }
  std::string operator()(const QuotaResult& q) const {
    auto out = " '" + q.root + "'";
    for (const auto& r : q.resources) out += " " + r.name + " " + std::to_string(r.usage) + "/" + std::to_string(r.limit);
    return out;
  }
  std::string operator()(const std::string& other) const { return " " + other; }
};

std::string parse(std::string_view text, std::size_t literals = 0) {
  const auto found = parse_response(text, literals);
  if (!found) return testing::outcome(found);
  return (found->tag.empty() ? "" : found->tag + " ") + std::string(kKinds[static_cast<std::size_t>(found->kind)]) +
         std::visit(Show{}, found->data);
}

struct Row {
  std::string input;
  std::string value;
};

void check(const std::vector<Row>& table) {
  for (const auto& row : table) {
    EXPECT_EQ(parse(row.input), row.value) << row.input;
    testing::feed_every_prefix(row.input, [](std::string_view text) { return parse_response(text); });
  }
}

TEST(Response, States) {
  check({
      {"* OK IMAP4rev1 server ready", "ok IMAP4rev1 server ready"},
      {"* PREAUTH [CAPABILITY IMAP4rev1] in", "preauth [CAPABILITY|IMAP4rev1] in"},
      {"a1 OK [READ-WRITE] SELECT completed", "a1 ok [READ-WRITE|] SELECT completed"},
      {"a1 no [trycreate] x", "a1 no [TRYCREATE|] x"},
      {"* BAD", "bad "},
      {"* OK ", "ok "},
      {"* BYE [UNAVAILABLE]", "bye [UNAVAILABLE|] "},
      {"* OK [PERMANENTFLAGS (\\Deleted foo] \\*)] Limited", "ok [PERMANENTFLAGS|(\\Deleted foo] \\*)] Limited"},
      {"* OK [REFERRAL imap://a;AUTH=*@b/c?x=]] y", "ok [REFERRAL|imap://a;AUTH=*@b/c?x=] ] y"},
      {"* OK [ALERT says \"] x", "ok [ALERT|says \"] x"},
      {"* NO not a [code]", "no not a [code]"},
      {"+ idling", "+ idling"},
      {"+", "+ "},
      {"+ AGVu", "+ AGVu"},
      {"[COPYUID 55 31 6]", "ok [COPYUID|55 31 6] "},
      {"", "syntax: expected response"},
      {"*", "syntax: expected response"},
      {"a1 FETCH", "syntax: expected OK, NO or BAD behind a tag"},
  });
}

TEST(Response, Mailboxes) {
  check({
      {"* LIST (\\Noselect) \"/\" \"\"", "list \\Noselect / ="},
      {"* LIST () \".\" INBOX.Entw&APw-rfe", "list . INBOX.Entw&APw-rfe=INBOX.Entwürfe"},
      {"* LIST (\\HasNoChildren) \"\\\\\" {3}\r\na b", "list \\HasNoChildren \\ a b=a b"},
      {"* LIST () NIL inbox", "list NIL inbox=INBOX"},
      {"* LIST () NIL inbox/x", "list NIL inbox/x=inbox/x"},
      {"* LIST () \"/\" inbox/x", "list / inbox/x=INBOX/x"},
      {"* LIST () \".\" inbox/x", "list . inbox/x=inbox/x"},
      {"* LIST () \".\" inbox.x", "list . inbox.x=INBOX.x"},
      {"* LIST () \"/\" \"R&D\"", "list / R&D=R&D"},
      {"* LIST () \"/\" \"\xE9\"", "list / \xE9=?"},
      {"* LIST () \"/\" \"[Gmail]/All Mail\"", "list / [Gmail]/All Mail=[Gmail]/All Mail"},
      {"* LIST ( \\Marked  \\HasChildren ) \"/\"  foo ", "list \\Marked \\HasChildren / foo=foo"},
      {"* LSUB () \"/\" NIL", "list lsub / NIL=NIL"},
      {"* LIST (\\NonExistent) \"/\" \"Foo\" (\"CHILDINFO\" (\"SUBSCRIBED\") x (1 (2)) OLDNAME (\"o\"))",
       "list \\NonExistent / Foo=Foo children SUBSCRIBED was o=o"},
      {"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)", "status blurdybloop=blurdybloop MESSAGES=231 UIDNEXT=44292"},
      {"* STATUS foo (MAILBOXID (F2212ea87-6097-4256-9d51-71338625) x (1) MESSAGES 1)",
       "status foo=foo MESSAGES=1 id=F2212ea87-6097-4256-9d51-71338625"},
      {"* STATUS a b c (MESSAGES 1)", "status a b c=a b c MESSAGES=1"},
      {"* STATUS \"a\" ()", "status a=a"},
      {"* STATUS inbox ()", "status inbox=INBOX"},
      {"* STATUS \"inbox/x\" ()", "status inbox/x=inbox/x"},
      {"* NAMESPACE ((\"\" \"/\")(\"#mh/\" \"/\" \"X-PARAM\" (\"FLAG1\"))) NIL ((\"Public/\" NIL))",
       "namespace | ''/ '#mh/'/ | | 'Public/'NIL"},
      {"* NAMESPACE NIL NIL NIL", "namespace | | |"},
      {"* QUOTA \"\" (STORAGE 10 512)", "quota '' STORAGE 10/512"},
      {"* QUOTAROOT INBOX \"a b\"", "quotaroot INBOX a b"},
      {"* LIST (", "syntax: expected astring"},
      {"* LIST () \"/\"", "syntax: expected astring"},
      {"* STATUS x", "syntax: expected status items"},
  });
}

TEST(Response, Messages) {
  check({
      {"* 18 EXISTS", "exists 18"},
      {"* 2 RECENT", "recent 2"},
      {"* 44 EXPUNGE", "expunge 44"},
      {"* 12 FETCH (FLAGS (\\Seen) INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 4286)",
       "fetch 12 flags( \\Seen ) date 837596665 size 4286"},
      {"* 1 FETCH (UID 5 MODSEQ (6) EMAILID (M6) THREADID NIL)", "fetch 1 uid 5 modseq 6 email M6"},
      {"* 1 FETCH (BODY[HEADER.FIELDS (\"A\" \"] B\")]<0> {2}\r\nxy UID 7)", "fetch 1 uid 7 BODY[HEADER.FIELDS (\"A\" \"] B\")]<0>='xy'"},
      {"* 1 FETCH (RFC822 \"a\\\"b\" BODY[TEXT] NIL BINARY[1] ~{2}\r\n\0\1 BINARY.SIZE[1] 9)"s,
       "fetch 1 RFC822='a\"b' BODY[TEXT]=NIL BINARY[1]='\0\1' {BINARY.SIZE[1] 9}"s},
      {"* 1 FETCH (ENVELOPE (NIL \"a)b\" ((NIL NIL {3}\r\n(\"\" \"h\"))) X-GM-LABELS (\"\\\\Sent\" x) UID 3)",
       "fetch 1 uid 3 {ENVELOPE (NIL \"a)b\" ((NIL NIL {3}\r\n(\"\" \"h\")))} {X-GM-LABELS (\"\\\\Sent\" x)}"},
      {"* 70 FETCH (MODSEQ (-1) FLAGS (\\Recent \\Seen) UID 680)", "fetch 70 uid 680 flags( \\Recent \\Seen )"},  // Zoho
      {"* 9 FETCH (UID 14942 (ENVELOPE (NIL)) BODYSTRUCTURE (\"TEXT\"))",
       "fetch 9 uid 14942 {ENVELOPE (NIL)} {BODYSTRUCTURE (\"TEXT\")}"},  // Domino
      {"* 1 FETCH (UID 3016 BODY[2] )", "fetch 1 uid 3016 BODY[2]=NIL"},  // Yandex
      {"* 1 FETCH (FLAGS () INTERNALDATE \"1-Jan-2000 00:00:00 +0000\")", "fetch 1 flags( ) date 946684800"},
      {"* 1 FETCH (FLAGS (a]b \xC3\xA9) INTERNALDATE \"yesterday\")", "fetch 1 flags( a]b \xC3\xA9 )"},
      {"* VANISHED (EARLIER) 41,43:116,118", "vanished earlier 41,43:116,118"},
      {"* VANISHED 405,407", "vanished 405,407"},
      {"* SEARCH 2 84 882", "search 2,84,882"},
      {"* SEARCH", "search "},
      {"* SEARCH ", "search "},
      {"* SEARCH 5 3 4 (MODSEQ 917162500)", "search 3:5 modseq 917162500"},
      {"* ESEARCH (TAG \"A282\") UID MIN 2 COUNT 3 ALL 2,10:11 MODSEQ 9 X (1)", "esearch A282 uid min 2 count 3 modseq 9 all 2,10:11"},
      {"* ESEARCH", "esearch "},
      {"* 1 FETCH (BODY[] {5}\r\nabc)", "syntax: expected the octets of a literal"},
      {"* 1 FETCH (BODY[] {5@0}\r\n)", "syntax: expected a literal that was sent"},
      {"* 4294967296 EXISTS", "syntax: expected number below 2^32"},
      {"* 1 FETCH (UID 1) x", "syntax: expected end of response"},
      {"* VANISHED 1:*", "syntax: expected set of numbers"},
  });
  EXPECT_EQ(parse("* 1 FETCH (BODY[1] {70000@1}\r\n UID 2)", 2), "fetch 1 uid 2 BODY[1]=@1x70000");
  EXPECT_EQ(parse("* 1 FETCH (X " + std::string(100'000, '(') + ")"), "syntax: expected less nesting");
}

TEST(Response, TheRest) {
  check({
      {"* CAPABILITY IMAP4rev1 AUTH=PLAIN ", "capability IMAP4REV1 AUTH=PLAIN"},
      {"* ENABLED QRESYNC", "enabled QRESYNC"},
      {"* FLAGS (\\Answered \\Flagged $x)", "flags \\Answered \\Flagged $x"},
      {"* ID (\"name\" \"Cyrus\" \"os\" NIL)", "id name=Cyrus os=NIL"},
      {"* ID NIL", "id"},
      {"* THREAD (2)(3 6)", "other THREAD (2)(3 6)"},
      {"* 86 NOOP x", "other 86 NOOP x"},
  });
}

TEST(Response, CopyUidPairs) {
  const auto pairs = [](std::string_view text) {
    const auto found = parse_copyuid(text);
    if (!found) return testing::outcome(found);
    auto out = std::to_string(found->uid_validity);
    for (std::size_t i = 0; i < found->from.size(); ++i) {
      out += " " + std::to_string(found->from[i].first) + ":" + std::to_string(found->from[i].last) + ">" +
             std::to_string(found->to[i].first) + ":" + std::to_string(found->to[i].last);
    }
    return out;
  };
  EXPECT_EQ(pairs("38505 304,319:320 3956:3958"), "38505 304:304>3956:3956 319:320>3957:3958");
  EXPECT_EQ(pairs("1 5:1 9,11:14"), "1 1:1>9:9 2:5>11:14");
  EXPECT_EQ(pairs("1 1:4294967295 1:4294967295"), "1 1:4294967295>1:4294967295");
  EXPECT_EQ(pairs("1 1:3 1:2"), "syntax: expected two sets of one length");
  EXPECT_EQ(pairs("1 1:3"), "syntax: expected set of numbers");
  EXPECT_EQ(pairs("x"), "syntax: expected number");
}

TEST(Response, ListsThatAreTooLong) {
  const auto words = [](std::size_t count) {
    std::string out;
    for (std::size_t i = 0; i < count; ++i) out += " A";
    return out;
  };
  for (const std::string name : {"* CAPABILITY", "* ENABLED"}) {
    EXPECT_TRUE(parse_response(name + words(Response::kMaxWords)));
    EXPECT_FALSE(parse_response(name + words(Response::kMaxWords + 1)));
  }
  EXPECT_TRUE(parse_response("* FLAGS (" + words(10'000) + ")"));
  EXPECT_FALSE(parse_response("* FLAGS (" + words(10'001) + ")"));
}

/// What the framer says, with large literals set apart.
std::string frame(std::string_view input, std::size_t piece, ResponseLimits limits) {
  ResponseFramer framer(limits);
  std::string log;
  std::uint64_t left = 0;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    std::string_view rest = input.substr(at, piece);
    for (bool more = false; !more;) {
      if (left > 0) {
        const auto take = static_cast<std::size_t>(std::min<std::uint64_t>(left, rest.size()));
        log += rest.substr(0, take);
        rest.remove_prefix(take);
        left -= take;
        if (left > 0) break;
        log += ">";
        framer.literal_taken();
      }
      const auto [used, event] = framer.feed(rest);
      rest.remove_prefix(used);
      switch (event) {
        case ResponseFramer::Event::more:
          EXPECT_TRUE(rest.empty());
          more = true;
          break;
        case ResponseFramer::Event::literal:
          left = framer.literal_size();
          log += "<";
          break;
        case ResponseFramer::Event::response:
          log.append(framer.text()).append("|");
          framer.next();
          break;
        case ResponseFramer::Event::broken: return log + "broken";
      }
    }
  }
  return log;
}

TEST(ResponseFramer, CutsResponses) {
  const std::vector<Row> table = {
      {"* OK x\r\n* 1 EXISTS\n+ \r\n", "* OK x|* 1 EXISTS|+ |"},
      {"* 1 FETCH (B {3}\r\nabc C {4}\r\n\r\n\r\n)\r\n", "* 1 FETCH (B {3}\r\nabc C {4}\r\n\r\n\r\n)|"},
      {"* 1 FETCH (B {6}\r\nabcdef C {7}\r\n1234567)\r\n", "<abcdef><1234567>* 1 FETCH (B {6@0}\r\n C {7@1}\r\n)|"},
      {"* 1 FETCH (B ~{6}\r\nabcdef)\r\n* OK\r\n", "<abcdef>* 1 FETCH (B ~{6@0}\r\n)|* OK|"},
      {"* x {3+}\r\n* OK\r\n", "* x {3+}|* OK|"},
      {"* " + std::string(200, 'x'), "broken"},
      {"* x {9999999999999999999}\r\n", "broken"},
  };
  for (const auto& row : table) {
    for (const auto piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, row.input.size() + 1}) {
      EXPECT_EQ(frame(row.input, piece, {.inlined = 5, .text = 100}), row.value) << row.input;
    }
  }
}

}  // namespace
}  // namespace relais::imap
