// Sessions: what wire transcripts can't show. TLS, the stop of the platform, time limits, storage faults, trace fields, large messages.
#include "smtp/server/test_support.h"

#include "base/encode.h"
#include "net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

namespace relais::smtp {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TestPlatform;
using namespace std::chrono_literals;

constexpr std::string_view kPlainAlice = "AUTH PLAIN AGFsaWNlQGV4YW1wbGUudGVzdABzZWNyZXQ=\r\n";

Options options_of(Service service) {
  Options options;
  options.service = service;
  options.hostname = "mx.example.test";
  options.allow_plaintext_auth = true;
  return options;
}

std::string deliver(std::string_view recipient, std::string_view content) {
  return "MAIL FROM:<a@b.test>\r\nRCPT TO:<" + std::string(recipient) + ">\r\nDATA\r\n" + std::string(content) + ".\r\n";
}

std::string stuffed(std::string_view text) {
  std::string out;
  bool line_start = true;
  for (const char c : text) {
    if (line_start && c == '.') out += '.';
    out += c;
    line_start = c == '\n';
  }
  return out;
}

std::string last_line(const std::string& text) {
  const auto end = text.rfind("\r\n", text.size() - 3);
  return text.substr(end == std::string::npos ? 0 : end + 2);
}

TEST(SmtpSession, TraceFieldsOfMx) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  net::Script wire{.to_server = "EHLO client.test\r\n" + deliver("alice+tag@example.test", "Subject: x\r\n\r\nbody\r\n") + "QUIT\r\n"};
  net::play(wire, platform.service(options_of(Service::mx)));
  const auto got = platform.messages(alice);
  ASSERT_EQ(got.size(), 1U);
  const std::regex expected(
      "Return-Path: <a@b.test>\r\nDelivered-To: alice\\+tag@example.test\r\nReceived: from client.test \\(\\[192.0.2.1\\]\\)\r\n"
      "\tby mx.example.test with ESMTP id [a-z0-9]{12}-1\r\n\tfor <alice\\+tag@example.test>;\r\n\tThu, 1 Jan 2026 00:00:00 "
      "\\+0000\r\nSubject: x\r\n\r\nbody\r\n");
  EXPECT_TRUE(std::regex_match(got[0], expected)) << got[0];
}

TEST(SmtpSession, SubmissionAddsDateAndMessageIdWhereMissing) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  const auto mail = [](std::string_view content) {
    return "MAIL FROM:<alice@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n" + std::string(content) + ".\r\n";
  };
  net::Script wire{.to_server = "EHLO client.test\r\n" + std::string(kPlainAlice) + mail("From: alice@example.test\r\nSubject: x\r\n\r\n") +
                                mail("From: alice@example.test\r\ndate: y\r\nMESSAGE-id: <z>\r\n\r\n")};
  net::play(wire, platform.service(options_of(Service::submission)));
  const auto got = platform.messages(alice);
  ASSERT_EQ(got.size(), 2U) << wire.from_server;
  EXPECT_THAT(got[0], HasSubstr("Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <"));
  EXPECT_THAT(got[0], HasSubstr(" with ESMTPA id "));
  EXPECT_THAT(got[0], EndsWith("-1@mx.example.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nFrom: alice@example.test\r\nSubject: x\r\n\r\n"));
  EXPECT_THAT(got[1], Not(HasSubstr("Date: ")));
  EXPECT_THAT(got[1], Not(HasSubstr("Message-ID: ")));
}

TEST(SmtpSession, StopAtACommandBoundary) {
  TestPlatform platform;
  platform.add("alice@example.test");
  net::ScriptedSession idle(platform.service(options_of(Service::mx)));
  idle.run();
  idle.send("HELO client.test\r\n");
  idle.loop().begin_shutdown();
  EXPECT_EQ(idle.run(), "421 4.3.2 mx.example.test shutting down, try again later\r\n");
  EXPECT_TRUE(idle.ended());
}

