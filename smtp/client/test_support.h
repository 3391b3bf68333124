// A host that does what a script says: for tests of the client and of what stands above it.
#pragma once

#include "net/listener.h"
#include "net/loop.h"
#include "net/test_support.h"
#include "net/tls.h"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace relais::smtp::testing {

/// A listener on a free port of 127.0.0.1 that plays a script per connection: the first for the first, and so on; the last for all that
/// follow.
///
/// A script is lines:
///   S: text     sends the line with CRLF; \r \n \xHH are octets, a final "\" means no CRLF
///   C: text     reads a line, which must be this; a final "*" stands for any rest
///   DATA        reads content up to the final dot (or the size of the BDAT line that was read last) and keeps it as it came
///   TLS         a handshake as server
///   CLOSE       closes; so does the end of the script
///   HANG        says nothing more until the other side closes
/// What does not fit is a line of errors() and ends the connection.
///
/// Threads: the constructor's; the others between connections.
class ScriptedHost {
 public:
  /// @param octets  send octet by octet
  explicit ScriptedHost(std::vector<std::string> scripts, std::shared_ptr<net::TlsContext> tls = nullptr, bool octets = false);
  ~ScriptedHost();

  std::uint16_t port() const { return server_->port(); }
  /// Waits until `connections` scripts have ended. @return what went wrong in them, "" where nothing did
  std::string errors(std::size_t connections = 1);
  /// Content that DATA steps read, in order, with dots and the final dot (BDAT: as it is).
  std::vector<std::string> contents() const;
  std::size_t connections() const;
  /// Where the connections came from.
  std::vector<std::string> peers() const;

 private:
  class Player;
  net::asio::awaitable<void> play(std::unique_ptr<net::Connection> connection);

  const std::vector<std::string> scripts_;
  const std::shared_ptr<net::TlsContext> tls_;
  const bool octets_;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  // Guarded by mutex_.
  std::size_t begun_ = 0;
  std::size_t done_ = 0;
  std::string errors_;
  std::vector<std::string> contents_;
  std::vector<std::string> peers_;
  // Last: its threads end before the rest does.
  std::unique_ptr<net::TestServer> server_;
};

}  // namespace relais::smtp::testing
