// Destinations as text and back, and what routes make of them.
#include "smtp/outbound/destination.h"

#include "base/ascii.h"

#include <algorithm>
#include <array>
#include <utility>

namespace relais::smtp {
namespace {

using Kind = Destination::Kind;

constexpr std::array<std::pair<Kind, std::string_view>, 5> kPrefixes{
    {{Kind::mx, "mx:"}, {Kind::smtp, "smtp:"}, {Kind::lmtp, "lmtp:"}, {Kind::legacy, "legacy:"}, {Kind::account, "account:"}}};
constexpr std::string_view kLocal = "local";

std::unexpected<Error> no_destination(std::string_view text) {
  return fail(Fault::syntax, "not a destination: \"" + std::string(text) + "\"");
}

bool is_plain(std::string_view name) noexcept {
  return !name.empty() && std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
}

// HOST ":" PORT, brackets around IPv6.
bool take_hop(std::string_view text, Destination& into) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return false;
  const auto port = parse_u64(text.substr(colon + 1));
  auto host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']'))
    host = host.substr(1, host.size() - 2);
  else if (host.contains(':'))
    return false;
  if (!port || *port == 0 || *port > 65535 || !is_plain(host)) return false;
  into.name = host;
  into.port = static_cast<std::uint16_t>(*port);
  return true;
}

}  // namespace

std::string to_string(const Destination& destination) {
  if (destination.kind == Kind::local) return std::string(kLocal);
  const auto prefix = std::ranges::find(kPrefixes, destination.kind, &std::pair<Kind, std::string_view>::first);
  std::string out(prefix->second);
  const bool hop = destination.kind == Kind::smtp || destination.kind == Kind::lmtp;
  const bool brackets = hop && destination.name.contains(':');
  if (brackets) out += '[';
  out += destination.name;
  if (brackets) out += ']';
  if (hop) out += ":" + std::to_string(destination.port);
  return out;
}

Result<Destination> parse_destination(std::string_view text) {
  if (text == kLocal) return Destination{Kind::local, {}, 0};
  for (const auto& [kind, prefix] : kPrefixes) {
    if (!text.starts_with(prefix)) continue;
    const auto rest = text.substr(prefix.size());
    Destination out{kind, {}, 0};
    if (kind == Kind::smtp || kind == Kind::lmtp) {
      if (!take_hop(rest, out)) return no_destination(text);
      return out;
    }
    if (!is_plain(rest) || (kind == Kind::account && !parse_u64(rest))) return no_destination(text);
    out.name = rest;
    return out;
  }
  return no_destination(text);
}

Destination destination_of(const directory::Route& route, std::string_view domain) {
  switch (route.kind) {
    case directory::Route::Kind::smtp: return {Kind::smtp, route.host, route.port};
    case directory::Route::Kind::lmtp: return {Kind::lmtp, route.host, route.port};
    case directory::Route::Kind::mx: break;
  }
  return {Kind::mx, route.host.empty() ? std::string(domain) : route.host, 0};
}

DestinationRule rule_of(const directory::Route& route) {
  DestinationRule rule;
  switch (route.tls) {
    case directory::RouteTls::automatic: break;
    case directory::RouteTls::none: rule.tls = TlsLevel::none; break;
    case directory::RouteTls::may: rule.tls = TlsLevel::may; break;
    case directory::RouteTls::encrypt: rule.tls = TlsLevel::encrypt; break;
    case directory::RouteTls::verify: rule.tls = TlsLevel::verify; break;
  }
  if (!route.user.empty()) rule.auth = Credentials{route.user, route.password};
  return rule;
}

}  // namespace relais::smtp
