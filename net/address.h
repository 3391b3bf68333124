// Numeric addresses, and the keys under which an address is counted.
#pragma once

#include "base/result.h"
#include "net/connection.h"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <sys/socket.h>

namespace relais::net {

/// A numeric IPv4 or IPv6 address and a port, as the kernel wants it.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = sizeof(sockaddr_storage);
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() noexcept { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const noexcept { return storage.ss_family; }
  /// "192.0.2.1", "2001:db8::1"; an IPv4-mapped IPv6 address as IPv4.
  std::string address() const;
  std::uint16_t port() const noexcept;
};

/// Errors: Fault::refused where the address is not numeric (host names are never looked up here).
Result<SocketAddress> parse_address(std::string_view address, std::uint16_t port);

/// What limits are counted by: an IPv4 address, or the /64 of an IPv6 address, since that is what one customer gets.
struct AddressKey {
  std::uint64_t value = 0;
  bool ipv6 = false;
  auto operator<=>(const AddressKey&) const = default;
};
AddressKey address_key(const SocketAddress& address) noexcept;

/// True for this machine's own addresses, 127.0.0.0/8 and ::1 (numeric text, IPv4-mapped too): what comes from there is the administrator's
/// own (webmail, proxies, tests), so limits per address do not apply.
bool is_loopback(std::string_view address) noexcept;

/// The addresses of this machine's interfaces as text, but for loopback and link-local ones; those that are there now. Any thread.
/// Errors: none; where the system does not tell, there are none.
std::vector<std::string> interface_addresses();

/// A range of addresses: "192.0.2.0/24", "2001:db8::/32", or one address.
struct Network {
  std::array<std::uint8_t, 16> octets{};  ///< IPv4 as IPv4-mapped IPv6
  unsigned bits = 128;                    ///< that an address shares with them
  /// @param address numeric; an IPv4-mapped IPv6 address counts as IPv4
  bool contains(std::string_view address) const;
};
/// Errors: Fault::refused where the text is none, or has bits beyond the prefix.
Result<Network> parse_network(std::string_view text);

}  // namespace relais::net
