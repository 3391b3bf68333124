// Numeric addresses: text and back.
#include "net/address.h"

#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace relais::net {
namespace {

const sockaddr_in& as_v4(const SocketAddress& a) { return reinterpret_cast<const sockaddr_in&>(a.storage); }
const sockaddr_in6& as_v6(const SocketAddress& a) { return reinterpret_cast<const sockaddr_in6&>(a.storage); }
bool is_mapped(const in6_addr& address) noexcept { return IN6_IS_ADDR_V4MAPPED(&address); }

}  // namespace

std::string SocketAddress::address() const {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* octets = &as_v4(*this).sin_addr;
  int text_family = AF_INET;
  if (family() == AF_INET6) {
    const auto& v6 = as_v6(*this).sin6_addr;
    const bool mapped = is_mapped(v6);
    text_family = mapped ? AF_INET : AF_INET6;
    octets = &v6.s6_addr[mapped ? 12 : 0];
  }
  if (::inet_ntop(text_family, octets, text.data(), text.size()) == nullptr) return "unknown";
  return text.data();
}

std::uint16_t SocketAddress::port() const noexcept { return ntohs(family() == AF_INET6 ? as_v6(*this).sin6_port : as_v4(*this).sin_port); }

Result<SocketAddress> parse_address(std::string_view address, std::uint16_t port) {
  SocketAddress out;
  const std::string text(address);
  auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
  if (::inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    out.size = sizeof v4;
    return out;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
  v6 = {};
  if (::inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    out.size = sizeof v6;
    return out;
  }
  return fail(Fault::refused, "\"" + text + "\" is not a numeric IPv4 or IPv6 address");
}

AddressKey address_key(const SocketAddress& address) noexcept {
  if (address.family() != AF_INET6) return {ntohl(as_v4(address).sin_addr.s_addr), false};
  const auto& octets = as_v6(address).sin6_addr.s6_addr;
  const bool mapped = is_mapped(as_v6(address).sin6_addr);
  std::uint64_t value = 0;
  for (std::size_t i = mapped ? 12 : 0; i < (mapped ? 16U : 8U); ++i) value = value << 8 | octets[i];
  return {value, !mapped};
}

bool is_loopback(std::string_view address) noexcept {
  return address.starts_with("127.") || address == "::1" || address.starts_with("::ffff:127.");
}

}  // namespace relais::net
