// The command line's end of the local socket: plain blocking calls.
#include "admin/control.h"
#include "admin/socket_path.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>

namespace relais::admin {
namespace {

struct Descriptor {
  explicit Descriptor(int f) : fd(f) {}
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd;
};

bool send_all(int fd, std::string_view octets) {
  while (!octets.empty()) {
    const auto n = ::send(fd, octets.data(), octets.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    octets.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

std::optional<std::string> receive_line(int fd) {
  std::string line;
  std::array<char, 65536> buffer;
  while (line.empty() || line.back() != '\n') {
    const auto n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n <= 0) return std::nullopt;
    line.append(buffer.data(), static_cast<std::size_t>(n));
  }
  return line;
}

Fault fault_from(const std::string& name) {
  for (const auto fault : {Fault::syntax, Fault::refused, Fault::temporary, Fault::corrupt, Fault::closed}) {
    if (to_string(fault) == name) return fault;
  }
  return Fault::temporary;
}

}  // namespace

std::optional<Result<json>> ask_running_platform(const std::filesystem::path& socket, const std::string& operation, const json& request) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const SocketPath path(socket);
  if (path.text().size() >= sizeof address.sun_path) return std::nullopt;
  std::memcpy(address.sun_path, path.text().c_str(), path.text().size() + 1);
  const Descriptor client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(client.fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return std::nullopt;

  const auto line = json{{"operation", operation}, {"request", request}}.dump() + "\n";
  const auto reply = send_all(client.fd, line) ? receive_line(client.fd) : std::nullopt;
  if (!reply) return fail(Fault::temporary, "the platform ended before it answered; try again");
  auto message = json::parse(*reply, nullptr, false);
  if (message.is_object() && message.contains("result")) return std::move(message["result"]);
  if (!message.is_object() || !message.contains("error")) return fail(Fault::corrupt, "the platform's answer is not understood");
  const auto& error = message["error"];
  return fail(Error{fault_from(error.value("fault", "")), "", error.value("text", ""), error.value("detail", "")});
}

}  // namespace relais::admin
