// Dates: what is read can be written, and reading that gives the same instant.
#include <cstdlib>
#include <string>
#include <string_view>

#include "message/date.h"

using namespace relais::message;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

void check_date(DateTime date) {
  // Written times lie in the years 1900 to 9999.
  constexpr std::int64_t kFirst = -2'208'988'800 + 8 * 86'400;
  constexpr std::int64_t kLast = 253'402'300'799 - 8 * 86'400;
  check(format_imap_date_time(date).size() == 26);
  if (date.seconds < kFirst || date.seconds > kLast) return;
  check(parse_date(format_date(date)) == date);
  check(parse_imap_date_time(format_imap_date_time(date)) == date);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto date = parse_date(text)) check_date(*date);
  if (const auto date = parse_imap_date_time(text)) check_date(*date);
  if (const auto day = parse_imap_date(text)) check(written_day({*day * 86'400, 0}) == *day);
  return 0;
}
