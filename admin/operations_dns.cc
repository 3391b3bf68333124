// relais dns DOMAIN: what the domain should publish, and what it publishes now.
#include "admin/operations.h"

#include "admin/public_key.h"
#include "antispam/dkim_keys.h"
#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"
#include "message/address.h"
#include "net/dns_records.h"

#include <algorithm>
#include <array>
#include <functional>

namespace relais::admin {
namespace {

using net::DnsAnswer;
using net::DnsType;

constexpr auto kSrv = static_cast<DnsType>(33);  // RFC 2782
constexpr std::size_t kPolicyId = 16;            // RFC 8461 §3.1: 32 octets at most

std::string type_name(DnsType type) { return type == kSrv ? "SRV" : std::string(net::to_string(type)); }

// "0 1 587 mail.example.net": RFC 2782
std::optional<std::string> srv_text(std::string_view rdata) {
  if (rdata.size() < 7) return std::nullopt;
  Decoder in(rdata);
  std::string out;
  for (int i = 0; i < 3; ++i) out.append(std::to_string(in.u16())).append(" ");
  auto name = net::parse_name(in.rest());
  if (!name) return std::nullopt;
  return out + *name;
}

std::string record_text(DnsType type, const std::string& rdata) {
  switch (type) {
    case DnsType::mx:
      if (const auto mx = net::parse_mx(rdata)) return std::to_string(mx->preference) + " " + (mx->host.empty() ? "." : mx->host);
      break;
    case DnsType::txt:
      if (auto text = net::parse_txt(rdata)) return std::move(*text);
      break;
    case DnsType::a:
      if (auto text = net::parse_a(rdata)) return std::move(*text);
      break;
    case DnsType::aaaa:
      if (auto text = net::parse_aaaa(rdata)) return std::move(*text);
      break;
    case DnsType::tlsa:
      if (const auto tlsa = net::parse_tlsa(rdata)) return to_string(*tlsa);
      break;
    case DnsType::cname:
    case DnsType::ns:
    case DnsType::ptr:
      if (auto text = net::parse_name(rdata)) return std::move(*text);
      break;
    default:
      if (auto text = srv_text(rdata); type == kSrv && text) return std::move(*text);
      break;
  }
  return "\\# " + to_hex(rdata);
}

// As text in a zone file: RFC 1035 §5.1, strings of at most 255 octets (§3.3.14).
std::string quoted_strings(std::string_view text) {
  constexpr std::size_t kString = 255;
  std::string out;
  do {
    out += out.empty() ? "\"" : " \"";
    for (const char c : text.substr(0, kString)) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    out += '"';
    text.remove_prefix(std::min(kString, text.size()));
  } while (!text.empty());
  return out;
}

// What can be put into a zone file as it is: names end with a dot there, or they would get the zone's behind them.
std::string zone_line(const std::string& name, DnsType type, const std::string& value) {
  auto data = value;
  if (type == DnsType::txt) data = quoted_strings(value);
  if ((type == DnsType::mx || type == kSrv) && !data.ends_with('.')) data += '.';
  return name + ". IN " + type_name(type) + " " + data;
}

/// One line of the report.
struct Wanted {
  std::string name;
  DnsType type = DnsType::txt;
  std::string value;  ///< what to publish
  std::string why;
  /// Whether a published record does. Empty: it must be the value.
  std::function<bool(const std::string& published)> good{};
  /// Published records that have to do with it: others under the same name are no business of ours. Empty: all.
  std::function<bool(const std::string& published)> related{};
  bool needed = true;   ///< without it mail suffers
  bool single = false;  ///< with several related ones receivers take none (RFC 7208 §4.5, RFC 7489 §6.6.3, RFC 8461 §3.1, RFC 8460 §3)
  bool made = true;     ///< there is something to publish already
};

bool starts(const std::string& text, std::string_view prefix) { return istarts_with(text, prefix); }

// Without white space, which TXT values of DKIM may have anywhere between tags.
std::string squeezed(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (!ascii_wsp(c)) out.push_back(c);
  }
  return out;
}

json row_of(const Wanted& wanted, const DnsAnswer& answer) {
  auto published = json::array();
  bool good = false;
  for (const auto& rdata : answer.records) {
    const auto text = record_text(wanted.type, rdata);
    if (wanted.related && !wanted.related(text)) continue;
    published.push_back(text);
    good = good || (wanted.good ? wanted.good(text) : iequals(text, wanted.value));
  }
  const bool several = wanted.single && published.size() > 1;
  good = good && !several;
  std::string state = good ? "ok" : !published.empty() ? "differs" : wanted.needed ? "missing" : "optional";
  if (answer.unknown()) state = "unknown";
  json row{{"name", wanted.name},    {"type", type_name(wanted.type)},    {"value", wanted.value},
           {"why", wanted.why},      {"published", std::move(published)}, {"state", state},
           {"secure", answer.secure}};
  if (wanted.made) row["zone"] = zone_line(wanted.name, wanted.type, wanted.value);
  if (several) row["trouble"] = "there may be one such record only: of several, receivers take none";
  if (answer.unknown()) row["trouble"] = std::string(to_string(answer.status)) + (answer.detail.empty() ? "" : ": " + answer.detail);
  return row;
}

void add_mail(std::vector<Wanted>& out, const std::string& domain, const std::string& host) {
  out.push_back({.name = domain,
                 .type = DnsType::mx,
                 .value = "10 " + host,
                 .why = "where mail for the domain is sent",
                 .good = [host](const std::string& text) { return to_lower(text).ends_with(" " + host); }});
  out.push_back({.name = domain,
                 .type = DnsType::txt,
                 .value = "v=spf1 mx ~all",
                 .why = "SPF: who sends for the domain; make it -all when nobody else does",
                 .good = [](const std::string& text) { return starts(text, "v=spf1"); },
                 .related = [](const std::string& text) { return starts(text, "v=spf1"); },
                 .single = true});
  if (host != domain) {
    // RFC 7208 §2.4: reports have no sender, so that others look at the name that the host gives itself.
    out.push_back({.name = host,
                   .type = DnsType::txt,
                   .value = "v=spf1 a -all",
                   .why = "SPF of the host: for its reports, which have no sender",
                   .good = [](const std::string& text) { return starts(text, "v=spf1"); },
                   .related = [](const std::string& text) { return starts(text, "v=spf1"); },
                   .needed = false,
                   .single = true});
  }
  out.push_back({.name = "_dmarc." + domain,
                 .type = DnsType::txt,
                 .value = "v=DMARC1; p=none; rua=mailto:postmaster@" + domain,
                 .why = "DMARC: what receivers do with forgeries; p=quarantine or p=reject once the reports are clean",
                 .good = [](const std::string& text) { return starts(text, "v=DMARC1"); },
                 .related = [](const std::string& text) { return starts(text, "v=DMARC1"); },
                 .single = true});
}

void add_tls(std::vector<Wanted>& out, const std::string& domain, const std::string& host) {
  const auto is = [](std::string_view prefix) { return [prefix](const std::string& text) { return starts(text, prefix); }; };
  // RFC 8461 §3.1: another policy, another id; so it is made of the policy.
  const auto policy = "version: STSv1 / mode: testing / mx: " + host + " / max_age: 604800";
  out.push_back({.name = "_mta-sts." + domain,
                 .type = DnsType::txt,
                 .value = "v=STSv1; id=" + to_hex(directory::digest(directory::Digest::sha256, policy)).substr(0, kPolicyId) + ";",
                 .why = "MTA-STS: others must use TLS; needs https://mta-sts." + domain + "/.well-known/mta-sts.txt with: " + policy +
                        ", and a certificate from a known authority; another id whenever that changes",
                 .good = is("v=STSv1"),
                 .related = is("v=STSv1"),
                 .needed = false,
                 .single = true});
  out.push_back({.name = "_smtp._tls." + domain,
                 .type = DnsType::txt,
                 .value = "v=TLSRPTv1; rua=mailto:postmaster@" + domain,
                 .why = "TLSRPT: others tell about TLS that fails",
                 .good = is("v=TLSRPTv1"),
                 .related = is("v=TLSRPTv1"),
                 .needed = false,
                 .single = true});
}

void add_services(std::vector<Wanted>& out, const std::string& domain, const std::string& host, const config::Values& settings) {
  struct Service {
    std::string_view label;
    std::string_view key;
  };
  for (const auto& [label, key] : {Service{"_submission", "submission"}, Service{"_submissions", "submissions"}, Service{"_imap", "imap"},
                                   Service{"_imaps", "imaps"}, Service{"_pop3", "pop3"}, Service{"_pop3s", "pop3s"}}) {
    const auto port = settings.integer("listen." + std::string(key));
    const bool offered = port != 0;
    out.push_back({.name = std::string(label) + "._tcp." + domain,
                   .type = kSrv,
                   .value = offered ? "0 1 " + std::to_string(port) + " " + host : "0 0 0 .",
                   .why = offered ? "mail programs find the service (RFC 6186, RFC 8314)" : "the service is off here",
                   .needed = false});
  }
}

net::Task<void> add_keys(std::vector<Wanted>& out, Backend& backend, const std::string& domain) {
  RELAIS_CO_TRY(const auto keys, co_await backend.directory.dkim_keys(domain));
  for (const auto& key : keys) {
    RELAIS_CO_TRY(const auto record, antispam::dkim_record(key));
    const auto want = squeezed(record.value);
    const auto key_part = want.substr(want.find(";p="));
    out.push_back({.name = record.name,
                   .type = DnsType::txt,
                   .value = record.value,
                   .why = "DKIM: the key of selector " + key.selector + ", " + std::string(to_string(key.state)),
                   .good = [key_part](const std::string& text) { return squeezed(text).contains(key_part); }});
  }
  if (keys.empty()) {
    out.push_back({.name = "SELECTOR._domainkey." + domain,
                   .type = DnsType::txt,
                   .value = "made by: relais dkim add " + domain,
                   .why = "DKIM: mail of the domain is not signed yet",
                   .made = false});
  }
  co_return Result<void>{};
}

net::Task<json> dns(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto given, text_argument(request, "domain"));
  RELAIS_CO_TRY(const auto domain, message::to_ascii_domain(given));
  RELAIS_CO_TRY(auto* resolver, backend.mail.resolver());
  const auto& settings = backend.mail.settings();
  const auto host = to_lower(host_name(settings));
  RELAIS_CO_TRY(const bool ours, co_await backend.directory.is_local_domain(domain));

