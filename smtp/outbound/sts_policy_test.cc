// Texts of MTA-STS.
#include "smtp/outbound/sts_policy.h"

#include "smtp/outbound/sts_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Mode = StsPolicy::Mode;
using Texts = std::vector<std::string>;

TEST(StsTxt, TheId) {  // RFC 8461 §3.1
  const struct {
    Texts records;
    const char* id;  // null: none
  } cases[] = {{{"v=STSv1; id=20160831085700Z;"}, "20160831085700Z"},
               {{"v=STSv1;id=1"}, "1"},
               {{"v=STSv1 ; x=y ; id=1 ;"}, "1"},
               {{"v=STSv1; id=1; id=2;"}, "1"},
               {{"v=spf1 -all", "v=STSv1; id=1;"}, "1"},
               {{"v=STSv1; id=1;", "v=STSv1; id=1;"}, nullptr},
               {{}, nullptr},
               {{""}, nullptr},
               {{"v=STSv1"}, nullptr},
               {{"v=STSv1;"}, nullptr},
               {{"v=STSv2; id=1;"}, nullptr},
               {{"v=STSv11; id=1;"}, nullptr},
               {{"V=STSv1; id=1;"}, nullptr},
               {{" v=STSv1; id=1;"}, nullptr},
               {{"id=1; v=STSv1;"}, nullptr},
               {{"v=STSv1; id=;"}, nullptr},
               {{"v=STSv1; id=a-b;"}, nullptr},
               {{"v=STSv1; id=" + std::string(32, 'x')}, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"},
               {{"v=STSv1; id=" + std::string(33, 'x')}, nullptr},
               {{"v=STSv1; id=1; junk"}, nullptr},
               {{"v=STSv1;; id=1"}, nullptr},
               {{"v=STSv1; id=1; bad name=1"}, nullptr}};
  for (const auto& c : cases) {
    const auto id = parse_sts_txt(c.records);
    SCOPED_TRACE(c.records.empty() ? "none" : c.records.front());
    if (c.id == nullptr)
      EXPECT_FALSE(id) << *id;
    else
      EXPECT_EQ(id.value_or("no id"), c.id);
  }
}

TEST(StsPolicyText, Accepted) {  // RFC 8461 §3.2
  const auto policy = parse_sts_policy(
      "version: STSv1\r\nmode: enforce\r\nmx: Mail.Example.com\r\nmx:\t*.example.net  \r\nx-more: \xc3\xbc\r\nmax_age: 604800\r\n");
  ASSERT_TRUE(policy) << policy.error().text;
  EXPECT_EQ(policy->mode, Mode::enforce);
  EXPECT_THAT(policy->mx, ElementsAre("mail.example.com", "*.example.net"));
  EXPECT_EQ(policy->max_age, 604800U);
  EXPECT_THAT(policy->lines,
              ElementsAre("version: STSv1", "mode: enforce", "mx: Mail.Example.com", "mx: *.example.net", "max_age: 604800"));

  EXPECT_EQ(parse_sts_policy("version: STSv1\nmode: none\nmax_age: 0").value().mode, Mode::none);  // no mx needed
  EXPECT_EQ(parse_sts_policy("version: STSv1\nmode: testing\nmode: enforce\nmax_age: 1\nmax_age: 2\nmx: a").value().mode, Mode::testing);
  EXPECT_EQ(parse_sts_policy("version: STSv1\nmode: none\nmax_age: 9999999999\n").value().max_age, kStsMaxAge);
}

TEST(StsPolicyText, Refused) {
  const struct {
    const char* text;
    const char* why;
  } cases[] = {{"", "no version"},
               {"mode: none\nmax_age: 1\n", "no version"},
               {"version: STSv2\nmode: none\nmax_age: 1\n", "unknown version"},
               {"version: STSv1\nmax_age: 1\n", "no mode"},
               {"version: STSv1\nmode: Enforce\nmax_age: 1\nmx: a\n", "unknown mode"},
               {"version: STSv1\nmode: none\n", "no max_age"},
               {"version: STSv1\nmode: none\nmax_age: -1\n", "max_age"},
               {"version: STSv1\nmode: none\nmax_age: 12345678901\n", "max_age"},
               {"version: STSv1\nmode: enforce\nmax_age: 1\n", "no mx"},
               {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: *\n", "malformed mx"},
               {"version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.*.example\n", "malformed mx"},
               {"version: STSv1\nmode: enforce\nmax_age: 1\nmx:\n", "malformed mx"},
               {"<!DOCTYPE html>\n<html></html>\n", "without a field"},
               {"version: STSv1\nmode: none\nmax_age: 1\nx: a\x01z\n", "odd octets"},
               {"version: STSv1\nmode: none\nmax_age: 1\nx: \xff\n", "odd octets"}};
  for (const auto& c : cases) {
    const auto policy = parse_sts_policy(c.text);
    ASSERT_FALSE(policy) << c.text;
    EXPECT_EQ(policy.error().fault, Fault::syntax);
    EXPECT_THAT(policy.error().text, HasSubstr(c.why));
  }
}

TEST(StsPolicyText, Matching) {  // RFC 8461 §4.1
  StsPolicy policy;
  policy.mx = {"mail.example.com", "*.example.net"};
  for (const auto* const host : {"mail.example.com", "a.example.net", "mx-1.example.net"}) EXPECT_TRUE(sts_matches(policy, host)) << host;
  for (const auto* const host : {"example.com", "a.mail.example.com", "example.net", "foo.bar.example.net", ".example.net", "aexample.net",
                                 "mail.example.com.evil.org", ""})
    EXPECT_FALSE(sts_matches(policy, host)) << host;
}

TEST(StsFile, RoundTrip) {
  auto policy = parse_sts_policy("version: STSv1\nmode: enforce\nmx: a.example\nmx: *.b.example\nmax_age: 86400\n").value();
  policy.id = "20260101";
  policy.fetched = 1'767'225'600;
  const auto text = format_sts_file(policy);
  EXPECT_EQ(
      text,
      "relais-sts 1\nid: 20260101\nfetched: 1767225600\n\nversion: STSv1\nmode: enforce\nmx: a.example\nmx: *.b.example\nmax_age: 86400\n");
  const auto back = parse_sts_file(text);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->id, policy.id);
  EXPECT_EQ(back->fetched, policy.fetched);
  EXPECT_EQ(back->mx, policy.mx);
  for (std::size_t size = 0; size + 2 < text.size(); ++size) {
    const auto cut = parse_sts_file(text.substr(0, size));
    if (cut) EXPECT_EQ(cut->mx, policy.mx) << size;  // but for the last digits of max_age
  }
}

}  // namespace
}  // namespace relais::smtp
