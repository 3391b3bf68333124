// What storage keeps of a message: golden results.
#include "message/summary.h"

#include <gtest/gtest.h>

#include "base/encode.h"
#include "message/wire_grammar_testing.h"

namespace relais::message {
namespace {

using namespace std::string_literals;

constexpr std::string_view kMessage =
    "Received: from a by b; Thu, 1 Jan 2026 10:00:00 +0000\r\n"
    "Date: Thu, 1 Jan 2026 11:00:00 +0100\r\n"
    "From: \"Ann \\\"A\\\" Smith\" <ann@a.example>\r\n"
    "To: Friends: bob@b.example, =?utf-8?q?J=C3=BCrgen?=\r\n <j@c.example>;, dan@d.example (Dan)\r\n"
    "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=,\r\n folded\r\n"
    "Message-ID: <1@a.example>\r\n"
    "In-Reply-To: <0@b.example>\r\n"
    "MIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=\"b1\"\r\n"
    "Content-Language: en, de\r\n"
    "\r\n"
    "--b1\r\n"
    "Content-Type: text/plain; format=flowed\r\n"
    "\r\n"
    "Hello\r\n"
    "\r\n"
    "--b1\r\n"
    "Content-Type: message/rfc822\r\n"
    "Content-Description: forwarded\r\n"
    "\r\n"
    "From: x@y.example\r\n"
    "Subject:\r\n"
    "\r\n"
    "text\r\n"
    "--b1\r\n"
    "Content-Type: image/png; name=\"=?utf-8?q?a=C3=A4?=\"\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "Content-ID: <img@a.example>\r\n"
    "Content-Disposition: attachment; filename*0*=utf-8''a%20;\r\n"
    " filename*1=\"b.png\"\r\n"
    "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n"
    "Content-Location: img.png\r\n"
    "\r\n"
    "AAAA\r\n"
    "--b1--\r\n";

TEST(Summary, Golden) {
  const auto summary = summarize(kMessage);
  EXPECT_EQ(
      summary.envelope,
      R"x(("Thu, 1 Jan 2026 11:00:00 +0100" "=?utf-8?q?Gr=C3=BC=C3=9Fe?=, folded" )x"
      R"x((("Ann \"A\" Smith" NIL "ann" "a.example")) (("Ann \"A\" Smith" NIL "ann" "a.example")) (("Ann \"A\" Smith" NIL "ann" "a.example")) )x"
      R"x(((NIL NIL "Friends" NIL)(NIL NIL "bob" "b.example")("=?utf-8?q?J=C3=BCrgen?=" NIL "j" "c.example")(NIL NIL NIL NIL)("Dan" NIL "dan" "d.example")) )x"
      R"x(NIL NIL "<0@b.example>" "<1@a.example>"))x");
  EXPECT_EQ(summary.body,
            R"x((("text" "plain" ("format" "flowed" "charset" "us-ascii") NIL NIL "7bit" 7 1))x"
            R"x(("message" "rfc822" NIL NIL "forwarded" "7bit" 35 )x"
            R"x((NIL "" ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) NIL NIL NIL NIL NIL) )x"
            R"x(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0) 3))x"
            R"x(("image" "png" ("name" "=?utf-8?q?a=C3=A4?=") "<img@a.example>" NIL "base64" 4) "mixed"))x");
  EXPECT_EQ(summary.body_structure,
            R"x((("text" "plain" ("format" "flowed" "charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL))x"
            R"x(("message" "rfc822" NIL NIL "forwarded" "7bit" 35 )x"
            R"x((NIL "" ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) ((NIL NIL "x" "y.example")) NIL NIL NIL NIL NIL) )x"
            R"x(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 3 NIL NIL NIL NIL))x"
            R"x(("image" "png" ("name" "=?utf-8?q?a=C3=A4?=") "<img@a.example>" NIL "base64" 4 "Q2hlY2sgSW50ZWdyaXR5IQ==" )x"
            R"x(("attachment" ("filename*" "utf-8''a%20b.png")) NIL "img.png") )x"
            R"x("mixed" ("boundary" "b1") NIL ("en" "de") NIL))x");
  EXPECT_EQ(summary.sent_date, 1'767'261'600);
  EXPECT_EQ(summary.sent_zone, 60);
  EXPECT_EQ(summary.sent_day(), 20'454);
  EXPECT_EQ(summary.message_id, "<1@a.example>");
  EXPECT_TRUE(summary.header_fields_complete);
  const auto header = kMessage.substr(0, header_end(kMessage));
  EXPECT_EQ(summary.header_fields, header.substr(header.find("Date:"), header.size() - header.find("Date:") - 2));
  EXPECT_EQ(testing::WireGrammar::check_envelope(summary.envelope), "");
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body, false), "");
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body_structure, true), "");
}

