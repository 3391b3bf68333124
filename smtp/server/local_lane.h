// Lanes for mail that stays here: into mailboxes, and what waits for an account's placement.
#pragma once

#include "base/clock.h"
#include "smtp/queue/transport.h"
#include "smtp/server/routing.h"
#include "storage/store.h"

#include <string>

namespace relais::smtp {

/// The outcome for a recipient that has another way than the one it was queued for: sent on, or refused where there is none.
queue::RecipientOutcome gone_elsewhere(Result<Whereabouts> found);

/// Appends to the INBOX of each recipient's account, with the trace id as delivery id: an attempt that is repeated after a crash changes nothing.
/// Threads: the loop's. Routing, store and clock outlive it.
class LocalLane final : public queue::Lane {
 public:
  LocalLane(Routing& routing, storage::Store& store, const Clock& clock) : routing_(routing), store_(store), clock_(clock) {}
  net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override;
  net::asio::awaitable<void> close() override { co_return; }

 private:
  net::asio::awaitable<queue::RecipientOutcome> deliver(const queue::Dispatch& dispatch, const queue::DispatchRecipient& recipient,
                                                        const storage::PreparedPtr& message, std::vector<queue::Outcome::Once>& once);
  Routing& routing_;
  storage::Store& store_;
  const Clock& clock_;
};

/// Sends recipients on once their account is not being moved any more. Until then the destination's gate stays shut.
class AccountLane final : public queue::Lane {
 public:
  explicit AccountLane(Routing& routing) : routing_(routing) {}
  net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override;
  net::asio::awaitable<void> close() override { co_return; }

 private:
  Routing& routing_;
};

}  // namespace relais::smtp
