// The change feed.
#include "storage/model/feed.h"

#include "base/check.h"

#include <utility>

namespace relais::storage::model {

class ChangeFeed::Node final : public Subscription {
 public:
  Node(ChangeFeed& feed, AccountId account, Callback callback) : feed_(feed), account_(account), callback_(std::move(callback)) {
    auto& stripe = feed_.stripe(account_);
    const std::lock_guard lock(stripe.mutex);
    auto& first = stripe.first[account_];
    next_ = first;
    if (next_ != nullptr) next_->previous_ = this;
    first = this;
  }
  ~Node() override {
    auto& stripe = feed_.stripe(account_);
    const std::lock_guard lock(stripe.mutex);
    if (next_ != nullptr) next_->previous_ = previous_;
    if (previous_ != nullptr) {
      previous_->next_ = next_;
    } else if (next_ != nullptr) {
      stripe.first[account_] = next_;
    } else {
      stripe.first.erase(account_);
    }
  }
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  void call(const ChangeEvent& event) const { callback_(event); }
  Node* next() const noexcept { return next_; }

 private:
  ChangeFeed& feed_;
  const AccountId account_;
  const Callback callback_;
  Node* next_ = nullptr;      // guarded by the stripe's mutex
  Node* previous_ = nullptr;  // likewise
};

ChangeFeed::~ChangeFeed() {
  for (const auto& stripe : stripes_) RELAIS_CHECK(stripe.first.empty());
}

ChangeFeed::Stripe& ChangeFeed::stripe(AccountId account) noexcept {
  return stripes_[(static_cast<std::uint64_t>(account) * 0x9E37'79B9'7F4A'7C15U >> 32) % kStripes];
}

std::unique_ptr<Subscription> ChangeFeed::subscribe(AccountId account, Callback callback) {
  return std::make_unique<Node>(*this, account, std::move(callback));
}

void ChangeFeed::publish(const ChangeEvent& event) {
  auto& stripe = this->stripe(event.account);
  const std::lock_guard lock(stripe.mutex);
  const auto it = stripe.first.find(event.account);
  if (it == stripe.first.end()) return;
  for (const auto* node = it->second; node != nullptr; node = node->next()) node->call(event);
}

}  // namespace relais::storage::model
