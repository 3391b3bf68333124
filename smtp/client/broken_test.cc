// Dialogues octet by octet, and broken off at every octet: each recipient gets a verdict, and "delivered" never without the host's word.
#include "net/memory_stream.h"
#include "smtp/client/testing.h"

#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using testing::message_to;
using testing::summary;

struct Scene {
  const char* name;
  bool lmtp = false;
  std::string hears;                 ///< all that the host says
  std::string says;                  ///< all that the client says
  std::vector<std::string> outcome;  ///< per message
};

std::vector<Scene> scenes() {
  const std::string hello = "220 mx.test\r\n250-mx.test\r\n250 PIPELINING\r\n";
  std::vector<Scene> out;
  const std::string first = hello + "250 2.1.0 ok\r\n250 2.1.5 ok\r\n550-5.1.1 no\r\n550 5.1.1 such\r\n354 go\r\n";
  out.push_back({"pipelined",
                 false,
                 first + "250 2.0.0 done\r\n",
                 "EHLO us.test\r\nMAIL FROM:<from@us.test>\r\nRCPT TO:<a@mx.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n..x\r\n.\r\n",
                 {"delivered 2.0.0 end of DATA; permanent 5.1.1 RCPT | usable"}});
  const std::string plain = "220 mx.test\r\n500 what\r\n250 mx.test\r\n250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
  out.push_back(
      {"one at a time",
       false,
       plain + "250 2.0.0 done\r\n",
       "EHLO us.test\r\nHELO us.test\r\nMAIL FROM:<from@us.test>\r\nRCPT TO:<a@mx.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n..x\r\n.\r\n",
       {"delivered 2.0.0 end of DATA; delivered 2.0.0 end of DATA | usable"}});
  const std::string chunks = "220 mx.test\r\n250-mx.test\r\n250-CHUNKING\r\n250 PIPELINING\r\n250 ok\r\n250 ok\r\n250 ok\r\n";
  out.push_back({"chunking",
                 false,
                 chunks + "250 2.0.0 done\r\n",
                 "EHLO us.test\r\nMAIL FROM:<from@us.test>\r\nRCPT TO:<a@mx.test>\r\nRCPT TO:<b@mx.test>\r\nBDAT 4 LAST\r\n.x\r\n",
                 {"delivered 2.0.0 end of DATA; delivered 2.0.0 end of DATA | usable"}});
  const std::string lmtp = hello + "250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n";
  out.push_back({"lmtp",
                 true,
                 lmtp + "250 2.0.0 in\r\n452 4.2.2 full\r\n",
                 "LHLO us.test\r\nMAIL FROM:<from@us.test>\r\nRCPT TO:<a@mx.test>\r\nRCPT TO:<b@mx.test>\r\nDATA\r\n..x\r\n.\r\n",
                 {"delivered 2.0.0 end of DATA; temporary 4.2.2 end of DATA | usable"}});
  return out;
}

struct Played {
  bool connected = false;
  std::string outcome;
  Outcome raw;
  std::string says;
  std::size_t steps = 0;
};

Played play(const Scene& scene, std::size_t fail_at) {
  net::Script script;
  script.to_server = scene.hears;
  script.chunk = 1;
  script.fail_at = fail_at;
  MemoryContent content(".x\r\n");
  const auto message = message_to(content, {"a@mx.test", "b@mx.test"});
  Played played;
  auto session = [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    ConnectOptions options;
    options.host = "mx.test";
    options.hello_name = "us.test";
    options.lmtp = scene.lmtp;
    options.tls.level = TlsLevel::none;
    auto connected = co_await Client::open(std::move(connection), options);
    played.connected = connected.client != nullptr;
    if (!connected.client) {
      EXPECT_EQ(connected.failure.disposition, Disposition::temporary);
      EXPECT_EQ(connected.failure.scope, Scope::host);
      co_return;
    }
    played.raw = co_await connected.client->send(message);
    played.outcome = summary(played.raw);
  };
  played.steps = net::play(script, session);
  played.says = script.from_server;
  return played;
}

TEST(ClientBroken, AtEveryOctet) {
  for (const auto& scene : scenes()) {
    SCOPED_TRACE(scene.name);
    const auto whole = play(scene, net::Script::kNever);
    EXPECT_TRUE(whole.connected);
    EXPECT_EQ(whole.outcome, scene.outcome.front());
    EXPECT_EQ(whole.says, scene.says);
    for (std::size_t at = 0; at < whole.steps; ++at) {
      SCOPED_TRACE(at);
      const auto broken = play(scene, at);
      EXPECT_TRUE(scene.says.starts_with(broken.says)) << broken.says;
      if (!broken.connected) continue;
      ASSERT_EQ(broken.raw.recipients.size(), 2U);
      EXPECT_FALSE(broken.raw.usable);
      EXPECT_TRUE(broken.raw.host_trouble);
      const bool all_sent = broken.says.size() == scene.says.size();
      for (std::size_t i = 0; i < 2; ++i) {
        const auto& verdict = broken.raw.recipients[i];
        EXPECT_TRUE(!verdict.status.empty() && (verdict.reply.code != 0 || !verdict.text.empty()));
        // Uncertain exactly where the last octet went out and the host had no time to answer; what the host said stands.
        if (verdict.disposition == Disposition::delivered || (verdict.reply.code != 0 && verdict.reply.code != 421)) continue;
        EXPECT_EQ(verdict.disposition, Disposition::temporary);
        EXPECT_EQ(verdict.uncertain, all_sent) << verdict.line();
      }
      if (!scene.lmtp) {
        EXPECT_NE(broken.raw.recipients[0].disposition, Disposition::delivered);
      }
    }
  }
}

}  // namespace
}  // namespace relais::smtp
