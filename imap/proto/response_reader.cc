// The terminals of server responses, as servers write them.
#include "imap/proto/response_reader.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/ascii.h"
#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

constexpr std::size_t kMaxNesting = 200;  // parentheses in a value; our own limit, above what MIME nesting needs
constexpr std::string_view kWordEnds = " ()\"\r\n";

}  // namespace

std::unexpected<Error> ResponseReader::error() const {
  return fail(Fault::syntax, std::string("expected ").append(ok() ? "something else" : expected_));
}

void ResponseReader::miss(const char* expected) noexcept {
  if (ok()) expected_ = expected;
  rest_ = {};
}

bool ResponseReader::accept(char c) noexcept {
  if (!peek(c)) return false;
  rest_.remove_prefix(1);
  return true;
}

void ResponseReader::octet(char c, const char* expected) noexcept {
  if (!accept(c)) miss(expected);
}

void ResponseReader::spaces() noexcept { rest_.remove_prefix(std::min(rest_.find_first_not_of(' '), rest_.size())); }

std::string_view ResponseReader::take(std::size_t n) noexcept {
  const auto found = rest_.substr(0, n);
  rest_.remove_prefix(found.size());
  return found;
}

std::string_view ResponseReader::word() noexcept { return take(rest_.find_first_of(kWordEnds)); }

bool ResponseReader::accept_word(std::string_view upper) noexcept {
  const auto n = std::min(rest_.find_first_of(kWordEnds), rest_.size());
  if (n != upper.size() || !iequals(rest_.substr(0, n), upper)) return false;
  rest_.remove_prefix(n);
  return true;
}

std::uint64_t ResponseReader::number() noexcept {
  std::uint64_t value = 0;
  const auto [stop, failure] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
  if (rest_.empty() || failure != std::errc{}) {
    miss("number");
    return 0;
  }
  rest_.remove_prefix(static_cast<std::size_t>(stop - rest_.data()));
  return value;
}

std::uint32_t ResponseReader::number32() noexcept {
  const auto value = number();
  if (value > 0xFFFF'FFFF) miss("number below 2^32");
  return ok() ? static_cast<std::uint32_t>(value) : 0;
}

std::optional<Octets> ResponseReader::octets() {
  Octets found;
  if (at_literal()) {
    literal(found, true);
    return found;
  }
  if (peek('"')) {
    found.inlined = quoted();
  } else {
    const auto atom = word();
    if (atom.empty()) miss("string");
    if (iequals(atom, "NIL")) return std::nullopt;
    found.inlined = atom;
  }
  found.size = found.inlined.size();
  return found;
}

std::string ResponseReader::text() {
  auto found = octets();
  if (found && found->literal) miss("a short string");
  return found ? std::move(found->inlined) : std::string();
}

std::string ResponseReader::astring() {
  if (peek('"') || at_literal()) return text();
  const auto atom = word();
  if (atom.empty()) miss("astring");
  return std::string(atom);
}

std::string_view ResponseReader::value() {
  const auto start = rest_;
  std::size_t depth = 0;
  do {
    if (depth > 0) spaces();
    if (accept('(')) {
      if (++depth > kMaxNesting) miss("less nesting");
    } else if (depth > 0 && accept(')')) {
      --depth;
    } else if (peek('"')) {
      skip_quoted();
    } else if (at_literal()) {
      Octets ignored;
      literal(ignored, false);
    } else if (word().empty()) {
      miss("value");
    }
  } while (ok() && depth > 0);
  return ok() ? start.substr(0, start.size() - rest_.size()) : std::string_view{};
}

std::vector<std::string> ResponseReader::words_in_parentheses() {
  constexpr std::size_t kMaxListed = 10'000;  // flags of a mailbox, attributes: a string costs many times its octets
  std::vector<std::string> found;
  octet('(', "list");
  for (spaces(); ok() && !accept(')'); spaces()) {
    if (found.size() == kMaxListed) miss("shorter list");
    found.push_back(astring());
  }
  return found;
}

NumberSet ResponseReader::set() {
  auto found = ordered_set(take(rest_.find_first_of(kWordEnds)));
  std::ranges::sort(found, {}, &NumberRange::first);  // in order, because NumberSet::add is O(1) only at its end
  NumberSet out;
  for (const auto range : found) out.add(range);
  return out;
}

std::vector<NumberRange> ResponseReader::ordered_set(std::string_view text) {
  std::vector<NumberRange> found;
  Cursor in(text);
  const auto parsed = in.sequence_set();
  if (!in.ok() || !in.at_end() || parsed.saved || parsed.has_star()) miss("set of numbers");
  if (!ok()) return found;
  found.reserve(parsed.ranges.size());
  for (const auto range : parsed.ranges) found.push_back({std::min(range.first, range.last), std::max(range.first, range.last)});
  return found;
}

void ResponseReader::skip_quoted() noexcept {
  std::size_t i = 1;
  while (i < rest_.size() && rest_[i] != '"') i += rest_[i] == '\\' ? 2 : 1;
  if (i >= rest_.size()) return miss("quoted string");
  rest_.remove_prefix(i + 1);
}

std::string ResponseReader::quoted() {
  const auto start = rest_;
  skip_quoted();
  if (!ok()) return {};
  const auto inside = start.substr(1, start.size() - rest_.size() - 2);
  std::string out;
  out.reserve(inside.size());
  for (std::size_t i = 0; i < inside.size(); ++i) {
    if (inside[i] == '\\') ++i;
    out += inside[i];
  }
  return out;
}

void ResponseReader::literal(Octets& found, bool keep) {
  accept('~');
  octet('{', "literal");
  found.size = number();
  if (accept('@')) {
    found.literal = static_cast<std::size_t>(number());
    if (*found.literal >= literals_) miss("a literal that was sent");
  }
  octet('}', "literal");
  accept('\r');
  octet('\n', "literal");
  if (!ok() || found.literal) return;
  if (found.size > rest_.size()) return miss("the octets of a literal");
  const auto octets = take(static_cast<std::size_t>(found.size));
  if (keep) found.inlined = octets;
}

}  // namespace relais::imap
