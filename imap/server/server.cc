// What all IMAP sessions of a process share.
#include "imap/server/server.h"

#include "imap/server/capability.h"
#include "imap/server/session.h"

namespace relais::imap {

bool AccountConnections::enter(storage::AccountId account, std::uint32_t most) {
  const std::lock_guard lock(mutex_);
  auto& count = counts_[static_cast<std::uint64_t>(account)];
  if (most != 0 && count >= most) return false;
  ++count;
  return true;
}

void AccountConnections::leave(storage::AccountId account) {
  const std::lock_guard lock(mutex_);
  const auto found = counts_.find(static_cast<std::uint64_t>(account));
  if (found != counts_.end() && --found->second == 0) counts_.erase(found);
}

Server::Server(Services services, Options options) : services_(std::move(services)), options_(std::move(options)) {
  if (services_.connections == nullptr) services_.connections = std::make_shared<AccountConnections>();
  if (services_.relay.moves == nullptr) return;
  services_.relay.ours = own_capabilities(options_);
  if (services_.relay.turns == nullptr) services_.relay.turns = std::make_shared<HandoverTurns>();
}

net::SessionStarter session_starter(std::shared_ptr<Server> server) {
  return
      [server = std::move(server)](std::unique_ptr<net::Connection> connection) { return Session::serve(server, std::move(connection)); };
}

}  // namespace relais::imap
