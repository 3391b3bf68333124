// STORE and UID STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> store(Session& session, const Tagged& command);

}  // namespace relais::imap
