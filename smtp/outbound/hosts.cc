// From a destination to hosts: RFC 5321 §5 for the order, DANE and MTA-STS for what each must prove.
#include "smtp/outbound/hosts.h"

#include "base/ascii.h"
#include "base/log.h"
#include "net/address.h"
#include "smtp/outbound/dane.h"
#include "smtp/outbound/mta_sts.h"
#include "smtp/outbound/mx.h"
#include "smtp/outbound/tls_report.h"
#include "smtp/server/gather.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace relais::smtp {
namespace {

using net::DnsType;
using Kind = Destination::Kind;

constexpr std::size_t kHostsAtOnce = 8;  // looked up at a time
constexpr std::chrono::seconds kLongestValid{3600};
constexpr std::chrono::seconds kShortestValid{1};

/// Why a host is not in the list.
enum class Missing : std::uint8_t {
  no,
  no_address,  ///< it has none, or none that can be
  unknown,     ///< the DNS does not say
  policy,      ///< what its owner promised does not hold at the moment
  untrusted,   ///< REQUIRETLS, and nothing vouches for it
};

/// What is asked for all hosts of one list.
struct Search {
  DestinationRule rule{};
  TlsNeed need = TlsNeed::usual;
  std::string domain{};    ///< next-hop domain: the policy domain
  std::string expanded{};  ///< at the end of its aliases
  std::uint16_t port = 25;
  bool by_mx = true;          ///< found by MX look-up, implicit MX among it
  bool names_secure = false;  ///< the way to the names of hosts is proven by DNSSEC
  bool foreign = true;        ///< loopback and the like is not for such hosts
  StsFinding sts{};
  bool policies = false;  ///< what the domain asks for counts
};

/// One host on its way into the list.
struct Candidate {
  net::MxRecord record{};
  AddressSet found{};
  TlsPolicy tls{};
  Missing missing = Missing::no;
  std::string detail{};
  std::chrono::seconds ttl{3600};
};

std::unexpected<Error> temporary(std::string_view code, std::string_view text, std::string_view detail) {
  return fail(Fault::temporary, text, code, detail);
}

std::unexpected<Error> permanent(std::string_view code, std::string_view text) { return fail(Fault::refused, text, code); }

std::shared_ptr<const ReportedPolicy> reported_none(const std::string& domain) {
  return std::make_shared<const ReportedPolicy>(ReportedPolicy{domain, ReportedPolicy::Type::none});
}

std::shared_ptr<const ReportedPolicy> reported_sts(const std::string& domain, const StsPolicy* policy) {
  ReportedPolicy reported{domain, ReportedPolicy::Type::sts};
  if (policy != nullptr) {
    reported.strings = policy->lines;
    reported.mx_host = policy->mx;
  }
  return std::make_shared<const ReportedPolicy>(std::move(reported));
}

std::shared_ptr<const ReportedPolicy> reported_tlsa(const std::string& base_domain, const std::string& host,
                                                    std::vector<std::string> texts) {
  return std::make_shared<const ReportedPolicy>(ReportedPolicy{base_domain, ReportedPolicy::Type::tlsa, std::move(texts), {host}});
}

TlsLevel configured_level(const DestinationRule& rule, std::string_view host) {
  if (rule.tls) return *rule.tls;
  // A password goes to nobody but its owner.
  return rule.auth && !net::is_loopback(host) ? TlsLevel::verify : TlsLevel::may;
}

Host host_of(Candidate candidate, const Search& search, bool lmtp) {
  Host host;
  host.name = std::move(candidate.record.host);
  host.addresses = std::move(candidate.found.addresses);
  host.port = search.port;
  host.tls = std::move(candidate.tls);
  host.lmtp = lmtp;
  host.auth = search.rule.auth;
  host.implicit_tls = search.rule.implicit_tls;
  host.tls_context = search.rule.tls_context;
  return host;
}

}  // namespace

struct Outbound::Impl {
  net::Resolver& resolver;
  const OutboundOptions options;
  MtaSts* const policies;
  TlsReports* const reports;

  DestinationRule rule_for(const Destination& destination) const { return options.rule ? options.rule(destination) : DestinationRule{}; }

  /// RFC 8460 §3: what happens to reports themselves is not reported.
  void count(const Search& search, const std::shared_ptr<const ReportedPolicy>& policy, std::string_view host, TlsFailure failure,
             std::string_view reason) const {
    if (reports == nullptr || search.need == TlsNeed::optional) return;
    TlsOutcome outcome;
    outcome.failure = failure;
    outcome.reason = reason;
    reports->count(*policy, host, outcome);
  }

  bool is_our_name(std::string_view name) const {
    return std::ranges::any_of(options.our_names, [&](const std::string& ours) { return iequals(ours, name); });
  }
  bool is_our_address(std::string_view address) const {
    return std::ranges::find(options.our_addresses, address) != options.our_addresses.end();
  }

