// The addresses of one host, in the order to try.
#pragma once

#include "net/resolver.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// Which addresses of a host are used, and which come first. Hosts with both kinds keep some of each, whatever the limit.
enum class AddressOrder : std::uint8_t { ipv6_first, ipv4_first, mixed, ipv6_only, ipv4_only };

struct AddressSet {
  std::vector<std::string> addresses{};  ///< numeric
  /// Nothing could be found out about one kind at least: where `addresses` is empty, the host may have some.
  bool unknown = false;
  std::string detail{};          ///< why unknown
  bool secure = false;           ///< what was found is proven by DNSSEC, aliases included
  std::string canonical_name{};  ///< at the end of aliases
  std::chrono::seconds ttl{0};
};

/// Asks for A and AAAA records, as far as the order wants them. RFC 5321 §5.1, §5.2; equals in random order, to spread load.
/// @param limit addresses at most
net::asio::awaitable<AddressSet> find_addresses(net::Resolver& resolver, std::string host, AddressOrder order, std::size_t limit);

/// Puts two lists into one. Pure. @param limit addresses at most, >= 2
std::vector<std::string> order_addresses(std::vector<std::string> ipv4, std::vector<std::string> ipv6, AddressOrder order,
                                         std::size_t limit);

/// Loopback, unspecified, link-local, multicast, broadcast: what no mail host of somebody else can have. Numeric text; IPv4-mapped counts
/// as IPv4.
bool is_nowhere(std::string_view address);

/// The address in a domain literal of RFC 5321 §4.1.3, "[192.0.2.1]" or "[IPv6:2001:db8::1]"; empty where it is none that we know.
std::string address_of_literal(std::string_view domain);

}  // namespace relais::smtp
