// FETCH's arguments, and the names of its items in responses.
#include "imap/proto/fetch.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/ascii.h"
#include "imap/proto/cursor.h"
#include "imap/proto/write.h"

namespace relais::imap {
namespace {

using Kind = FetchItem::Kind;

struct Row {
  std::string_view name;
  Kind kind;
};
// fetch-att without section                                                    RFC 9051 §9, RFC 3501 §9, and the extensions
constexpr std::array<Row, 14> kPlain{{
    {"FLAGS", Kind::flags},
    {"UID", Kind::uid},
    {"ENVELOPE", Kind::envelope},
    {"INTERNALDATE", Kind::internal_date},
    {"RFC822.SIZE", Kind::size},
    {"BODY", Kind::body},
    {"BODYSTRUCTURE", Kind::body_structure},
    {"MODSEQ", Kind::mod_seq},
    {"EMAILID", Kind::email_id},
    {"THREADID", Kind::thread_id},
    {"SAVEDATE", Kind::save_date},
    {"RFC822", Kind::rfc822},
    {"RFC822.HEADER", Kind::rfc822_header},
    {"RFC822.TEXT", Kind::rfc822_text},
}};

struct Sectioned {
  std::string_view name;
  Kind kind;
  bool peek;
};
constexpr std::array<Sectioned, 5> kSectioned{{
    {"BODY", Kind::section, false},
    {"BODY.PEEK", Kind::section, true},
    {"BINARY", Kind::binary, false},
    {"BINARY.PEEK", Kind::binary, true},
    {"BINARY.SIZE", Kind::binary_size, true},
}};

// RFC 9051 §6.4.5: the macros
constexpr std::array<Kind, 5> kFull{Kind::flags, Kind::internal_date, Kind::size, Kind::envelope, Kind::body};
constexpr std::size_t kFast = 3;
constexpr std::size_t kAll = 4;

struct TextName {
  std::string_view name;
  SectionText text;
};
constexpr std::array<TextName, 5> kTexts{{
    {"HEADER", SectionText::header},
    {"HEADER.FIELDS", SectionText::header_fields},
    {"HEADER.FIELDS.NOT", SectionText::header_fields_not},
    {"TEXT", SectionText::text},
    {"MIME", SectionText::mime},
}};

// header-list = "(" header-fld-name *(SP header-fld-name) ")"                  RFC 9051 §9
void header_list(Cursor& in, FetchItem& item) {
  in.sp();
  in.octet('(', "list of header fields");
  do {
    if (item.names.size() == kMaxHeaderNames) in.refuse("LIMIT", "Too many header fields");
    item.names.push_back(in.astring());
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the header fields");
}

// section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"
// section-text    = section-msgtext / "MIME", the latter only behind a part    RFC 9051 §9
void section_text(Cursor& in, FetchItem& item) {
  const auto word = in.peek_word();
  const auto row =
      std::ranges::find_if(kTexts, [word](const TextName& r) { return r.name.size() == word.size() && iequals(r.name, word); });
  if (row == kTexts.end() || (row->text == SectionText::mime && item.part.empty())) return in.miss("section");
  in.skip(word.size());
  item.text = row->text;
  if (item.text == SectionText::header_fields || item.text == SectionText::header_fields_not) header_list(in, item);
}

// section        = "[" [section-msgtext / (section-part ["." section-text])] "]"
// section-binary = "[" [section-part] "]"
// section-part   = nz-number *("." nz-number)                                  RFC 9051 §9
void section(Cursor& in, FetchItem& item) {
  in.octet('[', "section");
  const auto at_digit = [&in] { return !in.at_end() && ascii_digit(in.rest().front()); };
  bool text_follows = !in.peek(']');
  while (at_digit()) {
    if (item.part.size() == kMaxSectionDepth) in.refuse("LIMIT", "Section is nested too deeply");
    item.part.push_back(in.nz_number());
    text_follows = in.accept('.');
    if (!text_follows) break;
  }
  if (text_follows && item.kind == Kind::section) section_text(in, item);
  in.octet(']', "\"]\" behind the section");
}

// partial = "<" number64 "." nz-number64 ">"                                   RFC 9051 §9
void partial(Cursor& in, FetchItem& item) {
  if (!in.accept('<')) return;
  auto& range = item.partial.emplace();
  range.offset = in.number64();
  in.octet('.', "partial");
  range.length = in.nz_number64();
  in.octet('>', "\">\" behind the partial");
}

// fetch-att                                                                    RFC 9051 §9
void fetch_att(Cursor& in, FetchArgs& args) {
  const auto word = in.peek_word();
  const auto same = [word](const auto& row) { return row.name.size() == word.size() && iequals(row.name, word); };
  FetchItem item;
  if (in.rest().substr(word.size()).starts_with('[')) {
    const auto row = std::ranges::find_if(kSectioned, same);
    if (row == kSectioned.end()) return in.miss("fetch item");
    in.skip(word.size());
    item.kind = row->kind;
    item.peek = row->peek;
    section(in, item);
    if (item.kind != Kind::binary_size) partial(in, item);
  } else {
    const auto row = std::ranges::find_if(kPlain, same);
    if (row == kPlain.end()) return in.miss("fetch item");
    in.skip(word.size());
    if (args.has(row->kind)) return;
    item.kind = row->kind;
  }
  if (args.items.size() == kMaxFetchItems) return in.refuse("LIMIT", "Too many fetch items");
  args.items.push_back(std::move(item));
}

void macro(std::size_t count, FetchArgs& args) {
  for (const auto kind : std::span(kFull).first(count)) args.items.emplace_back().kind = kind;
}

// fetch-modifiers = SP "(" fetch-modifier *(SP fetch-modifier) ")"             RFC 4466 §6
// fetch-modifier  = "CHANGEDSINCE" SP mod-sequence-value / "VANISHED"          RFC 7162 §7
//                 / "PARTIAL" SP partial-range                                 RFC 9394 §4
void modifiers(Cursor& in, bool uid, FetchArgs& args) {
  in.octet('(', "fetch modifiers");
  do {
    if (!args.changed_since && in.accept_word("CHANGEDSINCE")) {
      in.sp();
      args.changed_since = in.nz_number64();
    } else if (uid && in.accept_word("VANISHED")) {
      args.vanished = true;
    } else if (uid && !args.partial && in.accept_word("PARTIAL")) {
      in.sp();
      args.partial = in.partial_range();
    } else {
      in.miss(uid ? "CHANGEDSINCE, VANISHED or PARTIAL" : "CHANGEDSINCE");
    }
  } while (in.accept(' '));
  in.octet(')', "\")\" behind the fetch modifiers");
  if (args.vanished && !args.changed_since) in.miss("CHANGEDSINCE beside VANISHED");  // RFC 7162 §3.2.6
}

}  // namespace

bool FetchArgs::has(FetchItem::Kind kind) const noexcept {
  return std::ranges::any_of(items, [kind](const FetchItem& item) { return item.kind == kind; });
}

// fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")") [fetch-modifiers]
//                                                                              RFC 9051 §9, RFC 4466 §6
Result<FetchArgs> parse_fetch(std::string_view rest, bool uid, Dialect dialect) {
  Cursor in(rest, dialect);
  FetchArgs args;
  in.sp();
  args.messages = in.sequence_set();
  in.sp();
  if (in.accept('(')) {
    do fetch_att(in, args);
    while (in.accept(' '));
    in.octet(')', "\")\" behind the fetch items");
  } else if (in.accept_word("ALL")) {
    macro(kAll, args);
  } else if (in.accept_word("FULL")) {
    macro(kFull.size(), args);
  } else if (in.accept_word("FAST")) {
    macro(kFast, args);
  } else {
    fetch_att(in, args);
  }
  if (in.accept(' ')) modifiers(in, uid, args);
  in.end();
  if (!in.ok()) return in.error();
  return args;
}

void append_item_name(std::string& out, const FetchItem& item) {
  for (const auto& row : kPlain) {
    if (row.kind == item.kind) {
      out += row.name;
      return;
    }
  }
  out += item.kind == Kind::section ? "BODY[" : item.kind == Kind::binary ? "BINARY[" : "BINARY.SIZE[";
  for (std::size_t i = 0; i < item.part.size(); ++i) {
    if (i > 0) out += '.';
    append_number(out, item.part[i]);
  }
  for (const auto& row : kTexts) {
    if (row.text != item.text) continue;
    if (!item.part.empty()) out += '.';
    out += row.name;
  }
  if (!item.names.empty()) {
    out += ' ';
    char before = '(';
    for (const auto& name : item.names) {
      out += before;
      append_astring(out, name);
      before = ' ';
    }
    out += ')';
  }
  out += ']';
  if (item.partial) {
    out += '<';
    append_number(out, item.partial->offset);
    out += '>';
  }
}

}  // namespace relais::imap
