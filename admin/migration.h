// Moving accounts in the running platform: the journal, what moves work with, the runner; and who uses which protocol.
#pragma once

#include "admin/settings.h"
#include "directory/legacy_hosts.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "migrate/account_move.h"
#include "migrate/journal.h"
#include "migrate/runner.h"
#include "migrate/use_log.h"
#include "net/completion.h"
#include "net/loop.h"
#include "net/worker_pool.h"
#include "storage/model/sharded_store.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace relais::admin {

/// What commands about moves work on: the running platform's, or opened on the data when a command needs it.
class MoveAccess {
 public:
  virtual ~MoveAccess() = default;
  /// Whether there is a journal: no account was ever moved, or thought of, where there is none.
  virtual bool any() const = 0;
  /// Made where there is none. May block for a moment. Errors: of opening it.
  virtual net::Task<migrate::Journal*> journal() = 0;
  /// What it takes to move an account. Fault::temporary where no platform runs.
  struct Running {
    migrate::Runner* runner = nullptr;
    const migrate::MoveServices* services = nullptr;
  };
  virtual net::Task<Running> running() = 0;
};

/// On the data: the journal alone.
class MovesOnData final : public MoveAccess {
 public:
  MovesOnData(const config::Values& settings, std::filesystem::path dir, net::WorkerPool& workers)
      : settings_(settings), dir_(std::move(dir)), workers_(workers) {}
  ~MovesOnData() override;
  bool any() const override;
  net::Task<migrate::Journal*> journal() override;
  net::Task<Running> running() override;

 private:
  const config::Values& settings_;
  const std::filesystem::path dir_;
  net::WorkerPool& workers_;
  std::unique_ptr<migrate::Journal> journal_;
};

struct MigrationParts {
  directory::MovingDirectory& directory;
  directory::PlacementGate& gate;
  storage::ShardedStore& store;
  directory::LegacyHosts& hosts;
  net::WorkerPool& workers;
};

/// Threads: the first loop's, but for those that say otherwise. Lifetime: the parts outlive it.
class Migration final : public MoveAccess {
 public:
  Migration(const config::Values& settings, std::filesystem::path dir, MigrationParts parts);
  ~Migration() override;
  Migration(const Migration&) = delete;
  Migration& operator=(const Migration&) = delete;

  /// Opens the journal where there is one, or an account could need one, and ends what a kill has left of freezes. The loops run, no
  /// listener is open. Not on a loop. What goes wrong is logged and harms nobody else: accounts that could not be settled get temporary
  /// failures until they are, and the next command tries to open the journal again.
  void open(net::LoopPool& loops);
  /// Moves of waves that run go on. Not on a loop.
  void start();
  /// No move begins any more, those under way come to an end. Not on a loop.
  void stop();
  /// @return false where some were still going on at the limit. Not on a loop.
  bool await_stopped(std::chrono::milliseconds limit);
  /// True for accounts that are copied and kept in step. Threads: any; a look into what is in memory.
  bool moves_soon(directory::AccountNumber account);
  /// After the loops have stopped, and before they are destroyed. Idempotent.
  void end();

  bool any() const override;
  net::Task<migrate::Journal*> journal() override;
  net::Task<Running> running() override;

 private:
  net::Task<void> open_journal();
  net::Task<void> open_once();
  net::Task<std::unique_ptr<migrate::MoveEnds>> open_ends(directory::Located account, storage::ShardNumber shard, net::Loop& loop);
  void used(directory::AccountNumber account, directory::GuestKind kind);
  net::asio::awaitable<void> write_use();

  const config::Values& settings_;
  const std::filesystem::path dir_;
  const MigrationParts parts_;
  const migrate::MoveOptions options_;
  net::LoopPool* loops_ = nullptr;
  std::unique_ptr<migrate::Journal> journal_;
  migrate::MoveServices services_;
  std::unique_ptr<migrate::Runner> runner_;
  bool started_ = false;
  bool stopping_ = false;
  bool opening_ = false;
  std::vector<net::Completion<bool>> waiting_;  ///< for the journal to be open

  std::mutex use_mutex_;
  std::unique_ptr<migrate::UseLog> use_log_;                                      ///< guarded by use_mutex_; once there is a journal
  migrate::Journal* known_ = nullptr;                                             ///< guarded by use_mutex_; likewise
  std::vector<std::pair<directory::AccountNumber, directory::GuestKind>> early_;  ///< guarded by use_mutex_; before it
  bool writing_ = false;                                                          ///< guarded by use_mutex_
};

}  // namespace relais::admin
