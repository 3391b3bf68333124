// One request over TLS: what is checked, and servers that get it wrong.
#include "net/https.h"

#include "net/fake_resolver.h"
#include "net/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::StartsWith;

constexpr std::string_view kPolicy = "version: STSv1\nmode: none\nmax_age: 1\n";

TEST(HttpsUrl, Parts) {
  const struct {
    const char* url;
    const char* host;
    std::uint16_t port;
    const char* target;
  } good[] = {{"https://mta-sts.example.net/.well-known/mta-sts.txt", "mta-sts.example.net", 443, "/.well-known/mta-sts.txt"},
              {"HTTPS://Example.NET", "example.net", 443, "/"},
              {"https://example.net:8443/a?b=c", "example.net", 8443, "/a?b=c"},
              {"https://example.net?b", "example.net", 443, "/?b"},
              {"https://[2001:db8::1]:1/x", "2001:db8::1", 1, "/x"},
              {"https://192.0.2.1/x", "192.0.2.1", 443, "/x"}};
  for (const auto& c : good) {
    const auto url = parse_https_url(c.url);
    ASSERT_TRUE(url) << c.url;
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->target, c.target);
  }
  for (const std::string& bad : std::vector<std::string>{
           "", "http://example.net/", "https://", "https:///x", "https://user@example.net/", "https://example.net:0/",
           "https://example.net:x/", "https://example.net:99999/", "https://[::1/x", "https://[example.net]/", "https://a b/",
           "https://example.net/a b", "https://example.net/\r\nX: y", "https://example.net/#f", "https://::1/"})
    EXPECT_FALSE(parse_https_url(bad)) << bad;
  EXPECT_FALSE(parse_https_url("https://example.net/" + std::string(3000, 'x')));
}

// A web server whose answer is a script; it hears the request first.
class Https : public testing::Test {
 protected:
  Https() : certificate({"mta-sts.example.net"}) { dns.zone("mta-sts.example.net A 127.0.0.1\nother.example.net A 127.0.0.1"); }

  void serve(std::string answer, bool close = true) {
    auto session = [this, answer, close](std::unique_ptr<Connection> connection) -> asio::awaitable<void> {
      while (!request.contains("\r\n\r\n")) {
        if (!co_await connection->fill(in(kSoon), Awaiting::data)) co_return;
        request += connection->buffered();
        connection->consume(connection->buffered().size());
      }
      connection->queue(answer);
      if (!co_await connection->flush(in(kSoon))) co_return;
      if (!close) static_cast<void>(co_await connection->fill(in(kSoon), Awaiting::data));
    };
    ListenerOptions options;
    options.implicit_tls = TlsContext::server({{certificate.certificate(), certificate.key()}}).value();
    server.emplace(session, options);
  }

  Result<HttpResponse> get(const std::string& host, HttpsLimits limits = {}, bool trusting = true) {
    const TestCertificate stranger({"ca.example.org"});
    const HttpsClient client(dns, TlsContext::client(trusting ? certificate.certificate() : stranger.certificate(), true).value());
    const auto url = "https://" + host + ":" + std::to_string(server->port()) + "/.well-known/mta-sts.txt";
    return run_on(loops().at(0), client.get(url, limits));
  }

  LoopPool& loops() {
    if (!clients) {
      clients.emplace(1U);
      clients->start();
    }
    return *clients;
  }

  TestCertificate certificate;
  FakeResolver dns;
  std::string request;
  std::optional<TestServer> server;
  std::optional<LoopPool> clients;
};

std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST_F(Https, Get) {
  serve(ok(kPolicy), false);
  const auto got = get("mta-sts.example.net");
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 200);
  EXPECT_EQ(got->content_type, "text/plain");
  EXPECT_EQ(got->body, kPolicy);
  EXPECT_THAT(request,
              StartsWith("GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.example.net:" + std::to_string(server->port()) + "\r\n"));
}

TEST_F(Https, Post) {
  serve("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  const HttpsClient client(dns, TlsContext::client(certificate.certificate(), true).value());
  const auto url = "https://mta-sts.example.net:" + std::to_string(server->port()) + "/report";
  const auto got = run_on(loops().at(0), client.post(url, "application/tlsrpt+gzip", "octets"));
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ(got->status, 201);
  EXPECT_THAT(request, StartsWith("POST /report HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Length: 6\r\n"));
  EXPECT_THAT(request, testing::EndsWith("\r\n\r\noctets"));
}

TEST_F(Https, RedirectsAreNotFollowed) {  // RFC 8461 §3.3
  serve("HTTP/1.1 302 Found\r\nLocation: https://other.example.net/\r\nContent-Length: 0\r\n\r\n");
  const auto got = get("mta-sts.example.net");
  ASSERT_TRUE(got);
  EXPECT_EQ(got->status, 302);
}

TEST_F(Https, TheCertificateIsForTheName) {
  serve(ok(kPolicy));
  const auto got = get("other.example.net");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().fault, Fault::refused);
  EXPECT_EQ(got.error().code, "tls");
}

TEST_F(Https, TheCertificateIsFromSomebodyWeTrust) {
  serve(ok(kPolicy));
  const auto got = get("mta-sts.example.net", {}, false);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "tls");
}

TEST_F(Https, TooMuchIsRefused) {
  serve(ok(std::string(101, 'x')));
  const auto got = get("mta-sts.example.net", {.body = 100});
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, "size");
}

TEST_F(Https, ServersThatGetItWrong) {
  const struct {
    const char* name;
    std::string answer;
    bool close;
    Fault fault;
  } cases[] = {{"closes at once", "", true, Fault::temporary},
               {"closes in the fields", "HTTP/1.1 200 OK\r\nContent-", true, Fault::temporary},
               {"closes in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", true, Fault::temporary},
               {"speaks something else", "220 mail.example.net ESMTP\r\n", false, Fault::syntax},
               {"hangs before the answer", "", false, Fault::temporary},
               {"hangs in the body", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", false, Fault::temporary}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    request.clear();
    serve(c.answer, c.close);
    const auto got = get("mta-sts.example.net", {.time = 500ms});
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().fault, c.fault) << got.error().text << got.error().detail;
    server.reset();
  }
}

TEST_F(Https, NoAddressAndNoServer) {
  serve("");
  const auto unknown = get("nowhere.example.net");
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().fault, Fault::temporary);
  const auto port = server->port();
  server.reset();
  const HttpsClient client(dns, TlsContext::client(certificate.certificate(), true).value());
  const auto closed = run_on(loops().at(0), client.get("https://mta-sts.example.net:" + std::to_string(port) + "/"));
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().fault, Fault::temporary);
}

TEST_F(Https, TheSecondAddressIsTriedWhenTheFirstIsDead) {
  dns.zone("twice.example.net A 127.0.0.9\ntwice.example.net A 127.0.0.1");
  certificate.replace({"twice.example.net"});
  serve(ok(kPolicy));
  EXPECT_TRUE(get("twice.example.net"));
}

}  // namespace
}  // namespace relais::net
