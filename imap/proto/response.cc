// Reads the responses of servers, well-formed or nearly so.
#include "imap/proto/response.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "imap/proto/cursor.h"
#include "imap/proto/mailbox.h"
#include "imap/proto/response_reader.h"

namespace relais::imap {
namespace {

using Reader = ResponseReader;
using Kind = Response::Kind;

/// @param separator  nullopt: not known, or there are no levels
WireName name_of_mailbox(std::string wire, std::optional<char> separator) {
  WireName name;
  if (auto decoded = utf7_to_utf8(wire)) {
    name.utf8 = std::move(*decoded);
  } else if (is_utf8(wire)) {
    name.utf8 = wire;  // not encoded at all, or a bare "&"
  }
  if (name.utf8) canonicalise_inbox(*name.utf8, separator.value_or('\0'));
  name.wire = std::move(wire);
  return name;
}

/// Where "]" closes the code: not in quotes, nor in parentheses. Servers that leave one open get the first "]".
std::size_t end_of_code(std::string_view text) noexcept {
  std::size_t depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) i += text[i] == '\\' ? 1 : 0;
    } else if (c == '(') {
      ++depth;
    } else if (c == ')' && depth > 0) {
      --depth;
    } else if (c == ']' && depth == 0) {
      return i;
    }
  }
  return text.find(']');
}

// resp-text = ["[" resp-text-code "]" SP] [text]                               RFC 9051 §9
StatusText status_text(std::string_view text) {
  StatusText out;
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  if (text.starts_with('[')) {
    const auto end = end_of_code(text.substr(1));
    if (end != std::string_view::npos) {
      const auto code = text.substr(1, end);
      const auto name_size = std::min(code.find(' '), code.size());
      out.code = ResponseCode{to_upper(code.substr(0, name_size)), std::string(trim(code.substr(name_size)))};
      text.remove_prefix(end + 2);
      text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    }
  }
  out.text = text;
  return out;
}

Response::Words upper_words(Reader& in) {
  Response::Words words;
  for (in.spaces(); in.ok() && !in.at_end(); in.spaces()) {
    const auto word = in.word();
    if (word.empty()) in.miss("word");
    if (words.size() == Response::kMaxWords) in.miss("fewer words");
    words.push_back(to_upper(word));
  }
  return words;
}

std::optional<char> separator(Reader& in) {
  const bool is_nil = in.accept_word("NIL");
  if (is_nil) return std::nullopt;
  const auto text = in.text();
  if (text.size() > 1) in.miss("separator of one character");
  return text.empty() ? std::nullopt : std::optional<char>(text.front());
}

// mailbox-list = "(" [mbx-list-flags] ")" SP (DQUOTE QUOTED-CHAR DQUOTE / nil) SP mailbox [SP mbox-list-extended]    RFC 9051 §9
ListedMailbox listed(Reader& in, bool lsub) {
  ListedMailbox out;
  out.lsub = lsub;
  in.spaces();
  out.attributes = in.words_in_parentheses();
  in.spaces();
  out.separator = separator(in);
  in.spaces();
  out.name = name_of_mailbox(in.astring(), out.separator);
  in.spaces();
  if (!in.accept('(')) return out;
  for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
    const auto item = to_upper(in.astring());
    in.spaces();
    if (item == "CHILDINFO") {
      out.child_info = in.words_in_parentheses();
    } else if (item == "OLDNAME") {
      auto names = in.words_in_parentheses();
      if (names.size() == 1) out.old_name = name_of_mailbox(std::move(names.front()), out.separator);
    } else {
      in.value();
    }
  }
  return out;
}

// "STATUS" SP mailbox SP "(" [status-att-list] ")"                             RFC 9051 §9
MailboxStatus status(Reader& in) {
  MailboxStatus out;
  in.spaces();
  // An unquoted name with spaces, as some servers send it, ends where the list begins.
  if (!in.peek('"') && !in.peek('{')) {
    out.name = name_of_mailbox(std::string(trim(in.take(in.rest().find(" (")))), std::nullopt);
  } else {
    out.name = name_of_mailbox(in.astring(), std::nullopt);
  }
  in.spaces();
  in.octet('(', "status items");
  for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
    auto name = to_upper(in.word());
    if (name.empty()) in.miss("status item");
    in.spaces();
    if (name == "MAILBOXID") {
      const auto ids = in.words_in_parentheses();
      if (!ids.empty()) out.mailbox_id = ids.front();
    } else if (const auto value = parse_u64(in.value())) {
      out.numbers.emplace_back(std::move(name), *value);
    }
  }
  return out;
}

