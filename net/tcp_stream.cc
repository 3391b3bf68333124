// Reads and writes of a plain TCP socket.
#include "net/tcp_stream.h"

#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

namespace relais::net {
namespace {

constexpr std::size_t kMaxPieces = 64;         // iovecs per sendmsg; what is left goes with the next
constexpr std::size_t kDrainAtClose = 1 << 20;  // octets

}  // namespace

std::unexpected<Error> socket_error(int error_number, std::string_view operation) {
  return fail(Fault::closed, "connection lost", "", std::string(operation) + ": " + std::system_category().message(error_number));
}

TcpStream::TcpStream(Poller& poller, int fd) : watch_(poller, fd) {
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Result<std::size_t> TcpStream::try_read(std::span<char> into) {
  if (!watch_.readable()) return 0;
  for (;;) {
    const auto got = ::recv(watch_.fd(), into.data(), into.size(), 0);
    if (got > 0) {
      if (static_cast<std::size_t>(got) < into.size()) watch_.drained();
      return static_cast<std::size_t>(got);
    }
    if (got == 0) return fail(Fault::closed, "connection closed");
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return socket_error(errno, "recv");
    watch_.drained();
    return 0;
  }
}

Result<std::size_t> TcpStream::try_write(std::span<const std::string_view> pieces) {
  if (!watch_.writable()) return 0;
  std::array<iovec, kMaxPieces> vectors;
  std::size_t used = 0;
  std::size_t offered = 0;
  for (const auto piece : pieces) {
    if (used == kMaxPieces) break;
    if (piece.empty()) continue;
    vectors[used++] = {const_cast<char*>(piece.data()), piece.size()};
    offered += piece.size();
  }
  msghdr message{};
  message.msg_iov = vectors.data();
  message.msg_iovlen = used;
  for (;;) {
    const auto sent = ::sendmsg(watch_.fd(), &message, MSG_NOSIGNAL);
    if (sent >= 0) {
      if (static_cast<std::size_t>(sent) < offered) watch_.filled();
      return static_cast<std::size_t>(sent);
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return socket_error(errno, "sendmsg");
    watch_.filled();
    return 0;
  }
}

void TcpStream::finish_writing() {
  if (watch_.fd() >= 0) ::shutdown(watch_.fd(), SHUT_WR);
}

void TcpStream::close() {
  if (watch_.fd() < 0) return;
  // Closing with unread octets makes the kernel send RST, which can destroy our last reply on its way: take them first.
  if (watch_.readable()) {
    char* const nowhere = nullptr;
    for (std::size_t drained = 0; drained < kDrainAtClose;) {
      const auto got = ::recv(watch_.fd(), nowhere, kDrainAtClose, MSG_DONTWAIT | MSG_TRUNC);
      if (got <= 0) break;
      drained += static_cast<std::size_t>(got);
    }
  }
  watch_.close();
}

}  // namespace relais::net
