// ENABLE (RFC 9051 §6.3.1, RFC 5161).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> enable(Session& session, const Tagged& command);

}  // namespace relais::imap
