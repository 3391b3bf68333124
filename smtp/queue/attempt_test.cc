// Attempts against scripted hosts and a scripted DNS: which host, which verdict, what is learned of the destination.
#include "smtp/queue/attempt.h"

#include "net/fake_resolver.h"
#include "net/test_support.h"
#include "smtp/client/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace relais::smtp::queue {
namespace {

using smtp::testing::ScriptedHost;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kHello = R"(
  S: 220 mx.test ESMTP
  C: EHLO us.test
  S: 250 mx.test
)";
constexpr std::string_view kTaken = R"(
  C: MAIL FROM:<s@us.test>
  S: 250 ok
  C: RCPT TO:<a@x.test>
  S: 250 ok
  C: DATA
  S: 354 go
  DATA
  S: 250 2.0.0 queued as 17
)";
constexpr std::string_view kBye = R"(
  C: QUIT
  S: 221 bye
)";
// Two hosts: the better one refuses connections, since nobody listens on that address.
constexpr std::string_view kZone = R"(
  x.test       MX 10 dead.x.test
  x.test       MX 20 good.x.test
  dead.x.test  A 127.0.0.9
  good.x.test  A 127.0.0.1
  one.test     MX 10 good.x.test
  gone.test    MX 10 dead.x.test
  null.test    MX 0 .
  two.test     MX 10 good.x.test
  two.test     MX 20 also.x.test
  also.x.test  A 127.0.0.1
  relay.test   A 127.0.0.1
)";

std::string script(std::initializer_list<std::string_view> pieces) {
  std::string out;
  for (const auto piece : pieces) out += piece;
  return out;
}

class Octets final : public Content {
 public:
  explicit Octets(std::string octets) : octets_(std::move(octets)) {}
  std::uint64_t size() const noexcept override { return octets_.size(); }
  net::Task<void> read(std::uint64_t offset, std::uint64_t length, std::string& into) override {
    ++reads;
    into += octets_.substr(offset, length);
    co_return Result<void>{};
  }
  int reads = 0;

 private:
  const std::string octets_;
};

class QueueAttempt : public ::testing::Test {
 protected:
  QueueAttempt() {
    loops.start();
    dns.zone(kZone);
  }

  Dispatch dispatch(std::vector<std::string> recipients = {"a@x.test"}, std::string octets = "Subject: x\r\n\r\nbody\r\n") {
    Dispatch out;
    out.trace_id = "t1";
    out.sender = "s@us.test";
    for (auto& one : recipients) {
      out.recipients.push_back({.number = static_cast<std::uint32_t>(out.recipients.size()),
                                .address = std::move(one),
                                .given = {},
                                .original = {},
                                .notify = {},
                                .turns = 0});
    }
    out.content = std::make_shared<Octets>(std::move(octets));
    return out;
  }

  /// Sends the dispatches one after the other on one lane, and closes it.
  std::vector<Outcome> send(const std::string& destination, std::uint16_t port, std::vector<Dispatch> dispatches) {
    Outbound outbound(dns, {.our_names = {"us.test"}, .addresses = AddressOrder::ipv4_first, .mx_port = port, .local_mx = true}, nullptr,
                      nullptr);
    RemoteTransport transport(std::make_shared<const Dialer>(Dialer{.outbound = outbound, .legacy = legacy, .hostname = "us.test", .timeouts = timeouts}));
    auto talk = [&]() -> net::asio::awaitable<std::vector<Outcome>> {
      const auto lane = transport.lane(destination, loops.at(0));
      std::vector<Outcome> outcomes;
      for (const auto& one : dispatches) outcomes.push_back(co_await lane->send(one));
      co_await lane->close();
      co_return outcomes;
    };
    return net::run_on(loops.at(0), talk());
  }
  Outcome send_one(const std::string& destination, std::uint16_t port) { return send(destination, port, {dispatch()}).at(0); }

  net::LoopPool loops{1};
  net::FakeResolver dns;
  LegacyPlatforms legacy;
  ClientTimeouts timeouts{};
};