  // ---- what a host must prove

  /// DANE where there is any. @return false where it is none of DANE's business
  net::asio::awaitable<bool> apply_dane(const Search& search, Candidate& candidate) const {
    const auto& host = candidate.record.host;
    auto dane = co_await find_tlsa(resolver, host, search.port, candidate.found);
    candidate.ttl = std::min(candidate.ttl, dane.ttl);
    switch (dane.kind) {
      case DaneFinding::Kind::none: co_return false;
      case DaneFinding::Kind::error:
        count(search, reported_tlsa(host, host, {}), host, TlsFailure::dnssec_invalid, dane.detail);
        if (search.need == TlsNeed::optional) co_return false;
        candidate.missing = Missing::unknown;  // RFC 7672 §2.1.2: as if it could not be reached
        candidate.detail = dane.detail;
        co_return true;
      case DaneFinding::Kind::usable:
      case DaneFinding::Kind::unusable: break;
    }
    auto& tls = candidate.tls;
    tls.server_name = dane.base_domain;
    tls.reported = reported_tlsa(dane.base_domain, host, std::move(dane.texts));
    if (dane.kind == DaneFinding::Kind::unusable) {
      count(search, tls.reported, host, TlsFailure::tlsa_invalid, "no usable record");
      tls.level = std::max(tls.level, TlsLevel::encrypt);  // RFC 7672 §2.2
      co_return false;
    }
    tls.level = TlsLevel::dane;
    // §3.2.2: with names from an insecure look-up the host's own is the only one.
    const bool second = search.by_mx ? search.names_secure : true;
    tls.names = second ? dane_names(dane.base_domain, search.domain, search.expanded) : dane_names(dane.base_domain, {}, {});
    tls.tlsa = std::move(dane.records);
    co_return true;
  }

  /// MTA-STS where the domain has a policy: RFC 8461 §4 and §5.
  void apply_sts(const Search& search, Candidate& candidate, bool dane) const {
    const auto* const policy = search.sts.policy.get();
    if (policy == nullptr) return;
    const auto& host = candidate.record.host;
    const bool testing = policy->mode == StsPolicy::Mode::testing;
    if (!sts_matches(*policy, host)) {
      count(search, reported_sts(search.domain, policy), host, TlsFailure::validation_failure, "MX host not in the policy");
      if (testing || search.need == TlsNeed::optional) return;
      candidate.missing = Missing::policy;
      candidate.detail = host + " is not in the domain's MTA-STS policy";
      return;
    }
    if (dane) return;  // RFC 8461 §2: never in place of DANE
    if (testing && candidate.tls.level != TlsLevel::may) return;
    candidate.tls.level = TlsLevel::verify;
    candidate.tls.names = {host};
    candidate.tls.server_name = host;  // RFC 8461 §7.1
    candidate.tls.testing = testing;
    candidate.tls.reported = reported_sts(search.domain, policy);
  }

  /// RFC 8689 §4.2.1: the name is vouched for (step 2), the certificate is checked (step 4), REQUIRETLS is offered (step 5).
  static void require_tls(const Search& search, Candidate& candidate, bool lmtp) {
    auto& tls = candidate.tls;
    const bool local = lmtp && std::ranges::all_of(candidate.found.addresses, net::is_loopback);
    if (local) return;  // final delivery on this machine
    const bool sts = search.sts.policy && sts_matches(*search.sts.policy, candidate.record.host);
    if (search.by_mx && !search.names_secure && !sts) {
      candidate.missing = search.sts.failure == TlsFailure::none ? Missing::untrusted : Missing::policy;
      candidate.detail = "neither DNSSEC nor MTA-STS vouches for " + candidate.record.host;
      return;
    }
    if (tls.level != TlsLevel::dane) tls.level = TlsLevel::verify;
    if (tls.names.empty()) tls.names = {candidate.record.host};
    tls.testing = false;
    tls.require_tls = !lmtp;
  }

  /// Fills in what `candidate.tls` must be. Its addresses are known.
  net::asio::awaitable<void> set_policy(const Search& search, Candidate& candidate, bool lmtp) const {
    auto& tls = candidate.tls;
    const auto& host = candidate.record.host;
    const bool numeric = net::parse_address(host, 0).has_value();
    tls.level = configured_level(search.rule, host);
    tls.server_name = numeric ? std::string() : host;
    if (tls.level == TlsLevel::verify) tls.names = {host};
    if (search.policies && !numeric && !lmtp) {
      tls.reported = reported_none(search.domain);
      const bool dane = options.dane && co_await apply_dane(search, candidate);
      if (candidate.missing == Missing::no) apply_sts(search, candidate, dane);
    }
    if (candidate.missing != Missing::no) co_return;
    if (search.need == TlsNeed::required) require_tls(search, candidate, lmtp);
    if (search.need != TlsNeed::optional) co_return;
    tls.optional = !search.rule.tls;
    tls.reported.reset();
  }

