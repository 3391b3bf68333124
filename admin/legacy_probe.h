// Trying a legacy platform: every service is dialled as a migration will do it.
#pragma once

#include "directory/moves.h"
#include "net/loop.h"
#include "net/resolver.h"

#include <string>
#include <vector>

namespace relais::admin {

/// What was found of one service.
struct ServiceProbe {
  std::string service;  ///< "imap", "pop3", "submission", "smtp", "lmtp"
  std::string address;  ///< as configured
  std::string tls{};    ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", "none"; empty: not connected
  std::vector<std::string> capabilities{};
  std::vector<std::string> facts{};     ///< what works
  std::vector<std::string> notes{};     ///< what will be slower or coarser than it could be
  std::vector<std::string> problems{};  ///< what a migration needs and has not
};

/// Dials each service that is configured: TLS, capabilities, the master's login, whether mail is taken for the account; where the
/// master logs in by authorization identity, whether a user that cannot exist is refused, since else the master's own mailbox is open.
/// Changes nothing there: no mailbox is opened to write, no message is sent.
///
/// @param account  one that lives there, whom the master logs in as  @param hostname  what we call ourselves
/// Threads: the loop's. The resolver outlives the call. Never fails: what goes wrong is a problem of the service.
net::asio::awaitable<std::vector<ServiceProbe>> probe_platform(directory::LegacyPlatform platform, directory::Located account,
                                                               std::string hostname, net::Resolver& resolver, net::Loop& loop);

}  // namespace relais::admin
