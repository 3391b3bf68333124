// Delivery status notifications: their parts, their words, their limits.
#include "message/delivery_status.h"

#include "base/ascii.h"
#include "message/decode.h"
#include "message/header.h"
#include "message/mime.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace relais::message {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kOriginal =
    "Received: x\r\nFrom: ann@example.org\r\nTo: bob@example.net\r\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: "
    "<m1@example.org>\r\n\r\nHello Bob\r\n";

Report sample() {
  Report report;
  report.hostname = "mx.example.org";
  report.report_id = "r-1";
  report.id = "t-1";
  report.sender = "ann@example.org";
  report.arrived = 1'767'225'600;
  report.now = 1'767'229'200;
  report.recipients.push_back({.recipient = "bob@example.net",
                               .host = "mx.example.net [192.0.2.1]",
                               .reply = "550 5.1.1 <bob@example.net>: no such user here",
                               .last_attempt = 1'767'229'200});
  return report;
}

std::string part(std::string_view message, std::uint32_t number) {
  const auto structure = parse_structure(message);
  const std::uint32_t section[] = {number};
  const auto range = find_section(structure, section, SectionText::all);
  const auto* found = find(structure, section);
  if (!range || found == nullptr) return "no such part";
  return decode_transfer(found->encoding, message.substr(range->begin, range->size()));
}

std::string type_of(std::string_view message, std::uint32_t number) {
  const auto structure = parse_structure(message);
  const std::uint32_t section[] = {number};
  const auto* found = find(structure, section);
  return found == nullptr ? "none" : found->type + "/" + found->subtype;
}

void expect_well_formed(std::string_view message) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < message.size(); ++i) {
    if (message[i] == '\n') {
      ASSERT_TRUE(i > 0 && message[i - 1] == '\r') << "bare LF at " << i;
      line = 0;
    } else {
      if (message[i] == '\r') ASSERT_TRUE(i + 1 < message.size() && message[i + 1] == '\n') << "bare CR at " << i;
      ASSERT_NE(message[i], '\0');
      ASSERT_LE(++line, 999U);
    }
  }
  EXPECT_TRUE(message.ends_with("--\r\n"));
}

TEST(DeliveryStatus, AFailureIsToldToPeopleAndSoftware) {
  const auto built = build_report(sample(), kOriginal);
  expect_well_formed(built.message);
  EXPECT_FALSE(built.eight_bit);
  EXPECT_FALSE(built.smtputf8);
  const auto header = built.message.substr(0, header_end(built.message));
  EXPECT_EQ(find_field(header, "From"), "Mail Delivery System <mailer-daemon@mx.example.org>");
  EXPECT_EQ(find_field(header, "To"), "<ann@example.org>");
  EXPECT_EQ(find_field(header, "Subject"), "Your message could not be delivered");
  EXPECT_EQ(find_field(header, "Message-ID"), "<r-1@mx.example.org>");
  EXPECT_EQ(find_field(header, "In-Reply-To"), "<m1@example.org>");
  EXPECT_EQ(find_field(header, "Auto-Submitted"), "auto-replied");
  EXPECT_THAT(*find_field(header, "Content-Type"), StartsWith("multipart/report; report-type=delivery-status;"));
  EXPECT_EQ(type_of(built.message, 1), "text/plain");
  EXPECT_EQ(type_of(built.message, 2), "message/delivery-status");
  EXPECT_EQ(type_of(built.message, 3), "text/rfc822-headers");
  const auto text = part(built.message, 1);
  EXPECT_THAT(text, HasSubstr("Subject:  Gr\xC3\xBC\xC3\x9F"
                              "e\r\n"));
  EXPECT_THAT(text, HasSubstr("could not be delivered to this recipient:"));
  EXPECT_THAT(text, HasSubstr("<bob@example.net>"));
  EXPECT_THAT(text, HasSubstr("There is no mailbox with this address."));
  EXPECT_THAT(text, HasSubstr("What the server mx.example.net [192.0.2.1] said:"));
  EXPECT_THAT(text, HasSubstr("550 5.1.1 <bob@example.net>: no such user here"));
  EXPECT_THAT(text, HasSubstr("it will not be tried again"));
  EXPECT_THAT(text, HasSubstr("Check the address for typing errors"));
  EXPECT_EQ(
      part(built.message, 2),
      "Reporting-MTA: dns; mx.example.org\r\nArrival-Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nX-Relais-Id: t-1\r\n\r\n"
      "Final-Recipient: rfc822; bob@example.net\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.example.net ([192.0.2.1])\r\n"
      "Diagnostic-Code: smtp; 550 5.1.1 <bob@example.net>: no such user here\r\nLast-Attempt-Date: Thu, 1 Jan 2026 01:00:00 +0000\r\n");
  EXPECT_EQ(part(built.message, 3), kOriginal.substr(0, header_end(kOriginal)));
}

