// DANE for SMTP (RFC 7672): which TLSA records hold for a host.
#pragma once

#include "net/dns_records.h"
#include "net/resolver.h"
#include "smtp/outbound/addresses.h"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// What the DNS says about a host's TLSA records. The four cases of RFC 7672 §2.2.
struct DaneFinding {
  enum class Kind : std::uint8_t {
    none,      ///< no secure records: DANE does not apply
    usable,    ///< authenticate with `records`
    unusable,  ///< secure records, none of which can be used: TLS is a must, authentication is not
    error,     ///< a look-up failed: the host counts as unreachable (§2.1.2)
  };
  Kind kind = Kind::none;
  std::string base_domain{};               ///< TLSA base domain (§2.2.3); empty for none and error
  std::vector<net::TlsaRecord> records{};  ///< usable ones
  std::vector<std::string> texts{};        ///< all of them, "3 1 1 0b9f…": for reports
  std::chrono::seconds ttl{3600};
  std::string detail{};  ///< of an error
};

/// Whether we can use a record: DANE-TA(2) or DANE-EE(3), a selector and a matching type that are known, data of the size that these have.
/// RFC 7672 §3.1, RFC 6698 §2.1.
bool is_usable(const net::TlsaRecord& record) noexcept;

/// The search of RFC 7672 §2.2.2 and §2.2.3, after the addresses are known: no TLSA question is put where these are insecure, because some
/// servers do not answer it.
net::asio::awaitable<DaneFinding> find_tlsa(net::Resolver& resolver, std::string host, std::uint16_t port, AddressSet addresses);

/// Reference identifiers for usage 2, RFC 7672 §3.2.2. @param next_hop  the domain that the MX records were asked for; empty where the host
/// was not found by a secure look-up   @param expanded  the same at the end of its aliases
std::vector<std::string> dane_names(std::string_view base_domain, std::string_view next_hop, std::string_view expanded);

}  // namespace relais::smtp
