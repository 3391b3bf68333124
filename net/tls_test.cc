// TLS: handshakes, STARTTLS, certificates by name, reload, and those who get it wrong.
#include "net/tls.h"

#include "base/metrics.h"
#include "net/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <future>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Text = Result<std::string>;

std::shared_ptr<TlsContext> server_context(const TestCertificate& files) {
  return TlsContext::server({{files.certificate(), files.key()}}).value();
}
std::shared_ptr<TlsContext> trusting(const TestCertificate& files) { return TlsContext::client(files.certificate(), true).value(); }

// Tells what was negotiated, then echoes.
asio::awaitable<void> echo(std::unique_ptr<Connection> connection) {
  connection->queue(connection->tls() != nullptr ? connection->tls()->server_name + "\n" : "plain\n");
  for (;;) {
    if (!co_await connection->flush(in(kSoon))) co_return;
    if (!co_await connection->fill(in(kSoon), Awaiting::command)) co_return;
    connection->queue(connection->buffered());
    connection->consume(connection->buffered().size());
  }
}

Text handshake_and_echo(std::uint16_t port, const TlsContext& context, const std::string& name, const std::string& text) {
  auto body = [&](Connection& connection) -> asio::awaitable<Text> {
    RELAIS_CO_TRY_VOID(co_await connection.start_tls_client(context, name, in(kSoon)));
    RELAIS_CO_TRY(auto greeting, co_await read_exactly(connection, name.size() + 1));
    RELAIS_CO_TRY(auto echoed, co_await exchange(connection, text));
    co_return greeting + echoed;
  };
  return as_client(port, body);
}

TEST(Tls, ImplicitTls) {
  const TestCertificate files({"mail.example.org"});
  ListenerOptions options;
  options.implicit_tls = server_context(files);
  TestServer server(echo, options);
  const auto got = handshake_and_echo(server.port(), *trusting(files), "mail.example.org", "hello");
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(*got, "mail.example.org\nhello");
}

TEST(Tls, LargeDataBothWays) {
  const TestCertificate files({"mail.example.org"});
  ListenerOptions options;
  options.implicit_tls = server_context(files);
  std::string data(3'000'000, '\0');
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 2654435761U >> 13);
  std::vector<std::string_view> pieces;
  for (std::size_t at = 0, size = 1; at < data.size(); at += size, size = size * 31 % 40'009)
    pieces.push_back(std::string_view(data).substr(at, size));
  // Takes everything, then sends it back in many pieces to a reader that comes late.
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    auto got = co_await read_exactly(*connection, data.size());
    EXPECT_TRUE(got && *got == data);
    EXPECT_TRUE(co_await connection->write(pieces, in(kSoon)));
  };
  TestServer server(session, options);
  const auto context = trusting(files);
  auto body = [&](Connection& connection) -> asio::awaitable<bool> {
    EXPECT_TRUE(co_await connection.start_tls_client(*context, "mail.example.org", in(kSoon)));
    EXPECT_TRUE(co_await connection.write(pieces, in(kSoon)));
    co_return co_await read_all(connection) == data;
  };
  EXPECT_TRUE(as_client(server.port(), body));
}

TEST(Tls, StartTlsDiscardsPlaintextSentAhead) {  // RFC 3207 §4.2
  const TestCertificate files({"mail.example.org"});
  const auto context = server_context(files);
  auto session = [context](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    while (connection->buffered().find("\n") == std::string_view::npos)
      if (!co_await connection->fill(in(kSoon), Awaiting::command)) co_return;
    connection->consume(connection->buffered().find("\n") + 1);
    connection->queue("go\n");
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
    EXPECT_TRUE(co_await connection->start_tls(*context, in(kSoon)));
    EXPECT_EQ(connection->buffered(), "");
    co_await echo(std::move(connection));
  };
  TestServer server(session);
  const auto client = trusting(files);
  auto body = [&](Connection& connection) -> asio::awaitable<Text> {
    connection.queue("STARTTLS\nINJECTED\n");
    RELAIS_CO_TRY_VOID(co_await connection.flush(in(kSoon)));
    RELAIS_CO_TRY_VOID(co_await read_exactly(connection, 3));
    RELAIS_CO_TRY_VOID(co_await connection.start_tls_client(*client, "mail.example.org", in(kSoon)));
    RELAIS_CO_TRY_VOID(co_await read_exactly(connection, 17));
    co_return co_await exchange(connection, "hello");
  };
  const auto got = as_client(server.port(), body);
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(*got, "hello");
}

