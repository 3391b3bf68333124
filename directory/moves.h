// The directory's side of moving accounts: legacy platforms, where an account is and came from, changes of placement, learned passwords.
#pragma once

#include "directory/directory.h"
#include "directory/legacy.h"
#include "net/task.h"

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace relais::directory {

/// An account with what only moves need to know of it.
struct Located {
  Account account;
  Origin origin{};
  Knowledge knowledge = Knowledge::nothing;
  bool has_scram = false;
  std::uint64_t generation = 0;  ///< of the credential

  /// The platform that may be asked for this account's password: the one that it lives on or is moving from, else the one that it came
  /// from. Empty: none.
  const std::string& platform() const noexcept { return account.placement.legacy.empty() ? origin.platform : account.placement.legacy; }
};

/// Accounts by how their password is known, indexed by Knowledge.
using KnowledgeCounts = std::array<std::uint64_t, kKnowledges>;

/// An account that lives on a platform.
struct LegacyAccount {
  std::string address;
  Origin origin{};
  std::string password_hash{};  ///< as ImportedAccount::password_hash, or empty
  std::uint64_t quota_octets = 0;
};

/// Implemented by the directory's backends beside Directory. Each change is durable when it returns and seen by the next look-up on any
/// thread.
///
/// Threads: any; coroutines resume on the caller's executor. Errors: as Directory, and those named.
class Moves {
 public:
  virtual ~Moves() = default;

  // ---- legacy platforms
  /// Adds or replaces. Fault::syntax as check_platform().
  virtual net::Task<void> set_platform(LegacyPlatform platform) = 0;
  /// Fault::refused "NONEXISTENT" where there is none, "INUSE" while an account's placement or origin names it.
  virtual net::Task<void> remove_platform(std::string name) = 0;
  virtual net::Task<std::vector<LegacyPlatform>> platforms() = 0;
  virtual net::Task<std::optional<LegacyPlatform>> platform(std::string name) = 0;

  /// Called after each change of a platform or a placement, before the call that made it returns, on a thread of the directory's: must not
  /// block.
  struct Listener {
    std::function<void(const std::string& platform)> platform_changed{};
    std::function<void(AccountNumber account, const Placement& placement)> placement_changed{};
  };
  /// Adds one more. Before the first session; what it captures outlives the last call of the directory.
  virtual void listen(Listener listener) = 0;

  // ---- accounts
  /// The account behind a user name, as authenticate() reads it; nullopt where there is none or it is disabled. No hash, no network: who
  /// calls it before a password was checked must not let the client see the difference by other than the time a platform takes.
  virtual net::Task<std::optional<Located>> locate(std::string user) = 0;
  /// The same by number, disabled ones too.
  virtual net::Task<std::optional<Located>> located(AccountNumber account) = 0;
  /// Makes an account that lives on origin.platform. Fault::refused "NONEXISTENT" where there is no such platform.
  virtual net::Task<Account> add_legacy_account(LegacyAccount account) = 0;
  /// What the account brings along; its placement stays as it is. Sessions that begin from now on know the mailboxes by `names`.
  /// Fault::refused "NONEXISTENT" where account or platform is none; Fault::syntax as check_view().
  virtual net::Task<void> set_origin(AccountNumber account, Origin origin) = 0;

  /// Compare-and-set: the only way in which placements of existing accounts change.
  /// @param expected_epoch  of the placement that the caller knows  @param next  its epoch is ignored and becomes expected_epoch + 1
  /// @return the placement as it is now. Fault::refused: "EPOCH" where the epoch is another (nothing was changed), "NONEXISTENT" where
  ///   there is no such account, shard or platform
  virtual net::Task<Placement> change_placement(AccountNumber account, std::uint64_t expected_epoch, Placement next) = 0;

  // ---- passwords
  /// The account's platform has accepted this password: stores argon2id and SCRAM keys, in the background (HashUpgrader), unless by then
  /// the generation is another, or the known password is `set` or is this one. While the account lives on the platform only where its
  /// record says learn_passwords; afterwards always. The generation is raised. Returns at once; what does not fit into the queue is
  /// dropped, the next login brings it again. A password that was learned or found to be known in the last day costs a look-up in memory.
  virtual void learn(AccountNumber account, std::uint64_t generation, std::string password) = 0;
  /// Of the accounts whose placement or origin names this platform; empty: of all.
  virtual net::Task<KnowledgeCounts> knowledge(std::string platform) = 0;
};

/// What a backend is: everything that sessions, admins and moves need.
class MovingDirectory : public Directory, public Moves {};

}  // namespace relais::directory
