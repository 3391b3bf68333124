// The scripted DNS behaves as a resolver does.
#include "net/fake_resolver.h"

#include "net/dns_records.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::net {
namespace {

using Status = DnsAnswer::Status;
using testing::ElementsAre;

struct FakeDns : testing::Test {
  FakeResolver dns;
  FakeDns() {
    dns.zone(R"(
      example.net.       MX    10 MX.example.net   ; a comment
      mx.example.net     A     192.0.2.1
      alias.example.net  CNAME mx.example.net
      far.example.org    CNAME alias.example.net
      a.loop.example     CNAME b.loop.example
      b.loop.example     CNAME a.loop.example
      dangling.example   CNAME nothing.example
      t.example.net      TXT   "v=STSv1; id=1;"
    )");
    dns.secure("example.net");
  }
};

TEST_F(FakeDns, FoundWithVerdict) {
  const auto answer = dns.answer("Example.Net.", DnsType::mx);
  EXPECT_EQ(answer.status, Status::found);
  EXPECT_TRUE(answer.secure);
  EXPECT_EQ(answer.canonical_name, "example.net");
  EXPECT_EQ(parse_mx(answer.records.at(0)).value(), (MxRecord{10, "mx.example.net"}));
  EXPECT_EQ(parse_txt(dns.answer("t.example.net", DnsType::txt).records.at(0)).value(), "v=STSv1; id=1;");
}

TEST_F(FakeDns, AliasesAreFollowedAndAsSecureAsTheWeakest) {
  const auto near = dns.answer("alias.example.net", DnsType::a);
  EXPECT_EQ(near.canonical_name, "mx.example.net");
  EXPECT_TRUE(near.secure);
  const auto far = dns.answer("far.example.org", DnsType::a);
  EXPECT_EQ(far.canonical_name, "mx.example.net");
  EXPECT_FALSE(far.secure);
  EXPECT_EQ(dns.answer("alias.example.net", DnsType::cname).status, Status::found);
}

TEST_F(FakeDns, AbsenceHasTwoKinds) {
  EXPECT_EQ(dns.answer("mx.example.net", DnsType::aaaa).status, Status::no_data);
  EXPECT_EQ(dns.answer("loop.example", DnsType::a).status, Status::no_data);  // there are names below it
  EXPECT_EQ(dns.answer("nothing.example.net", DnsType::a).status, Status::no_name);
  EXPECT_TRUE(dns.answer("nothing.example.net", DnsType::a).secure);
  EXPECT_EQ(dns.answer("dangling.example", DnsType::a).status, Status::no_name);
}

TEST_F(FakeDns, LoopsFail) { EXPECT_EQ(dns.answer("a.loop.example", DnsType::a).status, Status::failed); }

TEST_F(FakeDns, FaultsComeAndGo) {
  dns.fault("mx.example.net", DnsType::a, Status::bogus, "expired");
  EXPECT_EQ(dns.answer("alias.example.net", DnsType::a).status, Status::bogus);
  EXPECT_EQ(dns.answer("alias.example.net", DnsType::a).detail, "expired");
  dns.repair("mx.example.net", DnsType::a);
  EXPECT_TRUE(dns.answer("alias.example.net", DnsType::a).found());
  EXPECT_THAT(dns.take_questions(), ElementsAre("alias.example.net A", "alias.example.net A", "alias.example.net A"));
}

}  // namespace
}  // namespace relais::net
