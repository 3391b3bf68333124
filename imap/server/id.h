// ID (RFC 2971).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> id(Session& session, const Tagged& command);

}  // namespace relais::imap
