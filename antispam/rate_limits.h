// How much mail one client address or one sending account may bring in a while.
#pragma once

#include "antispam/token_buckets.h"
#include "antispam/verdict.h"

#include <cstdint>
#include <string_view>

namespace relais::antispam {

/// Generous by default: they stop floods, not busy senders.
struct RateLimitOptions {
  Rate client_messages{600'000, 600'000};    ///< per address (IPv4) or /64 (IPv6) without login
  Rate client_recipients{6'000'000, 2'000'000};
  Rate sender_messages{6'000, 20'000};       ///< per account, submission
  Rate sender_recipients{10'000, 100'000};
  std::size_t tracked = 65'536;              ///< addresses, and accounts, remembered per limit
};

/// Rate limits of MAIL and RCPT. Threads: any.
class RateLimits {
 public:
  explicit RateLimits(RateLimitOptions options = {}, const Clock& clock = system_clock());

  /// At MAIL. @param client_address  numeric; @param account  number of the authenticated account, 0 for none: then the account is counted
  /// and the address is not
  Verdict message(std::string_view client_address, std::uint64_t account);
  /// At RCPT, per recipient.
  Verdict recipient(std::string_view client_address, std::uint64_t account);

 private:
  TokenBuckets client_messages_;
  TokenBuckets client_recipients_;
  TokenBuckets sender_messages_;
  TokenBuckets sender_recipients_;
};

/// What stands for a client in tables: the IPv4 address, or the first 64 bits of an IPv6 address (one customer has at least that many).
/// Anything else is its own key.
std::string_view client_key(std::string_view address, std::array<char, 40>& buffer);

}  // namespace relais::antispam
