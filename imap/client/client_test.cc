// What each command says, and what becomes of the answers.
#include "imap/client/client.h"

#include "imap/client/session.h"
#include "imap/client/testing.h"
#include "net/memory_stream.h"
#include "net/test_support.h"

#include <gtest/gtest.h>

namespace relais::imap {
namespace {

using net::asio::awaitable;
using testing::talk;
using testing::word_for;

template <class T>
std::string done(const Result<T>& result) {
  return result ? "ok" : word_for(result.error());
}

TEST(Client, LiteralsAreAnnouncedAsTheServerTakesThem) {
  struct Row {
    std::string capabilities;
    std::string name;
    std::string hears;
    std::string says;
  };
  const std::string long_name(5000, 'x');
  const std::vector<Row> rows{
      {"", "a b\"\\", "r2 OK\r\n", "r2 EXAMINE \"a b\\\"\\\\\"\r\n"},
      {"", "caf\xc3\xa9", "+ go\r\nr2 OK\r\n", "r2 EXAMINE {5}\r\ncaf\xc3\xa9\r\n"},
      {"LITERAL+", "caf\xc3\xa9", "r2 OK\r\n", "r2 EXAMINE {5+}\r\ncaf\xc3\xa9\r\n"},
      {"LITERAL-", "caf\xc3\xa9", "r2 OK\r\n", "r2 EXAMINE {5+}\r\ncaf\xc3\xa9\r\n"},
      {"LITERAL-", long_name, "+\r\nr2 OK\r\n", "r2 EXAMINE {5000}\r\n" + long_name + "\r\n"},
      {"LITERAL+", long_name, "r2 OK\r\n", "r2 EXAMINE {5000+}\r\n" + long_name + "\r\n"},
      {"", "two\r\nlines", "* OK wait\r\n+ go\r\nr2 OK\r\n", "r2 EXAMINE {10}\r\ntwo\r\nlines\r\n"},
      // Refused before the literal was asked for: it is not sent.
      {"", "caf\xc3\xa9", "r2 NO [CANNOT] not here\r\n", "r2 EXAMINE {5}\r\n"},
      {"LITERAL+", std::string("a\0b", 3), "", ""},
  };
  for (const auto& row : rows) {
    const auto talked = talk(row.capabilities, row.hears, [&](Client& client) -> awaitable<std::string> {
      co_return done(co_await client.select({.wire_name = row.name}));
    });
    EXPECT_EQ(talked.said, row.says);
    EXPECT_EQ(talked.result, row.hears.contains("NO") || row.hears.empty() ? "refused CANNOT" : "ok") << row.says;
  }
}

TEST(Client, Select) {
  const auto talked = talk("CONDSTORE QRESYNC",
                           "* OK [CLOSED] old one\r\n"
                           "* FLAGS (\\Seen $Forwarded)\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] flags\r\n* 3 EXISTS\r\n* 1 RECENT\r\n"
                           "* OK [UIDVALIDITY 77] v\r\n* OK [UIDNEXT 4294967295] n\r\n* OK [HIGHESTMODSEQ 90060115205545359] m\r\n"
                           "* OK [MAILBOXID (F2212ea87)] id\r\n* VANISHED (EARLIER) 1:2,9\r\n"
                           "* 2 FETCH (UID 5 FLAGS (\\Seen) MODSEQ (12))\r\nr2 OK [READ-WRITE] done\r\n",
                           [](Client& client) -> awaitable<std::string> {
                             ClientSelect what{.wire_name = "INBOX", .examine = false};
                             what.qresync = ClientSelect::Qresync{77, 11, *NumberSet::parse("1:9")};
                             const auto found = co_await client.select(what);
                             if (!found) co_return word_for(found.error());
                             co_return std::to_string(found->exists) + " " + std::to_string(found->uid_validity) + " " +
                                 std::to_string(found->uid_next) + " " + std::to_string(found->highest_mod_seq.value_or(0)) + " " +
                                 found->mailbox_id + " " + found->vanished.to_string() + " " + std::to_string(found->changed.size()) + " " +
                                 found->permanent_flags.at(1) + " " + found->flags.at(1) + (found->read_only ? " ro" : " rw");
                           });
  EXPECT_EQ(talked.result, "3 77 4294967295 90060115205545359 F2212ea87 1:2,9 1 \\* $Forwarded rw");
  EXPECT_EQ(talked.said, "r2 SELECT \"INBOX\" (QRESYNC (77 11 1:9))\r\n");
}

TEST(Client, WhatCameBeforeClosedWasTheOldMailbox) {
  const auto talked = talk("", "* 9 EXISTS\r\n* VANISHED 4\r\n* OK [CLOSED] x\r\n* 1 EXISTS\r\n* OK [NOMODSEQ] x\r\nr2 OK [READ-ONLY]\r\n",
                           [](Client& client) -> awaitable<std::string> {
                             const auto found = co_await client.select({.wire_name = "a", .condstore = true});
                             co_return std::to_string(found->exists) + found->vanished.to_string() + (found->highest_mod_seq ? "m" : "");
                           });
  EXPECT_EQ(talked.result, "1");
  EXPECT_EQ(talked.said, "r2 EXAMINE \"a\" (CONDSTORE)\r\n");
}

TEST(Client, ListStatusLsubNamespace) {
  const auto talked = talk("LIST-STATUS",
                           "* LIST (\\HasNoChildren \\Sent) \".\" INBOX.Sent\r\n* STATUS INBOX.Sent (MESSAGES 3 UIDNEXT 9)\r\n"
                           "* LIST (\\Noselect) \".\" {7}\r\nB&AOk-r\r\nr2 OK\r\n"
                           "* LSUB () NIL x\r\nr3 OK\r\n* STATUS \"x\" (MESSAGES 1)\r\nr4 OK\r\nr5 OK nothing told\r\n"
                           "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL\r\nr6 OK\r\n* ENABLED CONDSTORE\r\n* ENABLED QRESYNC\r\nr7 OK\r\n* ID "
                           "(\"name\" \"x\")\r\nr8 OK\r\n",
                           [](Client& client) -> awaitable<std::string> {
                             std::string out;
                             const auto list = co_await client.list("", "*", "SUBSCRIBED", "MESSAGES UIDNEXT");
                             for (const auto& one : list->mailboxes) out += one.name.utf8.value_or("?") + "|";
                             out +=
                                 std::to_string(list->status.size()) + std::to_string(list->status.at(0).get("UIDNEXT").value_or(0)) + "|";
                             const auto subscribed = co_await client.lsub("", "*");
                             out += subscribed->at(0).name.wire + "|";
                             out += std::to_string((co_await client.status("x", "MESSAGES"))->get("MESSAGES").value_or(0)) + "|";
                             out += client.round_trip().count() > 0 ? "measured|" : "|";
                             out += word_for((co_await client.status("x", "MESSAGES")).error()) + "|";
                             out += (co_await client.namespaces())->personal.at(0).prefix + "|";
                             const auto on = co_await client.enable({"QRESYNC", "X"});
                             out += on->at(0) + on->at(1) + "|";
                             const auto id = co_await client.id({{"name", "us"}, {"os", std::nullopt}});
                             out += id->at(0).first + "=" + id->at(0).second.value_or("");
                             co_return out;
                           });
  EXPECT_EQ(talked.result, "INBOX.Sent|B\xc3\xa9r|19|x|1|measured|refused NONEXISTENT|INBOX.|CONDSTOREQRESYNC|name=x");
  EXPECT_EQ(talked.said,
            "r2 LIST \"\" \"*\" RETURN (SUBSCRIBED STATUS (MESSAGES UIDNEXT))\r\nr3 LSUB \"\" \"*\"\r\nr4 STATUS \"x\" (MESSAGES)\r\n"
            "r5 STATUS \"x\" (MESSAGES)\r\nr6 NAMESPACE\r\nr7 ENABLE QRESYNC X\r\nr8 ID (\"name\" \"us\" \"os\" NIL)\r\n");
}

TEST(Client, SearchStoreExpunge) {
  struct Row {
    std::string capabilities;
    std::string hears;
    std::string says;
    std::string result;
  };
  const std::vector<Row> rows{
      {"UIDPLUS", "* SEARCH 4 2\r\n* SEARCH 9\r\nr2 OK\r\nr3 OK [MODIFIED 7,9] x\r\nr4 OK\r\n",
       "r2 UID SEARCH ALL\r\nr3 UID STORE 1:3,7 (UNCHANGEDSINCE 5) +FLAGS (\\Seen)\r\nr4 UID EXPUNGE 1:3,7\r\n", "2,4,9|7,9|ok"},
      {"ESEARCH", "* ESEARCH (TAG \"r2\") UID ALL 2:4\r\nr2 OK\r\nr3 NO [LIMIT] x\r\n",
       "r2 UID SEARCH RETURN (ALL) ALL\r\nr3 UID STORE 1:3,7 (UNCHANGEDSINCE 5) +FLAGS (\\Seen)\r\n", "2:4|refused LIMIT|refused CANNOT"},
      {"", "* SEARCH\r\nr2 OK\r\nr3 BAD what\r\n", "r2 UID SEARCH ALL\r\nr3 UID STORE 1:3,7 (UNCHANGEDSINCE 5) +FLAGS (\\Seen)\r\n",
       "|refused BAD|refused CANNOT"},
      {"", "r2 NO [UNAVAILABLE] x\r\nr3 NO [INUSE] x\r\n", "r2 UID SEARCH ALL\r\nr3 UID STORE 1:3,7 (UNCHANGEDSINCE 5) +FLAGS (\\Seen)\r\n",
       "temporary UNAVAILABLE|temporary INUSE|refused CANNOT"},
  };
  for (const auto& row : rows) {
    const auto talked = talk(row.capabilities, row.hears, [](Client& client) -> awaitable<std::string> {
      const auto some = *NumberSet::parse("1:3,7");
      const auto found = co_await client.uid_search("ALL");
      auto out = found ? found->to_string() : word_for(found.error());
      const auto modified = co_await client.uid_store(some, "(UNCHANGEDSINCE 5) +FLAGS (\\Seen)");
      out += "|" + (modified ? modified->to_string() : word_for(modified.error()));
      co_return out + "|" + done(co_await client.uid_expunge(some));
    });
    EXPECT_EQ(talked.result, row.result);
    EXPECT_EQ(talked.said, row.says);
  }
}

TEST(Client, AnswersWithAPartMissingAreNone) {
  struct Row {
    const char* what;
    std::string hears;
    std::string result;
  };
  const std::string list = "* LIST () \"/\" a\r\n";
  const std::string select = "* 1 EXISTS\r\n* OK [UIDVALIDITY 5] x\r\n";
  const std::string good_search = "* SEARCH 1\r\n";
  const std::string bad = "* SEARCH 2 x\r\n* LIST (\r\n* 2 FETCH (\r\n* VANISHED (EARLIER) x\r\n";
  const std::vector<Row> rows{
      {"list", list, "ok"},
      {"list", list + bad, "temporary garbage"},
      {"lsub", bad + list, "temporary garbage"},
      {"select", select, "ok"},
      {"select", select + bad, "temporary garbage"},
      {"search", good_search, "ok"},
      {"search", "* SEARCH\r\n", "ok"},
      {"search", good_search + bad, "temporary garbage"},
      {"search", "* 3 EXISTS\r\n", "temporary garbage"},
      {"search", "", "temporary garbage"},
  };
  for (const auto& row : rows) {
    const auto talked = talk("", row.hears + "r2 OK\r\nr3 OK\r\n", [&](Client& client) -> awaitable<std::string> {
      const std::string_view what = row.what;
      std::string result;
      if (what == "list") result = done(co_await client.list("", "*", "", ""));
      if (what == "lsub") result = done(co_await client.lsub("", "*"));
      if (what == "select") result = done(co_await client.select({.wire_name = "a"}));
      if (what == "search") result = done(co_await client.uid_search("ALL"));
      co_return result + " " + done(co_await client.noop());  // the session goes on
    });
    EXPECT_EQ(talked.result, row.result + " ok") << row.what << ": " << row.hears;
  }
}

TEST(Client, LongSetsMakeSeveralCommands) {
  NumberSet odd;
  for (std::uint32_t n = 1'000'001; n < 1'004'000; n += 2) odd.add(n);
  const auto talked = talk("", "* 1 FETCH (UID 1000001)\r\nr2 OK\r\nr3 OK\r\n* 2 FETCH (UID 1003999)\r\nr4 OK\r\n",
                           [&](Client& client) -> awaitable<std::string> {
                             testing::Keeper keeper;
                             const auto fetched = co_await client.uid_fetch(odd, "(UID)", "", keeper);
                             co_return done(fetched) + " " + keeper.text;
                           });
  EXPECT_EQ(talked.result, "ok 1 uid 1000001\n2 uid 1003999\n");
  for (std::size_t begin = 0; begin < talked.said.size();) {
    const auto end = talked.said.find("\r\n", begin);
    EXPECT_LT(end - begin, 8192U);  // RFC 7162 §4
    begin = end + 2;
  }
}

TEST(Client, Append) {
  struct Row {
    std::string capabilities;
    std::string hears;
    std::string says;
    std::string result;
  };
  const std::string arguments = "(\\Seen $x) \" 5-Jan-2024 10:00:00 +0130\" ";
  const std::vector<Row> rows{
      {"", "+\r\nr2 OK [APPENDUID 7 3] x\r\n+\r\nr3 OK\r\n",
       "r2 APPEND \"a\" " + arguments + "{5}\r\nhello\r\nr3 APPEND \"a\" {2}\r\nxy\r\n", "7 3"},
      {"LITERAL+ MULTIAPPEND BINARY", "r2 OK [APPENDUID 7 3:4] x\r\n", "r2 APPEND \"a\" " + arguments + "{5+}\r\nhello {2+}\r\nxy\r\n",
       "7 3:4"},
      {"MULTIAPPEND", "+\r\n+\r\nr2 OK [APPENDUID 7 3,9] x\r\n", "r2 APPEND \"a\" " + arguments + "{5}\r\nhello {2}\r\nxy\r\n", "7 3,9"},
      {"MULTIAPPEND", "r2 NO [TRYCREATE] x\r\n", "r2 APPEND \"a\" " + arguments + "{5}\r\n", "refused TRYCREATE"},
      {"MULTIAPPEND", "+\r\nr2 NO [OVERQUOTA] x\r\n", "r2 APPEND \"a\" " + arguments + "{5}\r\nhello {2}\r\n", "refused OVERQUOTA"},
      {"", "+\r\nr2 NO [OVERQUOTA] x\r\n", "r2 APPEND \"a\" " + arguments + "{5}\r\nhello\r\n", "refused OVERQUOTA"},
      {"LITERAL+ MULTIAPPEND", "r2 OK [APPENDUID nonsense] x\r\n", "r2 APPEND \"a\" " + arguments + "{5+}\r\nhello {2+}\r\nxy\r\n", "0 "},
  };
  for (const auto& row : rows) {
    const auto talked = talk(row.capabilities, row.hears, [](Client& client) -> awaitable<std::string> {
      std::vector<std::string_view> first{"hel", "lo", ""};
      std::vector<std::string_view> second{"xy", ""};
      const auto reader = [](std::vector<std::string_view>& pieces) {
        return [&pieces, next = std::size_t{0}]() mutable -> net::Task<std::string_view> {
          const auto piece = pieces[next++];
          return [](std::string_view given) -> net::Task<std::string_view> { co_return given; }(piece);
        };
      };
      std::vector<Client::AppendPiece> messages(2);
      messages[0] = {{"\\Seen", "$x"}, DateTime{1704443400, 90}, 5, false, reader(first)};
      messages[1].size = 2;
      messages[1].read = reader(second);
      const auto appended = co_await client.append("a", std::move(messages));
      if (!appended) co_return word_for(appended.error());
      co_return std::to_string(appended->uid_validity) + " " + appended->uids.to_string();
    });
    EXPECT_EQ(talked.result, row.result);
    EXPECT_EQ(talked.said, row.says);
  }
}

TEST(Client, ASlowServerMayTakeALargePieceAtItsPace) {
  constexpr std::size_t kCapacity = 64 * 1024;
  const std::string piece(64 * kCapacity, 'x');
  net::LoopPool loops(1);
  loops.start();
  auto session = [&]() -> awaitable<std::string> {
    auto pair = net::memory_pair(kCapacity);
    auto options = testing::options_for();
    options.timeouts.write = std::chrono::seconds(1);  // for the whole piece it would not be enough
    Client::Impl client(std::make_unique<net::Connection>(loops.at(0), std::move(pair.first), net::Endpoints{}), std::move(options));
    net::Connection server(loops.at(0), std::move(pair.second), {});
    std::size_t taken = 0;
    bool taking = true;
    auto take = [&]() -> awaitable<void> {
      while (taken < piece.size() && co_await server.fill(net::in(net::kSoon), net::Awaiting::data)) {
        taken += server.buffered().size();
        server.consume(server.buffered().size());
        static_cast<void>(co_await server.pause(std::chrono::milliseconds(20)));
      }
      taking = false;
    };
    std::string sent;
    auto send = [&]() -> awaitable<void> {
      Client::AppendPiece message;
      message.size = piece.size();
      message.read = [&piece]() -> net::Task<std::string_view> { co_return piece; };
      sent = done(co_await client.send_content(message));
      if (sent != "ok") server.close();
    };
    net::asio::co_spawn(loops.at(0).context(), take(), net::asio::detached);
    co_await send();
    while (taking) co_await net::asio::post(loops.at(0).context(), net::asio::use_awaitable);
    co_return sent + " " + (taken == piece.size() ? "all" : "not all");
  };
  EXPECT_EQ(net::run_on(loops.at(0), session()), "ok all");
}

TEST(Client, AMessageThatIsNotAsLongAsSaidEndsTheSession) {
  for (const std::uint64_t size : {4U, 9U}) {
    const auto talked = talk("LITERAL+", "r2 OK\r\nr3 OK\r\n", [&](Client& client) -> awaitable<std::string> {
      std::vector<Client::AppendPiece> messages(1);
      messages[0].size = size;
      messages[0].read = [given = false]() mutable -> net::Task<std::string_view> {
        return [](bool first) -> net::Task<std::string_view> { co_return first ? "hello" : ""; }(!std::exchange(given, true));
      };
      const auto appended = co_await client.append("a", std::move(messages));
      co_return done(appended) + (client.usable() ? " usable" : " gone") + " " + done(co_await client.noop());
    });
    EXPECT_EQ(talked.result, "corrupt gone closed") << size;
  }
}

TEST(Client, CommandsAndPipelines) {
  const auto talked = talk(
      "",
      "* X-THING 1\r\nr2 OK [X y] z\r\n* STATUS a (MESSAGES 1)\r\nr3 OK\r\nr4 NO [NONEXISTENT] x\r\n* STATUS c (MESSAGES 3)\r\nr5 OK\r\n",
      [](Client& client) -> awaitable<std::string> {
        std::string out;
        const auto note = [&out](std::string text) -> net::Task<void> {
          out += text;
          co_return Result<void>{};
        };
        const auto reply = co_await client.command("X-DO", [&](Response response) { return note(response.as<std::string>() + "|"); });
        out += reply->text.code->arguments + "|";
        const auto replies = co_await client.pipeline({"STATUS a", "STATUS b", "STATUS c"}, [&](std::size_t i, Response response) {
          return note(std::to_string(i) + response.as<MailboxStatus>().name.wire + "|");
        });
        for (const auto& one : *replies) out += one.status == ClientReply::Status::ok ? "ok" : "no";
        co_return out;
      });
  EXPECT_EQ(talked.result, "X-THING 1|y|0a|2c|oknook");
  EXPECT_EQ(talked.said, "r2 X-DO\r\nr3 STATUS a\r\nr4 STATUS b\r\nr5 STATUS c\r\n");
}

TEST(Client, ManyPipelinedCommandsAreSentInWindows) {
  std::string hears;
  std::vector<std::string> texts;
  for (int i = 0; i < 1000; ++i) {
    hears += "r" + std::to_string(i + 2) + " OK\r\n";
    texts.push_back("NOOP " + std::to_string(i));
  }
  const auto talked = talk("", hears, [&](Client& client) -> awaitable<std::string> {
    const auto replies = co_await client.pipeline(texts, {});
    co_return replies ? std::to_string(replies->size()) : word_for(replies.error());
  });
  EXPECT_EQ(talked.result, "1000");
}

TEST(Client, Idle) {
  const auto talked =
      talk("IDLE", "+ idling\r\n* OK Still here\r\n* 4 EXISTS\r\nr2 OK\r\nr3 NO no\r\n", [](Client& client) -> awaitable<std::string> {
        std::string heard;
        client.listen([&heard](const Response& response) {
          if (response.kind == Response::Kind::exists) heard = std::to_string(response.as<std::uint32_t>());
        });
        const auto idled = co_await client.idle(net::in(std::chrono::hours(1)));
        co_return done(idled) + " " + heard + " " + done(co_await client.idle(net::in(std::chrono::hours(1))));
      });
  EXPECT_EQ(talked.result, "ok 4 refused");
  EXPECT_EQ(talked.said, "r2 IDLE\r\nDONE\r\nr3 IDLE\r\n");
}

TEST(Client, IdleEndsWhenAskedAndAtTheDeadline) {
  std::unique_ptr<Client> client;
  std::string result;
  auto options = testing::options_for();
  const net::SessionStarter run = [&](std::unique_ptr<net::Connection> connection) -> awaitable<void> {
    auto opened = co_await Client::open(std::move(connection), options);
    client = std::move(*opened);
    result = done(co_await client->idle(net::in(std::chrono::hours(1))));
    result += done(co_await client->idle(std::chrono::steady_clock::now()));  // over before it begins: nothing is said
    client->stop_idle();                                                      // nothing to end
    result += done(co_await client->noop());
    client.reset();
  };
  net::ScriptedSession session(run);
  EXPECT_EQ(session.send(testing::welcome("IDLE")), testing::kLoginLine + "r2 IDLE\r\n");
  EXPECT_EQ(session.send("+ idling\r\n"), "");
  client->stop_idle();
  EXPECT_EQ(session.run(), "DONE\r\n");
  EXPECT_EQ(session.send("r2 OK\r\n"), "r3 NOOP\r\n");
  session.send("r3 OK\r\n");
  EXPECT_TRUE(session.ended());
  EXPECT_EQ(result, "okokok");
}

TEST(Client, IdleIsNotEndedWithinALiteral) {
  net::Script script;
  script.to_server = "+ idling\r\n* 1 FETCH (BODY[] {100000}\r\nabc";
  script.end = false;
  auto options = testing::options_for();
  options.timeouts.command = std::chrono::milliseconds(100);
  std::string result;
  net::play(script, [&](std::unique_ptr<net::Connection> connection) -> awaitable<void> {
    Client::Impl session(std::move(connection), ClientOptions(options));
    bool heard = false;
    // The end has come already when the literal begins, and its octets do not.
    result = done(co_await session.idle_once(std::chrono::steady_clock::now(), heard)) + (session.gone ? " gone" : "");
  });
  EXPECT_EQ(result, "closed timeout gone");
  EXPECT_EQ(script.from_server, "r1 IDLE\r\n");  // no DONE: its answer would be taken for the message
}

TEST(Client, TheDeadlineEndsAnIdleToo) {
  net::Script script;
  script.to_server = testing::welcome("IDLE") + "+ idling\r\n";
  script.end = false;
  const auto result = testing::talk(script, testing::options_for(), [](Client& client) -> awaitable<std::string> {
    client.set_deadline(std::chrono::steady_clock::now() + std::chrono::milliseconds(20));
    co_return done(co_await client.idle(net::in(std::chrono::minutes(2))));
  });
  EXPECT_EQ(result, "closed timeout");
}

TEST(Client, UnselectWithoutUnselect) {
  const auto talked =
      talk("", "r2 NO [NONEXISTENT] x\r\n", [](Client& client) -> awaitable<std::string> { co_return done(co_await client.unselect()); });
  EXPECT_EQ(talked.result, "ok");
  EXPECT_TRUE(talked.said.starts_with("r2 EXAMINE \"none-")) << talked.said;
}

TEST(Client, LogoutAndRelease) {
  const auto talked = talk("", "* BYE bye\r\nr2 OK\r\n", [](Client& client) -> awaitable<std::string> {
    co_await client.logout();
    co_return client.usable() ? "usable" : "gone " + done(co_await client.noop());
  });
  EXPECT_EQ(talked.result, "gone closed");
  EXPECT_EQ(talked.said, "r2 LOGOUT\r\n");
  const auto released = talk("", "r2 OK\r\n* 3 EXISTS\r\n", [](Client& client) -> awaitable<std::string> {
    static_cast<void>(co_await client.noop());
    const auto connection = client.release();
    while (!connection->buffered().ends_with("\n") && co_await connection->fill(net::in(std::chrono::seconds(30)), net::Awaiting::data)) {
    }
    co_return std::string(connection->buffered());
  });
  EXPECT_EQ(released.result, "* 3 EXISTS\r\n");
}

TEST(Client, ResponsesThatMakeNoSenseArePassedOverWhereTheyCanBe) {
  struct Row {
    std::string hears;
    std::string result;
  };
  std::string flood;
  for (int i = 0; i < 1100; ++i) flood += "* 1 FETCH (FLAGS\r\n";
  const std::vector<Row> rows{
      {"* 1 FETCH (FLAGS\r\n* STATUS\r\n\r\nr2 OK\r\n", "ok 3"},
      {flood + "r2 OK\r\n", "closed garbage 1001"},
      {"garbage\r\nr2 OK\r\n", "closed garbage 0"},
      {"r2 WHAT\r\nr2 OK\r\n", "closed garbage 0"},
      {"r1 OK again\r\nr2 OK\r\n", "closed garbage 0"},
      {"r2 PREAUTH x\r\n", "closed garbage 0"},
      {"* BYE [UNAVAILABLE] later\r\nr2 OK\r\n", "closed UNAVAILABLE 0"},
      {"* BYE later\r\n", "closed bye 0"},
      {"* 1 FETCH (BODY[] {99999999999999999999}\r\n", "closed garbage 0"},
      {"", "closed 0"},
  };
  for (const auto& row : rows) {
    const auto talked = talk("", row.hears, [](Client& client) -> awaitable<std::string> {
      const auto result = done(co_await client.noop());
      co_return result + " " + std::to_string(client.garbled());
    });
    EXPECT_EQ(talked.result, row.result) << row.hears.substr(0, 60);
  }
}

}  // namespace
}  // namespace relais::imap
