// Dates.
#include "message/date.h"

#include <gtest/gtest.h>

namespace relais::message {
namespace {

constexpr std::int64_t kInstant = 1'767'261'600;  // 2026-01-01T10:00:00Z

TEST(Date, Rfc5322) {
  const std::pair<std::string_view, DateTime> rows[] = {
      {"Thu, 1 Jan 2026 10:00:00 +0000", {kInstant, 0}},
      {" Thu,  1 Jan 2026 11:00:00 +0100\r\n", {kInstant, 60}},
      {"1 Jan 2026 05:00 -0500", {kInstant, -300}},
      {"Thu, 01 Jan 26 10:00:00 GMT", {kInstant, 0}},
      {"Thu, 1 Jan 126 10:00:00 UT", {kInstant, 0}},
      {"Thu, 1 Jan 2026 05:00:00 EST", {kInstant, -300}},
      {"Thu, 1 Jan 2026 05:00:00 -0500 (EST)", {kInstant, -300}},
      {"Thu (day), 1 (d) Jan 2026 10 : 00 : 00 (t) +0000", {kInstant, 0}},
      {"Thu, 1 Jan 2026 10:00:00 A", {kInstant, 0}},
      {"Thu, 1 Jan 2026 15:30:00 +0530", {kInstant, 330}},
      {"Thu, 1 Jan 2026 10:00:00", {kInstant, 0}},
      {"Thu, 1 Jan 2026 11:00:00 GMT+0100", {kInstant, 60}},
      {"Thu Jan  1 10:00:00 2026", {kInstant, 0}},
      {"Thu Jan  1 05:00:00 EST 2026", {kInstant, -300}},
      {"2026-01-01T12:00:00+02:00", {kInstant, 120}},
      {"2026-01-01 10:00:00.123Z", {kInstant, 0}},
      {"1-Jan-2026 10:00:00 +0000", {kInstant, 0}},
      {"January 1, 2026 10:00:00 AM", {kInstant, 0}},
      {"1 Jan 2026", {kInstant - 36'000, 0}},
      {"1 Jan 2026 10:00:00 -20:60006000000", {kInstant, 0}},
      {"Thu, 1 Jan 1970 00:00:00 +0000", {0, 0}},
      {"31 Dec 1969 23:59:59 +0000", {-1, 0}},
      {"29 Feb 2024 00:00:00 +0000", {1'709'164'800, 0}},
      {"31 Dec 2016 23:59:60 +0000", {1'483'228'800, 0}},
  };
  for (const auto& [text, date] : rows) EXPECT_EQ(parse_date(text), date) << text;
}

TEST(Date, Malformed) {
  for (const std::string_view text :
       {"", "yesterday", "Thu, 32 Jan 2026 10:00:00 +0000", "29 Feb 2025 00:00:00 +0000", "1 Foo 2026 10:00:00", "10:00:00",
        "1 Jan 2026 24:00:00 +0000", "1 Jan 2026 10:60:00 +0000", "1 Jan 20260 10:00:00", "99999999999999999999", "(((((1 Jan 2026"})
    EXPECT_EQ(parse_date(text), std::nullopt) << text;
}

TEST(Date, Format) {
  EXPECT_EQ(format_date({kInstant, 60}), "Thu, 1 Jan 2026 11:00:00 +0100");
  EXPECT_EQ(format_date({kInstant, -570}), "Thu, 1 Jan 2026 00:30:00 -0930");
  EXPECT_EQ(format_date({0, 0}), "Thu, 1 Jan 1970 00:00:00 +0000");
  EXPECT_EQ(format_date({-1, 0}), "Wed, 31 Dec 1969 23:59:59 +0000");
  EXPECT_EQ(format_date({std::numeric_limits<std::int64_t>::max(), 0}), "Fri, 31 Dec 9999 23:59:59 +0000");
  EXPECT_EQ(format_date({std::numeric_limits<std::int64_t>::min(), 0}), "Mon, 1 Jan 1900 00:00:00 +0000");
}

TEST(Date, RoundTrip) {
  for (std::int64_t t = -2'000'000'000; t < 10'000'000'000; t += 86'399 * 37) {
    const DateTime date{t, static_cast<std::int16_t>(t % 840)};
    ASSERT_EQ(parse_date(format_date(date)), date);
    ASSERT_EQ(parse_imap_date_time(format_imap_date_time(date)), date);
    ASSERT_EQ(format_imap_date_time(date).size(), 26U);
  }
}

// RFC 9051 §9 date-time
TEST(ImapDateTime, Grammar) {
  EXPECT_EQ(parse_imap_date_time(" 1-Jan-2026 10:00:00 +0000"), (DateTime{kInstant, 0}));
  EXPECT_EQ(parse_imap_date_time("01-jan-2026 11:00:00 +0100"), (DateTime{kInstant, 60}));
  EXPECT_EQ(parse_imap_date_time("1-Jan-2026 10:00:00 +0000"), (DateTime{kInstant, 0}));
  EXPECT_EQ(format_imap_date_time({kInstant, -90}), " 1-Jan-2026 08:30:00 -0130");
  for (const std::string_view text :
       {"", " 1-Jan-2026 10:00:00", " 1-Jan-2026 10:00:00 +00", "32-Jan-2026 10:00:00 +0000", "00-Jan-2026 10:00:00 +0000",
        " 1-Jax-2026 10:00:00 +0000", " 1-Jan-2026 25:00:00 +0000", " 1-Jan-2026 10:00:00 00000", " 1-Jan-2026 10:00:00 +0060",
        " 1 Jan 2026 10:00:00 +0000", "  1-Jan-2026 10:00:00 +000"})
    EXPECT_EQ(parse_imap_date_time(text), std::nullopt) << text;
}

TEST(ImapDate, Days) {
  EXPECT_EQ(parse_imap_date("1-Jan-1970"), 0);
  EXPECT_EQ(parse_imap_date("01-Jan-2026"), kInstant / 86'400);
  EXPECT_EQ(parse_imap_date("31-Dec-1969"), -1);
  for (const std::string_view text :
       {"", "1-Jan-26", "0-Jan-2026", "30-Feb-2026", "1-Jan-2026 ", "\"1-Jan-2026\"", "1 Jan 2026", "-Jan-2026"})
    EXPECT_EQ(parse_imap_date(text), std::nullopt) << text;
  EXPECT_EQ(written_day({kInstant + 13 * 3600, 60}), kInstant / 86'400 + 1);
  EXPECT_EQ(written_day({-1, 0}), -1);
}

}  // namespace
}  // namespace relais::message
