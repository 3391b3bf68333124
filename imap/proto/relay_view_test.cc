// What a relayed session has come to, whatever was cut where.
#include "imap/proto/relay_view.h"

#include <gtest/gtest.h>

#include "base/ascii.h"
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
      {"a line in the middle is no boundary", {{false, "* 3 FETCH (FL", "* 3 FETCH (FL"}}, 0, false},
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

/// A dialogue: what the client says, "|", what the server says, "|", …; a line's end is "~", and "^" a "~".
struct StateCase {
  std::string_view name;
  std::string dialogue;
  std::string_view state;
};

constexpr std::string_view kSelected = "s SELECT INBOX~|* 3 EXISTS~* OK [UIDVALIDITY 7] x~s OK [READ-WRITE] done~|";

const std::vector<StateCase>& states() {
  const std::string in(kSelected);
  static const std::vector<StateCase> all{
      {"nothing said", "", "none"},
      {"SELECT", in, "selected INBOX 7/3"},
      {"EXAMINE", "s EXAMINE \"a b\"~|* OK [UIDVALIDITY 7] x~* 0 EXISTS~s OK done~", "selected \"a b\" 7/0 read-only"},
      {"SELECT of what cannot be written", "s SELECT x~|* 1 EXISTS~* OK [UIDVALIDITY 9]~s OK [READ-ONLY] done~",
       "selected x 9/1 read-only"},
      {"its parameters", "s SELECT x (CONDSTORE)~|* 1 EXISTS~* OK [UIDVALIDITY 9]~s OK~", "selected x (CONDSTORE) 9/1 condstore"},
      {"a SELECT under way is none yet", "s SELECT x~|* 1 EXISTS~* OK [UIDVALIDITY 9]~", "none"},
      {"a SELECT that was refused", "s SELECT x~|s NO~", "none"},
      {"… while another was selected", in + "t SELECT y~|t NO~", "obstacle: what is known of the selected mailbox is not certain"},
      {"… which the server said it has closed", in + "t SELECT y~|* OK [CLOSED] x~t NO~", "none"},
      {"… is forgotten with the next", in + "t SELECT y~|t NO~|" + in, "selected INBOX 7/3"},
      {"SELECT without UIDVALIDITY", "s SELECT x~|* 1 EXISTS~s OK~", "obstacle: what is known of the selected mailbox is not certain"},
      {"SELECT without EXISTS", "s SELECT x~|* OK [UIDVALIDITY 7]~s OK~", "obstacle: what is known of the selected mailbox is not certain"},
      {"SELECT by a literal", "s SELECT {5+}~INBOX~|* 3 EXISTS~* OK [UIDVALIDITY 7]~s OK~",
       "obstacle: what is known of the selected mailbox is not certain"},
      {"pipelined",
       "s SELECT x~t FETCH 1 FLAGS~u SELECT y~v NOOP~|* 3 EXISTS~* OK [UIDVALIDITY 7]~s OK~* 4 EXISTS~t OK~* 9 EXISTS~* 1 EXPUNGE~* 5 "
       "EXISTS~"
       "* OK [UIDVALIDITY 8]~u OK~* 5 EXPUNGE~v OK~",
       "selected y 8/4"},
      {"answered out of order", "s NOOP~t SELECT x~|* 3 EXISTS~* OK [UIDVALIDITY 7]~t OK~s OK~",
       "obstacle: what is known of the selected mailbox is not certain"},
      {"one tag for all", "s NOOP~s SELECT x~|s OK~* 3 EXISTS~* OK [UIDVALIDITY 7]~s OK~", "selected x 7/3"},
      {"one tag for two at once", "s SELECT x~s SELECT y~|* 3 EXISTS~* OK [UIDVALIDITY 7]~s OK~",
       "obstacle: two commands under way had the same tag"},
      {"CLOSE", in + "t CLOSE~|t OK~", "none"},
      {"UNSELECT", in + "t UNSELECT~|t OK~", "none"},
      {"CLOSE that was refused", in + "t CLOSE~|t NO~", "obstacle: what is known of the selected mailbox is not certain"},
      {"closed by the server", in + "|* OK [CLOSED] gone~", "none"},
      {"messages come and go", in + "|* 5 EXISTS~* 2 EXPUNGE~* 2 expunge~", "selected INBOX 7/3"},
      {"one that there is not goes", in + "|* 4 EXPUNGE~", "obstacle: what is known of the selected mailbox is not certain"},
      {"fewer without a word", in + "|* 2 EXISTS~", "obstacle: what is known of the selected mailbox is not certain"},
      {"VANISHED", in + "|* VANISHED 3,9:9~", "selected INBOX 7/1"},
      {"VANISHED before", in + "|* VANISHED (EARLIER) 1:300~", "selected INBOX 7/3"},
      {"VANISHED too much", in + "|* VANISHED 1:4~", "obstacle: what is known of the selected mailbox is not certain"},
      {"VANISHED too long to be looked at", in + "|* VANISHED 1" + std::string(9'000, '1') + "~",
       "obstacle: what is known of the selected mailbox is not certain"},
      {"other numbers", in + "|* 9 FETCH (UID 9)~* 0 RECENT~* 8 EXISTSX~* 7~", "selected INBOX 7/3"},
      {"a message says nothing", in + "|* 1 FETCH (BODY[] {30}~* 9 EXISTS~* 1 EXPUNGE~abcd)~", "selected INBOX 7/3"},
      {"another UIDVALIDITY", in + "|* OK [UIDVALIDITY 8] x~", "obstacle: what is known of the selected mailbox is not certain"},
      {"made read-only", in + "|* OK [READ-ONLY] x~", "selected INBOX 7/3 read-only"},
      {"ENABLE", "a ENABLE QRESYNC IMAP4rev2 UTF8=ACCEPT~|* ENABLED QRESYNC IMAP4REV2~a OK~", "none condstore qresync rev2"},
      {"a name in UTF-8", "a ENABLE UTF8=ACCEPT~b EXAMINE x~|* ENABLED UTF8=ACCEPT~a OK~* 0 EXISTS~* OK [UIDVALIDITY 7]~b OK~",
       "selected x 7/0 read-only utf8 utf8=accept"},
      {"ENABLE of something else", "a ENABLE X~|* ENABLED X-GOOD~a OK~", "obstacle: not served here: ENABLE X-GOOD"},
      {"ENABLE of nothing", "a ENABLE X~|* ENABLED~a OK~", "none"},
      {"CONDSTORE by FETCH", in + "a FETCH 1 (FLAGS MODSEQ)~|a OK~", "selected INBOX 7/3 condstore"},
      {"… which was refused", in + "a FETCH 1 (FLAGS MODSEQ)~|a BAD~", "selected INBOX 7/3"},
      {"CONDSTORE by STATUS", "a STATUS x (HIGHESTMODSEQ)~|a OK~", "none condstore"},
      {"CONDSTORE by LIST", "a LIST \"\" * RETURN (STATUS (HIGHESTMODSEQ))~|a OK~", "none condstore"},
      {"CONDSTORE by STORE", in + "a STORE 1 (UNCHANGEDSINCE 7) FLAGS ()~|a OK~", "selected INBOX 7/3 condstore"},
      {"CONDSTORE by SEARCH", in + "a SEARCH MODSEQ 7~|a OK~", "selected INBOX 7/3 condstore"},
      {"all that we have",
       in + "a UID FETCH 1:* (BODY.PEEK[] UID)~b NOOP~c LIST \"\" %~d CREATE x~e RENAME x y~f SUBSCRIBE y~g UNSUBSCRIBE y~h DELETE y~i "
            "COPY 1 "
            "z~j UID MOVE 2 z~k EXPUNGE~l UID EXPUNGE 3~m CHECK~n NAMESPACE~o GETQUOTAROOT INBOX~p GETQUOTA \"\"~q ID NIL~r LSUB \"\" *~s "
            "CAPABILITY~t SEARCH SUBJECT {1+}~x~|"
            "a OK~b OK~c OK~d OK~e OK~f OK~g OK~h OK~i OK~j OK~k OK~l OK~m OK~n OK~o OK~p OK~q OK~r OK~s OK~t OK~",
       "selected INBOX 7/3"},
      {"APPEND", "a APPEND x (\\Seen) {3+}~abc~b APPEND x {3+}~abc UTF8 (^{2+}~de)~|a OK~b OK~", "none"},
      {"APPEND to a literal", "a APPEND {1+}~x {3+}~abc {2+}~de~|a OK~", "none"},
      {"APPEND of parts", "a APPEND x CATENATE (TEXT {3+}~abc)~|a OK~", "obstacle: not served here: APPEND"},
      {"… behind a message", "a APPEND x {3+}~abc CATENATE (TEXT {3+}~abc)~|a OK~", "obstacle: not served here: APPEND"},
      {"SORT", in + "a SORT (DATE) UTF-8 ALL~|a OK~", "obstacle: not served here: SORT"},
      {"SORT that was refused", in + "a SORT (DATE) UTF-8 ALL~|a BAD~", "selected INBOX 7/3"},
      {"an unknown item", in + "a FETCH 1 (UID PREVIEW)~|a OK~", "obstacle: not served here: FETCH"},
      {"a name that we would not take", "a STATUS \"&&\" (MESSAGES)~|a OK~", "none"},
      {"a search that is kept up to date", in + "a SEARCH RETURN (UPDATE) ALL~|a OK~", "obstacle: not served here: SEARCH"},
      {"a saved search", in + "a SEARCH RETURN (SAVE) ALL~|a OK~", "obstacle: a search result was saved"},
      {"… of a mailbox that was left", in + "a SEARCH RETURN (SAVE) ALL~|a OK~|" + in, "selected INBOX 7/3"},
      {"a command that is too long", "a FETCH " + std::string(70'000, '1') + " FLAGS~|a OK~", "obstacle: not served here: FETCH"},
      {"a reply to nothing", "|x OK~", "obstacle: a reply belongs to no command"},
      {"a reply without a status", "a NOOP~|a FOO~", "obstacle: a reply has no status"},
      {"LOGOUT", in + "a LOGOUT~|* BYE~a OK~", "obstacle: the server has said BYE"},
      {"IDLE", in + "a IDLE~|+ idling~* 4 EXISTS~", "selected INBOX 7/4"},
      {"a literal that was refused", in + "a APPEND x {4}~|a NO~", "selected INBOX 7/3"},
      {"an answer before its time", "a APPEND x {4}~|a OK~", "obstacle: a command was answered before it was whole"},
      {"what is no command is answered without a tag", "+ x~a NOOP~|* BAD what~a OK~", "none"},
  };
  return all;
}

std::string with_line_ends(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '~' ? std::string("\r\n") : std::string(1, c == '^' ? '~' : c);
  return out;
}

TEST(RelayView, KnowsWhatAnotherSessionNeeds) {
  for (const auto& test : states()) {
    for (const std::size_t piece : {std::string_view::npos, std::size_t{1}, std::size_t{3}, std::size_t{7}}) {
      SCOPED_TRACE(std::string(test.name) + " in pieces of " + std::to_string(piece));
      auto all = wire();
      bool client = true;
      for (const auto part : split(test.dialogue, '|')) {
        const auto octets = with_line_ends(part);
        client ? all.client(octets, piece) : all.server(octets, piece);
        client = !client;
      }
      EXPECT_EQ(testing::described(all.view()), test.state);
    }
  }
}

TEST(RelayView, TooManyCommandsAtOnceAreNotFollowed) {
  auto all = RelayWire(RelayView({}, {.outstanding = 3}));
  const std::string in = with_line_ends(kSelected.substr(0, kSelected.find('|')));
  all.client(in + "a NOOP\r\nb NOOP\r\n");
  EXPECT_EQ(all.view().obstacle(), "");
  all.client("c NOOP\r\n");
  EXPECT_EQ(all.view().obstacle(), "too many commands are under way");
  all.server("s OK\r\na OK\r\nb OK\r\nc OK\r\n");
  EXPECT_TRUE(all.view().at_boundary());
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
  EXPECT_EQ(common_capabilities({"IMAP4rev1", "SORT", "Idle", "LITERAL-", "APPENDLIMIT=5", "APPENDLIMIT", "X=1"},
                                {"IMAP4rev1", "IDLE", "LITERAL+", "APPENDLIMIT=7", "MOVE", "X=a"}),
            (List{"IMAP4rev1", "Idle", "LITERAL-", "APPENDLIMIT=5"}));
  EXPECT_EQ(common_capabilities({"APPENDLIMIT=50"}, {"APPENDLIMIT=7"}), List{"APPENDLIMIT=7"});
}

}  // namespace
}  // namespace relais::imap