// "SEARCH" [1*(SP nz-number) SP "(" "MODSEQ" SP mod-sequence-value ")"]        RFC 3501 §9, RFC 7162 §7
SearchResult search(Reader& in) {
  std::vector<std::uint32_t> numbers;
  SearchResult out;
  for (in.spaces(); in.ok() && !in.at_end(); in.spaces()) {
    if (in.accept('(')) {
      if (!in.accept_word("MODSEQ")) in.miss("MODSEQ");
      in.spaces();
      out.mod_seq = in.number();
      in.octet(')', "\")\"");
    } else {
      numbers.push_back(in.number32());
    }
  }
  std::ranges::sort(numbers);
  for (const auto number : numbers) {
    if (number != 0) out.numbers.add(number);
  }
  return out;
}

// esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)    RFC 9051 §9
EsearchResult esearch(Reader& in) {
  EsearchResult out;
  in.spaces();
  if (in.accept('(')) {
    in.spaces();
    if (!in.accept_word("TAG")) in.miss("TAG");
    in.spaces();
    out.tag = in.astring();
    in.spaces();
    in.octet(')', "\")\"");
    in.spaces();
  }
  out.uid = in.accept_word("UID");
  for (in.spaces(); in.ok() && !in.at_end(); in.spaces()) {
    const auto name = to_upper(in.word());
    if (name.empty()) in.miss("result");
    in.spaces();
    if (name == "MIN") {
      out.min = in.number32();
    } else if (name == "MAX") {
      out.max = in.number32();
    } else if (name == "COUNT") {
      out.count = in.number();
    } else if (name == "MODSEQ") {
      out.mod_seq = in.number();
    } else if (name == "ALL") {
      out.all = in.set();
    } else {
      in.value();
    }
  }
  return out;
}

// Namespace = nil / "(" 1*Namespace-Descr ")"                                  RFC 9051 §9
std::vector<Namespaces::Entry> namespace_entries(Reader& in) {
  std::vector<Namespaces::Entry> out;
  in.spaces();
  if (in.accept_word("NIL")) return out;
  in.octet('(', "namespace");
  for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
    in.octet('(', "namespace");
    in.spaces();
    auto& entry = out.emplace_back();
    entry.prefix = in.text();
    in.spaces();
    entry.separator = separator(in);
    for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) in.value();
  }
  return out;
}

// RFC 9051 §9 date-time; some servers leave out the space before a day of one digit.
std::optional<DateTime> date_time(std::string_view text) {
  std::string fixed = "\"";
  if (text.size() > 1 && text[1] == '-') fixed += ' ';
  fixed.append(text).append("\"");
  Cursor in(fixed);
  const auto found = in.date_time();
  return in.ok() && in.at_end() ? std::optional(found) : std::nullopt;
}

/// "BODY[HEADER.FIELDS (A "B ] C")]<0>": up to the "]" that closes it.
std::string item_name(Reader& in) {
  const auto rest = in.rest();
  const auto n = std::min(rest.find_first_of(" ()[\"\r\n"), rest.size());
  std::string name(in.take(n));
  if (!in.peek('[')) return name;
  const auto end = end_of_code(in.rest().substr(1));
  if (end == std::string_view::npos) {
    in.miss("\"]\"");
    return {};
  }
  return name.append(in.take(end + 2));
}

// msg-att-dynamic / msg-att-static                                             RFC 9051 §9
void fetch_item(Reader& in, FetchResult& out) {
  auto name = item_name(in);
  if (name.empty()) return in.miss("fetch item");
  std::optional<std::uint64_t> origin;
  if (in.accept('<')) {
    origin = in.number();
    in.octet('>', "\">\"");
  }
  in.spaces();
  const auto upper = to_upper(name);
  const bool is_section = upper.ends_with(']') && !upper.starts_with("BINARY.SIZE");
  if (is_section || upper == "RFC822" || upper == "RFC822.HEADER" || upper == "RFC822.TEXT") {
    auto octets = in.peek(')') ? std::nullopt : in.octets();  // Yandex sends no value at all where a part is missing
    out.sections.push_back({std::move(name), origin, std::move(octets)});
  } else if (upper == "UID") {
    out.uid = in.number32();
  } else if (upper == "FLAGS") {
    out.flags = in.words_in_parentheses();
  } else if (upper == "INTERNALDATE") {
    out.internal_date = date_time(in.text());
  } else if (upper == "RFC822.SIZE") {
    out.size = in.number();
  } else if (upper == "MODSEQ" || upper == "EMAILID" || upper == "THREADID") {
    if (in.accept_word("NIL")) return;
    auto values = in.words_in_parentheses();
    if (values.size() != 1) return in.miss("one value");
    if (upper == "MODSEQ") {
      out.mod_seq = parse_u64(values.front());  // Zoho: "(-1)" for none
    } else {
      (upper == "EMAILID" ? out.email_id : out.thread_id) = std::move(values.front());
    }
  } else {
    out.others.emplace_back(upper, in.value());
  }
}

