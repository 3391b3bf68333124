// Trace fields and base subjects.
#include "message/trace.h"

#include <gtest/gtest.h>

#include "message/base_subject.h"
#include "message/header.h"

namespace relais::message {
namespace {

Received example() {
  return {.helo = "client.example",
          .peer_name = "host.example",
          .peer_address = "192.0.2.1",
          .authenticated_as = {},
          .by = "mx.example",
          .with = with_protocol(false, true, false, true, false),
          .id = "abc123",
          .recipient = "u@d.example",
          .tls_version = "TLSv1.3",
          .tls_cipher = "TLS_AES_256_GCM_SHA384",
          .date = {1'767'261'600, 60}};
}

// RFC 5321 §4.4
TEST(Trace, Received) {
  EXPECT_EQ(received_field(example()),
            "Received: from client.example (host.example [192.0.2.1])\r\n"
            "\tby mx.example with ESMTPS id abc123\r\n"
            "\t(TLSv1.3 cipher TLS_AES_256_GCM_SHA384)\r\n"
            "\tfor <u@d.example>;\r\n"
            "\tThu, 1 Jan 2026 11:00:00 +0100\r\n");
  Received local;
  local.by = "mx.example";
  local.with = "ESMTPA";
  local.id = "x";
  local.authenticated_as = "user@d.example";
  EXPECT_EQ(received_field(local),
            "Received: from unknown\r\n"
            "\t(authenticated as user@d.example)\r\n"
            "\tby mx.example with ESMTPA id x;\r\n"
            "\tThu, 1 Jan 1970 00:00:00 +0000\r\n");
}

TEST(Trace, NothingInjectsAField) {
  auto received = example();
  received.helo = "a\r\nBcc: x\r\n\r\nbody (c) \\";
  received.peer_name = "evil) by (";
  received.peer_address = "2001:db8::1";
  received.recipient = "\"a\r\nb\"@c>";
  received.tls_cipher = "x)\n";
  const auto text = received_field(received) + return_path_field("a\r\nX: y@b") + delivered_to_field("a\n\nb");
  std::vector<std::string> names;
  for_each_field(text, [&](const Field& field) { names.emplace_back(field.name); });
  EXPECT_EQ(names, (std::vector<std::string>{"Received", "Return-Path", "Delivered-To"}));
  EXPECT_TRUE(text.contains("[IPv6:2001:db8::1]"));
  EXPECT_TRUE(text.contains("(evil??by?? [")) << text;
  auto huge = example();
  const std::string long_helo(100'000, 'a');
  huge.helo = long_helo;
  EXPECT_LT(received_field(huge).size(), 1000U);
}

TEST(Trace, ReturnPathAndDeliveredTo) {
  EXPECT_EQ(return_path_field(""), "Return-Path: <>\r\n");
  EXPECT_EQ(return_path_field("\"a b\"@c"), "Return-Path: <\"a b\"@c>\r\n");
  EXPECT_EQ(delivered_to_field("jürgen@d.example"), "Delivered-To: jürgen@d.example\r\n");
  const std::string header = "Received: x\r\nreceived: y\r\n z\r\nX-Received: no\r\nDelivered-To: U@d.example \r\n\r\nReceived: body\r\n";
  EXPECT_EQ(count_received(header), 2U);
  EXPECT_TRUE(has_delivered_to(header, "u@D.example"));
  EXPECT_FALSE(has_delivered_to(header, "v@d.example"));
}

// RFC 3848, RFC 6531 §4.3
TEST(Trace, WithProtocol) {
  EXPECT_EQ(with_protocol(false, false, false, false, false), "SMTP");
  EXPECT_EQ(with_protocol(false, true, false, true, true), "ESMTPSA");
  EXPECT_EQ(with_protocol(true, true, false, false, false), "LMTP");
  EXPECT_EQ(with_protocol(false, true, true, true, false), "UTF8SMTPS");
  EXPECT_EQ(with_protocol(true, true, true, false, true), "UTF8LMTPA");
}

// RFC 5256 §2.1
TEST(BaseSubject, Rules) {
  struct Row {
    std::string_view subject, base;
    bool reply;
  };
  const Row rows[] = {
      {"hello", "hello", false},
      {"Re: hello", "hello", true},
      {"RE : re:Fwd:\tfw: hello  world ", "hello world", true},
      {"[list] Re: [list] hello", "hello", true},
      {"[list] hello", "hello", false},
      {"[list]", "[list]", false},
      {"[a] [b]", "[b]", false},
      {"Re[2]: hello", "hello", true},
      {"hello (fwd) (FWD)", "hello", true},
      {"[Fwd: Re: hello]", "hello", true},
      {"[fwd: hello", "[fwd: hello", false},
      {"=?utf-8?q?Re:_h=C3=A4?=", "hä", true},
      {"Regarding", "Regarding", false},
      {"Re:", "", true},
      {"", "", false},
  };
  for (const auto& row : rows) {
    bool reply = false;
    EXPECT_EQ(base_subject(row.subject, &reply), row.base) << row.subject;
    EXPECT_EQ(reply, row.reply) << row.subject;
  }
}

}  // namespace
}  // namespace relais::message
