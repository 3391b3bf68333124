// CREATE (RFC 9051 §6.3.4, RFC 6154 §3).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> create(Session& session, const Tagged& command);

}  // namespace relais::imap
