// Trace lines, the files they are written to, and the search over them.
#include "smtp/trace/log.h"
#include "smtp/trace/search.h"

#include "base/metrics.h"
#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <thread>

namespace relais::smtp {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

TraceEvent whole_event() {
  return {.id = "abc123-1",
          .kind = TraceKind::deferred,
          .time = 1'767'225'600'123,
          .from = "ada@example.org",
          .to = {"bob@example.net", "carol@example.net"},
          .message_id = "x.1@example.org",
          .parent = "abc000-7",
          .host = "mx.example.net [192.0.2.1]:25",
          .reply = "451 4.7.1 \"greylisted\", try \\ later",
          .detail = "next attempt in 300 s",
          .size = 4'711};
}

std::string lines_of(const TraceEvent& event) {
  std::string out;
  append_trace_lines(out, event);
  return out;
}

TEST(TraceLine, IsReadBack) {
  const auto event = whole_event();
  const auto line = lines_of(event);
  EXPECT_EQ(line,
            "{\"id\":\"abc123-1\",\"time\":\"2026-01-01T00:00:00.123Z\",\"kind\":\"deferred\",\"from\":\"ada@example.org\","
            "\"to\":[\"bob@example.net\",\"carol@example.net\"],\"message_id\":\"x.1@example.org\",\"parent\":\"abc000-7\","
            "\"host\":\"mx.example.net [192.0.2.1]:25\",\"reply\":\"451 4.7.1 \\\"greylisted\\\", try \\\\ later\",\"detail\":\"next "
            "attempt in 300 s\","
            "\"size\":4711}\n");
  EXPECT_EQ(parse_trace_line(line), event);
}

TEST(TraceLine, EveryKindHasItsName) {
  for (std::size_t i = 0; i < kTraceKinds; ++i) {
    const auto kind = static_cast<TraceKind>(i);
    EXPECT_EQ(trace_kind(to_string(kind)), kind);
  }
  EXPECT_EQ(trace_kind("dreamt"), std::nullopt);
}

TEST(TraceLine, NothingInATextEndsTheLineOrMovesATerminal) {
  TraceEvent event{.id = "a-1", .time = 1};
  event.reply = "550-one\r\n550 two\t\x1b[2J\x9b\x7f\xc2\x9b \xff end \xc3\xa4";
  event.to = {"X@\"\\Example.org"};
  event.message_id = " <Id@Example.org> ";
  const auto read = parse_trace_line(lines_of(event));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->reply, "550-one 550 two ?[2J??? ? end \xc3\xa4");
  EXPECT_THAT(read->to, ElementsAre("x@\"\\example.org"));
  EXPECT_EQ(read->message_id, "Id@Example.org");
}

TEST(TraceLine, LongTextsAreCutAtACharacter) {
  TraceEvent event{.id = "a-1", .time = 1};
  event.detail = std::string(kMaxTraceText - 1, 'x') + "\xc3\xa4";
  const auto read = parse_trace_line(lines_of(event));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->detail, std::string(kMaxTraceText - 1, 'x') + "...");
}

TEST(TraceLine, ManyRecipientsAreSeveralLines) {
  TraceEvent event{.id = "a-1", .time = 1};
  for (std::size_t i = 0; i < 2 * kMaxTraceRecipients + 1; ++i) event.to.push_back("u" + std::to_string(i) + "@example.org");
  std::istringstream lines(lines_of(event));
  std::vector<std::string> all;
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto read = parse_trace_line(line);
    ASSERT_TRUE(read);
    all.insert(all.end(), read->to.begin(), read->to.end());
  }
  EXPECT_EQ(count, 3U);
  EXPECT_EQ(all, event.to);
}

