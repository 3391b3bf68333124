// STATUS (RFC 9051 §6.3.11), also as LIST RETURN (STATUS …) sends it (RFC 5819).
#pragma once

#include "imap/proto/values.h"
#include "imap/server/session.h"
#include "storage/types.h"

namespace relais::imap {

net::Task<Done> status(Session& session, const Tagged& command);

/// Sends the STATUS response of a mailbox.
/// @param name  as the client knows it. It and `info` outlive the call
net::Task<void> send_status(Session& session, std::string_view name, const storage::MailboxInfo& info, StatusItems items);

}  // namespace relais::imap