TEST_F(QueueAttempt, ConnectionsAreKeptForTheNextMessage) {
  ScriptedHost host({script({kHello, kTaken, kTaken, kBye})});
  const auto outcomes = send("mx:one.test", host.port(), {dispatch(), dispatch()});
  EXPECT_EQ(host.errors(), "");
  for (const auto& outcome : outcomes) {
    ASSERT_EQ(outcome.recipients.size(), 1U);
    EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn);
    EXPECT_EQ(outcome.recipients[0].code, 250);
    EXPECT_TRUE(outcome.recipients[0].remote);
    EXPECT_THAT(outcome.recipients[0].text, HasSubstr("queued as 17"));
    EXPECT_EQ(outcome.recipients[0].host, "good.x.test [127.0.0.1]:" + std::to_string(host.port()));
    EXPECT_EQ(outcome.health, Health::good);
    EXPECT_TRUE(outcome.open);
  }
}

TEST_F(QueueAttempt, TheNextHostIsTriedWhereOneIsDead) {
  ScriptedHost host({script({kHello, kTaken, kBye})});
  const auto outcome = send_one("mx:x.test", host.port());
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn);
  EXPECT_EQ(outcome.health, Health::good);
}

TEST_F(QueueAttempt, NobodyThere) {
  ScriptedHost host({""});  // for a port that is free on the other address
  const auto outcome = send_one("mx:gone.test", host.port());
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::temporary);
  EXPECT_EQ(outcome.health, Health::unreachable);
  EXPECT_FALSE(outcome.open);
  EXPECT_THAT(outcome.trouble, StartsWith("dead.x.test [127.0.0.9]"));
  EXPECT_EQ(host.connections(), 0U);
}

struct Dialogue {
  const char* name;
  std::string talk;
  Disposition disposition;
  std::uint16_t code;
  Health health;
};

TEST_F(QueueAttempt, WhatAHostMaySay) {
  const std::string mail = "\n C: MAIL FROM:<s@us.test>\n";
  const std::string rcpt = mail + " S: 250 ok\n C: RCPT TO:<a@x.test>\n";
  const std::string data = rcpt + " S: 250 ok\n C: DATA\n S: 354 go\n DATA\n";
  const std::vector<Dialogue> table{
      {"421 in the greeting", "S: 421 too busy", Disposition::temporary, 421, Health::unreachable},
      {"450 in the greeting", "S: 450 not now", Disposition::temporary, 450, Health::unreachable},
      {"554 in the greeting", "S: 554 you are listed", Disposition::temporary, 554, Health::unreachable},
      {"521 in the greeting", "S: 521 no mail here", Disposition::permanent, 521, Health::good},
      {"closes at once", "CLOSE", Disposition::temporary, 0, Health::unreachable},
      {"garbage", "S: hello there", Disposition::temporary, 0, Health::unreachable},
      {"450 to RCPT", script({kHello, rcpt, "S: 450 4.2.0 greylisted\n", "C: *\n S: 250 ok\n", kBye}), Disposition::temporary, 450,
       Health::good},
      {"550 to RCPT", script({kHello, rcpt, "S: 550 5.1.1 nobody\n", "C: *\n S: 250 ok\n", kBye}), Disposition::permanent, 550,
       Health::good},
      {"550 to MAIL", script({kHello, mail, "S: 550 5.7.1 not you\n", "C: *\n S: 250 ok\n", kBye}), Disposition::permanent, 550,
       Health::good},
      {"554 after the dot", script({kHello, data, "S: 554 5.6.0 spam\n", kBye}), Disposition::permanent, 554, Health::good},
      {"451 after the dot", script({kHello, data, "S: 451 4.3.0 later\n", kBye}), Disposition::temporary, 451, Health::good},
      {"421 to RCPT", script({kHello, rcpt, "S: 421 4.3.2 going down\n"}), Disposition::temporary, 421, Health::busy},
      {"lost at MAIL", script({kHello, mail}), Disposition::temporary, 0, Health::busy},
      {"lost after the dot", script({kHello, data}), Disposition::temporary, 0, Health::busy},
  };
  for (const auto& row : table) {
    ScriptedHost host({row.talk});
    const auto outcome = send_one("mx:one.test", host.port());
    EXPECT_EQ(outcome.recipients[0].disposition, row.disposition) << row.name;
    EXPECT_EQ(outcome.recipients[0].code, row.code) << row.name << ": " << outcome.recipients[0].text;
    EXPECT_EQ(outcome.health, row.health) << row.name << ": " << outcome.trouble;
    EXPECT_FALSE(outcome.recipients[0].status.empty()) << row.name;
    EXPECT_FALSE(outcome.recipients[0].text.empty()) << row.name;
    if (row.code == 0)
      EXPECT_FALSE(outcome.recipients[0].text.starts_with(outcome.recipients[0].status)) << row.name;  // shown in front of it
    EXPECT_EQ(outcome.trouble.empty(), row.health == Health::good) << row.name;
  }
}

