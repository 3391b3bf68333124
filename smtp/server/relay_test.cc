// Queued messages and session relays against a host that plays a script; routes' rules.
#include "smtp/server/rerouting_lane.h"

#include "net/fake_resolver.h"
#include "smtp/client/test_support.h"
#include "smtp/outbound/route_rules.h"
#include "smtp/queue/attempt.h"
#include "smtp/server/session_relays.h"
#include "smtp/server/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using testing::ScriptedHost;
using testing::TestPlatform;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kHello = "S: 220 mx.test ESMTP\nC: EHLO us.test\nS: 250-mx.test\nS: 250 PIPELINING\n";

class FixedContent final : public queue::Content {
 public:
  explicit FixedContent(std::string octets) : octets_(std::move(octets)) {}
  std::uint64_t size() const noexcept override { return octets_.size(); }
  net::Task<void> read(std::uint64_t offset, std::uint64_t length, std::string& into) override {
    into.append(octets_, static_cast<std::size_t>(offset), static_cast<std::size_t>(length));
    co_return Result<void>{};
  }

 private:
  std::string octets_;
};

/// A platform beside a scripted host, to which "elsewhere.test" is routed and which is the legacy platform "old".
class ReroutingLaneTest : public ::testing::Test {
 protected:
  void host(std::vector<std::string> scripts) {
    far = std::make_unique<ScriptedHost>(std::move(scripts));
    const auto target = "smtp://127.0.0.1:" + std::to_string(far->port());
    const auto route = directory::parse_route("elsewhere.test", target, "", "none");
    ASSERT_TRUE(route && platform.run(platform.names->set_route(*route)));
    legacy.set({{"old", destination_of(*route, ""), rule_of(*route)}}, legacy.begin());
    rules.set({*route}, rules.begin());
    destination = "smtp:127.0.0.1:" + std::to_string(far->port());
    OutboundOptions options;
    options.rule = [this](const Destination& to) { return rules.rule(to); };
    outbound = std::make_unique<Outbound>(dns, std::move(options));
    dialer = std::make_shared<const Dialer>(Dialer{.outbound = *outbound, .legacy = legacy, .hostname = "us.test"});
    platform.add_queue();
  }
  queue::Dispatch dispatch(const std::vector<std::string>& addresses) {
    queue::Dispatch out;
    out.trace_id = "t-1";
    out.sender = "a@b.test";
    for (const auto& address : addresses) out.recipients.push_back({.number = 0, .address = address, .given = {}, .original = {}, .notify = {}, .turns = 0});
    out.content = std::make_shared<FixedContent>("Subject: x\r\n\r\n.body\r\n");
    return out;
  }
  /// Sends the dispatches one after the other on one lane and closes it.
  std::vector<queue::Outcome> send(std::vector<queue::Dispatch> what, const std::string& to) {
    auto& loop = platform.names.loops().at(0);
    auto all = [&]() -> net::asio::awaitable<std::vector<queue::Outcome>> {
      queue::RemoteTransport remote(dialer, platform.clock);
      ReroutingLane lane(remote.lane(to, loop), *platform.routing, platform.gate, loop, to);
      std::vector<queue::Outcome> out;
      for (const auto& one : what) out.push_back(co_await lane.send(one));
      co_await lane.close();
      co_return out;
    };
    return net::run_on(loop, all());
  }

  TestPlatform platform;
  net::FakeResolver dns;
  LegacyPlatforms legacy;
  RouteRules rules;
  std::unique_ptr<ScriptedHost> far;
  std::string destination;
  std::unique_ptr<Outbound> outbound;
  std::shared_ptr<const Dialer> dialer;
};

