// The one connection type of all sessions: buffered reading with limits and deadlines, writing without copies, STARTTLS.
#pragma once

#include "net/stream.h"
#include "net/task.h"

#include <chrono>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace relais::net {

class Loop;
class TlsContext;
struct TlsPeer;

/// Where a connection comes from.
struct Endpoints {
  std::string peer_address;  ///< numeric, without port: "192.0.2.1", "2001:db8::1"
  std::uint16_t peer_port = 0;
  std::string local_address;
  std::uint16_t local_port = 0;
};

/// What ended a wait for octets.
enum class Woken : std::uint8_t {
  data,    ///< buffered() has grown
  signal,  ///< signal() was called meanwhile
};

/// What a wait waits for: at a command boundary a graceful stop of the platform ends it.
enum class Awaiting : std::uint8_t { command, data };

/// A connection of a client (or to a server). Lives on one Loop, used by one session coroutine.
///
/// While it waits it holds no buffers: an idle plain connection costs well under 1 KB here. Bytes that arrive are in
/// `buffered()`; the session's framer looks at them and says how many it used with `consume()`.
///
/// Errors of all operations: Fault::closed with code
///   ""          the peer closed or reset, or close() was called
///   "timeout"   the deadline passed
///   "shutdown"  the platform stops (only from a wait with Awaiting::command, and from pause())
/// After "timeout" or "shutdown" of fill() or pause() the connection can still be written to (a farewell); after a failed write it is
/// closed. TLS: Fault::refused with the reason in detail; the connection is closed. Lifetime: may be destroyed at any time on its loop;
/// what is pending ends with Fault::closed.
class Connection {
 public:
  Connection(Loop& loop, std::unique_ptr<Stream> stream, Endpoints endpoints);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Octets read and not yet consumed. Valid until the next fill() or consume().
  std::string_view buffered() const noexcept;
  /// Drops the first n buffered octets, n <= buffered().size().
  void consume(std::size_t n) noexcept;
  /// Waits until more octets are buffered (at most kReadSize at a time), or a signal comes.
  Task<Woken> fill(Deadline deadline, Awaiting awaiting);
  /// Waits that long without looking at the input. As a wait for a command: a graceful stop ends it (Fault::closed, "shutdown"), and so
  /// does close().
  Task<void> pause(std::chrono::milliseconds duration);
  /// Makes a pending or the next fill() return Woken::signal. On the connection's thread only.
  void signal() noexcept;

  /// Adds to the output that the next flush() sends. For small replies.
  void queue(std::string_view octets) { out_.append(octets); }
  /// The pending output, to append to in place.
  std::string& out() noexcept { return out_; }
  /// Sends the pending output. A peer that takes nothing until the deadline is closed.
  Task<void> flush(Deadline deadline);
  /// Sends the pending output and then the pieces, without copying them: they must stay valid until it returns.
  Task<void> write(std::span<const std::string_view> pieces, Deadline deadline);

  /// Server side of a TLS handshake. Output must have been flushed. Buffered plaintext from before is discarded (RFC 3207 §4.2: it could
  /// have been injected).
  Task<void> start_tls(const TlsContext& context, Deadline deadline);
  /// Client side. `server_name` is sent as SNI and checked against the certificate where the context verifies.
  Task<void> start_tls_client(const TlsContext& context, std::string server_name, Deadline deadline);
  /// The same with a policy for this connection. Where it fails for what the peer presented or said: Fault::refused with
  /// to_string(TlsFault) as code.
  Task<void> start_tls_client(const TlsContext& context, TlsPeer peer, Deadline deadline);
  /// Null before start_tls.
  const TlsInfo* tls() const noexcept;

  const Endpoints& endpoints() const noexcept { return endpoints_; }
  Loop& loop() noexcept { return loop_; }
  /// Ends everything pending with Fault::closed. Idempotent.
  void close();

  static constexpr std::size_t kReadSize = 64 * 1024;  ///< octets; most that one fill() adds

 private:
  struct Impl;
  friend class Pump;
  friend Task<std::unique_ptr<Connection>> connect(Loop&, std::string, std::uint16_t, Deadline, std::string);
  Loop& loop_;
  std::shared_ptr<Impl> impl_;  ///< shared with the operations that are pending
  std::string& out_;
  Endpoints endpoints_;
};

/// Opens a TCP connection. Errors: Fault::temporary (refused, unreachable, timeout).
/// @param source_address numeric, of the same family: where it comes from; empty: the system's choice
Task<std::unique_ptr<Connection>> connect(Loop& loop, std::string address, std::uint16_t port, Deadline deadline,
                                          std::string source_address = {});

}  // namespace relais::net
