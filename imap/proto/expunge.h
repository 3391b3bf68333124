// UID EXPUNGE.
#pragma once

#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct UidExpungeArgs {
  SequenceSet uids;
};

/// Parses what follows "UID EXPUNGE" (plain EXPUNGE takes nothing: parse_nothing). Source: RFC 9051 §6.4.9, RFC 4315 §2.1.
Result<UidExpungeArgs> parse_uid_expunge(std::string_view rest);

}  // namespace relais::imap
