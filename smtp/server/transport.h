// The way out of the queue: other hosts by SMTP and LMTP, mailboxes here, and what waits for an account's placement.
#pragma once

#include "base/clock.h"
#include "directory/placement_gate.h"
#include "smtp/outbound/dial.h"
#include "smtp/queue/attempt.h"
#include "smtp/queue/transport.h"
#include "smtp/server/routing.h"
#include "storage/store.h"

#include <memory>
#include <string>

namespace relais::smtp {

/// What lanes work with. All of it outlives them.
struct TransportParts {
  std::shared_ptr<const Dialer> dialer;
  Routing& routing;
  storage::Store& store;
  directory::PlacementGate& gate;
  const Clock& clock = system_clock();
};

/// Makes the lanes that the platform's queue uses:
///   mx:, smtp:, lmtp:, legacy:   one connection to one of the destination's hosts, kept for the next message; legacy: while it holds the
///                                placement of the accounts
///   local                        the recipient's account as it is now; an alias or a placement that has changed sends it elsewhere
///   account:N                    elsewhere once the account is not being moved any more; temporary until then
/// Threads: any.
class PlatformTransport final : public queue::Transport {
 public:
  explicit PlatformTransport(const TransportParts& parts) : parts_(parts), remote_(parts.dialer, parts.clock) {}
  std::unique_ptr<queue::Lane> lane(const std::string& destination, net::Loop& loop) override;

 private:
  const TransportParts parts_;
  queue::RemoteTransport remote_;
};

}  // namespace relais::smtp
