// HOLDFOR, HOLDUNTIL, BY, MT-PRIORITY.
#include "smtp/proto/schedule.h"

#include "base/ascii.h"

#include <array>
#include <chrono>
#include <cstdio>

namespace relais::smtp {
namespace {

// 1*9DIGIT
std::optional<std::int32_t> nine_digits(std::string_view text) {
  if (text.empty() || text.size() > 9) return std::nullopt;
  const auto number = parse_u64(text);
  if (!number) return std::nullopt;
  return static_cast<std::int32_t>(*number);
}

/// Reads fixed-width numbers and separators; the first mismatch is remembered.
class Cursor {
 public:
  explicit Cursor(std::string_view text) : rest_(text) {}
  int number(std::size_t digits) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (rest_.empty() || !ascii_digit(rest_.front())) {
        good_ = false;
        return 0;
      }
      value = value * 10 + (rest_.front() - '0');
      rest_.remove_prefix(1);
    }
    return value;
  }
  bool accept(char a, char b) {
    if (rest_.empty() || (rest_.front() != a && rest_.front() != b)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char a, char b) { good_ = accept(a, b) && good_; }
  void skip_digits() {
    number(1);
    while (!rest_.empty() && ascii_digit(rest_.front())) rest_.remove_prefix(1);
  }
  bool good() const { return good_; }
  bool done() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

// time-offset = "Z" / ("+" / "-") time-hour ":" time-minute   RFC 3339 §5.6; in seconds
int time_offset(Cursor& in) {
  if (in.accept('Z', 'z')) return 0;
  const bool east = in.accept('+', '+');
  if (!east) in.expect('-', '-');
  const int hours = in.number(2);
  in.expect(':', ':');
  const int minutes = in.number(2);
  if (hours > 23 || minutes > 59) in.expect('\0', '\0');
  return (east ? 1 : -1) * (hours * 3600 + minutes * 60);
}

}  // namespace

// date-time = full-date "T" full-time                        RFC 3339 §5.6
std::optional<std::int64_t> parse_date_time(std::string_view text) {
  using namespace std::chrono;
  Cursor in(text);
  const int y = in.number(4);
  in.expect('-', '-');
  const auto m = static_cast<unsigned>(in.number(2));
  in.expect('-', '-');
  const auto d = static_cast<unsigned>(in.number(2));
  in.expect('T', 't');
  const int hour = in.number(2);
  in.expect(':', ':');
  const int minute = in.number(2);
  in.expect(':', ':');
  const int second = in.number(2);
  if (in.accept('.', '.')) in.skip_digits();
  const int offset = time_offset(in);
  const year_month_day date{year{y}, month{m}, day{d}};
  if (!in.done() || !date.ok() || hour > 23 || minute > 59 || second > 60) return std::nullopt;  // 60: a leap second
  return sys_days{date}.time_since_epoch().count() * std::int64_t{86'400} + hour * 3600 + minute * 60 + second - offset;
}

std::string format_date_time(std::int64_t seconds) {
  using namespace std::chrono;
  const sys_seconds time{std::chrono::seconds{seconds}};
  const auto midnight = floor<days>(time);
  const year_month_day date{midnight};
  const hh_mm_ss clock{time - midnight};
  std::array<char, 40> text{};
  const int size =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02dZ", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), static_cast<int>(clock.hours().count()),
                    static_cast<int>(clock.minutes().count()), static_cast<int>(clock.seconds().count()));
  return {text.data(), static_cast<std::size_t>(size)};
}

// future-release-interval = 1*9DIGIT                         RFC 4865 §3 (5)
std::optional<Hold> parse_hold_for(std::string_view value) {
  const auto seconds = nine_digits(value);
  if (!seconds || *seconds == 0) return std::nullopt;
  return Hold{false, *seconds, "for;" + std::string(value)};
}

// future-release-date-time = Internet-style-date-time        RFC 4865 §3 (6), RFC 3339
std::optional<Hold> parse_hold_until(std::string_view value) {
  const auto time = parse_date_time(value);
  if (!time) return std::nullopt;
  return Hold{true, *time, "until;" + std::string(value)};
}

// by-value = by-time ";" by-mode [by-trace]                  RFC 2852 §4
std::optional<DeliverBy> parse_deliver_by(std::string_view value) {
  const auto semicolon = value.find(';');
  if (semicolon == std::string_view::npos) return std::nullopt;
  auto time = value.substr(0, semicolon);
  const auto mode = value.substr(semicolon + 1);
  const bool negative = time.starts_with('-');
  if (negative || time.starts_with('+')) time.remove_prefix(1);
  const auto seconds = nine_digits(time);
  if (!seconds || mode.empty() || mode.size() > 2) return std::nullopt;
  DeliverBy by{negative ? -*seconds : *seconds, iequals(mode.substr(0, 1), "R"), mode.size() == 2};
  if (!by.give_up && !iequals(mode.substr(0, 1), "N")) return std::nullopt;
  if (by.trace && !iequals(mode.substr(1), "T")) return std::nullopt;
  if (by.give_up && by.seconds <= 0) return std::nullopt;
  return by;
}

// priority-value = (["-"] NZDIGIT) / "0"                     RFC 6710 §7
std::optional<int> parse_priority(std::string_view value) {
  const bool negative = value.starts_with('-');
  if (negative) value.remove_prefix(1);
  if (value.size() != 1 || !ascii_digit(value[0]) || (negative && value[0] == '0')) return std::nullopt;
  return negative ? '0' - value[0] : value[0] - '0';
}

std::string to_string(const DeliverBy& by) {
  auto out = std::to_string(by.seconds);
  out += by.give_up ? ";R" : ";N";
  if (by.trace) out += 'T';
  return out;
}

}  // namespace relais::smtp
