// Limits and schedules per destination.
#include "smtp/queue/rules.h"

#include "base/ascii.h"

#include <algorithm>
#include <cmath>

namespace relais::smtp::queue {

std::chrono::milliseconds RetrySchedule::pause(std::uint32_t n, double random) const noexcept {
  const double steps = std::min<double>(n == 0 ? 0 : n - 1, 64);
  const double most = static_cast<double>(longest.count());
  const double whole = std::min(most, static_cast<double>(first.count()) * std::pow(std::max(factor, 1.0), steps));
  const double spread = std::clamp(jitter, 0.0, 0.9);
  const double seconds = whole * (1.0 + spread * (2.0 * random - 1.0));
  return std::chrono::milliseconds(std::max<std::int64_t>(1, std::llround(seconds * 1'000)));
}

Rule Rules::local_rule() {
  Rule rule;
  rule.concurrency = 32;
  rule.initial_concurrency = 8;
  rule.messages_per_connection = 1'000;
  rule.retry = {.first = std::chrono::seconds(5), .longest = std::chrono::minutes(5), .factor = 2.0, .jitter = 0.2};
  return rule;
}

Rules::Rules(Rule remote, Rule local, std::vector<Override> overrides) : remote_(std::move(remote)), local_(std::move(local)) {
  for (auto& one : overrides) {
    auto match = to_lower(one.match);
    if (match.starts_with("*.")) {
      match.erase(0, 2);
      wildcards_.insert_or_assign(std::move(match), std::move(one));
      continue;
    }
    // A bare domain means its MX destination; whatever else has a colon, but for an address literal.
    if (match != "local" && (match.starts_with('[') || !match.contains(':'))) match.insert(0, "mx:");
    exact_.insert_or_assign(std::move(match), std::move(one));
  }
}

const Override* Rules::find(std::string_view destination) const {
  if (const auto found = exact_.find(destination); found != exact_.end()) return &found->second;
  if (wildcards_.empty() || !destination.starts_with("mx:")) return nullptr;
  auto name = destination.substr(3);
  for (auto dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.')) {
    name.remove_prefix(dot + 1);
    if (const auto found = wildcards_.find(name); found != wildcards_.end()) return &found->second;
  }
  return nullptr;
}

Rule Rules::of(std::string_view destination) const {
  const bool here = destination == "local" || destination.starts_with("account:");
  Rule rule = here ? local_ : remote_;
  if (const auto* given = find(destination)) {
    if (given->concurrency) rule.concurrency = *given->concurrency;
    if (given->rate) rule.rate = *given->rate;
    if (given->messages_per_connection) rule.messages_per_connection = *given->messages_per_connection;
    if (given->recipients_per_transaction) rule.recipients_per_transaction = *given->recipients_per_transaction;
    if (given->first_retry) rule.retry.first = *given->first_retry;
    if (given->longest_retry) rule.retry.longest = *given->longest_retry;
    if (given->source_address) rule.source_address = *given->source_address;
  }
  rule.concurrency = std::max(rule.concurrency, 1U);
  rule.initial_concurrency = std::clamp(rule.initial_concurrency, 1U, rule.concurrency);
  rule.messages_per_connection = std::max(rule.messages_per_connection, 1U);
  rule.recipients_per_transaction = std::max(rule.recipients_per_transaction, 1U);
  rule.retry.longest = std::max(rule.retry.longest, rule.retry.first);
  return rule;
}

}  // namespace relais::smtp::queue