TEST(Tls, PlainTextOnATlsPortIsClosedWithoutASession) {
  const TestCertificate files({"mail.example.org"});
  ListenerOptions options;
  options.implicit_tls = server_context(files);
  std::atomic<bool> started = false;
  auto session = [&](std::unique_ptr<Connection>) -> asio::awaitable<void> {
    started = true;
    co_return;
  };
  TestServer server(session, options);
  auto body = [](Connection& connection) -> asio::awaitable<std::string> {
    connection.queue("EHLO client.example.org\r\n");
    EXPECT_TRUE(co_await connection.flush(in(kSoon)));
    co_return co_await read_all(connection);
  };
  EXPECT_LT(as_client(server.port(), body).size(), 16U);  // an alert at most
  EXPECT_FALSE(started);
}

TEST(Tls, AHandshakeHasADeadline) {
  const TestCertificate files({"mail.example.org"});
  const auto context = server_context(files);
  std::promise<Error> ended;
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    auto started = co_await connection->start_tls(*context, in(50ms));
    ended.set_value(started ? Error{} : started.error());
  };
  TestServer server(session);
  auto body = [&](Connection&) -> asio::awaitable<Error> { co_return ended.get_future().get(); };
  const auto error = as_client(server.port(), body);
  EXPECT_EQ(error.fault, Fault::closed);
  EXPECT_EQ(error.code, "timeout");
}

TEST(Tls, VersionsBelow12AreRefused) {
  const TestCertificate files({"mail.example.org"});
  const auto context = server_context(files);
  std::promise<Error> ended;
  auto session = [&](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    auto started = co_await connection->start_tls(*context, in(kSoon));
    ended.set_value(started ? Error{} : started.error());
  };
  TestServer server(session);
  // A ClientHello that offers TLS 1.1 (RFC 4346 §7.4.1.2) with one cipher suite.
  static constexpr unsigned char kHello[] = {0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0, 0,
                                             0,    0, 0, 0, 0,  0, 0, 0, 0,  0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0xc0, 0x14, 1, 0};
  auto body = [&](Connection& connection) -> asio::awaitable<Error> {
    connection.queue({reinterpret_cast<const char*>(kHello), sizeof kHello});
    EXPECT_TRUE(co_await connection.flush(in(kSoon)));
    static_cast<void>(co_await read_all(connection));
    co_return ended.get_future().get();
  };
  const auto error = as_client(server.port(), body);
  EXPECT_EQ(error.fault, Fault::refused);
  EXPECT_THAT(error.detail, HasSubstr("unsupported protocol"));
}

TEST(Tls, TheCertificateFitsTheNameAskedFor) {
  const TestCertificate one({"one.example.org", "other.example.org"});
  const TestCertificate wild({"*.example.net"});
  ListenerOptions options;
  options.implicit_tls = TlsContext::server({{one.certificate(), one.key()}, {wild.certificate(), wild.key()}}).value();
  TestServer server(echo, options);
  const struct {
    const TestCertificate& trusted;
    const char* name;
    bool fits;
  } cases[] = {{one, "one.example.org", true},   {one, "OTHER.example.org", true}, {wild, "mail.example.net", true},
               {wild, "MAIL.EXAMPLE.NET", true}, {wild, "a.b.example.net", false}, {wild, "one.example.org", false},
               {one, "unknown.example", false}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const auto got = handshake_and_echo(server.port(), *trusting(c.trusted), c.name, "x");
    EXPECT_EQ(got.has_value(), c.fits);
    if (!got) EXPECT_EQ(got.error().fault, Fault::refused);
  }
  // Without verification the name does not matter, and neither does an unknown one: the first certificate is the default.
  EXPECT_TRUE(handshake_and_echo(server.port(), *TlsContext::client("", false).value(), "unknown.example", "x"));
}

TEST(Tls, ReloadTakesNewFilesAndKeepsTheOldOnesWhenTheyAreBad) {
  TestCertificate files({"mail.example.org"});
  ListenerOptions options;
  options.implicit_tls = server_context(files);
  TestServer server(echo, options);
  const auto old = trusting(files);
  EXPECT_TRUE(handshake_and_echo(server.port(), *old, "mail.example.org", "x"));

  files.replace({"mail.example.org"});
  EXPECT_TRUE(handshake_and_echo(server.port(), *old, "mail.example.org", "x"));
  ASSERT_TRUE(options.implicit_tls->reload());
  EXPECT_FALSE(handshake_and_echo(server.port(), *old, "mail.example.org", "x"));
  const auto renewed = trusting(files);
  EXPECT_TRUE(handshake_and_echo(server.port(), *renewed, "mail.example.org", "x"));

  std::ofstream(files.certificate()) << "not a certificate";
  const auto failed = options.implicit_tls->reload();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().text, HasSubstr("cannot use the certificate file " + files.certificate()));
  EXPECT_TRUE(handshake_and_echo(server.port(), *renewed, "mail.example.org", "x"));
}

