// How hosts of legacy platforms are found.
#include "directory/legacy_hosts.h"

#include "net/fake_resolver.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

namespace relais::directory {
namespace {

class LegacyHostsTest : public testing::Test {
 protected:
  Result<LegacyReach> find(std::string host, LegacyService::Tls tls = LegacyService::Tls::none, std::string ca_file = {}) {
    LegacyPlatform platform;
    platform.ca_file = std::move(ca_file);
    platform.pop3 = {.host = std::move(host), .port = 110, .tls = tls};
    return net::run_on(loops.at(0), hosts.find(platform, platform.pop3));
  }
  void SetUp() override { loops.start(); }

  net::FakeResolver dns;
  LegacyHosts hosts{dns};
  net::LoopPool loops{1};
};

TEST_F(LegacyHostsTest, Addresses) {
  dns.zone(
      "old.example A 192.0.2.1\nold.example A 192.0.2.2\nold.example AAAA 2001:db8::1\nsix.example AAAA 2001:db8::6\nmx.example MX 1 "
      "old.example");
  EXPECT_EQ(find("192.0.2.9")->addresses, (std::vector<std::string>{"192.0.2.9"}));
  EXPECT_EQ(find("2001:db8::9")->addresses, (std::vector<std::string>{"2001:db8::9"}));
  EXPECT_EQ(find("localhost")->addresses, (std::vector<std::string>{"127.0.0.1", "::1"}));
  EXPECT_TRUE(dns.take_questions().empty());
  EXPECT_EQ(find("old.example")->addresses, (std::vector<std::string>{"192.0.2.1", "192.0.2.2", "2001:db8::1"}));
  EXPECT_EQ(find("six.example")->addresses, (std::vector<std::string>{"2001:db8::6"}));
  for (const auto* const nobody : {"mx.example", "nobody.example"}) {
    const auto found = find(nobody);
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().fault, Fault::temporary);
  }
}

TEST_F(LegacyHostsTest, ADnsThatFailsIsATemporaryFailureUnlessOneKindIsKnown) {
  dns.zone("old.example A 192.0.2.1").fault("old.example", net::DnsType::aaaa, net::DnsAnswer::Status::failed);
  EXPECT_EQ(find("old.example")->addresses, (std::vector<std::string>{"192.0.2.1"}));
  dns.fault("old.example", net::DnsType::a, net::DnsAnswer::Status::bogus, "signature expired");
  const auto found = find("old.example");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().fault, Fault::temporary);
}

TEST_F(LegacyHostsTest, AuthoritiesAreReadWhenTheyChange) {
  net::TestCertificate certificate({"old.example"});
  EXPECT_EQ(find("192.0.2.1")->tls, nullptr);
  const auto first = find("192.0.2.1", LegacyService::Tls::implicit, certificate.certificate())->tls;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(find("192.0.2.1", LegacyService::Tls::starttls, certificate.certificate())->tls, first);
  certificate.replace({"old.example"});
  std::filesystem::last_write_time(certificate.certificate(), std::filesystem::file_time_type::clock::now() + std::chrono::hours(1));
  EXPECT_NE(find("192.0.2.1", LegacyService::Tls::implicit, certificate.certificate())->tls, first);
  const auto missing = find("192.0.2.1", LegacyService::Tls::implicit, "/nonexistent/ca.pem");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().fault, Fault::temporary);
}

}  // namespace
}  // namespace relais::directory
