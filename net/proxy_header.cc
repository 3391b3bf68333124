// Writes PROXY protocol headers; see proxy_header.h.
#include "net/proxy_header.h"

#include "base/encode.h"
#include "net/address.h"

#include <netinet/in.h>

namespace relais::net {
namespace {

constexpr std::string_view kSignature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::uint8_t kVersion2 = 0x20;
constexpr std::uint8_t kLocal = 0x00;
constexpr std::uint8_t kProxy = 0x01;
constexpr std::uint8_t kTcp4 = 0x11;
constexpr std::uint8_t kTcp6 = 0x21;

// The octets of an address in network order.
void put_address(std::string& out, const SocketAddress& address) {
  if (address.family() == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address.storage).sin6_addr;
    out.append(reinterpret_cast<const char*>(&v6), sizeof v6);
  } else {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address.storage).sin_addr;
    out.append(reinterpret_cast<const char*>(&v4), sizeof v4);
  }
}

}  // namespace

std::string proxy_header(const Endpoints& client) {
  std::string out(kSignature);
  const auto from = parse_address(client.peer_address, client.peer_port);
  const auto to = parse_address(client.local_address, client.local_port);
  if (!from || !to || from->family() != to->family()) {
    put_u8(out, kVersion2 | kLocal);
    put_u8(out, 0);  // AF_UNSPEC
    put_u16(out, 0);
    return out;
  }
  std::string addresses;
  put_address(addresses, *from);
  put_address(addresses, *to);
  put_u16(addresses, client.peer_port);
  put_u16(addresses, client.local_port);
  put_u8(out, kVersion2 | kProxy);
  put_u8(out, from->family() == AF_INET6 ? kTcp6 : kTcp4);
  put_u16(out, static_cast<std::uint16_t>(addresses.size()));
  return out + addresses;
}

}  // namespace relais::net
