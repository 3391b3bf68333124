// SEARCH's arguments: the tree of keys and the return options.
#include "imap/proto/search.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <utility>

#include "base/ascii.h"
#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

using Kind = SearchKey::Kind;

/// What stands behind a key's name.
enum class Argument : std::uint8_t {
  none,
  astring,
  keyword,
  date,
  number64,
  seconds,
  set,
  header,
  object_id,
  mod_seq,
  negation,
  either,
  recent_unseen
};

struct Row {
  std::string_view name;
  Kind kind;
  Argument argument = Argument::none;
  bool negated = false;
  std::uint8_t bits = 0;
  std::string_view header = {};
};

// search-key; in the order of their names                                      RFC 9051 §9, RFC 3501 §9, and the extensions
constexpr std::array<Row, 44> kKeys{{
    {"ALL", Kind::all},
    {"ANSWERED", Kind::flags, Argument::none, false, kAnswered},
    {"BCC", Kind::header, Argument::astring, false, 0, "Bcc"},
    {"BEFORE", Kind::before, Argument::date},
    {"BODY", Kind::body, Argument::astring},
    {"CC", Kind::header, Argument::astring, false, 0, "Cc"},
    {"DELETED", Kind::flags, Argument::none, false, kDeleted},
    {"DRAFT", Kind::flags, Argument::none, false, kDraft},
    {"EMAILID", Kind::email_id, Argument::object_id},
    {"FLAGGED", Kind::flags, Argument::none, false, kFlagged},
    {"FROM", Kind::header, Argument::astring, false, 0, "From"},
    {"HEADER", Kind::header, Argument::header},
    {"KEYWORD", Kind::keyword, Argument::keyword},
    {"LARGER", Kind::larger, Argument::number64},
    {"MODSEQ", Kind::mod_seq, Argument::mod_seq},
    {"NEW", Kind::all_of, Argument::recent_unseen},
    {"NOT", Kind::all, Argument::negation},
    {"OLD", Kind::recent, Argument::none, true},
    {"OLDER", Kind::older, Argument::seconds},
    {"ON", Kind::on, Argument::date},
    {"OR", Kind::any_of, Argument::either},
    {"RECENT", Kind::recent},
    {"SAVEDATESUPPORTED", Kind::save_date_supported},
    {"SAVEDBEFORE", Kind::saved_before, Argument::date},
    {"SAVEDON", Kind::saved_on, Argument::date},
    {"SAVEDSINCE", Kind::saved_since, Argument::date},
    {"SEEN", Kind::flags, Argument::none, false, kSeen},
    {"SENTBEFORE", Kind::sent_before, Argument::date},
    {"SENTON", Kind::sent_on, Argument::date},
    {"SENTSINCE", Kind::sent_since, Argument::date},
    {"SINCE", Kind::since, Argument::date},
    {"SMALLER", Kind::smaller, Argument::number64},
    {"SUBJECT", Kind::header, Argument::astring, false, 0, "Subject"},
    {"TEXT", Kind::text, Argument::astring},
    {"THREADID", Kind::thread_id, Argument::object_id},
    {"TO", Kind::header, Argument::astring, false, 0, "To"},
    {"UID", Kind::uid, Argument::set},
    {"UNANSWERED", Kind::flags, Argument::none, true, kAnswered},
    {"UNDELETED", Kind::flags, Argument::none, true, kDeleted},
    {"UNDRAFT", Kind::flags, Argument::none, true, kDraft},
    {"UNFLAGGED", Kind::flags, Argument::none, true, kFlagged},
    {"UNKEYWORD", Kind::keyword, Argument::keyword, true},
    {"UNSEEN", Kind::flags, Argument::none, true, kSeen},
    {"YOUNGER", Kind::younger, Argument::seconds},
}};

class Parser {
 public:
  explicit Parser(Cursor& in) : in_(in) {}

  // search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"    RFC 9051 §9, RFC 9394 §4
  SearchReturn returns() {
    SearchReturn wanted;
    wanted.given = true;
    in_.sp();
    in_.octet('(', "return options");
    if (in_.accept(')')) {
      wanted.all = true;  // RFC 4731 §3.1: an empty list is ALL
      return wanted;
    }
    do {
      if (in_.accept_word("MIN")) {
        wanted.min = true;
      } else if (in_.accept_word("MAX")) {
        wanted.max = true;
      } else if (in_.accept_word("ALL")) {
        wanted.all = true;
      } else if (in_.accept_word("COUNT")) {
        wanted.count = true;
      } else if (in_.accept_word("SAVE")) {
        wanted.save = true;
      } else if (!wanted.partial && in_.accept_word("PARTIAL")) {
        in_.sp();
        wanted.partial = in_.partial_range();
      } else {
        in_.miss("MIN, MAX, ALL, COUNT, SAVE or PARTIAL");
      }
    } while (in_.accept(' '));
    in_.octet(')', "\")\" behind the return options");
    if (wanted.all && wanted.partial) in_.miss("either ALL or PARTIAL");  // RFC 9394 §3.1: MUST reject both
    return wanted;
  }

  // search-key *(SP search-key)
  SearchKey keys(std::size_t depth) {
    auto first = key(depth);
    if (!in_.peek(' ')) return first;
    SearchKey every;
    every.kind = Kind::all_of;
    every.keys.push_back(std::move(first));
    while (in_.accept(' ')) every.keys.push_back(key(depth));
    return every;
  }

