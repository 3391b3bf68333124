// POP3 sessions of accounts that live on a legacy platform: who is asked, what the client is told, and octets both ways.
#include "pop/relay/relay.h"

#include "base/encode.h"
#include "directory/relayed_login.h"
#include "directory/test_support.h"
#include "net/fake_resolver.h"
#include "net/listener.h"
#include "net/test_support.h"
#include "pop/server/server.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"

#include <gsasl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <mutex>

namespace relais::pop {
namespace {

using directory::Placement;

/// A POP3 server with one user, "ann@example.org" with the password "secret". Says "+OK NAME said COMMAND" to what follows a login.
class OldServer {
 public:
  /// Octets said and heard by all its sessions.
  std::atomic<std::uint64_t> said{0};
  std::atomic<int> quits{0};
  /// Said to PASS in place of a verdict, where it is not empty.
  std::string to_pass;
  /// Done before PASS is answered.
  std::function<net::asio::awaitable<void>()> before_pass;
  /// Done before QUIT is answered.
  std::function<net::asio::awaitable<void>()> before_quit;

  explicit OldServer(std::string name)
      : name_(std::move(name)), server_([this](auto connection) { return serve(std::move(connection)); }) {}
  std::uint16_t port() const { return server_.port(); }

 private:
  net::Task<void> say(net::Connection& connection, std::string text) {
    said += text.size();
    connection.queue(text);
    co_return co_await connection.flush(net::in(net::kSoon));
  }

  net::Task<std::string> hear(net::Connection& connection) {
    for (;;) {
      const auto end = connection.buffered().find("\r\n");
      if (end != std::string_view::npos) {
        std::string line(connection.buffered().substr(0, end));
        connection.consume(end + 2);
        co_return line;
      }
      RELAIS_CO_TRY_VOID(co_await connection.fill(net::in(net::kSoon), net::Awaiting::data));
    }
  }

  net::asio::awaitable<void> serve(std::unique_ptr<net::Connection> connection) { static_cast<void>(co_await dialogue(*connection)); }

  net::Task<void> dialogue(net::Connection& connection) {
    RELAIS_CO_TRY_VOID(co_await say(connection, "+OK " + name_ + "\r\n"));
    RELAIS_CO_TRY(const auto user, co_await hear(connection));
    RELAIS_CO_TRY_VOID(co_await say(connection, user == "AUTH PLAIN" ? "+ \r\n" : "+OK\r\n"));
    RELAIS_CO_TRY(const auto pass, co_await hear(connection));
    if (before_pass) co_await before_pass();
    const bool master = pass == to_base64(std::string("ann@example.org\0mover\0master secret", 35));
    const bool good = master || (user == "USER ann@example.org" && pass == "PASS secret");
    if (!to_pass.empty())
      RELAIS_CO_TRY_VOID(co_await say(connection, to_pass));
    else
      RELAIS_CO_TRY_VOID(co_await say(connection, good ? "+OK in\r\n" : "-ERR [AUTH] no\r\n"));
    for (;;) {
      RELAIS_CO_TRY(const auto command, co_await hear(connection));
      if (command == "FLOOD") {
        const std::string piece(64 * 1024, 'x');
        for (int i = 0; i < kFlood; ++i) RELAIS_CO_TRY_VOID(co_await say(connection, piece));
        co_return Result<void>{};
      }
      if (command == "QUIT" && before_quit) co_await before_quit();
      RELAIS_CO_TRY_VOID(co_await say(connection, "+OK " + name_ + " said " + command + "\r\n"));
      if (command == "QUIT") {
        ++quits;
        co_return Result<void>{};
      }
    }
  }

 public:
  static constexpr int kFlood = 1'600;  ///< pieces of 64 KB: 100 MB

