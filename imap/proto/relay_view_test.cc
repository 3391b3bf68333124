// What a relayed session has come to, whatever was cut where.
#include "imap/proto/relay_view.h"

#include <gtest/gtest.h>

#include "imap/proto/relay_testing.h"

namespace relais::imap {
namespace {

using testing::RelayWire;

RelayWire wire() { return RelayWire(RelayView({"IMAP4rev1", "IDLE"})); }

struct Line {
  bool from_client;
  std::string_view octets;
  std::string_view passed;  ///< to the other side
  std::string_view back{};  ///< to the side that it came from
};

struct Case {
  std::string_view name;
  std::vector<Line> lines;
  std::uint64_t outstanding = 0;
  bool boundary = true;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"commands pass", {{true, "a NOOP\r\nb NOOP\r\n", "a NOOP\r\nb NOOP\r\n"}, {false, "a OK\r\n", "a OK\r\n"}}, 1, false},
      {"untagged lines end no command", {{true, "a NOOP\r\n", "a NOOP\r\n"}, {false, "* 3 EXISTS\r\n", "* 3 EXISTS\r\n"}}, 1, false},
      {"a line in the middle is no boundary", {{false, "* 3 EXI", "* 3 EXI"}}, 0, false},
      {"an empty line is no command", {{true, "\r\n\n", "\r\n\n"}}},
      {"untagged list", {{false, "* CAPABILITY IMAP4rev1 STARTTLS X\r\n* 1 EXISTS\r\n", "* CAPABILITY IMAP4rev1 IDLE\r\n* 1 EXISTS\r\n"}}},
      {"list as a code",
       {{true, "a ENABLE X\r\n", "a ENABLE X\r\n"},
        {false, "a ok [Capability COMPRESS=DEFLATE] done\r\n", "a ok [CAPABILITY IMAP4rev1 IDLE] done\r\n"}}},
      {"untagged list as a code", {{false, "* OK [CAPABILITY X] now\r\n", "* OK [CAPABILITY IMAP4rev1 IDLE] now\r\n"}}},
      {"other codes stay", {{false, "* OK [ALERT] x\r\n* BYE [CAP\r\n", "* OK [ALERT] x\r\n* BYE [CAP\r\n"}}},
      {"a message is no list",
       {{false, "* 1 FETCH (BODY[] {30}\r\n* CAPABILITY X\r\n* CAPABILITY Y)\r\n",
         "* 1 FETCH (BODY[] {30}\r\n* CAPABILITY X\r\n* CAPABILITY Y)\r\n"}}},
      {"a message's octets are no replies",
       {{true, "a FETCH 1 BODY[]\r\n", "a FETCH 1 BODY[]\r\n"},
        {false, "* 1 FETCH (BODY[] {6}\r\na OK\r\n {2}\r\n\r\n)\r\n", "* 1 FETCH (BODY[] {6}\r\na OK\r\n {2}\r\n\r\n)\r\n"}},
       1,
       false},
      {"what a status says is no literal",
       {{true, "a NOOP\r\n", "a NOOP\r\n"}, {false, "* OK see {3}\r\na OK done {99}\r\n", "* OK see {3}\r\na OK done {99}\r\n"}}},
      {"a literal waits for the server",
       {{true, "a APPEND x {4}\r\nb NO\r\n", "a APPEND x {4}\r\n"},
        {false, "+ go\r\n", "+ go\r\n", "b NO\r\n"},
        {false, "a OK\r\n", "a OK\r\n"}},
       0,
       true},
      {"an empty literal waits too",
       {{true, "a X {0}\r\n y\r\n", "a X {0}\r\n"}, {false, "+ \r\n", "+ \r\n", " y\r\n"}, {false, "a OK\r\n", "a OK\r\n"}}},
      {"a literal that is refused does not come",
       {{true, "a APPEND x {400}\r\nb NOOP\r\n", "a APPEND x {400}\r\n"},
        {false, "a NO [TRYCREATE] no\r\n", "a NO [TRYCREATE] no\r\n", "b NOOP\r\n"},
        {false, "b OK\r\n", "b OK\r\n"}}},
      {"the reply to an earlier command refuses nothing",
       {{true, "a NOOP\r\nb APPEND x {4}\r\nb OK", "a NOOP\r\nb APPEND x {4}\r\n"},
        {false, "a OK\r\n", "a OK\r\n"},
        {false, "+ \r\n", "+ \r\n", "b OK"},
        {true, "\r\n", "\r\n"},
        {false, "b OK\r\n", "b OK\r\n"}}},
      {"a literal that does not wait",
       {{true, "a APPEND x {8+}\r\nb LOGIN \r\nc NOOP\r\n", "a APPEND x {8+}\r\nb LOGIN \r\nc NOOP\r\n"},
        {false, "a OK\r\nc OK\r\n", "a OK\r\nc OK\r\n"}}},
      {"empty literals", {{true, "a X {0+}\r\n{0+}\r\n\r\n", "a X {0+}\r\n{0+}\r\n\r\n"}, {false, "a OK\r\n", "a OK\r\n"}}},
      {"STARTTLS is refused", {{true, "a STARTTLS\r\nb NOOP\r\n", "b NOOP\r\n", "a BAD this command is not allowed now\r\n"}}, 1, false},
      {"login is refused in its turn",
       {{true, "a NOOP\r\nb LoGiN u p\r\nc NOOP\r\n", "a NOOP\r\n"},
        {false, "* 1 EXISTS\r\na OK\r\n", "* 1 EXISTS\r\na OK\r\nb BAD this command is not allowed now\r\n", "c NOOP\r\n"},
        {false, "c OK\r\n", "c OK\r\n"}}},
      {"… and behind a list",
       {{true, "a CAPABILITY\r\nb LOGIN {1}\r\n", "a CAPABILITY\r\n"},
        {false, "a OK [CAPABILITY X] done\r\n", "a OK [CAPABILITY IMAP4rev1 IDLE] done\r\nb BAD this command is not allowed now\r\n"}}},
      {"its literals are dropped",
       {{true, "a LOGIN {1+}\r\nx {3+}\r\n\r\n\r\r\nb NOOP\r\n", "b NOOP\r\n", "a BAD this command is not allowed now\r\n"}},
       1,
       false},
      {"AUTHENTICATE", {{true, "a AUTHENTICATE PLAIN\r\n", "", "a BAD this command is not allowed now\r\n"}}},
      {"UNAUTHENTICATE", {{true, "a unauthenticate\n", "", "a BAD this command is not allowed now\r\n"}}},
      {"COMPRESS", {{true, "a COMPRESS DEFLATE\r\n", "", "a NO [CANNOT] COMPRESS is not available\r\n"}}},
      {"LOGINX passes", {{true, "a LOGINX\r\n", "a LOGINX\r\n"}}, 1, false},
      {"IDLE", {{true, "a IDLE\r\nDO", "a IDLE\r\n"}, {false, "+ idling\r\n* 1 EXISTS\r\n", "+ idling\r\n* 1 EXISTS\r\n"}}, 1},
      {"DONE",
       {{true, "a IDLE\r\nDONE\r\nb NOOP\r\n", "a IDLE\r\n"},
        {false, "+ idling\r\n", "+ idling\r\n", "DONE\r\nb NOOP\r\n"},
        {false, "a OK\r\nb OK\r\n", "a OK\r\nb OK\r\n"}}},
      {"DONE's line is no command",
       {{true, "a IDLE\r\n", "a IDLE\r\n"},
        {false, "+ \r\n", "+ \r\n"},
        {true, "x LOGIN a b\r\n", "x LOGIN a b\r\n"},
        {false, "a BAD expected DONE\r\n", "a BAD expected DONE\r\n"}}},
      {"IDLE that is refused",
       {{true, "a IDLE\r\nb NOOP\r\n", "a IDLE\r\n"},
        {false, "a BAD no\r\n", "a BAD no\r\n", "b NOOP\r\n"},
        {false, "b OK\r\n", "b OK\r\n"}}},
      {"IDLE that the server ends",
       {{true, "a IDLE\r\n", "a IDLE\r\n"},
        {false, "+ \r\na NO enough\r\n", "+ \r\na NO enough\r\n"},
        {true, "b LOGIN x y\r\n", "", "b BAD this command is not allowed now\r\n"}}},
      {"garbage passes", {{true, "\r\r\nfoo\r\n \r\n", "\r\r\nfoo\r\n \r\n"}, {false, "\r\n*\r\n+\r\n", "\r\n*\r\n+\r\n"}}, 3, false},
  };
  return all;
}

