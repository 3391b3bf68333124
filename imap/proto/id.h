// ID.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// Field names and values, as written; empty for NIL.
using IdFields = std::vector<std::pair<std::string, std::optional<std::string>>>;

inline constexpr std::size_t kMaxIdFields = 30;   ///< RFC 2971 §3.3
inline constexpr std::size_t kMaxIdName = 30;     ///< octets; RFC 2971 §3.3
inline constexpr std::size_t kMaxIdValue = 1024;  ///< octets; RFC 2971 §3.3

/// Parses what follows "ID". Source: RFC 2971 §3.1.
Result<IdFields> parse_id(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
