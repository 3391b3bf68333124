// Discovery, fetching and refreshing of MTA-STS policies.
#include "smtp/outbound/mta_sts.h"

#include "base/log.h"
#include "base/metrics.h"
#include "net/dns_records.h"
#include "net/worker_pool.h"
#include "smtp/outbound/sts_cache.h"
#include "smtp/outbound/sts_store.h"
#include "smtp/server/gather.h"

#include <utility>
#include <vector>

namespace relais::smtp {
namespace {

constexpr std::size_t kRefreshAtOnce = 4;
constexpr std::size_t kMaxDomain = 240;  // octets: "mta-sts." has to fit in front of it

std::string policy_url(const std::string& domain) { return "https://mta-sts." + domain + "/.well-known/mta-sts.txt"; }

TlsFailure failure_of(const Error& error) {
  return error.fault == Fault::refused && error.code == "tls" ? TlsFailure::sts_webpki_invalid : TlsFailure::sts_policy_fetch_error;
}

/// A policy, or why there is none.
struct Fetched {
  std::optional<StsPolicy> policy{};
  TlsFailure failure = TlsFailure::none;
  std::string reason{};
};

Fetched read_response(const Result<net::HttpResponse>& response) {
  if (!response) return {std::nullopt, failure_of(response.error()), response.error().text};
  // RFC 8461 §3.3: "only valid if the HTTP response code is 200"; §3.2: text/plain, against hosts that let anyone put pages there.
  if (response->status != 200) return {std::nullopt, TlsFailure::sts_policy_fetch_error, "HTTP status " + std::to_string(response->status)};
  if (response->content_type != "text/plain")
    return {std::nullopt, TlsFailure::sts_policy_invalid,
            "media type " + (response->content_type.empty() ? "missing" : response->content_type)};
  auto policy = parse_sts_policy(response->body);
  if (!policy) return {std::nullopt, TlsFailure::sts_policy_invalid, policy.error().text};
  return {std::move(*policy), TlsFailure::none, {}};
}

StsCache::Policy usable(StsCache::Policy policy, std::int64_t now) { return policy && policy->expires() > now ? policy : nullptr; }

// "none" stands for no policy, RFC 8461 §5.
StsFinding finding(StsCache::Policy policy, TlsFailure failure = TlsFailure::none, std::string reason = {}) {
  const bool none = policy && policy->mode == StsPolicy::Mode::none;
  if (none) return {};  // RFC 8461 §6: nor are failures of it told
  return {std::move(policy), failure, std::move(reason)};
}

}  // namespace

struct MtaSts::Impl {
  Impl(StsOptions given, net::Resolver& dns, net::WorkerPool& pool, Fetch fetcher, const Clock& time, StsStore disk)
      : options(std::move(given)),
        resolver(dns),
        workers(pool),
        fetch(std::move(fetcher)),
        clock(time),
        store(std::move(disk)),
        cache(options.max_policies, options.max_octets) {}

  using Self = std::shared_ptr<Impl>;

  /// The id that the TXT record gives now; empty where none can be had.
  static net::asio::awaitable<std::string> live_id(Self self, std::string domain) {
    const auto answer = co_await self->resolver.query("_mta-sts." + domain, net::DnsType::txt);
    std::vector<std::string> records;
    for (const auto& rdata : answer.records)
      if (auto text = net::parse_txt(rdata)) records.push_back(std::move(*text));
    auto id = parse_sts_txt(records);
    co_return id ? std::move(*id) : std::string();
  }

  /// Writes to the disk, or removes the file where the policy is null.
  static net::Task<void> write(Self self, std::string domain, StsCache::Policy policy) {
    auto job = [&] { return policy ? self->store.save(domain, *policy) : self->store.remove(domain); };
    auto written = co_await self->workers.run(job);
    if (!written) {
      const auto& error = written.error();
      log::event(log::Level::warning, "sts_policy_not_saved", {{"domain", domain}, {"reason", error.text + " " + error.detail}});
    }
    co_return written;
  }

  static net::asio::awaitable<void> keep(Self self, std::string domain, StsCache::Policy policy) {
    const auto saved = co_await write(self, domain, policy);
    const auto gone = self->cache.put(domain, std::move(policy), saved.has_value());
    for (const auto& other : gone) co_await write(self, other, nullptr);
  }

  /// Fetches, keeps what came, remembers what went wrong. The caller has the turn.
  static net::asio::awaitable<Fetched> fetch_policy(Self self, std::string domain, std::string id) {
    const auto response = co_await self->fetch(policy_url(domain));
    auto fetched = read_response(response);
    (fetched.policy ? self->fetches : self->failures).add();
    if (!fetched.policy) {
      self->cache.set_trouble(domain, {id, self->clock.seconds(), fetched.failure, fetched.reason});
      const auto level = self->cache.find(domain) ? log::Level::warning : log::Level::info;  // RFC 8461 §3.3: tell the administrator
      const auto detail = response ? std::string() : response.error().detail;
      log::event(level, "sts_policy_not_fetched", {{"domain", domain}, {"reason", fetched.reason}, {"detail", detail}});
      co_return fetched;
    }
    fetched.policy->id = std::move(id);
    fetched.policy->fetched = self->clock.seconds();
    co_await keep(self, std::move(domain), std::make_shared<const StsPolicy>(*fetched.policy));
    co_return fetched;
  }

