// What the tests of relayed sessions share: a platform that speaks from a script, and a frontend whose directory has an account there.
#pragma once

#include "directory/test_support.h"
#include "imap/relay/platform_capabilities.h"
#include "imap/server/testing.h"
#include "net/fake_resolver.h"
#include "net/test_support.h"
#include "storage/model/testing.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::imap::testing {

inline constexpr auto kGreeting = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] Relais ready\r\n";
inline constexpr auto kLoggedIn = "a OK [CAPABILITY IMAP4rev1 SORT IDLE] logged in\r\n";

/// A platform that says its part line by line: "C: " what it must hear, "S: " what it says, "CLOSE".
class Platform {
 public:
  explicit Platform(std::vector<std::string> script) : script_(std::move(script)), server_(starter()) {}
  std::uint16_t port() const { return server_.port(); }

 private:
  net::SessionStarter starter() {
    return [this](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
      for (const auto& line : script_) {
        if (line.starts_with("S: ")) {
          connection->queue(line.substr(3) + "\r\n");
          if (!co_await connection->flush(net::in(net::kSoon))) co_return;
        } else if (line.starts_with("C: ")) {
          const auto heard = co_await net::read_exactly(*connection, line.size() - 3 + 2);
          EXPECT_EQ(heard.value_or("nothing"), line.substr(3) + "\r\n");
          if (!heard) co_return;
        }
      }
      if (script_.back() == "CLOSE") co_return;
      static_cast<void>(co_await net::read_all(*connection));
    };
  }

  const std::vector<std::string> script_;
  net::TestServer server_;
};

inline std::vector<std::string> with_login(std::vector<std::string> lines,
                                           std::string_view capabilities = "IMAP4rev1 SORT IDLE COMPRESS=DEFLATE") {
  std::vector<std::string> all{
      "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] old",
      "C: r1 AUTHENTICATE PLAIN AGNhcm9sQGV4YW1wbGUub3JnAHRoZWlycw==", "S: r1 OK [CAPABILITY " + std::string(capabilities) + "] in"};
  all.insert(all.end(), lines.begin(), lines.end());
  return all;
}

/// A frontend whose directory has carol on the platform at `port`, and whoever else a test adds.
struct Front {
  using Moved = std::function<const directory::LegacyLoginParts*(Front&)>;
  using Adjust = std::function<void(RelayServices&, RelayOptions&)>;
  explicit Front(std::uint16_t port, const Moved& moved = {}, const Adjust& adjust = {}) {
    EXPECT_TRUE(directory.run(directory->add_domain("example.org")));
    directory::LegacyPlatform old;
    old.name = "old";
    old.imap = {.host = "127.0.0.1", .port = port};
    EXPECT_TRUE(directory.run(directory->set_platform(old)));
    EXPECT_TRUE(directory.run(directory->add_legacy_account({.address = "carol@example.org", .origin = {.platform = "old"}})));
    capabilities.set_platforms({"old"});
    auto services = world.services();
    services.directory = &*directory;
    services.relay = {&*directory, &hosts, &gate, &capabilities, moved ? moved(*this) : nullptr};
    auto options = World::plaintext();
    options.relay.login_wait = std::chrono::seconds(1);
    if (adjust) adjust(services.relay, options.relay);
    frontend.emplace(session_starter(std::make_shared<Server>(services, options)), net::ListenerOptions{}, 1U);
  }
  ~Front() {
    frontend->listener->stop();
    EXPECT_TRUE(frontend->loops.shutdown(net::kSoon));
  }

  /// Says it all at once and hears until the end of the stream or, where `until` is not empty, this.
  std::string talk(const std::string& says, const std::string& until = {}, const std::function<void()>& then = {}) {
    auto body = [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
      connection.queue(says);
      EXPECT_TRUE(co_await connection.flush(net::in(net::kSoon)));
      std::string heard;
      for (bool done = false;;) {
        if (!until.empty() && !done && heard.find(until) != std::string::npos) {
          if (!then) break;
          then();
          done = true;
        }
        if (!co_await connection.fill(net::in(net::kSoon), net::Awaiting::data)) break;
        heard += connection.buffered();
        connection.consume(connection.buffered().size());
      }
      co_return heard;
    };
    return net::as_client(frontend->port(), body);
  }

