// Mail that leaves, as sessions hand it over: what is in the queue's entry, limits, traces; routing; the lanes of the queue that need no network.
#include "smtp/server/test_support.h"

#include "antispam/signing_testing.h"
#include "base/ascii.h"
#include "message/downgrade.h"
#include "message/header.h"
#include "smtp/server/local_lane.h"
#include "smtp/server/signing.h"

#include <array>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using testing::TestPlatform;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr std::string_view kPlainAlice = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n";

/// A platform with a queue, alice@example.test, and dialogues.
class Leaving : public ::testing::Test {
 protected:
  Leaving() { platform.add_queue(); }
  std::string say(Service service, std::string text) {
    Options options;
    options.service = service;
    options.hostname = "mx.example.test";
    options.allow_plaintext_auth = true;
    options.max_hold = std::chrono::hours(24);
    options.max_priority = 4;
    net::Script wire{.to_server = "EHLO client.test\r\n" + (service == Service::submission ? std::string(kPlainAlice) : "") + text + "QUIT\r\n"};
    net::play(wire, platform.service(options));
    return wire.from_server;
  }
  static std::string transaction(const std::string& mail, const std::vector<std::string>& rcpt, const std::string& content) {
    std::string out = "MAIL FROM:" + mail + "\r\n";
    for (const auto& recipient : rcpt) out += "RCPT TO:" + recipient + "\r\n";
    return out + "DATA\r\n" + content + ".\r\n";
  }
  void legacy(const std::string& address, directory::Placement::Kind kind = directory::Placement::Kind::legacy) {
    directory::Placement placement;
    placement.kind = kind;
    placement.legacy = "old";
    ASSERT_TRUE(platform.names.place(address, placement));
  }
  void alias(const std::string& address, std::vector<std::string> targets) {
    ASSERT_TRUE(platform.run(platform.names->add_alias(address, std::move(targets))));
  }

  TestPlatform platform;
  const storage::AccountRef alice = platform.add("alice@example.test");
  const storage::AccountRef bob = platform.add("bob@example.test");
};

