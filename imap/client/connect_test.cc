// Opening a session: logins in all ways, refusals and troubles, TLS, servers that hang, the client's address.
#include "base/encode.h"
#include "imap/client/session.h"
#include "imap/client/testing.h"
#include "net/proxy_header.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

namespace relais::imap {
namespace {

using net::asio::awaitable;
using testing::options_for;
using testing::word_for;
using Tls = directory::LegacyService::Tls;
using Way = ClientLogin::Way;

awaitable<std::string> describe(Client& client) {
  std::string out = "in";
  for (const auto& capability : client.capabilities()) out += " " + capability;
  co_return out;
}

struct Opened {
  std::string result;
  std::string said;
};
Opened open(std::string hears, const ClientOptions& options) {
  net::Script script;
  script.to_server = std::move(hears);
  Opened opened;
  opened.result = testing::talk(script, options, describe);
  opened.said = script.from_server;
  return opened;
}

std::string base64(std::string_view a, std::string_view b, std::string_view c) {
  return to_base64(std::string(a).append(1, '\0').append(b).append(1, '\0').append(c));
}

TEST(ClientLogin, AllWays) {
  struct Row {
    const char* what;
    ClientLogin login;
    std::string hears;
    std::string says;
    std::string result;
  };
  const std::string with_ir = "* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] x\r\n";
  const std::string without_ir = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN AUTH=LOGIN] x\r\n";
  const std::string old = "* OK [CAPABILITY IMAP4rev1] x\r\n";
  const ClientLogin plain{Way::plain, "u", "p"};
  const std::string latin1 = "p\xe9";
  const std::vector<Row> rows{
      {"initial response", plain, with_ir + "r1 OK [CAPABILITY A b] x\r\n", "r1 AUTHENTICATE PLAIN " + base64("", "u", "p") + "\r\n",
       "in A B"},
      {"capabilities untagged", plain, with_ir + "* CAPABILITY A\r\nr1 OK x\r\n", "r1 AUTHENTICATE PLAIN " + base64("", "u", "p") + "\r\n",
       "in A"},
      {"capabilities asked for", plain, with_ir + "r1 OK x\r\n* CAPABILITY C\r\nr2 OK\r\n",
       "r1 AUTHENTICATE PLAIN " + base64("", "u", "p") + "\r\nr2 CAPABILITY\r\n", "in C"},
      {"no initial response", plain, without_ir + "+ \r\nr1 OK [CAPABILITY A] x\r\n",
       "r1 AUTHENTICATE PLAIN\r\n" + base64("", "u", "p") + "\r\n", "in A"},
      {"asked again: cancelled", plain, with_ir + "+ more\r\nr1 BAD cancelled\r\n",
       "r1 AUTHENTICATE PLAIN " + base64("", "u", "p") + "\r\n*\r\n", "no: temporary BAD"},
      {"asked for ever", plain, with_ir + "+\r\n+\r\n+\r\n+\r\n", "r1 AUTHENTICATE PLAIN " + base64("", "u", "p") + "\r\n*\r\n",
       "no: temporary garbage"},
      {"LOGIN where that is all", plain, old + "r1 OK [CAPABILITY A] x\r\n", "r1 LOGIN \"u\" \"p\"\r\n", "in A"},
      {"LOGIN asked for",
       {Way::login, "u\"", "a\\b c"},
       with_ir + "r1 OK [CAPABILITY A] x\r\n",
       "r1 LOGIN \"u\\\"\" \"a\\\\b c\"\r\n",
       "in A"},
      {"no UTF-8: LOGIN by literal",
       {Way::plain, "u", latin1},
       with_ir + "+\r\nr1 OK [CAPABILITY A] x\r\n",
       "r1 LOGIN \"u\" {2}\r\n" + latin1 + "\r\n",
       "in A"},
      {"two literals",
       {Way::login, latin1, "a\r\nb"},
       old + "+\r\n+\r\nr1 OK [CAPABILITY A] x\r\n",
       "r1 LOGIN {2}\r\n" + latin1 + " {4}\r\na\r\nb\r\n",
       "in A"},
      {"refused before the password",
       {Way::login, latin1, "a\r\nb"},
       old + "r1 NO [AUTHENTICATIONFAILED] x\r\n",
       "r1 LOGIN {2}\r\n",
       "no: refused AUTHENTICATIONFAILED"},
      {"a NUL can't be right", {Way::plain, "u", std::string("a\0b", 3)}, with_ir, "", "no: refused AUTHENTICATIONFAILED"},
      {"proxied",
       {Way::proxied, "u", "mp", "master"},
       with_ir + "r1 OK [CAPABILITY A] x\r\n",
       "r1 AUTHENTICATE PLAIN " + base64("u", "master", "mp") + "\r\n",
       "in A"},
      {"proxied, not offered", {Way::proxied, "u", "mp", "master"}, old, "", "no: temporary CANNOT"},
      {"LOGINDISABLED", plain, "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] x\r\n", "", "no: temporary CANNOT"},
  };
  for (const auto& row : rows) {
    auto options = options_for();
    options.login = row.login;
    const auto opened = open(row.hears, options);
    EXPECT_EQ(opened.result, row.result) << row.what;
    EXPECT_EQ(opened.said, row.says) << row.what;
  }
}

TEST(ClientLogin, RefusedOrInTrouble) {
  const std::vector<std::pair<std::string, std::string>> rows{
      {"NO [AUTHENTICATIONFAILED] x", "refused AUTHENTICATIONFAILED"},
      {"NO [AUTHORIZATIONFAILED] x", "refused AUTHORIZATIONFAILED"},
      {"NO [EXPIRED] x", "refused EXPIRED"},
      {"NO Login failed.", "refused AUTHENTICATIONFAILED"},
      {"NO Login failed: authentication failure", "refused AUTHENTICATIONFAILED"},
      {"NO Login failed: generic failure", "temporary"},
      {"NO Temporary problem, please try again later", "temporary"},
      {"NO Too many connections", "temporary"},
      {"NO [UNAVAILABLE] Temporary authentication failure", "temporary UNAVAILABLE"},
      {"NO [LIMIT] x", "temporary LIMIT"},
      {"NO [ALERT] x", "temporary ALERT"},
      {"NO [PRIVACYREQUIRED] x", "temporary PRIVACYREQUIRED"},
      {"BAD [AUTHENTICATIONFAILED] x", "temporary AUTHENTICATIONFAILED"},
      {"BAD x", "temporary BAD"},
  };
  for (const auto& [answer, result] : rows) {
    EXPECT_EQ(open("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\n+\r\nr1 " + answer + "\r\n", options_for()).result, "no: " + result)
        << answer;
  }
}

TEST(ClientConnect, Greetings) {
  const std::vector<std::pair<std::string, std::string>> rows{
      {"* BYE [UNAVAILABLE] later\r\n", "no: temporary UNAVAILABLE"},
      {"* BYE go away\r\n", "no: temporary bye"},
      {"* PREAUTH welcome\r\n", "no: temporary PREAUTH"},
      {"220 smtp.test ESMTP\r\n", "no: temporary garbage"},
      {"+OK POP3\r\n", "no: temporary garbage"},
      {"\x16\x03\x01\r\n", "no: temporary garbage"},
      {"* NO x\r\n", "no: temporary garbage"},
      {"* 1 EXISTS\r\n", "no: temporary garbage"},
      {"a1 OK x\r\n", "no: temporary garbage"},
      {"", "no: temporary"},
      {"* OK x\r\nr1 OK no list\r\n", "no: temporary garbage"},
  };
  for (const auto& [hears, result] : rows) EXPECT_EQ(open(hears, options_for()).result, result) << hears;
}

TEST(ClientConnect, OnlyTheAnswerToTheLoginRefusesTheCredentials) {
  const std::string refusal = "NO [AUTHENTICATIONFAILED] x\r\n";
  EXPECT_EQ(open("* OK x\r\nr1 " + refusal, options_for()).result, "no: temporary AUTHENTICATIONFAILED");
  EXPECT_EQ(open("* OK [CAPABILITY AUTH=PLAIN SASL-IR] x\r\nr1 OK in\r\nr2 " + refusal, options_for()).result,
            "no: temporary AUTHENTICATIONFAILED");
}

TEST(ClientConnect, LittleIsReadBeforeTheLogin) {
  const std::string long_text(100'000, 'x');
  EXPECT_EQ(open("* OK " + long_text + "\r\n", options_for()).result, "no: temporary garbage");
  std::string words;
  for (int i = 0; i < 1'001; ++i) words += " A";
  EXPECT_EQ(open("* OK x\r\n* CAPABILITY" + words + "\r\nr1 OK\r\n", options_for()).result, "no: temporary garbage");
  net::Script script;
  script.to_server = testing::welcome("") + "* OK " + long_text + "\r\nr2 OK\r\n";
  const auto after = testing::talk(script, options_for(), [](Client& client) -> awaitable<std::string> {
    const auto noop = co_await client.noop();
    co_return noop ? "ok" : word_for(noop.error());
  });
  EXPECT_EQ(after, "ok");
}

TEST(ClientConnect, CapabilitiesAreAtoms) {
  const std::string before = "* OK [CAPABILITY AUTH=PLAIN SASL-IR] x\r\n";
  EXPECT_EQ(open(before + "r1 OK [CAPABILITY A b\x01 {3} RIGHTS=kxte c* d% LITERAL+ \xe9] x\r\n", options_for()).result,
            "in A RIGHTS=KXTE LITERAL+");
  EXPECT_EQ(open(before + "* CAPABILITY A b\x01 {3} C\r\nr1 OK x\r\n", options_for()).result, "in A C");
  std::string many;
  for (int i = 0; i < 5'000; ++i) many += " A";
  const auto capped = open(before + "r1 OK [CAPABILITY" + many + "] x\r\n", options_for()).result;
  EXPECT_EQ(capped.size(), std::string("in").size() + 2 * Response::kMaxWords);
}

TEST(ClientConnect, ThePasswordIsForgotten) {
  for (const std::string answer : {"OK [CAPABILITY A] in", "NO [AUTHENTICATIONFAILED] x"}) {
    net::Script script;
    script.to_server = "* OK [CAPABILITY SASL-IR AUTH=PLAIN] x\r\nr1 " + answer + "\r\n";
    net::play(script, [&](std::unique_ptr<net::Connection> connection) -> awaitable<void> {
      Client::Impl session(std::move(connection), options_for("u", "a long password that is no short string"));
      const auto begun = co_await session.begin(net::in(net::kSoon));
      EXPECT_EQ(begun.has_value(), answer.starts_with("OK"));
      EXPECT_EQ(session.options.login.password, "");
    });
    EXPECT_TRUE(script.from_server.starts_with("r1 AUTHENTICATE PLAIN AHUAYSBsb25n")) << script.from_server;
  }
}

TEST(ClientConnect, PasswordsAreNotSentWithoutTls) {
  auto options = options_for();
  options.plaintext_allowed = false;
  const auto opened = open(testing::welcome(""), options);
  EXPECT_EQ(opened.result, "no: temporary PRIVACYREQUIRED");
  EXPECT_EQ(opened.said, "");
}

TEST(ClientConnect, TellsWhoOurClientIs) {
  auto options = options_for();
  options.on_behalf_of = net::Endpoints{"192.0.2.7", 40000, "198.51.100.1", 993};
  options.session_id = "abc";
  const auto hears = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR ID] x\r\nr1 NO nobody trusts you\r\nr2 OK [CAPABILITY A] x\r\n";
  options.forward = directory::ForwardAddress::id;
  EXPECT_TRUE(open(hears, options)
                  .said.starts_with("r1 ID (\"x-session-id\" \"abc\" \"x-originating-ip\" \"192.0.2.7\" \"x-originating-port\" \"40000\" "
                                    "\"x-connected-ip\" \"198.51.100.1\" \"x-connected-port\" \"993\" \"x-proxy-ttl\" \"5\")\r\nr2 "));
  EXPECT_EQ(open(hears, options).result, "in A");
  EXPECT_TRUE(open(testing::welcome(""), options).said.starts_with("r1 AUTH")) << "no ID where it is not offered";
  options.forward = directory::ForwardAddress::proxy;
  EXPECT_EQ(open(testing::welcome(""), options).said, net::proxy_header(*options.on_behalf_of) + testing::kLoginLine);
}

/// A server on a socket that does what `serve` says.
struct Server {
  using Serve = std::function<awaitable<void>(net::Connection&)>;
  explicit Server(Serve serve)
      : serve_(std::move(serve)),
        server([this](std::unique_ptr<net::Connection> connection) -> awaitable<void> { co_await serve_(*connection); }) {}
  std::string open(ClientOptions options) {
    net::LoopPool loops(1);
    loops.start();
    options.service.port = server.port();
    options.addresses = {"127.0.0.1"};
    auto session = [&]() -> awaitable<std::string> {
      auto client = co_await Client::connect(loops.at(0), options);
      if (!client) co_return "no: " + word_for(client.error()) + " " + client.error().text;
      auto result = co_await describe(**client);
      if ((*client)->connection().tls() != nullptr) result += (*client)->connection().tls()->verified ? " verified" : " encrypted";
      co_return result;
    };
    return net::run_on(loops.at(0), session());
  }
  Serve serve_;
  net::TestServer server;
};

net::Task<std::string> line(net::Connection& connection) {
  while (!connection.buffered().contains('\n')) RELAIS_CO_TRY_VOID(co_await connection.fill(net::in(net::kSoon), net::Awaiting::data));
  const auto end = connection.buffered().find('\n') + 1;
  std::string out(connection.buffered().substr(0, end));
  connection.consume(end);
  co_return out;
}

awaitable<void> say(net::Connection& connection, std::string text) {
  connection.queue(text);
  static_cast<void>(co_await connection.flush(net::in(net::kSoon)));
}

/// Answers CAPABILITY, STARTTLS and the login.
awaitable<void> serve(net::Connection& connection, const net::TlsContext& tls, std::string capabilities, std::string injected) {
  while (auto command = co_await line(connection)) {
    const auto tag = command->substr(0, command->find(' '));
    const auto rest = command->substr(tag.size());
    if (rest.starts_with(" CAPABILITY")) {
      co_await say(connection, "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR " + capabilities + "\r\n" + tag + " OK\r\n");
    } else if (rest.starts_with(" STARTTLS")) {
      co_await say(connection, tag + " OK go\r\n" + injected);
      if (!co_await connection.start_tls(tls, net::in(net::kSoon))) co_return;
    } else {
      co_await say(connection, tag + " OK [CAPABILITY A] in\r\n");
    }
  }
}

TEST(ClientTls, StartTlsAndImplicitVerifiedOrNot) {
  const net::TestCertificate authority({"authority.test"});
  const net::TestCertificate certificate(authority, {"imap.test"});
  const auto server_tls = *net::TlsContext::server({{certificate.certificate(), certificate.key()}});
  const auto trusting = *net::TlsContext::client(authority.certificate(), true);
  const auto stranger = *net::TlsContext::client("", true);
  struct Row {
    const char* what;
    Tls tls;
    std::string capabilities;
    std::string injected;
    std::shared_ptr<const net::TlsContext> context;
    std::string host;
    bool verify;
    std::string result;
  };
  const std::vector<Row> rows{
      {"starttls", Tls::starttls, "STARTTLS", "", trusting, "imap.test", true, "in A verified"},
      {"what was injected before is not heard", Tls::starttls, "STARTTLS", "* CAPABILITY LOGINDISABLED\r\nr9 OK\r\n", trusting, "imap.test",
       true, "in A verified"},
      {"not offered", Tls::starttls, "", "", trusting, "imap.test", true, "no: temporary TLS the server does not offer STARTTLS"},
      {"other name", Tls::starttls, "STARTTLS", "", trusting, "other.test", true,
       "no: temporary TLS TLS failed: certificate-host-mismatch"},
      {"not trusted", Tls::starttls, "STARTTLS", "", stranger, "imap.test", true, "no: temporary TLS TLS failed: certificate-not-trusted"},
      {"not trusted, not verified", Tls::starttls, "STARTTLS", "", stranger, "imap.test", false, "in A encrypted"},
      {"no context", Tls::starttls, "STARTTLS", "", nullptr, "imap.test", true, "no: temporary TLS TLS cannot be had here"},
      {"implicit", Tls::implicit, "", "", trusting, "imap.test", true, "in A verified"},
      {"implicit, other name, not verified", Tls::implicit, "", "", trusting, "other.test", false, "in A encrypted"},
      {"implicit, other name", Tls::implicit, "", "", trusting, "other.test", true,
       "no: temporary TLS TLS failed: certificate-host-mismatch"},
  };
  for (const auto& row : rows) {
    Server server([&](net::Connection& connection) -> awaitable<void> {
      if (row.tls == Tls::implicit && !co_await connection.start_tls(*server_tls, net::in(net::kSoon))) co_return;
      co_await say(connection, "* OK ready\r\n");
      co_await serve(connection, *server_tls, row.capabilities, row.injected);
    });
    auto options = options_for();
    options.plaintext_allowed = false;
    options.service.host = row.host;
    options.service.tls = row.tls;
    options.service.verify = row.verify;
    options.tls = row.context;
    EXPECT_EQ(server.open(options), row.result) << row.what;
  }
}

TEST(ClientConnect, ServersThatHang) {
  // Silent from that many lines on: the greeting, the answer to CAPABILITY, to AUTHENTICATE.
  for (int answers = 0; answers < 3; ++answers) {
    Server server([answers](net::Connection& connection) -> awaitable<void> {
      if (answers > 0) co_await say(connection, "* OK ready\r\n");
      if (answers > 1) co_await say(connection, "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nr1 OK\r\n");
      static_cast<void>(co_await net::read_all(connection));
    });
    auto options = options_for();
    options.timeouts.greeting = options.timeouts.login = std::chrono::milliseconds(50);
    EXPECT_EQ(server.open(options), "no: temporary timeout the server does not answer") << answers;
  }
}

TEST(ClientConnect, ServersThatNeverComeToTheEnd) {
  // Always an octet within the limit of a step, but never an answer: to CAPABILITY, to LOGOUT.
  const auto chatter = [](net::Connection& connection) -> awaitable<void> {
    for (Result<void> sent{}; sent; sent = co_await connection.flush(net::in(net::kSoon))) connection.queue("* OK wait\r\n");
  };
  Server endless([&](net::Connection& connection) -> awaitable<void> { co_await chatter(connection); });
  auto options = options_for();
  options.timeouts.total = options.timeouts.goodbye = std::chrono::milliseconds(50);
  EXPECT_EQ(endless.open(options), "no: temporary timeout the server does not answer");

  Server lingering([&](net::Connection& connection) -> awaitable<void> {
    co_await say(connection, testing::welcome(""));
    static_cast<void>(co_await line(connection));
    static_cast<void>(co_await line(connection));
    co_await chatter(connection);
  });
  net::LoopPool loops(1);
  loops.start();
  options.timeouts.total = net::kSoon;
  options.addresses = {"127.0.0.1"};
  options.service.port = lingering.server.port();
  auto session = [&]() -> awaitable<std::string> {
    const auto client = co_await Client::connect(loops.at(0), options);
    co_await (*client)->logout();
    co_return (*client)->usable() ? "usable" : "gone";
  };
  EXPECT_EQ(net::run_on(loops.at(0), session()), "gone");
}

TEST(ClientConnect, TriesAllAddresses) {
  Server server([](net::Connection& connection) -> awaitable<void> {
    co_await say(connection, testing::welcome(""));
    static_cast<void>(co_await net::read_all(connection));
  });
  net::LoopPool loops(1);
  loops.start();
  auto options = options_for();
  options.service.port = server.server.port();
  auto session = [&]() -> awaitable<std::string> {
    options.addresses = {"127.0.0.2", "127.0.0.1"};
    const auto second = co_await Client::connect(loops.at(0), options);
    options.addresses = {"127.0.0.2"};
    const auto none = co_await Client::connect(loops.at(0), options);
    options.addresses = {};
    const auto name = co_await Client::connect(loops.at(0), options);
    co_return std::string(second ? "in" : "no") + " " + word_for(none.error()) + " " + word_for(name.error());
  };
  EXPECT_EQ(net::run_on(loops.at(0), session()), "in temporary temporary");
}

TEST(ClientConnect, DeadlineAndAbortEndACommand) {
  Server server([](net::Connection& connection) -> awaitable<void> {
    co_await say(connection, testing::welcome(""));
    static_cast<void>(co_await net::read_all(connection));
  });
  net::LoopPool loops(1);
  loops.start();
  auto options = options_for();
  options.service.port = server.server.port();
  options.addresses = {"127.0.0.1"};
  auto session = [&]() -> awaitable<std::string> {
    const auto first = co_await Client::connect(loops.at(0), options);
    (*first)->set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    const auto late = co_await (*first)->noop();
    const auto second = co_await Client::connect(loops.at(0), options);
    net::asio::post(loops.at(0).context(), [&second] { (*second)->abort(); });
    const auto aborted = co_await (*second)->noop();
    co_return word_for(late.error()) + " " + word_for(aborted.error()) + ((*second)->usable() ? " usable" : "");
  };
  EXPECT_EQ(net::run_on(loops.at(0), session()), "closed timeout closed");
}

}  // namespace
}  // namespace relais::imap
