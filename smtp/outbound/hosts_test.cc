// From destinations to hosts: every rule and every fault of the DNS.
#include "smtp/outbound/hosts.h"

#include "smtp/outbound/mta_sts.h"
#include "smtp/outbound/test_support.h"
#include "smtp/outbound/tls_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include <nlohmann/json.hpp>

namespace relais::smtp {
namespace {

using namespace std::chrono_literals;
using net::DnsAnswer;
using net::DnsType;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using Kind = Destination::Kind;
using Status = DnsAnswer::Status;

const std::string kDigest(64, 'a');  // hexadecimal

class Hosts : public testing::Test, protected OutboundParts {
 protected:
  Hosts() {
    options.our_names = {"us.example", "US2.example"};
    options.our_addresses = {"192.0.2.250", "2001:db8::250"};
    options.rule = [this](const Destination& destination) {
      const auto found = rules.find(to_string(destination));
      return found == rules.end() ? DestinationRule{} : found->second;
    };
  }

  Result<HostList> hosts(const std::string& destination, TlsNeed need = TlsNeed::usual) {
    Outbound outbound(dns, options, sts.get(), reports.get());
    auto list = run(outbound.hosts(parse_destination(destination).value(), need));
    if (list) EXPECT_FALSE(list->hosts.empty());
    return list;
  }
  std::vector<std::string> names(const std::string& destination, TlsNeed need = TlsNeed::usual) {
    const auto list = hosts(destination, need);
    std::vector<std::string> out;
    if (!list) return {list.error().code};
    for (const auto& host : list->hosts) out.push_back(host.name);
    return out;
  }
  TlsPolicy tls(const std::string& destination, TlsNeed need = TlsNeed::usual) {
    const auto list = hosts(destination, need);
    EXPECT_TRUE(list) << list.error().code << list.error().text;
    return list ? list->hosts.front().tls : TlsPolicy{};
  }
  Error error(const std::string& destination, TlsNeed need = TlsNeed::usual) {
    const auto list = hosts(destination, need);
    EXPECT_FALSE(list);
    return list ? Error{} : list.error();
  }

  /// The domain announces this policy.
  void policy(const std::string& domain, std::string_view mode, const std::vector<std::string>& mx) {
    std::string text = "version: STSv1\nmode: " + std::string(mode) + "\nmax_age: 604800\n";
    for (const auto& pattern : mx) text += "mx: " + pattern + "\n";
    policies["https://mta-sts." + domain + "/.well-known/mta-sts.txt"] = {200, "text/plain", text};
    dns.zone("_mta-sts." + domain + " TXT \"v=STSv1; id=1;\"");
    if (sts) return;
    auto fetch = [this](std::string url) -> net::Task<net::HttpResponse> {
      const auto found = policies.find(url);
      if (found == policies.end()) co_return fail(Fault::temporary, "cannot connect");
      co_return found->second;
    };
    StsOptions sts_options;
    sts_options.directory = directory.path() / "sts";
    sts = MtaSts::open(sts_options, dns, workers, fetch, clock).value();
  }

  void count() {
    TlsReportOptions report_options;
    report_options.directory = directory.path() / "tls";
    report_options.contact = "tls@us.example";
    auto send = [this](TlsReport report) -> net::Task<void> {
      sent.push_back(nlohmann::json::parse(report.json));
      co_return Result<void>{};
    };
    reports = TlsReports::open(report_options, dns, workers, send, clock).value();
  }
  /// What was counted about a domain.
  nlohmann::json reported(const std::string& domain) {
    dns.zone("_smtp._tls." + domain + " TXT \"v=TLSRPTv1;rua=mailto:x@" + domain + "\"");
    advance(48h);
    run(reports->run());
    for (const auto& report : sent)
      if (report["policies"][0]["policy"]["policy-domain"] == domain) return report["policies"];
    return nlohmann::json::array();
  }