TEST_F(ReroutingLaneTest, KeepsTheConnectionAndTellsRecipientsApart) {
  host({std::string(kHello) +
        "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<x@elsewhere.test>\nC: RCPT TO:<y@elsewhere.test>\nC: DATA\n"
        "S: 250 2.1.0 ok\nS: 250 2.1.5 ok\nS: 550 5.1.1 nobody\nS: 354 go\nDATA\nS: 250 2.0.0 kept\n"
        "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<z@elsewhere.test>\nC: DATA\nS: 250 2.1.0 ok\nS: 450 4.2.0 greylisted\nS: 554 5.5.1 none\n"
        "C: *\nS: 250 ok\nC: QUIT\nS: 221 bye\n"});
  const auto done = send({dispatch({"x@elsewhere.test", "y@elsewhere.test"}), dispatch({"z@elsewhere.test"})}, destination);
  ASSERT_EQ(done.size(), 2U);
  EXPECT_EQ(done[0].recipients[0].disposition, queue::Disposition::relayed_without_dsn);
  EXPECT_THAT(done[0].recipients[0].host, HasSubstr("[127.0.0.1]:"));
  EXPECT_EQ(done[0].recipients[1].disposition, queue::Disposition::permanent);
  EXPECT_EQ(done[0].recipients[1].text, "550 5.1.1 nobody");
  EXPECT_TRUE(done[0].recipients[1].remote);
  EXPECT_TRUE(done[0].open);
  EXPECT_EQ(done[1].recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done[1].recipients[0].status, "4.2.0");
  EXPECT_EQ(done[1].health, queue::Health::good) << "greylisting is no trouble of the host's";
  EXPECT_EQ(far->connections(), 1U);
  EXPECT_THAT(far->contents(), ElementsAre("Subject: x\r\n\r\n..body\r\n.\r\n"));
}

TEST_F(ReroutingLaneTest, AHostThatDoesNotLetUsInIsUnreachable) {
  host({"S: 421 4.3.2 too busy\nCLOSE\n"});
  const auto done = send({dispatch({"x@elsewhere.test"})}, destination);
  EXPECT_EQ(done[0].recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done[0].health, queue::Health::unreachable);
  EXPECT_THAT(done[0].trouble, HasSubstr("421 4.3.2 too busy"));
  EXPECT_FALSE(done[0].open);
}

TEST_F(ReroutingLaneTest, AConnectionLostInTheMiddleIsTrouble) {
  host({std::string(kHello) + "C: MAIL FROM:*\nCLOSE\n"});
  const auto done = send({dispatch({"x@elsewhere.test"})}, destination);
  EXPECT_EQ(done[0].recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done[0].health, queue::Health::busy);
  EXPECT_FALSE(done[0].open);
}

TEST_F(ReroutingLaneTest, WhatHasAnotherWayNowIsSentThere) {
  host({std::string(kHello) + "C: QUIT\nS: 221 bye\n"});
  ASSERT_TRUE(platform.run(platform.names->remove_route("elsewhere.test")));
  platform.add("ada@example.test");
  const auto done = send({dispatch({"x@elsewhere.test", "ada@example.test", "nobody@example.test"})}, destination);
  ASSERT_EQ(done[0].recipients[0].disposition, queue::Disposition::elsewhere);
  EXPECT_EQ(done[0].recipients[0].moves.front().destination, "mx:elsewhere.test");
  ASSERT_EQ(done[0].recipients[1].disposition, queue::Disposition::elsewhere);
  EXPECT_EQ(done[0].recipients[1].moves.front().destination, "local");
  EXPECT_EQ(done[0].recipients[2].disposition, queue::Disposition::permanent);
  EXPECT_EQ(far->connections(), 0U);
}

TEST_F(ReroutingLaneTest, ADomainThatIsNotThereFailsForGood) {
  host({"CLOSE\n"});
  const auto done = send({dispatch({"x@nowhere.test"})}, "mx:nowhere.test");
  EXPECT_EQ(done[0].recipients[0].disposition, queue::Disposition::permanent);
  EXPECT_THAT(done[0].recipients[0].status, StartsWith("5."));
  EXPECT_EQ(done[0].health, queue::Health::good);
}

