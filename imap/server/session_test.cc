// What transcripts can't say: large messages, time, TLS, a stop of the platform, clients that don't read.
#include "imap/server/session.h"

#include "base/encode.h"
#include "imap/server/encoded_part.h"
#include "imap/server/testing.h"
#include "net/connection.h"
#include "net/test_support.h"
#include "net/throttle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>

namespace relais::imap::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string lines(std::size_t octets, std::string_view line) {
  std::string text;
  while (text.size() < octets) text.append(line).append("\r\n");
  return text;
}

// 300 KB of quoted-printable text and 600 KB of base64.
struct Large {
  std::string text = lines(300'000, "Gr=C3=BC=C3=9Fe aus K=C3=B6ln, und noch etwas mehr davon bis zum Ende der Zeile");
  std::string binary;
  std::string encoded;
  std::string message;

  Large() {
    for (unsigned i = 0; binary.size() < 450'000; ++i) put_u32(binary, i * 2654435761U);
    const auto base64 = to_base64(binary);
    for (std::size_t at = 0; at < base64.size(); at += 76) encoded.append(base64, at, 76).append("\r\n");
    message =
        "From: a@example.org\r\nSubject: large\r\nX-Odd: yes\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n"
        "--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
        text + "\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded +
        "\r\n--b\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nAAA*\r\n" + lines(300'000, "!") + "\r\n--b--\r\n";
  }
};

std::string literal(std::string_view octets) { return "{" + std::to_string(octets.size()) + "}\r\n" + std::string(octets); }

class SessionTest : public ::testing::Test {
 protected:
  World& start(Options options = World::plaintext(), std::shared_ptr<net::TlsContext> tls = nullptr) {
    session_.reset();
    world_ = std::make_unique<World>(std::move(options), std::move(tls));
    return *world_;
  }
  void login(World& world) {
    session_ = std::make_unique<net::ScriptedSession>(world.starter());
    session_->run();
    ASSERT_THAT(send("login LOGIN alice secret"), StartsWith("login OK"));
  }
  std::string send(std::string_view command) { return session_->send(std::string(command) + "\r\n"); }

  std::unique_ptr<World> world_;  // outlives the session
  std::unique_ptr<net::ScriptedSession> session_;
};

TEST_F(SessionTest, LargeMessagesAreReadInPieces) {
  auto& world = start();
  const Large large;
  world.deliver("INBOX", large.message);
  login(world);
  send("s SELECT INBOX");
  const auto& message = large.message;
  const auto split = message.find("\r\n\r\n") + 4;
  const auto fetched = [this](const std::string& items) { return send("f FETCH 1 (" + items + ")"); };
  const auto reply = [](const std::string& data) { return "* 1 FETCH (" + data + ")\r\nf OK FETCH completed\r\n"; };

  EXPECT_EQ(fetched("BODY.PEEK[]"), reply("BODY[] " + literal(message)));
  EXPECT_EQ(fetched("BODY.PEEK[HEADER] UID"), reply("UID 1 BODY[HEADER] " + literal(message.substr(0, split))));
  EXPECT_EQ(fetched("BODY.PEEK[TEXT]"), reply("BODY[TEXT] " + literal(message.substr(split))));
  EXPECT_EQ(fetched("BODY.PEEK[]<290000.70000>"), reply("BODY[]<290000> " + literal(message.substr(290'000, 70'000))));
  EXPECT_EQ(fetched("BODY.PEEK[1] RFC822.SIZE"),
            reply("BODY[1] " + literal(large.text) + " RFC822.SIZE " + std::to_string(message.size())));
  EXPECT_EQ(fetched("BODY.PEEK[2]"), reply("BODY[2] " + literal(large.encoded)));
  EXPECT_EQ(fetched("BODY.PEEK[HEADER.FIELDS (X-Odd)]"), reply("BODY[HEADER.FIELDS (X-Odd)] " + literal("X-Odd: yes\r\n\r\n")));
  EXPECT_EQ(fetched("BINARY.PEEK[2]"), reply("BINARY[2] ~" + literal(large.binary)));
  EXPECT_EQ(fetched("BINARY.PEEK[2]<262140.9>"), reply("BINARY[2]<262140> ~" + literal(large.binary.substr(262'140, 9))));
  EXPECT_EQ(fetched("BINARY.SIZE[2]"), reply("BINARY.SIZE[2] 450000"));
  EXPECT_EQ(fetched("BINARY.PEEK[3]"), "* 1 FETCH (BINARY[3] NIL)\r\nf NO [UNKNOWN-CTE] a part's transfer encoding can't be decoded\r\n");
  EXPECT_EQ(fetched("BODY.PEEK[4]"), reply("BODY[4] NIL"));
  EXPECT_EQ(send("g SEARCH BODY \"bis zum ende\""), "* SEARCH 1\r\ng OK SEARCH completed\r\n");
  EXPECT_EQ(send("g SEARCH HEADER X-Odd YES"), "* SEARCH 1\r\ng OK SEARCH completed\r\n");
}

TEST_F(SessionTest, ManySectionsOfOneMessageDoNotPileUp) {
  auto& world = start();
  const auto message = World::sample(1) + lines(200'000, "x");
  world.deliver("INBOX", message);
  login(world);
  send("s SELECT INBOX");
  std::string items = "BODY.PEEK[]";
  std::string expected = "BODY[] " + literal(message);
  for (int i = 1; i < 20; ++i) {
    items += " BODY.PEEK[]<" + std::to_string(i) + ".999999>";
    expected += " BODY[]<" + std::to_string(i) + "> " + literal(message.substr(static_cast<std::size_t>(i)));
  }
  EXPECT_EQ(send("f FETCH 1 (" + items + ")"), "* 1 FETCH (" + expected + ")\r\nf OK FETCH completed\r\n");
}

TEST_F(SessionTest, LargeAppendComesBackAsItWas) {
  auto& world = start();
  const Large large;
  login(world);
  EXPECT_EQ(send("a APPEND INBOX {" + std::to_string(large.message.size()) + "}"), "+ OK\r\n");
  EXPECT_THAT(send(large.message), StartsWith("a OK [APPENDUID "));
  send("s SELECT INBOX");
  EXPECT_EQ(send("f FETCH 1 BODY.PEEK[]"), "* 1 FETCH (BODY[] " + literal(large.message) + ")\r\nf OK FETCH completed\r\n");
}

TEST_F(SessionTest, LongLinesAreRefusedAndSkipped) {
  auto& world = start();
  login(world);
  EXPECT_EQ(send("a LIST \"\" " + std::string(100'000, 'x')), "a BAD Command is too long\r\n");
  EXPECT_EQ(send("b NOOP"), "b OK NOOP completed\r\n");
  EXPECT_EQ(send("c LIST \"\" {200000+}\r\n" + std::string(200'000, 'x')), "c NO [LIMIT] Literals of this command are too large\r\n");
  EXPECT_EQ(send("d NOOP"), "d OK NOOP completed\r\n");
}

TEST_F(SessionTest, StrangersGetShorterLines) {
  auto& world = start();
  net::ScriptedSession stranger(world.starter());
  stranger.run();
  const auto reply = stranger.send("a LOGIN " + std::string(200'000, 'x'));
  EXPECT_THAT(reply, StartsWith("* BYE"));
  EXPECT_TRUE(stranger.ended());
}

TEST_F(SessionTest, AStopOfThePlatformEndsSessionsBetweenCommands) {
  auto& world = start();
  login(world);
  session_->loop().begin_shutdown();
  EXPECT_EQ(session_->run_until("BYE"), "* BYE [UNAVAILABLE] shutting down\r\n");
  EXPECT_TRUE(session_->ended());

  login(world);
  send("a SELECT INBOX");
  send("b IDLE");
  session_->loop().begin_shutdown();
  EXPECT_EQ(session_->run_until("BYE"), "* BYE [UNAVAILABLE] shutting down\r\n");

  // A command that has begun is executed first.
  login(world);
  session_->send("a NO");
  session_->loop().begin_shutdown();
  EXPECT_EQ(session_->run(), "");
  EXPECT_EQ(session_->send("OP\r\n"), "a OK NOOP completed\r\n* BYE [UNAVAILABLE] shutting down\r\n");
}

TEST_F(SessionTest, AStopEndsTheWaitAfterWrongPasswords) {
  auto& world = start();
  net::Throttle throttle(world.clock());
  for (int i = 0; i < 20; ++i) throttle.failed("198.51.100.1", "alice");
  auto services = world.services();
  services.throttle = &throttle;
  for (const auto* command : {"a LOGIN alice secret\r\n", "a AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==\r\n"}) {
    net::ScriptedSession guesser(session_starter(std::make_shared<Server>(services, World::plaintext())));
    guesser.run();
    EXPECT_EQ(guesser.send(command), "") << "thirty seconds are due";
    EXPECT_FALSE(guesser.ended());
    guesser.loop().begin_shutdown();
    EXPECT_EQ(guesser.run(), "* BYE [UNAVAILABLE] shutting down\r\n");
    EXPECT_TRUE(guesser.ended());
  }
}

TEST_F(SessionTest, ServersOfOneProcessCountTheConnectionsOfAnAccountTogether) {
  auto options = World::plaintext();
  options.max_per_account = 2;
  auto& world = start(options);
  login(world);
  net::ScriptedSession second(session_starter(std::make_shared<Server>(world.services(), options)));
  second.run();
  EXPECT_THAT(second.send("a LOGIN alice secret\r\n"), StartsWith("a OK"));
  net::ScriptedSession third(world.starter());
  third.run();
  EXPECT_THAT(third.send("a LOGIN alice secret\r\n"), StartsWith("a NO [LIMIT]"));
  second.send("b LOGOUT\r\n");
  EXPECT_THAT(third.send("b LOGIN alice secret\r\n"), StartsWith("b OK"));
}

TEST_F(SessionTest, DeadlinesAreTold) {
  auto options = World::plaintext();
  options.login_limit = std::chrono::seconds(0);
  auto& world = start(options);
  net::ScriptedSession stranger(world.starter());
  EXPECT_THAT(stranger.run(), HasSubstr("\r\n* BYE login took too long\r\n"));
  EXPECT_TRUE(stranger.ended());

  options.login_limit = std::chrono::seconds(60);
  options.idle_limit = std::chrono::seconds(0);
  World patient(options);
  net::ScriptedSession idle(patient.starter());
  idle.run();
  EXPECT_THAT(idle.send("a LOGIN alice secret\r\n"), HasSubstr("\r\n* BYE autologout; idle for too long\r\n"));
}

TEST_F(SessionTest, ManyBadCommandsEndTheSession) {
  auto& world = start();
  login(world);
  for (unsigned i = 0; i < Options().max_bad_commands; ++i) EXPECT_THAT(send("x FROB"), StartsWith("x BAD"));
  EXPECT_THAT(send("x FROB"), HasSubstr("* BYE too many bad commands"));
  EXPECT_TRUE(session_->ended());
}

// ---- a client with a pace of its own, on one loop with the session

net::Task<std::string> read_until(net::Connection& connection, std::string_view text) {
  std::string heard;
  while (heard.find(text) == std::string::npos) {
    RELAIS_CO_TRY_VOID(co_await connection.fill(net::in(std::chrono::minutes(1)), net::Awaiting::data));
    heard.append(connection.buffered());
    connection.consume(connection.buffered().size());
  }
  co_return heard;
}

net::Task<std::string> ask(net::Connection& connection, std::string command, std::string_view until) {
  connection.queue(command + "\r\n");
  RELAIS_CO_TRY_VOID(co_await connection.flush(net::in(std::chrono::minutes(1))));
  co_return co_await read_until(connection, until);
}

// A message is expunged while a slow client reads it: the rest can't be sent, and a literal can't be taken back.
net::asio::awaitable<void> lose_message(World& world, net::Connection& client) {
  (co_await read_until(client, "ready")).value();
  (co_await ask(client, "a LOGIN alice secret", "a OK")).value();
  (co_await ask(client, "b SELECT INBOX", "b OK")).value();
  auto first = (co_await ask(client, "c UID FETCH 1 BODY.PEEK[]", "BODY[] {")).value();
  (co_await world.store().expunge(World::alice(), storage::MailboxId{1}, std::nullopt, true)).value();
  const auto rest = co_await read_until(client, "c OK");
  EXPECT_FALSE(rest.has_value());
  EXPECT_EQ(rest.error().fault, Fault::closed);
}

TEST_F(SessionTest, AMessageThatIsGoneHalfWayEndsTheConnection) {
  auto& world = start();
  world.deliver("INBOX", Large().message);
  net::Loop loop;
  auto [server_end, client_end] = net::memory_pair(4'096);
  const net::Endpoints endpoints{"192.0.2.1", 1, "192.0.2.2", 143};
  net::Connection client(loop, std::move(client_end), endpoints);
  bool ended = false;
  const auto server_done = [&ended](std::exception_ptr thrown) {
    EXPECT_FALSE(thrown);
    ended = true;
  };
  net::asio::co_spawn(loop.context(), world.starter()(std::make_unique<net::Connection>(loop, std::move(server_end), endpoints)),
                      server_done);
  net::asio::co_spawn(loop.context(), lose_message(world, client), [&loop](std::exception_ptr thrown) {
    EXPECT_FALSE(thrown);
    loop.stop();
  });
  loop.run();
  EXPECT_TRUE(ended);
}

// ---- TLS over real sockets

net::asio::awaitable<void> upgrade(net::Loop& loop, std::uint16_t port, std::shared_ptr<net::TlsContext> context) {
  auto connected = co_await net::connect(loop, "127.0.0.1", port, net::in(std::chrono::minutes(1)));
  auto& client = **connected;
  const auto greeting = (co_await read_until(client, "\r\n")).value();
  EXPECT_THAT(greeting, HasSubstr("STARTTLS LOGINDISABLED"));
  EXPECT_THAT((co_await ask(client, "a1 LOGIN alice secret", "a1 ")).value(), StartsWith("a1 NO [PRIVACYREQUIRED]"));
  // What comes behind STARTTLS in plaintext could have been injected, and is dropped (RFC 9051 §6.2.1).
  EXPECT_EQ((co_await ask(client, "a2 STARTTLS\r\na3 NOOP", "a2 ")).value(), "a2 OK begin TLS\r\n");
  (co_await client.start_tls_client(*context, "localhost", net::in(std::chrono::minutes(1)))).value();
  const auto capabilities = (co_await ask(client, "a4 CAPABILITY", "a4 ")).value();
  EXPECT_THAT(capabilities, StartsWith("* CAPABILITY "));
  EXPECT_THAT(capabilities, ::testing::Not(HasSubstr("STARTTLS")));
  EXPECT_THAT(capabilities, ::testing::Not(HasSubstr("LOGINDISABLED")));
  EXPECT_THAT((co_await ask(client, "a5 STARTTLS", "a5 ")).value(), StartsWith("a5 BAD"));
  EXPECT_THAT((co_await ask(client, "a6 LOGIN alice secret", "a6 ")).value(), StartsWith("a6 OK [CAPABILITY "));
  EXPECT_THAT((co_await ask(client, "a7 LOGOUT", "a7 ")).value(), HasSubstr("* BYE"));
}

TEST_F(SessionTest, StartTls) {
  net::TestCertificate certificate({"localhost"});
  net::LoopPool loops(1);
  auto& world = start(Options{}, net::TlsContext::server({{certificate.certificate(), certificate.key()}}).value());
  net::ListenerOptions options;
  options.name = "imap";
  options.address = "127.0.0.1";
  auto listener = net::Listener::open(loops, options, world.starter()).value();
  loops.start();
  listener->start();
  auto context = net::TlsContext::client(certificate.certificate(), true).value();
  net::run_on(loops.at(0), upgrade(loops.at(0), listener->port(), context));
  listener->stop();
  loops.shutdown(std::chrono::seconds(10));
}

// ---- pieces of encoded parts

TEST(EncodedPart, PrefixesDecodeAlone) {
  using message::Encoding;
  struct Case {
    Encoding encoding;
    std::string_view octets;
    std::size_t prefix;
  };
  for (const auto& [encoding, octets, prefix] : {
           Case{Encoding::base64, "AAAABBBB", 8},
           Case{Encoding::base64, "AAAABB", 4},
           Case{Encoding::base64, "AAAA\r\nB\r\n", 6},
           Case{Encoding::base64, "AAA", 0},
           Case{Encoding::base64, "", 0},
           Case{Encoding::base64, "AAAAB B", 4},
           Case{Encoding::quoted_printable, "a=\r\nb=4", 4},
           Case{Encoding::quoted_printable, "abc", 0},
           Case{Encoding::binary, "abc", 3},
           Case{Encoding::eight_bit, "abc", 3},
       }) {
    EXPECT_EQ(decodable_prefix(encoding, octets), prefix) << octets;
  }
}

}  // namespace
}  // namespace relais::imap::testing