TEST(Tls, FilesThatDoNotFitAreNamed) {
  const TestCertificate a({"a.example.org"});
  const TestCertificate b({"b.example.org"});
  const struct {
    CertificateFiles files;
    std::string message;
  } cases[] = {
      {{a.certificate(), b.key()}, "cannot use the key file " + b.key()},
      {{a.certificate(), "/nonexistent/key.pem"}, "cannot use the key file /nonexistent/key.pem: "},
      {{"/nonexistent/cert.pem", a.key()}, "cannot use the certificate file /nonexistent/cert.pem: "},
      {{a.key(), a.key()}, "cannot use the certificate file " + a.key()},
  };
  for (const auto& c : cases) {
    const auto context = TlsContext::server({c.files});
    ASSERT_FALSE(context);
    EXPECT_EQ(context.error().fault, Fault::refused);
    EXPECT_THAT(context.error().text, HasSubstr(c.message));
  }
  EXPECT_FALSE(TlsContext::server({}));
  EXPECT_FALSE(TlsContext::client("/nonexistent/ca.pem", true));
}

TEST(Tls, TheEndIsAnnounced) {
  const TestCertificate files({"mail.example.org"});
  ListenerOptions options;
  options.implicit_tls = server_context(files);
  auto session = [](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    connection->queue("bye");
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
  };
  TestServer server(session, options);
  const auto context = trusting(files);
  auto body = [&](Connection& connection) -> asio::awaitable<std::string> {
    EXPECT_TRUE(co_await connection.start_tls_client(*context, "mail.example.org", in(kSoon)));
    co_return co_await read_all(connection);
  };
  EXPECT_EQ(as_client(server.port(), body), "bye");
}

// A handshake under a policy, seen from the client.
struct Seen {
  bool ok = false;
  TlsInfo info;
  Error error;
};
Seen handshake(std::uint16_t port, const TlsContext& context, const TlsPeer& peer) {
  auto body = [&](Connection& connection) -> asio::awaitable<Seen> {
    auto done = co_await connection.start_tls_client(context, peer, in(kSoon));
    if (!done) co_return Seen{false, {}, done.error()};
    co_return Seen{true, *connection.tls(), {}};
  };
  return as_client(port, body);
}