  std::vector<Wanted> wanted;
  add_mail(wanted, domain, host);
  RELAIS_CO_TRY_VOID(co_await add_keys(wanted, backend, domain));
  add_tls(wanted, domain, host);
  if (const auto digest = public_key_digest(certificate_files(settings, backend.mail.dir()).front().certificate)) {
    wanted.push_back({.name = "_25._tcp." + host,
                      .type = DnsType::tlsa,
                      .value = "3 1 1 " + to_hex(*digest),
                      .why = "DANE: the key of our certificate; counts where the zone is signed",
                      .needed = false});
  }
  add_services(wanted, domain, host, settings);

  auto rows = json::array();
  for (const auto& one : wanted) {
    auto answer = one.made ? co_await resolver->query(one.name, one.type) : DnsAnswer{.status = DnsAnswer::Status::no_name};
    rows.push_back(row_of(one, answer));
  }
  // The host's own addresses are the administrator's to know: they are shown, not demanded.
  auto addresses = json::array();
  for (const auto type : {DnsType::a, DnsType::aaaa}) {
    const auto answer = co_await resolver->query(host, type);
    for (const auto& rdata : answer.records) addresses.push_back(record_text(type, rdata));
  }
  co_return json{
      {"domain", domain}, {"hostname", host}, {"local_domain", ours}, {"addresses", std::move(addresses)}, {"records", std::move(rows)}};
}

constexpr std::array<Operation, 1> kOperations{{{"dns", dns}}};

}  // namespace

std::span<const Operation> dns_operations() { return kOperations; }

}  // namespace relais::admin
