// The structure of messages: where parts lie, how sections find them, and how both are stored.
#include "message/mime.h"

#include <gtest/gtest.h>

#include "base/encode.h"

namespace relais::message {
namespace {

// "0 multipart/mixed[...]": per part, in pre-order, its depth, type and body.
std::string show(std::string_view message) {
  std::string out;
  for (const auto& part : parse_structure(message).parts) {
    out += std::to_string(part.depth) + " " + part.type + "/" + part.subtype;
    if (!part.is_multipart && !part.is_message)
      out += " " + std::to_string(part.lines) + " [" + std::string(message.substr(part.body_begin, part.body_end - part.body_begin)) + "]";
    out += "\n";
  }
  return out;
}

constexpr std::string_view kNested =
    "Subject: x\r\n"
    "Content-Type: multipart/mixed; boundary=\"outer\"\r\n"
    "\r\n"
    "preamble\r\n"
    "--outer\r\n"
    "Content-Type: multipart/alternative; boundary=outer2\r\n"
    "\r\n"
    "--outer2\r\n"
    "\r\n"
    "plain\r\n"
    "--outer2\r\n"
    "Content-Type: text/html\r\n"
    "Content-Transfer-Encoding: QUOTED-printable\r\n"
    "\r\n"
    "<p>html\r\n"
    "</p>\r\n"
    "--outer2--\r\n"
    "epilogue\r\n"
    "--outer  \r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Subject: inner\r\n"
    "\r\n"
    "inner text\r\n"
    "--outer\r\n"
    "Content-Type: message/rfc822\r\n"
    "\r\n"
    "Content-Type: multipart/mixed; boundary=deep\r\n"
    "\r\n"
    "--deep\r\n"
    "\r\n"
    "one\r\n"
    "--deep\r\n"
    "Content-Type: application/octet-stream\r\n"
    "Content-Transfer-Encoding: base64\r\n"
    "\r\n"
    "dHdv\r\n"
    "--deep--\r\n"
    "--outer--\r\n"
    "the end\r\n";

TEST(Structure, NestedMessage) {
  EXPECT_EQ(show(kNested),
            "0 multipart/mixed\n"
            "1 multipart/alternative\n"
            "2 text/plain 0 [plain]\n"
            "2 text/html 1 [<p>html\r\n</p>]\n"
            "1 message/rfc822\n"
            "2 text/plain 0 [inner text]\n"
            "1 message/rfc822\n"
            "2 multipart/mixed\n"
            "3 text/plain 0 [one]\n"
            "3 application/octet-stream 0 [dHdv]\n");
}

struct SectionRow {
  std::vector<std::uint32_t> section;
  SectionText text;
  std::optional<std::string_view> expected;
};

// RFC 9051 §6.4.5.1
TEST(Structure, Sections) {
  using enum SectionText;
  const SectionRow rows[] = {
      {{}, all, kNested},
      {{}, header, kNested.substr(0, 63)},
      {{}, text, kNested.substr(63)},
      {{}, mime, std::nullopt},
      {{1, 1}, all, "plain"},
      {{1, 1}, mime, "\r\n"},
      {{1, 2}, all, "<p>html\r\n</p>"},
      {{1, 2}, mime, "Content-Type: text/html\r\nContent-Transfer-Encoding: QUOTED-printable\r\n\r\n"},
      {{1, 2}, header, std::nullopt},
      {{1, 2, 1}, all, std::nullopt},
      {{1, 3}, all, std::nullopt},
      {{2}, all, "Subject: inner\r\n\r\ninner text"},
      {{2}, mime, "Content-Type: message/rfc822\r\n\r\n"},
      {{2}, header, "Subject: inner\r\n\r\n"},
      {{2}, text, "inner text"},
      {{2, 1}, all, "inner text"},
      {{2, 1}, mime, "Subject: inner\r\n\r\n"},
      {{2, 2}, all, std::nullopt},
      {{2, 1, 1}, all, std::nullopt},
      {{3, 1}, all, "one"},
      {{3, 2}, all, "dHdv"},
      {{3, 2}, mime, "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"},
      {{3}, header, "Content-Type: multipart/mixed; boundary=deep\r\n\r\n"},
      {{4}, all, std::nullopt},
      {{0}, all, std::nullopt},
      {{1, 0}, all, std::nullopt},
  };
  const auto parsed = parse_structure(kNested);
  const auto stored = decode_parts(encode_parts(parsed));
  ASSERT_TRUE(stored.has_value());
  for (const auto& row : rows) {
    for (const auto* structure : {&parsed, &*stored}) {
      const auto range = find_section(*structure, row.section, row.text);
      ASSERT_EQ(range.has_value(), row.expected.has_value()) << ::testing::PrintToString(row.section) << int(row.text);
      if (range) EXPECT_EQ(kNested.substr(range->begin, range->size()), *row.expected);
    }
  }
  const std::uint32_t base64_part[] = {3, 2};
  EXPECT_EQ(find(*stored, base64_part)->encoding, Encoding::base64);
}

TEST(Structure, AMessageThatIsNoMultipartIsItsOwnPartOne) {
  const std::string_view message = "Subject: x\r\n\r\ntext\r\n";
  const auto structure = parse_structure(message);
  const std::uint32_t one[] = {1}, two[] = {2}, one_one[] = {1, 1};
  EXPECT_EQ(find_section(structure, one, SectionText::all), (OctetRange{14, 20}));
  EXPECT_EQ(find_section(structure, one, SectionText::mime), (OctetRange{0, 14}));
  EXPECT_EQ(find(structure, two), nullptr);
  EXPECT_EQ(find(structure, one_one), nullptr);
}

TEST(Structure, AMessageThatIsAMessage) {
  const std::string_view message = "Content-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\ntext\r\n";
  const auto structure = parse_structure(message);
  const std::uint32_t one[] = {1}, one_one[] = {1, 1};
  const auto header = find_section(structure, one, SectionText::header);
  ASSERT_TRUE(header.has_value());
  EXPECT_EQ(message.substr(header->begin, header->size()), "Subject: in\r\n\r\n");
  const auto inner = find_section(structure, one_one, SectionText::all);
  ASSERT_TRUE(inner.has_value());
  EXPECT_EQ(message.substr(inner->begin, inner->size()), "text\r\n");
}

TEST(Structure, DefaultsAndOddities) {
  EXPECT_EQ(show("\r\nx\r\ny"), "0 text/plain 1 [x\r\ny]\n");
  EXPECT_EQ(show("Content-Type: nonsense\r\n\r\nx"), "0 text/plain 0 [x]\n");
  EXPECT_EQ(show("Content-Type: TEXT/X-Foo (comment) ; a=b\r\n\r\nx"), "0 text/x-foo 0 [x]\n");
  EXPECT_EQ(show("content-type : image/png\n\nx\n"), "0 image/png 1 [x\n]\n");
  // RFC 2046 §5.1.5
  EXPECT_EQ(show("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: s\r\n\r\nt\r\n--b--\r\n"),
            "0 multipart/digest\n1 message/rfc822\n2 text/plain 0 [t]\n");
  // Nothing between the boundaries, no close, none at all, not even a parameter.
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b--\r\n"), "0 multipart/mixed\n1 text/plain 0 []\n");
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n"), "0 multipart/mixed\n1 text/plain 1 [x\r\n]\n");
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\nx"), "0 multipart/mixed\n1 text/plain 0 []\n");
  EXPECT_EQ(show("Content-Type: multipart/mixed\r\n\r\nx"), "0 multipart/mixed\n1 text/plain 0 []\n");
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n"), "0 multipart/mixed\n1 text/plain 0 []\n");
  // A boundary directly behind a boundary, behind a blank line, and within a header.
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b--\r\n"),
            "0 multipart/mixed\n1 text/plain 0 []\n1 text/plain 0 []\n1 text/html 0 []\n");
  // The outer boundary closes what was left open within.
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; "
                 "boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b\r\n\r\ny\r\n--b--"),
            "0 multipart/mixed\n1 multipart/mixed\n2 text/plain 0 [x]\n1 text/plain 0 [y]\n");
  // A boundary within the header of a message in a digest.
  EXPECT_EQ(show("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\nSubject: s\r\n--b--\r\n"),
            "0 multipart/digest\n1 message/rfc822\n2 text/plain 0 []\n");
  // Line feeds alone.
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n\n--b--\n"), "0 multipart/mixed\n1 text/plain 1 [x\n]\n");
  // A bare CR starts no line.
  EXPECT_EQ(show("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r--b--\r\n"),
            "0 multipart/mixed\n1 text/plain 1 [x\r--b--\r\n]\n");
}

