// A POP3 client against scripted servers: dialogues octet by octet, broken off at every octet, and what each refusal means.
#include "pop/client/client.h"

#include "base/encode.h"
#include "net/memory_stream.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

namespace relais::pop {
namespace {

using directory::ForwardAddress;
using directory::LegacyService;

ClientOptions plaintext() {
  ClientOptions options;
  options.user = "ann";
  options.password = "secret";
  options.plaintext_allowed = true;
  return options;
}

std::string describe(const Error& error) {
  std::string text(to_string(error.fault));
  return error.code.empty() ? text : text + " " + error.code;
}

/// What came of a session: "in", or the error of the login; then a line per thing done.
struct Played {
  std::string outcome;
  std::vector<std::string> done;
  std::string says;
  std::size_t steps = 0;
};

using Acts = std::function<net::asio::awaitable<void>(Client&, std::vector<std::string>& done)>;

Played play(std::string hears, const ClientOptions& options, const Acts& acts, std::size_t chunk = 1,
            std::size_t fail_at = net::Script::kNever) {
  net::Script script;
  script.to_server = std::move(hears);
  script.chunk = chunk;
  script.fail_at = fail_at;
  Played played;
  const auto session = [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    auto client = co_await Client::open(std::move(connection), options);
    played.outcome = client ? "in" : describe(client.error());
    if (client && acts) co_await acts(**client, played.done);
  };
  played.steps = net::play(script, session);
  played.says = script.from_server;
  return played;
}

Played play(std::string hears, const ClientOptions& options = plaintext()) { return play(std::move(hears), options, {}); }

template <class T>
std::string describe(const Result<T>& result) {
  return result ? "ok" : describe(result.error());
}

constexpr std::string_view kIn = "+OK ready\r\n+OK\r\n+OK in\r\n+OK\r\nTOP\r\nUIDL\r\npipelining\r\nSASL PLAIN LOGIN\r\n.\r\n";
constexpr std::string_view kSaysIn = "USER ann\r\nPASS secret\r\nCAPA\r\n";

net::asio::awaitable<void> everything(Client& client, std::vector<std::string>& done) {
  done.push_back(std::string(client.has("PIPELINING") ? "pipelining" : "one by one") + (client.has("SASL") ? " sasl" : ""));
  if (auto drop = co_await client.drop()) {
    for (const auto& one : *drop) done.push_back(std::to_string(one.number) + " " + std::to_string(one.octets) + " " + one.uidl);
  } else {
    done.push_back("drop: " + describe(drop.error()));
  }
  auto headers = co_await client.headers({1, 2, 3}, [&done](std::uint32_t number, std::string_view header) -> Result<void> {
    done.push_back(std::to_string(number) + ": " + std::string(header));
    return {};
  });
  done.push_back("headers: " + describe(headers));
  std::string message;
  const auto got = co_await client.retrieve(3, [&message](std::string_view piece) -> net::Task<void> {
    message += piece;
    co_return Result<void>{};
  });
  done.push_back("retrieve: " + (got ? message : describe(got.error())));
  done.push_back("erase: " + describe(co_await client.erase(1)));
  done.push_back("quit: " + describe(co_await client.quit()));
}

const std::string kEverything = std::string(kIn) +
                                "+OK\r\n3 30\r\n1 10\r\n2 20 more\r\n.\r\n"
                                "+OK\r\n3 c\r\n..\r\n1 a\r\n9 z\r\n.\r\n"
                                "+OK\r\nA: 1\r\n\r\n.\r\n-ERR gone\r\n+OK\r\nC: 3\r\n..\r\n.\r\n"
                                "+OK\r\nbody\r\n..dot\r\n..\r\n.\r\n+OK\r\n+OK bye\r\n";
const std::string kSaysEverything = std::string(kSaysIn) + "LIST\r\nUIDL\r\nTOP 1 0\r\nTOP 2 0\r\nTOP 3 0\r\nRETR 3\r\nDELE 1\r\nQUIT\r\n";

TEST(PopClient, EverythingOctetByOctet) {
  // A UIDL line that is none spoils the list, but not the session.
  for (const std::size_t chunk : {std::size_t{1}, std::size_t{7}, net::Script::kNever}) {
    const auto played = play(kEverything, plaintext(), everything, chunk);
    EXPECT_EQ(played.outcome, "in");
    EXPECT_EQ(played.says, kSaysEverything);
    const std::vector<std::string> expected{
        "pipelining sasl", "drop: syntax", "1: A: 1\r\n\r\n", "headers: refused", "retrieve: body\r\n.dot\r\n.\r\n",
        "erase: ok",       "quit: ok"};
    EXPECT_EQ(played.done, expected);
  }
}

TEST(PopClient, ListsAreJoinedByNumber) {
  const auto drop = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    const auto entries = co_await client.drop();
    for (const auto& one : entries.value()) done.push_back(std::to_string(one.number) + " " + std::to_string(one.octets) + " " + one.uidl);
  };
  const auto played =
      play(std::string(kIn) + "+OK\r\n3 30\r\n1 10\r\n2 20 more\r\n.\r\n+OK\r\n3 c\r\n1 a\r\n9 z\r\n.\r\n", plaintext(), drop);
  EXPECT_EQ(played.done, (std::vector<std::string>{"1 10 a", "2 20 ", "3 30 c"}));
  const auto without = play(std::string(kIn) + "+OK\r\n1 10\r\n.\r\n-ERR what is UIDL\r\n", plaintext(), drop);
  EXPECT_EQ(without.done, (std::vector<std::string>{"1 10 "}));
}

TEST(PopClient, LongUniqueIds) {
  const auto drop = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    const auto entries = co_await client.drop();
    done.push_back(entries ? std::to_string(entries->at(0).uidl.size()) : describe(entries.error()));
    done.push_back(describe(co_await client.noop()));
  };
  const auto with = [](std::size_t octets) {
    return std::string(kIn) + "+OK\r\n1 10\r\n.\r\n+OK\r\n1 " + std::string(octets, 'u') + "\r\n.\r\n+OK\r\n";
  };
  EXPECT_EQ(play(with(250), plaintext(), drop, net::Script::kNever).done, (std::vector<std::string>{"250", "ok"}));
  EXPECT_EQ(play(with(251), plaintext(), drop, net::Script::kNever).done, (std::vector<std::string>{"syntax", "ok"}));
}

