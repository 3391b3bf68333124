// Routes, DKIM keys and SRS secrets: records, rules of choice, durability.
#include "directory/outbound.h"
#include "base/encode.h"
#include "directory/records.h"
#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::directory {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// docs/directory.md shows the same octets.
TEST(OutboundRecords, RouteGolden) {
  const Route route{"example.org", Route::Kind::smtp, "relay.example", 587, RouteTls::verify, "u", "pw", 1'767'225'600};
  const auto octets = encode_route(route);
  EXPECT_EQ(to_hex(octets),
            "01"
            "01"
            "04"
            "024b"
            "000000006955b900"
            "0d72656c61792e6578616d706c65"
            "0175"
            "027077");
  EXPECT_EQ(decode_route("example.org", octets).value(), route);
}

TEST(OutboundRecords, DkimKeyGolden) {
  const DkimKey key{"example.org", "r1", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::retired, "PEM", 1'767'225'600, 1'767'225'601};
  const auto octets = encode_dkim_key(key);
  EXPECT_EQ(to_hex(octets),
            "01"
            "02"
            "02"
            "000000006955b900"
            "000000006955b901"
            "0350454d");
  EXPECT_EQ(decode_dkim_key(std::string("example.org\0r1", 14), octets).value(), key);
}

TEST(OutboundRecords, SecretsGolden) {
  EXPECT_EQ(to_hex(encode_secrets({"ab", "c"})),
            "01"
            "02"
            "026162"
            "0163");
  EXPECT_THAT(decode_secrets(encode_secrets({"ab", "c"})).value(), ElementsAre("ab", "c"));
}

TEST(OutboundRecords, DamageIsFound) {
  const auto route = encode_route({"a.b", Route::Kind::lmtp, "h", 24, RouteTls::none, "", "", 1});
  const auto key = encode_dkim_key({"a.b", "s", DkimKey::Algorithm::rsa_sha256, DkimKey::State::active, "PEM", 1, 1});
  const auto secrets = encode_secrets({"abc"});
  for (std::size_t cut = 0; cut < route.size(); ++cut) EXPECT_EQ(decode_route("a.b", route.substr(0, cut)).error().fault, Fault::corrupt);
  for (std::size_t cut = 0; cut < key.size(); ++cut)
    EXPECT_EQ(decode_dkim_key(std::string("a\0s", 3), key.substr(0, cut)).error().fault, Fault::corrupt);
  for (std::size_t cut = 0; cut < secrets.size(); ++cut) EXPECT_EQ(decode_secrets(secrets.substr(0, cut)).error().fault, Fault::corrupt);
  EXPECT_FALSE(decode_route("a.b", route + "x"));
  EXPECT_FALSE(decode_dkim_key("no separator", key));
  EXPECT_FALSE(decode_secrets(encode_secrets({})));
  auto odd = route;
  odd[1] = 3;
  EXPECT_FALSE(decode_route("a.b", odd));
  odd = route;
  odd[2] = 5;
  EXPECT_FALSE(decode_route("a.b", odd));
  odd = key;
  odd[1] = 9;
  EXPECT_FALSE(decode_dkim_key(std::string("a\0s", 3), odd));
}

struct RouteCase {
  std::string_view domain, target, auth, tls;
  std::string_view expected;  // "domain target user tls", or what the error says
};

TEST(Route, ParsesWhatAdminsWrite) {
  const RouteCase cases[] = {
      {"Example.ORG", "mx", "", "", "example.org mx  auto"},
      {"example.org", "mx:Other.Example", "u:p", "may", "example.org mx:other.example u may"},
      {".b\xC3\xBC"
       "cher.example",
       "smtp://relay.example:587", "user@x:pa:ss", "verify", ".xn--bcher-kva.example smtp://relay.example:587 user@x verify"},
      {"*", "SMTP://relay.example", "", "none", "* smtp://relay.example:25  none"},
      {"a.b", "lmtp://127.0.0.1", "", "encrypt", "a.b lmtp://127.0.0.1:24  encrypt"},
      {"a.b", "smtp://[2001:DB8::1]:2525/", "", "auto", "a.b smtp://[2001:db8::1]:2525  auto"},
      {"a.b", "smtp://localhost:1", "", "", "a.b smtp://localhost:1  auto"},
  };
  for (const auto& c : cases) {
    const auto route = parse_route(c.domain, c.target, c.auth, c.tls);
    ASSERT_TRUE(route) << c.target << ": " << route.error().text;
    EXPECT_EQ(route->domain + " " + route_target(*route) + " " + route->user + " " + std::string(to_string(route->tls)), c.expected);
    const auto again = parse_route(route->domain, route_target(*route), c.auth, to_string(route->tls));
    ASSERT_TRUE(again) << again.error().text;
    EXPECT_EQ(*again, *route);
  }
  EXPECT_EQ(parse_route("a.b", "smtp://h", "u:p:q", "").value().password, "p:q");
}

TEST(Route, RefusesWhatIsNone) {
  const RouteCase cases[] = {
      {"a..b", "mx", "", "", "domain"},
      {"**", "mx", "", "", "domain"},
      {"", "mx", "", "", "domain"},
      {"a.b", "", "", "", "target"},
      {"a.b", "http://x", "", "", "target"},
      {"a.b", "smtp://", "", "", "host"},
      {"a.b", "smtp://h:0", "", "", "port"},
      {"a.b", "smtp://h:65536", "", "", "port"},
      {"a.b", "smtp://h:x", "", "", "port"},
      {"a.b", "smtp://h:", "", "", "port"},
      {"a.b", "smtp://[::1", "", "", "IPv6"},
      {"a.b", "smtp://[x]", "", "", "IPv6"},
      {"a.b", "smtp://[::1]25", "", "", "port"},
      {"a.b", "smtp://h h", "", "", "host"},
      {"a.b", "mx", "u:p", "", "next hop"},
      {"a.b", "smtp://h", "u", "", "USER"},
      {"a.b", "smtp://h", ":p", "", "USER"},
      {"a.b", "smtp://h", "u:", "", "USER"},
      {"a.b", "mx", "", "maybe", "TLS"},
      {"a.b", "mx:", "", "", "domain"},
  };
  for (const auto& c : cases) {
    const auto route = parse_route(c.domain, c.target, c.auth, c.tls);
    ASSERT_FALSE(route) << c.target;
    EXPECT_EQ(route.error().fault, Fault::syntax);
    EXPECT_THAT(route.error().text, HasSubstr(c.expected));
  }
}

class OutboundTest : public testing::Test {
 protected:
  void set(std::string_view domain, std::string_view target) {
    const auto done = d.run(d->set_route(parse_route(domain, target, "", "").value()));
    ASSERT_TRUE(done) << done.error().text;
  }
  std::string of(std::string domain) {
    const auto route = d.run(d->route_of(std::move(domain)));
    if (!route) return route.error().text;
    return *route ? (*route)->domain + " " + route_target(**route) : "none";
  }
  DkimKey key(std::string selector, std::string domain = "example.org") {
    return {std::move(domain), std::move(selector), DkimKey::Algorithm::rsa_sha256, DkimKey::State::active, "PEM", 0, 0};
  }
  std::vector<std::string> selectors(std::string domain) {
    std::vector<std::string> out;
    const auto keys = d.run(d->dkim_keys(std::move(domain)));
    if (keys) {
      for (const auto& one : *keys) out.push_back(one.selector + "._." + one.domain + " " + std::string(to_string(one.state)));
    }
    return out;
  }
  ManualClock clock;
  TestDirectory d{{.clock = &clock}};
};

TEST_F(OutboundTest, TheNearestRouteIsTakenAtOnce) {
  EXPECT_EQ(of("example.org"), "none");
  set("*", "smtp://all.test");
  set(".org", "smtp://org.test");
  set(".example.org", "lmtp://below.test");
  set("example.org", "mx");
  EXPECT_EQ(of("EXAMPLE.org"), "example.org mx");
  EXPECT_EQ(of("a.example.org"), ".example.org lmtp://below.test:24");
  EXPECT_EQ(of("b.a.example.org"), ".example.org lmtp://below.test:24");
  EXPECT_EQ(of("notexample.org"), ".org smtp://org.test:25");
  EXPECT_EQ(of("example.com"), "* smtp://all.test:25");
  EXPECT_EQ(of("[192.0.2.1]"), "* smtp://all.test:25");
  set("example.org", "smtp://new.test");  // replaces
  EXPECT_EQ(of("example.org"), "example.org smtp://new.test:25");
  EXPECT_EQ(d.run(d->routes())->size(), 4U);
  EXPECT_EQ(d.run(d->routes())->front().created, clock.seconds());
  ASSERT_TRUE(d.run(d->remove_route("EXAMPLE.org")));
  EXPECT_EQ(of("example.org"), ".org smtp://org.test:25");
  ASSERT_TRUE(d.run(d->remove_route("*")));
  EXPECT_EQ(of("example.com"), "none");
  EXPECT_EQ(d.run(d->remove_route("*")).error().code, "NONEXISTENT");
}

TEST_F(OutboundTest, DkimKeysGoThroughTheirStates) {
  ASSERT_TRUE(d.run(d->add_dkim_key(key("R2", "Example.ORG"))));
  ASSERT_TRUE(d.run(d->add_dkim_key(key("r1"))));
  ASSERT_TRUE(d.run(d->add_dkim_key(key("r1", "sub.example.org"))));
  EXPECT_EQ(d.run(d->add_dkim_key(key("r1"))).error().code, "ALREADYEXISTS");
  EXPECT_THAT(selectors("EXAMPLE.org"), ElementsAre("r1._.example.org active", "r2._.example.org active"));
  EXPECT_THAT(selectors("org"), IsEmpty());
  EXPECT_THAT(selectors("[192.0.2.1]"), IsEmpty());
  EXPECT_EQ(selectors("").size(), 3U);
  clock.advance(std::chrono::hours(1));
  ASSERT_TRUE(d.run(d->set_dkim_state("example.org", "R1", DkimKey::State::retired)));
  EXPECT_THAT(selectors("example.org"), ElementsAre("r1._.example.org retired", "r2._.example.org active"));
  const auto changed = d.run(d->dkim_keys("example.org"))->front();
  EXPECT_EQ(changed.changed, changed.created + 3'600);
  ASSERT_TRUE(d.run(d->remove_dkim_key("example.org", "r1")));
  EXPECT_THAT(selectors("example.org"), ElementsAre("r2._.example.org active"));
  EXPECT_EQ(d.run(d->remove_dkim_key("example.org", "r1")).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->set_dkim_state("example.org", "r1", DkimKey::State::active)).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->add_dkim_key(key("a b"))).error().fault, Fault::syntax);
  auto empty = key("r9");
  empty.private_key.clear();
  EXPECT_EQ(d.run(d->add_dkim_key(empty)).error().fault, Fault::refused);
}

