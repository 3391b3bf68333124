// BDAT.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string_view>

namespace relais::smtp {

struct BdatArgs {
  std::uint64_t size = 0;  ///< octets that follow the command line
  bool last = false;
};

/// Parses what follows the keyword BDAT. Fault::syntax 5.5.4: the octets that follow can't be told from commands then, so close.
/// Source: RFC 3030 §2.
Result<BdatArgs> parse_bdat(std::string_view rest);

}  // namespace relais::smtp
