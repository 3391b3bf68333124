// DELETE (RFC 9051 §6.3.5).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> delete_mailbox(Session& session, const Tagged& command);

}  // namespace relais::imap
