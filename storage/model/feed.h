// The change feed: who wants to know of commits in which account.
#pragma once

#include "storage/store.h"

#include <array>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace relais::storage::model {

/// Subscribers by account.
///
/// Threads: any. Callbacks run on the publishing thread with the account's stripe locked, so that none begins after the subscription's
/// destructor returned; a callback must not subscribe or unsubscribe.
/// Cost: one list node of some 80 octets per subscription; publish() to an account without subscribers is one look-up.
/// Lifetime: the feed outlives its subscriptions.
class ChangeFeed {
 public:
  using Callback = std::function<void(const ChangeEvent&)>;
  ChangeFeed() = default;
  ~ChangeFeed();
  ChangeFeed(const ChangeFeed&) = delete;
  ChangeFeed& operator=(const ChangeFeed&) = delete;

  std::unique_ptr<Subscription> subscribe(AccountId account, Callback callback);
  void publish(const ChangeEvent& event);

 private:
  class Node;
  struct Stripe {
    std::mutex mutex;
    std::unordered_map<AccountId, Node*> first;  // of each account's list
  };
  static constexpr std::size_t kStripes = 64;
  Stripe& stripe(AccountId account) noexcept;
  std::array<Stripe, kStripes> stripes_;
};

}  // namespace relais::storage::model