struct ActionCase {
  DeliveryAction action;
  std::string_view subject, action_name, status, text;
};

TEST(DeliveryStatus, EachActionHasItsWords) {
  const ActionCase cases[] = {
      {DeliveryAction::failed, "Your message could not be delivered", "failed", "5.0.0", "will not be tried again"},
      {DeliveryAction::delayed, "Your message is delayed", "delayed", "4.0.0", "you need not send it again"},
      {DeliveryAction::delivered, "Your message was delivered", "delivered", "2.0.0", "put into the recipient's mailbox"},
      {DeliveryAction::relayed, "Your message was passed on", "relayed", "2.0.0", "sends no notices of its own"},
      {DeliveryAction::expanded, "Your message was passed on", "expanded", "2.0.0", "members of the list"},
  };
  for (const auto& c : cases) {
    auto report = sample();
    report.return_full = true;
    auto& recipient = report.recipients[0];
    recipient = {.recipient = "bob@example.net", .action = c.action, .retry_until = 1'767'657'600};
    const auto message = build_report(report, kOriginal).message;
    EXPECT_EQ(find_field(message, "Subject"), c.subject);
    EXPECT_THAT(part(message, 2), HasSubstr("Action: " + std::string(c.action_name) + "\r\nStatus: " + std::string(c.status) + "\r\n"));
    auto text = part(message, 1);
    for (std::size_t at = 0; (at = text.find("\r\n", at)) != std::string::npos;)
      text.replace(at, text.find_first_not_of("\r\n ", at) - at, " ");
    EXPECT_THAT(text, HasSubstr(c.text));
    EXPECT_EQ(text.contains("It will be tried until Tue, 6 Jan 2026 00:00:00 +0000"), c.action == DeliveryAction::delayed) << text;
    EXPECT_EQ(part(message, 2).contains("Will-Retry-Until: Tue, 6 Jan 2026 00:00:00 +0000"), c.action == DeliveryAction::delayed);
    // RFC 3461 §6.2: the whole message for failures alone.
    EXPECT_EQ(type_of(message, 3), c.action == DeliveryAction::failed ? "message/rfc822" : "text/rfc822-headers");
  }
}

TEST(DeliveryStatus, TheEnvelopeComesBack) {
  auto report = sample();
  report.envelope_id = "QQ314159+x";
  report.deliver_by = 1'767'225'720;
  report.hold_request = "until;2026-01-01T00:00:00Z";
  report.recipients[0].original_type = "rfc822";
  report.recipients[0].original = "Bob+list@Example.NET";
  const auto message = build_report(report, kOriginal).message;
  const auto status = part(message, 2);
  EXPECT_THAT(status, StartsWith("Original-Envelope-Id: QQ314159+x\r\n"));
  EXPECT_THAT(status,
              HasSubstr("\r\nDeliver-By-Date: Thu, 1 Jan 2026 00:02:00 +0000\r\nFuture-Release-Request: until;2026-01-01T00:00:00Z\r\n"));
  EXPECT_THAT(status,
              HasSubstr("\r\n\r\nOriginal-Recipient: rfc822; Bob+list@Example.NET\r\nFinal-Recipient: rfc822; bob@example.net\r\n"));
  EXPECT_THAT(part(message, 1), HasSubstr("(where mail for <Bob+list@Example.NET> goes)"));
  EXPECT_THAT(part(build_report(sample(), kOriginal).message, 2), Not(HasSubstr("Original-")));
}

TEST(DeliveryStatus, RepliesOfSeveralLines) {
  auto report = sample();
  report.recipients[0].reply = "550-mailbox unavailable\r\n550 user has moved with no forwarding address\r\n";
  const auto message = build_report(report, kOriginal).message;
  // RFC 3461 §9.2
  EXPECT_THAT(part(message, 2),
              HasSubstr("Diagnostic-Code: smtp; 550-mailbox unavailable\r\n 550 user has moved with no forwarding address\r\n"));
  EXPECT_THAT(part(message, 2), HasSubstr("Status: 5.0.0\r\n"));
  std::string endless;
  for (int i = 0; i < 1'000; ++i) endless += "550-" + std::string(2'000, 'x') + "\n";
  report.recipients[0].reply = endless;
  const auto bounded = build_report(report, kOriginal).message;
  expect_well_formed(bounded);
  EXPECT_LT(bounded.size(), 40'000U);
}

TEST(DeliveryStatus, FullReturnHasItsLimits) {
  auto report = sample();
  report.return_full = true;
  auto message = build_report(report, kOriginal).message;
  EXPECT_EQ(type_of(message, 3), "message/rfc822");
  EXPECT_THAT(part(message, 3), StartsWith(kOriginal));
  EXPECT_THAT(part(message, 1), HasSubstr("Your message is attached."));
  report.max_full = kOriginal.size() - 1;
  message = build_report(report, kOriginal).message;
  EXPECT_EQ(type_of(message, 3), "text/rfc822-headers");
  EXPECT_THAT(part(message, 1), HasSubstr("too large to come back"));
  report.max_full = 1'000'000;
  for (const auto& body : {std::string(2'000, 'x'), std::string("a\rb"), std::string("a\nb"), std::string("a\0b", 3)}) {
    message = build_report(report, "From: a@b.c\r\n\r\n" + body).message;
    EXPECT_EQ(type_of(message, 3), "text/rfc822-headers");
    expect_well_formed(message);
  }
  std::string header = "From: a@b.c\r\n";
  while (header.size() < 3 * kMaxReturnedHeader) header += "X-Pad: " + std::string(500, 'x') + "\r\n";
  report.return_full = false;
  message = build_report(report, header + "\r\nbody\r\n").message;
  EXPECT_LE(part(message, 3).size(), kMaxReturnedHeader);
  EXPECT_TRUE(part(message, 3).ends_with("x\r\n"));
  EXPECT_EQ(type_of(build_report(report, "").message, 3), "text/rfc822-headers");
}

TEST(DeliveryStatus, SeveralRecipientsAreSortedByWhatHappened) {
  auto report = sample();
  report.recipients.push_back({.recipient = "late@example.net", .action = DeliveryAction::delayed, .reply = "451 4.7.1 greylisted"});
  report.recipients.push_back({.recipient = "gone@example.net", .reply = "552 5.2.2 full"});
  const auto message = build_report(report, kOriginal).message;
  const auto text = part(message, 1);
  EXPECT_EQ(find_field(message, "Subject"), "Your message could not be delivered");
  EXPECT_THAT(text, HasSubstr("could not be delivered to these 2 recipients:"));
  EXPECT_LT(text.find("<gone@"), text.find("<late@"));
  EXPECT_THAT(text, HasSubstr("The recipient's mailbox is full."));
  for (int i = 0; i < 2'000; ++i) report.recipients.push_back({.recipient = "u" + std::to_string(i) + "@example.net"});
  const auto large = build_report(report, kOriginal).message;
  EXPECT_THAT(part(large, 1), HasSubstr("(1503 more recipients are listed in the next part of this report.)"));
  EXPECT_THAT(part(large, 2), HasSubstr("Final-Recipient: rfc822; u1999@example.net\r\n"));
}

// RFC 6533: UTF-8 types for senders that use SMTPUTF8, escapes for all others.
TEST(DeliveryStatus, InternationalAddresses) {
  auto report = sample();
  report.recipients[0].recipient = "b\xC3\xBC\xF0\x9F\x93\xAB+x@example.net";
  report.recipients[0].original_type = "utf-8";
  report.recipients[0].original = report.recipients[0].recipient;
  report.recipients[0].reply = "550 5.1.1 <b\xC3\xBC>?";
  auto built = build_report(report, kOriginal);
  EXPECT_FALSE(built.eight_bit);
  EXPECT_FALSE(built.smtputf8);
  EXPECT_TRUE(is_ascii(built.message));
  EXPECT_EQ(type_of(built.message, 2), "message/delivery-status");
  EXPECT_THAT(part(built.message, 2), HasSubstr("Original-Recipient: utf-8; b\\x{FC}\\x{1F4EB}\\x{2B}x@example.net\r\nFinal-Recipient: "
                                                "utf-8; b\\x{FC}\\x{1F4EB}\\x{2B}x@example.net\r\n"));
  EXPECT_THAT(part(built.message, 2), HasSubstr("smtp; 550 5.1.1 <b?"
                                                "?>?\r\n"));
  EXPECT_THAT(part(built.message, 1), HasSubstr("<b\xC3\xBC\xF0\x9F\x93\xAB+x@example.net>"));
  report.smtputf8 = true;
  report.return_full = true;
  report.sender = "\xC3\xA4nn@example.org";
  built = build_report(report, "From: \xC3\xA4nn@example.org\r\n\r\nx\r\n");
  EXPECT_TRUE(built.eight_bit);
  EXPECT_TRUE(built.smtputf8);
  EXPECT_EQ(type_of(built.message, 2), "message/global-delivery-status");
  EXPECT_EQ(type_of(built.message, 3), "message/global");
  EXPECT_THAT(built.message, HasSubstr("Final-Recipient: utf-8; b\xC3\xBC\xF0\x9F\x93\xAB+x@example.net\r\n"));
  EXPECT_EQ(find_field(built.message, "To"), "<\xC3\xA4nn@example.org>");
  report.return_full = false;
  EXPECT_EQ(type_of(build_report(report, "From: \xC3\xA4nn@example.org\r\n\r\nx\r\n").message, 3), "message/global-headers");
  // Octets that are not UTF-8 can be shown to nobody as they are.
  const auto odd = build_report(report, "From: \xFFnn@example.org\r\n\r\nx\r\n").message;
  EXPECT_EQ(type_of(odd, 3), "text/rfc822-headers");
  EXPECT_EQ(part(odd, 3), "From: \xFFnn@example.org\r\n\r\n");
}

TEST(DeliveryStatus, NothingFromOutsideEndsALine) {
  auto report = sample();
  report.sender = "a\r\nBcc: c@d.test";
  report.id = "x\r\nW: w";
  report.report_id = "x-1\"\r\nV: v";
  report.envelope_id = "e\r\n\r\nU: u";
  auto& recipient = report.recipients[0];
  recipient = {.recipient = "b\r\nX: y",
               .original_type = "t\r\nT: t",
               .original = "o\r\nS: s",
               .status = "5.1.1\r\nR: r",
               .host = "h\r\nQ: q i)\r\nP: p",
               .reason = "no\r\nZ: z"};
  const auto message = build_report(report, "Subject: =_x-1---V--v\r\nMessage-ID: <a\tb>\r\n\r\n").message;
  expect_well_formed(message);
  for (const auto* injected :
       {"\r\nBcc:", "\r\nX:", "\r\nZ:", "\r\nW:", "\r\nV:", "\r\nU:", "\r\nT:", "\r\nS:", "\r\nR:", "\r\nQ:", "\r\nP:", "In-Reply-To"}) {
    EXPECT_THAT(message, Not(HasSubstr(injected)));
  }
  EXPECT_EQ(type_of(message, 3), "text/rfc822-headers");
  EXPECT_EQ(type_of(message, 4), "none");
  EXPECT_THAT(message, HasSubstr("boundary=\"=_x-1---V--v_0\""));
}

TEST(DeliveryStatus, EnhancedStatusOfAReply) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"550 5.1.1 no", "5.1.1"},
      {"450-4.7.1 wait", "4.7.1"},
      {"550 5.1.10 x", "5.1.10"},
      {"250 2.0.0", "2.0.0"},
      {"550 4.1.1 no", ""},
      {"550 no", ""},
      {"550 5.1 no", ""},
      {"550 5.1.1.1 no", ""},
      {"550 5.1234.1 no", ""},
      {"550", ""},
      {"", ""},
      {"550 5.x.1 no", ""},
  };
  for (const auto& [reply, status] : cases) EXPECT_EQ(enhanced_status(reply), status) << reply;
}

TEST(DeliveryStatus, EveryStatusHasAnExplanation) {
  for (int subject = 0; subject < 8; ++subject) {
    for (int detail = 0; detail < 40; ++detail) {
      for (const auto action : {DeliveryAction::failed, DeliveryAction::delayed}) {
        const auto status = "5." + std::to_string(subject) + "." + std::to_string(detail);
        const auto explanation = explain_status(status, action);
        EXPECT_FALSE(explanation.happened.empty()) << status;
        EXPECT_EQ(explanation.advice.empty(), action == DeliveryAction::delayed) << status;
      }
    }
  }
}

}  // namespace
}  // namespace relais::message
