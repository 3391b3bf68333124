// STARTTLS (RFC 9051 §6.2.1).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> starttls(Session& session, const Tagged& command);

}  // namespace relais::imap
