// The terminals and shared productions of the IMAP grammar.
#include "imap/proto/cursor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "base/ascii.h"
#include "imap/proto/mailbox.h"

namespace relais::imap {
namespace {

constexpr std::uint8_t kAtom = 1;     // ATOM-CHAR
constexpr std::uint8_t kAstring = 2;  // ASTRING-CHAR: ATOM-CHAR / "]"
constexpr std::uint8_t kList = 4;     // list-char: ASTRING-CHAR / "%" / "*"
constexpr std::uint8_t kWord = 8;     // what keywords and item names are made of

// RFC 9051 §9 ATOM-CHAR, ASTRING-CHAR, list-char
constexpr std::array<std::uint8_t, 256> kClasses = [] {
  std::array<std::uint8_t, 256> table{};
  for (unsigned c = 0x21; c < 0x7F; ++c) table[c] = kAtom | kAstring | kList;
  for (const char c : std::string_view{"(){\"\\"}) table[static_cast<unsigned char>(c)] = 0;
  for (const char c : std::string_view{"%*"}) table[static_cast<unsigned char>(c)] = kList;
  table[']'] = kAstring | kList;
  for (unsigned c = 0; c < 0x7F; ++c) {
    const auto ch = static_cast<char>(c);
    if (ascii_alpha(ch) || ascii_digit(ch) || std::string_view{"-.=+_/:"}.contains(ch)) table[c] |= kWord;
  }
  return table;
}();

constexpr bool is_class(char c, std::uint8_t what) noexcept { return (kClasses[static_cast<unsigned char>(c)] & what) != 0; }

std::size_t run_of(std::string_view text, std::uint8_t what) noexcept {
  std::size_t n = 0;
  while (n < text.size() && is_class(text[n], what)) ++n;
  return n;
}

constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

struct StatusName {
  std::string_view name;
  StatusItem item;
};
constexpr std::array<StatusName, 11> kStatusNames{{
    {"MESSAGES", kStatusMessages},
    {"RECENT", kStatusRecent},
    {"UIDNEXT", kStatusUidNext},
    {"UIDVALIDITY", kStatusUidValidity},
    {"UNSEEN", kStatusUnseen},
    {"DELETED", kStatusDeleted},
    {"SIZE", kStatusSize},
    {"HIGHESTMODSEQ", kStatusHighestModSeq},
    {"MAILBOXID", kStatusMailboxId},
    {"APPENDLIMIT", kStatusAppendLimit},
    {"DELETED-STORAGE", kStatusDeletedStorage},
}};

}  // namespace

bool is_atom_char(char c) noexcept { return is_class(c, kAtom); }

std::unexpected<Error> Cursor::error() const {
  if (code_ != nullptr) return fail(Fault::refused, expected_, code_);
  return fail(Fault::syntax, std::string("expected ").append(expected_ == nullptr ? "something else" : expected_));
}

void Cursor::miss(const char* expected) noexcept {
  if (expected_ == nullptr) expected_ = expected;
  rest_ = {};
}

void Cursor::refuse(const char* code, const char* text) noexcept {
  if (expected_ == nullptr) {
    expected_ = text;
    code_ = code;
  }
  rest_ = {};
}

void Cursor::octet(char c, const char* expected) noexcept {
  if (!accept(c)) miss(expected);
}

bool Cursor::accept(char c) noexcept {
  if (!peek(c)) return false;
  rest_.remove_prefix(1);
  return true;
}

void Cursor::end() noexcept {
  if (!rest_.empty()) miss("end of command");
}

std::string_view Cursor::peek_word() const noexcept { return rest_.substr(0, run_of(rest_, kWord)); }

bool Cursor::accept_word(std::string_view upper) noexcept {
  const auto word = peek_word();
  if (word.size() != upper.size() || !iequals(word, upper)) return false;
  rest_.remove_prefix(word.size());
  return true;
}

// atom = 1*ATOM-CHAR                                                           RFC 9051 §9
std::string_view Cursor::atom() noexcept {
  const auto found = rest_.substr(0, run_of(rest_, kAtom));
  if (found.empty()) miss("atom");
  rest_.remove_prefix(found.size());
  return found;
}

// astring = 1*ASTRING-CHAR / string                                            RFC 9051 §9
std::string Cursor::astring() {
  if (const auto n = run_of(rest_, kAstring); n > 0) {
    std::string found(rest_.substr(0, n));
    rest_.remove_prefix(n);
    return found;
  }
  if (!peek('"') && !peek('{')) miss("astring");
  return string();
}

// string = quoted / literal                                                    RFC 9051 §9
std::string Cursor::string() {
  if (peek('"')) return quoted();
  if (peek('{')) {
    const auto octets = literal();
    if (octets.contains('\0')) miss("literal without NUL");  // CHAR8 = %x01-ff
    return std::string(ok() ? octets : std::string_view{});
  }
  miss("string");
  return {};
}

// nstring = string / nil                                                       RFC 9051 §9
std::optional<std::string> Cursor::nstring() {
  if (accept_word("NIL")) return std::nullopt;
  if (!peek('"') && !peek('{')) miss("string or NIL");
  return string();
}

// quoted = DQUOTE *QUOTED-CHAR DQUOTE
// QUOTED-CHAR = <any TEXT-CHAR except quoted-specials> / "\" quoted-specials / UTF8-2 / UTF8-3 / UTF8-4
std::string Cursor::quoted() {
  rest_.remove_prefix(1);
  std::string out;
  bool eight_bit = false;
  for (;;) {
    std::size_t n = 0;
    while (n < rest_.size()) {
      const char c = rest_[n];
      if (c == '"' || c == '\\' || c == '\r' || c == '\n' || c == '\0') break;
      eight_bit |= static_cast<signed char>(c) < 0;
      ++n;
    }
    out.append(rest_.substr(0, n));
    rest_.remove_prefix(n);
    if (accept('"')) break;
    if (!accept('\\') || (!peek('"') && !peek('\\'))) {
      miss("quoted string");
      return {};
    }
    out.push_back(rest_.front());
    rest_.remove_prefix(1);
  }
  if (eight_bit && !is_utf8(out)) {  // RFC 6855 §3: MUST reject with BAD
    miss("UTF-8 in quoted string");
    return {};
  }
  return out;
}

// literal = "{" number64 ["+"] "}" CRLF *CHAR8                                 RFC 9051 §9
std::string_view Cursor::literal() noexcept {
  octet('{', "literal");
  const auto size = number64();
  accept('+');
  octet('}', "literal");
  octet('\r', "CRLF behind the size of a literal");
  octet('\n', "CRLF behind the size of a literal");
  if (!ok() || size > rest_.size()) {
    miss("the octets of a literal");
    return {};
  }
  const auto octets = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return octets;
}

std::uint64_t Cursor::digits(std::uint64_t least, std::uint64_t most, const char* expected) noexcept {
  std::uint64_t value = 0;
  const auto* const begin = rest_.data();
  const auto* const last = begin + rest_.size();
  if (rest_.empty() || !ascii_digit(*begin) || (least > 0 && *begin == '0')) {
    miss(expected);
    return 0;
  }
  const auto [stop, failure] = std::from_chars(begin, last, value);
  if (failure != std::errc{} || value < least || value > most) {
    miss(expected);
    return 0;
  }
  rest_.remove_prefix(static_cast<std::size_t>(stop - begin));
  return value;
}

// number = 1*DIGIT, 0 <= n < 4,294,967,296                                     RFC 9051 §9
std::uint32_t Cursor::number() noexcept { return static_cast<std::uint32_t>(digits(0, 0xFFFF'FFFF, "number below 2^32")); }

// nz-number = digit-nz *DIGIT, 0 < n < 4,294,967,296                           RFC 9051 §9
std::uint32_t Cursor::nz_number() noexcept { return static_cast<std::uint32_t>(digits(1, 0xFFFF'FFFF, "nz-number")); }

// number64 = 1*DIGIT, 0 <= n <= 9,223,372,036,854,775,807                      RFC 9051 §9
std::uint64_t Cursor::number64() noexcept { return digits(0, kMaxNumber64, "number below 2^63"); }
std::uint64_t Cursor::nz_number64() noexcept { return digits(1, kMaxNumber64, "nz-number below 2^63"); }

// sequence-set = (seq-number / seq-range) ["," sequence-set] / "$"
// seq-range    = seq-number ":" seq-number
// seq-number   = nz-number / "*"                                               RFC 9051 §9
SequenceSet Cursor::sequence_set() {
  SequenceSet set;
  if (accept('$')) {
    set.saved = true;
    return set;
  }
  if (!peek('*') && (rest_.empty() || !ascii_digit(rest_.front()))) {
    miss("sequence-set");
    return set;
  }
  const auto seq_number = [this] { return accept('*') ? SequenceSet::kStar : nz_number(); };
  do {
    SequenceSet::Range range;
    range.first = seq_number();
    range.last = accept(':') ? seq_number() : range.first;
    set.ranges.push_back(range);
  } while (accept(','));
  if (!ok()) set.ranges.clear();
  return set;
}

// known-uids = sequence-set; "*" is not allowed                                RFC 7162 §7
NumberSet Cursor::known_set() {
  const auto set = sequence_set();
  if (!ok()) return {};
  if (set.saved || set.has_star()) {
    miss("set without \"*\" and \"$\"");
    return {};
  }
  return set.resolve(0);
}

// The name as the client wrote it, in UTF-8                                    RFC 9051 §5.1, RFC 3501 §5.1.3, RFC 6855 §3
std::string Cursor::decode_name(std::string name) {
  if (!ok()) return {};
  if (!dialect_.utf8 && (name.contains('&') || !is_ascii(name))) {
    auto decoded = utf7_to_utf8(name);
    if (!decoded && !dialect_.any_names) {
      refuse("CANNOT", "Mailbox name is not modified UTF-7");
      return {};
    }
    if (decoded) name = std::move(*decoded);
  }
  const bool allowed = dialect_.any_names ? !name.contains('\0') : name.empty() || is_mailbox_name(name);
  if (!allowed) {
    refuse("CANNOT", "Mailbox name holds characters that are not allowed");
    return {};
  }
  canonicalise_inbox(name, dialect_.separator);
  return name;
}

// mailbox = "INBOX" / astring                                                  RFC 9051 §9
std::string Cursor::mailbox() {
  auto name = decode_name(astring());
  if (ok() && name.empty()) refuse("CANNOT", "Mailbox name is empty");
  return name;
}

// RFC 9051 §6.3.9: what can't be a name matches none, which is no error.
std::optional<std::string> Cursor::decode_for_list(std::string name) {
  Cursor apart({}, dialect_);
  name = apart.decode_name(std::move(name));
  return apart.ok() ? std::optional(std::move(name)) : std::nullopt;
}

std::optional<std::string> Cursor::list_reference() { return decode_for_list(astring()); }

// list-mailbox = 1*list-char / string                                          RFC 9051 §9
std::optional<std::string> Cursor::list_mailbox() {
  std::string pattern;
  if (const auto n = run_of(rest_, kList); n > 0) {
    pattern.assign(rest_.substr(0, n));
    rest_.remove_prefix(n);
  } else {
    if (!peek('"') && !peek('{')) miss("mailbox name or pattern");
    pattern = string();
  }
  auto decoded = decode_for_list(std::move(pattern));
  if (!decoded) return std::nullopt;
  collapse_wildcards(*decoded);
  if (decoded->size() > kMaxPatternOctets) refuse("LIMIT", "Pattern is too long");
  return decoded;
}

// flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword / flag-extension
//        ; Does not include "\Recent"                                          RFC 9051 §9
void Cursor::flag_into(FlagList& out) {
  if (!peek('\\')) {
    if (rest_.empty() || !is_class(rest_.front(), kAtom)) return miss("flag");
    const auto keyword = atom();
    if (keyword.size() > kMaxKeyword) return refuse("LIMIT", "Keyword is too long");
    const auto same = [keyword](const std::string& other) { return iequals(other, keyword); };
    if (std::ranges::any_of(out.keywords, same)) return;
    if (out.keywords.size() == kMaxKeywords) return refuse("LIMIT", "Too many keywords");
    out.keywords.emplace_back(keyword);
    return;
  }
  const auto name = rest_.substr(0, 1 + run_of(rest_.substr(1), kAtom));
  const auto flag = system_flag(name);
  if (flag) {
    rest_.remove_prefix(name.size());
    out.system |= *flag;
  } else if (name.size() == 1 || iequals(name, "\\Recent")) {
    miss("flag that a client may set");
  } else {
    refuse("CANNOT", "No such system flag");
  }
}

// flag-list = "(" [flag *(SP flag)] ")"                                        RFC 9051 §9
FlagList Cursor::flag_list() {
  FlagList flags;
  octet('(', "flag list");
  if (accept(')')) return flags;
  do flag_into(flags);
  while (accept(' '));
  octet(')', "\")\" behind the flags");
  return flags;
}

FlagList Cursor::flags_bare() {
  FlagList flags;
  do flag_into(flags);
  while (accept(' '));
  return flags;
}

unsigned Cursor::fixed_digits(std::size_t count, const char* expected) noexcept {
  unsigned value = 0;
  if (rest_.size() < count || !std::ranges::all_of(rest_.substr(0, count), ascii_digit)) {
    miss(expected);
    return 0;
  }
  for (const char c : rest_.substr(0, count)) value = value * 10 + static_cast<unsigned>(c - '0');
  rest_.remove_prefix(count);
  return value;
}

// "-" date-month "-" date-year, and the day must exist in it                   RFC 9051 §9
std::chrono::sys_days Cursor::day_month_year(unsigned day) noexcept {
  octet('-', "date");
  const auto name = rest_.substr(0, 3);
  const auto month = std::ranges::find_if(kMonths, [name](std::string_view m) { return iequals(m, name); });
  if (month == kMonths.end()) {
    miss("month");
    return {};
  }
  rest_.remove_prefix(3);
  octet('-', "date");
  const auto year = fixed_digits(4, "year of four digits");
  if (!ok()) return {};
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month - kMonths.begin()) + 1), std::chrono::day(day)};
  if (!date.ok()) {
    miss("date that exists");
    return {};
  }
  return date;
}

// date = date-text / DQUOTE date-text DQUOTE
// date-text = date-day "-" date-month "-" date-year; date-day = 1*2DIGIT       RFC 9051 §9
std::chrono::sys_days Cursor::date() {
  const bool is_quoted = accept('"');
  const bool two = rest_.size() > 1 && ascii_digit(rest_[1]);
  const auto day = fixed_digits(two ? 2 : 1, "date");
  const auto result = day_month_year(day);
  if (is_quoted) octet('"', "closing quote");
  return result;
}

// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE
// date-day-fixed = (SP DIGIT) / 2DIGIT                                         RFC 9051 §9
DateTime Cursor::date_time() {
  octet('"', "date-time");
  const auto day = accept(' ') ? fixed_digits(1, "day") : fixed_digits(2, "day of two characters");
  const auto date = day_month_year(day);
  sp();
  const auto hour = fixed_digits(2, "time");
  octet(':', "time");
  const auto minute = fixed_digits(2, "time");
  octet(':', "time");
  const auto second = fixed_digits(2, "time");
  sp();
  const bool west = peek('-');
  if (!accept('-')) octet('+', "zone");
  const auto zone_hour = fixed_digits(2, "zone");
  const auto zone_minute = fixed_digits(2, "zone");
  octet('"', "closing quote");
  if (hour > 23 || minute > 59 || second > 60 || zone_hour > 23 || zone_minute > 59) miss("time that exists");
  if (!ok()) return {};
  const int zone = static_cast<int>(zone_hour * 60 + zone_minute) * (west ? -1 : 1);
  const auto local = std::chrono::sys_seconds(date).time_since_epoch().count() + hour * 3600 + minute * 60 + second;
  return {local - zone * 60, static_cast<std::int16_t>(zone)};
}

// "(" status-att *(SP status-att) ")"                                          RFC 9051 §9
StatusItems Cursor::status_items() {
  StatusItems items = 0;
  octet('(', "status items");
  do {
    const auto word = peek_word();
    const auto found = std::ranges::find_if(
        kStatusNames, [word](const StatusName& row) { return row.name.size() == word.size() && iequals(row.name, word); });
    if (found == kStatusNames.end()) {
      miss("status item");
      return 0;
    }
    items = static_cast<StatusItems>(items | found->item);
    rest_.remove_prefix(word.size());
  } while (accept(' '));
  octet(')', "\")\" behind the status items");
  return items;
}

// partial-range-first = nz-number ":" nz-number
// partial-range-last  = MINUS nz-number ":" MINUS nz-number                    RFC 9394 §4
PartialRange Cursor::partial_range() {
  PartialRange range;
  range.from_end = accept('-');
  range.first = nz_number();
  octet(':', "partial range");
  if (range.from_end) octet('-', "partial range of one sign");
  range.last = nz_number();
  if (range.last < range.first) std::swap(range.first, range.last);
  return range;
}

// objectid = 1*255(ALPHA / DIGIT / "_" / "-")                                  RFC 8474 §7
std::string Cursor::object_id() {
  std::size_t n = 0;
  while (n < rest_.size() && (ascii_alpha(rest_[n]) || ascii_digit(rest_[n]) || rest_[n] == '_' || rest_[n] == '-')) ++n;
  if (n == 0 || n > 255) {
    miss("objectid");
    return {};
  }
  std::string id(rest_.substr(0, n));
  rest_.remove_prefix(n);
  return id;
}

}  // namespace relais::imap
