// Where mail goes together: what the queue sorts recipients by, and what routes are made of.
#pragma once

#include "base/result.h"
#include "directory/route.h"
#include "net/tls.h"
#include "smtp/outbound/tls_policy.h"

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

/// See docs/queue.md for what each means.
struct Destination {
  enum class Kind : std::uint8_t { mx, smtp, lmtp, legacy, account, local };
  Kind kind = Kind::mx;
  /// mx: the domain, A-labels in lower case, or an address literal with its brackets. smtp, lmtp: a host name or a numeric address without
  /// brackets. legacy: the platform's name. account: its number. local: empty.
  std::string name;
  std::uint16_t port = 0;  ///< smtp and lmtp alone
  friend auto operator<=>(const Destination&, const Destination&) = default;
};

/// What is configured for a destination.
struct DestinationRule {
  std::optional<TlsLevel> tls{};      ///< not given: `may`, or `verify` where there are credentials
  std::optional<Credentials> auth{};  ///< fixed next hops alone
  bool implicit_tls = false;          ///< fixed next hops alone: TLS from the first octet on
  /// Fixed next hops alone: authorities of their own; null: those of all hosts.
  std::shared_ptr<const net::TlsContext> tls_context{};
};

/// "mx:example.net", "smtp:relay.example:25", "lmtp:[2001:db8::1]:24", "legacy:old", "account:17", "local".
std::string to_string(const Destination& destination);
/// Back from it. Fault::syntax where it is none.
Result<Destination> parse_destination(std::string_view text);
/// Where a route sends mail for a domain: a route of kind mx without a host leads to the domain's own MX records.
Destination destination_of(const directory::Route& route, std::string_view domain);
/// How: the route's TLS level, where it has one of its own, and its credentials.
DestinationRule rule_of(const directory::Route& route);

}  // namespace relais::smtp
