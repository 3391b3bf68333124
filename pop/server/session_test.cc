// Sessions over scripted connections, against a store in memory: transcripts, each again octet by octet and with the transport broken at
// every step; and what a transcript cannot say.
#include "base/encode.h"
#include "directory/digest.h"
#include "directory/test_support.h"
#include "net/memory_stream.h"
#include "pop/server/server.h"
#include "storage/engine/memory_engine.h"
#include "storage/model/sharded_store.h"

#include <gsasl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace relais::pop {
namespace {

using storage::AccountRef;

struct Mail {
  std::string octets;
  std::string uidl{};
};

/// One directory for all tests of the program: making accounts takes a while.
directory::TestDirectory& the_directory() {
  static directory::TestDirectory d{{.default_domain = "example.org"}};
  static const bool filled = [] {
    return d.run(d->add_domain("example.org")) && d.run(d->add_account("ann@example.org", "secret", 0)) &&
           d.run(d->add_account("bob@example.org", "secret", 0));
  }();
  if (!filled) std::abort();
  return d;
}

const std::vector<Mail>& three_messages() {
  static const std::vector<Mail> mail{
      {"From: a@example.org\r\nSubject: one\r\n\r\nHello\r\n.dot\r\n..\r\nlast\r\n"},
      {"Subject: two\r\n\r\nno end"},
      {"Subject: three\r\n\r\n.x\r\n...\r\n", "legacy-3"},
  };
  return mail;
}

/// A store with ann's mail, and a server over it.
class Platform {
 public:
  explicit Platform(const std::vector<Mail>& mail, Options options = {}, Services services = {}) {
    auto engine = storage::make_memory_engine();
    engine_ = engine.get();
    std::vector<std::unique_ptr<storage::Engine>> engines;
    engines.push_back(std::move(engine));
    store_ = std::make_unique<storage::ShardedStore>(std::move(engines), nullptr);
    ann_ = {storage::AccountId{directory().run(directory()->find("ann@example.org")).value()->number}, 0};
    EXPECT_TRUE(run(store_->create(ann_, "INBOX", storage::kUseNone, 1'234)));
    std::vector<storage::AppendMessage> messages;
    for (const auto& m : mail) {
      auto prepared = run(store_->prepare(m.octets));
      EXPECT_TRUE(prepared);
      storage::AppendMessage append;
      append.message = *prepared;
      append.uidl = m.uidl;
      messages.push_back(std::move(append));
    }
    if (!messages.empty()) EXPECT_TRUE(run(store_->append(ann_, "INBOX", std::move(messages), false, "")));
    services.directory = &*directory();
    services.store = store_.get();
    server_ = std::make_shared<Server>(services, options);
  }

  static directory::TestDirectory& directory() { return the_directory(); }
  template <class T>
  static T run(net::asio::awaitable<T> call) {
    return directory().run(std::move(call));
  }
  storage::Store& store() { return *store_; }
  storage::MemoryEngine& engine() { return *engine_; }
  Server& server() { return *server_; }
  net::SessionStarter starter() { return session_starter(server_); }
  AccountRef ann() const { return ann_; }
  storage::MailboxView inbox() { return run(store_->open(ann_, "INBOX", false)).value(); }
  std::string uids() { return inbox().uids.to_string(); }
  std::uint32_t unseen() { return inbox().info.unseen; }

 private:
  storage::MemoryEngine* engine_ = nullptr;
  std::unique_ptr<storage::ShardedStore> store_;
  std::shared_ptr<Server> server_;
  AccountRef ann_;
};

Options plaintext() {
  Options options;
  options.allow_plaintext = true;
  return options;
}

constexpr std::string_view kLogin = "USER ann\r\nPASS secret\r\n";

// ---- transcripts

struct Transcript {
  std::string client;
  std::string server;
  Options options = plaintext();
};

/// \xHH and \{n} (n letters) in C lines.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text.substr(i).starts_with("\\x")) {
      out += from_hex(text.substr(i + 2, 2)).value();
      i += 3;
    } else if (text.substr(i).starts_with("\\{")) {
      const auto end = text.find('}', i);
      out.append(std::stoul(std::string(text.substr(i + 2, end - i - 2))), 'x');
      i = end;
    } else {
      out += text[i];
    }
  }
  return out;
}

Transcript load(const std::filesystem::path& path) {
  std::ifstream in(path);
  Transcript script;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("C: "))
      script.client += unescape(line.substr(3)) + "\r\n";
    else if (line.starts_with("S: "))
      script.server += line.substr(3) + "\r\n";
    else if (line == "@no-plaintext")
      script.options.allow_plaintext = false;
    else
      EXPECT_TRUE(line.empty() || line.starts_with("#")) << path << ": " << line;
  }
  return script;
}

