// Dates of mail: RFC 5322 fields and IMAP's date-time, both ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::message {

/// An instant and the zone it was written in.
struct DateTime {
  std::int64_t seconds = 0;       ///< since 1970-01-01T00:00:00Z, leap seconds not counted
  std::int16_t zone_minutes = 0;  ///< east of UTC
  friend bool operator==(const DateTime&, const DateTime&) = default;
};

/// The value of a Date field, or a Received field's part after the semicolon. Accepts what RFC 5322 §4.3 calls obsolete (two-digit years,
/// named zones, comments, missing seconds) and what real mailers write (missing zone, "GMT+0100", month before day as asctime does, ISO
/// 8601).
/// @return nullopt where no date can be made out, or a part is out of its range.
std::optional<DateTime> parse_date(std::string_view value);

/// "Thu, 1 Jan 2026 10:00:00 +0100" (RFC 5322 §3.3). Years 1900 to 9999; others are moved to the nearer of them.
std::string format_date(DateTime date);

/// IMAP `date-time` without its quotes: " 1-Jan-2026 10:00:00 +0000" (RFC 9051 §9). A one-digit day without the space is accepted too.
std::optional<DateTime> parse_imap_date_time(std::string_view text);
/// The inverse, always 26 octets, without quotes.
std::string format_imap_date_time(DateTime date);
/// The same, appended.
void append_imap_date_time(std::string& out, DateTime date);

/// IMAP `date-text`: "1-Feb-1994" to days since 1970-01-01 (RFC 9051 §9).
std::optional<std::int64_t> parse_imap_date(std::string_view text);

/// The day as written, in its zone: days since 1970-01-01. What BEFORE, ON, SINCE and their SENT forms compare.
std::int64_t written_day(DateTime date) noexcept;

}  // namespace relais::message
