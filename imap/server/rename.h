// RENAME (RFC 9051 §6.3.6).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> rename(Session& session, const Tagged& command);

}  // namespace relais::imap
