// The texts of TLSRPT.
#include "smtp/outbound/tls_report_text.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/encode.h"
#include "message/address.h"
#include "message/date.h"
#include "net/https.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include <zlib.h>
#include <nlohmann/json.hpp>

namespace relais::smtp {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kVersion = "v=TLSRPTv1";
constexpr std::size_t kMaxAddresses = 8;  // URIs used of one record
constexpr std::size_t kLine = 76;         // characters of base64 in a line, RFC 2045 §6.8
constexpr int kGzipWindow = 15 + 16;      // the largest window, with gzip's header: zlib.h, deflateInit2

std::unexpected<Error> no_record(std::string_view why) { return fail(Fault::syntax, "no usable TLSRPT record", "", why); }

// RFC 3986 §2.1. nullopt where a "%" is not followed by two hexadecimal digits.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const auto octet = from_hex(text.substr(i + 1, 2));
    if (!octet || octet->size() != 1) return std::nullopt;
    out += *octet;
    i += 2;
  }
  return out;
}

// mailto:addr,addr?fields of RFC 6068 §2. The fields are not ours to follow.
void take_mailto(std::string_view uri, TlsReportAddresses& into) {
  uri = uri.substr(0, uri.find('?'));
  for (const auto part : split(uri, ',')) {
    const auto text = percent_decoded(part);
    if (!text) continue;
    const auto address = message::parse_mailbox(*text, false);
    if (address && into.mail_to.size() < kMaxAddresses) into.mail_to.push_back(message::to_string(*address));
  }
}

void take_uri(std::string_view uri, TlsReportAddresses& into) {
  constexpr std::string_view kMailto = "mailto:";
  if (istarts_with(uri, kMailto))
    take_mailto(uri.substr(kMailto.size()), into);
  else if (net::parse_https_url(uri) && into.post_to.size() < kMaxAddresses)
    into.post_to.emplace_back(uri);
}

std::string_view type_name(ReportedPolicy::Type type) noexcept {
  switch (type) {
    case ReportedPolicy::Type::none: return "no-policy-found";
    case ReportedPolicy::Type::tlsa: return "tlsa";
    case ReportedPolicy::Type::sts: return "sts";
  }
  return "";
}

void append_padded(std::string& out, std::uint64_t number, std::size_t width) {
  const auto digits = std::to_string(number);
  out.append(width - std::min(width, digits.size()), '0').append(digits);
}

// "2026-01-01"
std::string iso_day(TlsReportDay day) {
  const std::chrono::year_month_day date{std::chrono::sys_days(std::chrono::days(day))};
  std::string out;
  append_padded(out, static_cast<std::uint64_t>(static_cast<int>(date.year())), 4);
  append_padded(out += '-', static_cast<unsigned>(date.month()), 2);
  append_padded(out += '-', static_cast<unsigned>(date.day()), 2);
  return out;
}

void put(Json& object, const char* name, const std::string& value) {
  if (!value.empty()) object[name] = value;
}

Json failure_json(const TlsFailureKind& kind, std::uint64_t count) {
  Json out;
  out["result-type"] = to_string(kind.failure);
  put(out, "sending-mta-ip", kind.sending_address);
  put(out, "receiving-mx-hostname", kind.host);
  put(out, "receiving-mx-helo", kind.hello);
  put(out, "receiving-ip", kind.receiving_address);
  out["failed-session-count"] = count;
  put(out, "failure-reason-code", kind.reason);
  return out;
}

Json policy_json(const ReportedPolicy& policy, const TlsCounts& counts) {
  Json about;
  about["policy-type"] = type_name(policy.type);
  if (!policy.strings.empty()) about["policy-string"] = policy.strings;
  about["policy-domain"] = policy.domain;
  if (!policy.mx_host.empty()) about["mx-host"] = policy.mx_host;
  Json out;
  out["policy"] = std::move(about);
  out["summary"] = {{"total-successful-session-count", counts.successful}, {"total-failure-session-count", counts.failed}};
  if (!counts.failures.empty()) {
    auto& details = out["failure-details"] = Json::array();
    for (const auto& [kind, count] : counts.failures) details.push_back(failure_json(kind, count));
  }
  return out;
}

// Octets that are not UTF-8 came from other servers' greetings: they are replaced.
std::string dump(const Json& json, int indent) { return json.dump(indent, ' ', false, Json::error_handler_t::replace); }

std::optional<TlsFailure> failure_named(std::string_view name) {
  for (int i = static_cast<int>(TlsFailure::starttls_not_supported); i <= static_cast<int>(TlsFailure::sts_webpki_invalid); ++i)
    if (to_string(static_cast<TlsFailure>(i)) == name) return static_cast<TlsFailure>(i);
  return std::nullopt;
}

std::string wrapped_base64(std::string_view octets) {
  const auto text = to_base64(octets);
  std::string out;
  out.reserve(text.size() + 2 * (text.size() / kLine + 1));
  for (std::size_t at = 0; at < text.size(); at += kLine) out.append(text, at, kLine).append("\r\n");
  return out;
}