std::string plain(std::string_view user, std::string_view password) {
  std::string message;
  message.append(1, '\0').append(user).append(1, '\0').append(password);
  return "AUTH PLAIN " + to_base64(message) + "\r\n";
}

// However an account's name is spelled, ten wrong passwords slow down the next guess, from anywhere.
TEST(SmtpSession, WrongPasswordsCountForAddressAndAccount) {
  TestPlatform platform;
  platform.add("alice@example.test");
  const std::vector<std::string> spellings{"alice@example.test", "ALICE@example.test", "Alice@EXAMPLE.TEST", "\"alice\"@example.test",
                                           "\"a\\lice\"@example.test"};
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(platform.throttle.delay("198.51.100.1", "alice@example.test"), 0s) << i;
    net::Script wire{.to_server = "EHLO client.test\r\n" + plain(spellings[i % spellings.size()], "wrong")};
    net::play(wire, platform.service(options_of(Service::submission)));
    EXPECT_EQ(last_line(wire.from_server), "535 5.7.8 authentication failed\r\n");
  }
  EXPECT_EQ(platform.throttle.delay("198.51.100.1", "alice@example.test"), 1s);
  EXPECT_EQ(platform.throttle.delay("192.0.2.1", "somebody@example.test"), 1s);
  EXPECT_EQ(platform.throttle.delay("198.51.100.1", "somebody@example.test"), 0s);
}

TEST(SmtpSession, AStopEndsTheWaitAfterWrongPasswords) {
  TestPlatform platform;
  platform.add("alice@example.test");
  for (int i = 0; i < 20; ++i) platform.throttle.failed("192.0.2.1", "");
  net::ScriptedSession guesser(platform.service(options_of(Service::submission)));
  guesser.run();
  guesser.send("EHLO client.test\r\n");
  EXPECT_EQ(guesser.send(kPlainAlice), "") << "thirty seconds are due, for a right password too";
  EXPECT_FALSE(guesser.ended());
  guesser.loop().begin_shutdown();
  EXPECT_EQ(guesser.run(), "421 4.3.2 mx.example.test shutting down, try again later\r\n");
  EXPECT_TRUE(guesser.ended());
}

// An octet every ten milliseconds, four seconds' worth of them: the deadline is that of the whole line.
TEST(SmtpSession, ALineThatDripsInIsOutOfTimeAllTheSame) {
  TestPlatform platform;
  auto options = options_of(Service::submission);
  options.timeouts.first_command = 1s;
  for (const std::string before : {"", "EHLO client.test\r\nAUTH PLAIN\r\n"}) {
    net::ScriptedSession slow(platform.service(options));
    slow.run();
    slow.send(before);
    std::string heard;
    auto next = std::chrono::steady_clock::now();
    std::size_t sent = 0;
    while (!slow.ended() && sent < 400) {
      if (std::chrono::steady_clock::now() < next) {
        heard += slow.run();
        continue;
      }
      heard += slow.send("x");
      ++sent;
      next += 10ms;
    }
    EXPECT_LT(sent, 400U);
    EXPECT_EQ(heard, "421 4.4.2 mx.example.test timeout, closing\r\n");
  }
}

TEST(SmtpSession, StopLetsAMessageFinish) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  net::ScriptedSession busy(platform.service(options_of(Service::mx)));
  busy.send("HELO client.test\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n");
  busy.loop().begin_shutdown();
  EXPECT_EQ(busy.run(), "");
  EXPECT_FALSE(busy.ended());
  const auto got = busy.send("\r\n.\r\n");
  EXPECT_THAT(got, StartsWith("250 2.0.0 delivered as "));
  EXPECT_THAT(got, HasSubstr("\r\n421 4.3.2 "));
  EXPECT_TRUE(busy.ended());
  EXPECT_EQ(platform.count(alice), 1U);
}

