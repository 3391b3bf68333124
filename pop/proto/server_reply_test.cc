// Replies of POP3 servers, as a client reads them.
#include "pop/proto/server_reply.h"

#include "pop/proto/reply.h"

#include <gtest/gtest.h>

#include <string>

namespace relais::pop {
namespace {

TEST(PopServerReply, StatusLines) {
  const struct {
    std::string_view line;
    bool ok;
    std::string_view code;
    std::string_view text;
  } good[] = {
      {"+OK", true, "", ""},
      {"+OK ready <1896.69@x>", true, "", "ready <1896.69@x>"},
      {"+ok lower case", true, "", "lower case"},
      {"-ERR", false, "", ""},
      {"-ERR [IN-USE] locked", false, "IN-USE", "[IN-USE] locked"},
      {"-ERR [SYS/TEMP]", false, "SYS/TEMP", "[SYS/TEMP]"},
      {"-ERR  [AUTH] two spaces", false, "AUTH", "[AUTH] two spaces"},
      {"+OK [XCLIENT] Dovecot ready.", true, "XCLIENT", "[XCLIENT] Dovecot ready."},
      {"-ERR [never closed", false, "", "[never closed"},
      {"-ERR []", false, "", "[]"},
      {"+OK\ttab", true, "", "tab"},
  };
  for (const auto& one : good) {
    SCOPED_TRACE(one.line);
    const auto status = parse_status(one.line);
    ASSERT_TRUE(status);
    EXPECT_EQ(status->ok, one.ok);
    EXPECT_EQ(status->code, one.code);
    EXPECT_EQ(status->text, one.text);
  }
  for (const std::string_view line : {"", "+", "OK", "+OKAY", "-ERROR", " +OK", "* OK IMAP", "220 smtp"}) {
    SCOPED_TRACE(line);
    const auto status = parse_status(line);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().fault, Fault::syntax);
  }
}

TEST(PopServerReply, Listings) {
  const struct {
    std::string_view line;
    std::uint32_t number;
    std::string_view value;
  } good[] = {{"1 120", 1, "120"},
              {"2 whqtswO00WBw418f9t5JxYwZ", 2, "whqtswO00WBw418f9t5JxYwZ"},
              {"3  two-spaces", 3, "two-spaces"},
              {"4 200 more", 4, "200"},
              {"4294967295 x", 4'294'967'295U, "x"}};
  for (const auto& one : good) {
    SCOPED_TRACE(one.line);
    const auto listing = parse_listing(one.line);
    ASSERT_TRUE(listing);
    EXPECT_EQ(listing->number, one.number);
    EXPECT_EQ(listing->value, one.value);
  }
  for (const std::string_view line : {"", "1", "1 ", "0 5", "x 5", "-1 5", "4294967296 x", "1x y", " 1 2"}) {
    SCOPED_TRACE(line);
    EXPECT_FALSE(parse_listing(line));
  }
}

struct Read {
  std::string octets;
  bool done = false;
  std::string rest;
};

Read read(std::string_view wire, std::size_t piece) {
  BodyReader reader;
  Read out;
  for (std::size_t at = 0; at < wire.size(); at += piece) {
    auto part = wire.substr(at, piece);
    while (!part.empty()) {
      const auto step = reader.feed(part);
      out.octets += step.octets;
      part.remove_prefix(step.used);
      if (step.done) {
        out.done = true;
        out.rest = std::string(part) + std::string(wire.substr(std::min(at + piece, wire.size())));
        return out;
      }
    }
  }
  return out;
}

TEST(PopServerReply, Bodies) {
  const struct {
    std::string_view wire;
    std::string_view octets;
    std::string_view rest;
  } good[] = {
      {".\r\n", "", ""},
      {"\r\n.\r\n", "\r\n", ""},
      {"a\r\n..\r\n...b\r\n.\r\n+OK next", "a\r\n.\r\n..b\r\n", "+OK next"},
      {".x\r\n.\r\n", "x\r\n", ""},      // RFC 1939 §3: the first octet of such a line is stripped, whatever follows
      {".\rx\r\n.\r\n", "\rx\r\n", ""},  // the end is CRLF alone
      {".\r\r\n.\r\n", "\r\r\n", ""},
      {"bare\n.\nlf\r\n.\r\n", "bare\n.\nlf\r\n", ""},  // lines end with CRLF
      {"bare\n.\r\nlf\r\n.\r\n", "bare\n.\r\nlf\r\n", ""},
      {"\r\r\n.\r\n", "\r\r\n", ""},
  };
  for (const auto& one : good) {
    for (std::size_t piece = 1; piece <= one.wire.size(); ++piece) {
      SCOPED_TRACE(std::string(one.wire) + " by " + std::to_string(piece));
      const auto got = read(one.wire, piece);
      EXPECT_TRUE(got.done);
      EXPECT_EQ(got.octets, one.octets);
      EXPECT_EQ(got.rest, one.rest);
    }
  }
  for (const std::string_view wire : {"a\r\n", ".", ".\r", "a\r\n.\r", "a\n.\r\n", "a\r\n.\n"}) EXPECT_FALSE(read(wire, 1).done) << wire;
}

TEST(PopServerReply, WhatOurServerWritesComesBack) {
  for (const std::string_view message : {"", ".", "..", "a\r\n.\r\nb", ".a\r\n", "\r\n.\r\n.\r\n", "x\r\n\r\n"}) {
    MessageWriter writer;
    std::string wire;
    writer.append(wire, message);
    writer.finish(wire);
    std::string whole(message);
    if (!whole.ends_with("\r\n")) whole += "\r\n";
    const auto got = read(wire, 2);
    EXPECT_TRUE(got.done);
    EXPECT_EQ(got.octets, message.empty() ? got.octets : whole) << message;
  }
}

}  // namespace
}  // namespace relais::pop
