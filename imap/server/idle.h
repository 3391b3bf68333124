// IDLE (RFC 9051 §6.3.13).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> idle(Session& session, const Tagged& command);

}  // namespace relais::imap
