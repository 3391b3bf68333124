// Addresses as the directory keeps them: one spelling each.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace relais::directory {

/// A normalised address.
struct Name {
  std::string local;   ///< lower case (UTF-8: NFKC_Casefold), unquoted; empty for a domain's catch-all
  std::string domain;  ///< lower-case A-labels

  /// "local@domain", quoted where needed; "@domain" for a catch-all.
  std::string text() const;
  /// domain NUL local: sorts by domain. At most 511 octets, LMDB's bound.
  std::string key() const;
  friend bool operator==(const Name&, const Name&) = default;
};

/// @param text  "local@domain" in any case. Errors: Fault::syntax as message::parse_mailbox.
Result<Name> parse_name(std::string_view text);
/// As parse_name, and "@domain" gives a catch-all's name.
Result<Name> parse_alias_name(std::string_view text);
/// The name of a user who logs in: without '@' the default domain is added where there is one; SASLprep is applied.
Result<Name> parse_user(std::string_view text, std::string_view default_domain);
/// Back from a key.
Name name_of_key(std::string_view key);
/// The key prefix that all addresses of a domain share.
std::string domain_prefix(std::string_view domain);

}  // namespace relais::directory
