// Reads and writes dates.
#include "message/date.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/ascii.h"
#include "message/lexer.h"

namespace relais::message {
namespace {

constexpr std::int64_t kDay = 86'400;  // seconds
constexpr std::string_view kMonths = "janfebmaraprmayjunjulaugsepoctnovdec";
constexpr std::array<std::string_view, 12> kMonthNames = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::array<std::string_view, 7> kDayNames = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

// Proleptic Gregorian calendar; days since 1970-01-01 (the usual shift of the year's start to March).
constexpr std::int64_t days_from_civil(std::int64_t year, int month, int day) noexcept {
  year -= month <= 2 ? 1 : 0;
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const std::int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146'097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719'468;
}

struct Civil {
  std::int64_t year;
  int month;
  int day;
};

constexpr Civil civil_from_days(std::int64_t days) noexcept {
  days += 719'468;
  const std::int64_t era = (days >= 0 ? days : days - 146'096) / 146'097;
  const std::int64_t day_of_era = days - era * 146'097;
  const std::int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const std::int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int shifted = static_cast<int>((5 * day_of_year + 2) / 153);
  const int day = static_cast<int>(day_of_year - (153 * shifted + 2) / 5 + 1);
  const int month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day};
}

constexpr std::int64_t floor_div(std::int64_t a, std::int64_t b) noexcept { return a / b - (a % b < 0 ? 1 : 0); }

constexpr int days_in_month(std::int64_t year, int month) noexcept {
  if (month == 2) return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28;
  return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

// 1 to 12, or 0.
int month_number(std::string_view word) noexcept {
  if (word.size() < 3) return 0;
  for (std::size_t i = 0; i < 12; ++i) {
    if (iequals(word.substr(0, 3), kMonths.substr(i * 3, 3))) return static_cast<int>(i) + 1;
  }
  return 0;
}

// RFC 5322 §4.3 obs-zone, and others seen in mail. Unknown ones count as UTC, as that section asks for.
std::int16_t zone_by_name(std::string_view word) noexcept {
  struct Zone {
    std::string_view name;
    std::int16_t hours;
  };
  static constexpr Zone kZones[] = {{"EDT", -4}, {"EST", -5}, {"CDT", -5}, {"CST", -6}, {"MDT", -6}, {"MST", -7},
                                    {"PDT", -7}, {"PST", -8}, {"BST", 1},  {"CET", 1},  {"MET", 1},  {"CEST", 2},
                                    {"MEST", 2}, {"EET", 2},  {"EEST", 3}, {"MSK", 3},  {"JST", 9},  {"HST", -10}};
  for (const auto& zone : kZones) {
    if (iequals(word, zone.name)) return static_cast<std::int16_t>(zone.hours * 60);
  }
  return 0;
}

struct Fields {
  std::int64_t year = -1;
  int month = 0;
  int day = 0;
  int hour = 0;
  int minute = 0;
  int second = 0;
  int zone = 0;  // minutes
};

std::optional<DateTime> assemble(const Fields& f) noexcept {
  if (f.year < 0 || f.year > 9999 || f.month < 1 || f.month > 12 || f.day < 1 || f.day > days_in_month(f.year, f.month))
    return std::nullopt;
  if (f.hour > 23 || f.minute > 59 || f.second > 60) return std::nullopt;
  const auto local = days_from_civil(f.year, f.month, f.day) * kDay + f.hour * 3600 + f.minute * 60 + f.second;
  return DateTime{local - f.zone * 60, static_cast<std::int16_t>(f.zone)};
}

// Reads the parts of a date in whatever order they come.
class DateParser {
 public:
  explicit DateParser(std::string_view text) : in_(text) {}

  std::optional<DateTime> run() {
    for (int tokens = 0; tokens < 24; ++tokens) {  // a date has at most about ten
      in_.skip_cfws();
      if (in_.at_end()) break;
      const char c = in_.peek();
      if (ascii_digit(c)) {
        if (!number()) return std::nullopt;
      } else if (ascii_alpha(c)) {
        word();
      } else if ((c == '+' || c == '-') && have_time_) {
        in_.skip();
        if (ascii_digit(in_.peek())) zone(c == '-');
      } else {
        in_.skip();  // "," between day name and date, "-" in 1-Jan-2026
      }
    }
    return assemble(f_);
  }

 private:
  std::string_view take(bool (*member)(char)) {
    const auto rest = in_.rest();
    std::size_t n = 0;
    while (n < rest.size() && member(rest[n])) ++n;
    in_.set_rest(rest.substr(n));
    return rest.substr(0, n);
  }
  std::string_view digits() {
    return take([](char c) { return ascii_digit(c); });
  }

  static int value(std::string_view digits) noexcept {
    int n = 0;
    std::from_chars(digits.data(), digits.data() + std::min<std::size_t>(digits.size(), 9), n);
    return n;
  }

  bool number() {
    const auto text = digits();
    const int n = value(text);
    in_.skip_cfws();
    if (in_.peek() == ':' && !have_time_) {
      time(n);
    } else if (f_.year < 0 && text.size() >= 3) {
      if (text.size() > 4) return false;
      f_.year = text.size() == 3 ? n + 1900 : n;  // RFC 5322 §4.3 obs-year
      iso_ = f_.day == 0 && f_.month == 0;
    } else if (iso_ && f_.month == 0) {
      f_.month = n;
    } else if (f_.day == 0) {
      f_.day = n;
    } else if (f_.year < 0 && text.size() <= 2) {
      f_.year = n + (n < 50 ? 2000 : 1900);
    } else {
      return have_time_;  // something after the date
    }
    return true;
  }

  void time(int hour) {
    have_time_ = true;
    f_.hour = hour;
    in_.skip();
    in_.skip_cfws();
    f_.minute = value(digits());
    in_.skip_cfws();
    if (!in_.accept(':')) return;
    in_.skip_cfws();
    f_.second = value(digits());
    if (in_.peek() == '.') {  // fractions of a second
      in_.skip();
      digits();
    }
  }

  void zone(bool west) {
    const auto text = digits();
    int n = value(text);
    if (in_.peek() == ':' && text.size() <= 2) {
      in_.skip();
      const auto minutes = digits();
      if (minutes.size() != 2) return;
      n = n * 100 + value(minutes);
    } else if (text.size() <= 2) {
      n *= 100;
    }
    if (text.size() > 4 || n % 100 > 59) return;
    const int minutes = n / 100 * 60 + n % 100;
    f_.zone = west ? -minutes : minutes;
  }

  void word() {
    const auto text = take([](char c) { return ascii_alpha(c); });
    if (have_time_ && iequals(text, "pm") && f_.hour < 12)
      f_.hour += 12;
    else if (have_time_ && iequals(text, "am") && f_.hour == 12)
      f_.hour = 0;
    else if (const int month = f_.month == 0 ? month_number(text) : 0; month != 0)
      f_.month = month;
    else if (have_time_ && f_.zone == 0)
      f_.zone = zone_by_name(text);
  }

  Lexer in_;
  Fields f_;
  bool have_time_ = false;
  bool iso_ = false;  // the year came first: 2026-01-31
};

void append_two(std::string& out, int n) {
  out.push_back(static_cast<char>('0' + n / 10));
  out.push_back(static_cast<char>('0' + n % 10));
}

void append_year(std::string& out, std::int64_t year) {
  append_two(out, static_cast<int>(year / 100));
  append_two(out, static_cast<int>(year % 100));
}

struct Local {
  Civil date;
  std::int64_t days;
  int seconds;  // of the day
  int zone;     // minutes
};

Local to_local(DateTime date) noexcept {
  static constexpr std::int64_t kFirst = days_from_civil(1900, 1, 1) * kDay;
  static constexpr std::int64_t kLast = days_from_civil(10'000, 1, 1) * kDay - 1;
  const int zone = std::clamp<int>(date.zone_minutes, -99 * 60 - 59, 99 * 60 + 59);
  const auto local = std::clamp(std::clamp(date.seconds, kFirst - kDay * 5, kLast + kDay * 5) + zone * 60, kFirst, kLast);
  const auto days = floor_div(local, kDay);
  return {civil_from_days(days), days, static_cast<int>(local - days * kDay), zone};
}

// "10:00:00 +0100"
void append_time(std::string& out, const Local& local) {
  append_two(out, local.seconds / 3600);
  out.push_back(':');
  append_two(out, local.seconds / 60 % 60);
  out.push_back(':');
  append_two(out, local.seconds % 60);
  out.append(local.zone < 0 ? " -" : " +");
  const int zone = local.zone < 0 ? -local.zone : local.zone;
  append_two(out, zone / 60);
  append_two(out, zone % 60);
}

// n digits at text[pos], or -1.
int fixed_number(std::string_view text, std::size_t pos, std::size_t n) noexcept {
  int value = 0;
  for (std::size_t i = pos; i < pos + n; ++i) {
    if (i >= text.size() || !ascii_digit(text[i])) return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// date-text = date-day "-" date-month "-" date-year; the day has been read.
bool read_month_year(std::string_view text, Fields& f) noexcept {
  if (text.size() != 9 || text[0] != '-' || text[4] != '-') return false;
  f.month = month_number(text.substr(1, 3));
  f.year = fixed_number(text, 5, 4);
  return f.month != 0 && f.year >= 0;
}

}  // namespace

std::optional<DateTime> parse_date(std::string_view value) { return DateParser(value).run(); }

std::string format_date(DateTime date) {
  const auto local = to_local(date);
  std::string out;
  out.reserve(32);
  out.append(kDayNames[static_cast<std::size_t>(((local.days + 4) % 7 + 7) % 7)]).append(", ");  // 1970-01-01 was a Thursday
  append_number(out, static_cast<std::uint64_t>(local.date.day));
  out.append(" ").append(kMonthNames[static_cast<std::size_t>(local.date.month - 1)]).append(" ");
  append_year(out, local.date.year);
  out.push_back(' ');
  append_time(out, local);
  return out;
}

// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE        RFC 9051 §9
std::optional<DateTime> parse_imap_date_time(std::string_view text) {
  std::string padded;
  if (text.size() == 25) text = padded.append(" ").append(text);
  if (text.size() != 26) return std::nullopt;
  Fields f;
  f.day = text[0] == ' ' ? fixed_number(text, 1, 1) : fixed_number(text, 0, 2);
  if (!read_month_year(text.substr(2, 9), f) || text[11] != ' ' || text[14] != ':' || text[17] != ':' || text[20] != ' ')
    return std::nullopt;
  f.hour = fixed_number(text, 12, 2);
  f.minute = fixed_number(text, 15, 2);
  f.second = fixed_number(text, 18, 2);
  const int zone_hours = fixed_number(text, 22, 2);
  const int zone_minutes = fixed_number(text, 24, 2);
  if (f.hour < 0 || f.minute < 0 || f.second < 0 || zone_hours < 0 || zone_minutes < 0 || zone_minutes > 59) return std::nullopt;
  if (text[21] != '+' && text[21] != '-') return std::nullopt;
  f.zone = (zone_hours * 60 + zone_minutes) * (text[21] == '-' ? -1 : 1);
  return assemble(f);
}

void append_imap_date_time(std::string& out, DateTime date) {
  const auto local = to_local(date);
  if (local.date.day < 10) out.push_back(' ');
  append_number(out, static_cast<std::uint64_t>(local.date.day));
  out.append("-").append(kMonthNames[static_cast<std::size_t>(local.date.month - 1)]).append("-");
  append_year(out, local.date.year);
  out.push_back(' ');
  append_time(out, local);
}

std::string format_imap_date_time(DateTime date) {
  std::string out;
  out.reserve(26);
  append_imap_date_time(out, date);
  return out;
}

// date-text = date-day "-" date-month "-" date-year; date-day = 1*2DIGIT        RFC 9051 §9
std::optional<std::int64_t> parse_imap_date(std::string_view text) {
  const auto dash = text.find('-');
  if (dash != 1 && dash != 2) return std::nullopt;
  Fields f;
  f.day = fixed_number(text, 0, dash);
  if (!read_month_year(text.substr(dash), f)) return std::nullopt;
  const auto date = assemble(f);
  if (!date) return std::nullopt;
  return date->seconds / kDay - (date->seconds % kDay < 0 ? 1 : 0);
}

std::int64_t written_day(DateTime date) noexcept { return floor_div(date.seconds + date.zone_minutes * 60, kDay); }

}  // namespace relais::message
