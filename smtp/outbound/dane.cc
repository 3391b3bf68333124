// The search for TLSA records.
#include "smtp/outbound/dane.h"

#include <algorithm>
#include <utility>

namespace relais::smtp {
namespace {

using net::DnsType;

constexpr std::uint8_t kTrustAnchor = 2;  // DANE-TA, RFC 7218 §2.1
constexpr std::uint8_t kEndEntity = 3;    // DANE-EE
constexpr std::size_t kSha256 = 32;       // octets
constexpr std::size_t kSha512 = 64;
constexpr std::size_t kMaxRecords = 64;  // of one host: more are no use

DaneFinding error_of(const net::DnsAnswer& answer, const std::string& question) {
  DaneFinding finding;
  finding.kind = DaneFinding::Kind::error;
  finding.detail = question + ": " + (answer.detail.empty() ? std::string(to_string(answer.status)) : answer.detail);
  return finding;
}

DaneFinding read(const net::DnsAnswer& answer, std::string base_domain) {
  DaneFinding finding;
  finding.base_domain = std::move(base_domain);
  finding.ttl = answer.ttl;
  for (const auto& rdata : answer.records) {
    auto record = net::parse_tlsa(rdata);
    if (!record || finding.texts.size() == kMaxRecords) continue;
    finding.texts.push_back(to_string(*record));
    if (is_usable(*record)) finding.records.push_back(std::move(*record));
  }
  finding.kind = finding.records.empty() ? DaneFinding::Kind::unusable : DaneFinding::Kind::usable;
  return finding;
}

}  // namespace

bool is_usable(const net::TlsaRecord& record) noexcept {
  if (record.usage != kTrustAnchor && record.usage != kEndEntity) return false;  // RFC 7672 §3.1.3
  if (record.selector > 1) return false;
  switch (record.matching) {
    case 0: return !record.data.empty();
    case 1: return record.data.size() == kSha256;
    case 2: return record.data.size() == kSha512;
    default: return false;
  }
}

net::asio::awaitable<DaneFinding> find_tlsa(net::Resolver& resolver, std::string host, std::uint16_t port, AddressSet addresses) {
  std::vector<std::string> candidates;
  const bool alias = addresses.canonical_name != host;
  if (addresses.secure) {
    if (alias) candidates.push_back(addresses.canonical_name);  // "secure CNAME": the expanded name first
    candidates.push_back(host);
  } else if (alias) {
    // "Insecure CNAME": the name itself counts where at least its own zone is signed.
    const auto answer = co_await resolver.query(host, DnsType::cname);
    if (answer.unknown()) co_return error_of(answer, "CNAME " + host);
    if (answer.secure) candidates.push_back(host);
  }
  for (auto& base : candidates) {
    const auto name = "_" + std::to_string(port) + "._tcp." + base;
    const auto answer = co_await resolver.query(name, DnsType::tlsa);
    if (answer.unknown()) co_return error_of(answer, "TLSA " + name);
    if (answer.found() && answer.secure) co_return read(answer, std::move(base));
  }
  co_return DaneFinding{};
}

std::vector<std::string> dane_names(std::string_view base_domain, std::string_view next_hop, std::string_view expanded) {
  std::vector<std::string> names;
  for (const auto name : {base_domain, next_hop, expanded})
    if (!name.empty() && std::ranges::find(names, name) == names.end()) names.emplace_back(name);
  return names;
}

}  // namespace relais::smtp
