// Slows down password guessing.
#include "net/throttle.h"

#include "net/address.h"

#include <algorithm>

namespace relais::net {
namespace {

std::string address_name(std::string_view address) {
  const auto parsed = parse_address(address, 0);
  if (!parsed) return "a:" + std::string(address);
  const auto key = address_key(*parsed);
  return (key.ipv6 ? "6:" : "4:") + std::to_string(key.value);
}

std::string account_name(std::string_view account) { return "u:" + std::string(account); }

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
  return std::max(delay_of(by_address), delay_of(by_account));
}

void Throttle::failed(std::string_view address, std::string_view account) {
  const auto by_address = address_name(address);
  const auto by_account = account_name(account);
  const std::lock_guard lock(mutex_);
  add_failure(by_address);
  add_failure(by_account);
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

std::size_t Throttle::keys() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace relais::net
