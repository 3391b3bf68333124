// What all IMAP sessions of a process share.
#include "imap/server/server.h"

#include "imap/server/session.h"

namespace relais::imap {

bool Server::enter(storage::AccountId account) {
  const std::lock_guard lock(mutex_);
  auto& count = sessions_[static_cast<std::uint64_t>(account)];
  if (options_.max_per_account != 0 && count >= options_.max_per_account) return false;
  ++count;
  return true;
}

void Server::leave(storage::AccountId account) {
  const std::lock_guard lock(mutex_);
  const auto found = sessions_.find(static_cast<std::uint64_t>(account));
  if (found != sessions_.end() && --found->second == 0) sessions_.erase(found);
}

net::SessionStarter session_starter(std::shared_ptr<Server> server) {
  return
      [server = std::move(server)](std::unique_ptr<net::Connection> connection) { return Session::serve(server, std::move(connection)); };
}

}  // namespace relais::imap
