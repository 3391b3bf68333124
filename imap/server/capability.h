// CAPABILITY (RFC 9051 §6.1.1).
#pragma once

#include "imap/server/session.h"

#include <string>
#include <vector>

namespace relais::imap {

net::Task<Done> capability(Session& session, const Tagged& command);

/// Appends what the session may announce now, "IMAP4rev1 IMAP4rev2 …", without spaces around it: it differs before and after login.
void append_capabilities(std::string& out, Session& session);

/// What every session announces after its login.
std::vector<std::string> own_capabilities(const Options& options);

}  // namespace relais::imap
