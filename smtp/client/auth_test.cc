// Logging in at a smarthost.
#include "base/encode.h"
#include "directory/digest.h"
#include "smtp/client/scram_client.h"
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using directory::Digest;
using testing::options_for;
using testing::run;
using testing::ScriptedHost;
using testing::summary;

TEST(ScramClient, Rfc7677Example) {
  ScramClient scram("user", "rOprNGfwEbeRWgbNEkqO");
  EXPECT_EQ(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
  ASSERT_TRUE(scram.take_first("r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
  EXPECT_EQ(scram.iterations(), 4096U);
  const auto salted = directory::pbkdf2(Digest::sha256, "pencil", scram.salt(), scram.iterations(), 32);
  EXPECT_EQ(scram.last(salted),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
  EXPECT_TRUE(scram.verify("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
  for (const auto* bad : {"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", "v=", "e=other-error", "", "v=!!"})
    EXPECT_FALSE(scram.verify(bad)) << bad;
}

TEST(ScramClient, RefusesServersThatCheat) {
  for (const auto* bad :
       {"", "r=abc,s=c2FsdA==,i=4096", "r=abcd,s=c2FsdA==", "r=abcd,s=,i=4096", "r=abcd,s=!,i=4096", "r=abcd,s=c2FsdA==,i=x",
        "r=abcd,s=c2FsdA==,i=4095", "r=abcd,s=c2FsdA==,i=99999999999", "r=xbcd,s=c2FsdA==,i=4096", "m=x,r=abcd,s=c2FsdA==,i=4096"}) {
    ScramClient scram("user", "abc");
    EXPECT_FALSE(scram.take_first(bad)) << bad;
  }
  EXPECT_EQ(ScramClient("a=b,c", "x").first(), "n,,n=a=3Db=2Cc,r=x");
}

std::string log_in(const std::string& auth, const std::string& script, bool plaintext = true) {
  ScriptedHost host({"S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\nS: 250 " + auth + "\n" + script});
  auto options = options_for(host);
  options.credentials = Credentials{"user", "secret"};
  options.allow_plaintext_auth = plaintext;
  const auto ran = run(options, {});
  const auto errors = host.errors();
  return errors.empty() ? (ran.connected ? "in" : summary(ran.failure)) : errors;
}

TEST(ClientAuth, PlainAndLogin) {
  const auto plain = "C: AUTH PLAIN " + to_base64(std::string_view("\0user\0secret", 12)) + "\n";
  EXPECT_EQ(log_in("AUTH LOGIN PLAIN", plain + "S: 235 2.7.0 ok\nC: QUIT"), "in");
  EXPECT_EQ(log_in("AUTH=PLAIN", plain + "S: 535 5.7.8 no\nC: QUIT"), "temporary 4.7.8 AUTH");
  EXPECT_EQ(log_in("AUTH PLAIN", plain + "S: 454 later\nC: QUIT"), "temporary 4.0.0 AUTH");
  EXPECT_EQ(log_in("AUTH PLAIN", plain + "S: 334 \nC: QUIT"), "temporary 4.5.0 AUTH");
  EXPECT_EQ(log_in("AUTH PLAIN", plain + "CLOSE"), "temporary 4.4.2 AUTH");
  const auto user = "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\n";
  EXPECT_EQ(log_in("AUTH LOGIN", std::string(user) + "S: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\nS: 235 ok\nC: QUIT"), "in");
  EXPECT_EQ(log_in("AUTH LOGIN", std::string(user) + "S: 535 no\nC: QUIT"), "temporary 4.0.0 AUTH");
  EXPECT_EQ(log_in("AUTH LOGIN", "C: AUTH LOGIN\nS: 504 no\nC: QUIT"), "temporary 4.0.0 AUTH");
}

TEST(ClientAuth, NothingThatFits) {
  EXPECT_EQ(log_in("AUTH PLAIN LOGIN", "C: QUIT", false), "temporary 4.7.0 AUTH");
  EXPECT_EQ(log_in("AUTH CRAM-MD5", "C: QUIT"), "temporary 4.7.0 AUTH");
  EXPECT_EQ(log_in("HELP", "C: QUIT"), "temporary 4.7.0 AUTH");
}

/// A server that knows the password, or pretends to.
net::asio::awaitable<void> scram_host(std::unique_ptr<net::Connection> connection, std::string password, bool in_success) {
  const auto line = [&]() -> net::asio::awaitable<std::string> {
    while (connection->buffered().find("\r\n") == std::string_view::npos) {
      if (!co_await connection->fill(net::in(net::kSoon), net::Awaiting::data)) co_return "";
    }
    const auto end = connection->buffered().find("\r\n");
    std::string text(connection->buffered().substr(0, end));
    connection->consume(end + 2);
    co_return text;
  };
  const auto say = [&](std::string text) -> net::asio::awaitable<void> {
    connection->queue(text + "\r\n");
    static_cast<void>(co_await connection->flush(net::in(net::kSoon)));
  };
  co_await say("220 x");
  co_await line();
  co_await say("250-x\r\n250 AUTH PLAIN SCRAM-SHA-256");
  const auto first = from_base64((co_await line()).substr(19)).value();
  const auto bare = first.substr(3);
  const auto nonce = bare.substr(bare.find("r=") + 2) + "more";
  const auto server_first = "r=" + nonce + ",s=c2FsdHNhbHQ=,i=4096";
  co_await say("334 " + to_base64(server_first));
  const auto last = from_base64(co_await line()).value();
  const auto without_proof = last.substr(0, last.find(",p="));
  const auto salted = directory::pbkdf2(Digest::sha256, password, "saltsalt", 4096, 32);
  const auto signature = directory::hmac(Digest::sha256, directory::hmac(Digest::sha256, salted, "Server Key"),
                                         bare + "," + server_first + "," + without_proof);
  const auto server_final = to_base64("v=" + to_base64(signature));
  if (in_success) {
    co_await say("235 " + server_final);
  } else {
    co_await say("334 " + server_final);
    if (co_await line() == "") co_await say("235 in");
  }
  co_await line();
}

TEST(ClientAuth, Scram) {
  struct Row {
    std::string password;
    bool in_success;
    bool workers;
    std::string expected;
  };
  net::WorkerPool workers(1, 10);
  for (const auto& row : std::vector<Row>{{"secret", false, false, ""},
                                          {"secret", false, true, ""},
                                          {"secret", true, false, ""},
                                          {"guess", false, false, "temporary 4.7.0 AUTH"}}) {
    net::TestServer server(
        [&](std::unique_ptr<net::Connection> connection) { return scram_host(std::move(connection), row.password, row.in_success); });
    ConnectOptions options;
    options.address = "127.0.0.1";
    options.port = server.port();
    options.tls.level = TlsLevel::none;
    options.credentials = Credentials{"user", "secret"};
    if (row.workers) options.workers = &workers;
    const auto ran = run(options, {});
    EXPECT_EQ(ran.connected ? "" : summary(ran.failure), row.expected);
  }
}

}  // namespace
}  // namespace relais::smtp
