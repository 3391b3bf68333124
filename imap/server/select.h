// SELECT and EXAMINE (RFC 9051 §6.3.2, §6.3.3, RFC 7162 §3.2.5).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> select(Session& session, const Tagged& command);

}  // namespace relais::imap
