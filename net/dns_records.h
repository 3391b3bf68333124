// RDATA of DNS records to values and back. Pure.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::net {

/// Most octets of a name on the wire, RFC 1035 §2.3.4.
constexpr std::size_t kMaxDnsName = 255;

struct MxRecord {
  std::uint16_t preference = 0;  ///< the lowest is tried first
  std::string host;              ///< lower case, no final dot; empty for the root, "." of RFC 7505
  friend bool operator==(const MxRecord&, const MxRecord&) = default;
};

/// RFC 6698 §2.1, with the numbers as they are: those that we cannot use are kept.
struct TlsaRecord {
  std::uint8_t usage = 0;     ///< 2 DANE-TA, 3 DANE-EE
  std::uint8_t selector = 0;  ///< 0 the whole certificate, 1 its public key
  std::uint8_t matching = 0;  ///< 0 all octets, 1 SHA-256, 2 SHA-512
  std::string data;           ///< octets
  friend bool operator==(const TlsaRecord&, const TlsaRecord&) = default;
};

/// All parsers: Fault::syntax where the octets are not a record of that type, or something follows it. A name with a compression pointer is
/// an error: resolvers give RDATA without.

/// "192.0.2.1". RFC 1035 §3.4.1
Result<std::string> parse_a(std::string_view rdata);
/// "2001:db8::1". RFC 3596 §2.2
Result<std::string> parse_aaaa(std::string_view rdata);
/// RFC 1035 §3.3.9
Result<MxRecord> parse_mx(std::string_view rdata);
/// The character strings put together without anything between them (RFC 1035 §3.3.14; RFC 7208 §3.3, RFC 8461 §3.1 want it so).
Result<std::string> parse_txt(std::string_view rdata);
/// RFC 6698 §2.1
Result<TlsaRecord> parse_tlsa(std::string_view rdata);
/// The one name of a CNAME, NS or PTR record. RFC 1035 §3.3.1
Result<std::string> parse_name(std::string_view rdata);

/// The other way, for scripted resolvers and tests. Fault::syntax where the text cannot be a record.
Result<std::string> make_a(std::string_view address);
Result<std::string> make_aaaa(std::string_view address);
Result<std::string> make_mx(const MxRecord& record);
std::string make_txt(std::string_view text);
std::string make_tlsa(const TlsaRecord& record);
Result<std::string> make_name(std::string_view name);

/// "3 1 1 0b9fa5a5…": RFC 6698 §2.2.
std::string to_string(const TlsaRecord& record);

/// True for a name that a host may have: labels of letters, digits, hyphens and underscores, 1 to 63 octets, 253 in all. A name from the
/// DNS may hold any octet (RFC 2181 §11); parsers give odd ones escaped as \DDD, and this says no to them.
bool is_host_name(std::string_view name) noexcept;

}  // namespace relais::net