TEST(Tls, APolicyPerConnection) {
  using Check = TlsPeer::Check;
  const TestCertificate good({"mail.example.org", "*.example.net"});
  const TestCertificate expired({"expired.example.org", "mail.example.org"}, -3600);  // a subject of its own: trust is looked up by it
  const TestCertificate other({"mail.example.org"});
  const auto serve = [](const TestCertificate& files) {
    ListenerOptions options;
    options.implicit_tls = server_context(files);
    return std::make_unique<TestServer>(echo, options);
  };
  const TestCertificate authority({"ca.test"});
  const TestCertificate issued(authority, {"mail.example.org"});
  const TestCertificate issued_expired(authority, {"mail.example.org"}, -3600);
  const auto issued_server = serve(issued);
  const auto issued_expired_server = serve(issued_expired);
  const auto good_server = serve(good);
  const auto expired_server = serve(expired);
  // Trusts the first two, as if they were authorities.
  std::ofstream both(good.certificate() + ".both");
  both << std::ifstream(good.certificate()).rdbuf() << std::ifstream(expired.certificate()).rdbuf();
  both.close();
  const auto context = TlsContext::client(good.certificate() + ".both", true).value();
  const auto stranger = trusting(other);
  const auto root = trusting(authority);
  const auto match = good.tlsa(3, 1, 1);
  const auto wrong = other.tlsa(3, 1, 1);
  const TlsaRecord useless{3, 1, 9, "x"};
  const TlsaRecord pkix{1, 1, 1, match.data};
  const struct {
    const TestServer& server;
    const TlsContext& context;
    TlsPeer peer;
    TlsFault fault;  // none: verified
  } cases[] = {
      {*good_server, *context, {"mail.example.org", Check::names}, TlsFault::none},
      {*good_server, *context, {"MAIL.example.org", Check::names}, TlsFault::none},
      {*good_server, *context, {"x.example.org", Check::names, true, {"no.example", "mail.example.org"}}, TlsFault::none},
      {*good_server, *context, {"a.example.net", Check::names}, TlsFault::none},
      {*good_server, *context, {"a.b.example.net", Check::names}, TlsFault::host_mismatch},
      {*good_server, *context, {"example.net", Check::names}, TlsFault::host_mismatch},
      {*good_server, *context, {"127.0.0.1", Check::names}, TlsFault::host_mismatch},
      {*good_server, *context, {"mail.example.org", Check::names, true, {"no.example"}}, TlsFault::host_mismatch},
      {*good_server, *stranger, {"mail.example.org", Check::names}, TlsFault::not_trusted},
      {*expired_server, *context, {"mail.example.org", Check::names}, TlsFault::expired},
      {*good_server, *stranger, {"mail.example.org", Check::dane, true, {}, {match}}, TlsFault::none},
      {*good_server, *stranger, {"mail.example.org", Check::dane, true, {}, {wrong, useless, match}}, TlsFault::none},
      {*good_server, *stranger, {"mail.example.org", Check::dane, true, {}, {good.tlsa(3, 0, 2)}}, TlsFault::none},
      {*good_server, *stranger, {"mail.example.org", Check::dane, true, {}, {good.tlsa(3, 1, 0)}}, TlsFault::none},
      {*good_server, *stranger, {"mail.example.org", Check::dane, true, {}, {wrong}}, TlsFault::tlsa_mismatch},
      // RFC 7672 §3.1.1: with DANE-EE neither names nor dates count.
      {*good_server, *stranger, {"x.example.com", Check::dane, true, {}, {match}}, TlsFault::none},
      {*expired_server, *stranger, {"mail.example.org", Check::dane, true, {}, {expired.tlsa(3, 1, 1)}}, TlsFault::none},
      // DANE-TA: they do (§3.1.2).
      {*issued_server, *stranger, {"mail.example.org", Check::dane, true, {}, {authority.tlsa(2, 0, 1)}}, TlsFault::none},
      {*issued_server, *stranger, {"mail.example.org", Check::dane, true, {}, {authority.tlsa(2, 1, 2)}}, TlsFault::none},
      {*issued_server, *stranger, {"x.test", Check::dane, true, {"x.test", "mail.example.org"}, {authority.tlsa(2, 0, 1)}}, TlsFault::none},
      {*issued_server, *stranger, {"x.test", Check::dane, true, {}, {authority.tlsa(2, 0, 1)}}, TlsFault::host_mismatch},
      {*issued_server, *stranger, {"mail.example.org", Check::dane, true, {}, {other.tlsa(2, 0, 1)}}, TlsFault::tlsa_mismatch},
      {*issued_expired_server, *stranger, {"mail.example.org", Check::dane, true, {}, {authority.tlsa(2, 0, 1)}}, TlsFault::expired},
      {*issued_server, *root, {"mail.example.org", Check::names}, TlsFault::none},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(&c - cases);
    auto peer = c.peer;
    auto seen = handshake(c.server.port(), c.context, peer);
    EXPECT_EQ(seen.ok, c.fault == TlsFault::none) << seen.error.detail;
    if (seen.ok) {
      EXPECT_TRUE(seen.info.verified);
      EXPECT_EQ(seen.info.dane_usable, c.peer.check == Check::dane);
    } else {
      EXPECT_EQ(seen.error.code, to_string(c.fault)) << seen.error.detail;
    }
    // Not enforced: the same is only told.
    peer.enforce = false;
    seen = handshake(c.server.port(), c.context, peer);
    EXPECT_TRUE(seen.ok);
    EXPECT_EQ(seen.info.verified, c.fault == TlsFault::none);
    EXPECT_EQ(seen.info.fault, c.fault) << seen.info.fault_detail;
  }
  // Nothing to hold the server to: RFC 7672 §2.2.
  for (const auto& records : {std::vector<TlsaRecord>{}, std::vector<TlsaRecord>{useless, pkix}}) {
    const auto seen = handshake(good_server->port(), *stranger, {"x.example.com", Check::dane, true, {}, records});
    EXPECT_TRUE(seen.ok && !seen.info.verified && !seen.info.dane_usable);
  }
  EXPECT_TRUE(handshake(expired_server->port(), *stranger, {"x.example.com", Check::none}).ok);
}

TEST(Tls, AServerThatSpeaksSomethingElse) {
  TestServer server([](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
    connection->queue("this is no TLS\r\n");
    EXPECT_TRUE(co_await connection->flush(in(kSoon)));
    static_cast<void>(co_await connection->fill(in(kSoon), Awaiting::data));
  });
  const TestCertificate files({"mail.example.org"});
  const auto context = trusting(files);
  const auto seen = handshake(server.port(), *context, {"mail.example.org", TlsPeer::Check::none});
  EXPECT_FALSE(seen.ok);
  EXPECT_EQ(seen.error.code, "validation-failure");
}

}  // namespace
}  // namespace relais::net
