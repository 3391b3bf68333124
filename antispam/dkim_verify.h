// DKIM signatures of what arrives.
#pragma once

#include "antispam/message_view.h"
#include "net/resolver.h"
#include "net/task.h"
#include "net/worker_pool.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::antispam {

/// What one DKIM-Signature field is worth.
struct DkimResult {
  /// RFC 8601 §2.7.1.
  enum class Outcome : std::uint8_t {
    pass,
    fail,       ///< the message or the header was changed, or the signature never was right
    neutral,    ///< the field is malformed: as if it were not there
    policy,     ///< good, but of a kind that we don't count: an RSA key below 1,024 bits or SHA-1 (RFC 8301), an l= that leaves octets out
    temperror,  ///< the key could not be asked for: might pass later
    permerror,  ///< there is no such key, or it can't be used
  };
  Outcome outcome = Outcome::neutral;
  std::string domain{};      ///< d=, lower case; empty where it can't be read
  std::string selector{};    ///< s=
  std::string identity{};    ///< i=; "@" and d= where there is none
  std::string algorithm{};   ///< a=, "rsa-sha256"
  std::string signature{};   ///< the first eight characters of b= (RFC 6008 §4: header.b)
  std::uint32_t key_bits = 0;
  bool testing = false;    ///< the key's record says t=y: the domain is still trying DKIM out
  std::string reason{};      ///< in words; empty for pass
};

/// "pass", "fail", … as in Authentication-Results.
std::string_view to_string(DkimResult::Outcome outcome) noexcept;

constexpr std::size_t kMaxDkimSignatures = 10;  ///< checked per message, the first in the header; the rest are left alone (RFC 6376 §6.1)

/// Checks the signatures; one result each, in the order of the header. Empty: the message has none.
///
/// Keys are asked for through the resolver between two runs of libopendkim on a worker; nothing blocks the loop.
/// @param message  must outlive the coroutine
/// @param now      seconds since epoch, for x= and t=; 0: the machine's clock
/// Errors: Fault::temporary where there is no room on the workers or in memory. A key that can't be had is a result, not an error.
/// Source: RFC 6376 §6, RFC 8301, RFC 8463.
net::Task<std::vector<DkimResult>> dkim_verify(net::Resolver& resolver, net::WorkerPool& workers, MessageView message, std::int64_t now = 0);

}  // namespace relais::antispam
