// Logins of IMAP sessions: here, or at the legacy platform that still has the account.
#pragma once

#include "directory/authenticator.h"
#include "directory/directory.h"
#include "imap/relay/relay.h"
#include "net/connection.h"

#include <memory>
#include <optional>
#include <string>

namespace relais::imap {

/// Stands between a session and the directory. The account is looked up first: one that lives on a legacy platform is logged in there, and
/// the session that comes of it is kept for take_relay(). The password of any other is the directory's to check.
///
/// Threads: the connection's loop. Errors: as Directory, and those of Relay::open(); an account on the move is Fault::temporary.
class LegacyLogin final : public directory::Authenticator {
 public:
  /// @param services  without `moves`: no account lives elsewhere
  LegacyLogin(directory::Directory& directory, RelayServices services, const RelayOptions& options, net::Connection& client,
              std::string session_id);
  ~LegacyLogin() override;

  net::Task<directory::Login> authenticate(std::string user, std::string password) override;
  net::Task<directory::ScramKeys> scram_keys(std::string user) override;
  net::Task<directory::Login> login_verified(std::string user, std::uint64_t generation) override;
  /// The session that the last login has opened; null where the account's mail is here.
  std::unique_ptr<Relay> take_relay() noexcept;

 private:
  net::Task<std::optional<directory::Located>> locate(std::string user);
  /// Of an account whose mail is here; one that came from a platform may be asked for there.
  net::Task<directory::Login> home(std::string user, std::string password);
  /// @param password  nullopt: by the master  @return false where the account has to be looked up again
  net::Task<bool> relay(const directory::Located& who, const std::optional<std::string>& password);

  directory::Directory& directory_;
  const RelayServices services_;
  const RelayOptions& options_;
  net::Connection& client_;
  const std::string session_id_;
  std::unique_ptr<Relay> relay_;
};

}  // namespace relais::imap
