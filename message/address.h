// Mail addresses: the strict grammar of SMTP paths and the tolerant one of header fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace relais::message {

constexpr std::size_t kMaxLocalPart = 255;  ///< octets; RFC 5321 §4.5.3.1.1 asks for 64 at least, long VERP senders exceed it
constexpr std::size_t kMaxDomain = 255;     ///< octets; RFC 5321 §4.5.3.1.2

/// A mailbox of RFC 5321 §4.1.2.
struct Address {
  std::string local_part;  ///< as meant: quotes and backslashes removed, case kept
  std::string domain;      ///< lower case, IDN as A-labels; or an address literal with its brackets ("[192.0.2.1]")
  friend bool operator==(const Address&, const Address&) = default;
};

/// Parses `Local-part "@" ( Domain / address-literal )`, without angle brackets.
///
/// @param smtputf8  Whether the transaction asked for SMTPUTF8: allows UTF-8 in local part and domain (RFC 6531 §3.3).
/// @return Fault::syntax (code 5.1.3) where the grammar is broken, a length limit exceeded, or 8-bit octets are not UTF-8;
///         Fault::refused (code 5.6.7) where the address needs SMTPUTF8 and it was not asked for.
/// Deviation: a label may hold "_", which real sender domains do.
/// Pure. Source: RFC 5321 §4.1.2 and §4.1.3, RFC 6531 §3.3.
Result<Address> parse_mailbox(std::string_view text, bool smtputf8);

/// A domain in its stored form: lower case, U-labels mapped by UTS #46 (non-transitional) to A-labels. Two spellings of one domain give the
/// same text. Doesn't accept address literals, a final dot or empty labels.
/// @return Fault::syntax (code 5.1.2) otherwise.
Result<std::string> to_ascii_domain(std::string_view domain);

/// `local@domain`, the local part quoted where it is no Dot-string. parse_mailbox() gives the same Address back.
std::string to_string(const Address& address);

/// One element of an address list in a header field, as IMAP's ENVELOPE wants it (RFC 9051 §7.5.2).
struct ListedAddress {
  enum class Kind : std::uint8_t { mailbox, group_start, group_end };
  Kind kind = Kind::mailbox;
  std::string name;     ///< display name, or the comment after the address; quotes removed, encoded words left; or the group's name
  std::string route;    ///< obsolete source route "@a,@b" (RFC 5322 §4.4 obs-route), without the final colon
  std::string mailbox;  ///< local part, unquoted
  std::string host;     ///< domain as given, folding and comments removed; empty where the address has none
};

constexpr std::size_t kMaxListedAddresses = 20'000;

/// Parses the value of From, To, Reply-To and the like. Never fails: what can't be understood is skipped or kept as a mailbox without a
/// host. Linear time; stops after `limit` elements. Source: RFC 5322 §3.4 and §4.4.
std::vector<ListedAddress> parse_address_list(std::string_view field_value, std::size_t limit = kMaxListedAddresses);

}  // namespace relais::message
