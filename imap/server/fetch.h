// FETCH and UID FETCH (RFC 9051 §6.4.5).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> fetch(Session& session, const Tagged& command);

}  // namespace relais::imap
