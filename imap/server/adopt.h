// Going on with a session that was relayed until its account moved here.
#pragma once

#include "imap/relay/handover.h"
#include "imap/server/session.h"

namespace relais::imap {

/// The client is told what is different by now: capabilities, flag lists, EXISTS, flags. Removals wait for a command that may tell them, or
/// are told at once in IDLE. From then on it is a session like any other.
///
/// Errors: Fault::refused where it cannot go on exactly: no such mailbox, another UIDVALIDITY, messages that the client could not be told
/// of. Those of the store; Fault::closed. The session is of no use then but for a BYE.
net::Task<void> adopt(Session& session, Handover from);

}  // namespace relais::imap
