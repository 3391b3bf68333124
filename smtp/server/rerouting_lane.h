// Queued mail looks again where it belongs before it leaves.
#pragma once

#include "smtp/queue/transport.h"
#include "smtp/server/routing.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace relais::smtp {

/// In front of a lane to other hosts: recipients whose way has changed since they were queued (a route, a placement, a domain that is ours
/// now) are sent elsewhere, the others go on. Where the directory can't tell, what was right when the message was queued will do.
/// Threads: the loop's. Routing outlives it.
class ReroutingLane final : public queue::Lane {
 public:
  ReroutingLane(std::unique_ptr<queue::Lane> next, Routing& routing, std::string destination)
      : next_(std::move(next)), routing_(routing), destination_(std::move(destination)) {}
  net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override;
  net::asio::awaitable<void> close() override { return next_->close(); }

 private:
  /// Writes what has another way to `recipients`. @return positions of the others
  net::asio::awaitable<std::vector<std::size_t>> still_here(const queue::Dispatch& dispatch, std::vector<queue::RecipientOutcome>& recipients);

  const std::unique_ptr<queue::Lane> next_;
  Routing& routing_;
  const std::string destination_;
};

}  // namespace relais::smtp
