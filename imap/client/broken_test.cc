// A conversation octet by octet, and broken off at every octet: nothing is taken for done that the server has not said.
#include "imap/client/testing.h"

#include <gtest/gtest.h>

namespace relais::imap {
namespace {

using net::asio::awaitable;

// A session with everything in it: a literal that is waited for, a large one that comes in pieces, a message that goes out.
const std::string kHears =
    "* OK ready\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN IDLE\r\nr1 OK\r\n+ \r\nr2 OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] in\r\n"
    "* LIST () \"/\" {3}\r\na/b\r\nr3 OK\r\n"
    "* 1 EXISTS\r\n* OK [UIDVALIDITY 5] v\r\nr4 OK [READ-WRITE] x\r\n"
    "* 1 FETCH (UID 7 BODY[] {12}\r\nabcdefghijkl FLAGS (\\Seen))\r\nr5 OK\r\n"
    "+ send\r\nr6 OK [APPENDUID 5 8] x\r\n"
    "+ idling\r\n* 2 EXISTS\r\nr7 OK\r\n* BYE bye\r\nr8 OK\r\n";
const std::string kSays =
    "r1 CAPABILITY\r\nr2 AUTHENTICATE PLAIN\r\nAHUAcA==\r\nr3 LIST \"\" \"*\"\r\nr4 SELECT \"a/b\"\r\nr5 UID FETCH 7 (BODY.PEEK[])\r\n"
    "r6 APPEND \"a/b\" {3}\r\nxyz\r\nr7 IDLE\r\nDONE\r\nr8 LOGOUT\r\n";
const std::string kResult = "list a/b|select 5|large abcdefghijkl|appended 8|idled|";

struct Played {
  std::string result;
  std::string says;
  std::size_t steps = 0;
};

Played play(std::size_t chunk, std::size_t fail_at) {
  net::Script script;
  script.to_server = kHears;
  script.chunk = chunk;
  script.fail_at = fail_at;
  auto options = testing::options_for();
  options.limits.inlined = 8;
  Played played;
  played.result = testing::talk(script, options, [](Client& client) -> awaitable<std::string> {
    std::string out;
    const auto ended = [&](const Error& error) { return out + "no: " + testing::word_for(error) + (client.usable() ? " usable" : ""); };
    const auto list = co_await client.list("", "*", "", "");
    if (!list) co_return ended(list.error());
    out += "list " + list->mailboxes.at(0).name.wire + "|";
    const auto selected = co_await client.select({.wire_name = "a/b", .examine = false});
    if (!selected) co_return ended(selected.error());
    out += "select " + std::to_string(selected->uid_validity) + "|";
    testing::Keeper keeper;
    const auto fetched = co_await client.uid_fetch(NumberSet({7, 7}), "(BODY.PEEK[])", "", keeper);
    if (!fetched) co_return ended(fetched.error());
    out += "large " + keeper.large.at(0) + "|";
    std::vector<Client::AppendPiece> messages(1);
    messages[0].size = 3;
    messages[0].read = []() -> net::Task<std::string_view> { co_return "xyz"; };
    const auto appended = co_await client.append("a/b", std::move(messages));
    if (!appended) co_return ended(appended.error());
    out += "appended " + appended->uids.to_string() + "|";
    const auto idled = co_await client.idle(net::in(std::chrono::hours(1)));
    if (!idled) co_return ended(idled.error());
    out += "idled|";
    co_await client.logout();
    co_return out;
  });
  played.says = script.from_server;
  played.steps = script.ops;
  return played;
}

TEST(ClientBroken, HoweverTheOctetsAreCut) {
  for (const std::size_t chunk : {1U, 2U, 7U, 100'000U}) {
    const auto whole = play(chunk, net::Script::kNever);
    EXPECT_EQ(whole.result, kResult);
    EXPECT_EQ(whole.says, kSays);
  }
}

TEST(ClientBroken, AtEveryOctet) {
  const auto whole = play(1, net::Script::kNever);
  for (std::size_t at = 0; at < whole.steps; ++at) {
    SCOPED_TRACE(at);
    const auto broken = play(1, at);
    EXPECT_TRUE(kSays.starts_with(broken.says)) << broken.says;
    if (broken.result == kResult) {
      EXPECT_TRUE(broken.says.contains("DONE\r\n"));  // it broke within the goodbye
      continue;
    }
    const auto end = broken.result.find("no: ");
    ASSERT_NE(end, std::string::npos) << broken.result;
    EXPECT_TRUE(kResult.starts_with(broken.result.substr(0, end))) << broken.result;
    const auto how = broken.result.substr(end);
    const bool logged_in = end > 0 || broken.says.contains("r3 ");
    EXPECT_TRUE(how == "no: closed" || (how == "no: temporary" && !logged_in)) << broken.result;
  }
}

}  // namespace
}  // namespace relais::imap
