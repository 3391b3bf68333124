// STARTTLS under every policy, with hosts that do it right and hosts that do not.
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using net::TestCertificate;
using testing::options_for;
using testing::run;
using testing::ScriptedHost;
using testing::summary;

constexpr const char* kOffer = "S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\nS: 250 STARTTLS\n";
const std::string kGood =
    std::string(kOffer) + "C: STARTTLS\nS: 220 go\nTLS\nC: EHLO us.test\nS: 250-mx.test\nS: 250-REQUIRETLS\nS: 250 SIZE\n";
const std::string kAfter = "C: MAIL*\nS: 250\nC: RCPT*\nS: 250\nC: DATA\nS: 354\nDATA\nS: 250\nC: QUIT";
const std::string kPlain = "S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\nS: 250 STARTTLS\n" + kAfter;

class ClientTls : public ::testing::Test {
 protected:
  std::shared_ptr<net::TlsContext> server(const TestCertificate& files) {
    return net::TlsContext::server({{files.certificate(), files.key()}}).value();
  }
  ConnectOptions options(const ScriptedHost& host, TlsLevel level, const TestCertificate& trusted) {
    auto chosen = options_for(host);
    chosen.tls.level = level;
    chosen.tls_context = net::TlsContext::client(trusted.certificate(), true).value();
    return chosen;
  }
  testing::Ran send(ConnectOptions chosen) {
    MemoryContent content("Subject: x\r\n\r\nx\r\n");
    return run(std::move(chosen), {testing::message_to(content, {"a@mx.test"})});
  }

  const TestCertificate good_{{"mx.test"}};
  const TestCertificate wrong_name_{{"other.test"}};
  const TestCertificate expired_{{"mx.test"}, -3600};
};

constexpr std::string_view kDelivered = "delivered 2.0.0 end of DATA | usable";

TEST_F(ClientTls, EachLevelWithAGoodHost) {
  for (const auto level : {TlsLevel::may, TlsLevel::encrypt, TlsLevel::verify, TlsLevel::dane}) {
    ScriptedHost host({kGood + kAfter}, server(good_));
    auto chosen = options(host, level, level == TlsLevel::verify ? good_ : wrong_name_);
    chosen.tls.tlsa = {good_.tlsa(3, 1, 1)};
    const auto ran = send(chosen);
    EXPECT_EQ(ran.all(), kDelivered);
    EXPECT_EQ(host.errors(), "");
    EXPECT_TRUE(ran.tls.encrypted && !ran.tls.fell_back);
    EXPECT_EQ(ran.tls.verified, level == TlsLevel::verify || level == TlsLevel::dane);
    EXPECT_EQ(ran.tls.version, "TLSv1.3");
    EXPECT_TRUE(ran.offer.size && !ran.offer.starttls);
    ASSERT_TRUE(ran.tls.outcome);
    EXPECT_EQ(ran.tls.outcome->failure, TlsFailure::none);
    EXPECT_EQ(ran.tls.outcome->receiving_address, "127.0.0.1");
    EXPECT_EQ(ran.tls.outcome->sending_address, "127.0.0.1");
    EXPECT_EQ(ran.tls.outcome->receiving_hello, "mx.test");
  }
}

TEST_F(ClientTls, NoneMeansNone) {
  ScriptedHost host({kPlain}, server(good_));
  const auto ran = send(options(host, TlsLevel::none, good_));
  EXPECT_EQ(ran.all(), kDelivered);
  EXPECT_FALSE(ran.tls.encrypted || ran.tls.outcome);
}