TEST_F(QueueAttempt, RecipientsHaveTheirOwnFates) {
  ScriptedHost host({script({kHello, R"(
    C: MAIL FROM:<s@us.test>
    S: 250 ok
    C: RCPT TO:<a@x.test>
    S: 550 5.1.1 nobody
    C: RCPT TO:<b@x.test>
    S: 250 ok
    C: RCPT TO:<c@x.test>
    S: 450 4.2.1 full
    C: DATA
    S: 354 go
    DATA
    S: 250 ok)",
                             kBye})});
  const auto outcome = send("mx:one.test", host.port(), {dispatch({"a@x.test", "b@x.test", "c@x.test"})}).at(0);
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::permanent);
  EXPECT_EQ(outcome.recipients[0].status, "5.1.1");
  EXPECT_EQ(outcome.recipients[1].disposition, Disposition::relayed_without_dsn);
  EXPECT_EQ(outcome.recipients[2].disposition, Disposition::temporary);
  EXPECT_EQ(outcome.health, Health::good);
}

TEST_F(QueueAttempt, AnswersOfOneHostAreNotTakenToTheNext) {
  ScriptedHost host({script(
      {kHello, "C: MAIL FROM:<s@us.test>\n S: 250 ok\n C: RCPT TO:<a@x.test>\n S: 450 4.2.0 greylisted\n C: *\n S: 250 ok\n", kBye})});
  const auto outcome = send_one("mx:two.test", host.port());
  EXPECT_EQ(outcome.recipients[0].code, 450);
  (void)host.errors();
  EXPECT_EQ(host.connections(), 1U);
}

TEST_F(QueueAttempt, ATroubledHostLeadsToTheNext) {
  ScriptedHost host({"S: 421 too busy", script({kHello, "C: MAIL FROM:<s@us.test>\n S: 421 closing\n"}), script({kHello, kTaken, kBye})});
  dns.zone("two.test MX 30 good.x.test\n two.test MX 40 third.x.test\n third.x.test A 127.0.0.1");
  const auto outcome = send_one("mx:two.test", host.port());
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn) << outcome.recipients[0].text;
  EXPECT_EQ(outcome.health, Health::good);
}