TEST(Structure, Encodings) {
  for (const auto& [text, encoding] : std::vector<std::pair<std::string_view, Encoding>>{{"7BIT", Encoding::seven_bit},
                                                                                         {" 8bit ", Encoding::eight_bit},
                                                                                         {"Binary", Encoding::binary},
                                                                                         {"(x) base64 (y)", Encoding::base64},
                                                                                         {"quoted-printable;", Encoding::quoted_printable},
                                                                                         {"x-uuencode", Encoding::unknown},
                                                                                         {"text/html", Encoding::seven_bit},
                                                                                         {"", Encoding::seven_bit}}) {
    EXPECT_EQ(parse_encoding(text), encoding) << text;
    if (encoding != Encoding::unknown) EXPECT_EQ(parse_encoding(to_string(encoding)), encoding);
  }
}

// The stored form: a change of it needs a new version octet.
TEST(PartCodec, Golden) {
  const auto encoded = encode_parts(parse_structure(kNested));
  EXPECT_EQ(to_hex(encoded),
            "010a"        // version 1, ten parts
            "08003fff03"  // multipart/mixed: header 63, body 511
            "0813388801"  // its child, 19 in: multipart/alternative, header 56, body 136
            "000a0205"    // text/plain
            "230c480d"    // sibling, quoted-printable
            "500d201c"    // two levels: sibling of the multipart/alternative, message/rfc822
            "0000120a"    // the message in it
            "500b20a201"  // message/rfc822
            "08003072"    // the multipart/mixed in it
            "00080203"    // text/plain
            "240a4d04");  // sibling, base64
  EXPECT_LE(encoded.size(), 10 * 6U);
}

