// Hosts that stop where a script of lines has no word for it: in the middle of the content, while we log in, at goodbye.
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

#include <array>
#include <future>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

namespace relais::smtp {
namespace {

using testing::message_to;
using testing::options_for;
using testing::run;
using testing::ScriptedHost;
using testing::summary;

/// A host that answers up to the content, of which it reads nothing.
class DeafHost {
 public:
  explicit DeafHost(bool chunking) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    EXPECT_EQ(::listen(socket_, 1), 0);
    thread_ = std::thread([this, chunking] { serve(chunking); });
  }
  ~DeafHost() {
    over_.set_value();
    thread_.join();
    ::close(socket_);
  }
  DeafHost(const DeafHost&) = delete;
  DeafHost& operator=(const DeafHost&) = delete;
  std::uint16_t port() const { return port_; }

 private:
  void serve(bool chunking) {
    const int peer = ::accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    std::vector<std::string> replies{"220 x\r\n", chunking ? "250-x\r\n250 CHUNKING\r\n" : "250 x\r\n", "250 ok\r\n", "250 ok\r\n"};
    if (!chunking) replies.emplace_back("354 go\r\n");
    for (std::size_t i = 0; i < replies.size(); ++i) {
      if (i != 0 && !read_line(peer)) break;
      EXPECT_EQ(::write(peer, replies[i].data(), replies[i].size()), static_cast<ssize_t>(replies[i].size()));
    }
    over_.get_future().wait();
    ::close(peer);
  }
  static bool read_line(int peer) {
    for (char c = 0; c != '\n';) {
      if (::read(peer, &c, 1) != 1) return false;
    }
    return true;
  }

  const int socket_;
  std::uint16_t port_ = 0;
  std::promise<void> over_;
  std::thread thread_;
};

TEST(ClientStuck, AHostThatDoesNotReadTheContent) {
  const std::string text(20'000'000, 'x');  // more than the buffers between two sockets hold
  for (const bool chunking : {false, true}) {
    DeafHost host(chunking);
    ConnectOptions options;
    options.host = "mx.test";
    options.address = "127.0.0.1";
    options.port = host.port();
    options.hello_name = "us.test";
    options.tls.level = TlsLevel::none;
    options.timeouts.data_block = std::chrono::milliseconds(50);
    MemoryContent content(text);
    const auto ran = run(options, {message_to(content, {"a@mx.test"})});
    EXPECT_EQ(ran.all(), "temporary 4.4.2 end of DATA | trouble") << "and it cannot have been delivered";
    EXPECT_EQ(ran.outcomes.at(0).recipients.at(0).text, "timeout while sending the message");
  }
}

/// @param script  after the EHLO that the host has answered with `offer`
std::string broken_off(const std::string& offer, const std::string& script, bool login) {
  ScriptedHost host({"S: 220 mx.test\nC: EHLO us.test\nS: 250-mx.test\nS: 250 " + offer + "\n" + script});
  auto options = options_for(host);
  if (login) options.credentials = Credentials{"user", "secret"};
  if (!login) options.xclient = {{"ADDR", "192.0.2.1"}};
  options.allow_plaintext_auth = true;
  if (script.ends_with("HANG")) options.timeouts.hello = std::chrono::milliseconds(200);
  const auto ran = run(options, {});
  const auto errors = host.errors();
  return errors.empty() ? (ran.connected ? "in" : summary(ran.failure)) : errors;
}

TEST(ClientStuck, WhileLoggingIn) {
  const std::string login = "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: dXNlcg==\n";
  for (const std::string& before : {std::string("C: AUTH PLAIN*\n"), std::string("C: AUTH LOGIN\n"), login,
                                    login + "S: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\n", std::string("C: AUTH SCRAM-SHA-256*\n")}) {
    const std::string offer = before.contains("PLAIN") ? "AUTH PLAIN" : before.contains("LOGIN") ? "AUTH LOGIN" : "AUTH SCRAM-SHA-256";
    EXPECT_EQ(broken_off(offer, before + "CLOSE", true), "temporary 4.4.2 AUTH") << before;
    EXPECT_EQ(broken_off(offer, before + "HANG", true), "temporary 4.4.2 AUTH") << before;
    EXPECT_EQ(broken_off(offer, before + "S: \\x00garbage\nHANG", true), "temporary 4.5.0 AUTH") << before;
    EXPECT_EQ(broken_off(offer, before + "S: 421 4.3.2 closing\nHANG", true), "temporary 4.3.2 AUTH") << before;
  }
}

TEST(ClientStuck, WhileTellingWhomWeSpeakFor) {
  const std::string before = "C: XCLIENT*\n";
  EXPECT_EQ(broken_off("XCLIENT ADDR", before + "CLOSE", false), "temporary 4.4.2 XCLIENT");
  EXPECT_EQ(broken_off("XCLIENT ADDR", before + "HANG", false), "temporary 4.4.2 XCLIENT");
  EXPECT_EQ(broken_off("XCLIENT ADDR", before + "S: \\x00garbage\nHANG", false), "temporary 4.5.0 XCLIENT");
  EXPECT_EQ(broken_off("XCLIENT ADDR", before + "S: 220 again\nC: EHLO us.test\nHANG", false), "temporary 4.4.2 EHLO");
}

TEST(ClientStuck, AtGoodbyeNothingIsLost) {
  const std::string taken =
      "S: 220 x\nC: EHLO us.test\nS: 250 x\nC: MAIL*\nS: 250\nC: RCPT*\nS: 250\nC: DATA\nS: 354\nDATA\nS: 250 ok\nC: QUIT\n";
  for (const std::string_view end : {"HANG", "CLOSE", "S: \\x00garbage\nHANG"}) {
    ScriptedHost host({taken + std::string(end)});
    auto options = options_for(host);
    options.timeouts.quit = std::chrono::milliseconds(50);
    MemoryContent content("Subject: x\r\n\r\nx\r\n");
    EXPECT_EQ(run(options, {message_to(content, {"a@mx.test"})}).all(), "delivered 2.0.0 end of DATA | usable") << end;
    EXPECT_EQ(host.errors(), "") << end;
  }
}

}  // namespace
}  // namespace relais::smtp