std::vector<std::filesystem::path> transcripts() {
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::directory_iterator(RELAIS_SOURCE_DIR "/tests/pop/transcripts")) paths.push_back(entry.path());
  std::ranges::sort(paths);
  return paths;
}

class PopTranscript : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(PopTranscript, SaysWhatItShould) {
  const auto script = load(GetParam());
  Platform whole(three_messages(), script.options);
  net::Script played{.to_server = script.client};
  const auto steps = net::play(played, whole.starter());
  EXPECT_EQ(played.from_server, script.server);
  const auto after = whole.uids();

  Platform bitwise(three_messages(), script.options);
  net::Script octets{.to_server = script.client, .chunk = 1};
  net::play(octets, bitwise.starter());
  EXPECT_EQ(octets.from_server, script.server);
  EXPECT_EQ(bitwise.uids(), after);

  for (std::size_t i = 0; i < steps; ++i) {
    SCOPED_TRACE(i);
    Platform unlucky(three_messages(), script.options);
    net::Script broken{.to_server = script.client, .fail_at = i};
    net::play(broken, unlucky.starter());
    EXPECT_TRUE(script.server.starts_with(broken.from_server));
    EXPECT_LE(broken.ops, i + 1);
    const auto left = unlucky.uids();
    EXPECT_TRUE(left == "1:3" || left == after) << "deletions are all or none: " << left;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, PopTranscript, testing::ValuesIn(transcripts()),
                         [](const auto& info) { return info.param.stem().string(); });

// ---- what a transcript cannot say

TEST(PopSession, QuitRemovesAndMarksAsSeen) {
  Platform platform(three_messages(), plaintext());
  net::Script script{.to_server = std::string(kLogin) + "RETR 1\r\nRETR 2\r\nDELE 2\r\nTOP 3 1\r\nQUIT\r\n"};
  net::play(script, platform.starter());
  EXPECT_EQ(platform.uids(), "1,3");
  EXPECT_EQ(platform.unseen(), 1U);
}

TEST(PopSession, MarkingAsSeenIsAnOption) {
  auto options = plaintext();
  options.mark_seen = false;
  Platform platform(three_messages(), options);
  net::Script script{.to_server = std::string(kLogin) + "RETR 1\r\nQUIT\r\n"};
  net::play(script, platform.starter());
  EXPECT_EQ(platform.unseen(), 3U);
}

TEST(PopSession, WithoutQuitNothingChanges) {
  Platform platform(three_messages(), plaintext());
  net::Script script{.to_server = std::string(kLogin) + "RETR 1\r\nDELE 1\r\n"};
  net::play(script, platform.starter());
  EXPECT_EQ(platform.uids(), "1:3");
  EXPECT_EQ(platform.unseen(), 3U);
}

/// Logs in step by step; the password check runs on another thread.
std::string log_in(net::ScriptedSession& session, std::string_view user = "ann") {
  std::string got = session.run();
  got += session.send("USER " + std::string(user) + "\r\nPASS secret\r\n");
  if (!got.contains("octets)") && !got.contains("[")) got += session.run_until("\r\n");
  return got;
}

TEST(PopSession, AFailedCommitRemovesNothingAndSaysSo) {
  Platform platform(three_messages(), plaintext());
  net::ScriptedSession session(platform.starter());
  log_in(session);
  session.send("DELE 1\r\nDELE 3\r\n");
  platform.engine().arm(storage::MemoryFault::full, 1);
  EXPECT_EQ(session.send("QUIT\r\n"), "-ERR [SYS/TEMP] deleted messages not removed\r\n");
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(platform.uids(), "1:3");
}

TEST(PopSession, OneSessionAnAccount) {
  Platform platform(three_messages(), plaintext());
  {
    net::ScriptedSession first(platform.starter());
    EXPECT_TRUE(log_in(first).contains("+OK maildrop has 3"));
    net::ScriptedSession second(platform.starter());
    EXPECT_TRUE(log_in(second).contains("-ERR [IN-USE]"));
    net::ScriptedSession other(platform.starter());
    EXPECT_TRUE(log_in(other, "bob").contains("+OK maildrop has 0"));
    first.send("QUIT\r\n");
    EXPECT_TRUE(log_in(second).contains("+OK maildrop has 3")) << "the session may try again";
    second.close();
    EXPECT_TRUE(second.ended());
  }
  net::ScriptedSession third(platform.starter());
  EXPECT_TRUE(log_in(third).contains("+OK maildrop has 3"));
}

TEST(PopSession, SharedMaildropsAreAnOption) {
  auto options = plaintext();
  options.exclusive = false;
  Platform platform(three_messages(), options);
  net::ScriptedSession first(platform.starter());
  EXPECT_TRUE(log_in(first).contains("+OK maildrop has 3"));
  net::ScriptedSession second(platform.starter());
  EXPECT_TRUE(log_in(second).contains("+OK maildrop has 3"));
}

TEST(PopSession, MessagesRemovedByOthersAreMissedWithAReason) {
  Platform platform(three_messages(), plaintext());
  net::ScriptedSession session(platform.starter());
  log_in(session);
  NumberSet gone;
  gone.add(2);
  ASSERT_TRUE(platform.run(platform.store().expunge(platform.ann(), platform.inbox().info.id, gone, true)));
  EXPECT_EQ(session.send("STAT\r\n"), "+OK 3 109\r\n") << "numbers stay as they were at the login";
  EXPECT_EQ(session.send("UIDL\r\n"), "+OK\r\n1 4d2.1\r\n2 4d2.2\r\n3 legacy-3\r\n.\r\n");
  EXPECT_EQ(session.send("RETR 2\r\n"), "-ERR the message is gone: another client removed it\r\n");
  EXPECT_TRUE(session.send("RETR 3\r\n").starts_with("+OK 27 octets\r\n"));
  EXPECT_EQ(session.send("DELE 2\r\nDELE 3\r\nQUIT\r\n"), "+OK marked\r\n+OK marked\r\n+OK goodbye\r\n");
  EXPECT_EQ(platform.uids(), "1");
}

TEST(PopSession, MessagesThatComeMeanwhileAreForTheNextSession) {
  Platform platform(three_messages(), plaintext());
  net::ScriptedSession session(platform.starter());
  log_in(session);
  storage::AppendMessage append;
  append.message = platform.run(platform.store().prepare("Subject: four\r\n\r\n")).value();
  std::vector<storage::AppendMessage> messages;
  messages.push_back(append);
  ASSERT_TRUE(platform.run(platform.store().append(platform.ann(), "INBOX", std::move(messages), false, "")));
  EXPECT_EQ(session.send("STAT\r\nRETR 4\r\n"), "+OK 3 109\r\n-ERR no such message\r\n");
}

/// Takes the text of a multi-line reply off the front, unstuffed.
std::string take_multiline(std::string& wire) {
  const auto status_end = wire.find("\r\n") + 2;
  EXPECT_TRUE(wire.starts_with("+OK")) << wire.substr(0, 100);
  std::string body;
  auto at = status_end;
  for (;;) {
    const auto end = wire.find("\r\n", at);
    if (end == std::string::npos) {
      ADD_FAILURE() << "no end";
      wire.clear();
      return body;
    }
    auto line = std::string_view(wire).substr(at, end - at);
    at = end + 2;
    if (line == ".") break;
    if (line.starts_with('.')) line.remove_prefix(1);
    body.append(line).append("\r\n");
  }
  wire.erase(0, at);
  return body;
}

std::string body_of(std::size_t octets, char seed) {
  std::string out("Subject: large\r\n\r\n");
  std::size_t n = 0;
  while (out.size() < octets) {
    out.append(n % 7 == 0 ? "." : "")
        .append(std::string(n % 90, static_cast<char>('a' + (seed + static_cast<char>(n % 20)) % 26)))
        .append("\r\n");
    ++n;
  }
  return out;
}

TEST(PopSession, EverythingComesBackOctetByOctet) {
  std::vector<Mail> mail;
  for (std::size_t i = 0; i < 120; ++i) mail.push_back({body_of(i * 173, static_cast<char>(i))});
  mail.push_back({body_of(3'000'000, 1)});
  mail.push_back({body_of(256 * 1024 + 1, 2)});
  mail.push_back({body_of(700, 3)});
  Platform platform(mail, plaintext());
  std::string commands(kLogin);
  for (std::size_t i = 1; i <= mail.size(); ++i) commands += "RETR " + std::to_string(i) + "\r\n";
  commands += "TOP 121 3\r\nTOP 121 40000\r\nRETR 5\r\nQUIT\r\n";
  for (const std::size_t chunk : {net::Script::kNever, std::size_t{1'000}}) {
    Platform again(mail, plaintext());
    net::Script script{.to_server = commands, .chunk = chunk};
    net::play(script, again.starter());
    auto wire = script.from_server;
    for (int i = 0; i < 3; ++i) wire.erase(0, wire.find("\r\n") + 2);
    for (const auto& m : mail) ASSERT_EQ(take_multiline(wire), m.octets);
    const auto top = take_multiline(wire);
    EXPECT_TRUE(mail[120].octets.starts_with(top));
    EXPECT_EQ(std::ranges::count(top, '\n'), 2 + 3);
    EXPECT_EQ(std::ranges::count(take_multiline(wire), '\n'), 2 + 40'000);
    EXPECT_EQ(take_multiline(wire), mail[4].octets);
    EXPECT_EQ(wire, "+OK goodbye\r\n");
    EXPECT_EQ(again.server().prefetched(), 0U) << "what was read ahead is given back";
  }
}

TEST(PopSession, AboveThePrefetchAccountEachMessageIsReadAlone) {
  auto options = plaintext();
  options.prefetch_total = 0;
  Platform platform(three_messages(), options);
  net::Script script{.to_server = std::string(kLogin) + "RETR 1\r\nRETR 2\r\nRETR 3\r\nQUIT\r\n"};
  net::play(script, platform.starter());
  EXPECT_TRUE(script.from_server.ends_with("+OK goodbye\r\n"));
  EXPECT_EQ(platform.server().prefetched(), 0U);
}

TEST(PopSession, ScramWithGnuSasl) {
  Platform platform(three_messages());
  net::ScriptedSession session(platform.starter());
  session.run();
  Gsasl* context = nullptr;
  Gsasl_session* client = nullptr;
  ASSERT_EQ(gsasl_init(&context), GSASL_OK);
  ASSERT_EQ(gsasl_client_start(context, "SCRAM-SHA-256", &client), GSASL_OK);
  gsasl_property_set(client, GSASL_AUTHID, "ann");
  gsasl_property_set(client, GSASL_PASSWORD, "secret");
  const auto answer = [&](std::string_view challenge) {
    char* out = nullptr;
    std::size_t size = 0;
    const int rc = gsasl_step(client, challenge.data(), challenge.size(), &out, &size);
    EXPECT_TRUE(rc == GSASL_OK || rc == GSASL_NEEDS_MORE) << gsasl_strerror(rc);
    auto text = to_base64(std::string_view(out, size));
    gsasl_free(out);
    return text;
  };
  const auto challenge_of = [](std::string_view reply) {
    EXPECT_TRUE(reply.starts_with("+ ")) << reply;
    return from_base64(reply.substr(2, reply.size() - 4)).value_or("");
  };
  auto reply = session.send("AUTH SCRAM-SHA-256 " + answer("") + "\r\n");
  reply = session.send(answer(challenge_of(reply)) + "\r\n");
  // The server's signature comes as one more challenge; the client checks it and answers with an empty line.
  reply = session.send(answer(challenge_of(reply)) + "\r\n");
  EXPECT_EQ(reply, "+OK maildrop has 3 messages (109 octets)\r\n");
  gsasl_finish(client);
  gsasl_done(context);
}

TEST(PopSession, LongSaslResponsesAreTakenAndEndlessOnesEnd) {
  Platform platform(three_messages(), plaintext());
  const std::string long_name(3'000, 'n');
  const std::string message = std::string(1, '\0') + long_name + std::string(1, '\0') + "x";
  net::Script script{.to_server = "AUTH PLAIN\r\n" + to_base64(message) + "\r\nAUTH PLAIN\r\n" + std::string(13'000, 'A') +
                                  "\r\nAUTH PLAIN\r\n" + std::string(100'000, 'A')};
  net::play(script, platform.starter());
  EXPECT_EQ(script.from_server,
            "+OK Relais POP3 ready\r\n+ \r\n-ERR [AUTH] authentication failed\r\n+ \r\n-ERR line too long\r\n+ \r\n-ERR line too long\r\n");
}

TEST(PopSession, AnEndlessLineEndsTheSession) {
  Platform platform(three_messages(), plaintext());
  net::Script script{.to_server = std::string(10'000'000, 'x')};
  net::play(script, platform.starter());
  EXPECT_EQ(script.from_server, "+OK Relais POP3 ready\r\n-ERR line too long\r\n");
}

TEST(PopSession, AGracefulStopEndsItBetweenCommands) {
  Platform platform(three_messages(), plaintext());
  net::ScriptedSession session(platform.starter());
  log_in(session);
  session.send("DELE 1\r\n");
  session.loop().begin_shutdown();
  EXPECT_EQ(session.run(), "-ERR [SYS/TEMP] shutting down, come back soon\r\n");
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(platform.uids(), "1:3");
}

TEST(PopSession, AccountsThatLiveElsewhereAreTemporarilyRefused) {
  Platform platform(three_messages(), plaintext());
  auto& d = Platform::directory();
  ASSERT_TRUE(d.place("bob@example.org", directory::Placement{directory::Placement::Kind::moving, 0, "old", 1}));
  net::ScriptedSession session(platform.starter());
  EXPECT_TRUE(log_in(session, "bob").contains("-ERR [SYS/TEMP]"));
  ASSERT_TRUE(d.place("bob@example.org", directory::Placement{}));
}

TEST(PopSession, WrongPasswordsAreCountedForAddressAndAccount) {
  ManualClock clock;
  net::Throttle throttle(clock);
  Platform platform(three_messages(), plaintext(), Services{.throttle = &throttle});
  for (int i = 0; i < 3; ++i) {
    net::Script script{
        .to_server =
            "USER ann\r\nPASS wrong\r\nUSER Ann\r\nPASS wrong\r\nAUTH PLAIN AGFubgB3cm9uZw==\r\nAUTH PLAIN AGFubgB3cm9uZw==\r\nQUIT\r\n"};
    if (i == 2) {
      // Ten are free; from here on an answer waits.
      EXPECT_EQ(throttle.delay("198.51.100.1", "ann@example.org"), std::chrono::milliseconds(0));
      script.to_server = "USER ann\r\nPASS wrong\r\nUSER ann\r\nPASS wrong\r\nQUIT\r\n";
    }
    net::play(script, platform.starter());
    EXPECT_TRUE(script.from_server.ends_with("+OK goodbye\r\n"));
  }
  EXPECT_GT(throttle.delay("198.51.100.1", "ann@example.org"), std::chrono::milliseconds(0));
  EXPECT_GT(throttle.delay("192.0.2.1", "somebody"), std::chrono::milliseconds(0));
  EXPECT_EQ(throttle.delay("198.51.100.1", "somebody"), std::chrono::milliseconds(0));
}

TEST(PopSession, AStopEndsTheWaitAfterWrongPasswords) {
  ManualClock clock;
  net::Throttle throttle(clock);
  for (int i = 0; i < 20; ++i) throttle.failed("198.51.100.1", "ann@example.org");
  Platform platform(three_messages(), plaintext(), Services{.throttle = &throttle});
  for (const auto* login : {"PASS secret\r\n", "AUTH PLAIN AGFubgBzZWNyZXQ=\r\n"}) {
    net::ScriptedSession guesser(platform.starter());
    guesser.run();
    guesser.send("USER ANN\r\n");
    EXPECT_EQ(guesser.send(login), "") << "thirty seconds are due, for a right password too";
    EXPECT_FALSE(guesser.ended());
    guesser.loop().begin_shutdown();
    EXPECT_EQ(guesser.run(), "-ERR [SYS/TEMP] shutting down, come back soon\r\n");
    EXPECT_TRUE(guesser.ended());
  }
}

// An octet every ten milliseconds, four seconds' worth of them: the deadline is that of the whole line.
TEST(PopSession, ALineThatDripsInIsOutOfTimeAllTheSame) {
  auto options = plaintext();
  options.login_limit = std::chrono::seconds(1);
  Platform platform(three_messages(), options);
  net::ScriptedSession slow(platform.starter());
  slow.run();
  auto next = std::chrono::steady_clock::now();
  std::size_t sent = 0;
  while (!slow.ended() && sent < 400) {
    if (std::chrono::steady_clock::now() < next) {
      slow.run();
      continue;
    }
    EXPECT_EQ(slow.send("x"), "");
    ++sent;
    next += std::chrono::milliseconds(10);
  }
  EXPECT_LT(sent, 400U);
}

TEST(PopSession, ManyMessagesAreListedInPieces) {
  std::vector<Mail> mail(10'000, Mail{"Subject: x\r\n\r\n"});
  for (std::size_t i = 0; i < 4'500; ++i) mail[i].uidl = "old-" + std::to_string(i + 1);
  Platform platform(mail, plaintext());
  net::Script script{.to_server = std::string(kLogin) + "LIST\r\nUIDL\r\nDELE 1\r\nUIDL\r\nQUIT\r\n"};
  net::play(script, platform.starter());
  EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(script.from_server, '\n')), 3 + 10'002 + 10'002 + 1 + 10'001 + 1U);
  EXPECT_TRUE(script.from_server.contains("\r\n10000 4d2.2710\r\n"));
  EXPECT_TRUE(script.from_server.contains("\r\n4500 old-4500\r\n4501 4d2.1195\r\n"));
  EXPECT_EQ(platform.uids(), "2:10000");
}

TEST(PopSession, AnEmptyMaildrop) {
  Platform platform({}, plaintext());
  net::Script script{.to_server = std::string(kLogin) + "STAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nQUIT\r\n"};
  net::play(script, platform.starter());
  EXPECT_EQ(script.from_server,
            "+OK Relais POP3 ready\r\n+OK send PASS\r\n+OK maildrop has 0 messages (0 octets)\r\n+OK 0 0\r\n+OK 0 "
            "messages\r\n.\r\n+OK\r\n.\r\n-ERR no such message\r\n+OK goodbye\r\n");
}

}  // namespace
}  // namespace relais::pop