TEST_F(Leaving, TheEntryHasAllThatWasAskedFor) {
  say(Service::submission, transaction("<alice@example.test> RET=HDRS ENVID=q1 HOLDFOR=60 BY=3600;RT MT-PRIORITY=3 BODY=8BITMIME",
                                       {"<someone@elsewhere.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;some+2Bone@elsewhere.test"},
                                       "Bcc: hidden@elsewhere.test\r\nSubject: x\r\n\r\ncaf\xc3\xa9\r\n"));
  ASSERT_EQ(platform.intake.messages.size(), 1U);
  const auto& message = platform.intake.messages.front();
  const auto now = platform.clock.seconds();
  EXPECT_EQ(message.sender, "alice@example.test");
  EXPECT_EQ(message.ret, Ret::headers);
  EXPECT_EQ(message.envelope_id, "q1");
  EXPECT_EQ(message.hold_until, now + 60);
  EXPECT_EQ(message.hold_request, "for;60");
  EXPECT_EQ(message.deliver_by, now + 3'600);
  EXPECT_EQ(message.by_mode, queue::ByMode::give_up);
  EXPECT_TRUE(message.by_trace);
  EXPECT_EQ(message.priority, 3);
  EXPECT_TRUE(message.eight_bit);
  EXPECT_NE(message.account, 0U);
  EXPECT_EQ(message.client, "alice@example.test");
  ASSERT_EQ(message.recipients.size(), 1U);
  EXPECT_EQ(to_string(message.recipients[0].notify), "SUCCESS,DELAY");
  EXPECT_EQ(message.recipients[0].original.address, "some+one@elsewhere.test");
  const auto content = platform.intake.content(0);
  EXPECT_THAT(content, StartsWith("Received: from client.test"));
  EXPECT_THAT(content, HasSubstr("\r\nFrom: <alice@example.test>\r\n"));
  EXPECT_THAT(content, HasSubstr("\r\nMessage-ID: <"));
  EXPECT_THAT(content, HasSubstr("\r\nDate: "));
  EXPECT_THAT(content, Not(HasSubstr("hidden")));
  EXPECT_THAT(content, ::testing::EndsWith("Subject: x\r\n\r\ncaf\xc3\xa9\r\n"));
  EXPECT_FALSE(message.message_id.empty());
}

/// With keys, and a DNS that knows nothing.
class Signed : public Leaving {
 protected:
  Signed() {
    for (const auto algorithm : {directory::DkimKey::Algorithm::rsa_sha256, directory::DkimKey::Algorithm::ed25519_sha256}) {
      const auto selector = antispam::default_selector(algorithm, platform.clock.seconds());
      auto key =
          antispam::make_dkim_key("example.test", selector, algorithm, directory::DkimKey::State::active, platform.clock.seconds()).value();
      dns.add(*antispam::dkim_record(key));
      EXPECT_TRUE(platform.run(platform.names->add_dkim_key(std::move(key))));
    }
    platform.outgoing.signer = &signing;
  }
  /// Outcomes of the signatures of what was queued, as the next host may find them, in 7bit or as it is.
  std::string outcomes(std::string_view message) {
    const auto end = message::header_end(message);
    const std::array body{message.substr(end)};
    const auto results =
        platform.run(antispam::dkim_verify(dns, platform.names.workers(), {message.substr(0, end), body}, platform.clock.seconds()))
            .value();
    std::string out;
    for (const auto& result : results) out.append(to_string(result.outcome)).append(" ");
    return out;
  }
  const queue::NewMessage& submit(const std::string& parameters, const std::string& content) {
    platform.intake.messages.clear();
    say(Service::submission, transaction("<alice@example.test>" + parameters, {"<x@elsewhere.test>"}, content));
    EXPECT_EQ(platform.intake.messages.size(), 1U);
    return platform.intake.messages.at(0);
  }

  antispam::testing::TxtResolver dns;
  Signing signing{*platform.names, dns, platform.names.workers(), "mx.example.test", platform.clock};
};

// RFC 6376 §5.3: what a host without 8BITMIME would have converted later is converted before it is signed.
TEST_F(Signed, EightBitContentIsMadeSevenBitFirst) {
  const std::string head = "From: alice@example.test\r\nSubject: x\r\n";
  const std::string type = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
  const auto& message = submit(" BODY=8BITMIME", head + type + "\r\nLet us meet in the caf\xc3\xa9 at noon.\r\n");
  const auto content = platform.intake.content(0);
  EXPECT_FALSE(message.eight_bit);
  EXPECT_TRUE(is_ascii(content));
  EXPECT_THAT(content, HasSubstr("\r\nContent-Transfer-Encoding: quoted-printable\r\n"));
  EXPECT_THAT(content, ::testing::EndsWith("\r\n\r\nLet us meet in the caf=C3=A9 at noon.\r\n"));
  EXPECT_EQ(outcomes(content), "pass pass ");
  EXPECT_EQ(outcomes(message::to_seven_bit(content).value()), "pass pass ");
  EXPECT_THAT(platform.traced(), Contains("policy"));
}

TEST_F(Signed, ALabelAloneIsNoReasonToConvert) {
  // Declared 8bit, but nothing in it is: no host makes us touch it, and the label stays what was signed.
  const auto& message = submit(" BODY=8BITMIME", "From: alice@example.test\r\nContent-Transfer-Encoding: 8bit\r\n\r\nplain\r\n");
  EXPECT_FALSE(message.eight_bit);
  EXPECT_THAT(platform.intake.content(0), HasSubstr("Content-Transfer-Encoding: 8bit\r\n"));
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
}

TEST_F(Signed, RawHeadersAreEncodedWithoutSmtpUtf8AndKeptWithIt) {
  const std::string text = "From: \xc3\x84nn <alice@example.test>\r\nSubject: gr\xc3\xbc\xc3\x9f\r\n\r\ncaf\xc3\xa9\r\n";
  EXPECT_FALSE(submit("", text).eight_bit);
  EXPECT_TRUE(is_ascii(platform.intake.content(0)));
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
  EXPECT_TRUE(submit(" SMTPUTF8 BODY=8BITMIME", text).eight_bit);
  EXPECT_THAT(platform.intake.content(0), ::testing::EndsWith(text.substr(text.find("From"))));
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
}

TEST_F(Signed, WhatCannotOrMustNotBeConvertedIsSignedAsItIs) {
  const std::string body = "caf\xc3\xa9\r\n";
  const std::string fixed =
      "From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; "
      "protocol=\"application/pgp-signature\"\r\n\r\n"
      "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" +
      body + "--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n";
  EXPECT_TRUE(submit(" BODY=8BITMIME", fixed).eight_bit);
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
  const std::string signature = "DKIM-Signature: v=1; a=rsa-sha256; d=example.net; s=x; h=from; bh=AAAA; b=AAAA\r\n";
  EXPECT_TRUE(submit(" BODY=8BITMIME", signature + "From: alice@example.test\r\n\r\n" + body).eight_bit);
  EXPECT_THAT(platform.intake.content(0), ::testing::EndsWith(body));
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass permerror ");
}

TEST_F(Signed, BinaryContentIsMadeSevenBitFirst) {
  const std::string content =
      "From: alice@example.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n"
      "Content-Transfer-Encoding: binary\r\n\r\na\nb\rc\xff\r\n";
  say(Service::submission, "MAIL FROM:<alice@example.test> BODY=BINARYMIME\r\nRCPT TO:<x@elsewhere.test>\r\nBDAT " +
                               std::to_string(content.size()) + " LAST\r\n" + content);
  ASSERT_EQ(platform.intake.messages.size(), 1U);
  EXPECT_FALSE(platform.intake.messages[0].binary);
  EXPECT_TRUE(is_ascii(platform.intake.content(0)));
  EXPECT_THAT(platform.intake.content(0), HasSubstr("Content-Transfer-Encoding: base64\r\n"));
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
}

// What was signed for a host that then gave no answer is what is queued: signed once, and still 7bit.
TEST_F(Signed, TheQueueGetsWhatTheHostWasGiven) {
  platform.add("dead@example.test");
  legacy("dead@example.test");
  say(Service::submission, transaction("<alice@example.test>", {"<dead@example.test>"}, "From: alice@example.test\r\n\r\ncaf\xc3\xa9\r\n"));
  ASSERT_EQ(platform.relays.sent.size(), 1U);
  ASSERT_EQ(platform.intake.messages.size(), 1U);
  EXPECT_FALSE(platform.relays.sent[0].message.eight_bit);
  EXPECT_FALSE(platform.intake.messages[0].eight_bit);
  EXPECT_EQ(platform.intake.content(0), platform.relays.sent[0].content);
  EXPECT_EQ(outcomes(platform.intake.content(0)), "pass pass ");
}

TEST_F(Leaving, AForwardIsAMessageOfItsOwnUnderSrs) {
  alias("list@example.test", {"alice@example.test", "x@elsewhere.test", "y@other.test"});
  say(Service::mx, transaction("<sender@elsewhere.test>", {"<list@example.test>", "<bob@example.test>"}, "Subject: x\r\n\r\n"));
  ASSERT_EQ(platform.intake.messages.size(), 2U);
  const auto& forward = platform.intake.messages[platform.intake.messages[0].sender.starts_with("SRS0") ? 0 : 1];
  const auto& direct = platform.intake.messages[platform.intake.messages[0].sender.starts_with("SRS0") ? 1 : 0];
  EXPECT_EQ(direct.sender, "sender@elsewhere.test");
  EXPECT_EQ(direct.recipients.size(), 2U);
  EXPECT_EQ(forward.recipients.size(), 2U);
  EXPECT_EQ(forward.recipients[0].given, "list@example.test");
  EXPECT_NE(forward.trace_id, direct.trace_id);
  const auto child = platform.intake.messages[1];
  EXPECT_EQ(child.parent, platform.intake.messages[0].trace_id);
  const auto position = platform.intake.messages[0].sender.starts_with("SRS0") ? 0U : 1U;
  EXPECT_THAT(platform.intake.content(position), StartsWith("Delivered-To: list@example.test\r\nReceived: "));
  EXPECT_THAT(platform.intake.content(1 - position), StartsWith("Received: "));

  // What comes back to the rewritten sender goes to the one who wrote.
  const auto back = "<" + forward.sender + ">";
  platform.intake.messages.clear();
  EXPECT_THAT(say(Service::mx, transaction("<>", {back}, "Subject: bounce\r\n\r\n")), HasSubstr("queued as"));
  EXPECT_THAT(platform.intake.recipients(), ElementsAre("mx:elsewhere.test <> sender@elsewhere.test"));
  // After three weeks and a day nobody waits for it any more.
  platform.clock.advance(std::chrono::hours(24 * 23));
  EXPECT_THAT(say(Service::mx, transaction("<>", {back}, "")), HasSubstr("\r\n550 5.1.1 "));
}

TEST_F(Leaving, MailOfOurOwnIsForwardedAsItIs) {
  alias("away@example.test", {"x@elsewhere.test"});
  say(Service::submission, transaction("<alice@example.test>", {"<away@example.test>"}, "From: alice@example.test\r\n\r\n"));
  EXPECT_THAT(platform.intake.recipients(), ElementsAre("mx:elsewhere.test alice@example.test x@elsewhere.test"));
}

TEST_F(Leaving, AFullQueueIsATemporaryRefusalAndNobodyGetsIt) {
  alias("both@example.test", {"alice@example.test", "x@elsewhere.test"});
  auto talk = say(Service::mx, "MAIL FROM:<a@b.test>\r\nRCPT TO:<both@example.test>\r\n");
  EXPECT_THAT(talk, HasSubstr("\r\n250 2.1.5"));
  platform.intake.failure = Error{Fault::temporary, "STORAGE_FULL", "full", ""};
  talk = say(Service::mx, transaction("<a@b.test>", {"<both@example.test>"}, "\r\n"));
  EXPECT_THAT(talk, HasSubstr("\r\n452 4.3.1 "));
  EXPECT_EQ(platform.count(alice), 0U);
}

TEST_F(Leaving, SendingLimitsHoldAnAccountBack) {
  platform.sending.set_options({.messages_hour = 2, .messages_day = 10, .recipients_hour = 3, .recipients_day = 10});
  const auto one = transaction("<alice@example.test>", {"<x@elsewhere.test>"}, "From: alice@example.test\r\n\r\n");
  // What comes to nothing is given back.
  say(Service::submission, "MAIL FROM:<alice@example.test>\r\nRCPT TO:<x@elsewhere.test>\r\nRSET\r\nMAIL FROM:<alice@example.test>\r\n");
  const auto talk = say(Service::submission, one + one + one);
  EXPECT_EQ(platform.intake.messages.size(), 2U);
  EXPECT_THAT(talk, HasSubstr("\r\n450 4.7.1 "));
  EXPECT_THAT(platform.traced(), Contains("policy"));
  platform.clock.advance(std::chrono::minutes(70));
  EXPECT_THAT(say(Service::submission, one), HasSubstr("queued as"));
  const auto usage = platform.sending.usage(platform.run(platform.names->find("alice@example.test"))->value().number);
  EXPECT_EQ(usage.messages_day, 3U);
}

TEST_F(Leaving, DomainsThatTakeNoMailAreRefusedAtOnce) {
  platform.outgoing.check = [](Destination destination) -> net::Task<void> {
    if (destination.name == "typo.test") co_return fail(Fault::refused, "no such domain", "5.1.2");
    if (destination.name == "unsure.test") co_return fail(Fault::temporary, "the DNS does not answer", "4.4.3");
    co_return Result<void>{};
  };
  const auto talk = say(Service::submission, "MAIL FROM:<alice@example.test>\r\nRCPT TO:<x@typo.test>\r\nRCPT TO:<x@unsure.test>\r\nRCPT TO:<x@fine.test>\r\n");
  EXPECT_THAT(talk, HasSubstr("\r\n550 5.1.2 no such domain\r\n250 2.1.5 recipient ok\r\n250 2.1.5 recipient ok\r\n"));
}

class OnePassword final : public directory::LegacyCheck {
 public:
  net::Task<void> check(directory::LegacyAttempt attempt) override {
    asked_by = attempt.client_address;
    if (away) co_return fail(Fault::temporary, "no answer");
    if (attempt.password == password) co_return Result<void>{};
    co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
  }
  std::string password;
  std::string asked_by;
  bool away = false;
};

TEST_F(Leaving, SubmissionAsksThePlatformThatTheAccountLivesOn) {
  legacy("alice@example.test");
  OnePassword old;
  directory::AskLimits limits;
  directory::VerifiedCache accepted(10, std::chrono::seconds(0), platform.clock);
  const directory::LegacyLoginParts parts{*platform.names, *platform.names, platform.gate, old, limits, accepted};
  platform.legacy_logins = &parts;
  EXPECT_THAT(say(Service::submission, ""), HasSubstr("535 5.7.8"));
  EXPECT_EQ(old.asked_by, "192.0.2.1");
  old.away = true;
  EXPECT_THAT(say(Service::submission, ""), HasSubstr("454 4.7.0")) << "never a wrong password";
  old.away = false;
  old.password = "secret";
  EXPECT_THAT(say(Service::submission, transaction("<alice@example.test>", {"<x@elsewhere.test>"}, "From: alice@example.test\r\nSubject: x\r\n\r\nbody\r\n")),
              HasSubstr("queued as"));
}

TEST_F(Leaving, ATransferToTheLegacyPlatformIsAGuestUntilItsReply) {
  platform.add("old@example.test");
  legacy("old@example.test");
  const auto number = platform.run(platform.names->find("old@example.test")).value()->number;
  directory::PlacementGate::Presence at_check;
  directory::PlacementGate::Presence at_send;
  platform.relays.on_check = [&] { at_check = platform.gate.presence(number); };
  platform.relays.on_send = [&] { at_send = platform.gate.presence(number); };
  EXPECT_THAT(say(Service::mx, transaction("<a@elsewhere.test>", {"<old@example.test>"}, "Subject: x\r\n\r\nbody\r\n")), HasSubstr("relayed as"));
  EXPECT_EQ(at_check.guests, 0U) << "a slow sender holds up no freeze";
  EXPECT_EQ(at_send.transfers, 1U);
  EXPECT_EQ(platform.gate.presence(number).guests, 0U);
}

TEST_F(Leaving, WhatFindsItsAccountMovingAtTheEndOfTheContentIsQueued) {
  platform.add("old@example.test");
  legacy("old@example.test");
  platform.relays.on_check = [&] {
    // The freeze begins between RCPT and the end of the content.
    auto account = platform.run(platform.names->find("old@example.test")).value().value();
    ASSERT_TRUE(platform.run(platform.names->change_placement(account.number, account.placement.epoch, {directory::Placement::Kind::moving, 0, "old", 0})));
  };
  platform.relays.on_send = [] { FAIL() << "given to the old side in a freeze"; };
  EXPECT_THAT(say(Service::mx, transaction("<a@elsewhere.test>", {"<old@example.test>"}, "Subject: x\r\n\r\nbody\r\n")), HasSubstr("queued as"));
  EXPECT_THAT(platform.intake.recipients(), ElementsAre("legacy:old a@elsewhere.test old@example.test"));
}

TEST_F(Leaving, ARefusalOfTheLegacyPlatformIsOursAndTraced) {
  const auto old = platform.add("old@example.test");
  platform.add("ghost@example.test");
  legacy("old@example.test");
  legacy("ghost@example.test");
  say(Service::mx, transaction("<a@b.test>", {"<ghost@example.test>", "<old@example.test>"}, "Subject: x\r\n\r\n"));
  ASSERT_EQ(platform.relays.sent.size(), 1U);
  EXPECT_EQ(platform.relays.sent[0].destination, "legacy:old");
  EXPECT_THAT(platform.relays.sent[0].content, StartsWith("Received: "));
  EXPECT_THAT(platform.traced(), ElementsAre("refused ghost@example.test", "received old@example.test", "relayed old@example.test"));
  EXPECT_EQ(platform.count(old), 0U) << "nothing is stored here while the account is elsewhere";
}

TEST_F(Leaving, ALocalDeliveryIsTracedToItsPlace) {
  say(Service::mx, transaction("<a@b.test>", {"<alice@example.test>"}, "Message-ID: <m@b.test>\r\n\r\n"));
  const auto events = platform.trace.events();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, TraceKind::received);
  EXPECT_EQ(events[0].message_id, "<m@b.test>");
  EXPECT_EQ(events[0].host, "client.test [192.0.2.1]");
  EXPECT_EQ(events[1].kind, TraceKind::delivered);
  EXPECT_THAT(events[1].host, ::testing::MatchesRegex("shard [01] account 1 mailbox [0-9]+ uid 1"));
}

