// LOGIN.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct LoginArgs {
  std::string user;
  std::string password;
};

/// Parses what follows "LOGIN". Fault::syntax where an astring is missing. Source: RFC 9051 §6.2.3.
Result<LoginArgs> parse_login(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
