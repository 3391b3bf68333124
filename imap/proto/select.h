// SELECT and EXAMINE.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/number_set.h"
#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

/// What the client remembers of the mailbox (RFC 7162 §3.2.5).
struct QresyncParams {
  std::uint32_t uid_validity = 0;
  std::uint64_t mod_seq = 0;
  std::optional<NumberSet> known_uids;
  /// Sequence numbers and the UIDs that they had, both ascending, as many of the one as of the other (RFC 7162 §3.2.5.2).
  struct SeqMatch {
    NumberSet sequences;
    NumberSet uids;
  };
  std::optional<SeqMatch> seq_match;
};

struct SelectArgs {
  std::string mailbox;  ///< UTF-8
  bool condstore = false;
  std::optional<QresyncParams> qresync;  ///< BAD unless QRESYNC was enabled: the session's check
};

/// Parses what follows "SELECT" or "EXAMINE". Fault::syntax for unknown parameters too (RFC 4466 §2.3).
/// Source: RFC 9051 §6.3.2, RFC 7162 §3.1.8, §3.2.5.
Result<SelectArgs> parse_select(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