// Nobody waits for the end of what is not wanted.
TEST(PopClient, RepliesWithoutEndEndTheSession) {
  std::string endless;
  while (endless.size() <= Client::kMaxDropped + (1U << 20U)) endless += "no listing but " + std::string(1000, 'x') + "\r\n";
  endless += ".\r\n+OK\r\n";  // never got to
  const auto acts = [](std::string_view what) -> Acts {
    return [what](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
      if (what == "drop") {
        done.push_back(describe(co_await client.drop()));
      } else if (what == "headers") {
        done.push_back(describe(co_await client.headers({1, 2}, [](std::uint32_t, std::string_view) { return Result<void>{}; })));
      } else {
        done.push_back(describe(
            co_await client.retrieve(1, [](std::string_view) -> net::Task<void> { co_return fail(Fault::refused, "enough", "STOP"); })));
      }
      done.push_back(describe(co_await client.noop()));
    };
  };
  for (const auto& [what, outcome] : {std::pair{"drop", "syntax"}, {"headers", "refused LIMIT"}, {"retrieve", "refused STOP"}}) {
    SCOPED_TRACE(what);
    const auto body = what == std::string_view("headers") ? endless.substr(0, Client::kMaxHeader) + endless : endless;
    const auto played = play(std::string(kIn) + "+OK\r\n" + body, plaintext(), acts(what), net::Script::kNever);
    EXPECT_EQ(played.done, (std::vector<std::string>{outcome, "closed"}));
  }
}

