// SMTP mailboxes: parses, normalises and writes them.
#include "message/address.h"

#include <arpa/inet.h>
#include <idn2.h>

#include <algorithm>
#include <memory>

#include "base/ascii.h"

namespace relais::message {
namespace {

std::unexpected<Error> bad_mailbox(std::string_view what) { return fail(Fault::syntax, what, "5.1.3"); }
std::unexpected<Error> bad_domain(std::string_view what) { return fail(Fault::syntax, what, "5.1.2"); }

constexpr bool is_8bit(char c) noexcept { return static_cast<unsigned char>(c) >= 0x80; }

// RFC 5322 §3.2.3 atext, with UTF-8 (RFC 6531 §3.3).
constexpr bool is_atext(char c) noexcept {
  return is_8bit(c) || ascii_alpha(c) || ascii_digit(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").contains(c);
}

// Dot-string = Atom *("." Atom)        RFC 5321 §4.1.2
bool is_dot_string(std::string_view text) noexcept {
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  char before = '\0';
  for (const char c : text) {
    if (c == '.' ? before == '.' : !is_atext(c)) return false;
    before = c;
  }
  return true;
}

// Quoted-string = DQUOTE *QcontentSMTP DQUOTE; the opening quote is text[0]. Gives the content and the octets taken.
std::optional<std::string> read_quoted_local(std::string_view text, std::size_t& taken) {
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    char c = text[i];
    if (c == '"') {
      taken = i + 1;
      return out;
    }
    if (c == '\\') {
      if (++i >= text.size()) return std::nullopt;
      c = text[i];
      if (is_8bit(c)) return std::nullopt;  // quoted-pairSMTP = %d92 %d32-126
    }
    if (static_cast<unsigned char>(c) < 32 || c == 127) return std::nullopt;
    out.push_back(c);
  }
  return std::nullopt;
}

// address-literal = "[" ( IPv4 / "IPv6:" IPv6 / Standardized-tag ":" 1*dcontent ) "]"        RFC 5321 §4.1.3
bool is_literal(std::string_view text) {
  if (text.size() < 3 || text.back() != ']') return false;
  const std::string inner(text.substr(1, text.size() - 2));
  // dcontent = %d33-90 / %d94-126; inet_pton would stop at a NUL.
  if (!std::ranges::all_of(inner, [](char c) { return c > 32 && c < 127 && c != '[' && c != ']' && c != '\\'; })) return false;
  unsigned char octets[16];
  if (istarts_with(inner, "ipv6:")) return inet_pton(AF_INET6, inner.c_str() + 5, octets) == 1;
  const auto colon = inner.find(':');
  if (colon == std::string::npos) return inet_pton(AF_INET, inner.c_str(), octets) == 1;
  // Standardized-tag = Ldh-str
  const auto tag = std::string_view(inner).substr(0, colon);
  return !tag.empty() && tag.back() != '-' && colon + 1 < inner.size() &&
         std::ranges::all_of(tag, [](char c) { return ascii_alpha(c) || ascii_digit(c) || c == '-'; });
}

// Domain = sub-domain *("." sub-domain), lower case, as it is on the wire. "_" is let in: real sender domains have it.
bool is_ascii_domain(std::string_view domain) noexcept {
  if (domain.empty() || domain.size() > kMaxDomain) return false;
  std::size_t label = 0;
  for (std::size_t i = 0; i <= domain.size(); ++i) {
    if (i == domain.size() || domain[i] == '.') {
      const auto length = i - label;
      if (length == 0 || length > 63 || domain[label] == '-' || domain[i - 1] == '-') return false;  // RFC 1035 §2.3.4
      label = i + 1;
    } else if (!ascii_alpha(domain[i]) && !ascii_digit(domain[i]) && domain[i] != '-' && domain[i] != '_') {
      return false;
    }
  }
  return true;
}

}  // namespace

Result<std::string> to_ascii_domain(std::string_view domain) {
  if (domain.empty()) return bad_domain("empty domain");
  if (is_ascii(domain)) {
    if (!is_ascii_domain(domain)) return bad_domain("malformed domain");
    return to_lower(domain);
  }
  if (domain.size() > 4 * kMaxDomain || !is_utf8(domain)) return bad_domain("malformed domain");
  const std::string text(domain);
  if (text.contains('\0')) return bad_domain("malformed domain");
  char* out = nullptr;
  const int rc = idn2_to_ascii_8z(text.c_str(), &out, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
  if (rc != IDN2_OK) return fail(Fault::syntax, "malformed internationalised domain", "5.1.2", idn2_strerror(rc));
  const std::unique_ptr<char, void (*)(void*)> owner(out, &idn2_free);
  std::string ascii = to_lower(out);
  if (!is_ascii_domain(ascii)) return bad_domain("malformed domain");
  return ascii;
}

// Mailbox = Local-part "@" ( Domain / address-literal )        RFC 5321 §4.1.2
Result<Address> parse_mailbox(std::string_view text, bool smtputf8) {
  if (text.size() > kMaxLocalPart * 2 + 4 * kMaxDomain) return bad_mailbox("address too long");
  if (!is_ascii(text)) {
    if (!is_utf8(text)) return bad_mailbox("address is not UTF-8");
    if (!smtputf8) return fail(Fault::refused, "address needs SMTPUTF8", "5.6.7");  // RFC 6531 §3.5
  }
  Address out;
  std::size_t taken = 0;
  if (text.starts_with('"')) {
    auto local = read_quoted_local(text, taken);
    if (!local) return bad_mailbox("malformed quoted local part");
    out.local_part = *std::move(local);
  } else {
    taken = text.find('@');
    if (taken == std::string_view::npos) return bad_mailbox("address without \"@\"");
    out.local_part = text.substr(0, taken);
    if (!is_dot_string(out.local_part)) return bad_mailbox("malformed local part");
  }
  if (out.local_part.size() > kMaxLocalPart) return bad_mailbox("local part too long");
  if (taken >= text.size() || text[taken] != '@') return bad_mailbox("address without \"@\"");
  const auto domain = text.substr(taken + 1);
  if (domain.starts_with('[')) {
    if (!is_literal(domain)) return bad_mailbox("malformed address literal");
    out.domain = to_lower(domain);
  } else {
    RELAIS_TRY(out.domain, to_ascii_domain(domain));
  }
  if (out.domain.size() > kMaxDomain) return bad_mailbox("domain too long");
  return out;
}

std::string to_string(const Address& address) {
  std::string out;
  out.reserve(address.local_part.size() + address.domain.size() + 3);
  if (is_dot_string(address.local_part)) {
    out = address.local_part;
  } else {
    out.push_back('"');
    for (const char c : address.local_part) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out.push_back('"');
  }
  return out.append("@").append(address.domain);
}

}  // namespace relais::message
