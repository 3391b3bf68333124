// GETQUOTA (GETQUOTAROOT takes a mailbox: mailbox_args.h).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct GetQuotaArgs {
  std::string root;
};

/// Parses what follows "GETQUOTA". Source: RFC 9208 §4.1.1.
Result<GetQuotaArgs> parse_get_quota(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
