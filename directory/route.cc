// Routes to text and back.
#include "directory/route.h"

#include "base/ascii.h"
#include "message/address.h"
#include "net/address.h"

#include <array>
#include <utility>

namespace relais::directory {
namespace {

constexpr std::array<std::string_view, 5> kTlsNames{"auto", "none", "may", "encrypt", "verify"};  // by RouteTls
constexpr std::uint16_t kSmtpPort = 25;                                                           // RFC 5321 §4.5.4.2
constexpr std::uint16_t kLmtpPort = 24;  // RFC 2033 §5: not 25; 24 is what hosts listen on by custom

std::unexpected<Error> malformed(std::string text) { return fail(Fault::syntax, std::move(text)); }

bool is_ipv4(std::string_view host) { return !host.contains(':') && net::parse_address(host, 0).has_value(); }

/// "example.org:25", "[2001:db8::1]", …: takes host and port into the route.
Result<void> parse_host(std::string_view text, Route& route) {
  std::string_view port;
  if (text.starts_with('[')) {
    const auto end = text.find(']');
    if (end == std::string_view::npos) return malformed("an IPv6 address ends with \"]\"");
    route.host = to_lower(text.substr(1, end - 1));
    if (!route.host.contains(':') || !net::parse_address(route.host, 0)) return malformed("not an IPv6 address: " + route.host);
    port = text.substr(end + 1);
  } else {
    const auto colon = text.find(':');
    const auto host = text.substr(0, colon);
    if (is_ipv4(host)) {
      route.host = host;
    } else {
      auto name = message::to_ascii_domain(host);
      if (!name) return malformed("not a host: " + std::string(host));
      route.host = *std::move(name);
    }
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
  }
  if (port.empty()) return {};
  const auto number = port.starts_with(':') ? parse_u64(port.substr(1)) : std::nullopt;
  if (!number || *number == 0 || *number > 65'535) return malformed("not a port: " + std::string(port));
  route.port = static_cast<std::uint16_t>(*number);
  return {};
}

Result<std::string> parse_pattern(std::string_view domain) {
  if (domain == "*") return std::string(domain);
  const bool below = domain.starts_with('.');
  auto name = message::to_ascii_domain(below ? domain.substr(1) : domain);
  if (!name) return malformed("not a domain, \".domain\" or \"*\": " + std::string(domain));
  return (below ? "." : "") + *name;
}

Result<void> parse_target(std::string_view target, Route& route) {
  if (target.ends_with('/') && target.contains("://") && !target.ends_with("://")) target.remove_suffix(1);
  if (iequals(target, "mx")) return {};
  if (istarts_with(target, "mx:")) {
    auto name = message::to_ascii_domain(target.substr(3));
    if (!name) return malformed("not a domain: " + std::string(target.substr(3)));
    route.host = *std::move(name);
    return {};
  }
  if (istarts_with(target, "smtp://")) {
    route.kind = Route::Kind::smtp;
    route.port = kSmtpPort;
  } else if (istarts_with(target, "lmtp://")) {
    route.kind = Route::Kind::lmtp;
    route.port = kLmtpPort;
  } else {
    return malformed("a target is mx, mx:DOMAIN, smtp://HOST:PORT or lmtp://HOST:PORT, not " + std::string(target));
  }
  return parse_host(target.substr(7), route);
}

}  // namespace

std::string_view to_string(RouteTls tls) noexcept { return kTlsNames[static_cast<std::size_t>(tls)]; }

Result<Route> parse_route(std::string_view domain, std::string_view target, std::string_view auth, std::string_view tls) {
  Route route;
  RELAIS_TRY(route.domain, parse_pattern(domain));
  RELAIS_TRY_VOID(parse_target(target, route));
  if (!auth.empty()) {
    const auto colon = auth.find(':');
    if (colon == std::string_view::npos || colon == 0 || colon + 1 == auth.size()) return malformed("credentials are USER:PASSWORD");
    if (route.kind == Route::Kind::mx && route.host.empty())
      return malformed("credentials need a next hop of their own: any server could be a domain's MX");
    route.user = auth.substr(0, colon);
    route.password = auth.substr(colon + 1);
  }
  if (tls.empty()) return route;
  for (std::size_t i = 0; i < kTlsNames.size(); ++i) {
    if (!iequals(tls, kTlsNames[i])) continue;
    route.tls = static_cast<RouteTls>(i);
    return route;
  }
  return malformed("TLS is auto, none, may, encrypt or verify, not " + std::string(tls));
}

std::string route_target(const Route& route) {
  if (route.kind == Route::Kind::mx) return route.host.empty() ? "mx" : "mx:" + route.host;
  std::string out = route.kind == Route::Kind::smtp ? "smtp://" : "lmtp://";
  const bool bracket = route.host.contains(':');
  if (bracket) out += '[';
  out += route.host;
  if (bracket) out += ']';
  return out + ':' + std::to_string(route.port);
}

}  // namespace relais::directory
