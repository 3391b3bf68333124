// RENAME.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct RenameArgs {
  std::string from;  ///< UTF-8
  std::string to;    ///< UTF-8
};

/// Parses what follows "RENAME". Source: RFC 9051 §6.3.6; RFC 4466 §2.2: no rename parameter is known, so any is Fault::syntax.
Result<RenameArgs> parse_rename(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
