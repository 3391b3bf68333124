// Numeric addresses: text and back.
#include "net/address.h"

#include "base/ascii.h"

#include <algorithm>
#include <array>
#include <cstring>

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <netinet/in.h>

namespace relais::net {
namespace {

const sockaddr_in& as_v4(const SocketAddress& a) { return reinterpret_cast<const sockaddr_in&>(a.storage); }
const sockaddr_in6& as_v6(const SocketAddress& a) { return reinterpret_cast<const sockaddr_in6&>(a.storage); }
bool is_mapped(const in6_addr& address) noexcept { return IN6_IS_ADDR_V4MAPPED(&address); }

std::array<std::uint8_t, 16> as_octets(const SocketAddress& address) {
  std::array<std::uint8_t, 16> out{};
  if (address.family() == AF_INET6) {
    std::memcpy(out.data(), as_v6(address).sin6_addr.s6_addr, out.size());
  } else {
    out[10] = out[11] = 0xff;
    std::memcpy(out.data() + 12, &as_v4(address).sin_addr.s_addr, 4);
  }
  return out;
}

bool same_bits(const std::array<std::uint8_t, 16>& a, const std::array<std::uint8_t, 16>& b, unsigned bits) noexcept {
  const auto whole = bits / 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  const auto rest = bits % 8;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

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

std::vector<std::string> interface_addresses() {
  std::vector<std::string> out;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return out;
  for (const auto* one = first; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    SocketAddress address;
    if (one->ifa_addr->sa_family == AF_INET) {
      address.size = sizeof(sockaddr_in);
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      address.size = sizeof(sockaddr_in6);
    } else {
      continue;
    }
    std::memcpy(&address.storage, one->ifa_addr, address.size);
    if (address.family() == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&as_v6(address).sin6_addr)) continue;
    if (auto text = address.address(); !is_loopback(text)) out.push_back(std::move(text));
  }
  ::freeifaddrs(first);
  return out;
}

bool Network::contains(std::string_view address) const {
  const auto parsed = parse_address(address, 0);
  return parsed && same_bits(octets, as_octets(*parsed), bits);
}

Result<Network> parse_network(std::string_view text) {
  const auto slash = text.find('/');
  RELAIS_TRY(const auto base, parse_address(text.substr(0, slash), 0));
  const bool v4 = base.family() == AF_INET;
  Network network{.octets = as_octets(base), .bits = 128};
  if (slash != std::string_view::npos) {
    const auto prefix = parse_u64(text.substr(slash + 1));
    if (!prefix || *prefix > (v4 ? 32U : 128U)) return fail(Fault::refused, "\"" + std::string(text) + "\" has no prefix length from 0 to " + (v4 ? "32" : "128"));
    network.bits = static_cast<unsigned>(*prefix) + (v4 ? 96 : 0);
  }
  // 192.0.2.1/24 is more likely a mistake than a network.
  auto cut = network.octets;
  for (unsigned bit = network.bits; bit < 128; ++bit) cut[bit / 8] = static_cast<std::uint8_t>(cut[bit / 8] & ~(0x80U >> bit % 8));
  if (cut != network.octets) return fail(Fault::refused, "\"" + std::string(text) + "\" has bits set beyond its prefix length");
  return network;
}

}  // namespace relais::net
