// The pieces of IMAP responses, and the mapping from Error to a tagged reply.
#include "imap/proto/write.h"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <utility>

#include "base/ascii.h"
#include "base/check.h"
#include "imap/proto/cursor.h"
#include "imap/proto/mailbox.h"

namespace relais::imap {
namespace {

/// Above this a literal is shorter work for both ends than a quoted string (octets; RFC 7162 §4 recommends lines up to 8192).
constexpr std::size_t kMaxQuoted = 1024;

enum class Form : std::uint8_t { quoted, escaped, literal };

Form form_of(std::string_view text, bool utf8) noexcept {
  if (text.size() > kMaxQuoted) return Form::literal;
  auto form = Form::quoted;
  bool eight_bit = false;
  for (const char c : text) {
    if (c == '\r' || c == '\n' || c == '\0') return Form::literal;
    if (c == '"' || c == '\\') form = Form::escaped;
    eight_bit |= static_cast<signed char>(c) < 0;
  }
  // RFC 6855 §3: UTF-8 in quoted strings only for clients that asked for it.
  if (eight_bit && (!utf8 || !is_utf8(text))) return Form::literal;
  return form;
}

void append_literal(std::string& out, std::string_view text) {
  if (text.contains('\0')) {
    std::string kept(text);
    std::erase(kept, '\0');
    append_literal_start(out, kept.size());
    out += kept;
    return;
  }
  append_literal_start(out, text.size());
  out += text;
}

void append_range(std::string& out, std::uint32_t first, std::uint32_t last) {
  append_number(out, first);
  if (last == first) return;
  out += ':';
  append_number(out, last);
}

/// Numbers in the order given; runs that ascend by one become ranges.
void append_runs(std::string& out, std::span<const std::uint32_t> numbers) {
  for (std::size_t i = 0; i < numbers.size();) {
    auto end = i + 1;
    while (end < numbers.size() && numbers[end - 1] + 1 == numbers[end]) ++end;
    if (i > 0) out += ',';
    append_range(out, numbers[i], numbers[end - 1]);
    i = end;
  }
}

template <class Keywords>
void append_flag_list(std::string& out, std::uint8_t system, const Keywords& keywords, bool recent) {
  out += '(';
  const auto start = out.size();
  const auto put = [&out, start](std::string_view name) {
    if (out.size() > start) out += ' ';
    out += name;
  };
  for (auto bits = static_cast<unsigned>(system & kAllSystemFlags); bits != 0; bits &= bits - 1) {
    put(name_of(static_cast<SystemFlag>(1U << std::countr_zero(bits))));
  }
  if (recent) put("\\Recent");
  for (const auto& keyword : keywords) put(keyword);
  out += ')';
}

void append_two_digits(std::string& out, unsigned number) {
  out += static_cast<char>('0' + number / 10 % 10);
  out += static_cast<char>('0' + number % 10);
}

struct Answer {
  std::string_view word;
  std::string_view code;
  std::string_view text;
};

// RFC 9051 §7.1, RFC 5530 §3
constexpr Answer answer_to(Fault fault) noexcept {
  switch (fault) {
    case Fault::syntax: return {"BAD", "", "Syntax error"};
    case Fault::refused: return {"NO", "", "Refused"};
    case Fault::temporary: return {"NO", "UNAVAILABLE", "Try again later"};
    case Fault::corrupt: return {"NO", "SERVERBUG", "Internal error"};
    case Fault::closed: break;
  }
  return {};
}

}  // namespace

std::string reply_for(std::string_view tag, const Error& error) {
  std::string out;
  const auto answer = answer_to(error.fault);
  if (answer.word.empty()) return out;
  out.append(tag).append(" ").append(answer.word).append(" ");
  const std::string_view code = error.code.empty() ? answer.code : std::string_view(error.code);
  if (!code.empty()) {
    out += '[';
    append_text(out, code);
    out += "] ";
  }
  append_text(out, error.text.empty() ? answer.text : std::string_view(error.text));
  out += "\r\n";
  return out;
}

void append_string(std::string& out, std::string_view text, Dialect dialect) {
  switch (form_of(text, dialect.utf8)) {
    case Form::quoted:
      out += '"';
      out += text;
      out += '"';
      break;
    case Form::escaped:
      out += '"';
      for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        out += c;
      }
      out += '"';
      break;
    case Form::literal: append_literal(out, text); break;
  }
}

void append_nstring(std::string& out, std::optional<std::string_view> text, Dialect dialect) {
  if (text) {
    append_string(out, *text, dialect);
  } else {
    out += "NIL";
  }
}

void append_astring(std::string& out, std::string_view text, Dialect dialect) {
  const bool atom = !text.empty() && text.size() <= kMaxQuoted &&
                    std::ranges::all_of(text, [](char c) { return c == ']' || is_atom_char(c); }) && !iequals(text, "NIL");
  if (atom) {
    out += text;
  } else {
    append_string(out, text, dialect);
  }
}

