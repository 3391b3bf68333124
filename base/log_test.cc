// Log lines and metrics as they appear.
#include "base/log.h"

#include "base/metrics.h"
#include "base/random.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <set>
#include <thread>

namespace relais {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;
using namespace std::chrono_literals;

std::vector<std::string> lines;

class Log : public testing::Test {
 protected:
  Log() {
    lines.clear();
    log::capture([](std::string_view line) { lines.emplace_back(line); });
  }
  ~Log() override {
    log::capture(nullptr);
    log::configure(log::Level::info, log::Format::logfmt);
  }
};

TEST_F(Log, LogfmtLine) {
  log::event(log::Level::info, "login", {{"user", "ann@example.org"}, {"tries", 3}, {"ok", true}, {"note", "two words"}, {"empty", ""}});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], MatchesRegex("ts=[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z level=info event=login "
                                     "user=ann@example.org tries=3 ok=true note=\"two words\" empty=\"\""));
}

TEST_F(Log, LevelsBelowTheMinimumAreSilent) {
  log::configure(log::Level::warning, log::Format::logfmt);
  EXPECT_FALSE(log::enabled(log::Level::info));
  log::event(log::Level::info, "quiet", {});
  log::event(log::Level::error, "loud", {});
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_THAT(lines[0], HasSubstr("level=error event=loud"));
}

TEST_F(Log, SessionLinesCarryTheSession) {
  const log::Session session("imap", "abc123", "192.0.2.1");
  session.event(log::Level::info, "select", {{"mailbox", "INBOX"}});
  EXPECT_THAT(lines.at(0), HasSubstr("event=select session=abc123 proto=imap peer=192.0.2.1 mailbox=INBOX"));
}

TEST_F(Log, HostileValuesStayInsideTheirQuotes) {
  const struct {
    std::string_view value;
    std::string_view logfmt;
    std::string_view json;
  } cases[] = {
      {"a\"b\\c", R"("a\"b\\c")", R"("a\"b\\c")"},
      {"a\r\nlevel=error", R"("a\r\nlevel=error")", R"("a\r\nlevel=error")"},
      {"a=b", R"("a=b")", R"("a=b")"},
      {"tab\there", R"("tab\there")", R"("tab\there")"},
      {{"nul\0\x1b[31m\x7f", 10}, R"("nul\u0000\u001b[31m\u007f")", R"("nul\u0000\u001b[31m\u007f")"},
      {"h\xc3\xa9 \xe2\x82\xac", "\"h\xc3\xa9 \xe2\x82\xac\"", "\"h\xc3\xa9 \xe2\x82\xac\""},
      {"c1 \xc2\x9b", R"("c1 \u009b")", R"("c1 \u009b")"},
      {"bad \xe9 \xc0\x80 \xed\xa0\x80", R"("bad \xe9 \xc0\x80 \xed\xa0\x80")", R"("bad \\xe9 \\xc0\\x80 \\xed\\xa0\\x80")"},
      {"cut \xe2\x82", R"("cut \xe2\x82")", R"("cut \\xe2\\x82")"},
  };
  for (const auto& c : cases) {
    log::configure(log::Level::info, log::Format::logfmt);
    log::event(log::Level::info, "x", {{"v", c.value}});
    EXPECT_THAT(lines.back(), HasSubstr(" v=" + std::string(c.logfmt)));
    log::configure(log::Level::info, log::Format::json);
    log::event(log::Level::info, "x", {{"v", c.value}, {"n", -7}});
    EXPECT_THAT(lines.back(), HasSubstr(",\"v\":" + std::string(c.json) + ",\"n\":-7}"));
    EXPECT_NO_THROW(static_cast<void>(nlohmann::json::parse(lines.back())));
  }
}

TEST_F(Log, LongValuesAreCut) {
  log::event(log::Level::info, "x", {{"v", std::string(5000, 'a')}});
  EXPECT_THAT(lines.at(0), HasSubstr(std::string(1024, 'a') + "...\""));
  EXPECT_LT(lines.at(0).size(), 1200U);
}

TEST(LogWriter, WritesEveryLineWholeFromManyThreads) {
  log::configure(log::Level::info, log::Format::logfmt);
  testing::internal::CaptureStderr();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 500; ++i) log::event(i % 50 == 0 ? log::Level::warning : log::Level::info, "line", {{"thread", t}, {"i", i}});
    });
  for (auto& thread : threads) thread.join();
  log::flush();
  const auto text = testing::internal::GetCapturedStderr();
  std::set<std::string> seen;
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size(); ++count) {
    const auto end = text.find('\n', at);
    ASSERT_NE(end, std::string::npos);
    const auto line = text.substr(at, end - at);
    EXPECT_TRUE(line.starts_with("ts=")) << line;
    seen.insert(line.substr(line.find("thread=")));
    at = end + 1;
  }
  EXPECT_EQ(count, 2000U);
  EXPECT_EQ(seen.size(), 2000U);
}

TEST(SessionId, IsShortAndDiffers) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const auto id = log::new_session_id();
    EXPECT_THAT(id, MatchesRegex("[a-z0-9]{12}"));
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000U);
}

TEST(Random, OctetsFillAndDiffer) {
  EXPECT_EQ(random_octets(0).size(), 0U);
  const auto a = random_octets(1000);
  EXPECT_EQ(a.size(), 1000U);
  EXPECT_NE(a, random_octets(1000));
  EXPECT_GT(std::set<char>(a.begin(), a.end()).size(), 200U);
}

TEST(Metrics, TheSameNameAndLabelsAreTheSameMetric) {
  auto& a = metrics::counter("relais_test_same_total", "same", {{"k", "v"}});
  EXPECT_EQ(&a, &metrics::counter("relais_test_same_total", "same", {{"k", "v"}}));
  EXPECT_NE(&a, &metrics::counter("relais_test_same_total", "same", {{"k", "w"}}));
}

TEST(Metrics, PrometheusText) {
  metrics::counter("relais_test_things_total", "things that happened", {{"kind", "a\"b\\c\nd"}}).add(3);
  metrics::counter("relais_test_things_total", "things that happened").add();
  metrics::gauge("relais_test_open", "open now").set(-2);
  auto& histogram = metrics::histogram("relais_test_wait_seconds", "waits", {{"x", "y"}});
  histogram.observe(0ns);
  histogram.observe(16us);
  histogram.observe(16us + 1ns);
  histogram.observe(32us);
  histogram.observe(1h);
  const auto text = metrics::render();
  EXPECT_THAT(text, HasSubstr("# HELP relais_test_things_total things that happened\n# TYPE relais_test_things_total counter\n"
                              "relais_test_things_total 1\nrelais_test_things_total{kind=\"a\\\"b\\\\c\\nd\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE relais_test_open gauge\nrelais_test_open -2\n"));
  EXPECT_THAT(text, HasSubstr("relais_test_wait_seconds_bucket{x=\"y\",le=\"1.6e-05\"} 2\nrelais_test_wait_seconds_bucket{x=\"y\",le=\"3.2e-05\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("{x=\"y\",le=\"134.217728\"} 4\nrelais_test_wait_seconds_bucket{x=\"y\",le=\"+Inf\"} 5\n"
                              "relais_test_wait_seconds_sum{x=\"y\"} 3600.00006\nrelais_test_wait_seconds_count{x=\"y\"} 5\n"));
}

}  // namespace
}  // namespace relais
