// Address look-ups and their order.
#include "smtp/outbound/addresses.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "net/address.h"
#include "net/dns_records.h"
#include "smtp/outbound/dice.h"
#include "smtp/server/gather.h"

#include <algorithm>
#include <array>
#include <optional>

#include <arpa/inet.h>

namespace relais::smtp {
namespace {

using net::DnsAnswer;
using net::DnsType;

std::vector<std::string> read(const DnsAnswer& answer, DnsType type) {
  std::vector<std::string> out;
  for (const auto& rdata : answer.records)
    if (auto address = type == DnsType::a ? net::parse_a(rdata) : net::parse_aaaa(rdata)) out.push_back(std::move(*address));
  std::ranges::shuffle(out, dice());
  return out;
}

bool is_nowhere_v4(std::string_view octets) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(octets[i]); };
  return at(0) == 0 || at(0) == 127 || at(0) >= 224 || (at(0) == 169 && at(1) == 254);  // RFC 6890 §2.2.2
}

}  // namespace

std::vector<std::string> order_addresses(std::vector<std::string> ipv4, std::vector<std::string> ipv6, AddressOrder order,
                                         std::size_t limit) {
  auto& first = order == AddressOrder::ipv4_first ? ipv4 : ipv6;
  auto& second = order == AddressOrder::ipv4_first ? ipv6 : ipv4;
  // A kind that does not work from here must not fill the list.
  const auto of_second = std::min(second.size(), first.empty() ? limit : std::max(limit / 2, limit - std::min(limit, first.size())));
  first.resize(std::min(first.size(), limit - of_second));
  second.resize(of_second);
  std::vector<std::string> out;
  if (order == AddressOrder::mixed) {
    for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
      if (i < first.size()) out.push_back(std::move(first[i]));
      if (i < second.size()) out.push_back(std::move(second[i]));
    }
    return out;
  }
  out = std::move(first);
  std::ranges::move(second, std::back_inserter(out));
  return out;
}

net::asio::awaitable<AddressSet> find_addresses(net::Resolver& resolver, std::string host, AddressOrder order, std::size_t limit) {
  AddressSet set;
  set.secure = true;
  set.canonical_name = host;
  set.ttl = std::chrono::hours(1);
  constexpr std::array kTypes{DnsType::a, DnsType::aaaa};
  std::array<std::optional<DnsAnswer>, 2> answers;
  auto ask = [&](std::size_t i) -> net::asio::awaitable<void> {
    if (order != (kTypes[i] == DnsType::a ? AddressOrder::ipv6_only : AddressOrder::ipv4_only))
      answers[i] = co_await resolver.query(host, kTypes[i]);
  };
  co_await for_each_at_once(answers.size(), answers.size(), ask);
  std::array<std::vector<std::string>, 2> lists;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    if (!answers[i]) continue;
    const auto& answer = *answers[i];
    if (answer.unknown()) {
      set.unknown = true;
      set.detail = std::string(to_string(kTypes[i])) + " " + host + ": " + answer.detail;
      continue;
    }
    set.ttl = std::min(set.ttl, answer.ttl);
    if (!answer.found()) continue;
    lists[i] = read(answer, kTypes[i]);
    set.secure = set.secure && answer.secure;
    set.canonical_name = answer.canonical_name;
  }
  set.addresses = order_addresses(std::move(lists[0]), std::move(lists[1]), order, limit);
  set.secure = set.secure && !set.addresses.empty();
  co_return set;
}

bool is_nowhere(std::string_view address) {
  const std::string text(address);
  std::array<char, sizeof(in6_addr)> octets{};
  if (::inet_pton(AF_INET, text.c_str(), octets.data()) == 1) return is_nowhere_v4({octets.data(), 4});
  if (::inet_pton(AF_INET6, text.c_str(), octets.data()) != 1) return true;
  const auto* const v6 = reinterpret_cast<const in6_addr*>(octets.data());
  if (IN6_IS_ADDR_V4MAPPED(v6)) return is_nowhere_v4({octets.data() + 12, 4});
  return IN6_IS_ADDR_UNSPECIFIED(v6) || IN6_IS_ADDR_LOOPBACK(v6) || IN6_IS_ADDR_LINKLOCAL(v6) || IN6_IS_ADDR_MULTICAST(v6);
}

std::string address_of_literal(std::string_view domain) {
  constexpr std::string_view kIpv6 = "IPv6:";
  if (!domain.starts_with('[') || !domain.ends_with(']')) return {};
  auto inside = domain.substr(1, domain.size() - 2);
  const bool ipv6 = istarts_with(inside, kIpv6);
  if (ipv6) inside.remove_prefix(kIpv6.size());
  return ipv6 == inside.contains(':') && net::parse_address(inside, 0) ? std::string(inside) : std::string();
}

}  // namespace relais::smtp
