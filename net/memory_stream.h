// Streams without sockets: a script at the far end, or another stream. For tests, those of the sessions above net/ included.
#pragma once

#include "net/connection.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/stream.h"

#include <cstddef>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace relais::net {

/// What a scripted peer says and hears. Outlives the streams made from it. Threads: one.
struct Script {
  static constexpr std::size_t kNever = std::numeric_limits<std::size_t>::max();

  std::string to_server{};       ///< what the peer sends; more may be added before it is all read
  std::string from_server{};     ///< what it has got so far
  std::size_t chunk = kNever;    ///< octets that one read or write moves at most; 1 finds framers that count on luck
  std::size_t fail_at = kNever;  ///< the step, counted from 0, at which the transport breaks, for good
  std::size_t ops = 0;           ///< steps taken: reads that gave octets or the end, writes, the broken ones too
  bool end = true;               ///< to_server is followed by the end of the stream; else by silence until more is added
};

/// The server's end of a scripted conversation.
std::unique_ptr<Stream> scripted_stream(Script& script);

/// Runs a session against the script, on a loop of its own and this thread, until the session ends.
/// What the session throws is thrown here.
/// @return the number of steps (script.ops): the breaking points to try
std::size_t play(Script& script, const SessionStarter& session, Endpoints endpoints = {"192.0.2.1", 12345, "192.0.2.2", 25});

/// A scripted session that is driven step by step, on this thread.
class ScriptedSession {
 public:
  explicit ScriptedSession(const SessionStarter& session, std::size_t chunk = Script::kNever,
                           Endpoints endpoints = {"192.0.2.1", 12345, "192.0.2.2", 25});
  ~ScriptedSession();
  /// Lets the session run until it waits for input that is not there, pauses, or has ended. @return what it has sent since the last call
  std::string run();
  /// The peer says this; then as run().
  std::string send(std::string_view octets);
  /// The peer closes its side; then as run().
  std::string close();
  /// Lets the session run until what it sent since the last call contains `text` (pushed by something else than input), or it has ended.
  std::string run_until(std::string_view text);
  bool ended() const noexcept;
  Loop& loop() noexcept { return loop_; }

 private:
  struct State;
  std::string taken();
  Loop loop_;
  std::unique_ptr<State> state_;
};

/// Two streams that are each other's far end, on one loop. @param capacity octets in flight in each direction
std::pair<std::unique_ptr<Stream>, std::unique_ptr<Stream>> memory_pair(std::size_t capacity = 64 * 1024);

}  // namespace relais::net
