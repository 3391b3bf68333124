// STATUS.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct StatusArgs {
  std::string mailbox;  ///< UTF-8
  StatusItems items = 0;
};

/// Parses what follows "STATUS". Source: RFC 9051 §6.3.11, RFC 7162 §3.1.7, RFC 8438, RFC 8474 §4.3, RFC 7889 §3.
Result<StatusArgs> parse_status(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
