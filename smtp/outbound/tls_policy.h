// What a connection to another server must prove, and what came of it: values that outbound, client and queue share.
#pragma once

#include "net/dns_records.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

struct Credentials {
  std::string user;
  std::string password;
};

/// How much TLS, in ascending order. The first four can be configured per domain or next hop.
enum class TlsLevel : std::uint8_t {
  none,     ///< never STARTTLS
  may,      ///< where offered and where it works, else in the clear; certificates are not looked at
  encrypt,  ///< TLS or nothing; certificates are not looked at
  verify,   ///< TLS, a certificate of a trusted authority, for one of TlsPolicy::names, not expired
  dane,     ///< TLS and TlsPolicy::tlsa, RFC 7672; `names` matter for usage 2 alone (§3.2.1)
};

std::string_view to_string(TlsLevel level) noexcept;
/// "none", "may", "encrypt", "verify".
std::optional<TlsLevel> parse_tls_level(std::string_view text) noexcept;

/// What is reported to the owner of a policy (RFC 8460). Shared by all hosts and attempts that it applied to.
struct ReportedPolicy {
  enum class Type : std::uint8_t { none, tlsa, sts };
  /// The policy domain: the recipients' or the next hop's; for tlsa the TLSA base domain (RFC 8460 §1.1).
  std::string domain;
  Type type = Type::none;
  std::vector<std::string> strings{};  ///< "policy-string"
  std::vector<std::string> mx_host{};  ///< "mx-host" patterns; the host for tlsa
  friend auto operator<=>(const ReportedPolicy&, const ReportedPolicy&) = default;
};

/// What one host must prove.
struct TlsPolicy {
  TlsLevel level = TlsLevel::may;
  /// Reference identifiers (RFC 6125): the certificate is for one of them. Wildcards in certificates stand for the whole left-most label
  /// only.
  std::vector<std::string> names{};
  /// To be sent as SNI: the TLSA base domain (RFC 7672 §8.1) or the MX host (RFC 8461 §7.1). Empty for numeric addresses.
  std::string server_name{};
  /// Level dane: at least one; usages 2 and 3, selectors and matching types that are known, digests of the right size.
  std::vector<net::TlsaRecord> tlsa{};
  /// A policy in testing mode (RFC 8461 §5): try `level`, tell what came of it, and where it fails go on as with `may`.
  bool testing = false;
  /// RFC 8689 §4.2.1: the server must offer REQUIRETLS inside TLS, and MAIL carries it; else 5.7.30 for those messages.
  bool require_tls = false;
  /// RFC 8689 §4.2.2: TLS is tried, and no failure of it stops the message.
  bool optional = false;
  /// Where a session of this policy is counted; null: nowhere.
  std::shared_ptr<const ReportedPolicy> reported{};
};

/// RFC 8460 §4.3.
enum class TlsFailure : std::uint8_t {
  none,  ///< a session with TLS as the policy wants it
  starttls_not_supported,
  certificate_host_mismatch,
  certificate_expired,
  certificate_not_trusted,
  validation_failure,
  tlsa_invalid,
  dnssec_invalid,
  dane_required,
  sts_policy_fetch_error,
  sts_policy_invalid,
  sts_webpki_invalid,
};
/// "starttls-not-supported", …; "" for none.
std::string_view to_string(TlsFailure failure) noexcept;

/// What came of TLS in one session with a host: what the client tells, for TLSRPT. Sessions that ended before EHLO was answered are not
/// told of (RFC 8460 §4.3.4).
struct TlsOutcome {
  TlsFailure failure = TlsFailure::none;
  std::string reason{};             ///< "failure-reason-code": "X509_V_ERR_…" or a short text
  std::string sending_address{};    ///< numeric
  std::string receiving_address{};  ///< numeric
  std::string receiving_hello{};    ///< the name that the server gave in its greeting or EHLO reply
};

}  // namespace relais::smtp
