// COPY and MOVE (RFC 9051 §6.4.7, §6.4.8).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> copy(Session& session, const Tagged& command);
net::Task<Done> move(Session& session, const Tagged& command);

}  // namespace relais::imap