TEST_F(ClientTls, CertificatesThatAreWrong) {
  struct Row {
    const TestCertificate& has;
    const TestCertificate& trusted;
    TlsLevel level;
    TlsFailure failure;
  };
  const Row rows[] = {{wrong_name_, wrong_name_, TlsLevel::verify, TlsFailure::certificate_host_mismatch},
                      {good_, wrong_name_, TlsLevel::verify, TlsFailure::certificate_not_trusted},
                      {expired_, expired_, TlsLevel::verify, TlsFailure::certificate_expired},
                      {good_, good_, TlsLevel::dane, TlsFailure::validation_failure}};
  for (const auto& row : rows) {
    SCOPED_TRACE(&row - rows);
    const auto tlsa = wrong_name_.tlsa(3, 1, 1);
    {
      ScriptedHost host({std::string(kOffer) + "C: STARTTLS\nS: 220 go\nTLS"}, server(row.has));
      auto chosen = options(host, row.level, row.trusted);
      chosen.tls.tlsa = {tlsa};
      const auto ran = send(chosen);
      EXPECT_EQ(ran.all(), "not connected: temporary 4.7.5 TLS handshake");
      ASSERT_TRUE(ran.tls.outcome);
      EXPECT_EQ(ran.tls.outcome->failure, row.failure) << ran.tls.outcome->reason;
      EXPECT_EQ(host.connections(), 1U);
    }
    // A policy that is only tried out, and a message that wants no policy: RFC 8461 §5, RFC 8689 §4.2.2.
    for (const bool testing : {true, false}) {
      ScriptedHost host({kGood + kAfter}, server(row.has));
      auto chosen = options(host, row.level, row.trusted);
      chosen.tls.tlsa = {tlsa};
      (testing ? chosen.tls.testing : chosen.tls.optional) = true;
      const auto ran = send(chosen);
      EXPECT_EQ(ran.all(), kDelivered);
      EXPECT_TRUE(ran.tls.encrypted && !ran.tls.verified && !ran.tls.fell_back);
      ASSERT_TRUE(ran.tls.outcome);
      EXPECT_EQ(ran.tls.outcome->failure, row.failure);
    }
  }
}

TEST_F(ClientTls, StarttlsIsNotOffered) {
  const std::string without = "S: 220 mx.test\nC: EHLO us.test\nS: 250 mx.test\n";
  for (const auto level : {TlsLevel::may, TlsLevel::encrypt, TlsLevel::verify, TlsLevel::dane}) {
    ScriptedHost host({without + (level == TlsLevel::may ? kAfter : "C: QUIT")}, server(good_));
    const auto ran = send(options(host, level, good_));
    EXPECT_EQ(ran.all(), level == TlsLevel::may ? kDelivered : "not connected: temporary 4.7.5 STARTTLS");
    EXPECT_EQ(host.errors(), "");
    ASSERT_TRUE(ran.tls.outcome);
    EXPECT_EQ(ran.tls.outcome->failure, TlsFailure::starttls_not_supported);
  }
}

TEST_F(ClientTls, StarttlsIsRefused) {
  for (const auto level : {TlsLevel::may, TlsLevel::encrypt}) {
    ScriptedHost host({std::string(kOffer) + "C: STARTTLS\nS: 454 4.7.0 not now\n" + (level == TlsLevel::may ? kAfter : "C: QUIT")},
                      server(good_));
    const auto ran = send(options(host, level, good_));
    EXPECT_EQ(ran.all(), level == TlsLevel::may ? kDelivered : "not connected: temporary 4.7.0 STARTTLS");
    EXPECT_EQ(host.errors(), "");
    EXPECT_EQ(ran.tls.outcome->failure, TlsFailure::starttls_not_supported);
    EXPECT_EQ(ran.tls.outcome->reason, "454 4.7.0 not now");
  }
}

TEST_F(ClientTls, AHandshakeThatFails) {
  for (const std::string_view end : {"C: STARTTLS\nS: 220 go\nCLOSE", "C: STARTTLS\nS: 220 go\nS: this is not TLS\nHANG",
                                     "C: STARTTLS\nS: 220 go\nHANG", "C: STARTTLS\nCLOSE", "C: STARTTLS\nHANG"}) {
    SCOPED_TRACE(end);
    const bool begun = end.contains("220");
    for (const auto level : {TlsLevel::may, TlsLevel::encrypt}) {
      ScriptedHost host({kOffer + std::string(end), kPlain}, server(good_));
      auto chosen = options(host, level, good_);
      if (end.ends_with("HANG")) {
        chosen.timeouts.tls = std::chrono::milliseconds(50);
        if (!begun) chosen.timeouts.hello = std::chrono::milliseconds(200);
      }
      const auto ran = send(chosen);
      EXPECT_EQ(ran.tls.outcome->failure, TlsFailure::validation_failure);
      if (level == TlsLevel::may) {  // in plaintext, on another connection
        EXPECT_EQ(ran.all(), kDelivered);
        EXPECT_TRUE(ran.tls.fell_back && !ran.tls.encrypted);
        EXPECT_EQ(host.errors(2), "");
      } else {
        EXPECT_EQ(ran.all(), begun ? "not connected: temporary 4.7.5 TLS handshake" : "not connected: temporary 4.4.2 STARTTLS");
        EXPECT_EQ(host.connections(), 1U);
      }
    }
  }
}

