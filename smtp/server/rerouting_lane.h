// Queued mail looks again where it belongs before it leaves.
#pragma once

#include "directory/placement_gate.h"
#include "smtp/queue/transport.h"
#include "smtp/server/routing.h"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace relais::smtp {

/// In front of a lane to other hosts: recipients whose way has changed since they were queued (a route, a placement, a domain that is ours
/// now) are sent elsewhere, the others go on. Where the directory can't tell, what was right when the message was queued will do, but for
/// legacy platforms: there each recipient's account is a guest of the gate while the message is given away, and one whose placement can't
/// be read, or is changing, waits. Threads: the loop's. Routing and gate outlive it.
class ReroutingLane final : public queue::Lane {
 public:
  ReroutingLane(std::unique_ptr<queue::Lane> next, Routing& routing, directory::PlacementGate& gate, net::Loop& loop,
                std::string destination);
  net::asio::awaitable<queue::Outcome> send(const queue::Dispatch& dispatch) override;
  net::asio::awaitable<void> close() override { return next_->close(); }

 private:
  /// Writes what has another way, or must wait, to `recipients`; who enters an account for it stands in `guests`. @return positions of the
  /// others
  net::asio::awaitable<std::vector<std::size_t>> still_here(const queue::Dispatch& dispatch,
                                                            std::vector<queue::RecipientOutcome>& recipients,
                                                            std::vector<directory::Guest>& guests);
  /// One recipient. @return whether it goes on
  net::asio::awaitable<bool> goes_on(const std::string& address, queue::RecipientOutcome& recipient, std::vector<directory::Guest>& guests);

  const std::unique_ptr<queue::Lane> next_;
  Routing& routing_;
  directory::PlacementGate& gate_;
  net::Loop& loop_;
  const std::string destination_;
  const bool legacy_;
};

}  // namespace relais::smtp
