// What another server's reply to EHLO or LHLO offers.
#pragma once

#include "smtp/proto/remote_reply.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// Keywords we know, with their arguments. Keywords are case-insensitive (RFC 5321 §4.1.1.1); unknown ones and malformed arguments are
/// ignored.
struct RemoteOffer {
  bool extended = false;               ///< EHLO or LHLO was accepted; false after HELO: nothing below holds
  std::string name;                    ///< how the server calls itself: first word of the reply; cut at 255 octets
  bool pipelining = false;             ///< RFC 2920
  bool chunking = false;               ///< RFC 3030
  bool binary_mime = false;            ///< RFC 3030; counts only with chunking
  bool eight_bit_mime = false;         ///< RFC 6152
  bool smtputf8 = false;               ///< RFC 6531
  bool dsn = false;                    ///< RFC 3461
  bool starttls = false;               ///< RFC 3207
  bool enhanced_status_codes = false;  ///< RFC 2034
  bool require_tls = false;            ///< RFC 8689
  bool size = false;                   ///< RFC 1870
  std::uint64_t max_size = 0;          ///< octets; 0: not said
  bool mt_priority = false;            ///< RFC 6710
  bool deliver_by = false;             ///< RFC 2852
  std::uint32_t min_deliver_by = 0;    ///< seconds; 0: none
  std::uint32_t max_messages = 0;      ///< LIMITS MAILMAX (RFC 9422); 0: not said
  std::uint32_t max_recipients = 0;    ///< LIMITS RCPTMAX; 0: not said
  std::vector<std::string> auth;       ///< mechanisms, upper case: RFC 4954 §3; "AUTH=LOGIN" of old servers too
  std::vector<std::string> xclient;    ///< attributes that XCLIENT takes, upper case (Postfix XCLIENT_README)
  bool offers_auth(std::string_view mechanism) const noexcept;
  bool takes_xclient(std::string_view attribute) const noexcept;
};

/// Never fails. Pure. @param extended whether the reply is to EHLO or LHLO rather than HELO
RemoteOffer parse_offer(const RemoteReply& reply, bool extended);

}  // namespace relais::smtp
