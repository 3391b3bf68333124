// Messages for servers without 8BITMIME and BINARYMIME.
#include "message/downgrade.h"

#include <gtest/gtest.h>

#include "base/ascii.h"
#include "message/decode.h"
#include "message/encode.h"
#include "message/header.h"
#include "message/mime.h"

namespace relais::message {
namespace {

/// CRLF for LF.
std::string crlf(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
}

struct Row {
  std::string_view name;
  std::string_view message;
  std::string_view expected;
};

TEST(Downgrade, ToSevenBit) {
  for (const auto& row : std::vector<Row>{
           {"nothing to do", "Subject: x\n\nbody\n", "Subject: x\n\nbody\n"},
           {"a label is corrected", "MIME-Version: 1.0\nContent-Transfer-Encoding: 8bit\nSubject: x\n\nbody\n",
            "MIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\nSubject: x\n\nbody\n"},
           {"no MIME at all", "Subject: x\n\nna\xC3\xAFve text that is otherwise in plain letters\n",
            "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
            "na=C3=AFve text that is otherwise in plain letters\n"},
           {"Latin-1 without MIME", "Subject: x\n\nna\xEFve text that is otherwise in plain letters\n",
            "Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=unknown-8bit\nContent-Transfer-Encoding: quoted-printable\n\n"
            "na=EFve text that is otherwise in plain letters\n"},
           {"mostly 8 bits",
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n\xD0\x9F\xD1\x80\xD0\xB8\n",
            "MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n0J/RgNC4DQo=\n"},
           {"parts, one of them changed",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: "
            "8bit\n\npre\xC3\xBC\n--b\nContent-Type: text/plain\n\n"
            "plain\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n<p>gr\xC3\xBC\xC3\x9F"
            "e aus dem fernen Land der Franken</p> \n--b\n"
            "Content-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\npost\n",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: 7bit\n\npre??\n--b\nContent-Type: "
            "text/plain\n\n"
            "plain\n--b\nContent-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
            "<p>gr=C3=BC=C3=9Fe aus dem fernen Land der Franken</p>=20\n--b\nContent-Type: image/png\nContent-Transfer-Encoding: "
            "base64\n\nAAAA\n--b--\npost\n"},
           {"an embedded message",
            "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 8bit\n\nSubject: in\xC3\xBC\n\ninn\xC3\xA9r text, "
            "of which most octets are letters\n",
            "MIME-Version: 1.0\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\nSubject: "
            "=?utf-8?q?in=C3=BC?=\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\ninn=C3=A9r text, of which most octets "
            "are letters\n"},
           {"message/global is encoded whole",
            "MIME-Version: 1.0\nContent-Type: message/global\nContent-Transfer-Encoding: 8bit\n\nTo: \xC3\xBC@x.test\n\nx\n",
            "MIME-Version: 1.0\nContent-Type: message/global\nContent-Transfer-Encoding: base64\n\nVG86IMO8QHgudGVzdA0KDQp4DQo=\n"},
           {"signed and good",
            "MIME-Version: 1.0\nSubject: \xC3\xBC\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b\n\ny\n--b--\n",
            "MIME-Version: 1.0\nSubject: =?utf-8?q?=C3=BC?=\nContent-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b\n\ny\n--b--\n"},
           {"broken encodings are mended",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: "
            "base64\n\nQU\xC3JD\n--b\nContent-Transfer-Encoding: Quoted-Printable\n\n"
            "a=3D\xC3\xBC\n--b--\n",
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: "
            "base64\n\nQUJD\n--b\nContent-Transfer-Encoding: quoted-printable\n\n"
            "a=3D=C3=BC\n--b--\n"},
           {"header only", "Subject: \xC3\xBC\n", "Subject: =?utf-8?q?=C3=BC?=\n"},
       }) {
    const auto converted = to_seven_bit(crlf(row.message));
    ASSERT_TRUE(converted) << row.name << ": " << converted.error().text;
    EXPECT_EQ(*converted, crlf(row.expected)) << row.name;
    EXPECT_EQ(to_seven_bit(*converted), *converted) << row.name;
  }
}

TEST(Downgrade, HeaderFields) {
  for (const auto& row : std::vector<Row>{
           {"", "Subject: plain \xC3\xBC word\n", "Subject: plain =?utf-8?q?=C3=BC?= word\n"},
           {"", "Subject: \xC3\xBC  \xC3\xA4\n", "Subject: =?utf-8?q?=C3=BC__=C3=A4?=\n"},
           {"", "Subject: a\n \xC3\xBC\n", "Subject: a =?utf-8?q?=C3=BC?=\n"},
           {"", "X-Latin: \xFC\n", "X-Latin: =?unknown-8bit?q?=FC?=\n"},
           {"", "From: J\xC3\xBCrgen <j@x.test>\n", "From: =?utf-8?q?J=C3=BCrgen?= <j@x.test>\n"},
           {"", "To: \"A, B\" <a@x.test>, \"\xC3\xBC, x\" <b@x.test>, c@X.test\n",
            "To: \"A, B\" <a@x.test>, =?utf-8?q?=C3=BC=2C_x?= <b@x.test>, c@X.test\n"},
           {"",
            "To: Fr\xC3\xBChst\xC3\xBC"
            "ck: a@x.test, \"b c\"@x.test;, d@x.test\n",
            "To: =?utf-8?q?Fr=C3=BChst=C3=BCck?=: a@x.test, \"b c\"@x.test;, d@x.test\n"},
           {"", "Cc: a@b\xC3\xBC.test\n", "Cc: a@xn--b-eha.test\n"},
           {"", "Content-Type: text/plain; name=\"\xC3\xBC.txt\"; charset=utf-8\n",
            "Content-Type: text/plain; name*=utf-8''%C3%BC.txt; charset=\"utf-8\"\n"},
           {"", "Content-Disposition: attachment; filename=\"a b\xFC\"\n", "Content-Disposition: attachment; filename*=''a%20b%FC\n"},
       }) {
    const auto converted = to_seven_bit(crlf(row.message) + "\r\n");
    ASSERT_TRUE(converted) << row.message << ": " << converted.error().text;
    EXPECT_EQ(*converted, crlf(row.expected) + "\r\n") << row.message;
  }
  std::string subject = "Subject: ";
  std::string text;
  for (int i = 0; i < 200; ++i) text += i % 9 == 0 ? "wort " : "w\xC3\xB6rter ";
  const auto folded = to_seven_bit(subject + text + "\r\n\r\n").value();
  for (const auto line : split(folded, '\n')) EXPECT_LE(line.size(), 77U) << line;
  EXPECT_EQ(decode_words(find_field(folded, "Subject").value()), std::string(trim(text)));
}

TEST(Downgrade, WhatCannotBeConverted) {
  struct Refusal {
    std::string_view message;
    std::string_view code;
  };
  for (const auto& row : std::vector<Refusal>{
           {"Content-Type: multipart/signed; boundary=b\n\n--b\n\n\xC3\xBC\n--b\n\ny\n--b--\n", "5.6.3"},
           {"Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/signed; boundary=b\n\n--b\nSubject: "
            "\xC3\xBC\n\nx\n--b--\n--a--\n",
            "5.6.3"},
           {"Content-Type: message/partial; id=x\n\n\xC3\xBC\n", "5.6.3"},
           {"Content-Type: message/external-body; access-type=x\n\n\xC3\xBC\n", "5.6.3"},
           {"Content-Transfer-Encoding: x-uuencode\n\n\xC3\xBC\n", "5.6.3"},
           {"Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\n\xC3\xBC\n--b--\n", "5.6.3"},
           {"Content-Type: multipart/mixed\n\n\xC3\xBC\n", "5.6.3"},
           {"Content-Type: multipart/mixed; boundary=\"\xC3\xBC\"\n\n--\xC3\xBC\n\nx\n--\xC3\xBC--\n", "5.6.3"},
           {"To: \xC3\xBC@x.test\n\nx\n", "5.6.7"},
       }) {
    const auto converted = to_seven_bit(crlf(row.message));
    ASSERT_FALSE(converted) << row.message;
    EXPECT_EQ(converted.error().fault, Fault::refused);
    EXPECT_EQ(converted.error().code, row.code) << row.message << converted.error().text;
  }
}

TEST(Downgrade, ToEightBit) {
  const std::string head = "MIME-Version: 1.0\r\nContent-Type: ";
  struct Case {
    std::string message;
    std::string expected;
  };
  for (const auto& row : std::vector<Case>{
           {head + "text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nfl\xC3\xBCssig\r\n",
            head + "text/plain\r\nContent-Transfer-Encoding: 8bit\r\n\r\nfl\xC3\xBCssig\r\n"},
           {head + "image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n" + std::string("\0\r\xFF\n", 4),
            head + "image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nAA3/Cg==\r\n"},
           {head + "text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\n" + std::string(1'500, 'x') + "\r\n",
            head + "text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
                [] {
                  std::string out;
                  for (int i = 0; i < 20; ++i) out += std::string(75, 'x') + (i < 19 ? "=\r\n" : "\r\n");
                  return out;
                }()},
           {head + "text/plain\r\nSubject: \xC3\xBC\r\n\r\na\nb\r\n", head + "text/plain\r\nSubject: \xC3\xBC\r\n\r\na\r\nb\r\n"},
       }) {
    EXPECT_EQ(to_eight_bit(row.message), row.expected);
  }
}

TEST(Downgrade, HeaderWithEightBits) {
  EXPECT_FALSE(has_eight_bit_header("Subject: x\r\n\r\nx\r\n"));
  EXPECT_FALSE(has_eight_bit_header("Subject: x\r\n\r\n\xC3\xBC\r\n"));
  EXPECT_TRUE(has_eight_bit_header("Subject: \xC3\xBC\r\n\r\nx\r\n"));
  EXPECT_TRUE(
      has_eight_bit_header("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: \xC3\xBC\r\n\r\nx\r\n--b--\r\n"));
  EXPECT_TRUE(has_eight_bit_header("Content-Type: message/rfc822\r\n\r\nSubject: \xC3\xBC\r\n\r\nx\r\n"));
}

TEST(Encode, QuotedPrintable) {
  struct Case {
    std::string octets;
    bool text;
    std::string expected;
  };
  for (const auto& row : std::vector<Case>{{"", true, ""},
                                           {"a=b\r\n", true, "a=3Db\r\n"},
                                           {"a \r\nb\t", true, "a=20\r\nb=09"},
                                           {"a\nb\rc", true, "a\r\nb\r\nc"},
                                           {"a\nb\rc\r\nd", false, "a=0Ab=0Dc\r\nd"},
                                           {std::string(76, 'x'), true, std::string(75, 'x') + "=\r\nx"},
                                           {std::string(74, 'x') + "\xFF", true, std::string(74, 'x') + "=\r\n=FF"}}) {
    std::string out;
    append_quoted_printable(out, row.octets, row.text);
    EXPECT_EQ(out, row.expected);
  }
}

TEST(Encode, QuotedPrintableComesBackFromShortLines) {
  for (const auto& text :
       {std::string(), std::string("plain\r\n"), std::string("sp \r\ntab\t\r\n"), std::string(500, 'x'), std::string(500, '='),
        std::string("a\rb\nc\0d", 7), std::string("\xC3\xBC\r\n\r\nend"), std::string(75, 'a') + "=", std::string(76, 'a') + "\r\n"}) {
    std::string encoded;
    append_quoted_printable(encoded, text, false);
    EXPECT_EQ(decode_transfer(Encoding::quoted_printable, encoded), text);
    for (const auto line : split(encoded, '\n')) EXPECT_LE(trim(line).size(), 76U);
    EXPECT_TRUE(is_ascii(encoded));
  }
}

TEST(Encode, Base64Lines) {
  for (const std::size_t size : {0U, 1U, 56U, 57U, 58U, 114U, 1'000U}) {
    const std::string octets(size, '\xFE');
    std::string out;
    append_base64_lines(out, octets);
    EXPECT_EQ(decode_transfer(Encoding::base64, out), octets);
    EXPECT_FALSE(out.ends_with('\n'));
    for (const auto line : split(out, '\n')) EXPECT_LE(line.size(), 77U);
  }
}

}  // namespace
}  // namespace relais::message
