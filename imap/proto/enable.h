// ENABLE.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace relais::imap {

struct EnableArgs {
  std::vector<std::string> capabilities;  ///< in upper case, at least one; unknown ones are to be ignored (RFC 5161 §3.1)
};

inline constexpr std::size_t kMaxEnable = 64;  ///< our own limit

/// Parses what follows "ENABLE". Source: RFC 9051 §6.3.1, RFC 5161.
Result<EnableArgs> parse_enable(std::string_view rest);

}  // namespace relais::imap