// RFC 2852 §4.1.4.1, RFC 8689 §4.2.1: what one host lacks another may have.
TEST_F(QueueAttempt, AHostThatLacksWhatIsAskedForLeadsToTheNext) {
  auto message = dispatch();
  message.by_mode = ByMode::give_up;
  message.deliver_by = system_clock().seconds() + 600;
  const std::string able =
      "S: 220 mx.test\n C: EHLO us.test\n S: 250-mx.test\n S: 250 DELIVERBY\n C: MAIL FROM:<s@us.test> BY=*\n S: 250 ok\n"
      " C: RCPT TO:<a@x.test>\n S: 250 ok\n C: DATA\n S: 354 go\n DATA\n S: 250 ok\n";
  {
    ScriptedHost host({script({kHello, kBye}), script({able, kBye})});
    const auto outcome = send("mx:two.test", host.port(), {message}).at(0);
    EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn) << outcome.recipients[0].text;
    EXPECT_EQ(host.errors(2), "");
  }
  {
    ScriptedHost host({script({kHello, kBye})});
    const auto outcome = send("mx:two.test", host.port(), {message}).at(0);
    EXPECT_EQ(outcome.recipients[0].disposition, Disposition::permanent);
    EXPECT_EQ(outcome.recipients[0].status, "5.3.3");
    EXPECT_EQ(outcome.health, Health::good);
    EXPECT_EQ(host.errors(2), "");
  }
  {
    ScriptedHost host({script({kHello, kBye})});
    const auto outcome = send("mx:x.test", host.port(), {message}).at(0);  // the better one could not be asked
    EXPECT_EQ(outcome.recipients[0].disposition, Disposition::temporary);
    EXPECT_EQ(outcome.recipients[0].status, "4.3.3");
    EXPECT_EQ(outcome.health, Health::good);
  }
}

// The reply to the final dot never came: the message may be there, so no other host gets it at once.
TEST_F(QueueAttempt, WhatMayHaveArrivedIsNotSentToAnotherHostAtOnce) {
  ScriptedHost host(
      {script({kHello, "C: MAIL FROM:<s@us.test>\n S: 250 ok\n C: RCPT TO:<a@x.test>\n S: 250 ok\n C: DATA\n S: 354 go\n DATA\n"})});
  const auto outcome = send_one("mx:two.test", host.port());
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::temporary);
  (void)host.errors();
  EXPECT_EQ(host.connections(), 1U);
}

TEST_F(QueueAttempt, AUsedConnectionThatEndsIsReplacedAtOnce) {
  for (const std::string_view end :
       {"CLOSE\n", "S: 421 idle too long\n", "C: MAIL FROM:<s@us.test>\n S: 421 enough for one connection\n"}) {
    ScriptedHost host({script({kHello, kTaken, end}), script({kHello, kTaken, kBye})});
    const auto outcomes = send("mx:one.test", host.port(), {dispatch(), dispatch()});
    EXPECT_EQ(outcomes[1].recipients[0].disposition, Disposition::relayed_without_dsn) << end << outcomes[1].recipients[0].text;
    EXPECT_EQ(outcomes[1].health, Health::good) << end;
    EXPECT_EQ(host.connections(), 2U) << end;
  }
}

TEST_F(QueueAttempt, DnsDecides) {
  dns.fault("fail.test", net::DnsType::mx, net::DnsAnswer::Status::failed);
  dns.fault("bogus.test", net::DnsType::mx, net::DnsAnswer::Status::bogus);
  struct Row {
    const char* destination;
    Disposition disposition;
    const char* status;
    Health health;
  };
  const std::vector<Row> table{
      {"mx:null.test", Disposition::permanent, "5.1.10", Health::good},
      {"mx:nowhere.test", Disposition::permanent, "5.1.2", Health::good},
      {"mx:fail.test", Disposition::temporary, "4.4.3", Health::unreachable},
      {"mx:bogus.test", Disposition::temporary, "4.4.3", Health::unreachable},
      {"smtp:nowhere.test:25", Disposition::temporary, "4.4.4", Health::unreachable},
      {"legacy:unknown", Disposition::temporary, "4.3.5", Health::unreachable},
  };
  for (const auto& row : table) {
    const auto outcome = send_one(row.destination, 25);
    EXPECT_EQ(outcome.recipients[0].disposition, row.disposition) << row.destination;
    EXPECT_EQ(outcome.recipients[0].status, row.status) << row.destination;
    EXPECT_EQ(outcome.health, row.health) << row.destination;
  }
  // Whoever looks why mail waits reads what the DNS said.
  EXPECT_THAT(send_one("mx:fail.test", 25).recipients[0].text, HasSubstr("scripted"));
}

