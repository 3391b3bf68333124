// LOGOUT (RFC 9051 §6.1.3).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> logout(Session& session, const Tagged& command);

}  // namespace relais::imap
