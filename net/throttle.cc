// Slows down password guessing.
#include "net/throttle.h"

#include "base/metrics.h"
#include "net/address.h"
#include "net/connection.h"

#include <algorithm>

namespace relais::net {
namespace {

std::string address_name(std::string_view address) {
  const auto parsed = parse_address(address, 0);
  if (!parsed) return "a:" + std::string(address);
  const auto key = address_key(*parsed);
  return (key.ipv6 ? "6:" : "4:") + std::to_string(key.value);
}

constexpr std::size_t kMaxAccount = 320;  // octets: a longer name is nobody's, and must not cost its length in memory

std::string account_name(std::string_view account) { return "u:" + std::string(account.substr(0, kMaxAccount)); }

}  // namespace

// One failure is forgotten per kForget that has passed.
void Throttle::age(Entry& entry) const {
  const auto passed = (clock_.steady_now() - entry.since) / kForget;
  if (passed <= 0) return;
  entry.failures -= static_cast<std::uint32_t>(std::min<std::int64_t>(passed, entry.failures));
  entry.since += passed * kForget;
}

Throttle::Entry* Throttle::find(const std::string& key) {
  const auto at = index_.find(key);
  if (at == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, at->second);
  age(*at->second);
  return &*at->second;
}

void Throttle::add_failure(const std::string& key) {
  auto* entry = find(key);
  if (entry == nullptr) {
    if (entries_.size() >= max_keys_) {
      index_.erase(entries_.back().key);
      entries_.pop_back();
    }
    entries_.push_front({key, 0, clock_.steady_now()});
    entry = &entries_.front();
    index_.emplace(entry->key, entries_.begin());
  }
  if (entry->failures == 0) entry->since = clock_.steady_now();
  entry->failures = std::min(entry->failures + 1, kMaxFailures);
}

std::chrono::milliseconds Throttle::delay_of(const std::string& key) {
  const auto* const entry = find(key);
  if (entry == nullptr || entry->failures < kFree) return {};
  const auto doublings = std::min<std::uint32_t>(entry->failures - kFree, 5);
  return std::min<std::chrono::milliseconds>(kFirstDelay * (1U << doublings), kMaxDelay);
}

std::chrono::milliseconds Throttle::delay(std::string_view address, std::string_view account) {
  const auto by_address = address_name(address);
  const auto by_account = account_name(account);
  const std::lock_guard lock(mutex_);
  const auto for_address = delay_of(by_address);
  return account.empty() ? for_address : std::max(for_address, delay_of(by_account));
}

void Throttle::failed(std::string_view address, std::string_view account) {
  const auto by_address = address_name(address);
  const auto by_account = account_name(account);
  const std::lock_guard lock(mutex_);
  add_failure(by_address);
  if (!account.empty()) add_failure(by_account);
}

void Throttle::succeeded(std::string_view address, std::string_view account) {
  const auto by_address = address_name(address);
  const auto by_account = account_name(account);
  const std::lock_guard lock(mutex_);
  if (auto* const entry = find(by_address); entry != nullptr) entry->failures /= 2;
  if (const auto at = index_.find(by_account); at != index_.end()) {
    const auto entry = at->second;
    index_.erase(at);
    entries_.erase(entry);
  }
}

Task<std::chrono::milliseconds> wait_for_turn(Throttle* throttle, Connection& connection, std::string account,
                                              std::chrono::milliseconds waited) {
  if (throttle == nullptr) co_return waited;
  const auto delay = throttle->delay(connection.endpoints().peer_address, account);
  if (delay <= waited) co_return waited;
  static auto& slowed = metrics::counter("relais_net_logins_slowed_total", "logins that had to wait because of wrong passwords");
  slowed.add();
  RELAIS_CO_TRY_VOID(co_await connection.pause(delay - waited));
  co_return delay;
}

std::size_t Throttle::keys() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace relais::net