TEST(RelayView, SaysTheSameHoweverItIsCut) {
  for (const auto& test : cases()) {
    for (const std::size_t piece : {std::string_view::npos, std::size_t{1}, std::size_t{2}, std::size_t{5}}) {
      SCOPED_TRACE(std::string(test.name) + " in pieces of " + std::to_string(piece));
      auto all = wire();
      for (const auto& line : test.lines) {
        (line.from_client ? all.client(line.octets, piece) : all.server(line.octets, piece));
        const auto at_server = all.at_server();
        const auto at_client = all.at_client();
        EXPECT_EQ(line.from_client ? at_server : at_client, line.passed);
        EXPECT_EQ(line.from_client ? at_client : at_server, line.back);
      }
      EXPECT_EQ(all.view().outstanding(), test.outstanding);
      EXPECT_EQ(all.view().at_boundary(), test.boundary);
    }
  }
}

TEST(RelayView, LiteralsNeedNotBeShown) {
  auto all = wire();
  all.client("a FETCH 1 BODY[]\r\n");
  all.server("* 1 FETCH (BODY[] {1000000}\r\n");
  EXPECT_EQ(all.unseen, 1'000'000U);
  all.server(std::string(1'000'000, 'x') + ")\r\na OK\r\n");
  EXPECT_EQ(all.unseen, 1'000'000U);
  EXPECT_TRUE(all.view().at_boundary());
}

