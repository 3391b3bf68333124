// LIST in all its forms and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 5819, RFC 6154, RFC 3501 §6.3.9).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> list(Session& session, const Tagged& command);
net::Task<Done> lsub(Session& session, const Tagged& command);

}  // namespace relais::imap
