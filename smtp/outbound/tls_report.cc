// Counts TLS sessions by day and policy, keeps the counters, and sees that reports go out.
#include "smtp/outbound/tls_report.h"

#include "base/ascii.h"
#include "base/crc32c.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/dns_records.h"
#include "net/https.h"
#include "net/worker_pool.h"
#include "smtp/outbound/durable_file.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <utility>

namespace relais::smtp {
namespace {

constexpr std::string_view kFilePrefix = "day-";
constexpr std::size_t kMaxFile = 256 * 1024 * 1024;  // octets of a day's counters
constexpr std::int64_t kFirstRetry = 900;            // seconds
constexpr std::int64_t kLongestRetry = 4 * 3600;
constexpr std::size_t kMaxReason = 200;     // octets of a reason or a greeting's name kept
constexpr std::size_t kRunAtMost = 500;     // reports in one run()
constexpr std::size_t kFormatAtOnce = 100;  // policies written with the lock held

/// A day that goes on.
struct OpenDay {
  TlsPolicyCounts counts{};
  std::size_t without_policy = 0;  ///< of `counts`: those of type none
  bool changed = false;            ///< since the file was written
};

/// Where a report to one domain stands.
struct Attempt {
  std::int64_t next = 0;  ///< seconds since the epoch
  std::int64_t pause = kFirstRetry;
};

/// A day that has ended: what is still to be reported.
struct ClosedDay {
  TlsPolicyCounts counts{};
  std::map<std::string, Attempt> attempts{};                  ///< by domain
  std::set<std::pair<std::int64_t, std::string>> schedule{};  ///< by Attempt::next
  bool changed = false;
};

using DomainCounts = std::pair<std::string, TlsPolicyCounts>;

std::string cut(std::string_view text) { return std::string(text.substr(0, kMaxReason)); }

}  // namespace

struct TlsReports::Impl {
  Impl(TlsReportOptions given, net::Resolver& dns, net::WorkerPool& pool, Sender send, const Clock& time)
      : options(std::move(given)), resolver(dns), workers(pool), sender(std::move(send)), clock(time) {}

  std::filesystem::path file_of(TlsReportDay day) const { return options.directory / (std::string(kFilePrefix) + std::to_string(day)); }

  Result<void> load() {
    RELAIS_TRY_VOID(prepare_directory(options.directory));
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(options.directory, error)) {
      const auto name = entry.path().filename().string();
      if (!name.starts_with(kFilePrefix)) continue;
      const auto day = parse_u64(std::string_view(name).substr(kFilePrefix.size()));
      auto text = read_file(entry.path(), kMaxFile);
      auto counts = day && text ? parse_tls_counts(*text) : Result<TlsPolicyCounts>(fail(Fault::corrupt, "unreadable"));
      if (!counts) {
        log::event(log::Level::warning, "tls_counters_lost", {{"file", name}, {"reason", counts.error().detail}});
        RELAIS_TRY_VOID(remove_file(entry.path()));
        continue;
      }
      adopt(static_cast<TlsReportDay>(*day), std::move(*counts));
    }
    if (error) return fail(Fault::temporary, "a directory cannot be read", "", options.directory.string() + ": " + error.message());
    return {};
  }

  void adopt(TlsReportDay number, TlsPolicyCounts counts) {
    auto& day = open[number];
    day.without_policy = static_cast<std::size_t>(
        std::ranges::count(counts, ReportedPolicy::Type::none, [](const auto& entry) { return entry.first.type; }));
    day.counts = std::move(counts);
  }

  TlsCounts* counts_for(OpenDay& day, const ReportedPolicy& policy) {
    if (const auto found = day.counts.find(policy); found != day.counts.end()) return &found->second;
    const bool none = policy.type == ReportedPolicy::Type::none;
    if (day.counts.size() >= options.max_policies || (none && day.without_policy >= options.max_policies / 2)) {
      dropped.add();
      return nullptr;
    }
    if (none) ++day.without_policy;
    return &day.counts[policy];
  }

