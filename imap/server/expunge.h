// EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> expunge(Session& session, const Tagged& command);

}  // namespace relais::imap
