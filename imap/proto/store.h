// STORE.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct StoreArgs {
  enum class Mode : std::uint8_t { replace, add, remove };
  SequenceSet messages;
  Mode mode = Mode::replace;
  bool silent = false;
  std::optional<std::uint64_t> unchanged_since;  ///< RFC 7162 §3.1.3
  FlagList flags;
};

/// Parses what follows "STORE". Fault::syntax for \Recent too; Fault::refused [CANNOT] for a system flag that does not exist.
/// Source: RFC 9051 §6.4.6, RFC 7162 §3.1.3.
Result<StoreArgs> parse_store(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
