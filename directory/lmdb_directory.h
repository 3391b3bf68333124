// The directory in an LMDB environment of its own: the embedded default.
#pragma once

#include "base/clock.h"
#include "directory/moves.h"
#include "directory/password.h"
#include "net/worker_pool.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

namespace relais::directory {

struct LmdbDirectoryOptions {
  std::string path{};              ///< of the environment's folder; made where it is missing
  std::uint16_t shards = 1;        ///< new accounts are spread over 0 … shards - 1
  std::string default_domain{};     ///< for user names and "postmaster" without a domain; empty: none
  char tag_separator = '+';        ///< between user and tag; NUL: none
  std::string postmaster{};        ///< address that gets postmaster@ of every domain where nothing else takes it; empty: none
  PasswordCost cost{};             ///< of new passwords
  std::chrono::seconds remember_logins = std::chrono::minutes(5);  ///< how long a verified password is known without a slow hash; 0: not
  std::size_t max_remembered = 200'000;                            ///< verified passwords in memory, about 60 octets each
  bool upgrade_hashes = true;      ///< after a login with an imported hash: replace it by argon2id and SCRAM keys, in the background
  bool always_offer_scram = false; ///< announce SCRAM although some imported account has no keys yet
  std::size_t map_size = std::size_t{16} << 30;  ///< octets of address space: the most that the environment can grow to
  const Clock* clock = &system_clock();
};

/// Opens or makes the directory at options.path.
///
/// Look-ups read a snapshot and complete without suspending (about a microsecond). Writes run on the worker pool, one at a time, and are
/// fsynced when they return. Several processes may have it open.
///
/// @param workers  for writes and slow hashes; must outlive the directory's last call.
/// Errors: Fault::refused (path can't be made or opened; made by a newer release), Fault::corrupt.
///   Later: Fault::temporary "STORAGE_FULL" where a write found no room; after a failed fsync every write is Fault::temporary "READ_ONLY"
///   until the directory is reopened, look-ups go on.
/// Lifetime: destroy it after the last session; the destructor waits for a hash upgrade that runs.
Result<std::unique_ptr<MovingDirectory>> open_lmdb_directory(net::WorkerPool& workers, LmdbDirectoryOptions options);

/// Returns when every password queued for hashing so far, by upgrades and learn(), is done (tests, and whoever wants to be sure). For a Directory of this backend.
void wait_for_upgrades(Directory& directory);

}  // namespace relais::directory
