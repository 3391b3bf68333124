// Command grammar, replies and the EHLO offer.
#include "smtp/proto/auth.h"
#include "smtp/proto/bdat.h"
#include "smtp/proto/command.h"
#include "smtp/proto/hello.h"
#include "smtp/proto/mail.h"
#include "smtp/proto/rcpt.h"
#include "smtp/proto/reply.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace relais::smtp {
namespace {

std::string first_line(const Error& error) {
  std::string out;
  append_reply(out, reply_for(error));
  return out.substr(0, 9);
}

TEST(Command, VerbAndRest) {
  struct Row {
    std::string_view line;
    Verb verb;
    std::string_view rest;
  };
  for (const auto& row : std::vector<Row>{{"EHLO a.test", Verb::ehlo, "a.test"},
                                          {"ehlo   a.test \t", Verb::ehlo, "a.test"},
                                          {"QUIT ", Verb::quit, ""},
                                          {"DATA", Verb::data, ""},
                                          {"StartTLS", Verb::starttls, ""},
                                          {"GET / HTTP/1.1", Verb::http, "/ HTTP/1.1"},
                                          {"Host: x", Verb::http, "x"},
                                          {"", Verb::unknown, ""},
                                          {" NOOP", Verb::unknown, "NOOP"},
                                          {"MAILFROM:<a@b>", Verb::unknown, ""},
                                          {"http x", Verb::unknown, "x"},
                                          {"unknown", Verb::unknown, ""}}) {
    const auto command = parse_command(row.line);
    EXPECT_EQ(command.verb, row.verb) << row.line;
    EXPECT_EQ(command.rest, row.rest) << row.line;
  }
}

TEST(Mail, Accepts) {
  struct Row {
    std::string_view rest;
    std::string path;  // "" for null
  };
  for (const auto& row : std::vector<Row>{
           {"FROM:<>", ""},
           {"from:<a@b.test>", "a@b.test"},
           {"FROM: <a@b.test>", "a@b.test"},
           {"FROM:<a@B.TEST> ", "a@b.test"},
           {"FROM:<\"a b\"@b.test>", "\"a b\"@b.test"},
           {"FROM:<\"a>b\"@b.test>", "\"a>b\"@b.test"},
           {"FROM:<\"a\\\">\"@b.test>", "\"a\\\">\"@b.test"},
           {"FROM:<@x.test,@y.test:a@b.test>", "a@b.test"},
           {"FROM:<a@[192.0.2.1]>", "a@[192.0.2.1]"},
           {"FROM:<a@[IPv6:2001:db8::1]>", "a@[ipv6:2001:db8::1]"},
       }) {
    const auto args = parse_mail(row.rest, {});
    ASSERT_TRUE(args) << row.rest << ": " << args.error().text;
    EXPECT_EQ(args->reverse_path ? message::to_string(*args->reverse_path) : "", row.path) << row.rest;
  }
}

TEST(Mail, Parameters) {
  const auto args = parse_mail("FROM:<\xC3\xBC@b.test> size=1000 BODY=8bitmime SMTPUTF8 AUTH=a+40b", {.esmtp = true, .auth = true});
  ASSERT_TRUE(args) << args.error().text;
  EXPECT_EQ(args->size, 1000U);
  EXPECT_EQ(args->body, Body::eight_bit);
  EXPECT_TRUE(args->smtputf8);
  EXPECT_EQ(args->auth, "a@b");
  EXPECT_EQ(args->reverse_path->local_part, "\xC3\xBC");
}

TEST(Mail, Refuses) {
  struct Row {
    std::string_view rest;
    std::string_view reply;
  };
  for (const auto& row : std::vector<Row>{{"", "501 5.5.4"},
                                          {"<a@b.test>", "501 5.5.4"},
                                          {"TO:<a@b.test>", "501 5.5.4"},
                                          {"FROM:a@b.test", "501 5.1.7"},
                                          {"FROM:<a@b.test", "501 5.1.7"},
                                          {"FROM:<a>", "501 5.1.7"},
                                          {"FROM:<a@>", "501 5.1.7"},
                                          {"FROM:<@b.test>", "501 5.1.7"},
                                          {"FROM:<@b.test:>", "501 5.1.7"},
                                          {"FROM:<a b@b.test>", "501 5.1.7"},
                                          {"FROM:<\"a@b.test>", "501 5.1.7"},
                                          {"FROM:<a@b.test>SIZE=1", "501 5.5.4"},
                                          {"FROM:<a@b.test> SIZE", "501 5.5.4"},
                                          {"FROM:<a@b.test> SIZE=", "501 5.5.4"},
                                          {"FROM:<a@b.test> SIZE=-1", "501 5.5.4"},
                                          {"FROM:<a@b.test> SIZE=1 SIZE=1", "501 5.5.4"},
                                          {"FROM:<a@b.test> SIZE=99999999999999999999999", "501 5.5.4"},
                                          {"FROM:<a@b.test> BODY=9BIT", "501 5.5.4"},
                                          {"FROM:<a@b.test> BODY=7BIT BODY=7BIT", "501 5.5.4"},
                                          {"FROM:<a@b.test> SMTPUTF8=1", "501 5.5.4"},
                                          {"FROM:<a@b.test> =1", "501 5.5.4"},
                                          {"FROM:<a@b.test> AUTH=<>", "555 5.5.4"},
                                          {"FROM:<a@b.test> RET=HDRS", "555 5.5.4"},
                                          {"FROM:<a@b.test> XYZZY", "555 5.5.4"},
                                          {"FROM:<\xC3\xBC@b.test>", "550 5.6.7"},
                                          {"FROM:<\xC3@b.test> SMTPUTF8", "501 5.1.7"}}) {
    const auto args = parse_mail(row.rest, {});
    ASSERT_FALSE(args) << row.rest;
    EXPECT_EQ(first_line(args.error()), row.reply) << row.rest;
  }
  EXPECT_EQ(first_line(parse_mail("FROM:<a@b.test> SIZE=1", {.esmtp = false, .auth = false}).error()), "555 5.5.4");
  EXPECT_EQ(first_line(parse_mail("FROM:<a@b.test> AUTH=a+4", {.esmtp = true, .auth = true}).error()), "501 5.5.4");
}

TEST(Rcpt, AcceptsAndRefuses) {
  EXPECT_EQ(parse_rcpt("TO:<Postmaster>", false)->forward_path.domain, "");
  EXPECT_EQ(parse_rcpt("to:<@x.test:a+tag@b.test>", false)->forward_path.local_part, "a+tag");
  EXPECT_EQ(first_line(parse_rcpt("TO:<>", false).error()), "501 5.1.3");
  EXPECT_EQ(first_line(parse_rcpt("TO:<a>", false).error()), "501 5.1.3");
  EXPECT_EQ(first_line(parse_rcpt("TO:a@b.test", false).error()), "501 5.1.3");
  EXPECT_EQ(first_line(parse_rcpt("TO:<a@b.test> NOTIFY=NEVER", false).error()), "555 5.5.4");
  EXPECT_EQ(first_line(parse_rcpt("TO:<\xC3\xBC@b.test>", false).error()), "553 5.6.7");
  EXPECT_TRUE(parse_rcpt("TO:<\xC3\xBC@b.test>", true));
}

TEST(Bdat, AcceptsAndRefuses) {
  EXPECT_EQ(parse_bdat("0 LAST")->size, 0U);
  EXPECT_TRUE(parse_bdat("12 last")->last);
  EXPECT_FALSE(parse_bdat("12")->last);
  for (const auto* bad : {"", "x", "-1", "1 FIRST", "1x", "99999999999999999999999", "LAST"}) EXPECT_FALSE(parse_bdat(bad)) << bad;
}

TEST(Auth, AcceptsAndRefuses) {
  EXPECT_EQ(parse_auth("plain AGEAYg==")->initial_response, std::string("\0a\0b", 4));
  EXPECT_EQ(parse_auth("plain")->mechanism, "PLAIN");
  EXPECT_FALSE(parse_auth("plain")->initial_response);
  EXPECT_EQ(parse_auth("plain =")->initial_response, "");
  for (const auto* bad : {"", "PLAIN !", "PLAIN  ", "PL@IN", "PLAIN a", "PLAIN AGEAYg== x", "ABCDEFGHIJKLMNOPQRSTU"}) EXPECT_FALSE(parse_auth(bad)) << bad;
  EXPECT_FALSE(parse_auth_response("*").value());
  EXPECT_EQ(parse_auth_response("").value(), "");
  EXPECT_EQ(first_line(parse_auth_response("**").error()), "501 5.5.2");
}

TEST(Hello, TolerantOfEverythingButNothing) {
  EXPECT_FALSE(parse_hello(" "));
  for (const auto* name : {"a.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost"}) EXPECT_TRUE(parse_hello(name)->well_formed) << name;
  for (const auto* name : {"a_b.test", "a..b", "-", "two words", "[x", "a.test."}) EXPECT_FALSE(parse_hello(name)->well_formed) << name;
  EXPECT_EQ(parse_hello(std::string(500, 'a'))->name.size(), 255U);
}

TEST(Hello, Offer) {
  std::string out;
  const std::vector<std::string_view> mechanisms{"SCRAM-SHA-256", "PLAIN"};
  append_offer(out, {.hostname = "mx.test", .max_size = 1000, .starttls = true, .auth_mechanisms = mechanisms, .max_messages = 5, .max_recipients = 7});
  EXPECT_EQ(out,
            "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
            "250-BINARYMIME\r\n250-STARTTLS\r\n250-AUTH SCRAM-SHA-256 PLAIN\r\n250-LIMITS MAILMAX=5 RCPTMAX=7\r\n250 HELP\r\n");
}

TEST(Reply, WireForm) {
  std::string out;
  append_reply(out, {250, "2.0.0", "one\ntwo"});
  EXPECT_EQ(out, "250-2.0.0 one\r\n250 2.0.0 two\r\n");
  out.clear();
  append_reply(out, {550, "5.1.1", "evil\r250 ok \x01\xFF"});
  EXPECT_EQ(out, "550 5.1.1 evil?250 ok ??\r\n");
  out.clear();
  append_reply(out, {250, {}, std::string(600, 'x')});
  EXPECT_EQ(out.size(), kMaxReplyLine);
}

TEST(Reply, OfErrors) {
  EXPECT_EQ(first_line(Error{Fault::syntax, "", "", ""}), "501 5.5.4");
  EXPECT_EQ(first_line(Error{Fault::refused, "5.1.1", "", ""}), "550 5.1.1");
  EXPECT_EQ(first_line(Error{Fault::refused, "OVERQUOTA", "", ""}), "550 5.0.0");
  EXPECT_EQ(first_line(Error{Fault::temporary, "STORAGE_FULL", "", ""}), "451 4.3.0");
  EXPECT_EQ(first_line(Error{Fault::corrupt, "", "", ""}), "451 4.3.0");
  EXPECT_EQ(first_line(Error{Fault::temporary, "452 4.2.2", "", ""}), "452 4.2.2");
}

TEST(Xtext, RoundTrip) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(decode_xtext(encode_xtext(all)), all);
  for (const auto* bad : {"+", "+4", "+4g", "a=b", "a b", "+aa"}) EXPECT_FALSE(decode_xtext(bad)) << bad;
}

}  // namespace
}  // namespace relais::smtp