  void count(const ReportedPolicy& policy, std::string_view host, const TlsOutcome& outcome) {
    const std::lock_guard lock(mutex);
    auto& day = open[clock.seconds() / kSecondsOfDay];
    auto* const counts = counts_for(day, policy);
    if (counts == nullptr) return;
    day.changed = true;
    if (outcome.failure == TlsFailure::none) {
      ++counts->successful;
      return;
    }
    ++counts->failed;
    TlsFailureKind kind{outcome.failure,           outcome.sending_address, std::string(host), cut(outcome.receiving_hello),
                        outcome.receiving_address, cut(outcome.reason)};
    if (const auto found = counts->failures.find(kind); found != counts->failures.end())
      ++found->second;
    else if (counts->failures.size() < options.max_failures)
      counts->failures.emplace(std::move(kind), 1);
  }

  // A few at a time, so that count() never waits for long; what is counted meanwhile is there or is not.
  std::string text_of_open(TlsReportDay number) {
    std::string text = "[";
    ReportedPolicy last;
    for (bool more = true; more;) {
      const std::lock_guard lock(mutex);
      const auto& counts = open[number].counts;
      auto at = text.size() == 1 ? counts.begin() : counts.upper_bound(last);
      for (std::size_t i = 0; i < kFormatAtOnce && at != counts.end(); ++i, ++at) {
        text.append(text.size() == 1 ? "" : ",\n").append(format_tls_counts(at->first, at->second));
        last = at->first;
      }
      more = at != counts.end();
    }
    return text += "]\n";
  }

  static std::string text_of_closed(const ClosedDay& day) {
    std::string text = "[";
    for (const auto& [policy, counts] : day.counts) text.append(text.size() == 1 ? "" : ",\n").append(format_tls_counts(policy, counts));
    return text += "]\n";
  }

  Result<void> save() {
    const std::lock_guard order(file_mutex);
    std::vector<TlsReportDay> changed;
    {
      const std::lock_guard lock(mutex);
      for (auto& [number, day] : open)
        if (std::exchange(day.changed, false)) changed.push_back(number);
    }
    for (const auto number : changed) {
      if (auto written = replace_file(file_of(number), text_of_open(number)); !written) {
        const std::lock_guard lock(mutex);
        open[number].changed = true;
        return written;
      }
    }
    for (auto day = closed.begin(); day != closed.end();) {
      auto& [number, left] = *day;
      const bool empty = left.counts.empty();
      if (empty || left.changed)
        RELAIS_TRY_VOID(empty ? remove_file(file_of(number)) : replace_file(file_of(number), text_of_closed(left)));
      left.changed = false;
      day = empty ? closed.erase(day) : std::next(day);
    }
    return {};
  }

  // Every domain has its own time after midnight: RFC 8460 §4.1.
  std::int64_t first_attempt(const std::string& domain, TlsReportDay day) const {
    const auto spread = std::max<std::int64_t>(1, options.spread.count());
    return (day + 1) * kSecondsOfDay + 1 + static_cast<std::int64_t>(crc32c(domain)) % spread;
  }

  // The caller has file_mutex. Days whose clock went back to them are closed once more.
  void close_days() {
    const auto today = clock.seconds() / kSecondsOfDay;
    std::map<TlsReportDay, OpenDay> ended;
    {
      const std::lock_guard lock(mutex);
      while (!open.empty() && open.begin()->first < today) ended.insert(open.extract(open.begin()));
    }
    for (auto& [number, day] : ended) {
      auto& into = closed[number];
      into.changed = true;
      into.counts.merge(day.counts);
      for (const auto& [policy, counts] : into.counts) {
        const auto [attempt, added] = into.attempts.try_emplace(policy.domain, Attempt{first_attempt(policy.domain, number)});
        if (added) into.schedule.emplace(attempt->second.next, policy.domain);
      }
    }
  }

