// Addresses of hosts: kinds, order, limits, and places where no mail host can be.
#include "smtp/outbound/addresses.h"

#include "net/fake_resolver.h"
#include "net/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using net::DnsAnswer;
using net::DnsType;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Texts = std::vector<std::string>;

TEST(Addresses, Order) {
  const Texts v4{"4a", "4b", "4c", "4d", "4e"};
  const Texts v6{"6a", "6b", "6c", "6d", "6e"};
  const struct {
    Texts v4, v6;
    AddressOrder order;
    std::size_t limit;
    Texts expected;
  } cases[] = {
      {v4, v6, AddressOrder::ipv6_first, 10, {"6a", "6b", "6c", "6d", "6e", "4a", "4b", "4c", "4d", "4e"}},
      {v4, v6, AddressOrder::ipv6_first, 4, {"6a", "6b", "4a", "4b"}},
      {v4, v6, AddressOrder::ipv4_first, 4, {"4a", "4b", "6a", "6b"}},
      {v4, v6, AddressOrder::mixed, 4, {"6a", "4a", "6b", "4b"}},
      {v4, {}, AddressOrder::ipv6_first, 3, {"4a", "4b", "4c"}},
      {{}, v6, AddressOrder::ipv6_first, 3, {"6a", "6b", "6c"}},
      {{}, v6, AddressOrder::ipv4_first, 3, {"6a", "6b", "6c"}},
      {{"4a"}, v6, AddressOrder::ipv6_first, 4, {"6a", "6b", "6c", "4a"}},
      {v4, {"6a"}, AddressOrder::ipv6_first, 4, {"6a", "4a", "4b", "4c"}},
      {v4, {"6a"}, AddressOrder::mixed, 4, {"6a", "4a", "4b", "4c"}},
      {{}, {}, AddressOrder::mixed, 4, {}},
  };
  for (const auto& c : cases) EXPECT_EQ(order_addresses(c.v4, c.v6, c.order, c.limit), c.expected);
}

struct AddressLookup : testing::Test {
  net::FakeResolver dns;
  net::LoopPool loops{1};
  AddressLookup() { loops.start(); }
  AddressSet find(const std::string& host, AddressOrder order = AddressOrder::ipv6_first, std::size_t limit = 8) {
    return net::run_on(loops.at(0), find_addresses(dns, host, order, limit));
  }
};

TEST_F(AddressLookup, BothKinds) {
  dns.zone("mx.example A 192.0.2.1\nmx.example AAAA 2001:db8::1\nmx.example A 192.0.2.2").secure("example");
  const auto set = find("mx.example");
  EXPECT_EQ(set.addresses.front(), "2001:db8::1");
  EXPECT_THAT(set.addresses, UnorderedElementsAre("2001:db8::1", "192.0.2.1", "192.0.2.2"));
  EXPECT_TRUE(set.secure);
  EXPECT_FALSE(set.unknown);
}

TEST_F(AddressLookup, OneKindAsksNoMore) {  // RFC 5321 §5.2
  dns.zone("mx.example A 192.0.2.1\nmx.example AAAA 2001:db8::1");
  EXPECT_THAT(find("mx.example", AddressOrder::ipv4_only).addresses, ElementsAre("192.0.2.1"));
  EXPECT_THAT(dns.take_questions(), ElementsAre("mx.example A"));
  EXPECT_THAT(find("mx.example", AddressOrder::ipv6_only).addresses, ElementsAre("2001:db8::1"));
  EXPECT_THAT(dns.take_questions(), ElementsAre("mx.example AAAA"));
}

TEST_F(AddressLookup, HalfAnAnswerIsEnough) {
  dns.zone("mx.example A 192.0.2.1").fault("mx.example", DnsType::aaaa, DnsAnswer::Status::failed, "SERVFAIL");
  const auto set = find("mx.example");
  EXPECT_THAT(set.addresses, ElementsAre("192.0.2.1"));
  EXPECT_TRUE(set.unknown);
  dns.fault("mx.example", DnsType::a, DnsAnswer::Status::no_data);
  EXPECT_THAT(find("mx.example").addresses, IsEmpty());
  EXPECT_TRUE(find("mx.example").unknown);
}

TEST_F(AddressLookup, BrokenRecordsAreSkipped) {
  dns.zone("mx.example A 192.0.2.1").raw("mx.example", DnsType::a, "abc").raw("mx.example", DnsType::aaaa, "");
  EXPECT_THAT(find("mx.example").addresses, ElementsAre("192.0.2.1"));
}

TEST_F(AddressLookup, AliasesAndTheirVerdict) {
  dns.zone("mx.signed CNAME host.unsigned\nhost.unsigned A 192.0.2.1\nboth.signed CNAME host.signed\nhost.signed A 192.0.2.2")
      .secure("signed");
  EXPECT_FALSE(find("mx.signed").secure);
  EXPECT_EQ(find("mx.signed").canonical_name, "host.unsigned");
  EXPECT_TRUE(find("both.signed").secure);
  EXPECT_FALSE(find("nothing.signed").secure);  // nothing was found
}

TEST_F(AddressLookup, TheShortestTtlCounts) {
  dns.zone("mx.example A 192.0.2.1\nmx.example AAAA 2001:db8::1").ttl("mx.example", DnsType::aaaa, std::chrono::seconds(7));
  EXPECT_EQ(find("mx.example").ttl.count(), 7);
}

TEST(Addresses, Nowhere) {
  for (const auto* const bad : {"0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255",
                                "::", "::1", "fe80::1", "ff02::1", "::ffff:127.0.0.1", "not an address"})
    EXPECT_TRUE(is_nowhere(bad)) << bad;
  for (const auto* const good :
       {"192.0.2.1", "10.0.0.1", "192.168.1.1", "169.253.1.1", "223.255.255.255", "2001:db8::1", "fd00::1", "::ffff:192.0.2.1"})
    EXPECT_FALSE(is_nowhere(good)) << good;
}

TEST(Addresses, Literals) {  // RFC 5321 §4.1.3
  const struct {
    const char* domain;
    const char* address;
  } cases[] = {{"[192.0.2.1]", "192.0.2.1"},
               {"[IPv6:2001:db8::1]", "2001:db8::1"},
               {"[ipv6:::1]", "::1"},
               {"[2001:db8::1]", ""},
               {"[IPv6:192.0.2.1]", ""},
               {"[IPv6:]", ""},
               {"[]", ""},
               {"192.0.2.1", ""},
               {"[x:y]", ""},
               {"[192.0.2.1", ""}};
  for (const auto& c : cases) EXPECT_EQ(address_of_literal(c.domain), c.address) << c.domain;
}

}  // namespace
}  // namespace relais::smtp
