// The door of outgoing.h to other hosts, for real: what sessions ask and give to legacy platforms while their clients wait.
#pragma once

#include "base/clock.h"
#include "smtp/outbound/dial.h"
#include "smtp/server/outgoing.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace relais::smtp {

struct SessionRelayOptions {
  /// After a host was not reached, sessions do not try it for so long: their mail is queued at once.
  std::chrono::seconds pause{30};
  std::size_t max_remembered = 10'000;  ///< destinations in a pause
  /// How long a host may take: less than our clients wait for us (RFC 5321 §4.5.3.2: five minutes for RCPT, ten for the end of DATA).
  static ClientTimeouts timeouts();
};

/// Threads: any. Dialer's references and the clock outlive it; it outlives every session.
class SessionRelays final : public Relays {
 public:
  SessionRelays(Dialer dialer, SessionRelayOptions options = {}, const Clock& clock = system_clock());
  ~SessionRelays() override;
  std::unique_ptr<Relay> open(const std::string& destination, net::Loop& loop) override;
  /// A route or a legacy platform has changed: it is tried again at once.
  void forget_pauses();

  struct Shared;

 private:
  std::shared_ptr<Shared> shared_;
};

}  // namespace relais::smtp