 private:
  const std::string name_;
  net::TestServer server_;
};

/// The directory, but it cannot be read.
class Unreadable final : public directory::Moves {
 public:
  static std::unexpected<Error> away() { return fail(Fault::temporary, "the directory cannot be read"); }
  net::Task<void> set_platform(directory::LegacyPlatform) override { co_return away(); }
  net::Task<void> remove_platform(std::string) override { co_return away(); }
  net::Task<std::vector<directory::LegacyPlatform>> platforms() override { co_return away(); }
  net::Task<std::optional<directory::LegacyPlatform>> platform(std::string) override { co_return away(); }
  void listen(Listener) override {}
  net::Task<std::optional<directory::Located>> locate(std::string) override { co_return away(); }
  net::Task<std::optional<directory::Located>> located(directory::AccountNumber) override { co_return away(); }
  net::Task<directory::Account> add_legacy_account(directory::LegacyAccount) override { co_return away(); }
  net::Task<void> set_origin(directory::AccountNumber, directory::Origin) override { co_return away(); }
  net::Task<Placement> change_placement(directory::AccountNumber, std::uint64_t, Placement) override { co_return away(); }
  void learn(directory::AccountNumber, std::uint64_t, std::string) override {}
  net::Task<directory::KnowledgeCounts> knowledge(std::string) override { co_return away(); }
};

class PopLegacy : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(d->add_account("bob@example.org", "here", 0)));
    tell_of_platform();
    const auto ann = d.run(d->add_legacy_account({.address = "ann@example.org", .origin = {.platform = "old"}}));
    ASSERT_TRUE(ann);
    number = ann->number;
    std::vector<std::unique_ptr<storage::Engine>> engines;
    engines.push_back(storage::make_memory_engine());
    store = std::make_unique<storage::ShardedStore>(std::move(engines), nullptr);
    listen(&*d);
  }

  // Sessions end before what they use.
  void TearDown() override {
    listener->stop();
    d.loops().shutdown(net::kSoon);
  }

  void tell_of_platform(std::string host = "127.0.0.1") {
    directory::LegacyPlatform platform;
    platform.name = "old";
    platform.pop3 = {.host = std::move(host), .port = old.port()};
    platform.master = master;
    platform.learn_passwords = learns;
    ASSERT_TRUE(d.run(d->set_platform(platform)));
  }

  void listen(directory::Moves* moves) {
    Services services{.directory = &*d, .store = store.get(), .relay = {moves, &hosts, &gate}, .throttle = &throttle};
    Options options;
    options.allow_plaintext = true;
    options.relay = relay_options;
    net::ListenerOptions where;
    where.address = "127.0.0.1";
    listener = net::Listener::open(d.loops(), std::move(where), session_starter(std::make_shared<Server>(services, options))).value();
    listener->start();
  }

  Placement place(Placement next) {
    const auto now = d.run(d->find_number(number)).value()->placement;
    return d.run(d->change_placement(number, now.epoch, std::move(next))).value();
  }

  /// Says all of it at once and reads to the end.
  std::string dialogue(std::string commands) {
    return net::as_client(listener->port(), [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
      connection.queue(commands);
      static_cast<void>(co_await connection.flush(net::in(net::kSoon)));
      co_return co_await net::read_all(connection);
    });
  }

  static constexpr std::string_view kGreeting = "+OK Relais POP3 ready\r\n";
  static constexpr std::string_view kIn = "+OK Relais POP3 ready\r\n+OK send PASS\r\n+OK logged in\r\n";
  static constexpr std::string_view kLogin = "USER ann@example.org\r\nPASS secret\r\n";

  OldServer old{"old"};
  directory::LegacyMaster master{};
  bool learns = false;
  directory::TestDirectory d{{.default_domain = "example.org"}};
  net::FakeResolver dns;
  directory::LegacyHosts hosts{dns};
  /// Done when a login has found the account moving and is registered to wait.
  std::function<net::asio::awaitable<void>(Placement moving)> when_waiting;
  directory::PlacementGate gate{[this](directory::AccountNumber account) -> net::Task<std::optional<directory::Account>> {
    auto found = co_await d->find_number(account);
    if (when_waiting && found && *found && (*found)->placement.kind == Placement::Kind::moving) co_await when_waiting((*found)->placement);
    co_return found;
  }};
  net::Throttle throttle;
  std::unique_ptr<storage::Store> store;
  RelayOptions relay_options;
  std::unique_ptr<net::Listener> listener;
  directory::AccountNumber number = 0;
};

TEST_F(PopLegacy, TheSessionIsThePlatforms) {
  EXPECT_EQ(dialogue(std::string(kLogin) + "STAT\r\nQUIT\r\n"), std::string(kIn) + "+OK old said STAT\r\n+OK old said QUIT\r\n");
  EXPECT_EQ(dialogue("USER ann\r\nPASS secret\r\nQUIT\r\n"), std::string(kIn) + "+OK old said QUIT\r\n") << "the default domain";
  EXPECT_EQ(dialogue("AUTH PLAIN " + to_base64(std::string("\0ann\0secret", 11)) + "\r\nNOOP\r\nQUIT\r\n"),
            std::string(kGreeting) + "+OK logged in\r\n+OK old said NOOP\r\n+OK old said QUIT\r\n");
  EXPECT_EQ(old.quits, 3);
}

