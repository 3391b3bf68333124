// Writes Authentication-Results.
#include "antispam/authentication_results.h"

#include "base/ascii.h"

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr std::size_t kMaxValue = 255;  // octets of one value

// value = token / quoted-string                                 RFC 2045 §5.1, RFC 8601 §2.2
bool is_token(std::string_view text) noexcept {
  const auto odd = [](char c) {
    return static_cast<unsigned char>(c) <= 32 || c == 127 || std::string_view("()<>@,;:\\\"/[]?=").contains(c);
  };
  return !text.empty() && std::ranges::none_of(text, odd);
}

/// What is in a pvalue beside tokens: [ [ local-part ] "@" ] domain-name
bool is_address(std::string_view text) noexcept {
  const auto at = text.find('@');
  if (at == std::string_view::npos) return false;
  return (at == 0 || is_token(text.substr(0, at))) && is_token(text.substr(at + 1));
}

std::string value(std::string_view text) {
  text = text.substr(0, kMaxValue);
  if (is_token(text) || is_address(text)) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 32 || c == 127 ? ' ' : c;
  }
  return out + '"';
}

void property(std::string& out, std::string_view name, std::string_view text) {
  if (!text.empty()) out.append(" ").append(name).append("=").append(value(text));
}

}  // namespace

std::string authentication_results(std::string_view server, std::span<const DkimResult> dkim, const ArcChain& chain,
                                   std::span<const std::string> extra) {
  std::string out(server);
  for (const auto& item : extra) {
    if (!item.empty()) out.append("; ").append(item);
  }
  if (dkim.empty()) out += "; dkim=none";
  for (const auto& result : dkim) {
    out.append("; dkim=").append(to_string(result.outcome));
    property(out, "reason", result.reason);
    property(out, "header.d", result.domain);
    property(out, "header.i", result.identity);
    property(out, "header.s", result.selector);
    property(out, "header.a", result.algorithm);
    if (!result.signature.empty()) out.append(" header.b=\"").append(result.signature).append("\"");
  }
  out.append("; arc=").append(to_string(chain.status));
  property(out, "reason", chain.reason);
  if (chain.status == ArcChain::Status::pass) out.append(" header.oldest-pass=").append(std::to_string(chain.oldest_pass));
  return out;
}

}  // namespace relais::antispam