// Throws what nlohmann throws where a member is missing or of another type.
std::pair<ReportedPolicy, TlsCounts> counts_of(const Json& entry) {
  ReportedPolicy policy;
  const auto& about = entry.at("policy");
  const auto name = about.at("policy-type").get<std::string>();
  for (const auto type : {ReportedPolicy::Type::tlsa, ReportedPolicy::Type::sts})
    if (name == type_name(type)) policy.type = type;
  policy.strings = about.value("policy-string", std::vector<std::string>());
  policy.domain = about.at("policy-domain").get<std::string>();
  policy.mx_host = about.value("mx-host", std::vector<std::string>());
  TlsCounts counts;
  counts.successful = entry.at("summary").at("total-successful-session-count").get<std::uint64_t>();
  counts.failed = entry.at("summary").at("total-failure-session-count").get<std::uint64_t>();
  for (const auto& detail : entry.value("failure-details", Json::array())) {
    const auto failure = failure_named(detail.at("result-type").get<std::string>());
    if (!failure) continue;
    const auto text = [&](const char* member) { return detail.value(member, std::string()); };
    TlsFailureKind kind{*failure,
                        text("sending-mta-ip"),
                        text("receiving-mx-hostname"),
                        text("receiving-mx-helo"),
                        text("receiving-ip"),
                        text("failure-reason-code")};
    counts.failures[std::move(kind)] += detail.at("failed-session-count").get<std::uint64_t>();
  }
  return {std::move(policy), std::move(counts)};
}

}  // namespace

Result<TlsReportAddresses> parse_tlsrpt_txt(std::span<const std::string> records) {
  std::string_view only;
  int count = 0;
  for (const std::string_view record : records) {
    if (!record.starts_with(kVersion) || !trim(record.substr(kVersion.size())).starts_with(';')) continue;
    only = record;
    ++count;
  }
  if (count != 1) return no_record(count == 0 ? "none" : "more than one");
  TlsReportAddresses out;
  for (const auto part : split(only, ';')) {
    const auto field = trim(part);
    if (!field.starts_with("rua=")) continue;  // unknown fields are ignored
    for (const auto uri : split(field.substr(4), ',')) take_uri(trim(uri), out);
  }
  if (out.mail_to.empty() && out.post_to.empty()) return no_record("no usable URI");
  return out;
}

std::string format_tls_counts(const ReportedPolicy& policy, const TlsCounts& counts) { return dump(policy_json(policy, counts), -1); }

Result<TlsPolicyCounts> parse_tls_counts(std::string_view json) {
  try {
    TlsPolicyCounts out;
    for (const auto& entry : Json::parse(json)) out.insert(counts_of(entry));
    return out;
  } catch (const Json::exception& error) {
    return fail(Fault::corrupt, "not a file of TLS counters", "", error.what());
  }
}

std::string TlsReportHead::submitter() const { return contact.substr(contact.rfind('@') + 1); }

std::string TlsReportHead::id() const { return iso_day(day) + "." + domain + "@" + submitter(); }

std::string tls_report_json(const TlsReportHead& head, const TlsPolicyCounts& counts) {
  Json out;
  out["organization-name"] = head.organization;
  out["date-range"] = {{"start-datetime", iso_day(head.day) + "T00:00:00Z"}, {"end-datetime", iso_day(head.day) + "T23:59:59Z"}};
  out["contact-info"] = head.contact;
  out["report-id"] = head.id();
  auto& policies = out["policies"] = Json::array();
  for (const auto& [policy, counted] : counts) policies.push_back(policy_json(policy, counted));
  return dump(out, 1);
}

std::string tls_report_file_name(const TlsReportHead& head) {
  const auto begin = head.day * kSecondsOfDay;
  return head.submitter() + "!" + head.domain + "!" + std::to_string(begin) + "!" + std::to_string(begin + kSecondsOfDay - 1) +
         "!001.json.gz";
}

std::string tls_report_message(const TlsReportHead& head, std::span<const std::string> mail_to, std::string_view compressed,
                               std::int64_t date) {
  const auto boundary = "=_tlsrpt_" + std::to_string(head.day) + "_" + std::to_string(date);  // "=_" never stands in base64 or in our text
  std::string to;
  for (const auto& address : mail_to) to.append(to.empty() ? "" : ",\r\n ").append("<" + address + ">");
  const auto& domain = head.domain;
  const auto us = head.submitter();
  const auto id = "<" + head.id() + ">";
  std::string out =
      "From: <" + head.contact + ">\r\nTo: " + to + "\r\nDate: " + message::format_date({date, 0}) + "\r\nMessage-ID: " + id + "\r\n";
  out += "Subject: Report Domain: " + domain + "\r\n Submitter: " + us + "\r\n Report-ID: " + id + "\r\n";
  out += "TLS-Report-Domain: " + domain + "\r\nTLS-Report-Submitter: " + us + "\r\n";
  // RFC 8460 §3: reports must arrive whatever is wrong with TLS, which is what RFC 8689 §3 has this field for.
  out += "TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n";
  out += "Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"" + boundary + "\"\r\n\r\n";
  out += "--" + boundary + "\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n";
  out += "This is an aggregate TLS report (RFC 8460) from " + us + "\r\nabout sessions with the mail servers of " + domain + "\r\non " +
         iso_day(head.day) + " (UTC).\r\n\r\n";
  out += "--" + boundary + "\r\nContent-Type: application/tlsrpt+gzip\r\nContent-Transfer-Encoding: base64\r\n";
  out += "Content-Disposition: attachment;\r\n filename=\"" + tls_report_file_name(head) + "\"\r\n\r\n";
  out += wrapped_base64(compressed) + "--" + boundary + "--\r\n";
  return out;
}

std::string gzip(std::string_view octets) {
  z_stream stream{};
  RELAIS_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzipWindow, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(deflateBound(&stream, octets.size()), '\0');
  // zlib does not write to its input; its interface is older than const.
  stream.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(octets.data()));
  stream.avail_in = static_cast<uInt>(octets.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int ended = deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  RELAIS_CHECK(ended == Z_STREAM_END);
  return out;
}

}  // namespace relais::smtp
