// The client against this platform's own sessions: SMTP, LMTP, submission with TLS and SCRAM.
#include "smtp/client/testing.h"
#include "smtp/server/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using ::testing::EndsWith;
using testing::message_to;
using testing::run;
using testing::TestPlatform;

constexpr std::string_view kText = "Subject: x\r\n\r\n.\r\n..dots\r\n\r\n.\r\n";

Options options_of(Service service) {
  Options options;
  options.service = service;
  options.hostname = "mx.example.test";
  return options;
}

ConnectOptions to(const net::TestServer& server) {
  ConnectOptions options;
  options.host = "mx.example.test";
  options.address = "127.0.0.1";
  options.port = server.port();
  options.hello_name = "us.test";
  options.tls.level = TlsLevel::none;
  return options;
}

TEST(ClientAndServer, SmtpAndLmtp) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  const auto bob = platform.add("bob@example.test");
  std::size_t expected = 0;
  for (const auto service : {Service::mx, Service::lmtp}) {
    net::TestServer server(platform.service(options_of(service)));
    auto options = to(server);
    options.lmtp = service == Service::lmtp;
    MemoryContent content(kText);
    const auto message = message_to(content, {"alice@example.test", "nobody@example.test", "bob@example.test"});
    EXPECT_EQ(run(options, {message, message}).all(),
              "delivered 2.0.0 end of DATA; permanent 5.1.1 RCPT; delivered 2.0.0 end of DATA | usable\n"
              "delivered 2.0.0 end of DATA; permanent 5.1.1 RCPT; delivered 2.0.0 end of DATA | usable");
    expected += 2;
    EXPECT_EQ(platform.count(bob), expected);
    const auto got = platform.messages(alice);
    ASSERT_EQ(got.size(), expected);
    EXPECT_THAT(got.back(), EndsWith(std::string("\r\n") + std::string(kText)));
  }
}

TEST(ClientAndServer, SubmissionWithTlsAndScram) {
  TestPlatform platform;
  const auto alice = platform.add("alice@example.test");
  const net::TestCertificate files({"mx.example.test"});
  net::TestServer server(make_service(options_of(Service::submission), platform.platform(),
                                      net::TlsContext::server({{files.certificate(), files.key()}}).value()));
  auto options = to(server);
  options.tls.level = TlsLevel::verify;
  options.tls_context = net::TlsContext::client(files.certificate(), true).value();
  options.credentials = Credentials{"alice@example.test", "secret"};
  MemoryContent content(kText);
  auto message = message_to(content, {"alice@example.test"});
  message.sender = "alice@example.test";
  const auto ran = run(options, {message});
  EXPECT_EQ(ran.all(), "delivered 2.0.0 end of DATA | usable");
  EXPECT_TRUE(ran.tls.verified);
  EXPECT_EQ(platform.count(alice), 1U);
  options.credentials->password = "wrong";
  EXPECT_EQ(run(options, {message}).all(), "not connected: temporary 4.7.8 AUTH");
}

}  // namespace
}  // namespace relais::smtp
