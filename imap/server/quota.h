// GETQUOTA and GETQUOTAROOT (RFC 9208).
#pragma once

#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> get_quota(Session& session, const Tagged& command);
net::Task<Done> get_quota_root(Session& session, const Tagged& command);

}  // namespace relais::imap
