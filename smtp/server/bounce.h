// Delivery status notifications for mail that was accepted and can't be delivered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::smtp {

struct Bounce {
  std::string_view hostname;      ///< ours: Reporting-MTA
  std::string_view id;            ///< under which the message is traced
  std::string_view sender;        ///< who gets it; not empty: nothing is sent for a null reverse-path (RFC 5321 §6.1)
  std::string_view recipient;     ///< who did not get the message
  std::string_view status;        ///< "5.1.1" (RFC 3463)
  std::string_view reason;        ///< one line for a human
  std::int64_t arrived = 0;       ///< seconds since epoch
  std::int64_t now = 0;
  std::string_view header;        ///< of the message; returned as text/rfc822-headers
};

/// The notification as a message with CRLF line ends, to be sent from the null reverse-path.
/// Source: RFC 3464 §2, RFC 6522 §3 (multipart/report), RFC 3834 §5 (Auto-Submitted).
std::string build_bounce(const Bounce& bounce);

}  // namespace relais::smtp
