// HELO, EHLO, LHLO: the argument, and the list of extensions in the reply.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace relais::smtp {

struct HelloArgs {
  std::string name;         ///< as given, cut at 255 octets; only for trace fields and logs
  bool well_formed = true;  ///< a domain or an address literal (RFC 5321 §4.1.1.1); many clients send something else
};

/// Parses what follows HELO, EHLO or LHLO. Only a missing argument is an error (Fault::syntax 5.5.4): RFC 5321 §4.1.4 forbids refusing for
/// an argument that does not verify, and real clients send underscores, bare host names and worse.
Result<HelloArgs> parse_hello(std::string_view rest);

/// What the reply to EHLO or LHLO offers.
struct Offer {
  std::string_view hostname;
  std::uint64_t max_size = 0;  ///< octets; 0: SIZE without a limit (RFC 1870 §3)
  bool starttls = false;
  std::span<const std::string_view> auth_mechanisms{};  ///< empty: no AUTH
  std::uint32_t max_messages = 0;                       ///< LIMITS MAILMAX (RFC 9422); 0: none
  std::uint32_t max_recipients = 0;                     ///< LIMITS RCPTMAX; 0: none
  bool dsn = false;                                     ///< RFC 3461
  std::uint32_t max_hold = 0;                           ///< FUTURERELEASE: seconds (RFC 4865 §3); 0: not offered. Submission alone (§4.2)
  std::string_view max_hold_until{};                    ///< and the date-time to which these come now
  bool deliver_by = false;                              ///< RFC 2852
  std::uint32_t min_deliver_by = 0;                     ///< seconds; 0: no minimum
  bool mt_priority = false;                             ///< RFC 6710; the assignment policy is not disclosed
  bool require_tls = false;                             ///< RFC 8689 §2: only after STARTTLS
};

/// Appends the multi-line 250. No enhanced codes in it: RFC 2034 §4.
void append_offer(std::string& out, const Offer& offer);

}  // namespace relais::smtp