// A quoted string may hold neither 8-bit octets nor line ends; no string may hold NUL (RFC 9051 §9).
TEST(Summary, OddStrings) {
  EXPECT_EQ(summarize("Subject: caf\xc3\xa9\r\n").envelope, "(NIL {5}\r\ncaf\xc3\xa9 NIL NIL NIL NIL NIL NIL NIL NIL)");
  EXPECT_EQ(summarize("Subject: a\0\rb\\\r\n\r\n"s).envelope, R"((NIL "ab\\" NIL NIL NIL NIL NIL NIL NIL NIL))");
  EXPECT_EQ(summarize("Subject: \r\nTo:\r\n\r\n").envelope, R"((NIL "" NIL NIL NIL NIL NIL NIL NIL NIL))");
  const std::string subject(1500, 'x');
  EXPECT_EQ(summarize("Subject: " + subject + "\r\n").envelope, "(NIL {1500}\r\n" + subject + " NIL NIL NIL NIL NIL NIL NIL NIL)");
  EXPECT_EQ(summarize("From: root\r\nTo: Ann Smith\r\n").envelope,
            R"((NIL NIL ((NIL NIL "root" "MISSING_DOMAIN")) ((NIL NIL "root" "MISSING_DOMAIN")) ((NIL NIL "root" "MISSING_DOMAIN")) )"
            R"((("Ann Smith" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")) NIL NIL NIL NIL))");
}

TEST(Summary, SeveralFieldsOfOneName) {
  EXPECT_EQ(summarize("Subject: a\r\nTo: a@b\r\nSubject: b\r\nTo: c@d\r\n").envelope,
            R"((NIL "b" NIL NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL))");
}

TEST(Summary, Defaults) {
  EXPECT_EQ(summarize("").body_structure, R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL))");
  EXPECT_EQ(summarize("\r\na\r\nb\r\n").body, R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 2))");
  EXPECT_EQ(summarize("Content-Type: multipart/mixed; boundary=b\r\n\r\n").body_structure,
            R"((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL))");
  EXPECT_EQ(summarize("Content-Transfer-Encoding: x-uuencode\r\nContent-Type: a/b\r\n\r\n").body,
            R"(("a" "b" NIL NIL NIL "x-uuencode" 0))");
  EXPECT_EQ(summarize("Content-Disposition: ;x\r\nContent-Language: \r\n\r\n").body_structure,
            R"(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL))");
  EXPECT_EQ(summarize("").sent_day(), 0);
}

TEST(Summary, TraceHeadersShiftIt) {
  const std::string trace = "Return-Path: <r@x.example>\r\nDelivered-To: u@d.example\r\nReceived: from x\r\n\tby y; now\r\n";
  auto shifted = summarize(kMessage);
  shift(shifted, trace);
  const auto whole = summarize(trace + std::string(kMessage));
  EXPECT_EQ(shifted.envelope, whole.envelope);
  EXPECT_EQ(shifted.body_structure, whole.body_structure);
  EXPECT_EQ(shifted.body, whole.body);
  EXPECT_EQ(to_hex(shifted.parts), to_hex(whole.parts));
  EXPECT_EQ(shifted.header_fields, whole.header_fields);
  EXPECT_TRUE(shifted.header_fields.starts_with("Return-Path: <r@x.example>\r\nDelivered-To: u@d.example\r\nDate:"));
  EXPECT_EQ(shifted.sent_date, whole.sent_date);
}

TEST(Summary, LargeHeadersAreNotKept) {
  const std::string field = "To: " + std::string(kMaxCachedHeader - 100, 'a') + "\r\n";
  auto summary = summarize(field);
  EXPECT_EQ(summary.header_fields, field);
  shift(summary, "Delivered-To: " + std::string(200, 'u') + "\r\n");
  EXPECT_FALSE(summary.header_fields_complete);
  EXPECT_TRUE(summary.header_fields.empty());
  EXPECT_FALSE(summarize(field + field).header_fields_complete);
  EXPECT_TRUE(summarize("X-Uncached: " + std::string(100'000, 'a') + "\r\n").header_fields_complete);
}

}  // namespace
}  // namespace relais::message