TEST(RelayView, LongLinesPass) {
  auto all = wire();
  const std::string tag(2'000, 't');
  all.client(tag + " LOGIN a b\r\n", 7);
  EXPECT_EQ(all.at_server(), tag + " LOGIN a b\r\n");
  const auto list = "* CAPABILITY " + std::string(9'000, 'x') + "\r\n";
  all.server(list, 100);
  EXPECT_EQ(all.at_client(), list);
  const auto numbers = "* SEARCH " + std::string(100'000, '1') + " {3}\r\nabc\r\n";
  all.server(numbers, 1000);
  EXPECT_EQ(all.at_client(), numbers);
  EXPECT_EQ(all.unseen, 3U);
}

TEST(RelayView, HoldsAtABoundary) {
  auto all = wire();
  all.client("a NOOP\r\nb APPEND x {3}\r\n");
  all.hold(true);
  EXPECT_FALSE(all.both_held());
  all.server("a OK\r\n+ go\r\n");
  all.client("abc\r\nc NOOP\r\n");
  EXPECT_EQ(all.at_server(), "a NOOP\r\nb APPEND x {3}\r\nabc\r\n");
  EXPECT_FALSE(all.both_held());
  all.server("b OK done\r\n* 4 EXISTS\r\n");
  EXPECT_TRUE(all.both_held());
  EXPECT_EQ(all.at_client(), "a OK\r\n+ go\r\nb OK done\r\n");
  all.hold(false);
  EXPECT_EQ(all.at_client(), "* 4 EXISTS\r\n");
  EXPECT_EQ(all.at_server(), "c NOOP\r\n");
}

TEST(RelayView, HoldsBehindAnswersOfItsOwn) {
  auto all = wire();
  all.client("a CAPABILITY\r\nb LOGIN x y\r\n");
  all.hold(true);
  EXPECT_FALSE(all.both_held());
  all.server("a OK [CAPABILITY X] done\r\n");
  EXPECT_TRUE(all.both_held());
  EXPECT_EQ(all.at_client(), "a OK [CAPABILITY IMAP4rev1 IDLE] done\r\nb BAD this command is not allowed now\r\n");
}

TEST(RelayView, AnIdleIsABoundary) {
  auto all = wire();
  all.client("a IDLE\r\n");
  all.hold(true);
  EXPECT_FALSE(all.both_held());
  EXPECT_EQ(all.view().idle_tag(), "");
  all.server("+ idling\r\n");
  EXPECT_TRUE(all.both_held());
  EXPECT_EQ(all.view().idle_tag(), "a");
  all.client("DONE\r\n");
  EXPECT_EQ(all.at_server(), "a IDLE\r\n");
  all.hold(false);
  EXPECT_EQ(all.at_server(), "DONE\r\n");
  EXPECT_EQ(all.view().idle_tag(), "");
  EXPECT_FALSE(all.view().at_boundary());
}

TEST(RelayView, CapabilitiesOfARelay) {
  using List = std::vector<std::string>;
  EXPECT_EQ(relay_capabilities({"IMAP4REV1", "IMAP4REV2", "RIGHTS=KXTEN", "STARTTLS", "AUTH=PLAIN", "SORT", "SASL-IR", "COMPRESS=DEFLATE",
                                "LOGINDISABLED", "NOTIFY", "UNAUTHENTICATE", "sort", "APPENDLIMIT=5"}),
            (List{"IMAP4rev1", "IMAP4rev2", "RIGHTS=kxten", "SORT", "APPENDLIMIT=5"}));
  EXPECT_EQ(relay_capabilities({}), List{});
}

}  // namespace
}  // namespace relais::imap
