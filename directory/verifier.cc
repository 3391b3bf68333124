// The slow half of logins, shared between equal ones: after a network failure a thousand clients come back with the same few passwords.
#include "directory/verifier.h"

#include "base/metrics.h"
#include "directory/digest.h"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <utility>
#include <vector>

namespace relais::directory {

namespace asio = net::asio;

namespace {
constexpr std::string_view kChecksHelp = "Password checks by how they were answered.";
}

/// One check that runs, and who else waits for its outcome. All of it is guarded by Verifier::mutex_ until `outcome` is set.
struct Verifier::Flight {
  std::optional<Result<bool>> outcome;
  std::vector<std::function<void()>> waiters;  ///< each posts to its own executor
};

Verifier::Verifier(net::WorkerPool& workers, VerifiedCache& cache, PasswordCost cost, std::function<Result<Credential>(AccountNumber)> load,
                   std::function<void(Secret, const Credential&, std::string_view)> verified)
    : workers_(workers), cache_(cache), cost_(cost), load_(std::move(load)), verified_(std::move(verified)) {}

bool Verifier::remembers(Secret secret, std::string_view password) {
  static auto& remembered = metrics::counter("relais_directory_password_checks_total", kChecksHelp, {{"by", "memory"}});
  if (!cache_.contains(cache_.digest(secret.account, secret.generation, password))) return false;
  remembered.add();
  return true;
}

net::Task<bool> Verifier::check(Secret secret, std::string password) {
  const Wiper wiper(password);
  const auto digest = cache_.digest(secret.account, secret.generation, password);

  std::shared_ptr<Flight> flight;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    auto& entry = flights_[digest];
    first = entry == nullptr;
    if (first) entry = std::make_shared<Flight>();
    flight = entry;
  }
  static auto& hashed = metrics::counter("relais_directory_password_checks_total", kChecksHelp, {{"by", "hash"}});
  static auto& shared = metrics::counter("relais_directory_password_checks_total", kChecksHelp, {{"by", "hash of an equal check"}});
  (first ? hashed : shared).add();
  if (first) {
    // The job lands the flight itself: those who wait must not depend on this coroutine.
    auto job = [this, secret, digest, flight, copy = password]() mutable -> Result<bool> {
      const Wiper wipe_copy(copy);
      try {
        auto outcome = hash_and_compare(secret, digest, copy);
        land(digest, flight, outcome);
        return outcome;
      } catch (...) {  // no memory: nobody may wait for ever
        land(digest, flight, fail(Fault::temporary, "password check failed"));
        throw;
      }
    };
    auto outcome = co_await workers_.run(std::move(job));
    if (!outcome) land(digest, flight, outcome);  // a full queue; harmless where the job has landed it
    co_return outcome;
  }
  auto wait = [this, flight](auto handler) {
    auto executor = asio::get_associated_executor(handler);
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    auto wake = [shared, work = asio::make_work_guard(executor)] { asio::post(work.get_executor(), std::move(*shared)); };
    {
      const std::lock_guard lock(mutex_);
      if (!flight->outcome) {
        flight->waiters.emplace_back(std::move(wake));
        return;
      }
    }
    wake();
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(std::move(wait), asio::use_awaitable);
  co_return *flight->outcome;
}

net::Task<void> Verifier::check_nothing(std::string password) {
  auto job = [this, copy = std::move(password)]() mutable -> Result<void> {
    const Wiper wiper(copy);
    verify_nothing(copy, cost_);
    return {};
  };
  co_return co_await workers_.run(std::move(job));
}

Result<bool> Verifier::hash_and_compare(Secret secret, const LoginDigest& digest, std::string_view password) {
  RELAIS_TRY(const auto credential, load_(secret.account));
  if (!verify_password(credential, password)) return false;
  cache_.remember(digest);
  verified_(secret, credential, password);
  return true;
}

void Verifier::land(const LoginDigest& digest, const std::shared_ptr<Flight>& flight, Result<bool> outcome) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = flights_.find(digest);
    if (at == flights_.end() || at->second != flight) return;
    flights_.erase(at);
    flight->outcome = std::move(outcome);
  }
  for (auto& wake : flight->waiters) wake();
}

}  // namespace relais::directory
