// Rate limits per client address and per sending account.
#include "antispam/rate_limits.h"

#include "net/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <string>

namespace relais::antispam {
namespace {

Verdict verdict(TokenBuckets& clients, TokenBuckets& senders, std::string_view address, std::uint64_t account, std::string_view what) {
  bool within = account == 0 && net::is_loopback(address);
  if (within) return {};
  if (account != 0) {
    std::array<char, sizeof account> key{};
    std::memcpy(key.data(), &account, sizeof account);
    within = senders.take({key.data(), key.size()});
  } else {
    std::array<char, 40> buffer{};
    within = clients.take(client_key(address, buffer));
  }
  if (within) return {};
  std::string reason{account != 0 ? "rate of account: " : "rate of client: "};
  reason += what;
  std::string text{"too many "};
  text.append(what).append(" from you in a short time, try again later");
  return Verdict{Action::defer, std::move(text), {std::move(reason)}};
}

}  // namespace

std::string_view client_key(std::string_view address, std::array<char, 40>& buffer) {
  if (address.find(':') == std::string_view::npos || address.size() >= buffer.size()) return address;
  std::ranges::copy(address, buffer.begin());
  buffer[address.size()] = '\0';
  in6_addr ip{};
  if (inet_pton(AF_INET6, buffer.data(), &ip) != 1) return address;
  const bool mapped = IN6_IS_ADDR_V4MAPPED(&ip) != 0;  // one IPv4 host, not one of a /64
  std::memcpy(buffer.data(), mapped ? &ip.s6_addr[12] : &ip.s6_addr[0], mapped ? 4 : 8);
  return {buffer.data(), mapped ? 4U : 8U};
}

RateLimits::RateLimits(RateLimitOptions options, const Clock& clock)
    : client_messages_(options.client_messages, options.tracked, clock),
      client_recipients_(options.client_recipients, options.tracked, clock),
      sender_messages_(options.sender_messages, options.tracked, clock),
      sender_recipients_(options.sender_recipients, options.tracked, clock) {}

Verdict RateLimits::message(std::string_view client_address, std::uint64_t account) {
  return verdict(client_messages_, sender_messages_, client_address, account, "messages");
}

Verdict RateLimits::recipient(std::string_view client_address, std::uint64_t account) {
  return verdict(client_recipients_, sender_recipients_, client_address, account, "recipients");
}

}  // namespace relais::antispam
