// Names of TLS levels and failures.
#include "smtp/outbound/tls_policy.h"

namespace relais::smtp {

std::string_view to_string(TlsLevel level) noexcept {
  switch (level) {
    case TlsLevel::none: return "none";
    case TlsLevel::may: return "may";
    case TlsLevel::encrypt: return "encrypt";
    case TlsLevel::verify: return "verify";
    case TlsLevel::dane: return "dane";
  }
  return "?";
}

std::optional<TlsLevel> parse_tls_level(std::string_view text) noexcept {
  for (const auto level : {TlsLevel::none, TlsLevel::may, TlsLevel::encrypt, TlsLevel::verify})
    if (text == to_string(level)) return level;
  return std::nullopt;
}

std::string_view to_string(TlsFailure failure) noexcept {
  switch (failure) {
    case TlsFailure::none: return "";
    case TlsFailure::starttls_not_supported: return "starttls-not-supported";
    case TlsFailure::certificate_host_mismatch: return "certificate-host-mismatch";
    case TlsFailure::certificate_expired: return "certificate-expired";
    case TlsFailure::certificate_not_trusted: return "certificate-not-trusted";
    case TlsFailure::validation_failure: return "validation-failure";
    case TlsFailure::tlsa_invalid: return "tlsa-invalid";
    case TlsFailure::dnssec_invalid: return "dnssec-invalid";
    case TlsFailure::dane_required: return "dane-required";
    case TlsFailure::sts_policy_fetch_error: return "sts-policy-fetch-error";
    case TlsFailure::sts_policy_invalid: return "sts-policy-invalid";
    case TlsFailure::sts_webpki_invalid: return "sts-webpki-invalid";
  }
  return "";
}

}  // namespace relais::smtp
