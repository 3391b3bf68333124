// The plain TCP stream. Internal to net/.
#pragma once

#include "net/poller.h"
#include "net/stream.h"

namespace relais::net {

/// A connected (or connecting) TCP socket.
class TcpStream final : public Stream {
 public:
  /// @param fd non-blocking; owned from now on. Sets TCP_NODELAY: replies are whole when they are sent.
  TcpStream(Poller& poller, int fd);
  ~TcpStream() override { close(); }
  Result<std::size_t> try_read(std::span<char> into) override;
  Result<std::size_t> try_write(std::span<const std::string_view> pieces) override;
  void finish_writing() override;
  asio::awaitable<Wake> wait_readable() override { return watch_.wait_readable(); }
  asio::awaitable<Wake> wait_writable() override { return watch_.wait_writable(); }
  void cancel_wait() override { watch_.cancel(); }
  void close() override;
  Watch& watch() noexcept { return watch_; }

 private:
  Watch watch_;
};

/// Fault::closed for an errno of a socket call.
std::unexpected<Error> socket_error(int error_number, std::string_view operation);

}  // namespace relais::net
