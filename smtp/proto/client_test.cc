// The client's side of the grammar: replies, offers, commands, the content of DATA.
#include "smtp/proto/client_command.h"
#include "smtp/proto/data.h"
#include "smtp/proto/dot_stuffing.h"
#include "smtp/proto/remote_offer.h"
#include "smtp/proto/remote_reply.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace relais::smtp {
namespace {

using Event = ReplyParser::Event;

/// "CODE ENHANCED|text" per reply, "!what" for garbage; however the input is cut.
std::vector<std::string> replies(std::string_view input, std::size_t piece) {
  ReplyParser parser;
  std::vector<std::string> out;
  std::string buffered;
  for (std::size_t at = 0; at < input.size(); at += piece) {
    buffered += input.substr(at, piece);
    for (;;) {
      const auto step = parser.feed(buffered);
      buffered.erase(0, step.used);
      if (step.event == Event::more) break;
      if (step.event == Event::garbage) {
        out.push_back("!" + parser.error());
        return out;
      }
      const auto& reply = parser.reply();
      out.push_back(std::to_string(reply.code) + " " + reply.enhanced + "|" + reply.text);
    }
  }
  return out;
}

TEST(RemoteReply, ReadsRepliesHoweverTheyAreCut) {
  struct Row {
    std::string_view input;
    std::vector<std::string> expected;
  };
  for (const auto& row : std::vector<Row>{
           {"220 mx.test ESMTP\r\n", {"220 |mx.test ESMTP"}},
           {"250\r\n", {"250 |"}},
           {"250 \r\n", {"250 |"}},
           {"250-\r\n250\r\n", {"250 |\n"}},
           {"250 2.1.0 ok\r\n", {"250 2.1.0|ok"}},
           {"250 2.1.0\r\n", {"250 2.1.0|"}},
           {"550-5.1.1 no such\r\n550 5.1.1 user\r\n", {"550 5.1.1|no such\nuser"}},
           {"550-5.1.1 first\r\n550 second\r\n", {"550 5.1.1|first\nsecond"}},
           {"550 2.1.0 the class must fit\r\n", {"550 |2.1.0 the class must fit"}},
           {"550 5.1 x\r\n", {"550 |5.1 x"}},
           {"550 5.1.1000 x\r\n", {"550 |5.1.1000 x"}},
           {"550 5.1.1: x\r\n", {"550 |5.1.1: x"}},
           {"354 3.1.1 x\r\n", {"354 |3.1.1 x"}},
           {"250 ok\n250 lf alone\n", {"250 |ok", "250 |lf alone"}},
           {"250-a\r\n251 b\r\n", {"251 |a\nb"}},
           {"250 a\r\n354 b\r\n450 4.2.2 c\r\n", {"250 |a", "354 |b", "450 4.2.2|c"}},
           {"250 \x01 \xFF\tx\r\n", {"250 |? ?\tx"}},
           {"250 \xC3\xBC\r\n", {"250 |\xC3\xBC"}},
           {"HTTP/1.1 400 Bad Request\r\n", {"!not an SMTP reply: HTTP/1.1 400 Bad Request"}},
           {"\r\n", {"!not an SMTP reply"}},
           {"25 ok\r\n", {"!not an SMTP reply: 25 ok"}},
           {"2500 ok\r\n", {"!not an SMTP reply: 2500 ok"}},
           {"150 x\r\n", {"!not an SMTP reply: 150 x"}},
           {"650 x\r\n", {"!not an SMTP reply: 650 x"}},
           {"250-a\r\n550 b\r\n", {"!the lines of a reply differ in their code: 550 b"}},
           {"250 good\r\n\x16\x03\x01\r\n250 x\r\n", {"250 |good", "!not an SMTP reply: ???"}},
       }) {
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}, row.input.size()}) {
      EXPECT_EQ(replies(row.input, piece), row.expected) << row.input << " by " << piece;
    }
  }
}

