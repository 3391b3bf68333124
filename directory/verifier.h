// Password checks: from memory where the password was verified lately, else on a worker, one at a time per password.
#pragma once

#include "directory/password.h"
#include "directory/verified_cache.h"
#include "net/task.h"
#include "net/worker_pool.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace relais::directory {

/// What is checked against.
struct Secret {
  AccountNumber account = 0;
  std::uint64_t generation = 0;
};

/// Threads: any; coroutines resume on the caller's executor.
class Verifier {
 public:
  /// @param load      reads the credential; any thread
  /// @param verified  called after a slow check that succeeded, on a worker
  /// @param workers   must outlive the last check
  Verifier(net::WorkerPool& workers, VerifiedCache& cache, PasswordCost cost, std::function<Result<Credential>(AccountNumber)> load,
           std::function<void(Secret, const Credential&, std::string_view password)> verified);

  /// Whether the password was verified lately. About half a microsecond.
  bool remembers(Secret secret, std::string_view password);
  /// Whether the password fits. Equal checks that run at the same time share one hash. Fault::temporary where the workers' queue is full or
  /// the credential can't be read.
  net::Task<bool> check(Secret secret, std::string password);
  /// Takes as long as a check against a new credential, and finds nothing.
  net::Task<void> check_nothing(std::string password);

 private:
  struct Flight;
  Result<bool> hash_and_compare(Secret secret, const LoginDigest& digest, std::string_view password);
  void land(const LoginDigest& digest, const std::shared_ptr<Flight>& flight, Result<bool> outcome);

  net::WorkerPool& workers_;
  VerifiedCache& cache_;
  const PasswordCost cost_;
  const std::function<Result<Credential>(AccountNumber)> load_;
  const std::function<void(Secret, const Credential&, std::string_view)> verified_;
  std::mutex mutex_;
  std::map<LoginDigest, std::shared_ptr<Flight>> flights_;  // guarded by mutex_
};

}  // namespace relais::directory
