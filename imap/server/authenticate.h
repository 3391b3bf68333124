// AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959 SASL-IR).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> authenticate(Session& session, const Tagged& command);

}  // namespace relais::imap
