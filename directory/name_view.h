// Under which names the clients of an account know its mailboxes.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace relais::directory {

/// How the clients of an account know its mailboxes: as the platform that it came from showed them, for good, since a client takes a
/// renamed mailbox for a new one. A storage name has '/' between levels; a wire name has `prefix` in front of all but INBOX, and
/// `separator` between levels. What the storage does not take in a level, and what would mean something else there, is written as '%' and
/// two hexadecimal digits in the storage name: '/', '%' itself, octets of levels that are no UTF-8 in NFC or have control characters, and
/// the first letter of an "INBOX" that is not INBOX ("INBOX.INBOX" with the prefix "INBOX."). The default is our own view: names are the
/// same on both sides, and '%' stands for itself.
struct NameView {
  char separator = '/';  ///< NUL: the platform had no levels (a namespace with NIL, RFC 9051 §6.3.10)
  std::string prefix{};  ///< "INBOX." (Courier, Cyrus); ends with the separator, or is empty

  bool is_ours() const noexcept { return separator == '/' && prefix.empty(); }
  /// @param wire  UTF-8 (already decoded from modified UTF-7), or any octets where it could not be; without a separator at its end
  /// @return the storage name, for Store to judge. Fault::refused "CANNOT" for one that lies outside of the prefix or has an empty level
  ///   (in our own view that is Store's to say)
  Result<std::string> to_storage(std::string_view wire) const;
  /// The inverse: to_wire(to_storage(x)) == x for each x that to_storage() takes, the case of INBOX excepted. Storage names that no wire
  /// name gives (a level with the separator in it) get one that differs from it.
  std::string to_wire(std::string_view storage) const;
  friend bool operator==(const NameView&, const NameView&) = default;
};

/// Whether clients can work with such a view: a separator that is no letter, digit, wildcard, quote or '&'; a prefix of levels that are
/// not empty, the separator at its end. Errors: Fault::syntax naming what is wrong.
Result<void> check_view(const NameView& view);

}  // namespace relais::directory
