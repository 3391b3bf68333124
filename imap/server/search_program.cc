// Compiles and evaluates SEARCH keys.
#include "imap/server/search_program.h"

#include "base/ascii.h"
#include "imap/server/object_id.h"
#include "message/address.h"
#include "message/date.h"
#include "message/header.h"

namespace relais::imap {
namespace {

using Kind = SearchKey::Kind;

Level level_of(const SearchKey& key) noexcept {
  switch (key.kind) {
    case Kind::flags:
    case Kind::recent:
    case Kind::keyword:
    case Kind::larger:
    case Kind::smaller:
    case Kind::mod_seq: return Level::flags;
    case Kind::before:
    case Kind::on:
    case Kind::since:
    case Kind::sent_before:
    case Kind::sent_on:
    case Kind::sent_since:
    case Kind::saved_before:
    case Kind::saved_on:
    case Kind::saved_since:
    case Kind::older:
    case Kind::younger:
    case Kind::email_id:
    case Kind::thread_id: return Level::meta;
    case Kind::header: return message::is_cached_field(key.name) ? Level::header : Level::content;
    case Kind::body:
    case Kind::text: return Level::content;
    default: return Level::number;
  }
}

// The bit of a keyword; 0 where no message has it.
storage::FlagBits keyword_bit(const std::vector<std::string>& keywords, std::string_view name) {
  for (std::size_t i = 0; i < keywords.size(); ++i) {
    if (!keywords[i].empty() && iequals(keywords[i], name)) return storage::FlagBits{1} << (storage::kFirstKeyword + i);
  }
  return 0;
}

Verdict known(bool yes) noexcept { return yes ? Verdict::yes : Verdict::no; }

// RFC 9051 §6.4.4: BEFORE, ON and SINCE look at the day as written, "disregarding time and timezone".
bool compare_day(Kind kind, std::int64_t day, std::int64_t with) noexcept {
  switch (kind) {
    case Kind::before:
    case Kind::sent_before:
    case Kind::saved_before: return day < with;
    case Kind::on:
    case Kind::sent_on:
    case Kind::saved_on: return day == with;
    default: return day >= with;
  }
}

// As the envelope has them: without comments, quotes and spaces within.
std::string envelope_addresses(std::string_view value) {
  std::string text;
  for (const auto& address : message::parse_address_list(value)) {
    text.append(readable(address.name)).append(" <").append(address.mailbox);
    if (!address.host.empty()) text.append("@").append(address.host);
    text.append(">, ");
  }
  return text;
}

bool value_matches(std::string_view value, bool addresses, const message::Searcher& key) {
  if (key.folded_key().empty() || key.found_in(readable(value))) return true;
  return addresses && value.find_first_of("(\"\\") != std::string_view::npos && key.found_in(envelope_addresses(value));
}

bool field_matches(std::string_view fields, std::string_view name, bool addresses, const message::Searcher& key) {
  bool found = false;
  message::for_each_field(fields, [&](const message::Field& field) {
    if (iequals(field.name, name)) found = value_matches(field.value, addresses, key);
    return !found;
  });
  return found;
}

}  // namespace

Result<SearchProgram> SearchProgram::compile(const SearchKey& root, const Selected& box, std::int64_t now) {
  SearchProgram program;
  RELAIS_TRY(program.root_, program.build(root, box, now));
  return program;
}

Result<SearchProgram::Node> SearchProgram::build(const SearchKey& key, const Selected& box, std::int64_t now) {
  Node node;
  node.kind = key.kind;
  node.negated = key.negated;
  node.level = level_of(key);
  node.number = key.number;
  node.day = key.date.time_since_epoch().count();
  levels_[static_cast<std::size_t>(node.level)] = true;
  ++keys_;
  switch (key.kind) {
    case Kind::all_of:
    case Kind::any_of:
      for (const auto& part : key.keys) {
        RELAIS_TRY(auto built, build(part, box, now));
        node.nodes.push_back(std::move(built));
      }
      // Cheap ones first: they often decide.
      std::ranges::sort(node.nodes, {}, [](const Node& part) { return part.level; });
      node.level = node.nodes.back().level;
      break;
    case Kind::sequence:
    case Kind::uid: node.set = box.resolve_key(key.set, key.kind == Kind::uid); break;
    case Kind::flags: node.number = key.bits; break;
    case Kind::recent: node.set = box.recent; break;
    case Kind::keyword: node.number = keyword_bit(box.keywords, key.text); break;
    case Kind::older:
    case Kind::younger: node.day = now - static_cast<std::int64_t>(key.number); break;
    case Kind::email_id: node.number = parse_object_id(key.text, 'E').value_or(0); break;
    case Kind::thread_id: node.number = parse_object_id(key.text, 'T').value_or(0); break;
    case Kind::header:
      node.name = key.name;
      node.addresses = key.addresses;
      node.key.emplace(key.text);
      break;
    case Kind::body:
    case Kind::text:
      node.key.emplace(key.text);
      needs_.body = true;
      needs_.part_headers = needs_.part_headers || key.kind == Kind::text;
      if (++text_keys_ > kMaxTextKeys) return fail(Fault::refused, "too many keys that look at texts", "LIMIT");
      break;
    default: break;
  }
  return node;
}

// ---- sets

NumberSet SearchProgram::members(const Node& node, const NumberSet& all) {
  NumberSet result;
  switch (node.kind) {
    case Kind::all_of:
      result = all;
      for (const auto& part : node.nodes) {
        if (part.level == Level::number) result = result.intersect(members(part, all));
      }
      break;
    case Kind::any_of:
      for (const auto& part : node.nodes) result.add(members(part, all));
      break;
    case Kind::sequence:
    case Kind::uid: result = node.set; break;
    default: result = all; break;
  }
  if (!node.negated) return result;
  auto rest = all;
  rest.remove(result);
  return rest;
}

// An all_of may be narrowed by those of its keys that are sets; anything else only where all of it is sets.
NumberSet SearchProgram::candidates(const NumberSet& all) const {
  if (root_.level == Level::number || (root_.kind == Kind::all_of && !root_.negated)) return members(root_, all);
  return all;
}

// ---- messages

Verdict SearchProgram::evaluate(const Node& node, const Candidate& candidate) {
  const auto verdict = decide(node, candidate);
  if (!node.negated || verdict == Verdict::unknown) return verdict;
  return known(verdict == Verdict::no);
}

Verdict SearchProgram::decide(const Node& node, const Candidate& candidate) {
  switch (node.kind) {
    case Kind::all_of:
    case Kind::any_of: {
      const auto decisive = node.kind == Kind::all_of ? Verdict::no : Verdict::yes;
      bool unknown = false;
      for (const auto& part : node.nodes) {
        const auto verdict = evaluate(part, candidate);
        if (verdict == decisive) return decisive;
        unknown = unknown || verdict == Verdict::unknown;
      }
      if (unknown) return Verdict::unknown;
      return known(node.kind == Kind::all_of);
    }
    case Kind::header: return in_header(node, candidate);
    case Kind::body:
    case Kind::text:
      if (candidate.level < Level::content) return Verdict::unknown;
      return known(candidate.text->found_in_body(*node.key) || (node.kind == Kind::text && candidate.text->found_in_headers(*node.key)));
    default: break;
  }
  if (candidate.level < node.level) return Verdict::unknown;
  return known(holds(node, candidate.view));
}

Verdict SearchProgram::in_header(const Node& node, const Candidate& candidate) {
  if (node.level == Level::header && candidate.level >= Level::header && candidate.view.header_fields_complete) {
    return known(field_matches(candidate.view.header_fields, node.name, node.addresses, *node.key));
  }
  if (candidate.level < Level::content) return Verdict::unknown;
  return known(field_matches(candidate.text->header(), node.name, node.addresses, *node.key));
}

bool SearchProgram::holds(const Node& node, const storage::MessageView& view) {
  switch (node.kind) {
    case Kind::sequence:
    case Kind::recent:
    case Kind::uid: return node.set.contains(view.uid);
    case Kind::flags:
    case Kind::keyword: return (view.flags & node.number) != 0;
    case Kind::larger: return view.size > node.number;
    case Kind::smaller: return view.size < node.number;
    case Kind::mod_seq: return view.mod_seq >= node.number;
    case Kind::before:
    case Kind::on:
    case Kind::since:
      return compare_day(node.kind, message::written_day({.seconds = view.internal_date, .zone_minutes = view.internal_zone}), node.day);
    case Kind::sent_before:
    case Kind::sent_on:
    case Kind::sent_since:  // a message without a date matches none of them
      return view.sent_date != 0 &&
             compare_day(node.kind, message::written_day({.seconds = view.sent_date, .zone_minutes = view.sent_zone}), node.day);
    case Kind::saved_before:
    case Kind::saved_on:
    case Kind::saved_since: return compare_day(node.kind, message::written_day({.seconds = view.save_date, .zone_minutes = 0}), node.day);
    case Kind::older: return view.internal_date <= node.day;  // RFC 5032 §3
    case Kind::younger: return view.internal_date >= node.day;
    case Kind::email_id: return node.number != 0 && view.email_id == node.number;
    case Kind::thread_id: return node.number != 0 && view.thread_id == node.number;
    default: return true;  // ALL, SAVEDATESUPPORTED
  }
}

}  // namespace relais::imap