// ---- accounts on a legacy platform

class LegacyLaneTest : public ReroutingLaneTest {
 protected:
  directory::Account account() { return platform.run(platform.names->find("ada@example.test")).value().value(); }
  void place(directory::Placement::Kind kind) { ASSERT_TRUE(platform.names.place("ada@example.test", {.kind = kind, .legacy = "old"})); }
  /// A host that looks who is a guest of the account before it answers the content.
  class Watched final : public queue::Lane {
   public:
    Watched(std::unique_ptr<queue::Lane> next, std::function<void()> look) : next_(std::move(next)), look_(std::move(look)) {}
    net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override {
      look_();
      co_return co_await next_->send(dispatch);
    }
    net::asio::awaitable<void> close() override { return next_->close(); }

   private:
    const std::unique_ptr<queue::Lane> next_;
    const std::function<void()> look_;
  };
  queue::Outcome send_one(std::function<void()> look) {
    auto& loop = platform.names.loops().at(0);
    auto all = [&]() -> net::asio::awaitable<queue::Outcome> {
      queue::RemoteTransport remote(dialer, platform.clock);
      ReroutingLane lane(std::make_unique<Watched>(remote.lane("legacy:old", loop), look), *platform.routing, platform.gate, loop, "legacy:old");
      const auto what = dispatch({"ada@example.test"});
      auto out = co_await lane.send(what);
      co_await lane.close();
      co_return out;
    };
    return net::run_on(loop, all());
  }
};

TEST_F(LegacyLaneTest, TheAccountsPlacementIsHeldUntilTheHostHasAnswered) {
  host({std::string(kHello) + "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<ada@example.test>\nC: DATA\nS: 250 ok\nS: 250 ok\nS: 354 go\nDATA\nS: 250 2.0.0 kept\nC: QUIT\nS: 221 bye\n"});
  platform.add("ada@example.test");
  place(directory::Placement::Kind::legacy);
  const auto number = account().number;
  std::uint32_t transfers = 0;
  const auto done = send_one([&] { transfers = platform.gate.presence(number).transfers; });
  EXPECT_EQ(done.recipients[0].disposition, queue::Disposition::relayed_without_dsn) << done.recipients[0].text;
  EXPECT_EQ(transfers, 1U);
  EXPECT_EQ(platform.gate.presence(number).guests, 0U);
}

TEST_F(LegacyLaneTest, AnAccountThatIsBeingMovedIsSentElsewhere) {
  host({"CLOSE\n"});
  platform.add("ada@example.test");
  place(directory::Placement::Kind::moving);
  const auto done = send_one([] { FAIL() << "given to the old side in a freeze"; });
  ASSERT_EQ(done.recipients[0].disposition, queue::Disposition::elsewhere);
  EXPECT_EQ(done.recipients[0].moves.front().destination, "account:" + std::to_string(account().number));
  EXPECT_EQ(far->connections(), 0U);
}

TEST_F(LegacyLaneTest, ARouteToTheSameHostDoesNotTakeItsTlsAway) {
  host({std::string(kHello) + "C: QUIT\nS: 221 bye\n"});  // has no STARTTLS
  legacy.set({{"old", parse_destination(destination).value(), {.tls = TlsLevel::encrypt}}}, legacy.begin());
  platform.add("ada@example.test");
  place(directory::Placement::Kind::legacy);
  const auto done = send_one([] {});
  EXPECT_EQ(done.recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done.health, queue::Health::unreachable);
  EXPECT_EQ(far->connections(), 1U);
  EXPECT_EQ(far->contents().size(), 0U) << "sent in plaintext";
}

// ---- relays of sessions

