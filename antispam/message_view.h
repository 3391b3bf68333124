// A message as signers and verifiers see it: octets in pieces, none of them copied.
#pragma once

#include <span>
#include <string_view>

namespace relais::antispam {

/// CRLF line ends. Lifetime: views; what they refer to outlives the call, or the coroutine, that gets it.
struct MessageView {
  std::string_view header;                  ///< all fields, with or without the blank line
  std::span<const std::string_view> body{}; ///< what follows the blank line, in any number of pieces
};

}  // namespace relais::antispam
