// What a pass over an account did, and how far each mailbox has come: between the mirror, which makes them, and the journal, which keeps
// them.
#pragma once

#include "migrate/source.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

namespace relais::migrate {

/// What one pass did. For the decision to cut over, the report, and status.
struct PassFigures {
  std::uint32_t mailboxes = 0;  ///< looked at
  std::uint64_t appended = 0;
  std::uint64_t octets = 0;
  std::uint64_t flags = 0;  ///< messages whose flags were set
  std::uint64_t expunged = 0;
  std::chrono::milliseconds took{0};
  std::uint64_t changes() const noexcept { return appended + flags + expunged; }
  friend bool operator==(const PassFigures&, const PassFigures&) = default;
};

/// Where each mailbox of an account has come to, by wire name.
using Cursors = std::map<std::string, Cursor, std::less<>>;

}  // namespace relais::migrate
