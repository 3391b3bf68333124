// Input made to hurt: each of these takes seconds or the whole memory if anything is quadratic or unbounded.
#include <gtest/gtest.h>

#include "message/address.h"
#include "message/base_subject.h"
#include "message/decode.h"
#include "message/summary.h"
#include "message/wire_grammar_testing.h"

namespace relais::message {
namespace {

std::string repeat(std::string_view text, std::size_t times) {
  std::string out;
  out.reserve(text.size() * times);
  while (times-- > 0) out.append(text);
  return out;
}

using namespace std::string_literals;

Summary checked(std::string_view message) {
  auto summary = summarize(message);
  EXPECT_EQ(testing::WireGrammar::check_envelope(summary.envelope), "");
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body_structure, true), "");
  EXPECT_EQ(testing::WireGrammar::check_body(summary.body, false), "");
  EXPECT_TRUE(decode_parts(summary.parts).has_value());
  return summary;
}

TEST(Hostile, TwentyThousandNestedMultiparts) {
  std::string message;
  for (int i = 0; i < 20'000; ++i) {
    const auto boundary = std::to_string(100'000 + i);  // none begins with another
    message.append("Content-Type: multipart/mixed; boundary=\"b").append(boundary).append("\"\r\n\r\n--b").append(boundary).append("\r\n");
  }
  const auto summary = checked(message);
  const auto structure = parse_structure(message);
  EXPECT_LE(structure.parts.size(), kMaxDepth + 1U);
  EXPECT_EQ(structure.parts.back().depth, kMaxDepth);
  EXPECT_EQ(structure.parts.back().type, "application");
}

TEST(Hostile, TwentyThousandNestedMessages) {
  const auto summary = checked(repeat("Content-Type: message/rfc822\r\nSubject: again\r\n\r\n", 20'000));
  EXPECT_EQ(parse_structure(repeat("Content-Type: message/rfc822\n\n", 20'000)).parts.size(), kMaxDepth + 1U);
}

TEST(Hostile, PartsBeyondTheLimitBelongToTheLastOne) {
  const auto message = "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + repeat("--b\r\n\r\nx\r\n", 50'000) + "--b--\r\n";
  const auto structure = parse_structure(message);
  EXPECT_LE(structure.parts.size(), kMaxParts);
  EXPECT_GT(structure.parts.size(), kMaxParts - 10);
  EXPECT_EQ(structure.parts.back().body_end, message.size());
  checked(message);
}

TEST(Hostile, LongBoundariesWithCommonPrefixesAndLinesThatAlmostFit) {
  const std::string prefix(5'000, 'a');
  std::string message;
  for (int i = 0; i < 100; ++i) {
    const auto boundary = prefix + std::to_string(i) + "!";
    message.append("Content-Type: multipart/mixed; boundary=\"").append(boundary).append("\"\r\n\r\n--").append(boundary).append("\r\n");
  }
  message.append(repeat("--" + prefix + "\r\n", 2'000));
  checked(message);
}

TEST(Hostile, HundredThousandFields) {
  const auto summary = checked(repeat("To: a@b.example\r\nSubject: s\r\nX: y\r\nReceived: z\r\n", 25'000) + "\r\nbody");
  EXPECT_FALSE(summary.header_fields_complete);
  EXPECT_TRUE(summary.header_fields.empty());
}

TEST(Hostile, TenMegabyteLines) {
  const std::string line(10'000'000, 'x');
  checked(line);
  checked("Subject: " + line);
  checked(line + ": value");
  checked("\r\n" + line);
  checked("Subject: " + repeat("x\r\n ", 1'000'000));
  checked("To: " + repeat("a,", 300'000));
  checked("To: " + repeat("(", 1'000'000) + repeat("\"", 1'000'001));
  checked("To: " + repeat("<", 1'000'000));
  checked("To: " + repeat("[", 1'000'000));
  checked("To: " + repeat("a:", 1'000'000));
  checked("Date: " + repeat("(a)", 1'000'000));
  checked("Date: " + repeat("1 ", 1'000'000));
  checked("Content-Type: text/plain" + repeat("; a*0=b", 100'000));
  checked("Content-Type: text/plain; x=" + repeat("a ", 1'000'000));
  checked("Content-Type: text/plain; x=" + repeat("(a) ", 1'000'000));
  std::string continued = "Content-Type: text/plain";
  for (int i = 100'000; i-- > 0;) continued.append("; name*").append(std::to_string(i)).append("*=%41");
  checked(continued);
}

// However many addresses and parameters, what is stored and sent stays within bounds.
TEST(Hostile, WhatIsKeptIsBounded) {
  for (const auto& message :
       {"From: " + repeat("a,", 2'000'000), repeat("From: a,b,c\r\n", 200'000), "Subject: " + std::string(5'000'000, 'x'),
        "Content-Type: text/plain" + repeat(";a=", 1'000'000), "Content-Type: text/" + std::string(5'000'000, 'x'),
        "Content-Transfer-Encoding: " + std::string(5'000'000, 'x'), "Content-Language: " + repeat("a,", 2'000'000),
        "Content-ID: " + std::string(5'000'000, '\"'), "Content-Disposition: " + std::string(5'000'000, 'x'),
        repeat("Content-Type: message/rfc822\r\nFrom: " + repeat("a,", 10'000) + "\r\n\r\n", 90)}) {
    SCOPED_TRACE(message.substr(0, 40));
    const auto summary = checked(message);
    EXPECT_LT(summary.envelope.size(), 4 * kMaxWireText);
    EXPECT_LT(summary.body_structure.size(), 4 * kMaxWireText);
    EXPECT_LT(summary.body.size(), 4 * kMaxWireText);
  }
}

TEST(Hostile, Decoders) {
  EXPECT_EQ(decode_words(repeat("=?", 500'000)).size(), 1'000'000U);
  EXPECT_EQ(decode_words(repeat("=?utf-8?q?a", 100'000)).size(), 1'100'000U);
  EXPECT_EQ(decode_words(repeat("=?utf-8?q?a?= ", 100'000)).size(), 100'000U);
  EXPECT_EQ(decode_words(repeat("=?x-nothing?q?a?= ", 50'000)).size(), 50'000U * 18 - 1);
  EXPECT_FALSE(base_subject(repeat("[", 500'000)).empty());
  base_subject(repeat("[a]", 300'000));
  base_subject(repeat("re:", 300'000));
  base_subject(repeat("[fwd:", 100'000) + repeat("]", 100'000));
  base_subject(repeat("[a]", 100'000) + repeat("re[", 100'000));
  base_subject(repeat("(fwd)", 100'000));
  const std::string text(1'000'000, 'a');
  EXPECT_FALSE(Searcher(std::string(50'000, 'a') + "b").found_in(text));
  EXPECT_FALSE(Searcher("b" + std::string(1'000, 'a')).found_in(text));
  EXPECT_EQ(decode_transfer(Encoding::quoted_printable, repeat(" ", 1'000'000)).size(), 0U);
  EXPECT_EQ(decode_transfer(Encoding::quoted_printable, repeat("= \n", 300'000)).size(), 0U);
}

TEST(Hostile, NothingAndAlmostNothing) {
  for (const std::string_view message : {"", "\n", "\r\n", "\r", ":", " ", "--", "\r\n\r\n", "a", "a:", "From x\n\n"}) {
    SCOPED_TRACE(message);
    checked(message);
    EXPECT_EQ(parse_structure(message).parts.size(), 1U);
  }
  checked(std::string(1'000, '\0'));
  checked("Subject: \0\0a\0\r\n"s + std::string(3, '\0'));
}

}  // namespace
}  // namespace relais::message
