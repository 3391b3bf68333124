// AUTH and the lines of its exchange.
#pragma once

#include "base/result.h"

#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

struct AuthArgs {
  std::string mechanism;                         ///< upper case
  std::optional<std::string> initial_response;   ///< decoded; "=" is an empty one
};

/// Parses what follows the keyword AUTH. Fault::syntax: 5.5.4 grammar, 5.5.2 base64. Source: RFC 4954 §4.
Result<AuthArgs> parse_auth(std::string_view rest);

/// A line that answers a 334: the decoded octets, or nullopt for "*" (cancel). Fault::syntax 5.5.2 where it is not base64.
Result<std::optional<std::string>> parse_auth_response(std::string_view line);

}  // namespace relais::smtp
