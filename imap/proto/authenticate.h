// AUTHENTICATE and the SASL responses that follow it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace relais::imap {

struct AuthenticateArgs {
  std::string mechanism;               ///< in upper case
  std::optional<std::string> initial;  ///< decoded; empty for "=" (RFC 4959 §3)
};

/// Parses what follows "AUTHENTICATE". Fault::syntax for a bad mechanism name or base64. Source: RFC 9051 §6.2.2, RFC 4959.
Result<AuthenticateArgs> parse_authenticate(std::string_view rest);

/// One line that answers a "+": decoded octets, or nullopt where the client gave up with "*".
/// Fault::syntax where it is not base64. Source: RFC 9051 §6.2.2.
Result<std::optional<std::string>> parse_sasl_response(std::string_view line);

}  // namespace relais::imap
