// Content-Type and Content-Disposition values, and the parameters that RFC 2231 cuts into pieces.
#include <algorithm>
#include <charconv>
#include <tuple>

#include "base/ascii.h"
#include "message/decode.h"
#include "message/lexer.h"
#include "message/mime.h"

namespace relais::message {
namespace {

// Without the quotes that a well-formed value needs around spaces and specials: `name=my file (1).pdf`. Ends at ";", or where
// ` word=` shows that only the semicolon is missing.
std::string read_bare_value(Lexer& in) {
  std::string out;
  for (;;) {
    const auto rest = in.rest();
    std::size_t n = 0;
    while (n < rest.size() && rest[n] != ';' && rest[n] != '(' && !is_fws(rest[n])) ++n;
    for (const char c : rest.substr(0, n)) {
      if (!is_control(c)) out.push_back(c);
    }
    in.set_rest(rest.substr(n));
    if (in.at_end() || in.peek() == ';') return out;
    in.skip_cfws();
    if (in.at_end() || in.peek() == ';') return out;
    Lexer ahead = in;
    if (const auto word = ahead.token(); !word.empty() && ahead.accept('=')) return out;
    out.push_back(' ');
  }
}

// RFC 2231 §7: the octets that need no %xx.
constexpr bool attribute_char(char c) noexcept {
  return static_cast<unsigned char>(c) > 32 && static_cast<unsigned char>(c) < 127 && !is_tspecial(c) && c != '*' && c != '\'' && c != '%';
}

void append_escaped(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  for (const char c : text) {
    if (attribute_char(c)) {
      out.push_back(c);
    } else {
      const auto octet = static_cast<unsigned char>(c);
      out.push_back('%');
      out.push_back(kDigits[octet >> 4]);
      out.push_back(kDigits[octet & 0x0f]);
    }
  }
}

// A piece of a continued parameter: name*N or name*N* (RFC 2231 §3).
struct Piece {
  std::string_view name;
  std::uint32_t number;
  bool extended;
  std::size_t index;  // among the parameters
};

std::optional<Piece> as_piece(const Parameter& parameter, std::size_t index) {
  std::string_view name = parameter.name;
  const bool extended = name.ends_with('*');
  if (extended) name.remove_suffix(1);
  const auto star = name.rfind('*');
  if (star == std::string_view::npos || star == 0) return std::nullopt;
  std::uint32_t number = 0;
  const auto digits = name.substr(star + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  return Piece{name.substr(0, star), number, extended, index};
}

// Joins `pieces`, numbers 0, 1, … of one name.
Parameter join(std::span<const Piece> pieces, const std::vector<Parameter>& parameters) {
  Parameter out{std::string(pieces.front().name), {}};
  const bool extended = std::ranges::any_of(pieces, &Piece::extended);
  if (extended) {
    out.name.push_back('*');
    if (!pieces.front().extended) out.value = "''";  // no charset was given
  }
  for (const auto& piece : pieces) {
    const auto& value = parameters[piece.index].value;
    if (extended && !piece.extended)
      append_escaped(out.value, value);
    else
      out.value.append(value);
  }
  return out;
}

// RFC 2231 §6: IMAP servers decode continuations. Pieces without a number 0, or behind a gap, stay as they are.
void join_continuations(std::vector<Parameter>& parameters) {
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (auto piece = as_piece(parameters[i], i)) pieces.push_back(*piece);
  }
  if (pieces.empty()) return;
  std::ranges::sort(
      pieces, [](const Piece& a, const Piece& b) { return std::tie(a.name, a.number, a.index) < std::tie(b.name, b.number, b.index); });
  std::vector<std::pair<std::size_t, Parameter>> joined;  // at the place of piece 0
  std::vector<bool> gone(parameters.size());
  for (std::size_t i = 0; i < pieces.size();) {
    std::size_t n = i;
    while (n < pieces.size() && pieces[n].name == pieces[i].name && pieces[n].number == n - i) ++n;
    if (n > i) {
      joined.emplace_back(pieces[i].index, join(std::span(pieces).subspan(i, n - i), parameters));
      for (std::size_t k = i; k < n; ++k) gone[pieces[k].index] = true;
    }
    while (n < pieces.size() && pieces[n].name == pieces[i].name) ++n;  // behind a gap, or twice
    i = n;
  }
  std::ranges::sort(joined, {}, [](const auto& entry) { return entry.first; });
  std::vector<Parameter> out;
  out.reserve(parameters.size());
  auto next = joined.begin();
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (next != joined.end() && next->first == i)
      out.push_back(std::move((next++)->second));
    else if (!gone[i])
      out.push_back(std::move(parameters[i]));
  }
  parameters = std::move(out);
}

}  // namespace

ParameterizedValue parse_parameterized(std::string_view field_value) {
  ParameterizedValue out;
  Lexer in(field_value);
  in.skip_cfws();
  const auto main = in.token();
  in.skip_cfws();
  if (in.accept('/')) {
    in.skip_cfws();
    const auto minor = in.token();
    if (!main.empty() && !minor.empty()) out.value = to_lower(main) + "/" + to_lower(minor);
  } else {
    out.value = to_lower(main);
  }
  if (!is_ascii(out.value)) out.value.clear();

  bool continued = false;
  while (!in.at_end() && out.parameters.size() < kMaxParameters) {
    in.skip_cfws();
    const auto name = in.token();
    in.skip_cfws();
    if (name.empty() || !in.accept('=')) {
      if (name.empty()) in.skip();  // ";" or something that fits nowhere
      continue;
    }
    in.skip_cfws();
    Parameter parameter{to_lower(name), {}};
    if (in.peek() == '"')
      in.read_quoted(parameter.value);
    else
      parameter.value = read_bare_value(in);
    continued = continued || parameter.name.contains('*');
    out.parameters.push_back(std::move(parameter));
  }
  if (continued) join_continuations(out.parameters);
  return out;
}

std::optional<std::string> decoded_parameter(const ParameterizedValue& value, std::string_view name) {
  const Parameter* plain = nullptr;
  for (const auto& parameter : value.parameters) {
    if (parameter.name.size() == name.size() + 1 && parameter.name.ends_with('*') && parameter.name.starts_with(name)) {
      if (auto decoded = decode_extended_value(parameter.value)) return decoded;
      if (!plain) plain = &parameter;
    } else if (parameter.name == name && !plain) {
      plain = &parameter;
    }
  }
  if (!plain) return std::nullopt;
  return decode_words(plain->value);
}

}  // namespace relais::message
