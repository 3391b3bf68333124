// MTA-STS: discovery, keeping, refreshing; a policy host that fails in every way.
#include "smtp/outbound/mta_sts.h"

#include "smtp/outbound/sts_store.h"
#include "smtp/outbound/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <future>
#include <optional>

namespace relais::smtp {
namespace {

using namespace std::chrono_literals;
using net::DnsAnswer;
using net::DnsType;
using net::HttpResponse;
using testing::ElementsAre;
using testing::HasSubstr;
using Mode = StsPolicy::Mode;

constexpr std::string_view kUrl = "https://mta-sts.example.net/.well-known/mta-sts.txt";

HttpResponse policy_response(std::string_view mode = "enforce", std::string_view max_age = "604800") {
  return {200, "text/plain", "version: STSv1\nmode: " + std::string(mode) + "\nmx: *.example.net\nmax_age: " + std::string(max_age) + "\n"};
}

class Sts : public testing::Test, protected OutboundParts {
 protected:
  Sts() {
    announce("1");
    response = policy_response();
    open();
  }

  void open() {
    sts.reset();
    auto fetch = [this](std::string url) -> net::Task<HttpResponse> {
      ++fetches;
      last_url = url;
      if (gate) {
        gate_reached.set_value();
        auto wait = [this] { return gate->get(); };
        auto waited = [wait]() -> Result<void> {
          wait();
          return {};
        };
        static_cast<void>(co_await workers.run(waited));
      }
      co_return response;
    };
    StsOptions options;
    options.directory = directory.path() / "sts";
    options.max_policies = 3;
    sts = MtaSts::open(options, dns, workers, fetch, clock).value();
  }

  void announce(const std::string& id, const std::string& domain = "example.net") {
    dns.remove("_mta-sts." + domain, DnsType::txt).zone("_mta-sts." + domain + " TXT \"v=STSv1; id=" + id + ";\"");
  }
  void withdraw() { dns.remove("_mta-sts.example.net", DnsType::txt); }
  StsFinding find(const std::string& domain = "example.net") { return run(sts->find(domain)); }