TEST(TraceLine, WhatIsNoLineIsNotRead) {
  const auto line = lines_of(whole_event());
  for (std::size_t i = 0; i + 2 < line.size(); ++i) EXPECT_FALSE(parse_trace_line(line.substr(0, i))) << i;
  for (const auto* text : {"", "[]", "null", "{\"id\":1}", "{\"id\":\"a\",\"kind\":\"received\",\"time\":\"yesterday\"}",
                           "{\"id\":\"a\",\"kind\":\"new\",\"time\":\"2026-01-01T00:00:00.123Z\"}"}) {
    EXPECT_FALSE(parse_trace_line(text)) << text;
  }
}

std::string contents(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

std::vector<std::string> names(const fs::path& directory) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(directory)) found.push_back(entry.path().filename());
  std::ranges::sort(found);
  return found;
}

class TraceFiles : public ::testing::Test {
 protected:
  std::unique_ptr<FileTraceLog> open() {
    auto log = FileTraceLog::open(options, clock);
    EXPECT_TRUE(log);
    return std::move(*log);
  }
  std::vector<std::string> ids(const std::string& what, TraceQuery query = {}) {
    query.what = what;
    const auto found = search_trace(options.directory, query);
    EXPECT_TRUE(found);
    std::vector<std::string> out;
    for (const auto& message : *found) out.push_back(message.id);
    return out;
  }
  TracedMessage message(const std::string& id, TraceQuery query = {}) {
    query.what = id;
    auto found = search_trace(options.directory, query);
    EXPECT_TRUE(found);
    for (auto& traced : *found) {
      if (traced.id == id) return std::move(traced);
    }
    return {};
  }
  std::vector<TraceKind> kinds(const TracedMessage& traced) {
    std::vector<TraceKind> out;
    for (const auto& event : traced.events) out.push_back(event.kind);
    return out;
  }

  directory::TestFolder folder;
  ManualClock clock;  // 2026-01-01T00:00:00Z
  TraceOptions options{.directory = fs::path(folder.path()) / "trace", .gather = std::chrono::milliseconds(0)};
};

TEST_F(TraceFiles, OneFileAnHour) {
  const auto log = open();
  log->add({.id = "a-1"});
  log->flush();
  clock.advance(std::chrono::minutes(59));
  log->add({.id = "a-2"});
  log->flush();
  clock.advance(std::chrono::minutes(1));
  log->add({.id = "a-3"});
  log->flush();
  EXPECT_THAT(names(options.directory), ElementsAre("2026010100.log", "2026010101.log"));
  EXPECT_EQ(contents(options.directory / "2026010100.log"),
            "{\"id\":\"a-1\",\"time\":\"2026-01-01T00:00:00.000Z\",\"kind\":\"received\"}\n{\"id\":\"a-2\",\"time\":\"2026-01-01T00:59:00."
            "000Z\",\"kind\":\"received\"}\n");
}

TEST_F(TraceFiles, TheDestructorWritesTheRest) {
  options.gather = std::chrono::hours(1);
  open()->add({.id = "a-1"});
  EXPECT_THAT(ids("a-1"), ElementsAre("a-1"));
}

TEST_F(TraceFiles, OldFilesAreRemovedAndOthersLeftAlone) {
  options.retention = std::chrono::days(2);
  fs::create_directories(options.directory);
  for (const auto* name : {"2025122923.log", "2025123000.log", "2025123001.log", "notes.log", "2025122900.txt"})
    std::ofstream(options.directory / name) << "\n";
  const auto log = open();
  log->add({.id = "a-1"});
  log->flush();
  EXPECT_THAT(names(options.directory), ElementsAre("2025122900.txt", "2025123000.log", "2025123001.log", "2026010100.log", "notes.log"));
}

TEST_F(TraceFiles, ATornLineIsEndedBeforeTheNext) {
  fs::create_directories(options.directory);
  std::ofstream(options.directory / "2026010100.log") << "{\"id\":\"torn-1\",\"ti";
  const auto log = open();
  log->add({.id = "a-1"});
  log->flush();
  EXPECT_TRUE(contents(options.directory / "2026010100.log").starts_with("{\"id\":\"torn-1\",\"ti\n{\"id\":\"a-1\",\"time\":"));
  EXPECT_THAT(ids("a-1"), ElementsAre("a-1"));
  EXPECT_TRUE(ids("torn-1").empty());
}

