// Octets from one connection to another, both ways, with back-pressure; and two taps that may look at them.
#pragma once

#include "net/connection.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>

namespace relais::net {

/// What a tap says about the octets that it was shown. Done in the order of the members.
struct Passage {
  std::size_t pass = 0;        ///< so many of them go on, unchanged
  std::string_view instead{};  ///< then these; valid until the next call of the tap
  std::size_t drop = 0;        ///< and so many behind the passed ones do not
  std::uint64_t unseen = 0;    ///< so many behind those, come already or not, need not be shown: they are moved the cheapest way
  bool hold = false;           ///< then nothing more of this direction until Pump::resume(); what follows stays in the socket
};

/// Looks at one direction. Called on the pump's loop, never within another call of the same tap.
class Tap {
 public:
  virtual ~Tap() = default;
  /// @param octets  what came behind what this has let pass or dropped; empty only after Pump::ask() or resume(). What is neither passed
  /// nor
  ///                dropped is shown again, with more behind it. Where nothing is passed, put in or dropped, more octets are waited for, at
  ///                most Connection::kReadSize in all: beyond it the pump ends with Fault::refused. May be called several times before the
  ///                first of these octets is written.
  virtual Passage look(std::string_view octets) = 0;
  /// The platform stops: look() is called next, and should hold at the next boundary.
  virtual void shutting_down() noexcept {}
};

/// Which side an octet comes from.
enum class Side : std::uint8_t { client, server };

struct PumpLimits {
  std::chrono::milliseconds idle{30 * 60'000};  ///< without an octet in either direction
  std::chrono::milliseconds write{5 * 60'000};  ///< for a side that takes nothing
  std::chrono::milliseconds linger{30'000};     ///< for what the server still says once the client has closed its side
  /// Octets that need not be shown and are at least as many go through the kernel where neither side has TLS.
  std::size_t splice_from = 32 * 1024;
};

/// Why run() returned.
struct PumpEnd {
  enum class Why : std::uint8_t {
    client_closed,  ///< or has taken nothing for too long
    server_closed,  ///< the same
    idle,
    shutdown,  ///< the platform stops, and both directions are held (without a tap: have nothing under way)
    stopped,   ///< stop()
    held,      ///< both directions are held, everything passed has been taken: a boundary
    refused,   ///< a tap wanted more than kReadSize octets at once
  };
  Why why = Why::stopped;
  Error error{};  ///< for the log
};

/// Joins two connections of one loop. Each direction reads no more than the other side has taken: at most kReadSize octets wait, none while
/// idle. Octets are written from where they were read, not copied (but by TLS).
///
/// The connections stay the caller's: after run() it may read and write them as usual, from a boundary on. While run() runs nobody else
/// does. A client that has closed its sending side still gets what the server says, which is told that nothing more comes. A server that
/// closes ends the whole, once all it said has been taken.
///
/// Threads: the loop's. Lifetime: not destroyed while run() runs; connections and taps outlive it.
class Pump {
 public:
  /// @param from_client, from_server  null: that direction is not looked at
  Pump(Connection& client, Connection& server, Tap* from_client, Tap* from_server, PumpLimits limits = {});
  ~Pump();
  Pump(const Pump&) = delete;
  Pump& operator=(const Pump&) = delete;

  /// Until something ends it. Sends what the connections have queued first. Never throws but what a tap throws. May be called again after
  /// `held` (and resume()), `stopped` and `shutdown`, and goes on where it was.
  asio::awaitable<PumpEnd> run();
  /// From a tap or from elsewhere on the loop: run() returns soon. Nothing is lost: what was read and not passed is in the connection's
  /// buffered().
  void stop() noexcept;
  /// A held direction goes on: its tap is shown what waits.
  void resume(Side direction) noexcept;
  /// Makes the tap of a direction be asked although nothing came, so that it can say `hold` or put something in.
  void ask(Side direction) noexcept;
  /// Octets passed from that side, what taps put in not counted.
  std::uint64_t octets(Side from) const noexcept;
  /// How many of them went through the kernel alone.
  std::uint64_t spliced(Side from) const noexcept;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;  ///< shared with the two directions while run() runs
};

}  // namespace relais::net
