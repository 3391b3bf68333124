// CLOSE and UNSELECT (RFC 9051 §6.4.1, §6.4.2).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> close(Session& session, const Tagged& command);
net::Task<Done> unselect(Session& session, const Tagged& command);

}  // namespace relais::imap