TEST_F(OutboundTest, LongestNamesFit) {
  const std::string label(63, 'a');
  const auto longest = label + "." + label + "." + label + "." + std::string(59, 'b') + ".c";
  auto one = key(longest, longest);
  const auto done = d.run(d->add_dkim_key(one));
  ASSERT_TRUE(done) << done.error().text << done.error().detail;
  EXPECT_EQ(selectors(longest).size(), 1U);
}

TEST_F(OutboundTest, SrsSecretsAreKeptAndRenewed) {
  const auto first = d.run(d->srs_secrets()).value();
  ASSERT_EQ(first.size(), 1U);
  EXPECT_EQ(first[0].size(), 32U);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(d.run(d->renew_srs_secret()));
  const auto later = d.run(d->srs_secrets()).value();
  ASSERT_EQ(later.size(), kSrsSecrets);
  EXPECT_EQ(std::ranges::find(later, first[0]), later.end());
  d.reopen();
  EXPECT_EQ(d.run(d->srs_secrets()).value(), later);
}

TEST_F(OutboundTest, EverythingIsThereAfterAReopen) {
  set("example.org", "smtp://relay.test:2525");
  ASSERT_TRUE(d.run(d->add_dkim_key(key("r1"))));
  d.reopen();
  EXPECT_EQ(of("example.org"), "example.org smtp://relay.test:2525");
  EXPECT_THAT(selectors("example.org"), ElementsAre("r1._.example.org active"));
}

}  // namespace
}  // namespace relais::directory