// ---- the delivery agent's bounces

TEST_F(Leaving, BouncesToSendersElsewhereGoThroughTheQueue) {
  say(Service::mx, "");  // nothing
  Envelope envelope{.id = "d-1", .sender = "sender@elsewhere.test", .trace = "Received: x\r\n", .targets = {}};
  const auto carol = platform.add("carol@example.test");
  envelope.targets.push_back({.account = alice, .login = "alice@example.test", .recipient = "alice@example.test"});
  envelope.targets.push_back({.account = carol, .login = "carol@example.test", .recipient = "carol+x@example.test",
                              .original = {.type = "rfc822", .address = "carol+x@example.test"}});
  envelope.envelope_id = "q+1";
  platform.store.refuse([carol](storage::AccountRef account) {
    return account.account == carol.account ? std::optional<Error>(Error{Fault::temporary, "", "later", ""}) : std::nullopt;
  });
  ASSERT_TRUE(platform.run(platform.delivery->deliver(envelope, platform.prepared("Subject: hello\r\n\r\n"))));
  ASSERT_TRUE(platform.run(platform.names->remove_account("carol@example.test")));
  platform.store.refuse({});
  platform.settle();
  ASSERT_THAT(platform.intake.recipients(), ElementsAre("mx:elsewhere.test <> sender@elsewhere.test"));
  EXPECT_TRUE(platform.intake.messages[0].report);
  EXPECT_EQ(platform.intake.messages[0].parent, "d-1");
  const auto text = platform.intake.content(0);
  EXPECT_THAT(text, HasSubstr("Original-Recipient: rfc822; carol+x@example.test\r\n"));
  EXPECT_THAT(text, HasSubstr("Original-Envelope-Id: q+1\r\n"));
  EXPECT_THAT(text, HasSubstr("Status: 5.1.1\r\n"));
  EXPECT_EQ(platform.count(deferred_account(0), std::string(kHeldMailbox)) + platform.count(deferred_account(1), std::string(kHeldMailbox)), 0U);
}

