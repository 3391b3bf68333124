// What the platform thinks of a client, a sender or a message, and why.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::antispam {

enum class Action : std::uint8_t {
  accept,
  defer,   ///< answer with a temporary failure: an honest client comes back
  reject,
};

std::string_view to_string(Action action) noexcept;

/// A judgement with its reasons. Reasons are for the log; `text` may be told to the client.
struct Verdict {
  Action action = Action::accept;
  std::string text{};
  std::vector<std::string> reasons{};

  /// The harsher action of both, all reasons.
  void merge(Verdict other);
};

}  // namespace relais::antispam