class SessionRelaysTest : public ReroutingLaneTest {
 protected:
  RelayAnswer ask(SessionRelays& relays, const std::string& recipient) {
    auto& loop = platform.names.loops().at(0);
    auto all = [&]() -> net::asio::awaitable<RelayAnswer> {
      const auto relay = relays.open("legacy:old", loop);
      if (!relay) co_return RelayAnswer{.reply = std::nullopt, .host = {}, .trouble = "paused"};
      co_return co_await relay->check("a@b.test", recipient, false);
    };
    return net::run_on(loop, all());
  }
};

TEST_F(SessionRelaysTest, ARefusalIsPassedOn) {
  host({std::string(kHello) + "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<x@example.test>\nC: RSET\nS: 250 ok\nS: 550 5.1.1 who is that?\nS: 250 ok\n"});
  SessionRelays relays(*dialer);
  const auto answer = ask(relays, "x@example.test");
  ASSERT_TRUE(answer.reply);
  EXPECT_EQ(answer.reply->code, 550);
  EXPECT_EQ(answer.reply->text, "5.1.1 who is that?");
  EXPECT_EQ(far->errors(), "");
}

TEST_F(SessionRelaysTest, WhoDoesNotAnswerIsLeftAloneForAWhile) {
  host({"CLOSE\n", std::string(kHello) + "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<x@example.test>\nC: RSET\nS: 250 ok\nS: 250 ok\nS: 250 ok\n"});
  SessionRelays relays(*dialer, {}, platform.clock);
  EXPECT_FALSE(ask(relays, "x@example.test").reply);
  EXPECT_EQ(ask(relays, "x@example.test").trouble, "paused");
  platform.clock.advance(std::chrono::seconds(31));
  const auto answer = ask(relays, "x@example.test");
  ASSERT_TRUE(answer.reply);
  EXPECT_TRUE(answer.reply->positive());
}

TEST_F(SessionRelaysTest, ARouteToTheSameHostDoesNotTakeItsTlsAway) {
  // Has no STARTTLS, and would take the recipient.
  host({std::string(kHello) + "C: MAIL FROM:<a@b.test>\nC: RCPT TO:<x@example.test>\nC: RSET\nS: 250 ok\nS: 250 ok\nS: 250 ok\n"});
  legacy.set({{"old", parse_destination(destination).value(), {.tls = TlsLevel::encrypt}}}, legacy.begin());
  SessionRelays relays(*dialer);
  EXPECT_FALSE(ask(relays, "x@example.test").reply);
  EXPECT_EQ(far->connections(), 1U);
}

// ---- rules

TEST(RouteRules, CredentialsAndTlsGoWithTheDestination) {
  RouteRules rules([](std::string_view destination) { return destination == "mx:sure.test" ? std::optional(TlsLevel::verify) : std::nullopt; });
  std::vector<directory::Route> routes;
  for (const auto& [domain, target, auth, tls] : {std::tuple{"*", "smtp://smart.test:587", "user:secret", "encrypt"}, std::tuple{".quiet.test", "mx", "", "none"},
                                                  std::tuple{"x.test", "mx:y.test", "", "verify"}}) {
    const auto route = directory::parse_route(domain, target, auth, tls);
    ASSERT_TRUE(route);
    routes.push_back(*route);
  }
  rules.set(routes, rules.begin());
  const auto smart = rules.rule({Destination::Kind::smtp, "smart.test", 587});
  ASSERT_TRUE(smart.auth && smart.tls);
  EXPECT_EQ(smart.auth->user, "user");
  EXPECT_EQ(*smart.tls, TlsLevel::encrypt);
  EXPECT_EQ(rules.rule({Destination::Kind::mx, "a.quiet.test", 0}).tls, TlsLevel::none);
  EXPECT_FALSE(rules.rule({Destination::Kind::mx, "other.test", 0}).tls);
  EXPECT_EQ(rules.rule({Destination::Kind::mx, "y.test", 0}).tls, TlsLevel::verify);
  EXPECT_EQ(rules.rule({Destination::Kind::mx, "sure.test", 0}).tls, TlsLevel::verify);
}

