// What the crash test of moves and the process that it ends agree on: a platform on disk, and a live account that is moved.
#pragma once

#include "directory/lmdb_directory.h"
#include "migrate/account_move.h"
#include "migrate/move_testing.h"
#include "migrate/store_target.h"
#include "net/test_support.h"
#include "net/worker_pool.h"
#include "storage/engine/lmdb_engine.h"
#include "storage/model/open_store.h"

#include <filesystem>
#include <memory>
#include <string>

namespace relais::migrate::testing {

inline constexpr int kCrashed = 42;   ///< exit code at a crash point
inline constexpr int kReleased = 43;  ///< … after an attempt that was to be released
inline constexpr storage::ShardNumber kCrashShard = 1;

/// What the account's mail at the source is like in a round: users change it between two rounds.
inline Mail::Mailboxes crash_mail(int round) {
  Mail::Mailboxes all;
  const auto text = [](const std::string& mailbox, Uid uid) {
    return mailbox + " " + std::to_string(uid) + std::string(uid % 7 * 900, 'x');
  };
  for (Uid uid = 1; uid <= 12; ++uid) all["INBOX"][uid] = text("INBOX", uid);
  for (Uid uid = 3; uid <= 9; uid += 3) all["Sent"][uid] = text("Sent", uid);
  all["Empty"];
  for (int past = 1; past <= round; ++past) {
    const auto step = static_cast<Uid>(past);
    all["INBOX"].erase(step);
    all["INBOX"][step + 1] += "!";  // flagged
    all["INBOX"][12 + step] = text("INBOX", 12 + step);
    all["Round " + std::to_string(past)][1] = text("new", step);
  }
  return all;
}

/// The account over a Mail as a server that knows no MODSEQs: '!' at a text's end is \Flagged.
std::unique_ptr<Source> make_mail_source(const Mail& mail);

/// A platform on disk.
class CrashWorld {
 public:
  explicit CrashWorld(const std::filesystem::path& folder);

  template <class T>
  T run(net::asio::awaitable<T> call) {
    return net::run_on(loops.at(0), std::move(call));
  }
  std::optional<StageRecord> stage() const { return journal->stage(ann.number).value(); }
  directory::Placement placement() { return run(directory->find_number(ann.number)).value()->placement; }
  storage::AccountState state() { return run(store->importer().state(target())).value(); }
  storage::AccountRef target() const { return {storage::AccountId{ann.number}, kCrashShard}; }
  /// What lies in the shard, in the words of crash_mail().
  Mail::Mailboxes mail();

  net::LoopPool loops{1};
  net::WorkerPool workers{2, 1'000};
  std::unique_ptr<directory::MovingDirectory> directory;
  std::unique_ptr<storage::ShardedStore> store;
  std::unique_ptr<Journal> journal;
  std::unique_ptr<directory::PlacementGate> gate;
  Mail source;
  MoveServices services;
  MoveOptions options;
  directory::Account ann;
};

}  // namespace relais::migrate::testing