TEST(RemoteReply, HasLimits) {
  const std::string just(kMaxRemoteReplyLine - 6, 'x');
  EXPECT_EQ(replies("250 " + just + "\r\n", 100).front().size(), 5 + just.size());
  EXPECT_EQ(replies("250 " + just + "xxxx\r\n", 100).front().substr(0, 1), "!");
  EXPECT_EQ(replies(std::string(1'000'000, 'x'), 1'000).front().substr(0, 28), "!a reply line is too long: x");
  std::string lines;
  for (std::size_t i = 0; i < kMaxRemoteReplyLines; ++i) lines += "250-line\r\n";
  EXPECT_EQ(replies(lines + "250 last\r\n", 1'000).front().substr(0, 10), "!a reply h");
  std::string many;
  for (int i = 0; i < 100; ++i) many += "250-" + std::string(1'000, 'y') + "\r\n";
  const auto kept = replies(many + "250 z\r\n", 4'096);
  ASSERT_EQ(kept.size(), 1U);
  EXPECT_LE(kept.front().size(), kMaxReplyText + 100);
}

TEST(RemoteReply, OnOneLine) {
  EXPECT_EQ((RemoteReply{550, "5.1.1", "no\nsuch user"}).line(), "550 5.1.1 no such user");
  EXPECT_EQ((RemoteReply{421, "", ""}).line(), "421");
}

TEST(RemoteOffer, Keywords) {
  const RemoteReply reply{
      250, "",
      "mx.test greets you\npipelining\nSIZE 35882577\n8BITMIME\nSTARTTLS\nENHANCEDSTATUSCODES\nCHUNKING\nBINARYMIME\nSMTPUTF8\nDSN\n"
      "AUTH PLAIN login\nAUTH=LOGIN CRAM-MD5\nREQUIRETLS\nMT-PRIORITY MIXER\nDELIVERBY 30,x\nLIMITS MAILMAX=5 RCPTMAX=7 X=1 Y\n"
      "XCLIENT NAME ADDR PORT\nX-UNKNOWN a b\n\n  \nHELP"};
  const auto offer = parse_offer(reply, true);
  EXPECT_EQ(offer.name, "mx.test");
  EXPECT_TRUE(offer.extended && offer.pipelining && offer.size && offer.eight_bit_mime && offer.starttls && offer.enhanced_status_codes);
  EXPECT_TRUE(offer.chunking && offer.binary_mime && offer.smtputf8 && offer.dsn && offer.require_tls && offer.mt_priority &&
              offer.deliver_by);
  EXPECT_EQ(offer.max_size, 35'882'577U);
  EXPECT_EQ(offer.min_deliver_by, 30U);
  EXPECT_EQ(offer.max_messages, 5U);
  EXPECT_EQ(offer.max_recipients, 7U);
  EXPECT_EQ(offer.auth, (std::vector<std::string>{"PLAIN", "LOGIN", "CRAM-MD5"}));
  EXPECT_TRUE(offer.offers_auth("plain"));
  EXPECT_FALSE(offer.offers_auth("SCRAM-SHA-256"));
  EXPECT_TRUE(offer.takes_xclient("addr"));
  EXPECT_FALSE(offer.takes_xclient("LOGIN"));
}

TEST(RemoteOffer, MalformedArgumentsAndHelo) {
  auto offer = parse_offer({250, "", "mx.test\nSIZE lots\nLIMITS RCPTMAX=x\nDELIVERBY x\nSIZE99\nAUTH\nXCLIENT"}, true);
  EXPECT_TRUE(offer.size && offer.deliver_by);
  EXPECT_EQ(offer.max_size, 0U);
  EXPECT_EQ(offer.max_recipients, 0U);
  EXPECT_TRUE(offer.auth.empty() && offer.xclient.empty());
  offer = parse_offer({250, "", "mx.test\nPIPELINING"}, false);
  EXPECT_FALSE(offer.extended || offer.pipelining);
  EXPECT_EQ(parse_offer({250, "", ""}, true).name, "");
  EXPECT_EQ(parse_offer({250, "", std::string(1'000, 'x')}, true).name.size(), 255U);
}

RemoteOffer everything() {
  return parse_offer(
      {250, "",
       "x\nPIPELINING\nSIZE\n8BITMIME\nCHUNKING\nBINARYMIME\nSMTPUTF8\nDSN\nREQUIRETLS\nMT-PRIORITY\nDELIVERBY\nXCLIENT NAME ADDR LOGIN"},
      true);
}

TEST(ClientCommand, MailWithAndWithoutExtensions) {
  const MailCommand mail{.sender = "a@b.test",
                         .size = 1000,
                         .body = Body::eight_bit,
                         .smtputf8 = true,
                         .require_tls = true,
                         .ret = Ret::headers,
                         .envelope_id = "id 1+2",
                         .deliver_by = DeliverBy{120, true, true},
                         .priority = -3};
  std::string out;
  ASSERT_TRUE(append_mail(out, mail, everything()));
  EXPECT_EQ(out, "MAIL FROM:<a@b.test> SIZE=1000 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=id+201+2B2 BY=120;RT MT-PRIORITY=-3 REQUIRETLS\r\n");
  out.clear();
  ASSERT_TRUE(append_mail(out, mail, RemoteOffer{}));
  EXPECT_EQ(out, "MAIL FROM:<a@b.test>\r\n");
  out.clear();
  ASSERT_TRUE(append_mail(out, {.sender = "", .body = Body::binary}, everything()));
  EXPECT_EQ(out, "MAIL FROM:<> BODY=BINARYMIME\r\n");
}

TEST(ClientCommand, Rcpt) {
  const OriginalRecipient original{"rfc822", "a+b@c.test"};
  const OriginalRecipient wide{"utf-8", "\xC3\xBC@c.test"};
  const OriginalRecipient broken{"rfc 822", "x"};
  const OriginalRecipient endless{"rfc822", std::string(600, 'x')};
  std::string out;
  ASSERT_TRUE(append_rcpt(out, {"d@e.test", Notify{Notify::kSuccess | Notify::kDelay}, &original}, everything()));
  ASSERT_TRUE(append_rcpt(out, {"d@e.test", Notify{}, &wide}, everything()));
  ASSERT_TRUE(append_rcpt(out, {"d@e.test", Notify{Notify::kNever}, &broken}, everything()));
  ASSERT_TRUE(append_rcpt(out, {"d@e.test", Notify{}, &endless}, everything()));
  ASSERT_TRUE(append_rcpt(out, {"d@e.test", Notify{Notify::kNever}, &original}, RemoteOffer{}));
  EXPECT_EQ(out,
            "RCPT TO:<d@e.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a+2Bb@c.test\r\n"
            "RCPT TO:<d@e.test> ORCPT=utf-8;\\x{FC}@c.test\r\n"
            "RCPT TO:<d@e.test> NOTIFY=NEVER\r\n"
            "RCPT TO:<d@e.test>\r\n"
            "RCPT TO:<d@e.test>\r\n");
}

TEST(ClientCommand, NothingBecomesASecondCommand) {
  std::string out;
  for (const auto address :
       {"a@b.test\r\nRCPT TO:<x@y.test>", "a@b.test>", "<a@b.test", "a b@c.test", "a@b.test\n", "\"a@b.test", "\"a\\", "a\x7F@b.test"}) {
    EXPECT_FALSE(append_mail(out, {.sender = address}, everything())) << address;
    EXPECT_FALSE(append_rcpt(out, {address}, everything())) << address;
  }
  EXPECT_FALSE(append_mail(out, {.sender = std::string_view("a\0b", 3)}, everything()));
  EXPECT_FALSE(append_hello(out, "EHLO", "a b"));
  EXPECT_FALSE(append_hello(out, "EHLO", "a\r\nb"));
  EXPECT_FALSE(append_hello(out, "EHLO", ""));
  EXPECT_EQ(out, "");
  EXPECT_TRUE(append_rcpt(out, {"\"a> \\\" b\"@c.test"}, everything()));
  EXPECT_EQ(out, "RCPT TO:<\"a> \\\" b\"@c.test>\r\n");
}

TEST(ClientCommand, Others) {
  std::string out;
  ASSERT_TRUE(append_hello(out, "LHLO", "a.test"));
  append_bdat(out, 12, false);
  append_bdat(out, 0, true);
  append_auth(out, "LOGIN", std::nullopt);
  append_auth(out, "PLAIN", "");
  append_auth(out, "PLAIN", std::string_view("\0a\0b", 4));
  EXPECT_EQ(out, "LHLO a.test\r\nBDAT 12\r\nBDAT 0 LAST\r\nAUTH LOGIN\r\nAUTH PLAIN =\r\nAUTH PLAIN AGEAYg==\r\n");
  out.clear();
  const std::vector<std::pair<std::string, std::string>> attributes{
      {"addr", "192.0.2.1"}, {"NAME", ""}, {"HELO", "x"}, {"LOGIN", "a b\r\n"}};
  EXPECT_TRUE(append_xclient(out, attributes, everything()));
  EXPECT_EQ(out, "XCLIENT ADDR=192.0.2.1 NAME=[UNAVAILABLE] LOGIN=a+20b+0D+0A\r\n");
  EXPECT_FALSE(append_xclient(out, attributes, RemoteOffer{}));
}

std::string stuffed(std::string_view content, std::size_t piece) {
  DotStuffer stuffer;
  std::string out;
  std::array<std::string_view, DotStuffer::kPieces> pieces;
  for (std::size_t at = 0; at < content.size(); at += piece) {
    auto rest = content.substr(at, piece);
    while (!rest.empty()) {
      const auto step = stuffer.feed(rest, pieces);
      for (std::size_t i = 0; i < step.count; ++i) out += pieces[i];
      rest.remove_prefix(step.used);
    }
  }
  out += stuffer.finish();
  return out;
}

TEST(DotStuffer, DotsAndLineEnds) {
  struct Row {
    std::string_view content;
    std::string_view sent;
  };
  for (const auto& row : std::vector<Row>{{"", ".\r\n"},
                                          {"a\r\n", "a\r\n.\r\n"},
                                          {"a", "a\r\n.\r\n"},
                                          {".", "..\r\n.\r\n"},
                                          {".\r\n", "..\r\n.\r\n"},
                                          {"..\r\n.a\r\na.\r\n", "...\r\n..a\r\na.\r\n.\r\n"},
                                          {"\r\n.\r\n", "\r\n..\r\n.\r\n"},
                                          {"a\n.\nb", "a\r\n..\r\nb\r\n.\r\n"},
                                          {"a\r.\rb\r", "a\r\n..\r\nb\r\n.\r\n"},
                                          {"a\n\r.\r\n", "a\r\n\r\n..\r\n.\r\n"},
                                          {"\r\r\n\n", "\r\n\r\n\r\n.\r\n"},
                                          {"a\r\n.", "a\r\n..\r\n.\r\n"},
                                          {"a\r", "a\r\n.\r\n"}}) {
    for (std::size_t piece = 1; piece <= row.content.size() + 1; ++piece)
      EXPECT_EQ(stuffed(row.content, piece), row.sent) << row.content << " by " << piece;
  }
}

TEST(DotStuffer, OurOwnServerReadsItBack) {
  std::string content;
  for (int i = 0; i < 2'000; ++i)
    content += std::string(static_cast<std::size_t>(i % 5), '.') + std::to_string(i) + (i % 7 == 0 ? "\r\n.\r\n" : "\r\n");
  const auto sent = stuffed(content, 1'000'000);
  DataFramer framer;
  std::string got;
  const auto step = framer.feed(sent, [&](std::string_view piece) { got += piece; });
  EXPECT_TRUE(step.end && framer.good());
  EXPECT_EQ(step.used, sent.size());
  EXPECT_EQ(got, content);
}

}  // namespace
}  // namespace relais::smtp