TEST_F(PopLegacy, OthersAreServedHere) {
  EXPECT_EQ(dialogue("USER bob\r\nPASS here\r\nQUIT\r\n"),
            std::string(kGreeting) + "+OK send PASS\r\n+OK maildrop has 0 messages (0 octets)\r\n+OK goodbye\r\n");
  EXPECT_TRUE(dialogue("USER nobody\r\nPASS secret\r\nQUIT\r\n").contains("-ERR [AUTH]"));
  EXPECT_EQ(old.said, 0U) << "nobody was asked about them";
}

TEST_F(PopLegacy, ItsRefusalIsARefusalAndCounts) {
  EXPECT_EQ(dialogue("USER ann\r\nPASS wrong\r\nQUIT\r\n"),
            std::string(kGreeting) + "+OK send PASS\r\n-ERR [AUTH] authentication failed\r\n+OK goodbye\r\n");
  EXPECT_EQ(throttle.keys(), 2U) << "address and account";
}

TEST_F(PopLegacy, EverythingElseIsATemporaryFailureAndCountsForNothing) {
  const struct {
    std::string_view says;
    std::string_view told;
  } rows[] = {
      {"-ERR [SYS/TEMP] away\r\n", "-ERR [SYS/TEMP] "},
      {"-ERR [IN-USE] locked\r\n", "-ERR [IN-USE] "},
      {"-ERR [LOGIN-DELAY] often\r\n", "-ERR [LOGIN-DELAY] "},
      {"what\r\n", "-ERR [SYS/TEMP] "},
  };
  for (const auto& row : rows) {
    old.to_pass = row.says;
    const auto said = dialogue("USER ann\r\nPASS secret\r\nQUIT\r\n");
    EXPECT_TRUE(said.starts_with(std::string(kGreeting) + "+OK send PASS\r\n" + std::string(row.told))) << said;
  }
  tell_of_platform("127.99.99.99");
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").contains("-ERR [SYS/TEMP] "));
  tell_of_platform("nobody.example");
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").contains("-ERR [SYS/TEMP] "));
  EXPECT_EQ(throttle.keys(), 0U);
}

TEST_F(PopLegacy, APlatformWithoutPop3) {
  directory::LegacyPlatform platform;
  platform.name = "old";
  platform.imap = {.host = "127.0.0.1", .port = old.port()};
  ASSERT_TRUE(d.run(d->set_platform(platform)));
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").contains("-ERR [SYS/PERM] "));
}

TEST_F(PopLegacy, NobodyGuessesWhereTheDirectoryCannotBeRead) {
  Unreadable unreadable;
  listen(&unreadable);
  EXPECT_EQ(dialogue(std::string(kLogin) + "QUIT\r\n"),
            std::string(kGreeting) + "+OK send PASS\r\n-ERR [SYS/TEMP] the directory cannot be read\r\n+OK goodbye\r\n");
  EXPECT_EQ(old.said, 0U);
}

TEST_F(PopLegacy, OnTheMoveNobodyIsServed) {
  relay_options.login_wait = std::chrono::seconds(0);
  listen(&*d);
  place({.kind = Placement::Kind::moving, .legacy = "old"});
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").contains("-ERR [SYS/TEMP] the mailbox is being moved"));
  EXPECT_EQ(old.said, 0U);
}

// Who comes during a freeze is served where the account is after it.
TEST_F(PopLegacy, ALoginWaitsForTheEndOfAFreeze) {
  relay_options.login_wait = std::chrono::duration_cast<std::chrono::seconds>(net::kSoon);
  listen(&*d);
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "secret")));
  const struct {
    Placement then;
    std::string_view told;
  } rows[] = {
      {{.kind = Placement::Kind::legacy, .legacy = "old"}, "+OK logged in\r\n+OK old said QUIT\r\n"},
      {{.kind = Placement::Kind::shard, .legacy = {}}, "+OK maildrop has 0 messages (0 octets)\r\n+OK goodbye\r\n"},
  };
  for (const auto& row : rows) {
    place({.kind = Placement::Kind::moving, .legacy = "old"});
    when_waiting = [&](Placement moving) -> net::asio::awaitable<void> {
      const auto next = co_await d->change_placement(number, moving.epoch, row.then);
      EXPECT_TRUE(next);
      if (next) gate.settled(number, *next);
    };
    EXPECT_EQ(dialogue(std::string(kLogin) + "QUIT\r\n"), std::string(kGreeting) + "+OK send PASS\r\n" + std::string(row.told));
    when_waiting = nullptr;
  }
}

