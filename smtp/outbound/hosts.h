// From a destination to the hosts that take its mail, in the order to try, each with what its TLS must prove.
#pragma once

#include "base/clock.h"
#include "net/resolver.h"
#include "net/task.h"
#include "smtp/outbound/addresses.h"
#include "smtp/outbound/destination.h"
#include "smtp/outbound/tls_policy.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace relais::smtp {

class MtaSts;
class TlsReports;

/// One server.
struct Host {
  std::string name;                    ///< as the MX record or the route names it; for logs and SNI
  std::vector<std::string> addresses;  ///< numeric, in the order to try (RFC 5321 §5.1)
  std::uint16_t port = 25;
  TlsPolicy tls;
  bool lmtp = false;
  std::optional<Credentials> auth;
  bool implicit_tls = false;
  std::shared_ptr<const net::TlsContext> tls_context{};  ///< null: the dialer's
};

struct HostList {
  std::vector<Host> hosts;        ///< in the order to try; never empty
  bool mx_secure = false;         ///< the way from the domain to the names was proven by DNSSEC
  std::chrono::seconds valid{0};  ///< how long it may be kept: the shortest TTL, at most an hour
};

/// What a message wants of TLS.
enum class TlsNeed : std::uint8_t {
  usual,     ///< what policies ask for
  required,  ///< REQUIRETLS, RFC 8689 §4.2.1; not for messages with an empty reverse-path: these go as `usual`
  optional,  ///< "TLS-Required: No", RFC 8689 §4.2.2; and TLS reports, RFC 8460 §3
};

struct OutboundOptions {
  std::vector<std::string> our_names{};    ///< names by which this platform is known in MX records
  std::vector<std::string> our_addresses{};///< addresses on which it (or what stands before it) takes mail from others
  AddressOrder addresses = AddressOrder::ipv6_first;
  std::uint16_t mx_port = 25;
  std::size_t max_hosts = 16;     ///< of one list: a domain with 200 MX records costs no more look-ups
  std::size_t max_addresses = 8;  ///< of one host
  /// MX hosts at loopback, unspecified or multicast addresses are passed over: nothing but mistakes and mischief points there. Tests want
  /// them.
  bool local_mx = false;
  bool dane = true;
  bool mta_sts = true;
  /// Asked at each look-up, so that changes are seen at once. Empty: no destination has a rule. A level that it gives is final: what the
  /// domain itself asks for (DANE, MTA-STS) counts where it gives none. Threads: any.
  std::function<DestinationRule(const Destination&)> rule{};
};

/// Finds hosts. Threads: any loop's; holds no state but caches.
/// Lifetime: resolver, policies and reports outlive it.
class Outbound {
 public:
  /// @param policies MTA-STS; null: not looked for   @param reports TLSRPT; null: not counted
  Outbound(net::Resolver& resolver, OutboundOptions options, MtaSts* policies = nullptr, TlsReports* reports = nullptr);
  ~Outbound();
  Outbound(const Outbound&) = delete;
  Outbound& operator=(const Outbound&) = delete;

  /// The hosts of a destination of kind mx, smtp or lmtp, in order (RFC 5321 §5.1). On a Loop.
  ///
  /// @param rule  of a fixed next hop, where who names it knows it: then OutboundOptions::rule is not asked
  ///
  /// Errors, with the enhanced status that the sender shall see (5.x.x) or that delays carry (4.x.x) in `code`:
  ///   Fault::refused    5.1.10  the domain takes no mail (null MX, RFC 7505)
  ///                     5.1.2   no such domain
  ///                     5.4.4   no MX record leads to an address, or there is neither MX nor address
  ///                     5.4.6   the best host is ourselves
  ///                     5.7.10  REQUIRETLS, and no host can be trusted with it (RFC 8689 §4.2.1)
  ///   Fault::temporary  4.4.3   the DNS does not answer, or its answer is bogus
  ///                     4.4.4   a fixed next hop has no address: a slip of the administrator must not cost mail
  ///                     4.7.5   policies (DANE, MTA-STS) leave no host for now
  net::Task<HostList> hosts(Destination destination, TlsNeed need, std::optional<DestinationRule> rule = {});

  /// Counts what came of TLS in a session with a host of one of its lists. Threads: any; never blocks.
  void report(const Host& host, const TlsOutcome& outcome);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::smtp
