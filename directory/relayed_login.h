// Logins of sessions that go on at the legacy platform where their account still lives there.
#pragma once

#include "directory/authenticator.h"
#include "directory/legacy_login.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace relais::directory {

/// What such logins work with. All of it outlives them.
struct RelayedLoginParts {
  Directory& directory;
  Moves* moves = nullptr;                   ///< null: no account lives elsewhere
  PlacementGate* gate = nullptr;            ///< where there are moves
  const LegacyLoginParts* moved = nullptr;  ///< how passwords of accounts that have moved here are checked; null: by the directory alone
};

/// Stands between a session and the directory. The account is looked up first (no hash, no network). By its placement:
///   shard   the directory judges the password, and LegacyLogin where only the platform that the account came from may know it
///   legacy  the session is opened there with the client's credentials, which is the check of them
///   moving  waits at the gate until that is settled, then looks again
/// SCRAM proofs cannot be passed on: a good one opens the session without a password, by the platform's master.
///
/// Errors: as Authenticator, and those of `open`. Fault::temporary "UNAVAILABLE" for an account that was not settled in time, or whose
///   placement changed again and again.
/// Threads: the session's loop.
class RelayedLogin final : public Authenticator {
 public:
  /// Opens the session at the platform of an account with a placement of kind legacy, and keeps it where that succeeds.
  /// @param password  a secret; nullopt: by the master
  /// @return false where the placement is another by now: the account is looked up again. Errors: Fault::refused "AUTHENTICATIONFAILED",
  ///   of the password; anything else where the platform does not say.
  using Open = std::function<net::Task<bool>(Located who, std::optional<std::string> password)>;

  /// @param client_address  numeric  @param wait  for an account that is being moved: a little more than a freeze may last
  RelayedLogin(const RelayedLoginParts& parts, std::string client_address, std::chrono::milliseconds wait, Open open);

  net::Task<Login> authenticate(std::string user, std::string password) override;
  net::Task<ScramKeys> scram_keys(std::string user) override { return parts_.directory.scram_keys(std::move(user)); }
  net::Task<Login> login_verified(std::string user, std::uint64_t generation) override;

 private:
  net::Task<std::optional<Located>> locate(std::string user);
  /// Of an account whose mail is here.
  net::Task<Login> home(std::string user, std::string password);
  net::Task<void> await_settled(AccountNumber account);

  const RelayedLoginParts parts_;
  const std::string client_address_;
  const std::chrono::milliseconds wait_;
  const Open open_;
};

}  // namespace relais::directory
