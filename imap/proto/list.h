// LIST in all its forms, and LSUB.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "imap/proto/values.h"

namespace relais::imap {

struct ListArgs {
  /// Any selection option, return option or list of patterns: RFC 5258 §3 rules instead of RFC 3501's. `LIST "" ""` asks for the
  /// separator only when this is false.
  bool extended = false;

  bool select_subscribed = false;
  bool select_remote = false;
  bool select_recursive_match = false;  ///< only together with select_subscribed or select_special_use
  bool select_special_use = false;      ///< RFC 6154 §2

  std::string reference;              ///< UTF-8
  std::vector<std::string> patterns;  ///< UTF-8, runs of wildcards collapsed; those that no name can match are left out

  bool return_subscribed = false;  ///< implied by select_subscribed
  bool return_children = false;
  bool return_special_use = false;           ///< implied by select_special_use
  std::optional<StatusItems> return_status;  ///< RFC 5819
};

inline constexpr std::size_t kMaxListPatterns = 64;  ///< our own limit

/// Parses what follows "LIST". Fault::syntax for an unknown option (RFC 5258 §3: MUST) or for RECURSIVEMATCH alone.
/// Source: RFC 9051 §6.3.9, RFC 5258 §6, RFC 5819 §4, RFC 6154 §6.
Result<ListArgs> parse_list(std::string_view rest, Dialect dialect = {});

struct LsubArgs {
  std::string reference;               ///< UTF-8
  std::optional<std::string> pattern;  ///< UTF-8; nullopt where no name can match
};

/// Parses what follows "LSUB". Source: RFC 3501 §6.3.9.
Result<LsubArgs> parse_lsub(std::string_view rest, Dialect dialect = {});

}  // namespace relais::imap
