// MTA-STS (RFC 8461): which domains promise TLS with a certificate, and for which hosts.
#pragma once

#include "base/clock.h"
#include "net/http_response.h"
#include "net/resolver.h"
#include "net/task.h"
#include "smtp/outbound/sts_policy.h"
#include "smtp/outbound/tls_policy.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

namespace relais::net {
class WorkerPool;
}

namespace relais::smtp {

/// What is known of a domain's policy at one time.
struct StsFinding {
  std::shared_ptr<const StsPolicy> policy{};  ///< null: the domain has none, or one of mode "none"
  TlsFailure failure = TlsFailure::none;      ///< what went wrong in looking for a new one: to be reported (RFC 8461 §6)
  std::string reason{};
};

struct StsOptions {
  /// Where policies are kept, a file per domain, so that a restart forgets none: an attacker who can suppress discovery must not gain from
  /// it (RFC 8461 §10.2). Made where it is missing.
  std::filesystem::path directory{};
  std::chrono::seconds retry{300};            ///< pause after a fetch that failed, per id (RFC 8461 §3.3: five minutes or longer)
  std::chrono::seconds refresh{24 * 3600};    ///< age at which refresh() fetches a policy again
  std::size_t max_policies = 100'000;         ///< domains kept; the one that expires first makes room
  std::size_t max_octets = 64 * 1024 * 1024;  ///< of all policies kept, in memory
};

/// Discovers, keeps and refreshes policies. Threads: any; a domain is fetched once at a time, and who asks meanwhile waits.
/// Durability: a policy is on disk, synced, when it is first applied; where the disk does not take it it is applied all the same, the log
/// says so, and
///   refresh() tries again.
/// Lifetime: resolver and workers outlive it; the callers' io_contexts too. It waits for nothing at its end.
class MtaSts {
 public:
  /// How "https://mta-sts.DOMAIN/.well-known/mta-sts.txt" is fetched: net::HttpsClient::get, or a test's. Errors as there.
  using Fetch = std::function<net::Task<net::HttpResponse>(std::string url)>;

  /// Reads what is kept; blocks. Errors: Fault::temporary where the directory cannot be made or read. A file that cannot be understood is
  /// logged and removed.
  static Result<std::unique_ptr<MtaSts>> open(StsOptions options, net::Resolver& resolver, net::WorkerPool& workers, Fetch fetch,
                                              const Clock& clock = system_clock());
  ~MtaSts();

  /// The policy that applies to a domain now: the control flow of RFC 8461 §5.1. Never fails: what cannot be found out leaves the policy
  /// that is kept, or none. @param domain A-labels in lower case
  net::asio::awaitable<StsFinding> find(std::string domain);
  /// Fetches all kept policies of a certain age again, whatever their TXT records say (RFC 8461 §10.2), and drops those that have expired.
  /// To be called every hour or so. @return how many were fetched
  net::asio::awaitable<std::size_t> refresh();
  /// Domains kept. Threads: any.
  std::size_t size() const;

 private:
  struct Impl;
  explicit MtaSts(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace relais::smtp
