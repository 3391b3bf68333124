// The commands that take one mailbox and nothing else: DELETE, SUBSCRIBE, UNSUBSCRIBE, GETQUOTAROOT.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct MailboxArgs {
  std::string mailbox;  ///< UTF-8
};

/// Parses `SP mailbox`. Source: RFC 9051 §6.3.5, §6.3.7, §6.3.8; RFC 9208 §4.1.2.
Result<MailboxArgs> parse_mailbox(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