TEST_F(TraceFiles, ARemovedFileIsMadeAgain) {
  const auto log = open();
  log->add({.id = "a-1"});
  log->flush();
  fs::remove_all(options.directory);
  log->add({.id = "a-2"});
  log->flush();
  EXPECT_THAT(ids("a-2"), ElementsAre("a-2"));
}

TEST_F(TraceFiles, AFullBufferDropsAndCounts) {
  options.max_buffered = 200;
  options.gather = std::chrono::hours(1);
  auto& dropped = metrics::counter("relais_smtp_trace_dropped_total", "trace events lost because the buffer or the disk was full");
  const auto before = dropped.value();
  {
    const auto log = open();
    for (int i = 0; i < 10; ++i) log->add({.id = "event-" + std::to_string(i), .detail = std::string(50, 'x')});
  }
  EXPECT_GE(dropped.value() - before, 8U);
  EXPECT_THAT(ids("event-0"), ElementsAre("event-0"));
  EXPECT_TRUE(ids("event-9").empty());
}

TEST_F(TraceFiles, AnUnwritableDiskDropsAndCounts) {
  auto& dropped = metrics::counter("relais_smtp_trace_dropped_total", "trace events lost because the buffer or the disk was full");
  const auto log = open();
  const auto before = dropped.value();
  fs::remove_all(options.directory);
  std::ofstream(options.directory) << "a file is in the way";
  log->add({.id = "a-1"});
  log->flush();
  EXPECT_EQ(dropped.value() - before, 1U);
  fs::remove(options.directory);
  log->add({.id = "a-2"});
  log->flush();
  EXPECT_THAT(ids("a-2"), ElementsAre("a-2"));
}

