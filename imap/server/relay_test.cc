// Logins of accounts that live on a legacy platform, and what becomes of the session: both sides speak from a script, over sockets.
#include "imap/relay/relay.h"

#include "directory/test_support.h"
#include "imap/relay/platform_capabilities.h"
#include "imap/server/testing.h"
#include "net/fake_resolver.h"
#include "net/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <functional>

namespace relais::imap {
namespace {

using ::testing::HasSubstr;
using testing::World;

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

std::vector<std::string> with_login(std::vector<std::string> lines,
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
  explicit Front(std::uint16_t port, const Moved& moved = {}) {
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

  World world;
  directory::TestDirectory directory{{.default_domain = "example.org"}};
  net::FakeResolver resolver;
  directory::LegacyHosts hosts{resolver};
  directory::PlacementGate gate{*directory};
  PlatformCapabilities capabilities;
  std::optional<directory::LegacyLoginParts> parts{};
  std::optional<net::TestServer> frontend;
};

constexpr auto kGreeting = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN] Relais ready\r\n";
constexpr auto kLoggedIn = "a OK [CAPABILITY IMAP4rev1 SORT IDLE] logged in\r\n";

TEST(RelayedLogin, TheSessionGoesOnAtThePlatform) {
  const Platform platform(with_login({"C: b NOOP", "S: * 3 EXISTS", "S: b OK done", "C: c LOGOUT", "S: * BYE", "S: c OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a LOGIN carol@example.org theirs\r\nb NOOP\r\nc LOGOUT\r\n"),
            std::string(kGreeting) + kLoggedIn + "* 3 EXISTS\r\nb OK done\r\n* BYE\r\nc OK\r\n");
  EXPECT_EQ(front.capabilities.common(), kIdle);
}

TEST(RelayedLogin, SaslPlainIsTheSame) {
  const Platform platform(with_login({"C: b LOGOUT", "S: * BYE", "S: b OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a AUTHENTICATE PLAIN AGNhcm9sAHRoZWlycw==\r\nb LOGOUT\r\n"),
            std::string(kGreeting) + kLoggedIn + "* BYE\r\nb OK\r\n");
}

class OnePassword final : public directory::LegacyCheck {
 public:
  net::Task<void> check(directory::LegacyAttempt attempt) override {
    ++asked;
    if (attempt.password == "theirs") co_return Result<void>{};
    co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
  }
  std::atomic<int> asked{0};
};

TEST(MovedLogin, APasswordThatOnlyThePlatformKnewIsAskedForOnce) {
  const Platform nobody({"CLOSE"});
  OnePassword old;
  directory::AskLimits limits;
  directory::VerifiedCache accepted(0, std::chrono::seconds(0), system_clock());
  Front front(nobody.port(), [&](Front& made) {
    made.parts.emplace(directory::LegacyLoginParts{*made.directory, *made.directory, made.gate, old, limits, accepted});
    return &*made.parts;
  });
  ASSERT_TRUE(front.directory.place("carol@example.org", directory::Placement{}));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org guess\r\nb LOGOUT\r\n"), HasSubstr("a NO [AUTHENTICATIONFAILED]"));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\nb LOGOUT\r\n"), HasSubstr("a OK "));
  directory::wait_for_upgrades(*front.directory);
  EXPECT_EQ(old.asked, 2);
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\nb LOGOUT\r\n"), HasSubstr("a OK "));
  EXPECT_EQ(old.asked, 2) << "it is known here now";
}

TEST(RelayedLogin, AWrongPasswordIsThePlatformsToRefuse) {
  const Platform platform({"S: * OK [CAPABILITY IMAP4rev1] old", "C: r1 LOGIN \"carol@example.org\" \"wrong\"",
                           "S: r1 NO [AUTHENTICATIONFAILED] its own words"});
  Front front(platform.port());
  const auto heard = front.talk("a LOGIN carol@example.org wrong\r\n", "\r\na ");
  EXPECT_THAT(heard, HasSubstr("a NO [AUTHENTICATIONFAILED] authentication failed\r\n"));
}

TEST(RelayedLogin, APlatformThatIsAwayIsATemporaryFailure) {
  for (const auto& script : std::vector<std::vector<std::string>>{
           {"S: * BYE too many of you", "CLOSE"},
           {"CLOSE"},
           {"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] old",
            "C: r1 AUTHENTICATE PLAIN AGNhcm9sQGV4YW1wbGUub3JnAHRoZWlycw==", "S: r1 NO [UNAVAILABLE] later"},
       }) {
    const Platform platform(script);
    Front front(platform.port());
    EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\n", "\r\na "), HasSubstr("a NO [UNAVAILABLE] "));
  }
}

TEST(RelayedLogin, AnAccountThatIsMovingIsATemporaryFailure) {
  const Platform platform({"CLOSE"});
  Front front(platform.port());
  ASSERT_TRUE(front.directory.place("carol@example.org", {.kind = directory::Placement::Kind::moving, .legacy = "old"}));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\n", "\r\na "), HasSubstr("a NO [UNAVAILABLE] "));
}

TEST(RelayedLogin, WhoLivesHereIsServedHere) {
  const Platform platform({"CLOSE"});
  Front front(platform.port());
  ASSERT_TRUE(front.directory.run(front.directory->add_account("alice@example.org", "secret", 0)));
  const auto heard = front.talk("a LOGIN alice secret\r\nb LOGOUT\r\n");
  EXPECT_THAT(heard, HasSubstr("a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE"));
  EXPECT_THAT(heard, HasSubstr("b OK"));
}

TEST(RelayedSession, WhatMustNotPassIsAnsweredInItsPlace) {
  const Platform platform(
      with_login({"C: b CAPABILITY", "S: * CAPABILITY IMAP4rev1 STARTTLS COMPRESS=DEFLATE", "S: b OK", "C: e LOGOUT", "S: e OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(
      front.talk("a LOGIN carol theirs\r\nb CAPABILITY\r\nc COMPRESS DEFLATE\r\nd LOGIN x {1}\r\ne LOGOUT\r\n"),
      std::string(kGreeting) + kLoggedIn +
          "* CAPABILITY IMAP4rev1 SORT IDLE\r\nb OK\r\nc NO [CANNOT] COMPRESS is not available\r\nd BAD this command is not allowed now\r\n"
          "e OK\r\n* BYE [UNAVAILABLE] the mail server has closed the connection\r\n");
}

TEST(RelayedSession, ALiteralWaitsForThePlatform) {
  const Platform platform(with_login({"C: b APPEND x {5}", "S: + go", "C: b OK ", "S: b OK appended", "C: c NOOP", "S: * BYE", "CLOSE"}));
  Front front(platform.port());
  EXPECT_THAT(front.talk("a LOGIN carol theirs\r\nb APPEND x {5}\r\nb OK \r\nc NOOP\r\n"),
              ::testing::EndsWith("+ go\r\nb OK appended\r\n* BYE\r\n"));
}

TEST(RelayedSession, APlatformThatGoesAwayIsSaid) {
  const Platform platform(with_login({"S: * 1 EXISTS", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a LOGIN carol theirs\r\n"),
            std::string(kGreeting) + kLoggedIn + "* 1 EXISTS\r\n* BYE [UNAVAILABLE] the mail server has closed the connection\r\n");
}

TEST(RelayedSession, OurOwnEndWaitsForTheReplies) {
  const Platform platform(with_login({"C: b IDLE", "S: + idling"}));
  Front front(platform.port());
  const auto stop = [&] { front.frontend->loops.at(0).post([&] { front.frontend->loops.at(0).begin_shutdown(); }); };
  EXPECT_THAT(front.talk("a LOGIN carol theirs\r\nb IDLE\r\n", "+ idling\r\n", stop),
              ::testing::EndsWith("+ idling\r\n* BYE [UNAVAILABLE] shutting down\r\n"));
}

TEST(RelayedSession, ADrainWaitsForTheReplies) {
  const Platform platform(with_login({"C: b NOOP", "S: * 1 EXISTS", "C: c NOOP", "S: c OK", "S: b OK", "C: d IDLE", "S: + idling"}));
  Front front(platform.port());
  const auto account = front.directory.run(front.directory->find("carol@example.org")).value().value();
  auto moving = account.placement;
  moving.kind = directory::Placement::Kind::moving;
  const auto drain = [&] {
    EXPECT_TRUE(front.directory.run(front.directory->change_placement(account.number, account.placement.epoch, moving)));
    EXPECT_TRUE(front.directory.run(front.gate.drain(account.number, net::in(net::kSoon))));
  };
  EXPECT_THAT(front.talk("a LOGIN carol theirs\r\nb NOOP\r\nc NOOP\r\nd IDLE\r\n", "+ idling\r\n", drain),
              ::testing::EndsWith("c OK\r\nb OK\r\n+ idling\r\n* BYE [UNAVAILABLE] the mailbox is being moved, connect again\r\n"));
}

TEST(PlatformCapabilities, AreThoseThatAllHave) {
  PlatformCapabilities all;
  EXPECT_EQ(all.common(), kAllEarly);
  all.set_platforms({"a", "b"});
  EXPECT_EQ(all.common(), 0);
  all.learned("a", {"IMAP4rev1", "idle", "ENABLE", "ID"});
  EXPECT_EQ(all.common(), 0);
  all.learned("b", {"IMAP4REV2", "IDLE", "ID", "LITERAL+"});
  EXPECT_EQ(all.common(), kIdle | kId);
  all.learned("c", {});
  all.set_platforms({"a"});
  EXPECT_EQ(all.common(), kIdle | kId | kEnable);
  all.set_platforms({});
  EXPECT_EQ(all.common(), kAllEarly);
}

}  // namespace
}  // namespace relais::imap