TEST_F(Leaving, WhoWantsNoBounceGetsNone) {
  const auto carol = platform.add("carol@example.test");
  Envelope envelope{.id = "d-1", .sender = "sender@elsewhere.test", .trace = {}, .targets = {}};
  envelope.targets.push_back({.account = alice, .login = "alice@example.test", .recipient = "alice@example.test"});
  envelope.targets.push_back({.account = carol, .login = "carol@example.test", .recipient = "carol@example.test", .notify = {Notify::kNever}});
  platform.store.refuse([carol](storage::AccountRef account) {
    return account.account == carol.account ? std::optional<Error>(Error{Fault::temporary, "", "later", ""}) : std::nullopt;
  });
  ASSERT_TRUE(platform.run(platform.delivery->deliver(envelope, platform.prepared("\r\n"))));
  ASSERT_TRUE(platform.run(platform.names->remove_account("carol@example.test")));
  platform.store.refuse({});
  platform.settle();
  EXPECT_THAT(platform.intake.recipients(), IsEmpty());
  EXPECT_EQ(platform.delivery->pending(), 0U);
}

TEST_F(Leaving, ACopyForAnAccountThatHasMovedFollowsIt) {
  const auto carol = platform.add("carol@example.test");
  Envelope envelope{.id = "d-1", .sender = "sender@elsewhere.test", .trace = "Received: x\r\n", .targets = {}};
  envelope.targets.push_back({.account = alice, .login = "alice@example.test", .recipient = "alice@example.test"});
  envelope.targets.push_back({.account = carol, .login = "carol@example.test", .recipient = "carol@example.test"});
  platform.store.refuse([carol](storage::AccountRef account) {
    return account.account == carol.account ? std::optional<Error>(Error{Fault::temporary, "", "later", ""}) : std::nullopt;
  });
  ASSERT_TRUE(platform.run(platform.delivery->deliver(envelope, platform.prepared("Subject: x\r\n\r\n"))));
  legacy("carol@example.test");
  platform.settle();
  EXPECT_THAT(platform.intake.recipients(), ElementsAre("legacy:old sender@elsewhere.test carol@example.test"));
  EXPECT_EQ(platform.intake.content(0), "Received: x\r\nSubject: x\r\n\r\n");
}

