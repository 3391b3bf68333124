// Questions to the DNS and their answers, with the DNSSEC verdict.
#pragma once

#include "net/task.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::net {

/// Types of records that are asked for (RFC 1035 §3.2.2, RFC 3596, RFC 6698).
enum class DnsType : std::uint16_t { a = 1, ns = 2, cname = 5, ptr = 12, mx = 15, txt = 16, aaaa = 28, tlsa = 52 };

/// "A", "MX", …
std::string_view to_string(DnsType type) noexcept;

/// What came of one question.
struct DnsAnswer {
  enum class Status : std::uint8_t {
    found,    ///< records
    no_data,  ///< the name is there, records of this type are not
    no_name,  ///< NXDOMAIN: neither the name nor anything below it
    bogus,    ///< signatures do not hold: what came is not to be believed
    failed,   ///< no answer, SERVFAIL, a loop of aliases, too many questions: says nothing about the name
  };
  Status status = Status::failed;
  /// Proven by DNSSEC up to the trust anchor, every alias on the way and the absence of records included.
  bool secure = false;
  /// How long it may be kept.
  std::chrono::seconds ttl{0};
  /// The name that has the records, at the end of all aliases: lower case, no final dot. The name asked for where there was no alias.
  std::string canonical_name{};
  /// The RDATA octets of each record, names in it uncompressed: for net/dns_records.h.
  std::vector<std::string> records{};
  /// Why it is bogus or failed: for the log.
  std::string detail{};

  bool found() const noexcept { return status == Status::found; }
  /// The DNS said for certain that there are no such records.
  bool absent() const noexcept { return status == Status::no_data || status == Status::no_name; }
  /// Nothing is known: to be asked again later.
  bool unknown() const noexcept { return status == Status::bogus || status == Status::failed; }
};

std::string_view to_string(DnsAnswer::Status status) noexcept;

/// Asks the DNS. Threads: any; the caller resumes on its own executor, which outlives the resolver.
class Resolver {
 public:
  virtual ~Resolver() = default;
  /// Follows aliases. Never blocks, has a time limit of its own, never throws: what goes wrong is Status::failed.
  /// @param name A-labels with or without a final dot, "_25._tcp.mx.example.net"
  virtual asio::awaitable<DnsAnswer> query(std::string name, DnsType type) = 0;
};

}  // namespace relais::net
