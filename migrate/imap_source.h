// An account on an IMAP server as a source: by QRESYNC, by CONDSTORE, or plain.
#pragma once

#include "imap/client/client.h"
#include "migrate/source.h"

#include <memory>

namespace relais::migrate {

struct ImapSourceLimits {
  std::uint32_t batch = 200;                     ///< messages asked for in one FETCH
  std::uint64_t message_octets = 256ULL << 20U;  ///< a larger message is unreadable ("TOOBIG"): it would have to lie in memory
};

/// How an account is logged in to with the platform's master. Fault::refused "CANNOT" where the platform has none.
Result<imap::ClientLogin> master_login(const directory::LegacyPlatform& platform, std::string_view user);

/// Logs in and finds out what the server can tell. Errors: as Source.
net::Task<std::unique_ptr<Source>> open_imap_source(net::Loop& loop, imap::ClientOptions options, ImapSourceLimits limits = {});
/// The same over a session that there is (tests).
net::Task<std::unique_ptr<Source>> open_imap_source(std::unique_ptr<imap::Client> client, ImapSourceLimits limits = {});

}  // namespace relais::migrate