TEST_F(TraceFiles, ManyThreadsLoseNothing) {
  {
    const auto log = open();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 500; ++i) log->add({.id = "t" + std::to_string(t) + "-" + std::to_string(i), .to = {"all@example.org"}});
      });
    }
    for (auto& thread : threads) thread.join();
  }
  EXPECT_EQ(ids("all@example.org", {.what = {}, .max_messages = 10'000}).size(), 2'000U);
}

/// Three messages over three hours.
class TraceSearch : public TraceFiles {
 protected:
  void SetUp() override {
    const auto log = open();
    const auto add = [&](TraceEvent event) {
      log->add(std::move(event));
      log->flush();
    };
    add({.id = "s1-1", .kind = TraceKind::refused, .to = {"nobody@example.org"}, .reply = "550 5.1.1 no such mailbox"});
    clock.advance(std::chrono::hours(1));
    add({.id = "s1-1",
         .kind = TraceKind::received,
         .from = "Ada@Example.org",
         .to = {"bob@example.net"},
         .message_id = "<One@example.org>"});
    add({.id = "s1-1", .kind = TraceKind::queued, .to = {"bob@example.net"}});
    add({.id = "s2-1",
         .kind = TraceKind::received,
         .from = "eve@example.com",
         .to = {"ada@example.org"},
         .message_id = "<two@example.com>"});
    add({.id = "s2-1", .kind = TraceKind::delivered, .to = {"ada@example.org"}});
    clock.advance(std::chrono::hours(1));
    add({.id = "s1-1", .kind = TraceKind::attempt, .to = {"bob@example.net"}});
    clock.advance(std::chrono::hours(5));
    add({.id = "s1-1", .kind = TraceKind::bounced, .to = {"bob@example.net"}, .reply = "550 5.1.1 unknown"});
    add({.id = "s1-1.n1", .kind = TraceKind::received, .to = {"ada@example.org"}, .parent = "s1-1"});
    add({.id = "s1-1.n1", .kind = TraceKind::delivered, .to = {"ada@example.org"}});
  }
};

TEST_F(TraceSearch, ByTraceIdWithWhatCameOfIt) {
  EXPECT_THAT(ids("s1-1"), ElementsAre("s1-1.n1", "s1-1"));
  using enum TraceKind;
  EXPECT_THAT(kinds(message("s1-1")), ElementsAre(refused, received, queued, attempt, bounced));
  EXPECT_THAT(kinds(message("s1-1.n1")), ElementsAre(received, delivered));
  EXPECT_TRUE(ids("s1").empty()) << "a part of an id is none";
}

TEST_F(TraceSearch, ByMessageId) {
  EXPECT_THAT(ids("<One@example.org>"), ElementsAre("s1-1"));
  EXPECT_THAT(ids("One@example.org"), ElementsAre("s1-1"));
  EXPECT_TRUE(ids("<one@example.org>").empty()) << "RFC 5322: Message-IDs differ by case";
}

TEST_F(TraceSearch, ByAddressNewestFirst) {
  EXPECT_THAT(ids("ADA@example.ORG"), ElementsAre("s1-1.n1", "s2-1", "s1-1"));
  EXPECT_THAT(ids("ada@example.org", {.what = {}, .max_messages = 2}), ElementsAre("s1-1.n1", "s2-1"));
  EXPECT_THAT(ids("nobody@example.org"), ElementsAre("s1-1"));
  EXPECT_TRUE(ids("a@example.org").empty());
}

TEST_F(TraceSearch, SinceLooksAtWhatHappenedFromThenOn) {
  const auto hour = std::int64_t{1'767'225'600} + 6 * 3'600;
  EXPECT_THAT(ids("ada@example.org", {.what = {}, .since = hour}), ElementsAre("s1-1.n1"));
  EXPECT_EQ(message("s1-1", {.what = {}, .since = hour}).events.size(), 5U) << "its whole life, also what is older";
}

TEST_F(TraceSearch, AnAnswerIsBounded) {
  const auto cut = message("s1-1", {.what = {}, .max_events = 2});
  EXPECT_TRUE(cut.cut);
  EXPECT_THAT(kinds(cut), ElementsAre(TraceKind::refused, TraceKind::received));
  EXPECT_FALSE(message("s1-1", {.what = {}, .max_events = 5}).cut);
}

TEST_F(TraceSearch, NothingIsAnAnswerToo) {
  EXPECT_TRUE(ids("zoe@example.org").empty());
  EXPECT_FALSE(search_trace(options.directory, {.what = " <> "}));
  const auto none = search_trace(options.directory / "nowhere", {.what = "x"});
  EXPECT_TRUE(none && none->empty());
}

TEST_F(TraceFiles, SearchCrossesWindowsAndLongLines) {
  // Some 6 MB in one file: windows of 1 MB, and lines that are longer than one.
  {
    const auto log = open();
    std::vector<std::string> many;
    for (std::size_t i = 0; i < kMaxTraceRecipients; ++i) many.push_back(std::string(1'000, 'r') + std::to_string(i) + "@example.org");
    for (int i = 0; i < 8; ++i) {
      log->add({.id = "long-" + std::to_string(i), .to = many});
      for (int k = 0; k < 500; ++k)
        log->add({.id = "m" + std::to_string(i) + "-" + std::to_string(k), .to = {"k" + std::to_string(k) + "@example.org"}});
    }
  }
  EXPECT_THAT(ids("k7@example.org"), ElementsAre("m7-7", "m6-7", "m5-7", "m4-7", "m3-7", "m2-7", "m1-7", "m0-7"));
  EXPECT_EQ(ids(std::string(1'000, 'r') + "499@example.org").size(), 8U);
  EXPECT_EQ(message("m0-0").events.size(), 1U);
}

}  // namespace
}  // namespace relais::smtp
