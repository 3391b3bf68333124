// Routes to text and back.
#include "directory/route.h"

#include "base/ascii.h"
#include "directory/host_port.h"
#include "message/address.h"

#include <array>
#include <utility>

namespace relais::directory {
namespace {

constexpr std::array<std::string_view, 5> kTlsNames{"auto", "none", "may", "encrypt", "verify"};  // by RouteTls
constexpr std::uint16_t kSmtpPort = 25;                                                           // RFC 5321 §4.5.4.2
constexpr std::uint16_t kLmtpPort = 24;  // RFC 2033 §5: not 25; 24 is what hosts listen on by custom

std::unexpected<Error> malformed(std::string text) { return fail(Fault::syntax, std::move(text)); }

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
  RELAIS_TRY(auto where, parse_host_port(target.substr(7)));
  route.host = std::move(where.host);
  if (where.port != 0) route.port = where.port;
  return {};
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
  return (route.kind == Route::Kind::smtp ? "smtp://" : "lmtp://") + host_port_text(route.host, route.port);
}

}  // namespace relais::directory
