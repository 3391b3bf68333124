// The search for TLSA records: every case of RFC 7672 §2.2.
#include "smtp/outbound/dane.h"

#include "base/encode.h"
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
using Kind = DaneFinding::Kind;

const std::string kDigest(64, 'a');  // hexadecimal

TEST(Dane, UsableRecords) {
  const std::string sha256(32, 'x');
  const std::string sha512(64, 'x');
  const struct {
    net::TlsaRecord record;
    bool usable;
  } cases[] = {{{3, 1, 1, sha256}, true},  {{2, 0, 1, sha256}, true},    {{3, 0, 2, sha512}, true},   {{3, 0, 0, "der"}, true},
               {{0, 1, 1, sha256}, false},  // PKIX-TA, RFC 7672 §3.1.3
               {{1, 1, 1, sha256}, false},  // PKIX-EE
               {{4, 1, 1, sha256}, false}, {{255, 1, 1, sha256}, false}, {{3, 2, 1, sha256}, false},  {{3, 1, 3, sha256}, false},
               {{3, 1, 1, sha512}, false}, {{3, 1, 2, sha256}, false},   {{3, 1, 1, "short"}, false}, {{3, 1, 0, ""}, false}};
  for (const auto& c : cases) EXPECT_EQ(is_usable(c.record), c.usable) << to_string(c.record);
}

struct TlsaSearch : testing::Test {
  net::FakeResolver dns;
  net::LoopPool loops{1};
  TlsaSearch() { loops.start(); }
  DaneFinding find(const std::string& host, std::uint16_t port = 25) {
    auto both = [&]() -> net::asio::awaitable<DaneFinding> {
      auto addresses = co_await find_addresses(dns, host, AddressOrder::ipv6_first, 8);
      static_cast<void>(dns.take_questions());
      co_return co_await find_tlsa(dns, host, port, std::move(addresses));
    };
    return net::run_on(loops.at(0), both());
  }
};

TEST_F(TlsaSearch, SecureRecords) {
  dns.zone("mx.example A 192.0.2.1\n_25._tcp.mx.example TLSA 3 1 1 " + kDigest + "\n_25._tcp.mx.example TLSA 0 1 1 " + kDigest)
      .secure("example");
  const auto finding = find("mx.example");
  EXPECT_EQ(finding.kind, Kind::usable);
  EXPECT_EQ(finding.base_domain, "mx.example");
  EXPECT_EQ(finding.records.size(), 1U);
  EXPECT_EQ(finding.texts.size(), 2U);
  EXPECT_THAT(dns.take_questions(), ElementsAre("_25._tcp.mx.example TLSA"));
}

TEST_F(TlsaSearch, TheTlsaOfTheRightPort) {
  dns.zone("relay.example A 192.0.2.1\n_587._tcp.relay.example TLSA 3 1 1 " + kDigest).secure("example");
  EXPECT_EQ(find("relay.example", 587).kind, Kind::usable);
  EXPECT_EQ(find("relay.example", 25).kind, Kind::none);
}

TEST_F(TlsaSearch, NothingUsableMeansTlsWithoutAuthentication) {
  dns.zone("mx.example A 192.0.2.1\n_25._tcp.mx.example TLSA 1 1 1 " + kDigest).secure("example");
  EXPECT_EQ(find("mx.example").kind, Kind::unusable);
  dns.zone("bad.example A 192.0.2.1").raw("_25._tcp.bad.example", DnsType::tlsa, "x");
  EXPECT_EQ(find("bad.example").kind, Kind::unusable);
}

TEST_F(TlsaSearch, InsecureAddressesMeanNoQuestion) {  // §2.2.2
  dns.zone("mx.example A 192.0.2.1").fault("_25._tcp.mx.example", DnsType::tlsa, DnsAnswer::Status::failed);
  EXPECT_EQ(find("mx.example").kind, Kind::none);
  EXPECT_THAT(dns.take_questions(), IsEmpty());
}

TEST_F(TlsaSearch, InsecureTlsaDoesNotCount) {
  dns.zone("mx.signed A 192.0.2.1\n_25._tcp.mx.signed CNAME tlsa.unsigned\ntlsa.unsigned TLSA 3 1 1 " + kDigest).secure("signed");
  EXPECT_EQ(find("mx.signed").kind, Kind::none);
}

TEST_F(TlsaSearch, LookupErrorsMakeTheHostUnreachable) {  // §2.1.2
  dns.zone("mx.example A 192.0.2.1").secure("example");
  for (const auto status : {DnsAnswer::Status::failed, DnsAnswer::Status::bogus}) {
    dns.fault("_25._tcp.mx.example", DnsType::tlsa, status, "why");
    const auto finding = find("mx.example");
    EXPECT_EQ(finding.kind, Kind::error);
    EXPECT_THAT(finding.detail, testing::HasSubstr("why"));
  }
}

TEST_F(TlsaSearch, SecureAliasExpandedNameFirst) {  // §2.2.3
  const auto records = "mx.example CNAME host.example\nhost.example A 192.0.2.1\n_25._tcp.mx.example TLSA 3 1 1 " + kDigest + "\n";
  dns.zone(records).secure("example");
  EXPECT_EQ(find("mx.example").base_domain, "mx.example");
  EXPECT_THAT(dns.take_questions(), ElementsAre("_25._tcp.host.example TLSA", "_25._tcp.mx.example TLSA"));
  dns.zone("_25._tcp.host.example TLSA 3 1 1 " + kDigest);
  EXPECT_EQ(find("mx.example").base_domain, "host.example");
}

TEST_F(TlsaSearch, InsecureAliasOfASignedZoneCountsByItsOwnName) {  // §2.2.2 "insecure CNAME"
  dns.zone("mx.signed CNAME host.unsigned\nhost.unsigned A 192.0.2.1\n_25._tcp.mx.signed TLSA 3 1 1 " + kDigest).secure("signed");
  EXPECT_EQ(find("mx.signed").base_domain, "mx.signed");
  EXPECT_THAT(dns.take_questions(), ElementsAre("mx.signed CNAME", "_25._tcp.mx.signed TLSA"));
  dns.zone("mx.plain CNAME host.unsigned\n_25._tcp.mx.plain TLSA 3 1 1 " + kDigest);
  EXPECT_EQ(find("mx.plain").kind, Kind::none);
  dns.fault("mx.signed", DnsType::cname, DnsAnswer::Status::bogus);
  EXPECT_EQ(find("mx.signed").kind, Kind::error);
}

TEST_F(TlsaSearch, TlsaByAliasKeepsTheBaseDomain) {  // §2.2.3
  dns.zone("mx.example A 192.0.2.1\n_25._tcp.mx.example CNAME tlsa201._dane.example\ntlsa201._dane.example TLSA 2 0 1 " + kDigest)
      .secure("example");
  EXPECT_EQ(find("mx.example").base_domain, "mx.example");
}

TEST(Dane, Names) {  // §3.2.2
  EXPECT_THAT(dane_names("mx10.example.com", "exchange.example.org", "example.com"),
              ElementsAre("mx10.example.com", "exchange.example.org", "example.com"));
  EXPECT_THAT(dane_names("mx.example", "example", "example"), ElementsAre("mx.example", "example"));
  EXPECT_THAT(dane_names("mx.example", "", ""), ElementsAre("mx.example"));
}

}  // namespace
}  // namespace relais::smtp