// ---- lanes

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

class Lanes : public Leaving {
 protected:
  static queue::Dispatch dispatch(const std::vector<std::string>& addresses) {
    queue::Dispatch out;
    out.trace_id = "t-1";
    out.sender = "a@b.test";
    for (const auto& address : addresses) out.recipients.push_back({.number = 0, .address = address, .given = {}, .original = {}, .notify = {}, .turns = 0});
    out.content = std::make_shared<FixedContent>("Received: x\r\nSubject: x\r\n\r\nbody\r\n");
    return out;
  }
  queue::Outcome local(const queue::Dispatch& what) {
    LocalLane lane(*platform.routing, platform.store, platform.clock);
    return platform.run(lane.send(what));
  }
};

TEST_F(Lanes, LocalDeliversOnce) {
  for (int attempt = 0; attempt < 2; ++attempt) {
    const auto done = local(dispatch({"alice@example.test", "bob@example.test"}));
    ASSERT_EQ(done.recipients.size(), 2U);
    for (const auto& recipient : done.recipients) EXPECT_EQ(recipient.disposition, queue::Disposition::delivered);
    EXPECT_EQ(done.once.size(), 2U);
  }
  EXPECT_THAT(platform.messages(alice), ElementsAre("Return-Path: <a@b.test>\r\nDelivered-To: alice@example.test\r\nReceived: x\r\nSubject: x\r\n\r\nbody\r\n"));
  EXPECT_EQ(platform.count(bob), 1U);
}

