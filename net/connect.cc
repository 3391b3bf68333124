// Opens outgoing TCP connections.
#include "net/address.h"
#include "net/connection_impl.h"
#include "net/tcp_stream.h"

#include <cerrno>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

namespace relais::net {
namespace {

std::unexpected<Error> cannot_connect(std::string_view address, std::uint16_t port, int error_number) {
  const auto reason = std::system_category().message(error_number);
  return fail(Fault::temporary, "cannot connect", "", std::string(address) + " port " + std::to_string(port) + ": " + reason);
}

// 0, or why not. Only the address is bound: the port is chosen at connect(), so that it counts as used for one destination alone.
int bind_to(int fd, const std::string& source_address, int family) {
  auto from = parse_address(source_address, 0);
  if (!from) return EINVAL;
  if (from->family() != family) return EAFNOSUPPORT;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  return ::bind(fd, from->get(), from->size) == 0 ? 0 : errno;
}

}  // namespace

Task<std::unique_ptr<Connection>> connect(Loop& loop, std::string address, std::uint16_t port, Deadline deadline,
                                          std::string source_address) {
  RELAIS_CO_TRY(const auto to, parse_address(address, port));
  const int fd = ::socket(to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) co_return cannot_connect(address, port, errno);
  if (!source_address.empty()) {
    if (const int error_number = bind_to(fd, source_address, to.family()); error_number != 0) {
      ::close(fd);
      co_return fail(Fault::temporary, "cannot connect", "",
                     "from " + source_address + ": " + std::system_category().message(error_number));
    }
  }
  if (::connect(fd, to.get(), to.size) != 0 && errno != EINPROGRESS) {
    const int error_number = errno;
    ::close(fd);
    co_return cannot_connect(address, port, error_number);
  }
  auto stream = std::make_unique<TcpStream>(loop.impl().poller, fd);
  stream->watch().filled();  // what is writable is connected
  auto connection = std::make_unique<Connection>(loop, std::move(stream), Endpoints{std::move(address), port, {}, 0});
  if (auto connected = co_await Connection::Impl::wait_writable(connection->impl_, deadline); !connected) {
    const auto& endpoints = connection->endpoints();
    co_return cannot_connect(endpoints.peer_address, port, connected.error().code == "timeout" ? ETIMEDOUT : ECANCELED);
  }
  int error_number = 0;
  socklen_t size = sizeof error_number;
  ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error_number, &size);
  if (error_number != 0) co_return cannot_connect(connection->endpoints_.peer_address, port, error_number);
  SocketAddress local;
  if (::getsockname(fd, local.get(), &local.size) == 0) {
    connection->endpoints_.local_address = local.address();
    connection->endpoints_.local_port = local.port();
  }
  co_return connection;
}

}  // namespace relais::net
