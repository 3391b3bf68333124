// A client's session at the legacy platform that still has its account.
#pragma once

#include "base/log.h"
#include "directory/legacy_hosts.h"
#include "directory/legacy_login.h"
#include "directory/moves.h"
#include "directory/placement_gate.h"
#include "imap/client/client.h"
#include "imap/relay/handover.h"
#include "net/pump.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace relais::imap {

class PlatformCapabilities;

/// What relays work with. All of it outlives them.
struct RelayServices {
  directory::Moves* moves = nullptr;
  directory::LegacyHosts* hosts = nullptr;
  directory::PlacementGate* gate = nullptr;
  PlatformCapabilities* capabilities = nullptr;  ///< is told what each login shows; null: nobody is
  /// How passwords of accounts that have moved here are checked while only their platform may know them; null: by the directory alone.
  const directory::LegacyLoginParts* moved = nullptr;
  /// True for accounts that are being copied: their sessions are told of what both sides have, so that moving them is exact. Any thread,
  /// must not block. Empty: never.
  std::function<bool(directory::AccountNumber)> moves_soon{};
  std::vector<std::string> ours{};         ///< what our own sessions announce after login
  std::shared_ptr<HandoverTurns> turns{};  ///< null: a relay need not wait for others
};

struct RelayOptions {
  net::PumpLimits pump{};
  ClientTimeouts timeouts{};
  std::chrono::seconds login_wait{12};         ///< for an account that is being moved: a little more than a freeze may last
  std::chrono::seconds handover_limit{120};    ///< for a session's turn to leave its platform, and for the platform's answers then
  std::uint32_t max_moved_messages = 200'000;  ///< sessions with more in the selected mailbox hear BYE
};

/// A session at the platform, logged in. Made while the client waits for the answer to its login, which is the check of its password; then
/// joined to the client's connection.
///
/// It is a guest of the placement's gate for its life, busy while a command is under way. Told to drain it holds the client at the next
/// boundary (imap/proto/relay_view.h) and rests: nothing passes in either direction. Released, it goes on as if nothing had been. Where the
/// account has moved it asks the platform what its client knows (imap/relay/client_map.h), and gives that back as a Handover; where that
/// cannot be exact the client hears BYE.
///
/// Threads: the loop's of the client's connection, which outlives it.
class Relay {
 public:
  /// Logs in at the platform that the account's placement names, and learns the password that it accepts. Then it enters the gate, which
  /// reads the placement again.
  /// @param who  with a placement of kind legacy  @param password  a secret; nullopt: the platform's master user logs in
  /// @return null where the placement is another by now: to be looked up again. Errors: Fault::refused "AUTHENTICATIONFAILED", of the
  ///   password; Fault::temporary for everything else, with a detail for the log.
  static net::Task<std::unique_ptr<Relay>> open(RelayServices services, RelayOptions options, net::Connection& client,
                                                directory::Located who, std::optional<std::string> password, std::string session_id);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  const std::string& platform() const noexcept;
  /// What the client may count on from now on: for the tagged OK of its login.
  const std::vector<std::string>& capabilities() const noexcept;
  /// The tagged OK has been queued or sent; what the client said behind its login is in its buffer. Never throws but for lack of memory.
  /// @return at the end: nullopt, with both connections closed; or what the session goes on from over the client's connection, whose
  /// buffer has what the client said meanwhile. The platform has nothing to do with it any more.
  net::asio::awaitable<std::optional<Handover>> run(const log::Session& log);
  /// The placement is about to change, or has. Before run() too. What the gate calls.
  void hear(directory::GateCall call) noexcept;
  /// Octets that the client got.
  std::uint64_t octets() const noexcept;

 private:
  struct Impl;
  explicit Relay(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// Of a session whose account has moved: it has gone on here, or not. Threads: any.
void count_handover(bool good);

}  // namespace relais::imap
