// NAMESPACE (RFC 9051 §6.3.10).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> namespaces(Session& session, const Tagged& command);

}  // namespace relais::imap