  static net::asio::awaitable<StsFinding> find(Self self, std::string domain) {
    if (domain.size() > kMaxDomain || !net::is_host_name(domain)) co_return StsFinding{};  // address literals, RFC 8461 §3.4
    const auto id = co_await live_id(self, domain);
    for (;;) {
      const auto kept = usable(self->cache.find(domain), self->clock.seconds());
      if (id.empty()) {
        // §3.1: the absence of a usable record does not remove a policy that is kept.
        if (!kept) co_return StsFinding{};
        co_return finding(kept, TlsFailure::sts_policy_fetch_error, "no usable TXT record");
      }
      if (kept && kept->id == id) co_return finding(kept);
      if (const auto trouble = self->cache.trouble(domain);
          trouble && trouble->id == id && trouble->at + self->options.retry.count() > self->clock.seconds())
        co_return finding(kept, trouble->failure, trouble->reason);
      const auto turn = self->cache.take_turn(domain);
      if (!turn) {
        auto wait = [self, domain](StsCache::Waiter waiter) { self->cache.wait(domain, std::move(waiter)); };
        co_await net::suspended<std::monostate>(std::move(wait));
        if (self->ended) co_return finding(kept);
        continue;
      }
      const auto fetched = co_await fetch_policy(self, domain, id);
      const auto now = usable(self->cache.find(domain), self->clock.seconds());
      co_return finding(now, fetched.failure, fetched.reason);
    }
  }

  static net::asio::awaitable<std::size_t> refresh(Self self) {
    const auto due = self->cache.due(self->clock.seconds(), self->options.refresh.count());
    for (const auto& domain : due.expired) {
      const auto turn = self->cache.take_turn(domain);
      if (!turn) continue;  // it is being replaced
      self->cache.erase(domain);
      co_await write(self, domain, nullptr);
    }
    for (const auto& [domain, policy] : due.unsaved)
      if (co_await write(self, domain, policy)) self->cache.mark_saved(domain, policy);
    std::size_t count = 0;
    auto one = [&](std::size_t i) -> net::asio::awaitable<void> {
      const auto& domain = due.old[i];
      auto id = co_await live_id(self, domain);
      const auto turn = self->cache.take_turn(domain);
      const auto kept = self->cache.find(domain);
      if (!turn || !kept) co_return;  // somebody is fetching it
      if (id.empty()) id = kept->id;
      const auto fetched = co_await fetch_policy(self, domain, std::move(id));
      if (fetched.policy) ++count;
    };
    co_await for_each_at_once(due.old.size(), kRefreshAtOnce, one);
    co_return count;
  }

  const StsOptions options;
  net::Resolver& resolver;
  net::WorkerPool& workers;
  const Fetch fetch;
  const Clock& clock;
  const StsStore store;
  StsCache cache;
  std::atomic<bool> ended = false;
  metrics::Counter& fetches = metrics::counter("relais_smtp_sts_fetches_total", "MTA-STS policies fetched", {{"result", "ok"}});
  metrics::Counter& failures = metrics::counter("relais_smtp_sts_fetches_total", "MTA-STS policies fetched", {{"result", "failed"}});
};

MtaSts::MtaSts(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

MtaSts::~MtaSts() {
  impl_->ended = true;
  impl_->cache.end();
}

Result<std::unique_ptr<MtaSts>> MtaSts::open(StsOptions options, net::Resolver& resolver, net::WorkerPool& workers, Fetch fetch,
                                             const Clock& clock) {
  RELAIS_TRY(auto store, StsStore::open(options.directory));
  RELAIS_TRY(auto policies, store.load());
  auto impl = std::make_shared<Impl>(std::move(options), resolver, workers, std::move(fetch), clock, std::move(store));
  const auto now = clock.seconds();
  std::vector<std::string> gone;
  for (auto& [domain, policy] : policies) {
    if (policy.expires() <= now) {
      gone.push_back(domain);
      continue;
    }
    for (auto& other : impl->cache.put(domain, std::make_shared<const StsPolicy>(std::move(policy)), true))
      gone.push_back(std::move(other));
  }
  for (const auto& domain : gone) RELAIS_TRY_VOID(impl->store.remove(domain));
  return std::unique_ptr<MtaSts>(new MtaSts(std::move(impl)));
}

net::asio::awaitable<StsFinding> MtaSts::find(std::string domain) { return Impl::find(impl_, std::move(domain)); }
net::asio::awaitable<std::size_t> MtaSts::refresh() { return Impl::refresh(impl_); }
std::size_t MtaSts::size() const { return impl_->cache.size(); }

}  // namespace relais::smtp