TEST_F(ClientTls, WhatWasSaidBeforeTlsIsForgotten) {  // RFC 3207 §4.2
  ScriptedHost host({"S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\nS: 250-SIZE 1\nS: 250 STARTTLS\nC: STARTTLS\nS: 220 go\nS: 250 "
                     "injected\nTLS\nC: EHLO us.test\n"
                     "S: 250 mx.test\n" +
                     kAfter},
                    server(good_));
  const auto ran = send(options(host, TlsLevel::may, good_));
  // The injected line is either dropped with all plaintext or breaks the handshake; it never is a reply.
  if (ran.tls.encrypted) {
    EXPECT_EQ(ran.all(), kDelivered);
    EXPECT_FALSE(ran.offer.size);
  }
}

TEST_F(ClientTls, FromTheStart) {
  net::ListenerOptions listener;
  listener.implicit_tls = server(good_);
  auto session = [](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    connection->queue("220 mx.test\r\n");
    static_cast<void>(co_await connection->flush(net::in(net::kSoon)));
    static_cast<void>(co_await net::read_exactly(*connection, 14));
    connection->queue("250 mx.test\r\n");
    static_cast<void>(co_await connection->flush(net::in(net::kSoon)));
    static_cast<void>(co_await net::read_all(*connection));
  };
  net::TestServer tls_server(session, listener);
  ConnectOptions chosen;
  chosen.host = "mx.test";
  chosen.address = "127.0.0.1";
  chosen.port = tls_server.port();
  chosen.hello_name = "us.test";
  chosen.implicit_tls = true;
  chosen.tls.level = TlsLevel::verify;
  chosen.tls_context = net::TlsContext::client(good_.certificate(), true).value();
  chosen.timeouts.quit = std::chrono::milliseconds(50);
  auto ran = run(chosen, {});
  EXPECT_TRUE(ran.connected && ran.tls.verified);
  chosen.host = "other.test";
  ran = run(chosen, {});
  EXPECT_EQ(ran.all(), "not connected: temporary 4.7.5 TLS handshake");
  EXPECT_FALSE(ran.tls.outcome);
}

TEST_F(ClientTls, RequireTls) {  // RFC 8689 §4.2.1
  struct Row {
    TlsLevel level;
    bool offered;
    std::string expected;
  };
  for (const auto& row : std::vector<Row>{{TlsLevel::verify, true, std::string(kDelivered)},
                                          {TlsLevel::verify, false, "permanent 5.7.30 local | usable"},
                                          {TlsLevel::encrypt, true, "permanent 5.7.10 local | usable"}}) {
    const auto sent = row.expected.starts_with("delivered")
                          ? "C: MAIL FROM:<from@us.test> REQUIRETLS\nS: 250\nC: RCPT*\nS: 250\nC: DATA\nS: 354\nDATA\nS: 250\n"
                          : "";
    ScriptedHost host({std::string(kOffer) + "C: STARTTLS\nS: 220 go\nTLS\nC: EHLO us.test\nS: 250-mx.test\nS: 250 " +
                       (row.offered ? "REQUIRETLS\n" : "HELP\n") + sent + "C: QUIT"},
                      server(good_));
    MemoryContent content("Subject: x\r\n\r\nx\r\n");
    auto message = testing::message_to(content, {"a@mx.test"});
    message.require_tls = true;
    EXPECT_EQ(run(options(host, row.level, good_), {message}).all(), row.expected);
    EXPECT_EQ(host.errors(), "");
  }
}

TEST_F(ClientTls, AReportOnWhatRequiredTlsIsNotLostForIt) {  // RFC 8689 §4.2.1, §5
  for (const bool offered : {true, false}) {
    ScriptedHost host({std::string(kOffer) + "C: STARTTLS\nS: 220 go\nTLS\nC: EHLO us.test\nS: 250-mx.test\nS: 250 " +
                       (offered ? "REQUIRETLS\nC: MAIL FROM:<> REQUIRETLS" : "HELP\nC: MAIL FROM:<>") +
                       "\nS: 250\nC: RCPT*\nS: 250\nC: DATA\nS: 354\nDATA\nS: 250\nC: QUIT"},
                      server(good_));
    MemoryContent content("Subject: x\r\n\r\nx\r\n");
    auto message = testing::message_to(content, {"a@mx.test"});
    message.sender.clear();
    message.require_tls = true;
    EXPECT_EQ(run(options(host, TlsLevel::encrypt, good_), {message}).all(), kDelivered);
    EXPECT_EQ(host.errors(), "");
  }
}

}  // namespace
}  // namespace relais::smtp
