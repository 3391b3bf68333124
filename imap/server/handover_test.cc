// Relayed sessions at a cutover: on the same connection they go on here, and the client notices nothing; or they hear BYE.
#include "imap/relay/handover_turns.h"
#include "imap/server/relay_testing.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::imap {
namespace {

using ::testing::EndsWith;
using testing::Front;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::Platform;
using testing::with_login;
using Kind = directory::Placement::Kind;
using Lines = std::vector<std::string>;

constexpr auto kLogin = "a LOGIN carol@example.org theirs\r\n";
// What all platforms of these tests announce is all that we have, so that nothing is to be told about it.
constexpr auto kOurs =
    "IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE UNSELECT UIDPLUS CHILDREN ESEARCH SEARCHRES WITHIN LIST-EXTENDED "
    "LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE BINARY CONDSTORE QRESYNC STATUS=SIZE MULTIAPPEND OBJECTID SAVEDATE PARTIAL "
    "UTF8=ACCEPT QUOTA QUOTA=RES-STORAGE QUOTA=RES-MESSAGE APPENDLIMIT=67108864";
constexpr auto kFlagLists =
    "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
    "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] flags permitted\r\n";
constexpr auto kBye = "* BYE [UNAVAILABLE] the mailbox has been moved, connect again\r\n";
constexpr auto kNoMore = "\r\nz OK LOGOUT completed\r\n";

Lines operator+(Lines a, const Lines& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// INBOX with three messages, 2, 4 and 9.
const Lines kSelect{"C: b SELECT INBOX", "S: * 3 EXISTS", "S: * OK [UIDVALIDITY 7] x", "S: b OK [READ-WRITE] selected"};
const Lines kIdle{"C: c IDLE", "S: + idling"};
const Lines kDone{"C: DONE", "S: c OK done"};
const Lines kMap{"C: relais FETCH 1:* (UID)", "S: * 1 FETCH (UID 2)", "S: * 2 FETCH (UID 4)", "S: * 3 FETCH (UID 9)", "S: relais OK"};
const Lines kNoop{"C: relais NOOP", "S: relais OK"};
const Lines kFlags{"C: relais FETCH 1:3 (FLAGS)", "S: * 1 FETCH (FLAGS (\\Seen))", "S: * 2 FETCH (FLAGS (\\Recent))",
                   "S: * 3 FETCH (FLAGS (\\seen $Work))", "S: relais OK"};

Lines script(const Lines& lines) {
  auto all = with_login(lines, kOurs);
  // SASL-IR is left out of what a relayed session is told.
  return all;
}

/// The three messages as kFlags tells them.
void prepare(Front& front) { front.prepare(7, {{2, {"\\Seen"}}, {4, {}}, {9, {"\\Seen", "$Work"}}}); }

/// What comes behind `after`, up to its own end.
std::string behind(const std::string& heard, std::string_view after) {
  const auto found = heard.find(after);
  return found == std::string::npos ? "nothing behind it: " + heard : heard.substr(found + after.size());
}

std::string flag_lists(std::string_view keywords) {
  const auto all = "\\Answered \\Flagged \\Deleted \\Seen \\Draft" + std::string(keywords);
  return "* FLAGS (" + all + ")\r\n* OK [PERMANENTFLAGS (" + all + " \\*)] flags permitted\r\n";
}

TEST(Handover, AnIdleGoesOnHere) {
  const Platform platform(script(kSelect + kIdle + kDone + kMap + kNoop + kFlags));
  Front front(platform.port());
  prepare(front);
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }},
      {"", "flags permitted\r\n", [&] { front.deliver(12); }},
      {"", "* 4 EXISTS\r\n"},
      {"DONE\r\nd UID FETCH 12 FLAGS\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_EQ(behind(heard, "+ idling\r\n"), "* CAPABILITY " + std::string(kOurs) + "\r\n" + flag_lists(" $Work") +
                                               "* 4 EXISTS\r\n* 1 RECENT\r\nc OK IDLE completed\r\n"
                                               "* 4 FETCH (UID 12 FLAGS (\\Recent))\r\nd OK UID FETCH completed\r\n"
                                               "* BYE logging out\r\nz OK LOGOUT completed\r\n");
}

