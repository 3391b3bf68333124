// LOGIN (RFC 9051 §6.2.3), and what every successful login does.
#pragma once

#include "directory/directory.h"
#include "directory/relayed_login.h"
#include "imap/server/session.h"

namespace relais::imap {

net::Task<Done> login(Session& session, const Tagged& command);

/// Who checks the client's credentials: the directory, or the platform that still has the account, where the session is opened into
/// `relay`. Lifetime of what is returned: shorter than those of both.
directory::RelayedLogin judge_of(Session& session, std::unique_ptr<Relay>& relay);

/// Waits as long as failed logins from the client's address and into the account ask for. To be awaited before the client learns whether
/// its credentials are right, so that a right guess waits as long as a wrong one.
/// @param waited  that much has passed already
/// @return how long that was in all. Fault::closed where the platform stops meanwhile
net::Task<std::chrono::milliseconds> wait_for_turn(Session& session, std::string user, std::chrono::milliseconds waited = {});

/// The client proved who it is: enters the authenticated state, and tells the capabilities that it has there.
/// Errors: Fault::temporary where the account is not served here now, Fault::refused [LIMIT].
/// @param relay  where the account lives elsewhere: the session there, which this one goes on with; else null
Result<Done> logged_in(Session& session, const directory::Login& login, std::unique_ptr<Relay> relay, std::string_view user,
                       std::string_view mechanism);

/// The client proved nothing: counts, logs. @return what to reply
Error login_failed(Session& session, Error error, std::string_view user, std::string_view mechanism);

}  // namespace relais::imap
