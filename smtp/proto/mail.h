// MAIL FROM and its parameters.
#pragma once

#include "smtp/proto/dsn.h"
#include "smtp/proto/path.h"
#include "smtp/proto/schedule.h"

#include <cstdint>

namespace relais::smtp {

/// What the client says about the content: RFC 6152 §2, RFC 3030 §3.
enum class Body : std::uint8_t { seven_bit, eight_bit, binary };

struct MailArgs {
  std::optional<message::Address> reverse_path;  ///< nullopt: "<>"
  std::optional<std::uint64_t> size;             ///< octets the client announces (RFC 1870 §6)
  Body body = Body::seven_bit;
  bool smtputf8 = false;                ///< RFC 6531 §3.4
  std::optional<std::string> auth;      ///< decoded (RFC 4954 §5); "<>" for an unknown submitter. Not trusted by anybody
  Ret ret = Ret::unset;                 ///< RFC 3461 §4.3
  std::string envelope_id;              ///< ENVID, decoded (RFC 3461 §4.4); empty: absent
  std::optional<Hold> hold;             ///< RFC 4865; the session compares it with the clock and with deliver_by (§5.2.2)
  std::optional<DeliverBy> deliver_by;  ///< RFC 2852
  std::optional<int> priority;          ///< MT-PRIORITY, -9 to 9: RFC 6710. Who may ask for one above 0 is the session's to say
  bool require_tls = false;             ///< RFC 8689
};

/// Which parameters were offered after this client's greeting.
struct MailExtensions {
  bool esmtp = true;  ///< false after HELO: no parameter is known
  bool auth = false;  ///< AUTH= is an extension of AUTH (RFC 4954 §5)
  bool dsn = false;   ///< RET, ENVID
  bool future_release = false;
  bool deliver_by = false;
  bool priority = false;     ///< MT-PRIORITY
  bool require_tls = false;  ///< offered over TLS alone: RFC 8689 §2
};

/// Parses what follows the keyword MAIL.
///
/// @return Fault::syntax: 5.5.4 grammar, 5.1.7 reverse-path, 555 5.5.4 parameter that is not known; Fault::refused 5.6.7 where the path
/// needs
///         SMTPUTF8 and it was not asked for ("550 5.6.7", RFC 6531 §3.5).
/// Source: RFC 5321 §4.1.1.2.
Result<MailArgs> parse_mail(std::string_view rest, MailExtensions extensions);

}  // namespace relais::smtp