TEST(SmtpSession, TimeLimits) {
  TestPlatform platform;
  platform.add("alice@example.test");
  auto options = options_of(Service::mx);
  options.timeouts.first_command = 0s;
  net::Script silent{.end = false};
  net::play(silent, platform.service(options));
  EXPECT_EQ(last_line(silent.from_server), "421 4.4.2 mx.example.test timeout, closing\r\n");

  options = options_of(Service::mx);
  options.timeouts.data_total = 0s;
  net::Script stuck{.to_server = "HELO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n",
                    .end = false};
  net::play(stuck, platform.service(options));
  EXPECT_EQ(last_line(stuck.from_server), "421 4.4.2 mx.example.test timeout, closing\r\n");
}

TEST(SmtpSession, StorageFaultsAreReplies) {
  struct Row {
    Error error;
    std::string reply;
  };
  for (const auto& row : {Row{{Fault::refused, "OVERQUOTA", "", ""}, "552 5.2.2 mailbox full\r\n"},
                          Row{{Fault::temporary, "STORAGE_FULL", "", ""}, "452 4.3.1 not enough storage, try again later\r\n"},
                          Row{{Fault::temporary, "READ_ONLY", "", ""}, "451 4.3.0 temporary failure, try again later\r\n"},
                          Row{{Fault::corrupt, "", "", ""}, "451 4.3.0 temporary failure, try again later\r\n"}}) {
    TestPlatform platform;
    const auto alice = platform.add("alice@example.test");
    platform.store.refuse([&](storage::AccountRef) { return row.error; });
    net::Script wire{.to_server = "HELO client.test\r\n" + deliver("alice@example.test", "\r\n")};
    net::play(wire, platform.service(options_of(Service::mx)));
    EXPECT_EQ(last_line(wire.from_server), row.reply);
    EXPECT_EQ(platform.count(alice), 0U);
  }
}

