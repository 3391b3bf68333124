// The queue's way to other servers: hosts from Outbound, connections of Client.
#pragma once

#include "base/clock.h"
#include "smtp/outbound/dial.h"
#include "smtp/queue/transport.h"

#include <memory>
#include <string>

namespace relais::smtp::queue {

/// Lanes for "mx:", "smtp:", "lmtp:" and "legacy:" destinations: one connection to one of the destination's hosts at a time, kept for the
/// next message.
///
/// An attempt goes through the hosts in order, and through each host's addresses, until one takes us in; a host that answers for the
/// message or its recipients (whatever it says) ends the search, but for recipients that only have trouble with that host (RFC 5321 §5.1).
/// Threads: any. The clock outlives it and its lanes.
class RemoteTransport final : public Transport {
 public:
  explicit RemoteTransport(std::shared_ptr<const Dialer> dialer, const Clock& clock = system_clock())
      : dialer_(std::move(dialer)), clock_(clock) {}
  std::unique_ptr<Lane> lane(const std::string& destination, net::Loop& loop) override;

 private:
  const std::shared_ptr<const Dialer> dialer_;
  const Clock& clock_;
};

}  // namespace relais::smtp::queue