  std::vector<std::pair<TlsReportDay, DomainCounts>> due() {
    std::vector<std::pair<TlsReportDay, DomainCounts>> out;
    const auto now = clock.seconds();
    const std::lock_guard order(file_mutex);
    close_days();
    for (const auto& [number, day] : closed) {
      for (const auto& [next, domain] : day.schedule) {
        if (next > now || out.size() == kRunAtMost) break;
        TlsPolicyCounts counts;
        for (auto at = day.counts.lower_bound(ReportedPolicy{domain}); at != day.counts.end() && at->first.domain == domain; ++at)
          counts.insert(*at);
        out.emplace_back(number, DomainCounts(domain, std::move(counts)));
      }
    }
    return out;
  }

  void done(TlsReportDay number, const std::string& domain) {
    const std::lock_guard order(file_mutex);
    const auto found = closed.find(number);
    if (found == closed.end()) return;
    auto& day = found->second;
    auto end = day.counts.lower_bound(ReportedPolicy{domain});
    const auto begin = end;
    while (end != day.counts.end() && end->first.domain == domain) ++end;
    day.counts.erase(begin, end);
    if (const auto attempt = day.attempts.find(domain); attempt != day.attempts.end()) {
      day.schedule.erase({attempt->second.next, domain});
      day.attempts.erase(attempt);
    }
    day.changed = true;
  }

  // RFC 8460 §5.5: for up to 24 hours, with exponential pauses.
  void postpone(TlsReportDay number, const std::string& domain, std::string_view reason) {
    const auto now = clock.seconds();
    if (now >= first_attempt(domain, number) + options.give_up.count()) {
      give_up(number, domain, reason);
      return;
    }
    const std::lock_guard order(file_mutex);
    auto& day = closed[number];
    auto& attempt = day.attempts[domain];
    day.schedule.erase({attempt.next, domain});
    attempt.next = now + attempt.pause;
    attempt.pause = std::min(2 * attempt.pause, kLongestRetry);
    day.schedule.emplace(attempt.next, domain);
  }

  void give_up(TlsReportDay number, const std::string& domain, std::string_view reason) {
    log::event(log::Level::info, "tls_report_given_up", {{"domain", domain}, {"reason", reason}});
    lost.add();
    done(number, domain);
  }

  net::Task<TlsReport> build(TlsReportDay number, const DomainCounts& counts, TlsReportAddresses to) {
    auto job = [&]() -> Result<TlsReport> {
      const TlsReportHead head{options.organization, options.contact, counts.first, number};
      TlsReport report;
      report.domain = head.domain;
      report.report_id = head.id();
      report.file_name = tls_report_file_name(head);
      report.json = tls_report_json(head, counts.second);
      report.compressed = gzip(report.json);
      report.sender = head.contact;
      if (!to.mail_to.empty()) report.message = tls_report_message(head, to.mail_to, report.compressed, clock.seconds());
      report.to = std::move(to);
      return report;
    };
    co_return co_await workers.run(job);
  }

  /// @return true where a report was sent
  net::asio::awaitable<bool> report(TlsReportDay number, DomainCounts counts) {
    const auto& domain = counts.first;
    const auto answer = co_await resolver.query("_smtp._tls." + domain, net::DnsType::txt);
    if (answer.unknown()) {
      postpone(number, domain, answer.detail);
      co_return false;
    }
    std::vector<std::string> records;
    for (const auto& rdata : answer.records)
      if (auto text = net::parse_txt(rdata)) records.push_back(std::move(*text));
    auto to = parse_tlsrpt_txt(records);
    if (!to) {  // it wants none
      done(number, domain);
      co_return false;
    }
    auto made = co_await build(number, counts, std::move(*to));
    if (!made) {
      postpone(number, domain, made.error().text);
      co_return false;
    }
    const auto id = made->report_id;
    const auto result = co_await sender(std::move(*made));
    if (!result && result.error().fault == Fault::temporary) {
      postpone(number, domain, result.error().text);
    } else if (!result) {
      give_up(number, domain, result.error().text);
    } else {
      log::event(log::Level::info, "tls_report_sent", {{"domain", domain}, {"report_id", id}});
      sent.add();
      done(number, domain);
    }
    co_return result.has_value();
  }

