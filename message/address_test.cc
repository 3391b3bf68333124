// Mailboxes of SMTP and address lists of header fields.
#include "message/address.h"

#include <gtest/gtest.h>

namespace relais::message {
namespace {

using namespace std::string_view_literals;

TEST(Mailbox, Accepted) {
  struct Row {
    std::string_view text, local_part, domain, written;
  };
  const Row rows[] = {
      {"a@b.example", "a", "b.example", "a@b.example"},
      {"User.Name+tag@EXAMPLE.com", "User.Name+tag", "example.com", "User.Name+tag@example.com"},
      {"\"a b\"@c.example", "a b", "c.example", "\"a b\"@c.example"},
      {"\"a\"@c.example", "a", "c.example", "a@c.example"},
      {"\"a\\\"\\\\@\"@c.example", "a\"\\@", "c.example", "\"a\\\"\\\\@\"@c.example"},
      {"\"\"@c.example", "", "c.example", "\"\"@c.example"},
      {"a@[192.0.2.1]", "a", "[192.0.2.1]", "a@[192.0.2.1]"},
      {"a@[IPv6:2001:DB8::1]", "a", "[ipv6:2001:db8::1]", "a@[ipv6:2001:db8::1]"},
      {"a@[x-tag:content]", "a", "[x-tag:content]", "a@[x-tag:content]"},
      {"!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "x", "!#$%&'*+-/=?^_`{|}~@x"},
      {"a@mail_out.example", "a", "mail_out.example", "a@mail_out.example"},
  };
  for (const auto& row : rows) {
    const auto got = parse_mailbox(row.text, false);
    ASSERT_TRUE(got.has_value()) << row.text;
    EXPECT_EQ(got->local_part, row.local_part);
    EXPECT_EQ(got->domain, row.domain);
    EXPECT_EQ(to_string(*got), row.written);
    EXPECT_EQ(parse_mailbox(to_string(*got), false).value(), *got);
  }
}

TEST(Mailbox, Refused) {
  for (const std::string_view text :
       {"",     "@",      "a",      "a@",     "@b",    "a@b@c", ".a@b",     "a.@b",        "a..b@c",    "a b@c",      "a@b..c",
        "a@.b", "a@b.",   "a@-b",   "a@b-",   "a@b c", "\"a@b", "\"a\"b@c", "\"a\x01\"@b", "a@[1.2.3]", "a@[1.2.3.4", "a@[IPv6:zz]",
        "a@[]", "a@[:x]", "a@[x:]", "a(c)@b", "a\r@b", "a@b\n", "a<@b",     "a,b@c",       "a@b,c"}) {
    const auto got = parse_mailbox(text, true);
    ASSERT_FALSE(got.has_value()) << text;
    EXPECT_EQ(got.error().fault, Fault::syntax);
  }
  EXPECT_FALSE(parse_mailbox(std::string(256, 'a') + "@b", false).has_value());
  EXPECT_TRUE(parse_mailbox(std::string(255, 'a') + "@b", false).has_value());
  EXPECT_FALSE(parse_mailbox("a@" + std::string(64, 'b'), false).has_value());
  EXPECT_FALSE(parse_mailbox("a@b\0c"sv, false).has_value());
  EXPECT_FALSE(parse_mailbox("a@[192.0.2.1\0x]"sv, false).has_value());
  EXPECT_FALSE(parse_mailbox("a@[x:\xc3\xa4]"sv, true).has_value());
}

// RFC 6531 §3.3
TEST(Mailbox, Internationalised) {
  const auto got = parse_mailbox("jürgen@BÜCHER.example", true);
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->local_part, "jürgen");
  EXPECT_EQ(got->domain, "xn--bcher-kva.example");
  const auto refused = parse_mailbox("jürgen@b.example", false);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, "5.6.7");
  EXPECT_FALSE(parse_mailbox("j\xfcrgen@b.example", true).has_value());
  EXPECT_FALSE(parse_mailbox("a@b\xff.example", true).has_value());
}

TEST(Domain, TwoSpellingsAreOne) {
  EXPECT_EQ(to_ascii_domain("Example.COM"), "example.com");
  EXPECT_EQ(to_ascii_domain("faß.example").value(), "xn--fa-hia.example");  // non-transitional
  EXPECT_EQ(to_ascii_domain("xn--bcher-kva.EXAMPLE").value(), to_ascii_domain("bücher.example").value());
  EXPECT_EQ(to_ascii_domain("例え。テスト").value(), "xn--r8jz45g.xn--zckzah");
  EXPECT_FALSE(to_ascii_domain("").has_value());
  EXPECT_FALSE(to_ascii_domain("a..b").has_value());
}

std::string show(std::string_view field) {
  std::string out;
  for (const auto& address : parse_address_list(field)) {
    if (!out.empty()) out += ' ';
    switch (address.kind) {
      case ListedAddress::Kind::group_start: out += "[" + address.name; break;
      case ListedAddress::Kind::group_end: out += "]"; break;
      case ListedAddress::Kind::mailbox:
        out += "(" + address.name + "|" + address.route + "|" + address.mailbox + "|" + address.host + ")";
        break;
    }
  }
  return out;
}

TEST(AddressList, WellFormed) {
  EXPECT_EQ(show("a@b"), "(||a|b)");
  EXPECT_EQ(show(" a@b , c@d\r\n ,e@f"), "(||a|b) (||c|d) (||e|f)");
  EXPECT_EQ(show("Ann Smith <a@b>"), "(Ann Smith||a|b)");
  EXPECT_EQ(show("\"Smith, Ann\" <a@b>"), "(Smith, Ann||a|b)");
  EXPECT_EQ(show("Ann\r\n  \"de\" Smith <a@b>"), "(Ann de Smith||a|b)");
  EXPECT_EQ(show("=?utf-8?q?J=C3=BCrgen?= <a@b>"), "(=?utf-8?q?J=C3=BCrgen?=||a|b)");
  EXPECT_EQ(show("a@b (Ann (the one) Smith)"), "(Ann (the one) Smith||a|b)");
  EXPECT_EQ(show("J. R. Smith <a@b>"), "(J. R. Smith||a|b)");
  EXPECT_EQ(show("\"a b\"@c"), "(||a b|c)");
  EXPECT_EQ(show("a@[192.0.2.1]"), "(||a|[192.0.2.1])");
  EXPECT_EQ(show("<@x,@y:a@b>"), "(|@x,@y|a|b)");
  EXPECT_EQ(show("Friends: a@b, Ann <c@d>;"), "[Friends (||a|b) (Ann||c|d) ]");
  EXPECT_EQ(show("undisclosed-recipients:;"), "[undisclosed-recipients ]");
  EXPECT_EQ(show("A: a@b;, c@d"), "[A (||a|b) ] (||c|d)");
}

TEST(AddressList, AsRealMailHasIt) {
  EXPECT_EQ(show(""), "");
  EXPECT_EQ(show(" , ,"), "");
  EXPECT_EQ(show("root"), "(||root|)");
  EXPECT_EQ(show("Ann Smith"), "(Ann Smith|||)");
  EXPECT_EQ(show("Ann Smith a@b"), "(Ann Smith||a|b)");
  EXPECT_EQ(show("a@b c@d"), "(||a|b)");
  EXPECT_EQ(show("a@b <c@d>"), "(a@b||c|d)");
  EXPECT_EQ(show("\"a@b\" <c@d>"), "(a@b||c|d)");
  EXPECT_EQ(show("Ann <a@b"), "(Ann||a|b)");
  EXPECT_EQ(show("<a@b, c@d"), "(||a|b) (||c|d)");
  EXPECT_EQ(show("<>"), "(|||)");
  EXPECT_EQ(show("Ann <a@b> junk, c@d"), "(Ann||a|b) (||c|d)");
  EXPECT_EQ(show("<a@b> (Ann)"), "(Ann||a|b)");
  EXPECT_EQ(show("[list] Ann <a@b>"), "([list] Ann||a|b)");
  EXPECT_EQ(show("a . b @ c . d"), "(||a.b|c.d)");
  EXPECT_EQ(show("Group: a@b"), "[Group (||a|b) ]");
  EXPECT_EQ(show("\"unterminated <a@b>"), "(unterminated <a@b>|||)");
  EXPECT_EQ(show("J\xfcrgen <a@b>"), "(J\xfcrgen||a|b)");
}

}  // namespace
}  // namespace relais::message