FetchResult fetch(Reader& in, std::uint32_t sequence) {
  FetchResult out;
  out.sequence = sequence;
  in.spaces();
  in.octet('(', "fetch items");
  // Domino wraps items in parentheses of their own.
  for (std::size_t depth = 1; in.ok() && depth > 0;) {
    in.spaces();
    if (in.accept(')')) {
      --depth;
    } else if (in.accept('(')) {
      ++depth;
    } else {
      fetch_item(in, out);
    }
  }
  return out;
}

// expunged-resp = "VANISHED" [SP "(EARLIER)"] SP known-uids                    RFC 7162 §7
VanishedResult vanished(Reader& in) {
  VanishedResult out;
  in.spaces();
  if (in.accept('(')) {
    out.earlier = in.accept_word("EARLIER");
    in.octet(')', "\")\"");
    in.spaces();
  }
  out.uids = in.set();
  return out;
}

// id-response = "ID" SP id-params-list                                         RFC 2971 §4
Response::Fields id_fields(Reader& in) {
  Response::Fields out;
  in.spaces();
  if (in.accept_word("NIL")) return out;
  in.octet('(', "fields");
  for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
    auto name = in.text();
    in.spaces();
    auto value = in.octets();
    if (value && value->literal) in.miss("a short string");
    out.emplace_back(std::move(name), value ? std::optional(std::move(value->inlined)) : std::nullopt);
  }
  return out;
}

// quota-response = "QUOTA" SP quota-root-name SP quota-list                    RFC 9208 §7
QuotaResult quota(Reader& in) {
  QuotaResult out;
  in.spaces();
  out.root = in.astring();
  in.spaces();
  in.octet('(', "quota list");
  for (in.spaces(); in.ok() && !in.accept(')'); in.spaces()) {
    auto& resource = out.resources.emplace_back();
    resource.name = to_upper(in.astring());
    in.spaces();
    resource.usage = in.number();
    in.spaces();
    resource.limit = in.number();
  }
  return out;
}

Response::Words astrings(Reader& in) {
  Response::Words out;
  for (in.spaces(); in.ok() && !in.at_end(); in.spaces()) out.push_back(in.astring());
  return out;
}

std::optional<Kind> state_of(std::string_view word) noexcept {
  struct Row {
    std::string_view name;
    Kind kind;
  };
  static constexpr std::array<Row, 5> kStates{
      {{"OK", Kind::ok}, {"NO", Kind::no}, {"BAD", Kind::bad}, {"BYE", Kind::bye}, {"PREAUTH", Kind::preauth}}};
  const auto row = std::ranges::find_if(kStates, [word](const Row& r) { return iequals(r.name, word); });
  return row == kStates.end() ? std::nullopt : std::optional(row->kind);
}

template <class T>
void set(Response& out, Kind kind, T data) {
  out.kind = kind;
  out.data = std::move(data);
}

/// "* number NAME". False where we don't know the name.
bool numbered(Reader& in, Response& out) {
  const auto number = in.number32();
  in.spaces();
  if (in.accept_word("EXISTS")) {
    set(out, Kind::exists, number);
  } else if (in.accept_word("RECENT")) {
    set(out, Kind::recent, number);
  } else if (in.accept_word("EXPUNGE")) {
    set(out, Kind::expunge, number);
  } else if (in.accept_word("FETCH")) {
    set(out, Kind::fetch, fetch(in, number));
  } else {
    return false;
  }
  return true;
}

