// RCPT TO.
#pragma once

#include "smtp/proto/dsn.h"
#include "smtp/proto/path.h"

namespace relais::smtp {

struct RcptArgs {
  /// The domain is empty for the one address without: "Postmaster" in any case (RFC 5321 §4.1.1.3, §4.5.1).
  message::Address forward_path;
  Notify notify;
  OriginalRecipient original;  ///< empty: no ORCPT
};

/// Parses what follows the keyword RCPT.
///
/// @param smtputf8  whether the transaction's MAIL asked for it
/// @param dsn  whether DSN was offered after this client's greeting: NOTIFY and ORCPT (RFC 3461 §4.1, §4.2); else no parameter is known
/// @return Fault::syntax: 5.5.4 grammar, 5.1.3 address, 555 5.5.4 parameter; Fault::refused "553 5.6.7" where the address needs SMTPUTF8.
/// Source: RFC 5321 §4.1.1.3.
Result<RcptArgs> parse_rcpt(std::string_view rest, bool smtputf8, bool dsn = false);

}  // namespace relais::smtp
