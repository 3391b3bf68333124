// Addresses of legacy platforms, and whom we trust to vouch for them.
#include "directory/legacy_hosts.h"

#include "net/address.h"
#include "net/dns_records.h"

namespace relais::directory {
namespace {

constexpr std::size_t kMaxAddresses = 8;

std::unexpected<Error> unreachable(std::string detail) { return fail(Fault::temporary, "the mail server cannot be reached", "", detail); }

}  // namespace

net::Task<LegacyReach> LegacyHosts::find(const LegacyPlatform& platform, const LegacyService& service) {
  LegacyReach reach;
  if (service.tls != LegacyService::Tls::none) {
    auto context = authorities(platform.ca_file);
    if (!context) co_return unreachable("CA file: " + context.error().text);
    reach.tls = std::move(*context);
  }
  const auto host = service.host;
  if (net::parse_address(host, 0)) {
    reach.addresses = {host};
    co_return reach;
  }
  if (host == "localhost") {  // RFC 6761 §6.3
    reach.addresses = {"127.0.0.1", "::1"};
    co_return reach;
  }
  std::string detail = "no address";
  for (const auto type : {net::DnsType::a, net::DnsType::aaaa}) {
    const auto answer = co_await resolver_.query(host, type);
    if (answer.unknown()) detail = answer.detail;
    for (const auto& record : answer.records) {
      auto address = type == net::DnsType::a ? net::parse_a(record) : net::parse_aaaa(record);
      if (address && reach.addresses.size() < kMaxAddresses) reach.addresses.push_back(std::move(*address));
    }
  }
  if (reach.addresses.empty()) co_return unreachable(host + ": " + detail);
  co_return reach;
}

Result<std::shared_ptr<const net::TlsContext>> LegacyHosts::authorities(const std::string& ca_file) {
  std::error_code none;  // the system's authorities have no file of their own here; one that is missing fails below
  const auto changed = ca_file.empty() ? std::filesystem::file_time_type{} : std::filesystem::last_write_time(ca_file, none);
  const std::lock_guard lock(mutex_);
  const auto at = known_.find(ca_file);
  if (at != known_.end() && at->second.changed == changed) return at->second.context;
  RELAIS_TRY(auto context, net::TlsContext::client(ca_file, true));
  return known_.insert_or_assign(ca_file, Authorities{changed, std::move(context)}).first->second.context;
}

}  // namespace relais::directory