TEST_F(QueueAttempt, LmtpDelivers) {
  ScriptedHost host({R"(
    S: 220 lmtp
    C: LHLO us.test
    S: 250 lmtp
    C: MAIL FROM:<s@us.test>
    S: 250 ok
    C: RCPT TO:<a@x.test>
    S: 250 ok
    C: RCPT TO:<b@x.test>
    S: 250 ok
    C: DATA
    S: 354 go
    DATA
    S: 250 2.0.0 in the box
    S: 452 4.2.2 full
    C: QUIT
    S: 221 bye)"});
  const auto outcome = send("lmtp:relay.test:" + std::to_string(host.port()), 25, {dispatch({"a@x.test", "b@x.test"})}).at(0);
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::delivered);
  EXPECT_EQ(outcome.recipients[1].disposition, Disposition::temporary);
  EXPECT_EQ(outcome.recipients[1].code, 452);
}

TEST_F(QueueAttempt, DsnIsPassedOn) {
  ScriptedHost host({R"(
    S: 220 mx.test ESMTP
    C: EHLO us.test
    S: 250-mx.test
    S: 250 DSN
    C: MAIL FROM:<s@us.test> RET=HDRS ENVID=QQ
    S: 250 ok
    C: RCPT TO:<a@x.test> NOTIFY=SUCCESS ORCPT=rfc822;o@x.test
    S: 250 ok
    C: DATA
    S: 354 go
    DATA
    S: 250 ok
    C: QUIT
    S: 221 bye)"});
  auto message = dispatch();
  message.ret = Ret::headers;
  message.envelope_id = "QQ";
  message.recipients[0].notify.bits = Notify::kSuccess;
  message.recipients[0].original = {"rfc822", "o@x.test"};
  const auto outcome = send("mx:one.test", host.port(), {message}).at(0);
  EXPECT_EQ(host.errors(), "");
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed);
}

TEST_F(QueueAttempt, LargeContentIsReadInPieces) {
  std::string octets = "Subject: x\r\n\r\n";
  while (octets.size() < 700'000) octets += "line " + std::to_string(octets.size()) + "\r\n";
  ScriptedHost host({script({kHello, kTaken, kBye})});
  const auto message = dispatch({"a@x.test"}, octets);
  const auto outcome = send("mx:one.test", host.port(), {message}).at(0);
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn);
  EXPECT_EQ(host.contents().at(0), octets + ".\r\n");
  EXPECT_GE(dynamic_cast<Octets&>(*message.content).reads, 3);
}

// A small message is read once, however many hosts hear of it.
TEST_F(QueueAttempt, SmallContentIsReadOnce) {
  ScriptedHost host({script({kHello, "C: MAIL FROM:<s@us.test>\n S: 250 ok\n C: RCPT TO:<a@x.test>\n S: 250 ok\n C: DATA\n S: 421 no\n"}),
                     script({kHello, kTaken, kBye})});
  const auto message = dispatch();
  const auto outcome = send("mx:two.test", host.port(), {message}).at(0);
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::relayed_without_dsn);
  EXPECT_EQ(host.contents().at(0), "Subject: x\r\n\r\nbody\r\n.\r\n");
  EXPECT_LE(dynamic_cast<Octets&>(*message.content).reads, 1);
}

TEST_F(QueueAttempt, AHostThatHangsIsBusy) {
  timeouts.mail = std::chrono::milliseconds(50);
  ScriptedHost host({script({kHello, "C: MAIL FROM:<s@us.test>\n HANG\n"})});
  const auto outcome = send_one("mx:one.test", host.port());
  EXPECT_EQ(outcome.recipients[0].disposition, Disposition::temporary);
  EXPECT_EQ(outcome.health, Health::busy);
  EXPECT_THAT(outcome.trouble, HasSubstr("timeout"));
}

}  // namespace
}  // namespace relais::smtp::queue
