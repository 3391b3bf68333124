// Paths and parameters of MAIL and RCPT.
#include "smtp/proto/path.h"

#include "base/ascii.h"

namespace relais::smtp {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Position of the ">" that closes the path: one within a quoted local part does not (RFC 5321 §4.1.2 Quoted-string).
std::size_t closing_bracket(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '>' && !quoted) {
      return i;
    }
  }
  return std::string_view::npos;
}

// A-d-l = At-domain *( "," At-domain ); At-domain = "@" Domain        RFC 5321 §4.1.2
bool is_source_route(std::string_view route) {
  for (const auto hop : split(route, ',')) {
    if (hop.size() < 2 || hop.front() != '@') return false;
    if (hop.find_first_of("@\" <>\\", 1) != std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

Result<std::string_view> take_path(std::string_view& rest, std::string_view status) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  if (rest.empty() || rest.front() != '<') return fail(Fault::syntax, "address must be in angle brackets", status);
  rest.remove_prefix(1);
  const auto end = closing_bracket(rest);
  if (end == std::string_view::npos) return fail(Fault::syntax, "missing closing angle bracket", status);
  auto path = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (!rest.empty() && rest.front() != ' ') return fail(Fault::syntax, "space expected after the address", "5.5.4");
  if (path.starts_with('@')) {
    const auto colon = path.find(':');
    if (colon == std::string_view::npos || !is_source_route(path.substr(0, colon))) return fail(Fault::syntax, "bad source route", status);
    path.remove_prefix(colon + 1);
    if (path.empty()) return fail(Fault::syntax, "address missing", status);
  }
  return path;
}

// esmtp-param = esmtp-keyword ["=" esmtp-value]             RFC 5321 §4.1.2; values may hold UTF-8 (RFC 6531 §3.3)
Result<std::optional<Parameter>> take_parameter(std::string_view& rest) {
  while (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
  if (rest.empty()) return std::optional<Parameter>{};
  const auto word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  Parameter parameter;
  const auto equals = word.find('=');
  parameter.keyword = word.substr(0, equals);
  if (parameter.keyword.empty() || parameter.keyword.front() == '-') return fail(Fault::syntax, "bad parameter", "501 5.5.4");
  for (const char c : parameter.keyword) {
    if (!ascii_alpha(c) && !ascii_digit(c) && c != '-') return fail(Fault::syntax, "bad parameter", "501 5.5.4");
  }
  if (equals != std::string_view::npos) {
    parameter.value = word.substr(equals + 1);
    if (parameter.value->empty()) return fail(Fault::syntax, "empty parameter value", "501 5.5.4");
    for (const char c : *parameter.value) {
      const auto octet = static_cast<unsigned char>(c);
      if (octet <= 32 || octet == 127) return fail(Fault::syntax, "bad parameter value", "501 5.5.4");
    }
  }
  return std::optional<Parameter>{parameter};
}

Error unknown_parameter() { return Error{Fault::syntax, "555 5.5.4", "unsupported parameter", {}}; }

Error bad_parameter(std::string_view keyword) {
  std::string text{"bad or repeated parameter "};
  text += keyword;
  return Error{Fault::syntax, "501 5.5.4", std::move(text), {}};
}

// xtext = *( xchar / hexchar )                               RFC 3461 §4
std::optional<std::string> decode_xtext(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c < '!' || c > '~' || c == '=') return std::nullopt;
    if (c != '+') {
      out.push_back(c);
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::string encode_xtext(std::string_view octets) {
  std::string out;
  for (const char c : octets) {
    const auto octet = static_cast<unsigned char>(c);
    if (octet > 32 && octet < 127 && c != '+' && c != '=') {
      out.push_back(c);
    } else {
      out.push_back('+');
      out.push_back(kHex[octet >> 4U]);
      out.push_back(kHex[octet & 15U]);
    }
  }
  return out;
}

}  // namespace relais::smtp
