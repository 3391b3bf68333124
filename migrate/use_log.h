// How accounts are used, for the journal: noted by frontends in memory, written now and then.
#pragma once

#include "base/clock.h"
#include "directory/placement_gate.h"
#include "migrate/journal.h"
#include "net/task.h"

#include <cstdint>
#include <mutex>
#include <unordered_map>

namespace relais::migrate {

/// A kill loses what was not written yet: at most what one day's first session of an account was since the last flush().
///
/// Threads: any. Memory: some 50 octets for each account that was used today. Lifetime: journal and clock outlive it.
class UseLog {
 public:
  UseLog(Journal& journal, const Clock& clock) : journal_(journal), clock_(clock) {}

  /// A guest has entered the gate. A look-up in memory. Transfers are no use.
  void note(AccountNumber account, directory::GuestKind kind);
  /// Writes what is new, in one transaction; what cannot be written is kept for the next time. Errors: of the journal.
  net::Task<void> flush();

 private:
  Journal& journal_;
  const Clock& clock_;
  std::mutex mutex_;
  std::int32_t today_ = 0;                                  // guarded by mutex_
  std::unordered_map<AccountNumber, UseRecord> known_;      // of today; guarded by mutex_
  std::unordered_map<AccountNumber, UseRecord> unwritten_;  // guarded by mutex_
};

}  // namespace relais::migrate