void append_literal_start(std::string& out, std::uint64_t octets) {
  out += '{';
  append_number(out, octets);
  out += "}\r\n";
}

void append_literal8_start(std::string& out, std::uint64_t octets) {
  out += '~';
  append_literal_start(out, octets);
}

void append_mailbox(std::string& out, std::string_view utf8_name, Dialect dialect) {
  if (!dialect.utf8 && (utf8_name.contains('&') || !is_ascii(utf8_name))) {
    if (const auto encoded = utf8_to_utf7(utf8_name)) return append_astring(out, *encoded, dialect);
  }
  append_astring(out, utf8_name, dialect);
}

void append_text(std::string& out, std::string_view text, Dialect dialect) {
  const bool keep = dialect.utf8 && is_utf8(text);
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    out += octet < 0x20 || octet == 0x7F || (octet > 0x7F && !keep) ? '?' : c;
  }
}

void append_flags(std::string& out, std::uint8_t system, std::span<const std::string> keywords, bool recent) {
  append_flag_list(out, system, keywords, recent);
}

void append_flags(std::string& out, std::uint8_t system, std::span<const std::string_view> keywords, bool recent) {
  append_flag_list(out, system, keywords, recent);
}

// date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE    RFC 9051 §9
void append_date_time(std::string& out, DateTime when) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  // Years of four digits, whatever was stored.
  constexpr std::int64_t kFirst = -62'135'596'800 + 86'400;  // 0001-01-02
  constexpr std::int64_t kLast = 253'402'300'799 - 86'400;   // 9999-12-30
  const auto local = std::clamp(when.seconds, kFirst, kLast) + std::int64_t{when.zone_minutes} * 60;
  const std::chrono::sys_seconds at{std::chrono::seconds(local)};
  const auto day = std::chrono::floor<std::chrono::days>(at);
  const std::chrono::year_month_day date(day);
  const auto second = static_cast<unsigned>((at - day).count());
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));
  out += '"';
  append_two_digits(out, static_cast<unsigned>(date.day()));
  if (out[out.size() - 2] == '0') out[out.size() - 2] = ' ';
  out += '-';
  out += kMonths[static_cast<unsigned>(date.month()) - 1];
  out += '-';
  append_two_digits(out, year / 100);
  append_two_digits(out, year % 100);
  out += ' ';
  append_two_digits(out, second / 3600);
  out += ':';
  append_two_digits(out, second / 60 % 60);
  out += ':';
  append_two_digits(out, second % 60);
  out += when.zone_minutes < 0 ? " -" : " +";
  const auto zone = static_cast<unsigned>(std::abs(static_cast<int>(when.zone_minutes)));
  append_two_digits(out, zone / 60);
  append_two_digits(out, zone % 60);
  out += '"';
}

void append_number_set(std::string& out, const NumberSet& set) {
  bool first = true;
  for (const auto range : set.ranges()) {
    if (!std::exchange(first, false)) out += ',';
    append_range(out, range.first, range.last);
  }
}

void append_count(std::string& out, std::uint64_t number, std::string_view name) {
  out += "* ";
  append_number(out, number);
  out += ' ';
  out += name;
  out += "\r\n";
}

// DQUOTE QUOTED-CHAR DQUOTE / nil                                              RFC 9051 §9
void append_separator(std::string& out, char separator) {
  if (separator == '\0') {
    out += "NIL";
  } else {
    append_string(out, std::string_view(&separator, 1));
  }
}

// namespace-response = "NAMESPACE" SP namespace SP namespace SP namespace
// namespace-descr    = "(" string SP (DQUOTE QUOTED-CHAR DQUOTE / nil) … ")"   RFC 9051 §9
void append_namespace(std::string& out, std::string_view prefix, Dialect dialect) {
  const auto encoded = dialect.utf8 ? std::nullopt : utf8_to_utf7(prefix);
  out += "* NAMESPACE ((";
  append_string(out, encoded ? std::string_view(*encoded) : prefix, dialect);
  out += ' ';
  append_separator(out, dialect.separator);
  out += ")) NIL NIL\r\n";
}

// mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]    RFC 9051 §9
void append_list(std::string& out, const ListLine& line, Dialect dialect) {
  out += line.lsub ? "* LSUB (" : "* LIST (";
  for (std::size_t i = 0; i < line.attributes.size(); ++i) {
    if (i > 0) out += ' ';
    out += line.attributes[i];
  }
  out += ") ";
  append_separator(out, dialect.separator);
  out += ' ';
  append_mailbox(out, line.name, dialect);
  if (!line.child_info.empty() || line.old_name) {
    out += " (";
    if (!line.child_info.empty()) {
      // The options are quoted always: RFC 5258 §6 childinfo-extended-item, note 2.
      out += "\"CHILDINFO\" (";
      for (std::size_t i = 0; i < line.child_info.size(); ++i) {
        if (i > 0) out += ' ';
        out += '"';
        out += line.child_info[i];
        out += '"';
      }
      out += ')';
    }
    if (line.old_name) {
      if (!line.child_info.empty()) out += ' ';
      out += "\"OLDNAME\" (";
      append_mailbox(out, *line.old_name, dialect);
      out += ')';
    }
    out += ')';
  }
  out += "\r\n";
}