// The placement is read again once the platform has let us in.
TEST_F(PopLegacy, APlacementThatChangesDuringTheLogin) {
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "secret")));
  old.before_pass = [&]() -> net::asio::awaitable<void> {
    const auto now = (co_await d->find_number(number)).value()->placement;
    if (now.kind == Placement::Kind::legacy)
      EXPECT_TRUE(co_await d->change_placement(number, now.epoch, Placement{.kind = Placement::Kind::shard, .legacy = {}}));
  };
  EXPECT_EQ(dialogue(std::string(kLogin) + "QUIT\r\n"),
            std::string(kGreeting) + "+OK send PASS\r\n+OK maildrop has 0 messages (0 octets)\r\n+OK goodbye\r\n");
  EXPECT_EQ(old.quits, 0);
}

TEST_F(PopLegacy, APlacementThatChangesAllTheTimeIsATemporaryFailure) {
  old.before_pass = [&]() -> net::asio::awaitable<void> {
    const auto now = (co_await d->find_number(number)).value()->placement;
    EXPECT_TRUE(co_await d->change_placement(number, now.epoch, {.kind = Placement::Kind::legacy, .legacy = "old"}));
  };
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").contains("-ERR [SYS/TEMP] "));
}

TEST_F(PopLegacy, AcceptedPasswordsAreLearnedWhereTheRecordSaysSo) {
  learns = true;
  tell_of_platform();
  EXPECT_TRUE(dialogue(std::string(kLogin) + "QUIT\r\n").starts_with(kIn));
  directory::wait_for_upgrades(*d);
  EXPECT_EQ(d.run(d->located(number)).value()->knowledge, directory::Knowledge::learned);
}

// What SCRAM proves is no password to pass on.
TEST_F(PopLegacy, AProofIsRelayedByTheMaster) {
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "secret")));
  const auto proven = [&] {
    return net::as_client(listener->port(), [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
      std::unique_ptr<Relay> relay;
      const auto open = [&](directory::Located who, std::optional<std::string> password) -> net::Task<bool> {
        RELAIS_CO_TRY(relay,
                      co_await Relay::open({&*d, &hosts, &gate}, relay_options, connection, std::move(who), std::move(password), "s1"));
        co_return relay != nullptr;
      };
      directory::RelayedLogin login({*d, &*d, &gate}, "192.0.2.1", std::chrono::seconds(0), open);
      const auto keys = (co_await login.scram_keys("ann")).value();
      const auto done = co_await login.login_verified("ann", keys.generation);
      EXPECT_EQ(relay != nullptr, done.has_value());
      if (!done) co_return std::string(to_string(done.error().fault)) + " " + done.error().code;
      co_return done->account.address;
    });
  };
  EXPECT_EQ(proven(), "refused AUTHENTICATIONFAILED");
  master = {.way = directory::LegacyMaster::Way::authzid, .user = "mover", .password = "master secret"};
  tell_of_platform();
  EXPECT_EQ(proven(), "ann@example.org");
  master.password = "wrong";
  tell_of_platform();
  EXPECT_EQ(proven(), "temporary ");
}

/// One side of SCRAM-SHA-256.
class ScramClient {
 public:
  ScramClient(const char* user, const char* password) {
    EXPECT_EQ(gsasl_init(&context_), GSASL_OK);
    EXPECT_EQ(gsasl_client_start(context_, "SCRAM-SHA-256", &session_), GSASL_OK);
    gsasl_property_set(session_, GSASL_AUTHID, user);
    gsasl_property_set(session_, GSASL_PASSWORD, password);
  }
  ~ScramClient() {
    gsasl_finish(session_);
    gsasl_done(context_);
  }
  ScramClient(const ScramClient&) = delete;
  ScramClient& operator=(const ScramClient&) = delete;
  /// @param line  of the server: "+ " and base64
  std::string answer(std::string_view line) {
    const auto challenge = from_base64(line.substr(std::min<std::size_t>(line.size(), 2))).value_or("");
    char* out = nullptr;
    std::size_t size = 0;
    EXPECT_EQ(gsasl_step(session_, challenge.data(), challenge.size(), &out, &size), GSASL_NEEDS_MORE);
    auto text = to_base64(std::string_view(out, size));
    gsasl_free(out);
    return text;
  }

 private:
  Gsasl* context_ = nullptr;
  Gsasl_session* session_ = nullptr;
};

