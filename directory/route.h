// Where a domain's mail is sent when the MX records of the DNS shall not decide.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

/// How much protection a connection to the next hop needs.
enum class RouteTls : std::uint8_t {
  automatic = 0,  ///< what the domain itself asks for (DANE, MTA-STS), else may
  none = 1,       ///< never STARTTLS
  may = 2,        ///< TLS where it is offered, with any certificate
  encrypt = 3,    ///< TLS or nothing, with any certificate
  verify = 4,     ///< TLS or nothing, with a certificate for the host's name
};
std::string_view to_string(RouteTls tls) noexcept;

/// One rule.
struct Route {
  enum class Kind : std::uint8_t {
    mx = 0,    ///< the MX records of `host`, or of the recipient's domain where it is empty
    smtp = 1,  ///< one host by SMTP
    lmtp = 2,  ///< one host by LMTP
  };
  std::string domain;        ///< "example.org", ".example.org" (all below it), or "*" (all that has no other rule); lower-case A-labels
  Kind kind = Kind::mx;
  std::string host{};        ///< name (A-labels) or address; IPv6 without brackets
  std::uint16_t port = 0;    ///< for smtp and lmtp
  RouteTls tls = RouteTls::automatic;
  std::string user{};        ///< for AUTH; empty: none
  std::string password{};
  std::int64_t created = 0;  ///< seconds since epoch; set by set_route()
  friend bool operator==(const Route&, const Route&) = default;
};

/// @param domain  as Route::domain, in any case and with U-labels
/// @param target  "mx", "mx:other.example", "smtp://HOST[:PORT]" (25), "lmtp://HOST[:PORT]" (24); an IPv6 address in brackets
/// @param auth    "user:password" or empty    @param tls  a name of RouteTls ("auto" for automatic) or empty
/// Errors: Fault::syntax naming what is wrong.
Result<Route> parse_route(std::string_view domain, std::string_view target, std::string_view auth, std::string_view tls);

/// The target as parse_route() takes it: "smtp://[2001:db8::1]:2525". Never shows the password.
std::string route_target(const Route& route);

}  // namespace relais::directory