TEST(PartCodec, ShiftIsTheSameAsParsingWithMoreInFront) {
  const std::string prefix = "Return-Path: <a@b>\r\nReceived: x\r\n\ty\r\n";
  for (const std::string_view message : {kNested, std::string_view("x"), std::string_view(""), std::string_view("\r\nbody")}) {
    const auto shifted = shift_parts(encode_parts(parse_structure(message)), prefix.size());
    ASSERT_TRUE(shifted.has_value());
    EXPECT_EQ(to_hex(*shifted), to_hex(encode_parts(parse_structure(prefix + std::string(message)))));
  }
}

TEST(PartCodec, DamageIsNoticed) {
  const auto encoded = encode_parts(parse_structure(kNested));
  EXPECT_FALSE(decode_parts("").has_value());
  for (std::size_t n = 0; n < encoded.size(); ++n) {
    EXPECT_FALSE(decode_parts(encoded.substr(0, n)).has_value());
    auto damaged = encoded;
    damaged[n] = static_cast<char>(damaged[n] ^ 0x80);
    if (const auto got = decode_parts(damaged)) EXPECT_FALSE(got->parts.empty());
  }
  EXPECT_FALSE(decode_parts(encoded + "x").has_value());
  EXPECT_EQ(decode_parts("\x02").error().fault, Fault::corrupt);
}

}  // namespace
}  // namespace relais::message
