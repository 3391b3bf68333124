// CREATE.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct CreateArgs {
  std::string mailbox;           ///< UTF-8, without the trailing separator
  bool names_hierarchy = false;  ///< there was a trailing separator: children are meant to follow
  std::uint8_t special_use = 0;  ///< SpecialUse bits
};

/// Parses what follows "CREATE". Fault::syntax for unknown parameters; Fault::refused [USEATTR] for a special use that we don't
/// know. Source: RFC 9051 §6.3.4, RFC 6154 §3.
Result<CreateArgs> parse_create(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
