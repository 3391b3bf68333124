// APPEND, also of several messages (RFC 9051 §6.3.12, RFC 3502, RFC 4315 APPENDUID, RFC 7889).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> append(Session& session, const Tagged& command);

}  // namespace relais::imap