  Result<HttpResponse> response;
  std::atomic<int> fetches = 0;
  std::string last_url;
  std::optional<std::shared_future<void>> gate;
  std::promise<void> gate_reached;
  std::unique_ptr<MtaSts> sts;
};

TEST_F(Sts, DiscoveredFetchedKept) {
  const auto finding = find();
  ASSERT_TRUE(finding.policy);
  EXPECT_EQ(finding.policy->mode, Mode::enforce);
  EXPECT_EQ(finding.policy->id, "1");
  EXPECT_EQ(finding.failure, TlsFailure::none);
  EXPECT_EQ(last_url, kUrl);
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(fetches, 1);  // kept
}

TEST_F(Sts, NoRecordMeansNoFetch) {
  withdraw();
  EXPECT_FALSE(find().policy);
  EXPECT_FALSE(find("other.example").policy);
  EXPECT_FALSE(find("[192.0.2.1]").policy);  // RFC 8461 §3.4
  EXPECT_EQ(fetches, 0);
}

TEST_F(Sts, DnsTroubleWithoutAPolicyIsNoPolicy) {
  dns.fault("_mta-sts.example.net", DnsType::txt, DnsAnswer::Status::failed);
  EXPECT_FALSE(find().policy);
}

TEST_F(Sts, TwoRecordsAreNone) {
  dns.zone("_mta-sts.example.net TXT \"v=STSv1; id=2;\"");
  EXPECT_FALSE(find().policy);
  EXPECT_EQ(fetches, 0);
}

TEST_F(Sts, ANewIdFetchesAgain) {
  find();
  announce("2");
  response = policy_response("testing");
  EXPECT_EQ(find().policy->mode, Mode::testing);
  EXPECT_EQ(fetches, 2);
}

TEST_F(Sts, ModeNoneIsNoPolicy) {
  find();
  announce("2");
  response = HttpResponse{200, "text/plain", "version: STSv1\nmode: none\nmax_age: 86400\n"};
  const auto finding = find();
  EXPECT_FALSE(finding.policy);
  EXPECT_EQ(finding.failure, TlsFailure::none);
  EXPECT_EQ(sts->size(), 1U);  // kept, so that it stays in force
  find();
  EXPECT_EQ(fetches, 2);
}

TEST_F(Sts, FetchFailures) {
  const auto ok = policy_response();
  auto with = [&](int status, std::string type, std::string body) {
    return Result<HttpResponse>(HttpResponse{status, std::move(type), std::move(body)});
  };
  const struct {
    const char* name;
    Result<HttpResponse> response;
    TlsFailure failure;
  } cases[] = {
      {"no connection", fail(Fault::temporary, "cannot connect"), TlsFailure::sts_policy_fetch_error},
      {"too large", fail(Fault::refused, "too much", "size"), TlsFailure::sts_policy_fetch_error},
      {"wrong certificate", fail(Fault::refused, "certificate", "tls"), TlsFailure::sts_webpki_invalid},
      {"404", with(404, "text/plain", ok.body), TlsFailure::sts_policy_fetch_error},
      {"redirect", with(301, "text/plain", ok.body), TlsFailure::sts_policy_fetch_error},  // RFC 8461 §3.3
      {"201", with(201, "text/plain", ok.body), TlsFailure::sts_policy_fetch_error},
      {"HTML", with(200, "text/html", ok.body), TlsFailure::sts_policy_invalid},
      {"no type", with(200, "", ok.body), TlsFailure::sts_policy_invalid},
      {"malformed", with(200, "text/plain", "version: STSv1\n"), TlsFailure::sts_policy_invalid},
  };
  int id = 100;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    response = c.response;
    announce(std::to_string(++id));
    const auto finding = find();
    EXPECT_FALSE(finding.policy);
    EXPECT_EQ(finding.failure, c.failure);
    EXPECT_NE(finding.reason, "");
  }
}

TEST_F(Sts, AFailedFetchLeavesWhatIsKept) {  // RFC 8461 §3.3
  find();
  announce("2");
  response = fail(Fault::temporary, "cannot connect");
  const auto finding = find();
  ASSERT_TRUE(finding.policy);
  EXPECT_EQ(finding.policy->id, "1");
  EXPECT_EQ(finding.failure, TlsFailure::sts_policy_fetch_error);
}

TEST_F(Sts, FailedFetchesPausePerId) {  // RFC 8461 §3.3: five minutes or longer per version ID
  response = fail(Fault::temporary, "cannot connect");
  find();
  EXPECT_EQ(find().failure, TlsFailure::sts_policy_fetch_error);
  advance(299s);
  find();
  EXPECT_EQ(fetches, 1);
  announce("2");
  find();
  EXPECT_EQ(fetches, 2);
  advance(300s);
  response = policy_response();
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(fetches, 3);
}

TEST_F(Sts, AKeptPolicyOutlivesItsRecordUntilItExpires) {  // RFC 8461 §3.1
  find();
  withdraw();
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(find().failure, TlsFailure::sts_policy_fetch_error);  // §6: to be reported
  dns.fault("_mta-sts.example.net", DnsType::txt, DnsAnswer::Status::bogus);
  EXPECT_TRUE(find().policy);
  advance(604'799s);
  EXPECT_TRUE(find().policy);
  advance(1s);
  EXPECT_FALSE(find().policy);
}

TEST_F(Sts, AnExpiredPolicyIsFetchedAgain) {
  find();
  advance(604'800s);
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(fetches, 2);
}

TEST_F(Sts, ARestartForgetsNothing) {
  find();
  open();
  EXPECT_EQ(sts->size(), 1U);
  withdraw();
  response = fail(Fault::temporary, "cannot connect");
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(fetches, 1);
  advance(604'800s);
  open();
  EXPECT_EQ(sts->size(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path() / "sts"));
}

TEST_F(Sts, WhatACrashOrAHandLeftIsCleared) {
  find();
  const auto files = directory.path() / "sts";
  std::ofstream(files / ".new-abcdef") << "half";
  std::ofstream(files / "broken.example") << "relais-sts 1\nid: ";
  open();
  EXPECT_EQ(sts->size(), 1U);
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(files)) names.push_back(entry.path().filename());
  EXPECT_THAT(names, ElementsAre("example.net"));
}

TEST_F(Sts, RefreshWithoutWaitingForTheRecord) {  // RFC 8461 §10.2
  find();
  withdraw();
  advance(24h - 1s);
  EXPECT_EQ(run(sts->refresh()), 0U);
  advance(1s);
  response = policy_response("enforce", "31557600");
  EXPECT_EQ(run(sts->refresh()), 1U);
  advance(604'800s);
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(run(sts->refresh()), 1U);
  EXPECT_EQ(fetches, 3);
}

TEST_F(Sts, RefreshThatFailsKeepsThePolicyAndTriesAgain) {
  find();
  advance(24h);
  response = fail(Fault::temporary, "cannot connect");
  EXPECT_EQ(run(sts->refresh()), 0U);
  EXPECT_TRUE(find().policy);
  EXPECT_EQ(run(sts->refresh()), 0U);
  EXPECT_EQ(fetches, 3);
  advance(604'800s);
  run(sts->refresh());
  EXPECT_EQ(sts->size(), 0U);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path() / "sts"));
}

TEST_F(Sts, FullDiskDoesNotTurnAPolicyOff) {
  const auto files = directory.path() / "sts";
  std::filesystem::remove_all(files);
  EXPECT_TRUE(find().policy);
  std::filesystem::create_directories(files);
  EXPECT_TRUE(std::filesystem::is_empty(files));
  run(sts->refresh());
  EXPECT_TRUE(std::filesystem::exists(files / "example.net"));
}

TEST_F(Sts, TheOneThatExpiresFirstMakesRoom) {
  for (const std::string& domain : std::vector<std::string>{"a.example", "b.example", "c.example"}) {
    announce("1", domain);
    response = policy_response("enforce", domain == "b.example" ? "100" : "200");
    find(domain);
  }
  announce("1", "d.example");
  find("d.example");
  EXPECT_EQ(sts->size(), 3U);
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "sts" / "b.example"));
  EXPECT_TRUE(std::filesystem::exists(directory.path() / "sts" / "d.example"));
}

TEST_F(Sts, OneFetchForAllWhoAsk) {
  std::promise<void> open_gate;
  gate = open_gate.get_future().share();
  auto first = net::asio::co_spawn(loops.at(0).context(), sts->find("example.net"), net::asio::use_future);
  gate_reached.get_future().wait();
  auto second = net::asio::co_spawn(loops.at(1).context(), sts->find("example.net"), net::asio::use_future);
  auto third = net::asio::co_spawn(loops.at(0).context(), sts->find("example.net"), net::asio::use_future);
  // Let both come to where they wait.
  for (std::size_t i = 0; i < 2; ++i)
    net::run_on(loops.at(i), [](net::Loop& loop) -> net::asio::awaitable<bool> {
      co_await net::asio::post(loop.context(), net::asio::use_awaitable);
      co_return true;
    }(loops.at(i)));
  open_gate.set_value();
  EXPECT_TRUE(first.get().policy);
  EXPECT_TRUE(second.get().policy);
  EXPECT_TRUE(third.get().policy);
  EXPECT_EQ(fetches, 1);
}

TEST_F(Sts, TheEndReleasesWhoWaits) {
  std::promise<void> open_gate;
  gate = open_gate.get_future().share();
  auto first = net::asio::co_spawn(loops.at(0).context(), sts->find("example.net"), net::asio::use_future);
  gate_reached.get_future().wait();
  auto second = net::asio::co_spawn(loops.at(1).context(), sts->find("example.net"), net::asio::use_future);
  sts.reset();
  EXPECT_FALSE(second.get().policy);
  open_gate.set_value();
  EXPECT_TRUE(first.get().policy);
}

}  // namespace
}  // namespace relais::smtp