  net::asio::awaitable<std::size_t> run() {
    if (running.exchange(true)) co_return 0;
    struct Reset {
      std::atomic<bool>& flag;
      ~Reset() { flag = false; }
    } const reset{running};
    std::size_t count = 0;
    auto list = due();
    for (auto& [number, counts] : list)
      if (co_await report(number, std::move(counts))) ++count;
    const auto now = clock.seconds();
    // What was reported is forgotten on disk at once, so that a restart does not report it again.
    if (count > 0 || now >= saved_at + options.save_every.count()) {
      saved_at = now;
      auto job = [this] { return save(); };
      if (auto saved = co_await workers.run(job); !saved)
        log::event(log::Level::warning, "tls_counters_not_saved", {{"reason", saved.error().text + " " + saved.error().detail}});
    }
    co_return count;
  }

  const TlsReportOptions options;
  net::Resolver& resolver;
  net::WorkerPool& workers;
  const Sender sender;
  const Clock& clock;
  std::mutex file_mutex;  // guards closed and the files; taken before mutex
  std::map<TlsReportDay, ClosedDay> closed;
  std::mutex mutex;  // guards open
  std::map<TlsReportDay, OpenDay> open;
  std::atomic<bool> running = false;
  std::int64_t saved_at = clock.seconds();  ///< used by the one run() at a time
  metrics::Counter& sent = metrics::counter("relais_smtp_tls_reports_total", "TLS reports to other domains", {{"result", "sent"}});
  metrics::Counter& lost = metrics::counter("relais_smtp_tls_reports_total", "TLS reports to other domains", {{"result", "given_up"}});
  metrics::Counter& dropped = metrics::counter("relais_smtp_tls_counts_dropped_total", "TLS sessions not counted for want of room");
};

net::Task<void> post_tls_report(const net::HttpsClient& client, const TlsReport& report) {
  Error last{Fault::refused, "", "the domain takes no reports by HTTPS", ""};
  bool later = false;
  for (const auto& url : report.to.post_to) {
    const auto response = co_await client.post(url, "application/tlsrpt+gzip", report.compressed);
    if (response && response->status >= 200 && response->status < 300) co_return Result<void>{};
    later = later || !response || response->status >= 500;
    last = response ? Error{Fault::refused, "", "the web server says " + std::to_string(response->status), url} : response.error();
  }
  last.fault = later ? Fault::temporary : Fault::refused;
  co_return fail(std::move(last));
}

TlsReports::TlsReports(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

TlsReports::~TlsReports() {
  if (auto saved = impl_->save(); !saved)
    log::event(log::Level::warning, "tls_counters_not_saved", {{"reason", saved.error().text + " " + saved.error().detail}});
}

Result<std::unique_ptr<TlsReports>> TlsReports::open(TlsReportOptions options, net::Resolver& resolver, net::WorkerPool& workers,
                                                     Sender sender, const Clock& clock) {
  auto impl = std::make_unique<Impl>(std::move(options), resolver, workers, std::move(sender), clock);
  RELAIS_TRY_VOID(impl->load());
  return std::unique_ptr<TlsReports>(new TlsReports(std::move(impl)));
}

void TlsReports::count(const ReportedPolicy& policy, std::string_view host, const TlsOutcome& outcome) {
  impl_->count(policy, host, outcome);
}
net::asio::awaitable<std::size_t> TlsReports::run() { return impl_->run(); }
Result<void> TlsReports::save() { return impl_->save(); }

}  // namespace relais::smtp
