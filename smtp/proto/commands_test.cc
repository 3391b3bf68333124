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

constexpr MailExtensions kAll{
    .esmtp = true, .auth = true, .dsn = true, .future_release = true, .deliver_by = true, .priority = true, .require_tls = true};

TEST(Mail, ParametersOfOutboundExtensions) {
  auto args = parse_mail("FROM:<a@b.test> RET=hdrs ENVID=QQ+2B314159 HOLDFOR=600 BY=120;RT MT-PRIORITY=-9 REQUIRETLS", kAll);
  ASSERT_TRUE(args) << args.error().text;
  EXPECT_EQ(args->ret, Ret::headers);
  EXPECT_EQ(args->envelope_id, "QQ+314159");
  EXPECT_EQ(args->hold, (Hold{false, 600, "for;600"}));
  EXPECT_EQ(args->deliver_by, (DeliverBy{120, true, true}));
  EXPECT_EQ(args->priority, -9);
  EXPECT_TRUE(args->require_tls);
  args = parse_mail("FROM:<> ret=FULL holduntil=2026-01-31T23:59:60.5+01:00 by=-5;n", kAll);
  ASSERT_TRUE(args) << args.error().text;
  EXPECT_EQ(args->ret, Ret::full);
  EXPECT_EQ(args->hold, (Hold{true, 1'769'900'400, "until;2026-01-31T23:59:60.5+01:00"}));
  EXPECT_EQ(args->deliver_by, (DeliverBy{-5, false, false}));
  for (const auto* parameter :
       {"RET=HDRS", "ENVID=x", "HOLDFOR=1", "HOLDUNTIL=2026-01-31T23:59:59Z", "BY=1;R", "MT-PRIORITY=1", "REQUIRETLS"}) {
    const auto line = std::string("FROM:<a@b.test> ") + parameter;
    EXPECT_TRUE(parse_mail(line, kAll)) << line;
    EXPECT_EQ(first_line(parse_mail(line, {.esmtp = true, .auth = true}).error()), "555 5.5.4") << line;
    EXPECT_EQ(first_line(parse_mail(line + " " + parameter, kAll).error()), "501 5.5.4") << line;
  }
  for (const auto* bad : {"RET",
                          "RET=",
                          "RET=BODY",
                          "ENVID",
                          "ENVID=+zz",
                          "ENVID=+00",
                          "HOLDFOR=0",
                          "HOLDFOR=-1",
                          "HOLDFOR=1000000000",
                          "HOLDFOR",
                          "HOLDUNTIL=tomorrow",
                          "HOLDUNTIL=2026-02-30T00:00:00Z",
                          "HOLDUNTIL=2026-01-01T24:00:00Z",
                          "HOLDUNTIL=2026-01-01T00:00:00",
                          "HOLDFOR=1 HOLDUNTIL=2026-01-01T00:00:00Z",
                          "BY=1",
                          "BY=1;",
                          "BY=;R",
                          "BY=0;R",
                          "BY=-1;R",
                          "BY=1;X",
                          "BY=1;RX",
                          "BY=1;RTT",
                          "BY=1000000000;N",
                          "BY=+-1;N",
                          "MT-PRIORITY=10",
                          "MT-PRIORITY=-0",
                          "MT-PRIORITY=+1",
                          "MT-PRIORITY",
                          "REQUIRETLS=yes"}) {
    EXPECT_EQ(first_line(parse_mail(std::string("FROM:<a@b.test> ") + bad, kAll).error()), "501 5.5.4") << bad;
  }
  EXPECT_FALSE(parse_mail("FROM:<a@b.test> ENVID=" + std::string(101, 'x'), kAll));
}

TEST(Rcpt, NotifyAndOriginalRecipient) {
  auto args = parse_rcpt("TO:<a@b.test> NOTIFY=success,Delay ORCPT=RFC822;c+2Bd@e.test", false, true);
  ASSERT_TRUE(args) << args.error().text;
  EXPECT_EQ(args->notify.bits, Notify::kSuccess | Notify::kDelay);
  EXPECT_FALSE(args->notify.failure());
  EXPECT_EQ(args->original, (OriginalRecipient{"rfc822", "c+d@e.test"}));
  args = parse_rcpt("TO:<a@b.test> ORCPT=utf-8;\\x{FC}\\x{5C}\\x{10FFFF}\xC3\xBC@e.test", true, true);
  ASSERT_TRUE(args) << args.error().text;
  EXPECT_EQ(args->original.address, "\xC3\xBC\\\xF4\x8F\xBF\xBF\xC3\xBC@e.test");
  EXPECT_FALSE(args->notify.given());
  EXPECT_TRUE(args->notify.failure() && args->notify.delay());
  EXPECT_TRUE(parse_rcpt("TO:<Postmaster> NOTIFY=NEVER", false, true)->notify.never());
  for (const auto* bad : {"NOTIFY",
                          "NOTIFY=",
                          "NOTIFY=,",
                          "NOTIFY=NEVER,DELAY",
                          "NOTIFY=SOMETIMES",
                          "NOTIFY=DELAY NOTIFY=DELAY",
                          "ORCPT",
                          "ORCPT=x",
                          "ORCPT=;x",
                          "ORCPT=rfc822;",
                          "ORCPT=rfc822;+0A",
                          "ORCPT=rfc822;\xC3\xBC@e.test",
                          "ORCPT=a@b;c",
                          "ORCPT=rfc822;a ORCPT=rfc822;a",
                          "ORCPT=utf-8;\\x{D800}",
                          "ORCPT=utf-8;\\x{110000}",
                          "ORCPT=utf-8;\\x{0A}",
                          "ORCPT=utf-8;\\x{}",
                          "ORCPT=utf-8;\\y",
                          "ORCPT=utf-8;\xC3"}) {
    EXPECT_EQ(first_line(parse_rcpt(std::string("TO:<a@b.test> ") + bad, true, true).error()), "501 5.5.4") << bad;
  }
  EXPECT_EQ(first_line(parse_rcpt("TO:<a@b.test> X=1", false, true).error()), "555 5.5.4");
  EXPECT_FALSE(parse_rcpt("TO:<a@b.test> ORCPT=rfc822;" + std::string(500, 'x'), false, true));
}

TEST(Dsn, WrittenValuesAreReadBack) {
  for (std::uint8_t bits = 0; bits < 16; ++bits) {
    const Notify notify{bits};
    if (!notify.given() || (notify.never() && bits != Notify::kNever)) continue;
    EXPECT_EQ(parse_notify(to_string(notify)), notify);
  }
  EXPECT_EQ(to_string(Notify{}), "");
  EXPECT_EQ(parse_ret(to_string(Ret::full)), Ret::full);
  EXPECT_EQ(to_string(Ret::unset), "");
  for (const auto& recipient :
       {OriginalRecipient{"rfc822", "a+b=c d@e.test"}, OriginalRecipient{"utf-8", "\xC3\xBC \xE2\x82\xAC+=\\\xF0\x9F\x98\x80@e.test"},
        OriginalRecipient{"x400", "/G=a/S=b;c"}}) {
    EXPECT_EQ(parse_original_recipient(to_string(recipient)), recipient);
  }
  for (const auto& by : {DeliverBy{120, true, false}, DeliverBy{-999'999'999, false, true}}) EXPECT_EQ(parse_deliver_by(to_string(by)), by);
}

TEST(Schedule, DateTime) {
  struct Row {
    std::string_view text;
    std::optional<std::int64_t> seconds;
  };
  for (const auto& row : std::vector<Row>{{"1970-01-01T00:00:00Z", 0},
                                          {"1970-01-01t00:00:00z", 0},
                                          {"2000-02-29T12:30:45Z", 951'827'445},
                                          {"2000-02-29T12:30:45+02:30", 951'818'445},
                                          {"2000-02-29T12:30:45-00:00", 951'827'445},
                                          {"1969-12-31T23:59:59.999Z", -1},
                                          {"9999-12-31T23:59:59Z", 253'402'300'799},
                                          {"2000-02-30T00:00:00Z", {}},
                                          {"1900-02-29T00:00:00Z", {}},
                                          {"2000-13-01T00:00:00Z", {}},
                                          {"2000-01-01T00:60:00Z", {}},
                                          {"2000-01-01T00:00:61Z", {}},
                                          {"2000-01-01T00:00:00.Z", {}},
                                          {"2000-01-01T00:00:00+24:00", {}},
                                          {"2000-01-01T00:00:00Zx", {}},
                                          {"2000-01-01 00:00:00Z", {}},
                                          {"20000101T000000Z", {}},
                                          {"", {}}}) {
    EXPECT_EQ(parse_date_time(row.text), row.seconds) << row.text;
  }
  for (const std::int64_t seconds : {std::int64_t{0}, std::int64_t{951'827'445}, std::int64_t{-1}, std::int64_t{253'402'300'799}})
    EXPECT_EQ(parse_date_time(format_date_time(seconds)), seconds);
  EXPECT_EQ(format_date_time(1'769'900'399), "2026-01-31T22:59:59Z");
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
  for (const auto* bad : {"", "PLAIN !", "PLAIN  ", "PL@IN", "PLAIN a", "PLAIN AGEAYg== x", "ABCDEFGHIJKLMNOPQRSTU"})
    EXPECT_FALSE(parse_auth(bad)) << bad;
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
  append_offer(
      out,
      {.hostname = "mx.test", .max_size = 1000, .starttls = true, .auth_mechanisms = mechanisms, .max_messages = 5, .max_recipients = 7});
  EXPECT_EQ(out,
            "250-mx.test\r\n250-PIPELINING\r\n250-SIZE 1000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n"
            "250-BINARYMIME\r\n250-STARTTLS\r\n250-AUTH SCRAM-SHA-256 PLAIN\r\n250-LIMITS MAILMAX=5 RCPTMAX=7\r\n250 HELP\r\n");
}

TEST(Hello, OfferOfOutboundExtensions) {
  std::string out;
  append_offer(out, {.hostname = "mx.test",
                     .dsn = true,
                     .max_hold = 864'000,
                     .max_hold_until = "2026-01-31T22:59:59Z",
                     .deliver_by = true,
                     .min_deliver_by = 60,
                     .mt_priority = true,
                     .require_tls = true});
  EXPECT_EQ(
      out,
      "250-mx.test\r\n250-PIPELINING\r\n250-SIZE\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-ENHANCEDSTATUSCODES\r\n250-CHUNKING\r\n250-"
      "BINARYMIME\r\n"
      "250-DSN\r\n250-REQUIRETLS\r\n250-MT-PRIORITY\r\n250-DELIVERBY 60\r\n250-FUTURERELEASE 864000 2026-01-31T22:59:59Z\r\n250 HELP\r\n");
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
  for (const auto* code : {"5.4.4", "5.7.30", "5.1.2", "5.6.39"}) EXPECT_EQ(reply_for(Error{Fault::refused, code, "", ""}).enhanced, code);
  EXPECT_EQ(reply_for(Error{Fault::temporary, "4.4.3", "", ""}).enhanced, "4.4.3");
  EXPECT_EQ(reply_text(reply_for(Error{Fault::refused, "5.1.10", "no mail", ""})), "556 5.1.10 no mail");  // RFC 7505 §4.2
  for (const auto* code : {"5.1.01", "5.9.1", "3.1.1", "5.1.400", "5.1.", "5.1.1x", "5x1.1", "5.11"}) {
    EXPECT_EQ(first_line(Error{Fault::refused, code, "", ""}), "550 5.0.0") << code;
  }
}

TEST(Xtext, RoundTrip) {
  std::string all;
  for (int c = 0; c < 256; ++c) all.push_back(static_cast<char>(c));
  EXPECT_EQ(decode_xtext(encode_xtext(all)), all);
  for (const auto* bad : {"+", "+4", "+4g", "a=b", "a b", "+aa"}) EXPECT_FALSE(decode_xtext(bad)) << bad;
}

}  // namespace
}  // namespace relais::smtp
