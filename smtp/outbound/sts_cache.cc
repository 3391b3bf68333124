// MTA-STS policies in memory: bounded, and fetched once at a time.
#include "smtp/outbound/sts_cache.h"

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxTroubles = 10'000;

std::size_t octets_of(const std::string& domain, const StsPolicy& policy) {
  std::size_t sum = sizeof(StsPolicy) + 3 * domain.size();
  for (const auto& text : policy.mx) sum += sizeof text + text.size();
  for (const auto& text : policy.lines) sum += sizeof text + text.size();
  return sum;
}

}  // namespace

StsCache::Policy StsCache::find(std::string_view domain) const {
  const std::lock_guard lock(mutex_);
  const auto found = kept_.find(domain);
  return found == kept_.end() ? nullptr : found->second.policy;
}

std::vector<std::string> StsCache::put(const std::string& domain, Policy policy, bool saved) {
  std::vector<std::string> gone;
  const std::lock_guard lock(mutex_);
  if (const auto before = kept_.find(domain); before != kept_.end()) drop(before);
  if (const auto trouble = troubles_.find(domain); trouble != troubles_.end()) {
    troubles_by_age_.erase({trouble->second.at, domain});
    troubles_.erase(trouble);
  }
  const auto octets = octets_of(domain, *policy);
  octets_ += octets;
  by_expiry_.emplace(policy->expires(), domain);
  kept_.emplace(domain, Kept{std::move(policy), octets, saved});
  while (kept_.size() > 1 && (kept_.size() > max_policies_ || octets_ > max_octets_)) {
    const auto& first = by_expiry_.begin()->second == domain ? std::next(by_expiry_.begin())->second : by_expiry_.begin()->second;
    gone.push_back(first);
    drop(kept_.find(gone.back()));
  }
  return gone;
}

void StsCache::erase(const std::string& domain) {
  const std::lock_guard lock(mutex_);
  if (const auto found = kept_.find(domain); found != kept_.end()) drop(found);
}

void StsCache::mark_saved(const std::string& domain, const Policy& policy) {
  const std::lock_guard lock(mutex_);
  if (const auto found = kept_.find(domain); found != kept_.end() && found->second.policy == policy) found->second.saved = true;
}

std::size_t StsCache::size() const {
  const std::lock_guard lock(mutex_);
  return kept_.size();
}

std::optional<StsTrouble> StsCache::trouble(const std::string& domain) const {
  const std::lock_guard lock(mutex_);
  const auto found = troubles_.find(domain);
  return found == troubles_.end() ? std::nullopt : std::optional(found->second);
}

void StsCache::set_trouble(const std::string& domain, StsTrouble trouble) {
  const std::lock_guard lock(mutex_);
  if (const auto before = troubles_.find(domain); before != troubles_.end()) {
    troubles_by_age_.erase({before->second.at, domain});
    troubles_.erase(before);
  }
  troubles_by_age_.emplace(trouble.at, domain);
  troubles_.emplace(domain, std::move(trouble));
  if (troubles_.size() > kMaxTroubles) {
    troubles_.erase(troubles_by_age_.begin()->second);
    troubles_by_age_.erase(troubles_by_age_.begin());
  }
}

StsCache::Due StsCache::due(std::int64_t now, std::int64_t refresh_age) const {
  Due due;
  const std::lock_guard lock(mutex_);
  for (const auto& [domain, kept] : kept_) {
    if (kept.policy->expires() <= now) {
      due.expired.push_back(domain);
      continue;
    }
    if (!kept.saved) due.unsaved.emplace_back(domain, kept.policy);
    if (kept.policy->fetched + refresh_age <= now) due.old.push_back(domain);
  }
  return due;
}

void StsCache::drop(std::map<std::string, Kept, std::less<>>::iterator entry) {
  octets_ -= entry->second.octets;
  by_expiry_.erase({entry->second.policy->expires(), entry->first});
  kept_.erase(entry);
}

StsCache::Turn::~Turn() {
  if (cache_ != nullptr) cache_->give_back(domain_);
}

std::optional<StsCache::Turn> StsCache::take_turn(const std::string& domain) {
  const std::lock_guard lock(mutex_);
  if (!turns_.try_emplace(domain).second) return std::nullopt;
  return std::optional<Turn>(std::in_place, *this, domain);
}

void StsCache::wait(const std::string& domain, Waiter waiter) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto turn = turns_.find(domain); turn != turns_.end() && !ended_) {
      turn->second.push_back(std::move(waiter));
      return;
    }
  }
  std::move(waiter).resume({});
}

void StsCache::give_back(const std::string& domain) {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    const auto turn = turns_.find(domain);
    waiters.swap(turn->second);
    turns_.erase(turn);
  }
  for (auto& waiter : waiters) std::move(waiter).resume({});
}

void StsCache::end() {
  std::vector<Waiter> waiters;
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
    for (auto& [domain, waiting] : turns_) std::ranges::move(std::exchange(waiting, {}), std::back_inserter(waiters));
  }
  for (auto& waiter : waiters) std::move(waiter).resume({});
}

}  // namespace relais::smtp