TEST(SmtpSession, RefusedAtRcptWhereItIsKnown) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  platform.add("bob@example.test");
  ASSERT_TRUE(platform.run(platform.names->set_quota("bob@example.test", 1'000, 0)));
  net::Script wire{.to_server = "EHLO client.test\r\nMAIL FROM:<> SIZE=1001\r\nRCPT TO:<bob@example.test>\r\n"};
  net::play(wire, platform.service(options_of(Service::mx)));
  EXPECT_EQ(last_line(wire.from_server), "452 4.2.2 mailbox full\r\n");

  platform.store.die_at(0, false);
  std::vector<storage::AppendMessage> none(1);
  none.front().message = platform.prepared("\r\n");
  EXPECT_FALSE(platform.run(platform.store.append(alice, "INBOX", std::move(none), true, {})));
  net::Script dead{.to_server = "EHLO client.test\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\n"};
  net::play(dead, platform.service(options_of(Service::mx)));
  EXPECT_EQ(last_line(dead.from_server), "452 4.3.1 storage takes no mail now, try again later\r\n");
}

TEST(SmtpSession, RateLimits) {
  TestPlatform platform;
  platform.add("alice@example.test");
  antispam::RateLimits limits(
      {.client_messages = {1, 1}, .client_recipients = {1, 1}, .sender_messages = {}, .sender_recipients = {}, .tracked = 256},
      platform.clock);
  const Platform parts{*platform.names, *platform.delivery, platform.store, limits, platform.throttle, platform.clock};
  net::Script wire{
      .to_server =
          "EHLO c.test\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nRCPT TO:<alice@example.test>\r\nRSET\r\nMAIL FROM:<>\r\n"};
  net::play(wire, make_service(options_of(Service::mx), parts, nullptr));
  EXPECT_THAT(wire.from_server,
              HasSubstr("250 2.1.5 recipient ok\r\n450 4.7.1 too many recipients from you in a short time, try again later\r\n"));
  EXPECT_EQ(last_line(wire.from_server), "450 4.7.1 too many messages from you in a short time, try again later\r\n");
}

TEST(SmtpSession, HundredThousandRecipientsAreCheap) {
  TestPlatform platform;
  platform.add("alice@example.test");
  std::string commands = "EHLO c.test\r\nMAIL FROM:<>\r\n";
  for (int i = 0; i < 100'000; ++i) commands += "RCPT TO:<alice+" + std::to_string(i) + "@example.test>\r\n";
  net::Script wire{.to_server = commands + "DATA\r\n.\r\nQUIT\r\n"};
  net::play(wire, platform.service(options_of(Service::mx)));
  std::size_t refused = 0;
  for (std::size_t at = 0; (at = wire.from_server.find("452 4.5.3", at)) != std::string::npos; ++at) ++refused;
  EXPECT_EQ(refused, 99'000U);
  EXPECT_THAT(wire.from_server, HasSubstr("250 2.0.0 delivered as "));
}

TEST(SmtpSession, LargeMessagesThroughTheSpool) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  std::string text = "Subject: large\r\n\r\n";
  for (int i = 0; i < 40'000; ++i)
    text += (i % 7 == 0 ? ".line " : "line ") + std::to_string(i) + " of a message that does not fit in memory\r\n";
  net::Script wire{.to_server = "EHLO c.test\r\n" + deliver("alice@example.test", stuffed(text)) +
                                "MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nBDAT " + std::to_string(text.size()) + " LAST\r\n" + text};
  net::play(wire, platform.service(options_of(Service::mx)));
  const auto got = platform.messages(alice);
  ASSERT_EQ(got.size(), 2U);
  for (const auto& message : got) EXPECT_TRUE(message.ends_with("\r\n" + text));
}

// Whatever real and broken mail holds comes back octet for octet behind the trace fields, however it was cut.
TEST(SmtpSession, SharedMailComesBackAsItWas) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  std::vector<std::string> sent;
  std::string commands = "LHLO c.test\r\n";
  for (const auto& entry : std::filesystem::recursive_directory_iterator(RELAIS_SOURCE_DIR "/tests/mail")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string raw{std::istreambuf_iterator<char>(file), {}};
    std::string text;  // any line end becomes CRLF
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] == '\r' && i + 1 < raw.size() && raw[i + 1] == '\n') continue;
      if (raw[i] == '\r' || raw[i] == '\n')
        text += "\r\n";
      else
        text += raw[i];
    }
    if (!text.ends_with("\r\n")) text += "\r\n";
    commands += deliver("alice@example.test", stuffed(text));
    sent.push_back(std::move(text));
  }
  ASSERT_FALSE(sent.empty());
  net::Script wire{.to_server = commands, .chunk = 4'099};
  net::play(wire, platform.service(options_of(Service::lmtp)));
  const auto got = platform.messages(alice);
  ASSERT_EQ(got.size(), sent.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(got[i].ends_with("+0000\r\n" + sent[i])) << i;
    EXPECT_LE(got[i].size(), sent[i].size() + 300) << i;
  }
}

// ---- over TCP

constexpr auto kSoon = 30s;  // for what must not fail; never waited out

/// Reads until the end of the last reply expected.
net::Task<std::string> read_until(net::Connection& connection, std::string_view end) {
  std::string got;
  while (!got.ends_with(end)) {
    if (connection.buffered().empty()) RELAIS_CO_TRY_VOID(co_await connection.fill(net::in(kSoon), net::Awaiting::data));
    got.append(connection.buffered());
    connection.consume(connection.buffered().size());
  }
  co_return got;
}

net::Task<std::string> say(net::Connection& connection, std::string text, std::string_view end) {
  connection.queue(text);
  RELAIS_CO_TRY_VOID(co_await connection.flush(net::in(kSoon)));
  co_return co_await read_until(connection, end);
}

struct Heard {
  std::string before, after_injection, mail, offer, auth, done;
};

net::Task<Heard> tls_dialogue(net::Connection& connection, const net::TlsContext& context) {
  Heard heard;
  RELAIS_CO_TRY(heard.before, co_await say(connection, "EHLO client.test\r\nAUTH PLAIN AGEAYg==\r\n", "first\r\n"));
  // What is pipelined behind STARTTLS could have been injected by somebody else: it must be discarded.
  RELAIS_CO_TRY(heard.after_injection, co_await say(connection, "STARTTLS\r\nEHLO evil.test\r\nMAIL FROM:<evil@b.test>\r\n", "\r\n"));
  RELAIS_CO_TRY_VOID(co_await connection.start_tls_client(context, "mx.example.test", net::in(kSoon)));
  RELAIS_CO_TRY(heard.mail, co_await say(connection, "MAIL FROM:<alice@example.test>\r\n", "\r\n"));
  RELAIS_CO_TRY(heard.offer, co_await say(connection, "EHLO client.test\r\n", "HELP\r\n"));
  RELAIS_CO_TRY(heard.auth, co_await say(connection, std::string(kPlainAlice), "\r\n"));
  RELAIS_CO_TRY(
      heard.done,
      co_await say(connection, "MAIL FROM:<alice@example.test>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n",
                   "goodbye\r\n"));
  co_return heard;
}

TEST(SmtpSession, StartTlsDiscardsWhatCameBefore) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  const net::TestCertificate files({"mx.example.test"});
  const auto server_tls = net::TlsContext::server({{files.certificate(), files.key()}});
  const auto client_tls = net::TlsContext::client(files.certificate(), true);
  ASSERT_TRUE(server_tls && client_tls);
  auto options = options_of(Service::submission);
  options.allow_plaintext_auth = false;
  net::ListenerOptions where;
  where.name = "submission";
  where.address = "127.0.0.1";
  auto listener = net::Listener::open(platform.names.loops(), where, make_service(options, platform.platform(), *server_tls));
  ASSERT_TRUE(listener) << listener.error().text;
  (*listener)->start();
  auto dialogue = [&]() -> net::Task<Heard> {
    RELAIS_CO_TRY(const auto connection,
                  co_await net::connect(platform.names.loops().at(1), "127.0.0.1", (*listener)->port(), net::in(kSoon)));
    RELAIS_CO_TRY_VOID(co_await read_until(*connection, "ESMTP Relais\r\n"));
    co_return co_await tls_dialogue(*connection, **client_tls);
  };
  const auto heard = net::run_on(platform.names.loops().at(1), dialogue());
  ASSERT_TRUE(heard) << heard.error().text << heard.error().detail;
  EXPECT_THAT(heard->before, HasSubstr("250-STARTTLS\r\n"));
  EXPECT_THAT(heard->before, HasSubstr("538 5.7.11 STARTTLS first\r\n"));
  EXPECT_EQ(heard->after_injection, "220 2.0.0 go ahead\r\n");
  EXPECT_EQ(heard->mail, "503 5.5.1 say hello first, and one MAIL at a time\r\n")
      << "the hello is forgotten, and the injected one was never heard";
  EXPECT_THAT(heard->offer, Not(HasSubstr("STARTTLS")));
  EXPECT_THAT(heard->offer, HasSubstr("250-AUTH SCRAM-SHA-256 PLAIN LOGIN\r\n"));
  EXPECT_EQ(heard->auth, "235 2.7.0 welcome\r\n");
  EXPECT_THAT(heard->done, HasSubstr("250 2.0.0 delivered as "));
  const auto got = platform.messages(alice);
  ASSERT_EQ(got.size(), 1U);
  EXPECT_THAT(got[0], HasSubstr(" with ESMTPSA id "));
  EXPECT_THAT(got[0], HasSubstr("(TLSv1.3 cipher TLS_AES_"));
}

}  // namespace
}  // namespace relais::smtp
