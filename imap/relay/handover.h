// What a relayed session has come to, in words that a session over another mailbox of the same name can go on from.
#pragma once

#include "base/number_set.h"
#include "directory/moves.h"
#include "imap/relay/handover_turns.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace relais::imap {

/// Flags of messages as a client may believe them: one set for all messages of a run, gaps between their UIDs included.
struct KnownFlags {
  struct Run {
    std::uint32_t first = 0;  ///< UIDs, ascending over the runs
    std::uint32_t last = 0;
    std::uint32_t set = 0;  ///< of `sets`
  };
  std::vector<std::vector<std::string>> sets;  ///< as the platform has written them, \Recent excluded
  std::vector<Run> runs;                       ///< messages of no run: nothing is known of theirs
};

/// A session at a command boundary: every command has had its reply, but for an IDLE.
struct Handover {
  directory::Located who;  ///< with the placement to go on at
  bool condstore = false;
  bool qresync = false;
  bool utf8_accept = false;
  bool rev2 = false;
  std::string idle_tag{};                   ///< of the IDLE in progress; empty: none
  std::vector<std::string> capabilities{};  ///< what the client was told after its login
  struct Mailbox {
    std::string select;  ///< what stood behind SELECT or EXAMINE
    bool utf8 = false;   ///< the dialect that it is in
    bool read_only = false;
    std::uint32_t uid_validity = 0;
    /// The client's map: sequence number n is the n-th UID. Exactly what it was told; what is different by now is still to be told.
    NumberSet uids{};
    KnownFlags flags{};
  };
  std::optional<Mailbox> selected{};
  HandoverTurn turn{};  ///< let go of it once the session goes on
};

}  // namespace relais::imap
