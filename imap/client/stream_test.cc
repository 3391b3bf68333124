// Large literals: handed on in pieces, never held, dropped where nobody wants them.
#include "imap/client/testing.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace relais::imap {
namespace {

using net::asio::awaitable;
using testing::Keeper;
using testing::word_for;

struct Streamed {
  std::string result;
  std::string text;
  std::vector<std::string> large;
  std::size_t largest_piece = 0;
  std::string after;  ///< of a NOOP behind it
};

Streamed stream(std::string_view hears, std::size_t inlined, std::size_t chunk, const std::function<void(Keeper&)>& prepare = {}) {
  net::Script script;
  script.to_server = testing::welcome("").append(hears);
  script.chunk = chunk;
  auto options = testing::options_for();
  options.limits.inlined = inlined;
  Streamed streamed;
  testing::talk(script, options, [&](Client& client) -> awaitable<std::string> {
    Keeper keeper;
    if (prepare) prepare(keeper);
    const auto fetched = co_await client.fetch(false, "1:*", "(UID BODY.PEEK[])", "", keeper);
    streamed.result = fetched ? "ok" : word_for(fetched.error());
    streamed.text = keeper.text;
    streamed.large = keeper.large;
    streamed.largest_piece = keeper.largest_piece;
    const auto noop = co_await client.noop();
    streamed.after = noop ? "ok" : word_for(noop.error());
    co_return "";
  });
  return streamed;
}

TEST(ClientStream, SmallAndLargeLiterals) {
  const std::string hears =
      "* 1 FETCH (UID 5 BODY[] {4}\r\nabcd)\r\n"
      "* 2 FETCH (BODY[] {9}\r\n12345\r\n)( UID 6 FLAGS (\\Seen))\r\n"
      "* 3 FETCH (UID 7 BODY[HEADER] {6}\r\nheader BODY[TEXT] {7}\r\nthetext)\r\n"
      "* 4 FETCH (UID 8 BODY[] NIL)\r\n"
      "* 5 FETCH ((UID 9 BODY[] {5}\r\n{9}\r\n))\r\n"
      "* 6 FETCH (UID 10 BODY[] {0}\r\n)\r\nr2 OK\r\nr3 OK\r\n";
  const std::string text =
      "1 uid 5 BODY[]=abcd\nbegin 2 uid 0 BODY[] 9\n2 uid 6 flags \\Seen BODY[]=large\n"
      "begin 3 uid 7 BODY[HEADER] 6\nbegin 3 uid 7 BODY[TEXT] 7\n3 uid 7 BODY[HEADER]=large BODY[TEXT]=large\n"
      "4 uid 8 BODY[]=NIL\nbegin 5 uid 9 BODY[] 5\n5 uid 9 BODY[]=large\n6 uid 10 BODY[]=\n";
  for (const std::size_t chunk : {1U, 3U, 1000U}) {
    const auto streamed = stream(hears, 4, chunk);
    EXPECT_EQ(streamed.result, "ok");
    EXPECT_EQ(streamed.text, text);
    EXPECT_EQ(streamed.large, (std::vector<std::string>{"12345\r\n)(", "header", "thetext", "{9}\r\n"}));
    EXPECT_EQ(streamed.after, "ok");
  }
}

TEST(ClientStream, AGiantMessageComesInPieces) {
  const std::size_t size = 70'000'000;
  std::string hears = "* 1 FETCH (UID 5 BODY[] {" + std::to_string(size) + "}\r\n";
  const auto begin = hears.size();
  hears.resize(begin + size);
  for (std::size_t i = 0; i < size; ++i) hears[begin + i] = static_cast<char>(i % 251);
  const auto expected = hears.substr(begin);
  const auto streamed = stream(hears + ")\r\nr2 OK\r\nr3 OK\r\n", ResponseLimits{}.inlined, net::Script::kNever);
  EXPECT_EQ(streamed.result, "ok");
  ASSERT_EQ(streamed.large.size(), 1U);
  EXPECT_TRUE(streamed.large[0] == expected);
  EXPECT_LE(streamed.largest_piece, net::Connection::kReadSize);
  EXPECT_EQ(streamed.after, "ok");
}

TEST(ClientStream, WhatTheReceiverDoesNotWantIsDroppedAndTheSessionGoesOn) {
  const std::string hears = "* 1 FETCH (UID 5 BODY[] {9}\r\n123456789)\r\n* 2 FETCH (UID 6 BODY[] {9}\r\n123456789)\r\nr2 OK\r\nr3 OK\r\n";
  const std::vector<std::pair<std::string, std::function<void(Keeper&)>>> rows{
      {"", [](Keeper& keeper) { keeper.fail_at_begin = true; }},
      {"begin 1 uid 5 BODY[] 9\n", [](Keeper& keeper) { keeper.fail_at_octets = true; }},
      {"begin 1 uid 5 BODY[] 9\n", [](Keeper& keeper) { keeper.fail_at_end = true; }},
  };
  for (const auto& [text, prepare] : rows) {
    for (const std::size_t chunk : {1U, 1000U}) {
      const auto streamed = stream(hears, 4, chunk, prepare);
      EXPECT_EQ(streamed.result, "temporary FULL");
      EXPECT_EQ(streamed.text, text);
      EXPECT_EQ(streamed.after, "ok");
    }
  }
}

TEST(ClientStream, LargeLiteralsOutOfPlace) {
  // In a FETCH that makes no sense, in another response, in the middle of an item: dropped, and what follows is understood.
  const std::string hears =
      "* 1 FETCH (FLAGS {9}\r\n123456789)\r\n* LIST () \"/\" {9}\r\n123456789\r\n* X {9}\r\n123456789 y\r\n"
      "* 2 FETCH (ENVELOPE (NIL {9}\r\n123456789 NIL) UID 6)\r\n* 3 FETCH (UID 7 BODY[] {9}\r\nabcdefghi)\r\nr2 OK\r\nr3 OK\r\n";
  const auto streamed = stream(hears, 4, 1);
  EXPECT_EQ(streamed.result, "ok");
  EXPECT_EQ(streamed.text, "2 uid 6\nbegin 3 uid 7 BODY[] 9\n3 uid 7 BODY[]=large\n");
  EXPECT_EQ(streamed.large, std::vector<std::string>{"abcdefghi"});
  EXPECT_EQ(streamed.after, "ok");
}

TEST(ClientStream, AnAnswerBeyondTheLimitsIsGarbage) {
  const std::vector<std::pair<std::string, std::string>> rows{
      {"enable", "* ENABLED A\r\n"}, {"list", "* LIST () \"/\" a\r\n"},   {"lsub", "* LSUB () \"/\" a\r\n"},
      {"search", "* SEARCH 7\r\n"},  {"select", "* 1 FETCH (UID 7)\r\n"}, {"select", "* VANISHED (EARLIER) 7\r\n"},
  };
  for (const auto& [what, response] : rows) {
    for (const std::size_t times : {5U, 50U}) {
      net::Script script;
      script.to_server = testing::welcome("");
      for (std::size_t i = 0; i < times; ++i) script.to_server += response;
      script.to_server += "r2 OK\r\n";
      auto options = testing::options_for();
      options.answer = 5'000;
      const auto result = testing::talk(script, options, [&](Client& client) -> awaitable<std::string> {
        const auto told = [](const auto& answer) { return answer ? "ok" : word_for(answer.error()); };
        if (what == "enable") co_return told(co_await client.enable({"A"}));
        if (what == "list") co_return told(co_await client.list("", "*", "", ""));
        if (what == "lsub") co_return told(co_await client.lsub("", "*"));
        if (what == "search") co_return told(co_await client.uid_search("ALL"));
        co_return told(co_await client.select({.wire_name = "a"}));
      });
      EXPECT_EQ(result, times == 5 ? "ok" : "closed garbage") << response;
    }
  }
}

TEST(ClientStream, AResponseBeyondTheLimitsIsGarbage) {
  net::Script script;
  script.to_server = testing::welcome("") + "* SEARCH " + std::string(2000, '1') + "\r\n";
  auto options = testing::options_for();
  options.limits.text = 1000;
  const auto result = testing::talk(script, options, [](Client& client) -> awaitable<std::string> {
    const auto found = co_await client.uid_search("ALL");
    co_return found ? "found" : word_for(found.error());
  });
  EXPECT_EQ(result, "closed garbage");
}

}  // namespace
}  // namespace relais::imap
