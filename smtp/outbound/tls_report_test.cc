// TLSRPT: records, counters, reports, and their way out.
#include "smtp/outbound/tls_report.h"

#include "base/encode.h"
#include "net/https.h"
#include "smtp/outbound/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include <zlib.h>
#include <nlohmann/json.hpp>

namespace relais::smtp {
namespace {

using namespace std::chrono_literals;
using net::DnsAnswer;
using net::DnsType;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using Texts = std::vector<std::string>;
using Type = ReportedPolicy::Type;

std::string gunzip(std::string_view octets) {
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  std::string in(octets);
  std::string out(1 << 20, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = static_cast<uInt>(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(stream.total_out);
  inflateEnd(&stream);
  return out;
}

TEST(TlsrptTxt, Addresses) {  // RFC 8460 §3
  const struct {
    Texts records;
    bool valid;
    Texts mail, post;
  } cases[] = {
      {{"v=TLSRPTv1;rua=mailto:reports@example.com"}, true, {"reports@example.com"}, {}},
      {{"v=TLSRPTv1; rua=https://reporting.example.com/v1/tlsrpt"}, true, {}, {"https://reporting.example.com/v1/tlsrpt"}},
      {{"v=TLSRPTv1; rua=mailto:a@x.example?subject=z , https://x.example/,mailto:b%2Bc@x.example;"},
       true,
       {"a@x.example", "b+c@x.example"},
       {"https://x.example/"}},
      {{"v=spf1 -all", "v=TLSRPTv1;rua=mailto:a@x.example"}, true, {"a@x.example"}, {}},
      {{"v=TLSRPTv1;new=field;rua=mailto:a@x.example"}, true, {"a@x.example"}, {}},
      {{"v=TLSRPTv1;rua=mailto:a@x.example", "v=TLSRPTv1;rua=mailto:a@x.example"}, false, {}, {}},
      {{}, false, {}, {}},
      {{"v=TLSRPTv1"}, false, {}, {}},
      {{"v=TLSRPTv1;"}, false, {}, {}},
      {{"v=TLSRPTv2;rua=mailto:a@x.example"}, false, {}, {}},
      {{"v=TLSRPTv1;rua=http://x.example/"}, false, {}, {}},
      {{"v=TLSRPTv1;rua=mailto:nobody"}, false, {}, {}},
      {{"v=TLSRPTv1;rua=mailto:a%0d%0aBcc:b@x.example"}, false, {}, {}},
      {{"v=TLSRPTv1;rua=mailto:a%4"}, false, {}, {}},
  };
  for (const auto& c : cases) {
    const auto to = parse_tlsrpt_txt(c.records);
    SCOPED_TRACE(c.records.empty() ? "none" : c.records.back());
    ASSERT_EQ(to.has_value(), c.valid);
    if (!to) continue;
    EXPECT_EQ(to->mail_to, c.mail);
    EXPECT_EQ(to->post_to, c.post);
  }
}

const ReportedPolicy kSts{"company-y.example",
                          Type::sts,
                          {"version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"},
                          {"*.mail.company-y.example"}};
const TlsReportHead kHead{"Company-X", "sts-reporting@company-x.example", "company-y.example", 16892};

TEST(TlsReportText, Json) {  // RFC 8460 appendix B
  TlsPolicyCounts counts;
  auto& sts = counts[kSts];
  sts.successful = 5326;
  sts.failed = 303;
  sts.failures[{TlsFailure::certificate_expired, "2001:db8:abcd:12::1", "mx1.mail.company-y.example", "", "", ""}] = 100;
  sts.failures[{TlsFailure::starttls_not_supported, "2001:db8:abcd:13::1", "mx2.mail.company-y.example", "", "203.0.113.56", ""}] = 200;
  sts.failures[{TlsFailure::validation_failure, "198.51.100.62", "mx-backup.mail.company-y.example", "helo\xff", "203.0.113.58",
                "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED"}] = 3;
  const auto report = json::parse(tls_report_json(kHead, counts));
  EXPECT_EQ(report["organization-name"], "Company-X");
  EXPECT_EQ(report["date-range"], (json{{"start-datetime", "2016-04-01T00:00:00Z"}, {"end-datetime", "2016-04-01T23:59:59Z"}}));
  EXPECT_EQ(report["contact-info"], "sts-reporting@company-x.example");
  EXPECT_EQ(report["report-id"], "2016-04-01.company-y.example@company-x.example");
  const auto& policy = report["policies"][0];
  EXPECT_EQ(policy["policy"]["policy-type"], "sts");
  EXPECT_EQ(policy["policy"]["policy-string"], json(kSts.strings));
  EXPECT_EQ(policy["policy"]["policy-domain"], "company-y.example");
  EXPECT_EQ(policy["policy"]["mx-host"], json(kSts.mx_host));
  EXPECT_EQ(policy["summary"], (json{{"total-successful-session-count", 5326}, {"total-failure-session-count", 303}}));
  ASSERT_EQ(policy["failure-details"].size(), 3U);
  EXPECT_EQ(policy["failure-details"][0], (json{{"result-type", "starttls-not-supported"},
                                                {"sending-mta-ip", "2001:db8:abcd:13::1"},
                                                {"receiving-mx-hostname", "mx2.mail.company-y.example"},
                                                {"receiving-ip", "203.0.113.56"},
                                                {"failed-session-count", 200}}));
  EXPECT_EQ(policy["failure-details"][2]["failure-reason-code"], "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED");
}

TEST(TlsReportText, PolicyTypes) {
  TlsPolicyCounts counts;
  counts[{"example.net", Type::none}].successful = 1;
  counts[{"example.net", Type::tlsa, {"3 1 1 00"}, {"mx.example.net"}}].failed = 1;
  const auto policies = json::parse(tls_report_json(kHead, counts))["policies"];
  EXPECT_EQ(policies[0]["policy"], (json{{"policy-type", "no-policy-found"}, {"policy-domain", "example.net"}}));
  EXPECT_FALSE(policies[0].contains("failure-details"));
  EXPECT_EQ(policies[1]["policy"]["policy-type"], "tlsa");
}

TEST(TlsReportText, CountsRoundTrip) {
  TlsPolicyCounts counts;
  counts[kSts].successful = 7;
  counts[kSts].failed = 2;
  counts[kSts].failures[{TlsFailure::certificate_expired, "192.0.2.1", "mx", "helo", "192.0.2.2", "why"}] = 2;
  counts[{"example.net", Type::none}].successful = 1;
  std::string text = "[";
  for (const auto& [policy, counted] : counts) text += (text.size() > 1 ? "," : "") + format_tls_counts(policy, counted);
  const auto back = parse_tls_counts(text + "]");
  ASSERT_TRUE(back) << back.error().detail;
  ASSERT_EQ(back->size(), 2U);
  EXPECT_EQ(back->at(kSts).successful, 7U);
  EXPECT_EQ(back->at(kSts).failures, counts[kSts].failures);
  for (const auto* const bad : {"", "[", "{}x", "[1]", "[{}]", R"([{"policy":{"policy-type":1}}])"})
    EXPECT_FALSE(parse_tls_counts(bad)) << bad;
}

TEST(TlsReportText, Message) {  // RFC 8460 §5.3
  const auto compressed = gzip(std::string(5000, 'x') + "y");
  EXPECT_EQ(gunzip(compressed), std::string(5000, 'x') + "y");
  const Texts to{"a@company-y.example", "b@company-y.example"};
  const auto message = tls_report_message(kHead, to, compressed, 1'459'555'200);
  EXPECT_THAT(message, testing::StartsWith(
                           "From: <sts-reporting@company-x.example>\r\n"
                           "To: <a@company-y.example>,\r\n <b@company-y.example>\r\n"
                           "Date: Sat, 2 Apr 2016 00:00:00 +0000\r\n"
                           "Message-ID: <2016-04-01.company-y.example@company-x.example>\r\n"
                           "Subject: Report Domain: company-y.example\r\n Submitter: company-x.example\r\n"
                           " Report-ID: <2016-04-01.company-y.example@company-x.example>\r\n"
                           "TLS-Report-Domain: company-y.example\r\nTLS-Report-Submitter: company-x.example\r\nTLS-Required: No\r\n"));
  EXPECT_THAT(message, HasSubstr("Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n"));
  EXPECT_THAT(message, HasSubstr(" filename=\"company-x.example!company-y.example!1459468800!1459555199!001.json.gz\"\r\n"));
  const auto begin = message.find("001.json.gz\"\r\n\r\n") + 16;
  auto base64 = message.substr(begin, message.find("--=_", begin) - begin);
  for (std::size_t at = 0; (at = base64.find("\r\n")) != std::string::npos;) base64.erase(at, 2);
  EXPECT_EQ(from_base64(base64), compressed);
  for (std::size_t at = 0; at < message.size(); at = message.find("\r\n", at) + 2) EXPECT_LT(message.find("\r\n", at) - at, 200U);
  EXPECT_EQ(std::ranges::count(message, '\n'), std::ranges::count(message, '\r'));
}

class Reports : public testing::Test, protected OutboundParts {
 protected:
  Reports() {
    dns.zone("_smtp._tls.example.net TXT \"v=TLSRPTv1;rua=mailto:reports@example.net\"");
    open();
  }
  void open(std::size_t max_policies = 50'000, std::size_t max_failures = 100) {
    reports.reset();
    auto send = [this](TlsReport report) -> net::Task<void> {
      sent.push_back(std::move(report));
      co_return answer;
    };
    TlsReportOptions options;
    options.directory = directory.path() / "tls";
    options.organization = "Us";
    options.contact = "tls@us.example";
    options.max_policies = max_policies;
    options.max_failures = max_failures;
    reports = TlsReports::open(options, dns, workers, send, clock).value();
  }
  void success(const std::string& domain = "example.net") { reports->count({domain, Type::none}, "mx." + domain, {}); }
  std::size_t tick() { return run(reports->run()); }
  json last() const { return json::parse(sent.back().json); }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory.path() / "tls")) names.push_back(entry.path().filename());
    return names;
  }

  std::vector<TlsReport> sent;
  Result<void> answer{};
  std::unique_ptr<TlsReports> reports;
};

TEST_F(Reports, ADayIsReportedAfterItsEnd) {
  success();
  success();
  TlsOutcome failed;
  failed.failure = TlsFailure::certificate_expired;
  failed.sending_address = "192.0.2.1";
  failed.receiving_address = "192.0.2.2";
  failed.receiving_hello = "mx";
  reports->count({"example.net", Type::none}, "mx.example.net", failed);
  advance(24h - 1s);
  EXPECT_EQ(tick(), 0U);
  advance(4h + 2s);
  EXPECT_EQ(tick(), 1U);
  ASSERT_EQ(sent.size(), 1U);
  const auto& report = sent.front();
  EXPECT_EQ(report.domain, "example.net");
  EXPECT_THAT(report.to.mail_to, ElementsAre("reports@example.net"));
  EXPECT_EQ(report.report_id, "2026-01-01.example.net@us.example");
  EXPECT_EQ(gunzip(report.compressed), report.json);
  EXPECT_THAT(report.message, HasSubstr("To: <reports@example.net>\r\n"));
  EXPECT_EQ(last()["policies"][0]["summary"], (json{{"total-successful-session-count", 2}, {"total-failure-session-count", 1}}));
  EXPECT_EQ(last()["policies"][0]["failure-details"][0]["receiving-mx-hostname"], "mx.example.net");
  EXPECT_EQ(tick(), 0U);
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Reports, DomainsHaveTheirOwnTimesAndDays) {
  std::string zone;
  for (int i = 0; i < 50; ++i) {
    const auto domain = "d" + std::to_string(i) + ".example";
    zone += "_smtp._tls." + domain + " TXT \"v=TLSRPTv1;rua=mailto:reports@" + domain + "\"\n";
    success(domain);
  }
  dns.zone(zone);
  advance(24h + 1h);
  const auto early = tick();
  EXPECT_GT(early, 0U);
  EXPECT_LT(early, 50U);
  success("d1.example");  // the next day's
  advance(3h + 1s);
  EXPECT_EQ(early + tick(), 50U);
  advance(24h);
  EXPECT_EQ(tick(), 1U);
  EXPECT_EQ(sent.back().report_id, "2026-01-02.d1.example@us.example");
}

TEST_F(Reports, AllPoliciesOfADomainInOneReport) {
  success();
  reports->count({"example.net", Type::sts, {"version: STSv1"}, {"*.example.net"}}, "mx.example.net", {});
  reports->count({"mx.example.net", Type::tlsa, {"3 1 1 00"}, {"mx.example.net"}}, "mx.example.net", {});
  advance(48h);
  EXPECT_EQ(tick(), 1U);
  EXPECT_EQ(last()["policies"].size(), 2U);
}

TEST_F(Reports, WhoWantsNoneGetsNone) {
  success("silent.example");
  dns.zone("_smtp._tls.odd.example TXT \"v=TLSRPTv1;rua=ftp://odd.example\"");
  success("odd.example");
  advance(48h);
  EXPECT_EQ(tick(), 0U);
  EXPECT_THAT(sent, IsEmpty());
  EXPECT_THAT(files(), IsEmpty());
}

TEST_F(Reports, TriedAgainForADay) {  // RFC 8460 §5.5
  success();
  answer = fail(Fault::temporary, "not now");
  advance(28h + 1s);
  EXPECT_EQ(tick(), 0U);
  EXPECT_EQ(sent.size(), 1U);
  EXPECT_EQ(tick(), 0U);
  EXPECT_EQ(sent.size(), 1U);  // pauses
  for (int i = 0; i < 40; ++i) {
    advance(1h);
    tick();
  }
  EXPECT_GE(sent.size(), 5U);
  EXPECT_LE(sent.size(), 15U);
  const auto attempts = sent.size();
  answer = {};
  advance(24h);
  EXPECT_EQ(tick(), 0U);
  EXPECT_EQ(sent.size(), attempts);  // given up
  for (const auto& report : sent) EXPECT_EQ(report.report_id, sent.front().report_id);
}

TEST_F(Reports, DnsTroublePostpones) {
  success();
  dns.fault("_smtp._tls.example.net", DnsType::txt, DnsAnswer::Status::failed);
  advance(28h + 1s);
  EXPECT_EQ(tick(), 0U);
  dns.repair("_smtp._tls.example.net", DnsType::txt);
  advance(15min);
  EXPECT_EQ(tick(), 1U);
}

TEST_F(Reports, ARefusalIsTheEnd) {
  success();
  answer = fail(Fault::refused, "no");
  advance(28h + 1s);
  tick();
  advance(10h);
  tick();
  EXPECT_EQ(sent.size(), 1U);
}

TEST_F(Reports, CountersSurviveARestart) {
  success();
  open();
  success();
  advance(301s);
  tick();
  EXPECT_THAT(files(), ElementsAre("day-20454"));
  open();
  advance(28h);
  open();  // the day ended while we were away
  EXPECT_EQ(tick(), 1U);
  EXPECT_EQ(last()["policies"][0]["summary"]["total-successful-session-count"], 2);
}

TEST_F(Reports, ABrokenFileIsNoReasonNotToStart) {
  success();
  reports.reset();
  EXPECT_THAT(files(), ElementsAre("day-20454"));
  std::ofstream(directory.path() / "tls" / "day-20454") << "[{";
  std::ofstream(directory.path() / "tls" / "day-x") << "[]";
  open();
  advance(48h);
  EXPECT_EQ(tick(), 0U);
}

TEST_F(Reports, RoomIsBounded) {
  open(10, 2);
  for (int i = 0; i < 100; ++i) success("d" + std::to_string(i) + ".example");
  for (int i = 0; i < 100; ++i) reports->count({"s" + std::to_string(i) + ".example", Type::sts}, "mx", {});
  ASSERT_TRUE(reports->save());
  std::ifstream in(directory.path() / "tls" / "day-20454");
  const auto kept = json::parse(in);
  EXPECT_EQ(kept.size(), 10U);
  EXPECT_EQ(std::ranges::count_if(kept, [](const json& entry) { return entry["policy"]["policy-type"] == "sts"; }), 5);

  TlsOutcome outcome;
  outcome.failure = TlsFailure::validation_failure;
  for (int i = 0; i < 10; ++i) {
    outcome.reason = std::string(1000, static_cast<char>('a' + i));
    reports->count({"s0.example", Type::sts}, "mx", outcome);
  }
  dns.zone("_smtp._tls.s0.example TXT \"v=TLSRPTv1;rua=mailto:reports@s0.example\"");
  advance(48h);
  EXPECT_EQ(tick(), 1U);
  EXPECT_EQ(last()["policies"][0]["failure-details"].size(), 2U);
  EXPECT_EQ(last()["policies"][0]["summary"]["total-failure-session-count"], 10);
  EXPECT_LT(sent.back().json.size(), 2000U);
}

TEST_F(Reports, Posted) {  // RFC 8460 §5.4
  const net::TestCertificate certificate({"reports.example.net"});
  std::atomic<int> status = 201;
  std::string heard;
  auto session = [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    heard.clear();
    while (!heard.ends_with("octets")) {
      if (!co_await connection->fill(net::in(net::kSoon), net::Awaiting::data)) co_return;
      heard += connection->buffered();
      connection->consume(connection->buffered().size());
    }
    connection->queue("HTTP/1.1 " + std::to_string(status) + " x\r\nContent-Length: 0\r\n\r\n");
    static_cast<void>(co_await connection->flush(net::in(net::kSoon)));
  };
  net::ListenerOptions listener;
  listener.implicit_tls = net::TlsContext::server({{certificate.certificate(), certificate.key()}}).value();
  net::TestServer server(session, listener);
  dns.zone("reports.example.net A 127.0.0.1");
  const net::HttpsClient client(dns, net::TlsContext::client(certificate.certificate(), true).value());
  TlsReport report;
  report.compressed = "octets";
  EXPECT_EQ(run(post_tls_report(client, report)).error().fault, Fault::refused);  // nowhere to go
  report.to.post_to = {"https://nowhere.example.net/", "https://reports.example.net:" + std::to_string(server.port()) + "/v1"};
  EXPECT_TRUE(run(post_tls_report(client, report)));
  EXPECT_THAT(heard, HasSubstr("\r\nContent-Type: application/tlsrpt+gzip\r\n"));
  status = 503;
  EXPECT_EQ(run(post_tls_report(client, report)).error().fault, Fault::temporary);
  status = 404;
  report.to.post_to.erase(report.to.post_to.begin());
  EXPECT_EQ(run(post_tls_report(client, report)).error().fault, Fault::refused);
}

}  // namespace
}  // namespace relais::smtp