TEST_F(Lanes, LocalSaysWhereRecipientsHaveGone) {
  alias("list@example.test", {"alice@example.test", "x@elsewhere.test"});
  platform.add("carol@example.test");
  platform.add("dave@example.test");
  legacy("carol@example.test");
  legacy("dave@example.test", directory::Placement::Kind::moving);
  const auto done = local(dispatch({"list@example.test", "carol@example.test", "dave@example.test", "nobody@example.test", "bob+x@example.test"}));
  const auto moves = [&](std::size_t i) {
    std::vector<std::string> out;
    for (const auto& move : done.recipients[i].moves) out.push_back(move.destination + " " + move.address);
    return out;
  };
  EXPECT_THAT(moves(0), UnorderedElementsAre("local alice@example.test", "mx:elsewhere.test x@elsewhere.test"));
  EXPECT_THAT(moves(1), ElementsAre("legacy:old carol@example.test"));
  EXPECT_THAT(moves(2), ElementsAre(StartsWith("account:")));
  EXPECT_EQ(done.recipients[3].disposition, queue::Disposition::permanent);
  EXPECT_EQ(done.recipients[3].status, "5.1.1");
  EXPECT_EQ(done.recipients[4].disposition, queue::Disposition::delivered) << "one account: no detour";
  EXPECT_EQ(platform.count(alice), 0U);
}

