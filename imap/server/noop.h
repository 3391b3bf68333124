// NOOP and CHECK (RFC 9051 §6.1.2, RFC 3501 §6.4.1).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> noop(Session& session, const Tagged& command);

}  // namespace relais::imap