// The session is open at the platform when the client takes its login back: it is not left over for the next one.
TEST_F(PopLegacy, AProofThatIsTakenBackLeavesNothing) {
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "secret")));
  master = {.way = directory::LegacyMaster::Way::authzid, .user = "mover", .password = "master secret"};
  tell_of_platform();
  const auto said = net::as_client(listener->port(), [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
    const auto ask = [&](std::string line) -> net::asio::awaitable<std::string> {
      connection.queue(line);
      EXPECT_TRUE(co_await connection.flush(net::in(net::kSoon)));
      std::string reply;
      while (!reply.ends_with("\r\n")) {
        const auto octet = co_await net::read_exactly(connection, 1);
        if (!octet) break;
        reply += *octet;
      }
      co_return reply.substr(0, reply.find('\r'));
    };
    ScramClient scram("ann", "secret");
    EXPECT_EQ(co_await ask(""), "+OK Relais POP3 ready");
    auto reply = co_await ask("AUTH SCRAM-SHA-256 " + scram.answer("") + "\r\n");
    reply = co_await ask(scram.answer(reply) + "\r\n");
    EXPECT_TRUE(reply.starts_with("+ ")) << reply;
    EXPECT_EQ(gate.presence(number).pop_sessions, 1U);
    EXPECT_EQ(co_await ask("*\r\n"), "-ERR authentication cancelled");
    EXPECT_EQ(gate.presence(number).pop_sessions, 0U);
    connection.queue("USER bob\r\nPASS here\r\nQUIT\r\n");
    EXPECT_TRUE(co_await connection.flush(net::in(net::kSoon)));
    co_return co_await net::read_all(connection);
  });
  EXPECT_EQ(said, "+OK send PASS\r\n+OK maildrop has 0 messages (0 octets)\r\n+OK goodbye\r\n");
}

// Each direction reads no more than the other side has taken: what is under way fits into the sockets.
TEST_F(PopLegacy, ASlowReaderHoldsThePlatformUp) {
  constexpr std::uint64_t kUnderWay = 32U << 20U;  // the kernel's buffers of two connections, and the pump's
  const auto total = net::as_client(listener->port(), [&](net::Connection& connection) -> net::asio::awaitable<std::uint64_t> {
    connection.queue(std::string(kLogin) + "FLOOD\r\n");
    static_cast<void>(co_await connection.flush(net::in(net::kSoon)));
    std::uint64_t got = 0;
    while (co_await connection.fill(net::in(net::kSoon), net::Awaiting::data)) {
      got += connection.buffered().size();
      connection.consume(connection.buffered().size());
      EXPECT_LE(old.said, got + kUnderWay);
    }
    co_return got;
  });
  EXPECT_GE(total, std::uint64_t{OldServer::kFlood} * 64 * 1024);
}

// The mover changes the placement, then drains: sessions end, but those that have said QUIT are let finish.
TEST_F(PopLegacy, ADrainClosesSessions) {
  const auto said = net::as_client(listener->port(), [&](net::Connection& connection) -> net::asio::awaitable<std::string> {
    connection.queue(std::string(kLogin) + "STAT\r\n");
    static_cast<void>(co_await connection.flush(net::in(net::kSoon)));
    const auto expected = std::string(kIn) + "+OK old said STAT\r\n";
    EXPECT_EQ((co_await net::read_exactly(connection, expected.size())).value(), expected);
    EXPECT_EQ(gate.presence(number).pop_sessions, 1U);
    const auto now = (co_await d->find_number(number)).value()->placement;
    EXPECT_TRUE(co_await d->change_placement(number, now.epoch, {.kind = Placement::Kind::moving, .legacy = "old"}));
    EXPECT_TRUE(co_await gate.drain(number, net::in(net::kSoon)));
    EXPECT_EQ(gate.presence(number).pop_sessions, 0U);
    co_return co_await net::read_all(connection);
  });
  EXPECT_EQ(said, "");
  EXPECT_EQ(old.quits, 0);
}

TEST_F(PopLegacy, ADrainWaitsForWhoHasSaidQuit) {
  old.before_quit = [&]() -> net::asio::awaitable<void> {
    const auto now = (co_await d->find_number(number)).value()->placement;
    EXPECT_TRUE(co_await d->change_placement(number, now.epoch, {.kind = Placement::Kind::moving, .legacy = "old"}));
    EXPECT_FALSE(co_await gate.drain(number, net::in(std::chrono::milliseconds(1)))) << "the platform is deleting";
  };
  EXPECT_EQ(dialogue(std::string(kLogin) + "QUIT\r\n"), std::string(kIn) + "+OK old said QUIT\r\n");
  EXPECT_EQ(old.quits, 1);
}

}  // namespace
}  // namespace relais::pop