TEST(RouteRules, TheListThatWasAskedForLastCounts) {
  RouteRules rules;
  const auto route = [](std::string_view tls) { return std::vector{directory::parse_route("x.test", "smtp://smart.test:25", "", tls).value()}; };
  const auto level = [&] { return rules.rule({Destination::Kind::smtp, "smart.test", 25}).tls; };
  const auto earlier = rules.begin();
  const auto later = rules.begin();
  rules.set(route("verify"), later);
  rules.set(route("none"), earlier);
  EXPECT_EQ(level(), TlsLevel::verify) << "the earlier one was slower";
  rules.set({}, rules.begin());
  EXPECT_FALSE(level());
}

// ---- legacy platforms

TEST(NextHop, OfALegacyPlatformHasItsOwnRule) {
  LegacyPlatforms legacy;
  directory::LegacyPlatform old{.name = "old", .delivery = {.host = "old.test", .port = 24}, .delivery_lmtp = true};
  using Tls = directory::LegacyService::Tls;
  for (const auto& [tls, verify, level] : {std::tuple{Tls::none, true, TlsLevel::none}, std::tuple{Tls::starttls, true, TlsLevel::verify},
                                           std::tuple{Tls::starttls, false, TlsLevel::encrypt}, std::tuple{Tls::implicit, true, TlsLevel::verify}}) {
    old.delivery.tls = tls;
    old.delivery.verify = verify;
    legacy.set({hop_of(old).value().value()}, legacy.begin());
    const auto hop = next_hop(legacy, {Destination::Kind::legacy, "old", 0}).value();
    EXPECT_EQ(hop.destination, (Destination{Destination::Kind::lmtp, "old.test", 24}));
    ASSERT_TRUE(hop.rule);
    EXPECT_EQ(hop.rule->tls, level);
    EXPECT_EQ(hop.rule->implicit_tls, tls == Tls::implicit);
    EXPECT_FALSE(hop.rule->tls_context);
  }
  old.ca_file = "/no/such/file";
  EXPECT_EQ(hop_of(old).error().fault, Fault::refused);
  const Destination domain{Destination::Kind::mx, "old.test", 0};
  EXPECT_EQ(next_hop(legacy, domain)->destination, domain);
  EXPECT_FALSE(next_hop(legacy, domain)->rule);
  EXPECT_EQ(next_hop(legacy, {Destination::Kind::legacy, "other", 0}).error().fault, Fault::temporary);
  EXPECT_FALSE(hop_of({.name = "silent", .imap = {.host = "old.test", .port = 143}}).value()) << "takes no mail";
}

TEST(NextHop, PlatformsAtOneAddressKeepTheirRules) {
  const Destination address{Destination::Kind::smtp, "old.test", 25};
  const LegacyPlatforms legacy({{"a", address, {.tls = TlsLevel::none}}, {"b", address, {.tls = TlsLevel::verify, .implicit_tls = true}}});
  EXPECT_EQ(next_hop(legacy, {Destination::Kind::legacy, "a", 0})->rule->tls, TlsLevel::none);
  const auto b = next_hop(legacy, {Destination::Kind::legacy, "b", 0});
  EXPECT_EQ(b->rule->tls, TlsLevel::verify);
  EXPECT_TRUE(b->rule->implicit_tls);
}

TEST(LegacyPlatforms, TheListThatWasAskedForLastCounts) {
  LegacyPlatforms legacy;
  const auto hops = [](std::uint16_t port) { return std::vector<LegacyHop>{{"old", {Destination::Kind::lmtp, "old.test", port}, {}}}; };
  const auto earlier = legacy.begin();
  const auto later = legacy.begin();
  legacy.set(hops(2), later);
  legacy.set(hops(1), earlier);
  EXPECT_EQ(legacy.find("old")->destination.port, 2) << "the earlier one was slower";
  legacy.set({}, legacy.begin());
  EXPECT_FALSE(legacy.find("old"));
}

}  // namespace
}  // namespace relais::smtp
