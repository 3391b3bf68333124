// The table of commands: when each may be used, what it may send, who executes it.
#pragma once

#include "imap/proto/command.h"
#include "imap/server/session.h"

namespace relais::imap {

using Handler = net::Task<Done> (*)(Session& session, const Tagged& command);

struct CommandRow {
  Command command;
  std::uint8_t states;  ///< State bits in which it may be used
  std::uint8_t flags;
  Handler handler;
};

enum CommandFlag : std::uint8_t {
  /// Untagged EXPUNGE may come with the reply. Not for FETCH, STORE and SEARCH without UID (RFC 9051 §7.5.1).
  kMayExpunge = 1,
  /// The same for the UID form of the command.
  kUidMayExpunge = 2,
  /// What is new in the mailbox is told before the command runs, so that it sees a message that came a moment ago (RFC 9051 §5.2: EXISTS
  /// may
  /// come at any time), and STORE.SILENT keeps nothing back that others did before (RFC 9051 §6.4.6).
  kNewsFirst = 4,
};

const CommandRow& row_of(Command command) noexcept;

/// How often each was executed: relais_imap_commands_total.
void count_command(Command command) noexcept;

}  // namespace relais::imap