  OutboundOptions options;
  std::map<std::string, DestinationRule> rules;
  std::map<std::string, net::HttpResponse> policies;
  std::vector<nlohmann::json> sent;
  std::unique_ptr<MtaSts> sts;
  std::unique_ptr<TlsReports> reports;
};

// ---- RFC 5321 §5.1

TEST_F(Hosts, ByPreferenceWithAddresses) {
  dns.zone(R"(
    example.net      MX   20 mx2.example.net
    example.net      MX   10 mx1.example.net
    mx1.example.net  A    192.0.2.1
    mx1.example.net  AAAA 2001:db8::1
    mx2.example.net  A    192.0.2.2
  )");
  const auto list = hosts("mx:example.net");
  ASSERT_TRUE(list) << list.error().text;
  ASSERT_THAT(list->hosts, SizeIs(2));
  EXPECT_EQ(list->hosts[0].name, "mx1.example.net");
  EXPECT_THAT(list->hosts[0].addresses, ElementsAre("2001:db8::1", "192.0.2.1"));
  EXPECT_EQ(list->hosts[0].port, 25);
  EXPECT_FALSE(list->hosts[0].lmtp);
  EXPECT_FALSE(list->hosts[0].auth);
  EXPECT_EQ(list->hosts[0].tls.level, TlsLevel::may);
  EXPECT_EQ(list->hosts[0].tls.server_name, "mx1.example.net");
  EXPECT_EQ(list->hosts[1].name, "mx2.example.net");
  EXPECT_FALSE(list->mx_secure);
  EXPECT_EQ(list->valid, net::FakeResolver::kTtl);
}

TEST_F(Hosts, EqualsAtRandom) {
  dns.zone("example.net MX 10 a.example.net\nexample.net MX 10 b.example.net\na.example.net A 192.0.2.1\nb.example.net A 192.0.2.2");
  std::set<std::string> first;
  for (int i = 0; i < 500 && first.size() < 2; ++i) first.insert(names("mx:example.net").front());
  EXPECT_THAT(first, SizeIs(2));
}

TEST_F(Hosts, ImplicitMx) {
  dns.zone("example.net A 192.0.2.1");
  EXPECT_THAT(names("mx:example.net"), ElementsAre("example.net"));
}

TEST_F(Hosts,
       NoImplicitMxBesideMxRecords) {  // "SMTP systems MUST NOT utilize any address RRs ... unless they are located using the MX RRs"
  dns.zone("example.net A 192.0.2.1\nexample.net MX 10 gone.example.net");
  const auto e = error("mx:example.net");
  EXPECT_EQ(e.fault, Fault::refused);
  EXPECT_EQ(e.code, "5.4.4");
}

TEST_F(Hosts, NullMx) {  // RFC 7505
  dns.zone("example.net MX 0 .\nexample.net A 192.0.2.1");
  const auto e = error("mx:example.net");
  EXPECT_EQ(e.fault, Fault::refused);
  EXPECT_EQ(e.code, "5.1.10");
}

TEST_F(Hosts, Aliases) {
  dns.zone(
      "alias.example CNAME example.net\nexample.net MX 10 mx.example.net\nmx.example.net CNAME host.example.net\nhost.example.net A "
      "192.0.2.1");
  const auto list = hosts("mx:alias.example");
  ASSERT_TRUE(list);
  EXPECT_EQ(list->hosts.front().name, "mx.example.net");  // as the record names it: RFC 7672 §2.2.1 wants that logged
  EXPECT_THAT(list->hosts.front().addresses, ElementsAre("192.0.2.1"));
}

TEST_F(Hosts, FaultsOfTheDns) {
  dns.zone(R"(
    loop.example      CNAME loop2.example
    loop2.example     CNAME loop.example
    dangling.example  CNAME nothing.example.org
    empty.example     TXT   "nothing but this"
    mxloop.example    MX    10 loop.example
    a.example         MX    10 mx.a.example
    broken.example    A     192.0.2.1
    odd.example       MX    10 a\032b.example
  )");
  dns.fault("servfail.example", DnsType::mx, Status::failed, "SERVFAIL");
  dns.fault("timeout.example", DnsType::mx, Status::failed, "no answer in time");
  dns.fault("bogus.example", DnsType::mx, Status::bogus, "signature expired");
  dns.fault("mx.a.example", DnsType::a, Status::failed).fault("mx.a.example", DnsType::aaaa, Status::no_data);
  dns.raw("broken.example", DnsType::mx, "\x01");
  const struct {
    const char* domain;
    Fault fault;
    const char* code;
  } cases[] = {
      {"nothing.example", Fault::refused, "5.1.2"},   {"dangling.example", Fault::refused, "5.1.2"},
      {"empty.example", Fault::refused, "5.4.4"},     {"loop.example", Fault::temporary, "4.4.3"},
      {"mxloop.example", Fault::temporary, "4.4.3"},  {"servfail.example", Fault::temporary, "4.4.3"},
      {"timeout.example", Fault::temporary, "4.4.3"}, {"bogus.example", Fault::temporary, "4.4.3"},
      {"a.example", Fault::temporary, "4.4.3"},       {"broken.example", Fault::refused, "5.4.4"},
      {"odd.example", Fault::refused, "5.4.4"},       {"bad..name", Fault::refused, "5.1.2"},
  };
  for (const auto& c : cases) {
    const auto e = error("mx:" + std::string(c.domain));
    EXPECT_EQ(e.fault, c.fault) << c.domain;
    EXPECT_EQ(e.code, c.code) << c.domain << " " << e.text;
    EXPECT_NE(e.text, "");
  }
}

TEST_F(Hosts, OneHostThatAnswersIsEnough) {
  dns.zone("example.net MX 10 a.example.net\nexample.net MX 20 b.example.net\nexample.net MX 30 c.example.net\nc.example.net A 192.0.2.3");
  dns.fault("a.example.net", DnsType::a, Status::failed);
  EXPECT_THAT(names("mx:example.net"), ElementsAre("c.example.net"));
}

TEST_F(Hosts, TwoHundredMxRecords) {
  std::string zone;
  for (int i = 0; i < 200; ++i) {
    const auto host = "mx" + std::to_string(i) + ".example.net";
    zone += "example.net MX " + std::to_string(1000 - i) + " " + host + "\n" + host + " A 192.0.2.1\n";
  }
  dns.zone(zone);
  const auto list = hosts("mx:example.net");
  ASSERT_TRUE(list);
  EXPECT_THAT(list->hosts, SizeIs(options.max_hosts));
  EXPECT_EQ(list->hosts.front().name, "mx199.example.net");
  EXPECT_LE(dns.take_questions().size(), 1 + 3 * options.max_hosts);
}

TEST_F(Hosts, OurselvesByName) {
  dns.zone(R"(
    example.net MX 5  better.example.net
    example.net MX 10 US2.Example
    example.net MX 10 equal.example.net
    example.net MX 20 worse.example.net
    better.example.net A 192.0.2.1
    equal.example.net  A 192.0.2.2
    worse.example.net  A 192.0.2.3
  )");
  EXPECT_THAT(names("mx:example.net"), ElementsAre("better.example.net"));
  dns.zone("best.example MX 1 us.example\nbest.example MX 2 better.example.net");
  const auto e = error("mx:best.example");
  EXPECT_EQ(e.fault, Fault::refused);
  EXPECT_EQ(e.code, "5.4.6");
}

TEST_F(Hosts, OurselvesBeyondTheLimitOfHosts) {
  options.max_hosts = 2;
  dns.zone("example.net MX 1 a.example\nexample.net MX 2 b.example\nexample.net MX 3 us.example\nexample.net MX 4 c.example");
  dns.zone("a.example A 192.0.2.1\nb.example A 192.0.2.2\nc.example A 192.0.2.3");
  EXPECT_THAT(names("mx:example.net"), ElementsAre("a.example", "b.example"));
}

TEST_F(Hosts, OurselvesByAddress) {
  dns.zone("example.net MX 5 better.example.net\nexample.net MX 10 disguise.example.net\nexample.net MX 20 worse.example.net");
  dns.zone("better.example.net A 192.0.2.1\ndisguise.example.net AAAA 2001:db8::250\nworse.example.net A 192.0.2.3");
  EXPECT_THAT(names("mx:example.net"), ElementsAre("better.example.net"));
  dns.zone("alone.example A 192.0.2.250");
  EXPECT_EQ(error("mx:alone.example").code, "5.4.6");
}

TEST_F(Hosts, NobodysHostIsAtLoopback) {
  dns.zone(
      "example.net MX 10 a.example.net\nexample.net MX 20 b.example.net\na.example.net A 127.0.0.1\na.example.net A 0.0.0.0\nb.example.net "
      "A 192.0.2.1");
  EXPECT_THAT(names("mx:example.net"), ElementsAre("b.example.net"));
  dns.zone("local.example A 127.0.0.1");
  EXPECT_EQ(error("mx:local.example").code, "5.4.4");
  options.local_mx = true;
  EXPECT_THAT(names("mx:local.example"), ElementsAre("local.example"));
}

TEST_F(Hosts, AddressLiterals) {
  const auto list = hosts("mx:[IPv6:2001:db8::1]");
  ASSERT_TRUE(list);
  EXPECT_THAT(list->hosts.front().addresses, ElementsAre("2001:db8::1"));
  EXPECT_EQ(list->hosts.front().tls.server_name, "");  // RFC 6066 §3
  EXPECT_THAT(dns.take_questions(), IsEmpty());
  EXPECT_EQ(error("mx:[127.0.0.1]").code, "5.4.4");
  EXPECT_EQ(error("mx:[192.0.2.250]").code, "5.4.6");
  EXPECT_EQ(error("mx:[x-tag:y]").code, "5.1.2");
}

TEST_F(Hosts, AddressFamilies) {  // RFC 5321 §5.2
  dns.zone("example.net MX 10 mx.example.net\nmx.example.net A 192.0.2.1\nmx.example.net AAAA 2001:db8::1\nsix.example AAAA 2001:db8::6");
  options.addresses = AddressOrder::ipv4_first;
  EXPECT_THAT(hosts("mx:example.net")->hosts.front().addresses, ElementsAre("192.0.2.1", "2001:db8::1"));
  options.addresses = AddressOrder::ipv4_only;
  EXPECT_THAT(hosts("mx:example.net")->hosts.front().addresses, ElementsAre("192.0.2.1"));
  EXPECT_EQ(error("mx:six.example").code, "5.4.4");
}

TEST_F(Hosts, TheShortestTtlIsHowLongItMayBeKept) {
  dns.zone("example.net MX 10 a.example.net\nexample.net MX 20 b.example.net\na.example.net A 192.0.2.1\nb.example.net A 192.0.2.2");
  dns.ttl("b.example.net", DnsType::a, 17s);
  EXPECT_EQ(hosts("mx:example.net")->valid, 17s);
  dns.ttl("b.example.net", DnsType::a, 0s);
  EXPECT_EQ(hosts("mx:example.net")->valid, 1s);
}

// ---- fixed next hops

TEST_F(Hosts, FixedNextHops) {
  dns.zone("relay.example A 192.0.2.1");
  const auto smtp = hosts("smtp:relay.example:587");
  ASSERT_TRUE(smtp);
  EXPECT_EQ(smtp->hosts.front().port, 587);
  EXPECT_FALSE(smtp->hosts.front().lmtp);
  const auto lmtp = hosts("lmtp:127.0.0.1:24");  // ours, so loopback is meant
  ASSERT_TRUE(lmtp);
  EXPECT_TRUE(lmtp->hosts.front().lmtp);
  EXPECT_THAT(lmtp->hosts.front().addresses, ElementsAre("127.0.0.1"));
  EXPECT_THAT(hosts("smtp:[2001:db8::1]:25")->hosts.front().addresses, ElementsAre("2001:db8::1"));
}

TEST_F(Hosts, ASlipInARouteCostsNoMail) {
  EXPECT_EQ(error("smtp:typo.example:25").fault, Fault::temporary);
  EXPECT_EQ(error("smtp:typo.example:25").code, "4.4.4");
  dns.fault("relay.example", DnsType::a, Status::failed).fault("relay.example", DnsType::aaaa, Status::failed);
  EXPECT_EQ(error("smtp:relay.example:25").code, "4.4.3");
}

TEST_F(Hosts, CredentialsGoToWhomTheyAreFor) {
  dns.zone("relay.example A 192.0.2.1\nexample.net A 192.0.2.2");
  rules["smtp:relay.example:587"].auth = Credentials{"us", "secret"};
  const auto list = hosts("smtp:relay.example:587");
  EXPECT_EQ(list->hosts.front().auth->user, "us");
  EXPECT_EQ(list->hosts.front().tls.level, TlsLevel::verify);
  EXPECT_THAT(list->hosts.front().tls.names, ElementsAre("relay.example"));
  rules["smtp:relay.example:587"].tls = TlsLevel::encrypt;
  EXPECT_EQ(tls("smtp:relay.example:587").level, TlsLevel::encrypt);
  rules["smtp:127.0.0.1:2525"].auth = Credentials{"us", "secret"};
  EXPECT_EQ(tls("smtp:127.0.0.1:2525").level, TlsLevel::may);
  rules["mx:example.net"].auth = Credentials{"us", "secret"};
  EXPECT_FALSE(hosts("mx:example.net")->hosts.front().auth);
}

TEST_F(Hosts, ARuleThatIsGivenReplacesThatOfTheAddress) {
  dns.zone("relay.example A 192.0.2.1");
  rules["smtp:relay.example:587"] = {.tls = TlsLevel::none, .auth = Credentials{"us", "secret"}};
  Outbound outbound(dns, options, sts.get(), reports.get());
  const auto list = run(outbound.hosts(parse_destination("smtp:relay.example:587").value(), TlsNeed::usual,
                                       DestinationRule{.tls = TlsLevel::verify, .implicit_tls = true}));
  ASSERT_TRUE(list);
  const auto& host = list->hosts.front();
  EXPECT_EQ(host.tls.level, TlsLevel::verify);
  EXPECT_TRUE(host.implicit_tls);
  EXPECT_FALSE(host.auth);
}

TEST_F(Hosts, DestinationsWithoutHosts) {
  for (const std::string& destination : std::vector<std::string>{"local", "account:17", "legacy:old"})
    EXPECT_EQ(error(destination).fault, Fault::refused);
}

// ---- configured TLS levels

TEST_F(Hosts, ConfiguredLevelsAreFinal) {
  dns.zone("example.net MX 10 mx.example.net\nmx.example.net A 192.0.2.1\n_25._tcp.mx.example.net TLSA 3 1 1 " + kDigest)
      .secure("example.net");
  policy("example.net", "enforce", {"other.example.net"});
  for (const auto level : {TlsLevel::none, TlsLevel::may, TlsLevel::encrypt, TlsLevel::verify}) {
    rules["mx:example.net"].tls = level;
    EXPECT_EQ(tls("mx:example.net").level, level);
    EXPECT_FALSE(tls("mx:example.net").reported);
  }
  EXPECT_THAT(tls("mx:example.net").names, ElementsAre("mx.example.net"));
}

// ---- DANE

class DaneHosts : public Hosts {
 protected:
  DaneHosts() { dns.zone("example.net MX 10 mx.example.net\nmx.example.net A 192.0.2.1\n").secure("example.net"); }
  void tlsa(const std::string& data) { dns.zone("_25._tcp.mx.example.net TLSA " + data); }
};

TEST_F(DaneHosts, SecureRecordsMakeIt) {
  tlsa("3 1 1 " + kDigest);
  const auto list = hosts("mx:example.net");
  EXPECT_TRUE(list->mx_secure);
  const auto policy = list->hosts.front().tls;
  EXPECT_EQ(policy.level, TlsLevel::dane);
  EXPECT_THAT(policy.tlsa, SizeIs(1));
  EXPECT_EQ(policy.server_name, "mx.example.net");
  EXPECT_THAT(policy.names, ElementsAre("mx.example.net", "example.net"));  // RFC 7672 §3.2.2
  EXPECT_EQ(policy.reported->type, ReportedPolicy::Type::tlsa);
  EXPECT_EQ(policy.reported->domain, "mx.example.net");  // RFC 8460 §1.1: the TLSA base domain
  options.dane = false;
  EXPECT_EQ(tls("mx:example.net").level, TlsLevel::may);
}

TEST_F(DaneHosts, NamesOfAliases) {
  tlsa("2 0 1 " + kDigest);
  dns.zone("alias.example.net CNAME example.net");
  EXPECT_THAT(tls("mx:alias.example.net").names, ElementsAre("mx.example.net", "alias.example.net", "example.net"));
}

TEST_F(DaneHosts, WithNamesFromAnInsecureMxTheHostsOwnNameIsTheOnlyOne) {
  tlsa("2 0 1 " + kDigest);
  dns.zone("hosted.example MX 10 mx.example.net");
  const auto list = hosts("mx:hosted.example");
  EXPECT_FALSE(list->mx_secure);
  EXPECT_EQ(list->hosts.front().tls.level, TlsLevel::dane);
  EXPECT_THAT(list->hosts.front().tls.names, ElementsAre("mx.example.net"));
}

TEST_F(DaneHosts, UnusableRecordsMeanTlsWithoutAuthentication) {
  tlsa("0 0 1 " + kDigest);
  count();
  EXPECT_EQ(tls("mx:example.net").level, TlsLevel::encrypt);
  EXPECT_EQ(reported("mx.example.net")[0]["failure-details"][0]["result-type"], "tlsa-invalid");
}

TEST_F(DaneHosts, AnErrorMakesTheHostUnreachable) {
  dns.zone("example.net MX 20 mx2.example.net\nmx2.example.net A 192.0.2.2");
  dns.fault("_25._tcp.mx.example.net", DnsType::tlsa, Status::bogus);
  count();
  EXPECT_THAT(names("mx:example.net"), ElementsAre("mx2.example.net"));
  dns.fault("_25._tcp.mx2.example.net", DnsType::tlsa, Status::failed);
  EXPECT_EQ(error("mx:example.net").fault, Fault::temporary);
  EXPECT_EQ(error("mx:example.net").code, "4.4.3");
  EXPECT_EQ(reported("mx.example.net")[0]["failure-details"][0]["result-type"], "dnssec-invalid");
}

TEST_F(DaneHosts, PreferenceComesBeforeSecurity) {  // RFC 7672 §2.2.1
  dns.zone("example.net MX 5 plain.example.net\nplain.example.net A 192.0.2.5");
  tlsa("3 1 1 " + kDigest);
  const auto list = hosts("mx:example.net");
  EXPECT_EQ(list->hosts.at(0).tls.level, TlsLevel::may);
  EXPECT_EQ(list->hosts.at(1).tls.level, TlsLevel::dane);
}

TEST_F(DaneHosts, OfAFixedNextHopAtItsPort) {
  dns.zone("relay.example.net A 192.0.2.9\n_587._tcp.relay.example.net TLSA 3 1 1 " + kDigest);
  EXPECT_EQ(tls("smtp:relay.example.net:587").level, TlsLevel::dane);
  EXPECT_EQ(tls("smtp:relay.example.net:25").level, TlsLevel::may);
  EXPECT_EQ(tls("lmtp:relay.example.net:587").level, TlsLevel::may);
}

TEST_F(DaneHosts, UnusableRecordsNeverLowerALevel) {
  dns.zone("relay.example.net A 192.0.2.9\n_587._tcp.relay.example.net TLSA 0 1 1 " + kDigest);
  rules["smtp:relay.example.net:587"].auth = Credentials{"us", "secret"};
  EXPECT_EQ(tls("smtp:relay.example.net:587").level, TlsLevel::verify);
}

// ---- MTA-STS

class StsHosts : public Hosts {
 protected:
  StsHosts() {
    dns.zone(
        "example.net MX 10 mx.example.net\nexample.net MX 20 other.example.org\nmx.example.net A 192.0.2.1\nother.example.org A 192.0.2.2");
  }
};

TEST_F(StsHosts, Enforce) {  // RFC 8461 §5
  policy("example.net", "enforce", {"*.example.net"});
  count();
  const auto list = hosts("mx:example.net");
  ASSERT_THAT(list->hosts, SizeIs(1));
  const auto& tls = list->hosts.front().tls;
  EXPECT_EQ(tls.level, TlsLevel::verify);
  EXPECT_FALSE(tls.testing);
  EXPECT_THAT(tls.names, ElementsAre("mx.example.net"));
  EXPECT_EQ(tls.server_name, "mx.example.net");
  EXPECT_EQ(tls.reported->type, ReportedPolicy::Type::sts);
  EXPECT_THAT(tls.reported->mx_host, ElementsAre("*.example.net"));
  const auto told = reported("example.net");
  EXPECT_EQ(told[0]["failure-details"][0]["result-type"], "validation-failure");
  EXPECT_EQ(told[0]["failure-details"][0]["receiving-mx-hostname"], "other.example.org");
}

TEST_F(StsHosts, NoHostFits) {
  policy("example.net", "enforce", {"*.example.com"});
  const auto e = error("mx:example.net");
  EXPECT_EQ(e.fault, Fault::temporary);  // RFC 8461 §5: transient, a new policy may come
  EXPECT_EQ(e.code, "4.7.5");
}

TEST_F(StsHosts, Testing) {
  policy("example.net", "testing", {"*.example.net"});
  const auto list = hosts("mx:example.net");
  ASSERT_THAT(list->hosts, SizeIs(2));
  EXPECT_EQ(list->hosts[0].tls.level, TlsLevel::verify);
  EXPECT_TRUE(list->hosts[0].tls.testing);
  EXPECT_EQ(list->hosts[1].tls.level, TlsLevel::may);
}

TEST_F(StsHosts, ModeNoneAndNoPolicyAtAll) {
  policy("example.net", "none", {"x.example"});
  const auto policy_found = tls("mx:example.net");
  EXPECT_EQ(policy_found.level, TlsLevel::may);
  EXPECT_EQ(policy_found.reported->type, ReportedPolicy::Type::none);
  EXPECT_EQ(policy_found.reported->domain, "example.net");
}

TEST_F(StsHosts, ThePolicyIsThatOfTheRecipientsDomain) {  // RFC 8461 §3.4
  policy("example.net", "enforce", {"*.example.net"});
  dns.zone("sub.example.net MX 10 mx.example.net\nalias.example CNAME example.net");
  EXPECT_EQ(tls("mx:sub.example.net").level, TlsLevel::may);
  EXPECT_EQ(tls("mx:alias.example").level, TlsLevel::may);
}

TEST_F(StsHosts, NeverInPlaceOfDane) {  // RFC 8461 §2
  policy("example.net", "enforce", {"*.example.net"});
  dns.zone("_25._tcp.mx.example.net TLSA 3 1 1 " + kDigest).secure("example.net");
  EXPECT_EQ(tls("mx:example.net").level, TlsLevel::dane);
  dns.fault("_25._tcp.mx.example.net", DnsType::tlsa, Status::bogus);
  EXPECT_EQ(error("mx:example.net").fault, Fault::temporary);
}

TEST_F(StsHosts, UnusableTlsaLeavesItToThePolicy) {
  policy("example.net", "enforce", {"*.example.net"});
  dns.zone("_25._tcp.mx.example.net TLSA 1 1 1 " + kDigest).secure("example.net");
  EXPECT_EQ(tls("mx:example.net").level, TlsLevel::verify);
}

TEST_F(StsHosts, FetchFailuresAreTold) {
  policy("example.net", "enforce", {"*.example.net"});
  policies.clear();
  count();
  EXPECT_EQ(tls("mx:example.net").level, TlsLevel::may);
  const auto told = reported("example.net");
  EXPECT_EQ(told[0]["policy"]["policy-type"], "sts");
  EXPECT_EQ(told[0]["failure-details"][0]["result-type"], "sts-policy-fetch-error");
}

TEST_F(StsHosts, OfASmartHost) {  // RFC 8461 §3.4
  policy("mx.example.net", "enforce", {"mx.example.net"});
  EXPECT_EQ(tls("smtp:mx.example.net:25").level, TlsLevel::verify);
  options.mta_sts = false;
  EXPECT_EQ(tls("smtp:mx.example.net:25").level, TlsLevel::may);
}

// ---- REQUIRETLS, RFC 8689

TEST_F(StsHosts, RequireTlsNeedsSomethingThatVouchesForTheName) {  // §4.2.1 step 2
  const auto e = error("mx:example.net", TlsNeed::required);
  EXPECT_EQ(e.fault, Fault::refused);
  EXPECT_EQ(e.code, "5.7.10");
  policy("example.net", "testing", {"*.example.net"});
  const auto list = hosts("mx:example.net", TlsNeed::required);
  ASSERT_THAT(list->hosts, SizeIs(1));
  EXPECT_EQ(list->hosts.front().tls.level, TlsLevel::verify);
  EXPECT_FALSE(list->hosts.front().tls.testing);
  EXPECT_TRUE(list->hosts.front().tls.require_tls);
}

TEST_F(StsHosts, RequireTlsWithSecureMx) {
  dns.secure("example.net");
  const auto list = hosts("mx:example.net", TlsNeed::required);
  ASSERT_THAT(list->hosts, SizeIs(2));
  for (const auto& host : list->hosts) {
    EXPECT_EQ(host.tls.level, TlsLevel::verify);
    EXPECT_THAT(host.tls.names, ElementsAre(host.name));
  }
  dns.zone("_25._tcp.mx.example.net TLSA 3 1 1 " + kDigest);
  EXPECT_EQ(tls("mx:example.net", TlsNeed::required).level, TlsLevel::dane);
  EXPECT_FALSE(tls("mx:example.net").require_tls);
}

TEST_F(StsHosts, RequireTlsWaitsForAPolicyThatCannotBeFetchedNow) {
  policy("example.net", "enforce", {"*.example.net"});
  policies.clear();
  const auto e = error("mx:example.net", TlsNeed::required);
  EXPECT_EQ(e.fault, Fault::temporary);
  EXPECT_EQ(e.code, "4.7.5");
}

TEST_F(StsHosts, RequireTlsIsStrongerThanAConfiguredLevel) {
  dns.secure("example.net");
  rules["mx:example.net"].tls = TlsLevel::none;
  EXPECT_EQ(tls("mx:example.net", TlsNeed::required).level, TlsLevel::verify);
}

TEST_F(Hosts, RequireTlsAtFixedNextHops) {
  dns.zone("relay.example A 192.0.2.1");
  EXPECT_EQ(tls("smtp:relay.example:25", TlsNeed::required).level, TlsLevel::verify);
  EXPECT_TRUE(tls("smtp:relay.example:25", TlsNeed::required).require_tls);
  EXPECT_FALSE(tls("lmtp:127.0.0.1:24", TlsNeed::required).require_tls);
  EXPECT_EQ(tls("lmtp:relay.example:24", TlsNeed::required).level, TlsLevel::verify);
}

TEST_F(StsHosts, OptionalTlsLetsEveryHostBeTried) {  // §4.2.2
  policy("example.net", "enforce", {"mx.example.net"});
  const auto list = hosts("mx:example.net", TlsNeed::optional);
  ASSERT_THAT(list->hosts, SizeIs(2));
  EXPECT_TRUE(list->hosts[0].tls.optional);
  EXPECT_FALSE(list->hosts[0].tls.reported);  // RFC 8460 §3
  dns.secure("example.net").fault("_25._tcp.mx.example.net", DnsType::tlsa, Status::bogus);
  EXPECT_THAT(names("mx:example.net", TlsNeed::optional), ElementsAre("mx.example.net", "other.example.org"));
  rules["mx:example.net"].tls = TlsLevel::encrypt;  // the administrator's own word stands
  EXPECT_FALSE(tls("mx:example.net", TlsNeed::optional).optional);
}

// ---- TLSRPT

TEST_F(StsHosts, SessionsAreCountedUnderTheirPolicy) {
  policy("example.net", "enforce", {"*.example.net"});
  count();
  Outbound outbound(dns, options, sts.get(), reports.get());
  const auto list = run(outbound.hosts({Kind::mx, "example.net", 0}, TlsNeed::usual)).value();
  outbound.report(list.hosts.front(), {});
  TlsOutcome outcome;
  outcome.failure = TlsFailure::certificate_host_mismatch;
  outcome.receiving_address = "192.0.2.1";
  outbound.report(list.hosts.front(), outcome);
  const auto told = reported("example.net");
  EXPECT_EQ(told[0]["policy"]["policy-type"], "sts");
  EXPECT_EQ(told[0]["summary"]["total-successful-session-count"], 1);
  EXPECT_EQ(told[0]["summary"]["total-failure-session-count"], 2);  // and the host that is not in the policy
}

}  // namespace
}  // namespace relais::smtp
