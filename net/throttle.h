// Slows down who keeps giving wrong passwords.
#pragma once

#include "base/clock.h"
#include "net/task.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace relais::net {

/// Remembers recent login failures per address and per account, and says how long the next answer has to wait.
///
/// The first kFree failures within a window cost nothing; each further attempt waits 1, 2, 4, … up to 30 seconds. One failure is
/// forgotten every kForget. Memory is bounded: the keys used least recently go first, and go sooner than an attacker's own, which
/// each attempt brings to the front. Threads: any.
class Throttle {
 public:
  static constexpr std::uint32_t kFree = 10;  ///< failures
  static constexpr std::chrono::seconds kFirstDelay{1};
  static constexpr std::chrono::seconds kMaxDelay{30};
  static constexpr std::chrono::seconds kForget{60};  ///< time after which one failure counts no more
  static constexpr std::uint32_t kMaxFailures = 30;   ///< more are not remembered, so that it ends within half an hour
  static constexpr std::size_t kMaxKeys = 100'000;

  explicit Throttle(const Clock& clock = system_clock(), std::size_t max_keys = kMaxKeys) : clock_(clock), max_keys_(max_keys) {}

  /// How long an answer to this attempt must wait: the longer of what address and account have earned. To be asked before the
  /// password is checked, so that a right guess waits as long as a wrong one.
  /// @param address numeric; IPv6 counts per /64  @param account Directory::login_name() of who it claims to be, existing or not; empty:
  /// the attempt has named nobody (yet), and counts for its address alone. Here as in the calls below.
  std::chrono::milliseconds delay(std::string_view address, std::string_view account);
  void failed(std::string_view address, std::string_view account);
  /// Forgets the account's failures and half of the address's: others behind it may be guessing still.
  void succeeded(std::string_view address, std::string_view account);
  std::size_t keys() const;

 private:
  struct Entry {
    std::string key;
    std::uint32_t failures = 0;
    std::chrono::steady_clock::time_point since;  ///< the failures count from here
  };
  using Entries = std::list<Entry>;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view key) const noexcept { return std::hash<std::string_view>()(key); }
  };

  Entry* find(const std::string& key);
  void add_failure(const std::string& key);
  void age(Entry& entry) const;
  std::chrono::milliseconds delay_of(const std::string& key);

  const Clock& clock_;
  const std::size_t max_keys_;
  mutable std::mutex mutex_;
  Entries entries_;  // guarded by mutex_, as is index_; most recently used first
  std::unordered_map<std::string_view, Entries::iterator, Hash, std::equal_to<>> index_;  // views of the entries' keys
};

class Connection;

/// Waits until an answer to this attempt is due. Call it before the password is checked, with what is known then, and again before the
/// client is told.
/// @param throttle  null: nobody waits  @param waited  that much has passed already
/// @return how long the waits were in all. Errors: those of Connection::pause(): a graceful stop ends the wait.
Task<std::chrono::milliseconds> wait_for_turn(Throttle* throttle, Connection& connection, std::string account,
                                              std::chrono::milliseconds waited = {});

}  // namespace relais::net
