// Sender rewriting: there and back, forgeries, age, lengths.
#include "message/srs.h"

#include "base/ascii.h"
#include "message/address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::message {
namespace {

using testing::MatchesRegex;
using testing::StartsWith;

constexpr std::int64_t kDay = 86'400;
constexpr std::int64_t kNow = 20'454 * kDay + 1'234;  // 2026-01-01

Srs make(std::string domain = "fwd.test", std::vector<std::string> secrets = {"secret"}) {
  return Srs({.domain = std::move(domain), .secrets = std::move(secrets)});
}

TEST(Srs, ThereAndBack) {
  const auto srs = make();
  for (const auto* sender :
       {"bob@example.net", "Bob.Smith+tag@example.net", "a=b=c@example.net", "\"odd @ one\"@example.net", "\xC3\xBC@example.net",
        "SRS@example.net", "srs0@example.net", "bob@[192.0.2.1]", "bob@[IPv6:2001:db8::1]", "-@x.test", "SRS0=x@fwd.test.example"}) {
    const auto forward = srs.forward(sender, kNow);
    ASSERT_TRUE(forward) << sender << forward.error().text;
    EXPECT_TRUE(forward->ends_with("@fwd.test")) << *forward;
    EXPECT_TRUE(parse_mailbox(*forward, true));
    EXPECT_TRUE(srs.is_ours(*forward));
    const auto back = srs.reverse(*forward, kNow + 5 * kDay);
    if (istarts_with(sender, "SRS0=")) continue;  // becomes SRS1, see below
    ASSERT_TRUE(back) << *forward << back.error().text;
    EXPECT_TRUE(iequals(*back, to_string(*parse_mailbox(sender, true)))) << *back;
  }
  EXPECT_THAT(*srs.forward("bob@example.net", kNow), MatchesRegex("SRS0=[a-z2-7]{8}=[a-z2-7]{2}=example.net=bob@fwd.test"));
}

TEST(Srs, KnownAnswer) {
  // HMAC-SHA256("secret", "7g=example.net=bob"), the first 40 bits in base32: fixed by this release, for bounces that are under way.
  EXPECT_EQ(*make().forward("Bob@Example.NET", kNow), *make().forward("Bob@example.net", kNow));
  EXPECT_EQ(make().forward("bob@example.net", 0)->substr(13, 4), "=aa=");
}

TEST(Srs, NullAndOwnStayAsTheyAre) {
  const auto srs = make();
  EXPECT_EQ(srs.forward("", kNow), "");
  const auto own = *srs.forward("bob@example.net", kNow);
  EXPECT_EQ(srs.forward(own, kNow), own);
  EXPECT_EQ(srs.forward("no address", kNow).error().fault, Fault::syntax);
}

TEST(Srs, ChainsLeadToTheFirstForwarder) {
  const auto first = make("first.test", {"one"});
  const auto second = make("second.test", {"two"});
  const auto third = make("third.test", {"three"});
  const auto a = *first.forward("bob@example.net", kNow);
  const auto b = *second.forward(a, kNow);
  const auto c = *third.forward(b, kNow);
  EXPECT_THAT(b, StartsWith("SRS1="));
  EXPECT_THAT(c, MatchesRegex("SRS1=[a-z2-7]{8}=first.test==[a-z2-7]{8}=[a-z2-7]{2}=example.net=bob@third.test"));
  EXPECT_EQ(third.reverse(c, kNow), a);
  EXPECT_EQ(second.reverse(b, kNow), a);
  EXPECT_EQ(first.reverse(a, kNow), "bob@example.net");
  // The separator behind SRS0 is the first forwarder's business.
  const auto plus = *second.forward("SRS0+abcd=xy=example.net=bob@other.test", kNow);
  EXPECT_EQ(second.reverse(plus, kNow), "SRS0+abcd=xy=example.net=bob@other.test");
  // What only looks like SRS1 is an address like any other.
  const auto odd = *second.forward("SRS1=nothing@other.test", kNow);
  EXPECT_THAT(odd, StartsWith("SRS0="));
  EXPECT_EQ(second.reverse(odd, kNow), "SRS1=nothing@other.test");
}

TEST(Srs, CaseMayChangeOnTheWay) {
  const auto srs = make();
  const auto forward = *srs.forward("Bob@Example.NET", kNow);
  EXPECT_EQ(srs.reverse(to_lower(forward), kNow), "bob@example.net");
  EXPECT_EQ(srs.reverse(to_upper(forward), kNow), "BOB@example.net");
  EXPECT_TRUE(srs.is_ours(to_upper(forward)));
}

TEST(Srs, ForgeriesAreRefused) {
  const auto srs = make();
  const auto real = *srs.forward("bob@example.net", kNow);
  for (std::size_t i = 5; i + 9 < real.size(); ++i) {  // hash, day, domain, local part: every octet counts
    for (const char c : {'a', '7', 'x', '='}) {
      auto forged = real;
      if (ascii_lower(forged[i]) == c) continue;
      forged[i] = c;
      const auto back = srs.reverse(forged, kNow);
      ASSERT_FALSE(back) << forged;
      EXPECT_EQ(back.error().fault, Fault::refused);
      EXPECT_EQ(back.error().code, "5.1.1");
    }
  }
  for (const auto* none : {"bob@fwd.test", "SRS0@fwd.test", "SRS0=@fwd.test", "SRS0=a=b=c@fwd.test", "SRS1=@fwd.test", "SRS1=a=b@fwd.test",
                           "x", "", "@", "SRS2=aaaaaaaa=aa=a.b=c@fwd.test"}) {
    EXPECT_FALSE(srs.reverse(none, kNow)) << none;
  }
  EXPECT_FALSE(srs.reverse(*make("other.test").forward("bob@example.net", kNow), kNow));
  EXPECT_FALSE(make("fwd.test", {"another"}).reverse(real, kNow));
  EXPECT_FALSE(srs.is_ours("bob@fwd.test"));
  EXPECT_FALSE(srs.is_ours("SRS0=aaaaaaaa=aa=a.b=c@other.test"));
}

TEST(Srs, SecretsAreRenewed) {
  const auto before = make("fwd.test", {"old"});
  const auto after = make("fwd.test", {"new", "old"});
  const auto address = *before.forward("bob@example.net", kNow);
  EXPECT_EQ(after.reverse(address, kNow), "bob@example.net");
  EXPECT_NE(after.forward("bob@example.net", kNow), address);
  EXPECT_FALSE(before.reverse(*after.forward("bob@example.net", kNow), kNow));
}

TEST(Srs, AddressesGrowOld) {
  const auto srs = make();
  for (const std::int64_t start : {kNow, 1'024 * 20 * kDay - 10 * kDay}) {  // over the day number's end too
    const auto address = *srs.forward("bob@example.net", start);
    EXPECT_TRUE(srs.reverse(address, start - kDay));  // clocks differ
    EXPECT_TRUE(srs.reverse(address, start + 21 * kDay));
    for (const std::int64_t days : {22, 100, 1'000, -2}) {
      const auto back = srs.reverse(address, start + days * kDay);
      ASSERT_FALSE(back) << days;
      EXPECT_EQ(back.error().code, "5.1.6");
    }
  }
}

TEST(Srs, LengthsAreBounded) {
  const auto sender = std::string(64, 'x') + "@" + std::string(60, 'y') + ".example";
  const auto rewritten = make().forward(sender, kNow);
  ASSERT_TRUE(rewritten);
  EXPECT_EQ(make().reverse(*rewritten, kNow), sender);
  const Srs strict({.domain = "fwd.test", .secrets = {"s"}, .max_local_part = 64});
  EXPECT_TRUE(strict.forward(std::string(30, 'x') + "@example.net", kNow));
  const auto refused = strict.forward(sender, kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().fault, Fault::refused);
  EXPECT_EQ(refused.error().code, "5.1.7");
  EXPECT_FALSE(make().forward(std::string(255, 'x') + "@example.net", kNow));
}

}  // namespace
}  // namespace relais::message