  // ---- where hosts are

  net::asio::awaitable<void> look_up(const Search& search, Candidate& candidate, bool lmtp) const {
    const auto& host = candidate.record.host;
    if (net::parse_address(host, 0) && !search.by_mx) {
      candidate.found.addresses = {host};
      candidate.found.ttl = kLongestValid;
    } else {
      candidate.found = co_await find_addresses(resolver, host, options.addresses, options.max_addresses);
    }
    candidate.ttl = candidate.found.ttl;
    if (search.foreign && !options.local_mx)
      std::erase_if(candidate.found.addresses, [](const std::string& address) { return is_nowhere(address); });
    if (candidate.found.addresses.empty()) {
      candidate.missing = candidate.found.unknown ? Missing::unknown : Missing::no_address;
      candidate.detail = candidate.found.detail;
      co_return;
    }
    co_await set_policy(search, candidate, lmtp);
  }

  net::asio::awaitable<void> look_up_all(const Search& search, std::vector<Candidate>& candidates, bool lmtp) const {
    auto one = [&](std::size_t i) { return look_up(search, candidates[i], lmtp); };
    co_await for_each_at_once(candidates.size(), kHostsAtOnce, one);
  }

  /// The list, or the error that says best why there is none.
  static net::Task<HostList> finish(const Search& search, std::vector<Candidate> candidates, std::chrono::seconds ttl, bool lmtp) {
    HostList list;
    list.mx_secure = search.names_secure;
    Missing worst = Missing::no_address;
    std::string detail;
    for (auto& candidate : candidates) {
      ttl = std::min(ttl, candidate.ttl);
      if (candidate.missing == Missing::no) {
        list.hosts.push_back(host_of(std::move(candidate), search, lmtp));
      } else {
        // What may change by itself counts more than what does not: unknown, then policy, then untrusted.
        const auto rank = [](Missing why) {
          return why == Missing::unknown ? 3 : why == Missing::policy ? 2 : why == Missing::untrusted ? 1 : 0;
        };
        if (rank(candidate.missing) >= rank(worst)) {
          worst = candidate.missing;
          detail = candidate.detail;
        }
      }
    }
    list.valid = std::clamp(ttl, kShortestValid, kLongestValid);
    if (!list.hosts.empty()) co_return list;
    switch (worst) {
      case Missing::unknown: co_return temporary("4.4.3", "the DNS does not say where the mail hosts of " + search.domain + " are", detail);
      case Missing::policy: co_return temporary("4.7.5", "no mail host of " + search.domain + " can be trusted now", detail);
      case Missing::untrusted:
        co_return permanent("5.7.10", "REQUIRETLS was asked for, and nothing vouches for the mail hosts of " + search.domain);
      case Missing::no:
      case Missing::no_address: break;
    }
    if (!search.by_mx) co_return temporary("4.4.4", "the next hop " + search.domain + " has no address", detail);
    co_return permanent("5.4.4", "the mail hosts of " + search.domain + " have no address");
  }

  net::asio::awaitable<void> find_sts(Search& search) const {
    if (!options.mta_sts || policies == nullptr || !search.policies) co_return;
    search.sts = co_await policies->find(search.domain);
    if (search.sts.failure != TlsFailure::none)
      count(search, reported_sts(search.domain, search.sts.policy.get()), {}, search.sts.failure, search.sts.reason);
  }

  static bool policies_count(const DestinationRule& rule, TlsNeed need) {
    return !rule.tls || (need == TlsNeed::required && *rule.tls != TlsLevel::verify);
  }

  net::Task<HostList> literal_hosts(Search search, std::string address) const {
    // RFC 5321 §5.1 does without a look-up; RFC 7672 §2.2 and RFC 8461 §3.4: no policies for these.
    search.policies = false;
    search.by_mx = false;
    std::vector<Candidate> candidates(1);
    candidates.front().record.host = std::move(address);
    if (is_our_address(candidates.front().record.host)) co_return permanent("5.4.6", "mail for " + search.domain + " loops back to us");
    co_await look_up_all(search, candidates, false);
    if (candidates.front().missing == Missing::no_address) co_return permanent("5.4.4", "no mail host can be at " + search.domain);
    co_return co_await finish(search, std::move(candidates), kLongestValid, false);
  }