// Wherever the connection breaks: the login is a temporary failure, a command Fault::closed, and nothing is said beyond the break.
TEST(PopClient, BrokenAtEveryOctet) {
  const auto whole = play(kEverything, plaintext(), everything);
  for (std::size_t at = 0; at < whole.steps; ++at) {
    SCOPED_TRACE(at);
    const auto broken = play(kEverything, plaintext(), everything, 1, at);
    EXPECT_TRUE(kSaysEverything.starts_with(broken.says)) << broken.says;
    if (broken.outcome != "in") {
      EXPECT_EQ(broken.outcome, "temporary");
      continue;
    }
    ASSERT_FALSE(broken.done.empty());
    EXPECT_EQ(broken.done.back(), "quit: closed");
    // What was done before is as without the break; then everything is closed.
    bool ended = false;
    for (std::size_t i = 0; i < broken.done.size(); ++i) {
      ended = ended || i >= whole.done.size() || broken.done[i] != whole.done[i];
      if (ended) EXPECT_TRUE(broken.done[i].ends_with("closed")) << broken.done[i];
    }
  }
}

TEST(PopClient, HeadersOneByOneWhereNothingIsPipelined) {
  const auto acts = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    const auto headers = co_await client.headers({1, 2, 3}, [&done](std::uint32_t number, std::string_view) -> Result<void> {
      done.push_back(std::to_string(number));
      return number == 2 ? Result<void>(fail(Fault::refused, "enough", "STOP")) : Result<void>{};
    });
    done.push_back(describe(headers));
  };
  const auto played = play("+OK ready\r\n+OK\r\n+OK in\r\n-ERR no CAPA\r\n+OK\r\nA: 1\r\n\r\n.\r\n+OK\r\nB: 2\r\n.\r\n", plaintext(), acts);
  EXPECT_EQ(played.says, std::string(kSaysIn) + "TOP 1 0\r\nTOP 2 0\r\n");
  EXPECT_EQ(played.done, (std::vector<std::string>{"1", "2", "refused STOP"}));
}

TEST(PopClient, WhatRefusalsMean) {
  const struct {
    std::string_view hears;
    std::string_view outcome;
  } scenes[] = {
      {"-ERR too many of you\r\n", "temporary"},
      {"-ERR [SYS/TEMP] later\r\n", "temporary SYS/TEMP"},
      {"220 smtp\r\n", "temporary"},
      {"* OK IMAP\r\n", "temporary"},
      {"", "temporary"},
      {"+OK\r\n-ERR never heard of ann\r\n-ERR\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n-ERR [AUTH] not without TLS\r\n+OK\r\nSTLS\r\n.\r\n", "temporary"},
      {"+OK\r\n-ERR [AUTH] unknown\r\n+OK\r\nUSER\r\nSTLS\r\n.\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n-ERR [AUTH] unknown\r\n", "temporary"},
      {"+OK\r\n+OK\r\n-ERR Login failed.\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR [AUTH] no\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR [auth] no\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR [IN-USE] locked\r\n", "temporary IN-USE"},
      {"+OK\r\n+OK\r\n-ERR [in-use] locked\r\n", "temporary IN-USE"},
      {"+OK\r\n+OK\r\n-ERR [LOGIN-DELAY] often\r\n", "temporary LOGIN-DELAY"},
      {"+OK\r\n+OK\r\n-ERR [SYS/TEMP] auth server is away\r\n", "temporary SYS/TEMP"},
      {"+OK\r\n+OK\r\n-ERR [SYS/PERM] no such disk\r\n", "temporary SYS/PERM"},
      {"+OK\r\n+OK\r\n-ERR Temporary problem, please try again later\r\n", "temporary UNCLEAR"},       // Courier
      {"+OK\r\n-ERR TLS required to log in.\r\n", "temporary SYS/TEMP"},                               // Courier
      {"+OK\r\n+OK\r\n-ERR POP3 access disabled via insecure connection.\r\n", "temporary SYS/TEMP"},  // Courier
      {"+OK\r\n+OK\r\n-ERR ann lock busy!  Is another session active? (11)\r\n", "temporary IN-USE"},  // qpopper
      {"+OK\r\n+OK\r\n-ERR maildrop already in use\r\n", "temporary IN-USE"},
      {"+OK\r\n+OK\r\n-ERR Unable to lock maildrop\r\n", "temporary IN-USE"},
      {"+OK\r\n+OK\r\n-ERR [AUTH] Wrong password, try again later\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR Login failed, try again later\r\n", "temporary UNCLEAR"},
      {"+OK\r\n+OK\r\n-ERR Invalid login, please try again\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR Account locked\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n-ERR Login to hassle.example.org failed\r\n", "refused AUTHENTICATIONFAILED"},
      {"+OK\r\n+OK\r\n", "temporary"},
  };
  for (const auto& scene : scenes) {
    SCOPED_TRACE(scene.hears);
    EXPECT_EQ(play(std::string(scene.hears)).outcome, scene.outcome);
  }
}

