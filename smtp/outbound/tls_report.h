// TLSRPT (RFC 8460): what came of TLS with other domains, counted by day and told to them.
#pragma once

#include "base/clock.h"
#include "net/resolver.h"
#include "net/task.h"
#include "smtp/outbound/tls_policy.h"
#include "smtp/outbound/tls_report_text.h"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::net {
class HttpsClient;
class WorkerPool;
}  // namespace relais::net

namespace relais::smtp {

/// One day's report to one policy domain, ready to go.
struct TlsReport {
  std::string domain;      ///< the policy domain
  TlsReportAddresses to;   ///< at least one address
  std::string report_id;   ///< the same for every attempt, so that receivers know duplicates
  std::string file_name;   ///< RFC 8460 §5.1
  std::string json;        ///< I-JSON, RFC 8460 §4.4
  std::string compressed;  ///< the same with gzip, RFC 8460 §5.2: what is POSTed as application/tlsrpt+gzip
  std::string sender;      ///< the contact: From of the message, and a reverse-path that may be used
  std::string message;     ///< multipart/report to `to.mail_to`, CRLF, to be DKIM-signed by our domain (RFC 8460 §3)
};

/// POSTs the report to its https addresses, one after the other, until one takes it (RFC 8460 §5.4). On a Loop.
/// Errors: Fault::refused where there is no such address or all said no for good (4xx); Fault::temporary where one may take it later.
net::Task<void> post_tls_report(const net::HttpsClient& client, const TlsReport& report);

struct TlsReportOptions {
  std::filesystem::path directory{};  ///< counters; made where it is missing
  std::string organization{};         ///< "organization-name"
  std::string contact{};              ///< address that reports come from: "tls-reports@example.net"
  /// Policies counted per day; what comes beyond is not. Domains without a policy get no more than half of the room.
  std::size_t max_policies = 50'000;
  std::size_t max_failures = 100;           ///< kinds of failure kept per policy; beyond, counts go on without details
  std::chrono::seconds spread{4 * 3600};    ///< reports of a day go out over so long a time after its end (RFC 8460 §4.1)
  std::chrono::seconds give_up{24 * 3600};  ///< after the first attempt (RFC 8460 §5.5)
  std::chrono::seconds save_every{300};
};

/// Counts and reports. Threads: any. Counters are saved now and then and at the end: a crash loses minutes of them.
/// Lifetime: resolver and workers outlive it; its coroutines have ended before it goes.
class TlsReports {
 public:
  /// Sends a report: mail to the queue (with TlsNeed::optional: RFC 8460 §5.3), and POSTs. One of the addresses is enough.
  /// Fault::temporary: it is tried again for a day, with growing pauses (RFC 8460 §5.5). Any other error: it is given up.
  using Sender = std::function<net::Task<void>(TlsReport)>;

  /// Reads what is kept; blocks. Errors: Fault::temporary where the directory cannot be made or read.
  static Result<std::unique_ptr<TlsReports>> open(TlsReportOptions options, net::Resolver& resolver, net::WorkerPool& workers,
                                                  Sender sender, const Clock& clock = system_clock());
  ~TlsReports();  ///< saves; blocks

  /// Counts one session, or one failure to find out a policy. A short lock, no I/O.
  /// @param host the MX host; empty where none was involved
  void count(const ReportedPolicy& policy, std::string_view host, const TlsOutcome& outcome);
  /// What is due now: sends reports of days that have ended (UTC), each domain at its own time, tries again what failed, saves counters. To
  /// be called every minute or so; a call while another one runs does nothing. @return reports that were sent
  net::asio::awaitable<std::size_t> run();
  /// Writes the counters. Blocks. Errors: Fault::temporary.
  Result<void> save();

 private:
  struct Impl;
  explicit TlsReports(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::smtp
