// A POP3 client's session at the legacy platform that still has its account.
#pragma once

#include "base/log.h"
#include "directory/legacy_hosts.h"
#include "directory/legacy_login.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "net/pump.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace relais::pop {

/// What relays work with. All of it outlives them.
struct RelayServices {
  directory::Moves* moves = nullptr;
  directory::LegacyHosts* hosts = nullptr;
  directory::PlacementGate* gate = nullptr;
  /// How passwords of accounts that have moved here are checked while only their platform may know them; null: by the directory alone.
  const directory::LegacyLoginParts* moved = nullptr;
};

struct RelayOptions {
  net::PumpLimits pump{.idle = std::chrono::minutes(10)};  ///< RFC 1939 §3
  std::chrono::milliseconds connect_limit{10'000};
  std::chrono::milliseconds reply_limit{30'000};  ///< for each reply up to the login; some servers let those who fail wait for 15 seconds
  std::chrono::seconds login_wait{12};            ///< for an account that is being moved: a little more than a freeze may last
};

/// A session in the platform's TRANSACTION state. Its replies are not looked at; the client's lines are, for QUIT alone.
///
/// It is not moved. When the gate calls for a drain it is closed, unless QUIT has passed: then the platform is deleting, and it is let
/// finish. A client that was cut off has deleted nothing (RFC 1939 §6), connects again, and finds all messages and unique ids on the other
/// side.
///
/// Threads: the loop's of the client's connection, which outlives it.
class Relay {
 public:
  /// Logs in at the platform that the account's placement names, which is the check of the password; what it accepts is learned. Then the
  /// session enters the gate, which reads the placement again, and is a guest until it ends.
  /// @param who  with a placement of kind legacy  @param password  a secret; nullopt: the platform's master user logs in
  /// @return null where the placement is another by now: to be looked up again. Errors: Fault::refused "AUTHENTICATIONFAILED", of the
  ///   password; Fault::temporary with a POP3 response code or none for everything else. They are logged with their detail by the caller.
  static net::Task<std::unique_ptr<Relay>> open(RelayServices services, RelayOptions options, net::Connection& client,
                                                directory::Located who, std::optional<std::string> password, std::string session_id);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  const std::string& platform() const noexcept;
  /// The "+OK" has been queued or sent. Until the end; both connections are closed then.
  net::asio::awaitable<void> run(const log::Session& log);
  /// Octets that the client got.
  std::uint64_t octets() const noexcept;

 private:
  struct Impl;
  explicit Relay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::pop