// An administrator sees them on a terminal.
TEST(PopClient, WordsOfAServerAreMadeFitForATerminal) {
  const auto error_of = [](std::string_view hears, ClientOptions options) {
    Error error;
    net::Script script;
    script.to_server = hears;
    net::play(script, [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
      const auto client = co_await Client::open(std::move(connection), options);
      EXPECT_FALSE(client);
      if (!client) error = client.error();
    });
    return error;
  };
  auto master = plaintext();
  master.authenticate_as = "mover";
  EXPECT_EQ(error_of("+OK\r\n+OK\r\n-ERR no\x1b]0;mine\x07 \xc3\xa9\x7f\r\n", plaintext()).detail, "no?]0;mine? ???");
  EXPECT_EQ(error_of("+OK\r\n-ERR \x1b[2J\r\n", master).detail, "AUTH PLAIN: ?[2J");
  for (const auto& options : {plaintext(), master}) {
    const auto where = options.authenticate_as.empty() ? "+OK\r\n+OK\r\n" : "+OK\r\n";
    EXPECT_LT(error_of(where + ("-ERR " + std::string(5000, 'x')) + "\r\n", options).detail.size(), 400U);
    for (const auto& code : {std::string("SYS/\x1b[2J"), std::string("A B"), std::string(5000, 'x')}) {
      const auto error = error_of(where + ("-ERR [" + code + "] later\r\n"), options);
      EXPECT_FALSE(error.code.contains('\x1b') || error.code.contains(' ') || error.code.size() > 40) << error.code;
    }
  }
  const auto acts = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    done.push_back(client.has("TOP") && !client.has("") && !client.has("X\x1bY") ? "words" : "anything");
    co_return;
  };
  const auto played = play("+OK\r\n+OK\r\n+OK\r\n+OK\r\nx\x1by\r\n \r\ntop\r\n.\r\n", plaintext(), acts);
  EXPECT_EQ(played.done, std::vector<std::string>{"words"});
}

