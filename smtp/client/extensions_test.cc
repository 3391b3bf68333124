// What a message needs of a host, and what becomes of it where the host has not got it.
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

#include <functional>

namespace relais::smtp {
namespace {

using testing::message_to;
using testing::options_for;
using testing::run;
using testing::ScriptedHost;
using testing::summary;

constexpr std::string_view kEightBit =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
    "8bit\r\n\r\nGr\xC3\xBC\xC3\x9F"
    "e aus der Stadt am Flu\xC3\x9F, in der es keine acht Bits gibt\r\n";
constexpr std::string_view kBinary =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: "
    "binary\r\n\r\n\x01\xFF\n\r\x02";
constexpr std::string_view kEncoded =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\nAf8KDQI=\r\n";

/// One message to a host with these keywords, which shall say what `mail` is and take it; or, with `mail` empty, must hear nothing of it.
std::string send(std::string_view keywords, const std::string& mail, const OutboundMessage& message, std::string* content = nullptr,
                 const std::function<void(Outcome&)>& look = {}) {
  std::string script = "S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\n";
  for (const auto word : {keywords}) {
    std::string_view rest = word;
    while (!rest.empty()) {
      const auto end = rest.find(',');
      script.append("S: 250-").append(rest.substr(0, end)).append("\n");
      rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    }
  }
  script += "S: 250 HELP\n";
  const bool chunking = keywords.contains("CHUNKING");
  if (!mail.empty())
    script += "C: " + mail + "\nS: 250\nC: RCPT*\nS: 250\n" + (chunking ? "C: BDAT*\n" : "C: DATA\nS: 354\n") + "DATA\nS: 250\n";
  ScriptedHost host({script + "C: QUIT"});
  message.content->rewind();
  auto ran = run(options_for(host), {message});
  if (const auto errors = host.errors(); !errors.empty()) return errors;
  if (content != nullptr && !mail.empty()) *content = host.contents().at(0);
  if (look) look(ran.outcomes.at(0));
  return ran.all();
}

constexpr std::string_view kDelivered = "delivered 2.0.0 end of DATA | usable";
constexpr std::string_view kConverted = "delivered 2.0.0 end of DATA | usable converted";

TEST(ClientExtensions, Size) {
  MemoryContent content(kEightBit);
  auto message = message_to(content, {"a@mx.test"});
  const auto size = std::to_string(kEightBit.size());
  EXPECT_EQ(send("SIZE " + size, "MAIL FROM:<from@us.test> SIZE=" + size, message), kDelivered);
  EXPECT_EQ(send("SIZE", "MAIL FROM:<from@us.test> SIZE=" + size, message), kDelivered);
  EXPECT_EQ(send("SIZE 0", "MAIL FROM:<from@us.test> SIZE=" + size, message), kDelivered);
  EXPECT_EQ(send("SIZE 10", "", message), "permanent 5.3.4 local | usable");
}

TEST(ClientExtensions, EightBitContentIsConvertedWhereItMustBe) {
  MemoryContent content(kEightBit);
  auto message = message_to(content, {"a@mx.test"});
  message.body = Body::eight_bit;
  std::string sent;
  EXPECT_EQ(send("8BITMIME", "MAIL FROM:<from@us.test> BODY=8BITMIME", message, &sent), kDelivered);
  EXPECT_EQ(sent, std::string(kEightBit) + ".\r\n");
  EXPECT_EQ(send("SIZE 300", "MAIL FROM:<from@us.test> SIZE=*", message, &sent), kConverted);
  EXPECT_EQ(
      sent,
      "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
      "Gr=C3=BC=C3=9Fe aus der Stadt am Flu=C3=9F, in der es keine acht Bits gibt\r\n.\r\n");
  // Larger after the conversion than the host takes.
  EXPECT_EQ(send("SIZE " + std::to_string(kEightBit.size()), "", message), "permanent 5.3.4 local | usable converted");
}

TEST(ClientExtensions, BinaryContent) {
  MemoryContent content(kBinary);
  auto message = message_to(content, {"a@mx.test"});
  message.body = Body::binary;
  std::string sent;
  EXPECT_EQ(send("CHUNKING,BINARYMIME,8BITMIME", "MAIL FROM:<from@us.test> BODY=BINARYMIME", message, &sent), kDelivered);
  EXPECT_EQ(sent, kBinary);
  EXPECT_EQ(send("CHUNKING,8BITMIME", "MAIL FROM:<from@us.test> BODY=8BITMIME", message, &sent), kConverted);
  EXPECT_EQ(sent, kEncoded);
  EXPECT_EQ(send("BINARYMIME,8BITMIME", "MAIL FROM:<from@us.test> BODY=8BITMIME", message, &sent), kConverted);
  EXPECT_EQ(sent, std::string(kEncoded) + ".\r\n");
  EXPECT_EQ(send("PIPELINE", "MAIL FROM:<from@us.test>", message, &sent), kConverted);
  EXPECT_EQ(sent, std::string(kEncoded) + ".\r\n");
}

TEST(ClientExtensions, WhatCannotBeConvertedIsReturned) {
  MemoryContent content("Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n\xC3\xBC\r\n--b\r\n\r\nsignature\r\n--b--\r\n");
  auto message = message_to(content, {"a@mx.test"});
  message.body = Body::eight_bit;
  EXPECT_EQ(send("SIZE", "", message), "permanent 5.6.3 local | usable");
}

TEST(ClientExtensions, SmtpUtf8) {
  MemoryContent plain("Subject: x\r\n\r\nx\r\n");
  MemoryContent wide("Subject: \xC3\xBC\r\n\r\nx\r\n");
  auto message = message_to(plain, {"a@mx.test"});
  message.smtputf8 = true;
  EXPECT_EQ(send("SMTPUTF8,8BITMIME", "MAIL FROM:<from@us.test> SMTPUTF8", message), kDelivered);
  // Nothing of it needs what was asked for.
  EXPECT_EQ(send("8BITMIME", "MAIL FROM:<from@us.test>", message), kDelivered);
  message.content = &wide;
  message.body = Body::eight_bit;
  EXPECT_EQ(send("SMTPUTF8,8BITMIME", "MAIL FROM:<from@us.test> BODY=8BITMIME SMTPUTF8", message), kDelivered);
  EXPECT_EQ(send("8BITMIME", "", message), "permanent 5.6.7 local | usable");
  message.content = &plain;
  message.body = Body::seven_bit;
  message.sender = "\xC3\xBC@us.test";
  EXPECT_EQ(send("8BITMIME", "", message), "permanent 5.6.7 local | usable");
  EXPECT_EQ(send("SMTPUTF8", "MAIL FROM:<\xC3\xBC@us.test> SMTPUTF8", message), kDelivered);
  message.sender = "from@us.test";
  message.recipients.insert(message.recipients.begin(), {"\xC3\xBC@mx.test"});
  EXPECT_EQ(send("8BITMIME", "MAIL FROM:<from@us.test>", message), "permanent 5.6.7 local; delivered 2.0.0 end of DATA | usable");
}

TEST(ClientExtensions, NotificationsArePassedOn) {  // RFC 3461 §5.2.1
  MemoryContent content("Subject: x\r\n\r\nx\r\n");
  auto message = message_to(content, {"a@mx.test"});
  message.ret = Ret::full;
  message.envelope_id = "id=1";
  message.recipients[0].notify.bits = Notify::kSuccess;
  message.recipients[0].original = {"rfc822", "b@us.test"};
  ScriptedHost host(
      {"S: 220 x\nC: EHLO*\nS: 250-x\nS: 250 DSN\nC: MAIL FROM:<from@us.test> RET=FULL ENVID=id+3D1\nS: 250\n"
       "C: RCPT TO:<a@mx.test> NOTIFY=SUCCESS ORCPT=rfc822;b@us.test\nS: 250\nC: DATA\nS: 354\nDATA\nS: 250\nC: QUIT",
       "S: 220 x\nC: EHLO*\nS: 250 x\nC: MAIL FROM:<from@us.test>\nS: 250\nC: RCPT TO:<a@mx.test>\nS: 250\nC: DATA\nS: 354\nDATA\nS: "
       "250\nC: QUIT"});
  auto ran = run(options_for(host), {message});
  EXPECT_EQ(ran.all(), kDelivered);
  EXPECT_TRUE(ran.outcomes.at(0).dsn_passed);
  content.rewind();
  ran = run(options_for(host), {message});
  EXPECT_EQ(ran.all(), kDelivered);
  EXPECT_FALSE(ran.outcomes.at(0).dsn_passed);
  EXPECT_EQ(host.errors(2), "");
}

TEST(ClientExtensions, DeliverBy) {  // RFC 2852 §4.1.4
  MemoryContent content("Subject: x\r\n\r\nx\r\n");
  auto message = message_to(content, {"a@mx.test"});
  message.deliver_by = DeliverBy{120, true, false};
  EXPECT_EQ(send("DELIVERBY", "MAIL FROM:<from@us.test> BY=120;R", message, nullptr,
                 [](Outcome& outcome) { EXPECT_TRUE(outcome.deliver_by_passed); }),
            kDelivered);
  EXPECT_EQ(send("DELIVERBY 120", "MAIL FROM:<from@us.test> BY=120;R", message), kDelivered);
  EXPECT_EQ(send("DELIVERBY 121", "", message), "permanent 5.4.7 local | usable");
  EXPECT_EQ(send("SIZE", "", message), "permanent 5.3.3 local | usable");
  message.deliver_by = DeliverBy{120, false, true};
  EXPECT_EQ(send("DELIVERBY 121", "MAIL FROM:<from@us.test> BY=120;NT", message), kDelivered);
  ScriptedHost host(
      {"S: 220 x\nC: EHLO*\nS: 250-x\nS: 250 DSN\nC: MAIL FROM:<from@us.test>\nS: 250\nC: RCPT TO:<a@mx.test> NOTIFY=FAILURE,DELAY\nS: "
       "250\n"
       "C: DATA\nS: 354\nDATA\nS: 250\nC: QUIT"});
  content.rewind();
  const auto ran = run(options_for(host), {message});
  EXPECT_EQ(ran.all(), kDelivered);
  EXPECT_FALSE(ran.outcomes.at(0).deliver_by_passed);
  EXPECT_EQ(host.errors(), "");
}

TEST(ClientExtensions, Priority) {
  MemoryContent content("Subject: x\r\n\r\nx\r\n");
  auto message = message_to(content, {"a@mx.test"});
  message.priority = 4;
  EXPECT_EQ(send("MT-PRIORITY MIXER", "MAIL FROM:<from@us.test> MT-PRIORITY=4", message), kDelivered);
  EXPECT_EQ(send("SIZE", "MAIL FROM:<from@us.test> SIZE=*", message), kDelivered);
}

TEST(ClientExtensions, RequireTlsNeedsTls) {
  MemoryContent content("Subject: x\r\n\r\nx\r\n");
  auto message = message_to(content, {"a@mx.test"});
  message.require_tls = true;
  EXPECT_EQ(send("REQUIRETLS", "", message), "permanent 5.7.10 local | usable");
}

TEST(ClientExtensions, AddressesThatAreNoneStayHere) {
  MemoryContent content("Subject: x\r\n\r\nx\r\n");
  auto message = message_to(content, {"a@mx.test", "b@mx.test>\r\nDATA\r\n", ""});
  EXPECT_EQ(send("SIZE", "MAIL FROM:<from@us.test> SIZE=*", message),
            "delivered 2.0.0 end of DATA; permanent 5.1.3 local; permanent 5.1.3 local | usable");
  message.sender = "a\r\nb";
  EXPECT_EQ(send("SIZE", "", message), "permanent 5.1.7 local; permanent 5.1.7 local; permanent 5.1.7 local | usable");
}

}  // namespace
}  // namespace relais::smtp