TEST(Handover, WhatIsDifferentByNowIsTold) {
  // Message 4 has gone, 9 has lost $Work, and 10 and 11 have come without a word of it.
  const Platform platform(script(kSelect + kMap + kNoop + kFlags));
  Front front(platform.port());
  front.prepare(7, {{2, {"\\Seen"}}, {9, {"\\Seen"}}, {10, {}}, {11, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\n", "b OK [READ-WRITE] selected\r\n", [&] { front.cut_over(); }},
      {"c FETCH 2:3 UID\r\nd NOOP\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_EQ(behind(heard, std::string("APPENDLIMIT=67108864\r\n") + kFlagLists),
            "* 5 EXISTS\r\n* 2 RECENT\r\n* 3 FETCH (UID 9 FLAGS (\\Seen))\r\n"
            "* 3 FETCH (UID 9)\r\nc OK [EXPUNGEISSUED] some of the messages are gone\r\n"
            "* 2 EXPUNGE\r\nd OK NOOP completed\r\n* BYE logging out\r\nz OK LOGOUT completed\r\n");
}

TEST(Handover, AnIdleHearsOfRemovalsAtOnce) {
  const Platform platform(script(kSelect + kIdle + kDone + kMap + kNoop + kFlags));
  Front front(platform.port());
  front.prepare(7, {{4, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }},
      {"", "* 1 EXPUNGE\r\n"},
      {"DONE\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(behind(heard, "* FLAGS"), HasSubstr("\r\n* 3 EXPUNGE\r\n* 1 EXPUNGE\r\nc OK IDLE completed\r\n"));
}

TEST(Handover, WithQresyncTheyVanish) {
  const Platform platform(
      script(Lines{"C: e ENABLE QRESYNC", "S: * ENABLED QRESYNC", "S: e OK"} + kSelect + kIdle + kDone + kMap + kNoop + kFlags));
  Front front(platform.port());
  front.prepare(7, {{4, {}}, {12, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "e ENABLE QRESYNC\r\nb SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }},
      {"", "* VANISHED 2,9\r\n"},
      {"DONE\r\nd UID STORE 12 +FLAGS (\\Seen)\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("* 4 EXISTS\r\n"));
  EXPECT_THAT(heard, HasSubstr("* 2 FETCH (UID 12 FLAGS (\\Seen \\Recent) MODSEQ ("));
}

TEST(Handover, WithQresyncTheClientIsToldHowFarItMayCountOnWhatItHas) {
  const Platform platform(script(Lines{"C: e ENABLE QRESYNC", "S: * ENABLED QRESYNC", "S: e OK"} + kSelect + kMap + kNoop + kFlags));
  Front front(platform.port());
  front.prepare(7, {{4, {}}, {9, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "e ENABLE QRESYNC\r\nb SELECT INBOX\r\n", "b OK", [&] { front.cut_over(); }},
      {"", "* OK [HIGHESTMODSEQ 1] not all changes could be told\r\n"},
      {"d NOOP\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("* VANISHED 2\r\n* OK [HIGHESTMODSEQ "));
  EXPECT_THAT(heard, HasSubstr("] all changes are told\r\nd OK"));
}

TEST(Handover, FlagsThatThePlatformHadNotToldArePassedOnInTheClientsNumbers) {
  // The platform has expunged the first and the second; what it calls 1 is the client's third.
  const Platform platform(script(
      kSelect + Lines{"C: relais FETCH 1:* (UID)", "S: * 2 FETCH (FLAGS (\\Answered))", "S: * 1 FETCH (UID 2)",
                      "S: * 2 FETCH (UID 4 FLAGS (\\Answered))", "S: * 4 EXISTS", "S: * 3 FETCH (UID 9)", "S: relais OK", "C: relais NOOP",
                      "S: * 1 EXPUNGE", "S: * VANISHED 4", "S: * 1 FETCH (FLAGS (\\Flagged))", "S: * 2 FETCH (FLAGS (\\Draft))",
                      "S: * 5 EXISTS", "S: relais OK", "C: relais FETCH 1:1 (FLAGS)", "S: * 1 FETCH (FLAGS (\\Flagged))", "S: relais OK"}));
  Front front(platform.port());
  front.prepare(7, {{9, {"\\Flagged"}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\n", "b OK [READ-WRITE] selected\r\n", [&] { front.cut_over(); }},
      {"d NOOP\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(
      behind(heard, "selected\r\n"),
      ::testing::StartsWith("* 2 FETCH (FLAGS (\\Answered))\r\n* 2 FETCH (UID 4 FLAGS (\\Answered))\r\n* 3 FETCH (FLAGS (\\Flagged))\r\n"));
  EXPECT_THAT(heard, HasSubstr(std::string(kFlagLists) + "* 2 EXPUNGE\r\n* 1 EXPUNGE\r\nd OK NOOP completed\r\n"));
}

TEST(Handover, WhatTheEndOfAnIdleBringsIsTheClients) {
  const Platform platform(
      script(kSelect + kIdle +
             Lines{"C: DONE", "S: * 3 EXPUNGE", "S: * 4 EXISTS", "S: * VANISHED 2", "S: * CAPABILITY X", "S: c OK done",
                   "C: relais FETCH 1:* (UID)", "S: * 1 FETCH (UID 4)", "S: * 2 FETCH (UID 11)", "S: * 3 FETCH (UID 12)", "S: relais OK"} +
             kNoop + Lines{"C: relais FETCH 1:3 (FLAGS)", "S: * 1 FETCH (FLAGS ())", "S: * 2 FETCH (FLAGS ())", "S: relais OK"}));
  Front front(platform.port());
  front.prepare(7, {{4, {}}, {11, {}}, {12, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }},
      {"", "\r\n* FLAGS"},
      {"DONE\r\nd FETCH 1:* UID\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("+ idling\r\n* 3 EXPUNGE\r\n* 4 EXISTS\r\n* VANISHED 2\r\n* CAPABILITY IMAP4rev1 IMAP4rev2"));
  // Of the third message the platform has not told the flags: the client hears them here.
  EXPECT_THAT(
      heard,
      HasSubstr("* 3 FETCH (UID 12 FLAGS ())\r\nc OK IDLE completed\r\n* 1 FETCH (UID 4)\r\n* 2 FETCH (UID 11)\r\n* 3 FETCH (UID 12)\r\n"));
}

TEST(Handover, WithoutAMailboxThereIsNothingToAsk) {
  const Platform platform(script({"C: b NOOP", "S: b OK"}));
  Front front(platform.port());
  front.prepare(7, {{2, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b NOOP\r\n", "b OK\r\n", [&] { front.cut_over(); }},
      {"c SELECT INBOX\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("b OK\r\n* CAPABILITY IMAP4rev1"));
  EXPECT_THAT(heard, HasSubstr("* 1 EXISTS\r\n"));
  EXPECT_THAT(heard, HasSubstr("[UIDVALIDITY 7]"));
}

TEST(Handover, AnEmptyMailboxHasNoMap) {
  const Platform platform(
      script({"C: b EXAMINE INBOX", "S: * 0 EXISTS", "S: * OK [UIDVALIDITY 7] x", "S: b OK", "C: c IDLE", "S: + idling"}));
  Front front(platform.port());
  front.prepare(7, {{2, {}}});
  const auto heard = front.converse({
      {std::string(kLogin) + "b EXAMINE INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }},
      {"", "* 1 EXISTS\r\n"},
      {"DONE\r\nd STORE 1 +FLAGS \\Seen\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("\r\nd NO [CANNOT] the mailbox was opened read-only"));
}

TEST(Handover, NamesAreThoseThatTheClientKnows) {
  const Platform platform(script({"C: b EXAMINE \"INBOX.&AOk-t&AOk-.2026\"", "S: * 1 EXISTS", "S: * OK [UIDVALIDITY 7] x", "S: b OK",
                                  "C: relais FETCH 1:* (UID)", "S: * 1 FETCH (UID 2)", "S: relais OK", "C: relais NOOP", "S: relais OK",
                                  "C: relais FETCH 1:1 (FLAGS)", "S: * 1 FETCH (FLAGS ())", "S: relais OK"}));
  Front front(platform.port());
  const directory::Origin origin{.platform = "old", .names = {.separator = '.', .prefix = "INBOX."}};
  ASSERT_TRUE(front.directory.run(front.directory->set_origin(front.carol().number, origin)));
  front.prepare(7, {{2, {}}}, "été/2026");
  const auto heard = front.converse({
      {std::string(kLogin) + "b EXAMINE \"INBOX.&AOk-t&AOk-.2026\"\r\n", "b OK", [&] { front.cut_over(); }},
      {"d FETCH 1 UID\r\ne STATUS \"INBOX.&AOk-t&AOk-.2026\" (MESSAGES)\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("* 1 FETCH (UID 2)\r\nd OK"));
  EXPECT_THAT(heard, HasSubstr("2026 (MESSAGES 1)\r\ne OK"));
}

TEST(Handover, ReleasedItGoesOnAsIfNothingHadBeen) {
  const Platform platform(
      script(kSelect + kIdle +
             Lines{"C: DONE", "S: * 4 EXISTS", "S: c OK", "C: d NOOP", "S: d OK", "C: z LOGOUT", "S: * BYE", "S: z OK", "CLOSE"}));
  Front front(platform.port());
  const auto twice = [&] {
    for (int i = 0; i < 2; ++i) {
      front.freeze();
      front.thaw(Kind::legacy);
    }
  };
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", twice},
      {"DONE\r\nd NOOP\r\n", "d OK", twice},
      {"z LOGOUT\r\n", "z OK"},
  });
  EXPECT_EQ(behind(heard, "+ idling\r\n"), "* 4 EXISTS\r\nc OK\r\nd OK\r\n* BYE\r\nz OK\r\n");
}

TEST(Handover, CommandsSaidMeanwhileAreAnsweredHere) {
  const Platform platform(script(kSelect + kMap + kNoop + kFlags));
  Front front(platform.port());
  prepare(front);
  const auto heard = front.converse({
      {std::string(kLogin) + "b SELECT INBOX\r\n", "b OK [READ-WRITE] selected\r\n", [&] { front.freeze(); }},
      {"c FETCH 3 UID\r\nd APPEND INBOX {3}\r\n", "", [&] { front.thaw(Kind::shard); }},
      {"", "+ OK\r\n"},
      {"abc\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("flags permitted\r\n* 3 FETCH (UID 9)\r\nc OK FETCH completed\r\n+ OK\r\n* 4 EXISTS\r\n"));
  EXPECT_THAT(heard, HasSubstr("d OK [APPENDUID 7 10]"));
}

TEST(Handover, ALiteralIsWaitedFor) {
  const Platform platform(script(Lines{"C: b APPEND x {5}", "S: + go", "C: b OK ", "S: b OK appended"}));
  Front front(platform.port());
  std::optional<std::future<Result<void>>> drained;
  const auto begin = [&] {
    front.place(Kind::moving);
    drained = net::asio::co_spawn(front.directory.loops().at(0).context(), front.gate.drain(front.carol().number, net::in(net::kSoon)),
                                  net::asio::use_future);
  };
  const auto end = [&] {
    EXPECT_TRUE(drained->get());
    front.thaw(Kind::shard);
  };
  const auto heard = front.converse({
      {std::string(kLogin) + "b APPEND x {5}\r\n", "+ go\r\n", begin},
      {"b OK \r\n", "b OK appended\r\n", end},
      {"z LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, EndsWith(kNoMore));
}

TEST(Handover, APresenceIsBusyWithinCommandsAlone) {
  const Platform platform(script(Lines{"C: b APPEND x {5}", "S: + go", "C: b OK ", "S: b OK appended"} + kIdle));
  Front front(platform.port());
  std::chrono::milliseconds busy[2]{};
  const auto look = [&](int which) {
    return [&front, &busy, which] { busy[which] = front.gate.presence(front.carol().number).longest_busy; };
  };
  front.converse({
      {std::string(kLogin) + "b APPEND x {5}\r\n", "+ go\r\n", look(0)},
      {"b OK \r\nc IDLE\r\n", "+ idling\r\n", [&] { look(1)(), front.cut_over(); }},
      {"DONE\r\nz LOGOUT\r\n", "z OK"},
  });
  EXPECT_GT(busy[0].count(), 0);
  EXPECT_EQ(busy[1].count(), 0);
}

TEST(Handover, ManyGoOnInTheirTurn) {
  const Platform platform(script(kSelect + kIdle + kDone + kMap + kNoop + kFlags));
  auto turns = std::make_shared<HandoverTurns>(2);
  Front front(platform.port(), {}, [&](RelayServices& services, RelayOptions&) { services.turns = turns; });
  prepare(front);
  constexpr int kSessions = 12;
  std::atomic<int> idling{0};
  const auto session = [&] {
    const auto last = [&] {
      if (++idling == kSessions) front.cut_over();
    };
    return front.converse({{std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", last},
                           {"", "flags permitted\r\n"},
                           {"DONE\r\nd FETCH 3 UID\r\nz LOGOUT\r\n", "z OK"}});
  };
  std::vector<std::future<std::string>> all;
  for (int i = 0; i < kSessions; ++i) all.push_back(std::async(std::launch::async, session));
  for (auto& one : all) EXPECT_THAT(one.get(), HasSubstr("* 3 FETCH (UID 9)\r\nd OK"));
}

struct ByeCase {
  std::string_view name;
  Lines platform;        ///< behind the login
  std::string says;      ///< behind the login; the cutover is when its "x OK" or "+ idling" has come
  bool other = false;    ///< UIDVALIDITY 8 here
  bool between = false;  ///< a message that the client could not be told of
};

TEST(Handover, WhereItIsNotExactTheClientHearsBye) {
  const std::string select = "b SELECT INBOX\r\n";
  const Lines start{"C: relais FETCH 1:* (UID)"};
  const std::vector<ByeCase> cases{
      {"another UIDVALIDITY", kSelect + kMap + kNoop + kFlags, select, true},
      {"a message that was not there", kSelect + kMap + kNoop + kFlags, select, false, true},
      {"another mailbox", {"C: b SELECT old", "S: * 0 EXISTS", "S: * OK [UIDVALIDITY 7] x", "S: b OK"}, "b SELECT old\r\n"},
      {"SORT was used", kSelect + Lines{"C: c SORT (DATE) UTF-8 ALL", "S: * SORT 1", "S: c OK"}, select + "c SORT (DATE) UTF-8 ALL\r\n"},
      {"no UIDVALIDITY", {"C: b SELECT INBOX", "S: * 3 EXISTS", "S: b OK"}, select},
      {"EXPUNGE in the way", kSelect + start + Lines{"S: * 1 EXPUNGE", "S: relais OK"}, select},
      {"VANISHED in the way", kSelect + start + Lines{"S: * VANISHED 2", "S: relais OK"}, select},
      {"fewer messages", kSelect + start + Lines{"S: * 1 FETCH (UID 2)", "S: * 2 FETCH (UID 4)", "S: relais OK"}, select},
      {"more of them",
       kSelect + start +
           Lines{"S: * 1 FETCH (UID 2)", "S: * 2 FETCH (UID 4)", "S: * 3 FETCH (UID 9)", "S: * 4 FETCH (UID 10)", "S: relais OK"},
       select},
      {"one is not told", kSelect + start + Lines{"S: * 1 FETCH (UID 2)", "S: * 3 FETCH (UID 9)", "S: relais OK"}, select},
      {"UIDs that descend", kSelect + start + Lines{"S: * 1 FETCH (UID 4)", "S: * 2 FETCH (UID 2)", "S: * 3 FETCH (UID 9)", "S: relais OK"},
       select},
      {"two UIDs", kSelect + start + Lines{"S: * 1 FETCH (UID 2)", "S: * 1 FETCH (UID 3)", "S: relais OK"}, select},
      {"the FETCH is refused", kSelect + start + Lines{"S: relais NO"}, select},
      {"another tag", kSelect + start + Lines{"S: other OK"}, select},
      {"BYE", kSelect + start + Lines{"S: * BYE"}, select},
      {"nonsense", kSelect + start + Lines{"S: * 1 FETCH UID"}, select},
      {"the NOOP is refused", kSelect + kMap + Lines{"C: relais NOOP", "S: relais BAD"}, select},
      {"EXPUNGE at last", kSelect + kMap + kNoop + Lines{"C: relais FETCH 1:3 (FLAGS)", "S: * 1 EXPUNGE", "S: relais OK"}, select},
      {"DONE is refused", kSelect + kIdle + Lines{"C: DONE", "S: c NO"}, select + "c IDLE\r\n"},
      {"an EXPUNGE of nothing ends the IDLE", kSelect + kIdle + Lines{"C: DONE", "S: * 4 EXPUNGE", "S: c OK"}, select + "c IDLE\r\n"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(test.name);
    const Platform platform(script(test.platform));
    Front front(platform.port());
    if (test.between)
      front.prepare(7, {{2, {"\\Seen"}}, {3, {}}, {4, {}}, {9, {"\\Seen", "$Work"}}});
    else
      front.prepare(test.other ? 8 : 7, {{2, {"\\Seen"}}, {4, {}}, {9, {"\\Seen", "$Work"}}});
    const bool idles = test.says.find("IDLE") != std::string::npos;
    const bool sorts = test.says.find("SORT") != std::string::npos;
    const auto heard = front.converse({{kLogin + test.says,
                                        idles   ? "+ idling\r\n"
                                        : sorts ? "c OK"
                                                : "b OK",
                                        [&] { front.cut_over(); }},
                                       {"", kBye}});
    EXPECT_THAT(heard, EndsWith(kBye));
  }
}

TEST(Handover, TooManyMessagesAreNotAskedFor) {
  const Platform platform(script(kSelect));
  Front front(platform.port(), {}, [](RelayServices&, RelayOptions& options) { options.max_moved_messages = 2; });
  prepare(front);
  EXPECT_THAT(front.converse({{std::string(kLogin) + "b SELECT INBOX\r\n", "b OK", [&] { front.cut_over(); }}, {"", kBye}}),
              EndsWith(kBye));
}

// The platform goes away behind each line that it says or hears from the cutover on.
TEST(Handover, ALegacyConnectionThatDiesIsABye) {
  const auto before = kSelect + kIdle;
  const auto whole = kDone + kMap + kNoop + kFlags;
  for (std::size_t lines = 1; lines < whole.size(); ++lines) {
    SCOPED_TRACE(lines);
    const Platform platform(script(before + Lines(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(lines)) + Lines{"CLOSE"}));
    Front front(platform.port());
    prepare(front);
    const auto heard =
        front.converse({{std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", [&] { front.cut_over(); }}, {"", kBye}});
    EXPECT_THAT(heard, EndsWith(kBye));
    EXPECT_THAT(heard, Not(HasSubstr("EXISTS\r\n* FLAGS")));
  }
}

TEST(Handover, APlatformThatGoesAwayMeanwhileIsSaid) {
  const Platform platform(script({"C: b NOOP", "S: b OK", "CLOSE"}));
  Front front(platform.port());
  const auto heard = front.converse({{std::string(kLogin) + "b NOOP\r\n", "* BYE"}});
  EXPECT_THAT(heard, EndsWith("b OK\r\n* BYE [UNAVAILABLE] the mail server has closed the connection\r\n"));
}

TEST(Handover, OurOwnEndMeanwhileIsSaid) {
  const Platform platform(script(kSelect + kIdle));
  Front front(platform.port());
  const auto stop = [&] {
    front.freeze();
    front.frontend->loops.at(0).post([&] { front.frontend->loops.at(0).begin_shutdown(); });
  };
  const auto heard = front.converse({{std::string(kLogin) + "b SELECT INBOX\r\nc IDLE\r\n", "+ idling\r\n", stop}, {"", "* BYE"}});
  EXPECT_THAT(heard, EndsWith("+ idling\r\n* BYE [UNAVAILABLE] shutting down\r\n"));
}

TEST(Handover, AccountsThatMoveSoonAreToldOfWhatBothHave) {
  const Platform platform(with_login({"C: b CAPABILITY", "S: * CAPABILITY IMAP4rev1 SORT", "S: b OK"},
                                     "IMAP4rev1 SORT IDLE LITERAL- QUOTA APPENDLIMIT=9 X-OLD"));
  std::atomic<directory::AccountNumber> asked{0};
  Front front(platform.port(), {}, [&](RelayServices& services, RelayOptions&) {
    services.moves_soon = [&](directory::AccountNumber account) {
      asked = account;
      return true;
    };
  });
  front.prepare(7, {});
  const auto heard = front.converse({
      {std::string(kLogin) + "b CAPABILITY\r\n", "b OK\r\n", [&] { front.cut_over(); }},
      {"z LOGOUT\r\n", "z OK"},
  });
  EXPECT_THAT(heard, HasSubstr("a OK [CAPABILITY IMAP4rev1 IDLE LITERAL- QUOTA APPENDLIMIT=9] logged in\r\n"
                               "* CAPABILITY IMAP4rev1 IDLE LITERAL- QUOTA APPENDLIMIT=9\r\nb OK\r\n* CAPABILITY IMAP4rev1 IMAP4rev2 "));
  EXPECT_EQ(asked, front.carol().number);
}

TEST(HandoverTurns, AreTakenInOrderAndNotWaitedForForEver) {
  net::LoopPool loops(1);
  loops.start();
  const auto turns = std::make_shared<HandoverTurns>(1);
  auto first = net::run_on(loops.at(0), turns->take(net::in(net::kSoon))).value();
  const auto late = net::run_on(loops.at(0), turns->take(net::in(std::chrono::milliseconds(0))));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, "timeout");
  auto second = net::asio::co_spawn(loops.at(0).context(), turns->take(net::in(net::kSoon)), net::asio::use_future);
  // Both are in the queue, in this order, before the turn ends.
  auto third = net::asio::co_spawn(loops.at(0).context(), turns->take(net::in(net::kSoon)), net::asio::use_future);
  loops.at(0).post([turn = std::make_shared<HandoverTurn>(std::move(first))] { turn->end(); });
  auto got = second.get().value();
  EXPECT_EQ(third.wait_for(std::chrono::seconds(0)), std::future_status::timeout);
  got.end();
  EXPECT_TRUE(third.get());
}

}  // namespace
}  // namespace relais::imap