void append_status(std::string& out, std::string_view mailbox, StatusItems items, const StatusValues& values, Dialect dialect) {
  out += "* STATUS ";
  append_mailbox(out, mailbox, dialect);
  out += " (";
  const auto start = out.size();
  const auto name = [&](std::string_view text) {
    if (out.size() > start) out += ' ';
    out += text;
    out += ' ';
  };
  const auto number = [&](StatusItem item, std::string_view text, std::uint64_t value) {
    if ((items & item) == 0) return;
    name(text);
    append_number(out, value);
  };
  number(kStatusMessages, "MESSAGES", values.messages);
  number(kStatusRecent, "RECENT", values.recent);
  number(kStatusUidNext, "UIDNEXT", values.uid_next);
  number(kStatusUidValidity, "UIDVALIDITY", values.uid_validity);
  number(kStatusUnseen, "UNSEEN", values.unseen);
  number(kStatusDeleted, "DELETED", values.deleted);
  number(kStatusDeletedStorage, "DELETED-STORAGE", values.deleted_storage);
  number(kStatusSize, "SIZE", values.size);
  number(kStatusHighestModSeq, "HIGHESTMODSEQ", values.highest_mod_seq);
  if ((items & kStatusMailboxId) != 0) {
    name("MAILBOXID");
    out += '(';
    out += values.mailbox_id;
    out += ')';
  }
  if ((items & kStatusAppendLimit) != 0) {
    name("APPENDLIMIT");
    if (values.append_limit) {
      append_number(out, *values.append_limit);
    } else {
      out += "NIL";
    }
  }
  out += ")\r\n";
}

void append_search(std::string& out, const NumberSet& found, std::optional<std::uint64_t> mod_seq) {
  out += "* SEARCH";
  found.for_each([&out](std::uint32_t number) {
    out += ' ';
    append_number(out, number);
  });
  if (mod_seq && !found.empty()) {
    out += " (MODSEQ ";
    append_number(out, *mod_seq);
    out += ')';
  }
  out += "\r\n";
}

// esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)    RFC 9051 §9
void append_esearch(std::string& out, const Esearch& result) {
  out += "* ESEARCH";
  if (!result.tag.empty()) {
    out += " (TAG ";
    append_string(out, result.tag);
    out += ')';
  }
  if (result.uid) out += " UID";
  const auto number = [&out](std::string_view name, std::uint64_t value) {
    out += name;
    append_number(out, value);
  };
  if (result.min) number(" MIN ", *result.min);
  if (result.max) number(" MAX ", *result.max);
  if (result.all != nullptr && !result.all->empty()) {
    out += " ALL ";
    append_number_set(out, *result.all);
  }
  if (result.count) number(" COUNT ", *result.count);
  if (result.partial) {
    // ret-data-partial = "PARTIAL" SP "(" partial-range SP partial-results ")"    RFC 9394 §4
    const std::string_view sign = result.partial->from_end ? "-" : "";
    out += " PARTIAL (";
    out += sign;
    append_number(out, result.partial->first);
    out += ':';
    out += sign;
    append_number(out, result.partial->last);
    out += ' ';
    if (result.partial_found != nullptr && !result.partial_found->empty()) {
      append_number_set(out, *result.partial_found);
    } else {
      out += "NIL";
    }
    out += ')';
  }
  if (result.mod_seq) number(" MODSEQ ", *result.mod_seq);
  out += "\r\n";
}

void append_vanished(std::string& out, const NumberSet& uids, bool earlier) {
  out += earlier ? "* VANISHED (EARLIER) " : "* VANISHED ";
  append_number_set(out, uids);
  out += "\r\n";
}

// resp-code-apnd = "APPENDUID" SP nz-number SP append-uid                      RFC 9051 §9, RFC 4315 §4
void append_appenduid(std::string& out, std::uint32_t uid_validity, const NumberSet& uids) {
  out += "[APPENDUID ";
  append_number(out, uid_validity);
  out += ' ';
  append_number_set(out, uids);
  out += "] ";
}

// resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set                RFC 9051 §9
void append_copyuid(std::string& out, std::uint32_t uid_validity, std::span<const std::uint32_t> from, std::span<const std::uint32_t> to) {
  RELAIS_CHECK(from.size() == to.size());
  out += "[COPYUID ";
  append_number(out, uid_validity);
  out += ' ';
  append_runs(out, from);
  out += ' ';
  append_runs(out, to);
  out += "] ";
}

}  // namespace relais::imap