  /// Says it, hears until this comes, does that.
  struct Step {
    std::string says;
    std::string until;
    std::function<void()> then{};
  };
  /// One after the other; then hears until the end of the stream. @return all that was heard
  std::string converse(const std::vector<Step>& steps) {
    auto body = [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
      std::string heard;
      std::size_t from = 0;
      const auto more = [&]() -> net::asio::awaitable<bool> {
        if (!co_await connection.fill(net::in(net::kSoon), net::Awaiting::data)) co_return false;
        heard += connection.buffered();
        connection.consume(connection.buffered().size());
        co_return true;
      };
      for (const auto& step : steps) {
        connection.queue(step.says);
        EXPECT_TRUE(co_await connection.flush(net::in(net::kSoon)));
        auto found = heard.find(step.until, from);
        while (found == std::string::npos && co_await more()) found = heard.find(step.until, from);
        EXPECT_NE(found, std::string::npos) << step.until;
        if (found == std::string::npos) break;
        from = found + step.until.size();
        if (step.then) step.then();
      }
      while (co_await more()) {
      }
      co_return heard;
    };
    return net::as_client(frontend->port(), body);
  }

  // ---- carol moves
  directory::Account carol() { return directory.run(directory->find("carol@example.org")).value().value(); }
  storage::AccountRef carols() { return {storage::AccountId{carol().number}, 0}; }
  /// Where her mail will be: a mailbox with messages under these UIDs.
  void prepare(std::uint32_t uid_validity, const std::vector<std::pair<storage::Uid, std::vector<std::string>>>& messages,
               const std::string& mailbox = "INBOX") {
    using storage::testing::await;
    EXPECT_TRUE(await(world.store().create(carols(), mailbox, 0, uid_validity)));
    for (const auto& [uid, flags] : messages) deliver(uid, flags, mailbox);
  }
  void deliver(storage::Uid uid, const std::vector<std::string>& flags = {}, const std::string& mailbox = "INBOX") {
    using storage::testing::await;
    const auto octets = World::sample(uid);
    auto message = storage::testing::append_message(await(world.store().prepare(octets)).value());
    message.uid = uid;
    for (const auto& flag : flags) {
      const auto system = system_flag(flag);
      if (system)
        message.system_flags |= *system;
      else
        message.keywords.push_back(flag);
    }
    std::vector<storage::AppendMessage> messages;
    messages.push_back(std::move(message));
    EXPECT_TRUE(await(world.store().append(carols(), mailbox, std::move(messages), false, {})));
  }
  void place(directory::Placement::Kind kind) {
    const auto now = carol();
    auto next = now.placement;
    next.kind = kind;
    next.legacy = kind == directory::Placement::Kind::shard ? "" : "old";
    EXPECT_TRUE(directory.run(directory->change_placement(now.number, now.placement.epoch, next)));
  }
  /// All sessions are at rest when it returns.
  void freeze() {
    place(directory::Placement::Kind::moving);
    EXPECT_TRUE(directory.run(gate.drain(carol().number, net::in(net::kSoon))));
  }
  void thaw(directory::Placement::Kind kind) {
    place(kind);
    gate.settled(carol().number, carol().placement);
  }
  void cut_over() {
    freeze();
    thaw(directory::Placement::Kind::shard);
  }

  World world;
  directory::TestDirectory directory{{.default_domain = "example.org"}};
  net::FakeResolver resolver;
  directory::LegacyHosts hosts{resolver};
  directory::PlacementGate gate{*directory};
  PlatformCapabilities capabilities;
  std::optional<directory::LegacyLoginParts> parts{};
  std::optional<net::TestServer> frontend;
};

}  // namespace relais::imap::testing