TEST(PopClient, EndlessLinesEndTheSession) {
  EXPECT_EQ(play("+OK " + std::string(20'000, 'x') + "\r\n").outcome, "temporary");
  EXPECT_EQ(play("+OK\r\n+OK\r\n+OK\r\n+OK\r\n" + std::string(20'000, 'x') + "\r\n.\r\n").outcome, "temporary");
}

TEST(PopClient, NoPasswordGoesOutInTheClear) {
  auto options = plaintext();
  options.plaintext_allowed = false;
  const auto played = play("+OK ready\r\n", options);
  EXPECT_EQ(played.outcome, "temporary");
  EXPECT_EQ(played.says, "");
}

TEST(PopClient, NamesAndPasswordsThatCannotBeSaid) {
  for (const std::string_view odd :
       {std::string_view("a\rb"), std::string_view("a\nDELE 1"), std::string_view("a\0b", 3), std::string_view("")}) {
    auto options = plaintext();
    options.user = odd;
    EXPECT_EQ(play("+OK\r\n", options).outcome, "refused AUTHENTICATIONFAILED");
    options = plaintext();
    options.password = odd;
    const auto played = play("+OK\r\n", options);
    EXPECT_EQ(played.outcome, "refused AUTHENTICATIONFAILED");
    EXPECT_EQ(played.says, "");
  }
}

TEST(PopClient, PasswordsGoAsTheyAre) {
  auto options = plaintext();
  options.password = " correct  horse \xE4 ";
  options.capabilities = false;
  EXPECT_EQ(play("+OK\r\n+OK\r\n+OK\r\n", options).says, "USER ann\r\nPASS  correct  horse \xE4 \r\n");
}

TEST(PopClient, Master) {
  auto options = plaintext();
  options.authenticate_as = "mover";
  options.capabilities = false;
  const auto response = to_base64(std::string("ann\0mover\0secret", 16));
  for (const std::string_view challenge : {"+ \r\n", "+\r\n"}) {
    const auto played = play("+OK\r\n" + std::string(challenge) + "+OK\r\n", options);
    EXPECT_EQ(played.outcome, "in");
    EXPECT_EQ(played.says, "AUTH PLAIN\r\n" + response + "\r\n");
  }
  EXPECT_EQ(play("+OK\r\n+ \r\n-ERR [AUTH] no\r\n", options).outcome, "refused AUTHENTICATIONFAILED");
  EXPECT_EQ(play("+OK\r\n-ERR what is AUTH\r\n", options).outcome, "temporary");
  EXPECT_EQ(play("+OK\r\n+OK whoever\r\n", options).outcome, "temporary");
  EXPECT_EQ(play("+OK\r\nwhat\r\n", options).outcome, "temporary");
}

TEST(PopClient, TellsWhoItsClientIsWhereItMay) {
  auto options = plaintext();
  options.capabilities = false;
  options.forward = ForwardAddress::id;
  options.on_behalf_of = net::Endpoints{"2001:db8::7", 4711, "192.0.2.1", 110};
  options.session_id = "s1";
  auto played = play("+OK [XCLIENT] Dovecot ready.\r\n+OK Updated\r\n+OK\r\n+OK\r\n", options);
  EXPECT_EQ(played.says, "XCLIENT ADDR=2001:db8::7 PORT=4711 TTL=5 SESSION=s1\r\nUSER ann\r\nPASS secret\r\n");
  played = play("+OK [XCLIENT] Dovecot ready.\r\n-ERR no\r\n+OK\r\n+OK\r\n", options);
  EXPECT_EQ(played.outcome, "in");
  played = play("+OK Dovecot ready.\r\n+OK\r\n+OK\r\n", options);
  EXPECT_EQ(played.says, "USER ann\r\nPASS secret\r\n");
  options.forward = ForwardAddress::none;
  played = play("+OK [XCLIENT] Dovecot ready.\r\n+OK\r\n+OK\r\n", options);
  EXPECT_EQ(played.says, "USER ann\r\nPASS secret\r\n");
  options.forward = ForwardAddress::proxy;
  options.on_behalf_of = net::Endpoints{"192.0.2.7", 4711, "192.0.2.1", 110};
  for (const auto how : {LegacyService::Tls::none, LegacyService::Tls::starttls, LegacyService::Tls::implicit}) {
    options.service.tls = how;
    const net::SessionStarter open = [&options](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
      EXPECT_FALSE(co_await Client::open(std::move(connection), options));
    };
    net::ScriptedSession waiting(open);
    EXPECT_EQ(waiting.run().size(), 28U) << "the header does not wait for a greeting: the greeting waits for it";
    waiting.close();
  }
  options.service.tls = LegacyService::Tls::none;
  played = play("+OK\r\n+OK\r\n+OK\r\n", options);
  EXPECT_EQ(to_hex(played.says.substr(0, 28)), "0d0a0d0a000d0a515549540a2111000cc0000207c00002011267006e");
  EXPECT_EQ(played.says.substr(28), "USER ann\r\nPASS secret\r\n");
}

TEST(PopClient, WhoeverReceivesMayStop) {
  const auto acts = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    int pieces = 0;
    const auto got = co_await client.retrieve(1, [&pieces](std::string_view) -> net::Task<void> {
      ++pieces;
      co_return fail(Fault::refused, "enough", "STOP");
    });
    done.push_back(describe(got) + " after " + std::to_string(pieces));
    done.push_back(describe(co_await client.noop()));
  };
  const auto played = play(std::string(kIn) + "+OK\r\none\r\ntwo\r\n.\r\n+OK\r\n", plaintext(), acts);
  EXPECT_EQ(played.done, (std::vector<std::string>{"refused STOP after 1", "ok"}));
}

TEST(PopClient, DeletionsThatFailAreTold) {
  const auto acts = [](Client& client, std::vector<std::string>& done) -> net::asio::awaitable<void> {
    done.push_back(describe(co_await client.erase(1)));
    done.push_back(describe(co_await client.quit()));
    done.push_back(describe(co_await client.noop()));
  };
  const auto played = play(std::string(kIn) + "+OK\r\n-ERR some deleted messages not removed\r\n", plaintext(), acts);
  EXPECT_EQ(played.done, (std::vector<std::string>{"ok", "refused", "closed"}));
}

TEST(PopClient, GivesItsConnectionAwayWithWhatIsBuffered) {
  auto options = plaintext();
  options.capabilities = false;
  std::string left;
  const auto session = [&](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    auto client = (co_await Client::open(std::move(connection), options)).value();
    const auto mine = client->release();
    client.reset();
    left = std::string(mine->buffered());
    mine->queue("NOOP\r\n");
    EXPECT_TRUE(co_await mine->flush(net::in(net::kSoon)));
  };
  net::Script script;
  script.to_server = "+OK\r\n+OK\r\n+OK in\r\nmore";
  net::play(script, session);
  EXPECT_EQ(left, "more");
  EXPECT_EQ(script.from_server, "USER ann\r\nPASS secret\r\nNOOP\r\n");
}

// ---- over sockets

/// A server that says lines one at a time, TLS where a line says so.
net::SessionStarter server_of(std::vector<std::string> says, std::shared_ptr<net::TlsContext> tls) {
  return [says = std::move(says), tls = std::move(tls)](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    for (std::size_t i = 0; i < says.size(); ++i) {
      if (says[i] == "TLS") {
        if (!co_await connection->start_tls(*tls, net::in(net::kSoon))) co_return;
        continue;
      }
      connection->queue(says[i]);
      if (!co_await connection->flush(net::in(net::kSoon))) co_return;
      if (i + 1 < says.size() && says[i + 1] == "TLS") continue;
      while (!connection->buffered().contains('\n')) {
        if (!co_await connection->fill(net::in(net::kSoon), net::Awaiting::data)) co_return;
      }
      connection->consume(connection->buffered().find('\n') + 1);
    }
  };
}

class PopClientTls : public testing::Test {
 protected:
  std::string connect(std::vector<std::string> says, LegacyService::Tls how, bool verify = true,
                      std::shared_ptr<const net::TlsContext> context = {}) {
    net::TestServer server(server_of(std::move(says), net::TlsContext::server({{certificate.certificate(), certificate.key()}}).value()));
    net::LoopPool loops(1);
    loops.start();
    auto options = plaintext();
    options.plaintext_allowed = false;
    options.capabilities = false;
    options.addresses = {"127.0.0.1"};
    options.service = {.host = host, .port = server.port(), .tls = how, .verify = verify};
    options.tls = context ? context : trusting;
    return describe(net::run_on(loops.at(0), Client::connect(loops.at(0), options)));
  }

  std::string host = "pop.example.org";
  net::TestCertificate certificate{{"pop.example.org"}};
  std::shared_ptr<const net::TlsContext> trusting = net::TlsContext::client(certificate.certificate(), true).value();
};

TEST_F(PopClientTls, AsThePlatformIsConfigured) {
  EXPECT_EQ(connect({"+OK ready\r\n", "+OK begin\r\n", "TLS", "+OK\r\n", "+OK in\r\n"}, LegacyService::Tls::starttls), "ok");
  EXPECT_EQ(connect({"TLS", "+OK ready\r\n", "+OK\r\n", "+OK in\r\n"}, LegacyService::Tls::implicit), "ok");
  EXPECT_EQ(connect({"+OK ready\r\n", "-ERR what is STLS\r\n"}, LegacyService::Tls::starttls), "temporary");
}

TEST_F(PopClientTls, TheCertificateIsLookedAt) {
  host = "other.example.org";
  EXPECT_EQ(connect({"TLS", "+OK ready\r\n", "+OK\r\n", "+OK in\r\n"}, LegacyService::Tls::implicit), "temporary");
  EXPECT_EQ(connect({"TLS", "+OK ready\r\n", "+OK\r\n", "+OK in\r\n"}, LegacyService::Tls::implicit, false), "ok");
  host = "pop.example.org";
  EXPECT_EQ(connect({"TLS", "+OK ready\r\n", "+OK\r\n", "+OK in\r\n"}, LegacyService::Tls::implicit, true,
                    net::TlsContext::client("", true).value()),
            "temporary");
}

TEST(PopClientConnect, TriesEachAddress) {
  net::TestServer server(server_of({"+OK ready\r\n", "+OK\r\n", "+OK in\r\n"}, {}));
  net::LoopPool loops(1);
  loops.start();
  auto options = plaintext();
  options.capabilities = false;
  options.service = {.host = "pop.example.org", .port = server.port()};
  options.addresses = {"127.99.99.99", "127.0.0.1"};
  EXPECT_EQ(describe(net::run_on(loops.at(0), Client::connect(loops.at(0), options))), "ok");
  options.addresses = {"127.99.99.99"};
  EXPECT_EQ(describe(net::run_on(loops.at(0), Client::connect(loops.at(0), options))), "temporary");
}

TEST(PopClientConnect, SilenceIsATemporaryFailure) {
  const auto silent = [](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    static_cast<void>(co_await connection->fill(net::in(net::kSoon), net::Awaiting::data));
  };
  net::TestServer server(silent);
  net::LoopPool loops(1);
  loops.start();
  auto options = plaintext();
  options.service = {.host = "127.0.0.1", .port = server.port()};
  options.reply_limit = std::chrono::milliseconds(1);
  const auto client = net::run_on(loops.at(0), Client::connect(loops.at(0), options));
  ASSERT_FALSE(client);
  EXPECT_EQ(client.error().fault, Fault::temporary);
  EXPECT_EQ(client.error().detail, "no answer in time");
}

// Each octet is in time, and the last one never comes.
TEST(PopClientConnect, ALoginThatDripsEnds) {
  const auto drips = [](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    connection->queue("+OK ready\r\n+OK\r\n+OK in\r\n+OK\r\n");
    while (co_await connection->flush(net::in(net::kSoon))) connection->queue("X\r\n");
  };
  net::TestServer server(drips);
  net::LoopPool loops(1);
  loops.start();
  auto options = plaintext();
  options.service = {.host = "127.0.0.1", .port = server.port()};
  options.reply_limit = std::chrono::hours(1);
  options.login_limit = std::chrono::milliseconds(100);
  EXPECT_EQ(describe(net::run_on(loops.at(0), Client::connect(loops.at(0), options))), "temporary");
}

TEST(PopClientConnect, TheLimitOfTheLoginIsNotTheSessions) {
  const auto until_quit = [](std::unique_ptr<net::Connection> connection) -> net::asio::awaitable<void> {
    connection->queue("+OK ready\r\n+OK\r\n+OK in\r\n");
    if (!co_await connection->flush(net::in(net::kSoon))) co_return;
    while (!connection->buffered().contains("QUIT")) {
      if (!co_await connection->fill(net::in(net::kSoon), net::Awaiting::data)) co_return;
      if (!connection->buffered().ends_with("NOOP\r\n")) continue;
      connection->queue("+OK\r\n");
      if (!co_await connection->flush(net::in(net::kSoon))) co_return;
    }
    static_cast<void>(co_await connection->fill(net::in(net::kSoon), net::Awaiting::data));  // QUIT is never answered
  };
  net::TestServer server(until_quit);
  net::LoopPool loops(1);
  loops.start();
  auto options = plaintext();
  options.capabilities = false;
  options.service = {.host = "127.0.0.1", .port = server.port()};
  options.reply_limit = std::chrono::hours(1);
  options.quit_limit = std::chrono::milliseconds(1);
  auto client = net::run_on(loops.at(0), Client::connect(loops.at(0), options));
  ASSERT_TRUE(client) << client.error().detail;
  EXPECT_EQ(describe(net::run_on(loops.at(0), (*client)->noop())), "ok");
  EXPECT_EQ(describe(net::run_on(loops.at(0), (*client)->quit())), "closed timeout");
}

}  // namespace
}  // namespace relais::pop
