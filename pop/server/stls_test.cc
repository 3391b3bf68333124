// STLS and TLS from the start, over loopback.
#include "base/encode.h"
#include "directory/test_support.h"
#include "net/listener.h"
#include "net/test_support.h"
#include "net/tls.h"
#include "pop/server/server.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"

#include <gtest/gtest.h>

namespace relais::pop {
namespace {

using namespace std::chrono_literals;

constexpr auto kSoon = 30s;  // for what must not fail; never waited out

class PopTls : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(d->add_account("ann@example.org", "secret", 0)));
    std::vector<std::unique_ptr<storage::Engine>> engines;
    engines.push_back(storage::make_memory_engine());
    store = std::make_unique<storage::ShardedStore>(std::move(engines), nullptr);
    tls = net::TlsContext::server({{certificate.certificate(), certificate.key()}}).value();
    client_tls = net::TlsContext::client("", false).value();
  }

  std::unique_ptr<net::Listener> listen(bool implicit) {
    net::ListenerOptions options;
    options.name = "pop3";
    options.address = "127.0.0.1";
    if (implicit) options.implicit_tls = tls;
    auto starter = session_starter(std::make_shared<Server>(Services{.directory = &*d, .store = store.get(), .tls = tls}, Options{}));
    auto listener = net::Listener::open(d.loops(), std::move(options), std::move(starter)).value();
    listener->start();
    return listener;
  }

  /// Sends, then reads until what came ends with `until`, or the connection is closed.
  static net::asio::awaitable<std::string> exchange(net::Connection& connection, std::string text, std::string until) {
    connection.queue(text);
    std::string got;
    if (!co_await connection.flush(net::in(kSoon))) co_return got;
    while (!got.ends_with(until)) {
      if (connection.buffered().empty() && !co_await connection.fill(net::in(kSoon), net::Awaiting::data)) break;
      got += connection.buffered();
      connection.consume(connection.buffered().size());
    }
    co_return got;
  }

  directory::TestDirectory d{{.default_domain = "example.org"}};
  net::TestCertificate certificate{{"mail.example.org"}};
  std::unique_ptr<storage::Store> store;
  std::shared_ptr<net::TlsContext> tls;
  std::shared_ptr<net::TlsContext> client_tls;
};

// RFC 2595 §4; what was sent in the clear behind STLS is gone, the name given before does not count.
TEST_F(PopTls, StlsDiscardsWhatCameBefore) {
  const auto listener = listen(false);
  auto dialogue = [&]() -> net::asio::awaitable<void> {
    auto connection = (co_await net::connect(d.loops().at(0), "127.0.0.1", listener->port(), net::in(kSoon))).value();
    auto got = co_await exchange(*connection, "CAPA\r\n", "\r\n.\r\n");
    EXPECT_TRUE(got.contains("\r\nSTLS\r\n") && !got.contains("\r\nUSER\r\n") && got.contains("SASL SCRAM-SHA-256\r\n")) << got;
    got = co_await exchange(*connection, "USER ann\r\n", "\r\n");
    EXPECT_EQ(got, "-ERR STLS first\r\n");
    got = co_await exchange(*connection, "STLS\r\nUSER ann\r\nNOOP\r\n", "\r\n");
    EXPECT_EQ(got, "+OK begin TLS\r\n");
    EXPECT_TRUE(co_await connection->start_tls_client(*client_tls, "mail.example.org", net::in(kSoon)));
    got = co_await exchange(*connection, "PASS secret\r\n", "\r\n");
    EXPECT_EQ(got, "-ERR USER first\r\n");
    got = co_await exchange(*connection, "STLS\r\n", "\r\n");
    EXPECT_EQ(got, "-ERR TLS is active\r\n");
    got = co_await exchange(*connection, "CAPA\r\n", "\r\n.\r\n");
    EXPECT_TRUE(!got.contains("STLS") && got.contains("\r\nUSER\r\n") && got.contains("SASL SCRAM-SHA-256 PLAIN LOGIN\r\n")) << got;
    got = co_await exchange(*connection, "USER ann\r\nPASS secret\r\n", "octets)\r\n");
    EXPECT_EQ(got, "+OK send PASS\r\n+OK maildrop has 0 messages (0 octets)\r\n");
    got = co_await exchange(*connection, "QUIT\r\n", "never");
    EXPECT_EQ(got, "+OK goodbye\r\n");
  };
  d.run(dialogue());
}

TEST_F(PopTls, NotAfterUtf8) {
  const auto listener = listen(false);
  auto dialogue = [&]() -> net::asio::awaitable<void> {
    auto connection = (co_await net::connect(d.loops().at(0), "127.0.0.1", listener->port(), net::in(kSoon))).value();
    auto got = co_await exchange(*connection, "UTF8\r\nSTLS\r\nQUIT\r\n", "goodbye\r\n");
    EXPECT_EQ(got, "+OK Relais POP3 ready\r\n+OK UTF-8 mode\r\n-ERR not after UTF8\r\n+OK goodbye\r\n");
  };
  d.run(dialogue());
}

TEST_F(PopTls, WrongTlsEndsTheSession) {
  const auto listener = listen(false);
  auto dialogue = [&]() -> net::asio::awaitable<void> {
    auto connection = (co_await net::connect(d.loops().at(0), "127.0.0.1", listener->port(), net::in(kSoon))).value();
    auto got = co_await exchange(*connection, "STLS\r\n", "TLS\r\n");
    got = co_await exchange(*connection, "USER ann\r\nthis is no handshake\r\n", "never");
    EXPECT_FALSE(got.contains("+OK")) << got;
  };
  d.run(dialogue());
}

TEST_F(PopTls, TlsFromTheStart) {
  const auto listener = listen(true);
  auto dialogue = [&]() -> net::asio::awaitable<void> {
    auto connection = (co_await net::connect(d.loops().at(0), "127.0.0.1", listener->port(), net::in(kSoon))).value();
    EXPECT_TRUE(co_await connection->start_tls_client(*client_tls, "mail.example.org", net::in(kSoon)));
    auto got = co_await exchange(*connection, "STLS\r\nAUTH PLAIN " + to_base64(std::string("\0ann\0secret", 11)) + "\r\nQUIT\r\n", "goodbye\r\n");
    EXPECT_EQ(got, "+OK Relais POP3 ready\r\n-ERR TLS is active\r\n+OK maildrop has 0 messages (0 octets)\r\n+OK goodbye\r\n");
  };
  d.run(dialogue());
}

}  // namespace
}  // namespace relais::pop
