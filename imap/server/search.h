// SEARCH and UID SEARCH (RFC 9051 §6.4.4).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> search(Session& session, const Tagged& command);

}  // namespace relais::imap