TEST_F(Lanes, LocalTellsFullFromBroken) {
  platform.store.refuse([&](storage::AccountRef account) -> std::optional<Error> {
    if (account.account == alice.account) return Error{Fault::refused, "OVERQUOTA", "full", ""};
    return Error{Fault::temporary, "STORAGE_FULL", "no room", ""};
  });
  const auto done = local(dispatch({"alice@example.test", "bob@example.test"}));
  EXPECT_EQ(done.recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done.recipients[0].status, "4.2.2");
  EXPECT_EQ(done.recipients[1].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done.recipients[1].status, "4.3.1");
}

TEST_F(Lanes, AnAccountInCutoverWaitsAndIsReleased) {
  platform.add("dave@example.test");
  legacy("dave@example.test", directory::Placement::Kind::moving);
  AccountLane lane(*platform.routing);
  const auto what = dispatch({"dave@example.test"});
  auto done = platform.run(lane.send(what));
  EXPECT_EQ(done.recipients[0].disposition, queue::Disposition::temporary);
  EXPECT_EQ(done.health, queue::Health::unreachable) << "nothing else for it is tried either";
  legacy("dave@example.test", directory::Placement::Kind::shard);
  done = platform.run(lane.send(what));
  ASSERT_EQ(done.recipients[0].disposition, queue::Disposition::elsewhere);
  EXPECT_EQ(done.recipients[0].moves.front().destination, "local");
  EXPECT_EQ(done.health, queue::Health::good);
}

// ---- routing

TEST_F(Leaving, RoutingFollowsRoutesAtOnce) {
  const auto destination = [&](const std::string& address) { return platform.run(platform.routing->destination(address)).value_or("refused"); };
  EXPECT_EQ(destination("x@elsewhere.test"), "mx:elsewhere.test");
  EXPECT_EQ(destination("x@[192.0.2.1]"), "mx:[192.0.2.1]");
  EXPECT_EQ(destination("alice@example.test"), "local");
  EXPECT_EQ(destination("nobody@example.test"), "refused");
  const auto route = directory::parse_route("*", "smtp://smart.test:587", "", "");
  ASSERT_TRUE(route && platform.run(platform.names->set_route(*route)));
  EXPECT_EQ(destination("x@elsewhere.test"), "smtp:smart.test:587");
  EXPECT_EQ(destination("nobody@example.test"), "refused") << "a route for everything is no route for our own users";
  ASSERT_TRUE(platform.run(platform.names->remove_route("*")));
  EXPECT_EQ(destination("x@elsewhere.test"), "mx:elsewhere.test");
}

}  // namespace
}  // namespace relais::smtp
