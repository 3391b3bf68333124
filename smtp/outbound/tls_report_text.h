// The texts of TLSRPT (RFC 8460): TXT records, JSON, file names, the message that carries a report. Pure.
#pragma once

#include "base/result.h"
#include "smtp/outbound/tls_policy.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp {

/// Where a domain wants its reports.
struct TlsReportAddresses {
  std::vector<std::string> mail_to;  ///< addresses
  std::vector<std::string> post_to;  ///< https URLs
};
/// The rua of the one TLSRPT record among the TXT records of _smtp._tls.DOMAIN (RFC 8460 §3). URIs of other schemes and malformed ones are
/// left out. Fault::syntax where there is none or more than one, or no usable URI.
Result<TlsReportAddresses> parse_tlsrpt_txt(std::span<const std::string> records);

/// A kind of failure: a member of "failure-details".
struct TlsFailureKind {
  TlsFailure failure = TlsFailure::none;
  std::string sending_address{};
  std::string host{};
  std::string hello{};
  std::string receiving_address{};
  std::string reason{};
  friend auto operator<=>(const TlsFailureKind&, const TlsFailureKind&) = default;
};

/// What was counted under one policy on one day.
struct TlsCounts {
  std::uint64_t successful = 0;
  std::uint64_t failed = 0;
  std::map<TlsFailureKind, std::uint64_t> failures{};
};
using TlsPolicyCounts = std::map<ReportedPolicy, TlsCounts>;

/// A day: number of days since 1970-01-01, UTC.
using TlsReportDay = std::int64_t;
constexpr std::int64_t kSecondsOfDay = 86'400;

/// Counters as JSON, to keep them: one element of the array that is kept for a day.
std::string format_tls_counts(const ReportedPolicy& policy, const TlsCounts& counts);
/// The array back. Fault::corrupt where it is none.
Result<TlsPolicyCounts> parse_tls_counts(std::string_view json);

/// Who reports about whom, and when.
struct TlsReportHead {
  std::string organization;  ///< "organization-name"
  std::string contact;       ///< address
  std::string domain;        ///< the policy domain
  TlsReportDay day = 0;

  std::string submitter() const;  ///< domain of the contact
  /// Made of day, domain and submitter, so that it is the same for every attempt.
  std::string id() const;
};

/// I-JSON, RFC 8460 §4.4. @param counts  policies of that domain
std::string tls_report_json(const TlsReportHead& head, const TlsPolicyCounts& counts);
/// RFC 8460 §5.1: "ours.example!theirs.example!1767225600!1767311999!001.json.gz".
std::string tls_report_file_name(const TlsReportHead& head);
/// multipart/report, RFC 8460 §5.3; CRLF, 7bit. @param date seconds since the epoch
std::string tls_report_message(const TlsReportHead& head, std::span<const std::string> mail_to, std::string_view gzip, std::int64_t date);
/// RFC 1952. CPU-bound: on a worker.
std::string gzip(std::string_view octets);

}  // namespace relais::smtp
