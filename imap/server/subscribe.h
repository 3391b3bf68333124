// SUBSCRIBE and UNSUBSCRIBE (RFC 9051 §6.3.7, §6.3.8).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> subscribe(Session& session, const Tagged& command);

}  // namespace relais::imap
