// COPY and MOVE.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct CopyArgs {
  SequenceSet messages;
  std::string mailbox;  ///< UTF-8
};

/// Parses what follows "COPY" or "MOVE". Source: RFC 9051 §6.4.7, §6.4.8; RFC 6851.
Result<CopyArgs> parse_copy(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