  bool uses_mod_seq() const noexcept { return uses_mod_seq_; }
  bool eight_bit() const noexcept { return eight_bit_; }

 private:
  SearchKey key(std::size_t depth) {
    SearchKey found;
    if (depth == kMaxSearchDepth) in_.refuse("LIMIT", "Search is nested too deeply");
    if (++count_ > kMaxSearchKeys) in_.refuse("LIMIT", "Search has too many keys");
    if (in_.accept('(')) {
      found = keys(depth + 1);
      in_.octet(')', "\")\" behind search keys");
      return found;
    }
    if (in_.peek('*') || in_.peek('$') || (!in_.at_end() && ascii_digit(in_.rest().front()))) {
      found.kind = Kind::sequence;
      found.set = in_.sequence_set();
      return found;
    }
    const auto word = in_.peek_word();
    const auto row = std::ranges::find_if(kKeys, [word](const Row& r) { return r.name.size() == word.size() && iequals(r.name, word); });
    if (word.empty() || row == kKeys.end()) {
      in_.miss("search key");
      return found;
    }
    in_.skip(word.size());
    found.kind = row->kind;
    found.negated = row->negated;
    found.bits = row->bits;
    found.name = row->header;
    found.addresses = !row->header.empty() && row->header != "Subject";
    argument(*row, found, depth);
    return found;
  }

  void argument(const Row& row, SearchKey& found, std::size_t depth) {
    if (row.argument == Argument::recent_unseen) {  // RFC 3501 §6.4.4: NEW is (RECENT UNSEEN)
      auto& recent = found.keys.emplace_back();
      recent.kind = Kind::recent;
      auto& unseen = found.keys.emplace_back();
      unseen.kind = Kind::flags;
      unseen.bits = kSeen;
      unseen.negated = true;
      return;
    }
    if (row.argument == Argument::none) return;
    in_.sp();
    switch (row.argument) {
      case Argument::astring: found.text = text(); break;
      case Argument::keyword: found.text = in_.atom(); break;
      case Argument::date: found.date = in_.date(); break;
      case Argument::number64: found.number = in_.number64(); break;
      case Argument::seconds: found.number = in_.nz_number(); break;
      case Argument::set: found.set = in_.sequence_set(); break;
      case Argument::header:
        found.name = in_.astring();
        in_.sp();
        found.text = text();
        break;
      case Argument::object_id: found.text = in_.object_id(); break;
      case Argument::mod_seq: mod_seq(found); break;
      case Argument::negation:
        found = key(depth + 1);
        found.negated = !found.negated;
        break;
      case Argument::either: either(found, depth); break;
      case Argument::none:
      case Argument::recent_unseen: break;
    }
  }

  // search-modsequence = "MODSEQ" [SP entry-name SP entry-type-req] SP mod-sequence-valzer    RFC 7162 §7
  void mod_seq(SearchKey& found) {
    uses_mod_seq_ = true;
    if (in_.peek('"')) {
      if (!istarts_with(in_.string(), "/flags/")) in_.miss("entry name");
      in_.sp();
      if (!in_.accept_word("ALL") && !in_.accept_word("PRIV") && !in_.accept_word("SHARED")) in_.miss("priv, shared or all");
      in_.sp();
    }
    found.number = in_.number64();
  }

  // "OR" SP search-key SP search-key. Clients write long alternatives as a chain of ORs; it becomes one node.
  void either(SearchKey& found, std::size_t depth) {
    auto left = key(depth + 1);
    in_.sp();
    auto right = key(depth + 1);
    const auto is_plain_or = [](const SearchKey& k) { return k.kind == Kind::any_of && !k.negated; };
    if (is_plain_or(right)) std::swap(left, right);
    if (is_plain_or(left)) {
      found.keys = std::move(left.keys);
    } else {
      found.keys.push_back(std::move(left));
    }
    if (is_plain_or(right)) {
      if (right.keys.size() > found.keys.size()) std::swap(right.keys, found.keys);
      found.keys.insert(found.keys.end(), std::make_move_iterator(right.keys.begin()), std::make_move_iterator(right.keys.end()));
    } else {
      found.keys.push_back(std::move(right));
    }
  }

  std::string text() {
    auto found = in_.astring();
    eight_bit_ |= !is_ascii(found) && !is_utf8(found);
    return found;
  }

  Cursor& in_;
  std::size_t count_ = 0;
  bool uses_mod_seq_ = false;
  bool eight_bit_ = false;  ///< a text is not UTF-8
};

}  // namespace

// search = "SEARCH" [search-return-opts] SP search-program
// search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)       RFC 9051 §9
Result<SearchArgs> parse_search(std::string_view rest, Dialect dialect) {
  Cursor in(rest, dialect);
  Parser parser(in);
  SearchArgs args;
  in.sp();
  if (in.accept_word("RETURN")) {
    args.returns = parser.returns();
    in.sp();
  }
  if (in.accept_word("CHARSET")) {
    in.sp();
    args.charset = to_upper(in.astring());  // as RFC 3501 §9 has it
    in.sp();
  }
  args.root = parser.keys(0);
  in.end();
  if (in.ok() && parser.eight_bit() && (args.charset.empty() || args.charset == "UTF-8" || args.charset == "US-ASCII")) {
    in.miss("text in the charset of the search");
  }
  if (!in.ok()) return in.error();
  args.uses_mod_seq = parser.uses_mod_seq();
  return args;
}

}  // namespace relais::imap