/// "* NAME data". False where we don't know the name.
bool named(Reader& in, std::string_view name, Response& out) {
  const auto is = [name](std::string_view other) { return iequals(name, other); };
  if (is("CAPABILITY")) {
    set(out, Kind::capability, upper_words(in));
  } else if (is("ENABLED")) {
    set(out, Kind::enabled, upper_words(in));
  } else if (is("FLAGS")) {
    in.spaces();
    set(out, Kind::flags, in.words_in_parentheses());
  } else if (is("LIST") || is("LSUB") || is("XLIST")) {
    set(out, Kind::list, listed(in, is("LSUB")));
  } else if (is("STATUS")) {
    set(out, Kind::status, status(in));
  } else if (is("SEARCH")) {
    set(out, Kind::search, search(in));
  } else if (is("ESEARCH")) {
    set(out, Kind::esearch, esearch(in));
  } else if (is("NAMESPACE")) {
    Namespaces found;
    found.personal = namespace_entries(in);
    found.others = namespace_entries(in);
    found.shared = namespace_entries(in);
    set(out, Kind::namespaces, std::move(found));
  } else if (is("VANISHED")) {
    set(out, Kind::vanished, vanished(in));
  } else if (is("ID")) {
    set(out, Kind::id, id_fields(in));
  } else if (is("QUOTA")) {
    set(out, Kind::quota, quota(in));
  } else if (is("QUOTAROOT")) {
    set(out, Kind::quota_root, astrings(in));
  } else {
    return false;
  }
  return true;
}

}  // namespace

bool ListedMailbox::has_attribute(std::string_view attribute) const noexcept {
  return std::ranges::any_of(attributes, [attribute](const std::string& a) { return iequals(a, attribute); });
}

std::optional<std::uint64_t> MailboxStatus::get(std::string_view upper) const noexcept {
  const auto found = std::ranges::find(numbers, upper, &std::pair<std::string, std::uint64_t>::first);
  return found == numbers.end() ? std::nullopt : std::optional(found->second);
}

// response = *(continue-req / response-data) response-done                     RFC 9051 §9
Result<Response> parse_response(std::string_view text, std::size_t literals) {
  Response out;
  if (text.starts_with('+')) {
    set(out, Kind::go_ahead, status_text(text.substr(1)));
    return out;
  }
  if (text.starts_with('[')) {  // Exchange sends the COPYUID of a MOVE without the "* OK" before it
    set(out, Kind::ok, status_text(text));
    return out;
  }
  const auto tag_size = text.find(' ');
  if (tag_size == std::string_view::npos || tag_size == 0) return fail(Fault::syntax, "expected response");
  const auto tag = text.substr(0, tag_size);
  const auto behind = text.substr(tag_size + 1);
  Reader in(behind, literals);
  in.spaces();
  const bool has_number = !in.at_end() && ascii_digit(in.rest().front());
  const auto start = in.rest();
  const auto name = has_number ? std::string_view{} : in.word();
  if (const auto state = state_of(name)) {
    if (tag != "*") out.tag = tag;
    set(out, *state, status_text(in.rest()));
    return out;
  }
  if (tag != "*") return fail(Fault::syntax, "expected OK, NO or BAD behind a tag");
  const bool known = has_number ? numbered(in, out) : named(in, name, out);
  if (in.ok() && !known) {
    set(out, Kind::other, std::string(start));
    return out;
  }
  in.spaces();
  if (in.ok() && !in.at_end()) in.miss("end of response");
  if (!in.ok()) return in.error();
  return out;
}

// resp-code-copy = "COPYUID" SP nz-number SP uid-set SP uid-set                RFC 9051 §9
Result<CopyUid> parse_copyuid(std::string_view arguments) {
  Reader in(arguments, 0);
  CopyUid out;
  out.uid_validity = in.number32();
  in.spaces();
  const auto from = in.ordered_set(in.word());
  in.spaces();
  const auto to = in.ordered_set(in.word());
  if (!in.ok()) return in.error();
  // Walk both, cutting at every end of a range of either.
  std::size_t i = 0;
  std::size_t j = 0;
  auto a = from.empty() ? NumberRange{} : from.front();
  auto b = to.empty() ? NumberRange{} : to.front();
  while (i < from.size() && j < to.size()) {
    const auto step = std::min(a.last - a.first, b.last - b.first);
    out.from.push_back({a.first, a.first + step});
    out.to.push_back({b.first, b.first + step});
    const bool a_done = a.first + step == a.last;
    const bool b_done = b.first + step == b.last;
    a.first += a_done ? 0 : step + 1;
    b.first += b_done ? 0 : step + 1;
    if (a_done && ++i < from.size()) a = from[i];
    if (b_done && ++j < to.size()) b = to[j];
  }
  if (i < from.size() || j < to.size()) return fail(Fault::syntax, "expected two sets of one length");
  return out;
}

}  // namespace relais::imap
