// Hashes passwords in the background after their owners logged in: to replace weak hashes, and to know what only a legacy platform knew.
#pragma once

#include "directory/directory.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace relais::directory {

/// A verified password to be hashed.
struct HashUpgrade {
  enum class Why : std::uint8_t {
    weak,     ///< the stored hash is weak, or there are no SCRAM keys
    learned,  ///< a legacy platform has accepted it: Moves::learn
  };
  AccountNumber account = 0;
  std::uint64_t generation = 0;
  std::string password;
  Why why = Why::weak;
};

/// One thread of low priority that works off a bounded queue. What does not fit is dropped: the account's next login brings it again.
/// Threads: any may call add() and wait_idle().
class HashUpgrader {
 public:
  static constexpr std::size_t kMaxQueued = 1'000;
  /// @param work  runs on the upgrader's thread; logs its own failures
  explicit HashUpgrader(std::function<void(const HashUpgrade&)> work);
  /// Drops what is queued, waits for what runs.
  ~HashUpgrader();
  HashUpgrader(const HashUpgrader&) = delete;
  HashUpgrader& operator=(const HashUpgrader&) = delete;

  void add(HashUpgrade upgrade);
  /// Until everything queued is done.
  void wait_idle();

 private:
  void run();

  const std::function<void(const HashUpgrade&)> work_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  // guarded by mutex_:
  std::deque<HashUpgrade> queue_;
  bool busy_ = false;
  bool stopping_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace relais::directory