  net::Task<HostList> mx_hosts(Destination destination, TlsNeed need) const {
    Search search;
    search.rule = rule_for(destination);
    search.rule.auth.reset();
    search.rule.implicit_tls = false;
    search.rule.tls_context.reset();
    search.need = need;
    search.domain = destination.name;
    search.port = options.mx_port;
    search.policies = policies_count(search.rule, need);
    if (search.domain.starts_with('[')) {
      auto address = address_of_literal(search.domain);
      if (address.empty()) co_return permanent("5.1.2", "\"" + search.domain + "\" is not an address we know");
      co_return co_await literal_hosts(std::move(search), std::move(address));
    }
    if (!net::is_host_name(search.domain)) co_return permanent("5.1.2", "\"" + search.domain + "\" is not a domain");
    const auto answer = co_await resolver.query(search.domain, DnsType::mx);
    if (answer.unknown())
      co_return temporary("4.4.3", "the DNS does not say where mail for " + search.domain + " goes", "MX: " + answer.detail);
    if (answer.status == net::DnsAnswer::Status::no_name) co_return permanent("5.1.2", "there is no domain " + search.domain);
    search.expanded = answer.canonical_name;
    search.names_secure = answer.secure;
    MxSet set = read_mx(answer.records);
    if (set.null) co_return permanent("5.1.10", "the domain " + search.domain + " does not take mail");  // RFC 7505 §4.2
    if (!answer.found()) set.records.push_back({0, search.domain});                                      // the implicit MX
    if (set.records.empty()) co_return permanent("5.4.4", "no MX record of " + search.domain + " names a host");
    const bool ours = drop_from_ourselves(set.records, [&](const net::MxRecord& record) { return is_our_name(record.host); });
    if (set.records.empty()) co_return permanent("5.4.6", "mail for " + search.domain + " loops back to us");
    if (set.records.size() > options.max_hosts) set.records.resize(options.max_hosts);
    co_await find_sts(search);
    std::vector<Candidate> candidates(set.records.size());
    for (std::size_t i = 0; i < candidates.size(); ++i) candidates[i].record = std::move(set.records[i]);
    co_await look_up_all(search, candidates, false);
    if (drop_by_address(candidates) && candidates.empty()) co_return permanent("5.4.6", "mail for " + search.domain + " loops back to us");
    if (ours) log::event(log::Level::debug, "mx_ourselves", {{"domain", search.domain}});
    co_return co_await finish(search, std::move(candidates), answer.ttl, false);
  }

  /// RFC 5321 §5.1 has "names or addresses by which it might be known".
  bool drop_by_address(std::vector<Candidate>& sorted) const {
    const auto is_us = [&](const Candidate& candidate) {
      return std::ranges::any_of(candidate.found.addresses, [&](const std::string& address) { return is_our_address(address); });
    };
    const auto us = std::ranges::find_if(sorted, is_us);
    if (us == sorted.end()) return false;
    const auto preference = us->record.preference;
    std::erase_if(sorted, [&](const Candidate& candidate) { return candidate.record.preference >= preference; });
    return true;
  }

  net::Task<HostList> hop_hosts(Destination destination, TlsNeed need, std::optional<DestinationRule> rule) const {
    const bool lmtp = destination.kind == Kind::lmtp;
    Search search;
    search.rule = rule ? *std::move(rule) : rule_for(destination);
    search.need = need;
    search.domain = destination.name;
    search.port = destination.port;
    search.by_mx = false;
    search.foreign = false;
    search.policies = !lmtp && policies_count(search.rule, need);
    if (net::is_host_name(search.domain) && !net::parse_address(search.domain, 0))
      co_await find_sts(search);  // RFC 8461 §3.4: the smart host's own
    std::vector<Candidate> candidates(1);
    candidates.front().record.host = destination.name;
    co_await look_up_all(search, candidates, lmtp);
    search.names_secure = candidates.front().found.secure;
    co_return co_await finish(search, std::move(candidates), kLongestValid, lmtp);
  }
};

Outbound::Outbound(net::Resolver& resolver, OutboundOptions options, MtaSts* policies, TlsReports* reports)
    : impl_(std::make_unique<Impl>(resolver, std::move(options), policies, reports)) {}
Outbound::~Outbound() = default;

net::Task<HostList> Outbound::hosts(Destination destination, TlsNeed need, std::optional<DestinationRule> rule) {
  switch (destination.kind) {
    case Kind::mx: co_return co_await impl_->mx_hosts(std::move(destination), need);
    case Kind::smtp:
    case Kind::lmtp: co_return co_await impl_->hop_hosts(std::move(destination), need, std::move(rule));
    case Kind::legacy:
    case Kind::account:
    case Kind::local: break;
  }
  co_return permanent("5.3.5", "no host belongs to " + to_string(destination));
}

void Outbound::report(const Host& host, const TlsOutcome& outcome) {
  if (impl_->reports != nullptr && host.tls.reported) impl_->reports->count(*host.tls.reported, host.name, outcome);
}

}  // namespace relais::smtp
