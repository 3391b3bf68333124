// Hands questions to libunbound on a thread of its own and answers back to the loops.
#include "net/unbound_resolver.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/log.h"
#include "base/metrics.h"
#include "net/completion.h"

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>

#include <poll.h>
#include <sys/eventfd.h>
#include <unbound.h>
#include <unistd.h>

namespace relais::net {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

constexpr int kClassInternet = 1;  // RFC 1035 §3.2.4
constexpr int kDnskey = 48;  // RFC 4034 §2
constexpr int kNoError = 0;
constexpr int kNameError = 3;  // RFC 1035 §4.1.1: RCODE

struct FreeContext {
  void operator()(ub_ctx* context) const noexcept { ub_ctx_delete(context); }
};
using Context = std::unique_ptr<ub_ctx, FreeContext>;

struct FreeResult {
  void operator()(ub_result* result) const noexcept { ub_resolve_free(result); }
};

std::string_view rcode_name(int rcode) noexcept {
  switch (rcode) {
    case 1: return "FORMERR";
    case 2: return "SERVFAIL";
    case 4: return "NOTIMP";
    case 5: return "REFUSED";
    default: return "an error";
  }
}

DnsAnswer failed(std::string detail) {
  DnsAnswer answer;
  answer.detail = std::move(detail);
  return answer;
}

std::string plain_name(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  return to_lower(name);
}

DnsAnswer to_answer(const ub_result& result) {
  if (result.bogus != 0) {
    auto answer = failed(std::string(result.why_bogus != nullptr ? trim(result.why_bogus) : "bogus"));
    answer.status = DnsAnswer::Status::bogus;
    return answer;
  }
  if (result.rcode != kNoError && result.nxdomain == 0 && result.rcode != kNameError)
    return failed("the name server says " + std::string(rcode_name(result.rcode)) + (result.was_ratelimited != 0 ? " (rate limit)" : ""));
  DnsAnswer answer;
  answer.secure = result.secure != 0;
  answer.ttl = std::chrono::seconds(std::max(0, result.ttl));
  answer.canonical_name = plain_name(result.canonname != nullptr ? result.canonname : result.qname);
  if (result.havedata != 0) {
    answer.status = DnsAnswer::Status::found;
    for (int i = 0; result.data[i] != nullptr; ++i) answer.records.emplace_back(result.data[i], static_cast<std::size_t>(result.len[i]));
  } else {
    answer.status = result.nxdomain != 0 ? DnsAnswer::Status::no_name : DnsAnswer::Status::no_data;
  }
  return answer;
}

struct Question {
  std::string name;
  DnsType type;
  SteadyTime asked;
  Completion<DnsAnswer> completion;
};

struct Waiting {
  SteadyTime asked;
  Completion<DnsAnswer> completion;
};

Result<void> check(int returned, const std::string& what) {
  if (returned == UB_NOERROR) return {};
  return fail(Fault::refused, "DNS: cannot use " + what + ": " + ub_strerror(returned));
}

Result<void> set_option(ub_ctx* context, const char* name, const std::string& value) {
  return check(ub_ctx_set_option(context, name, value.c_str()), std::string(name) + " " + value);
}

// What a library's defaults are too small for, and what a mail server wants otherwise.
Result<void> set_options(ub_ctx* context, const UnboundSettings& settings) {
  const struct {
    const char* name;
    std::string value;
  } options[] = {
      {"do-not-query-localhost:", "no"},  // forwarders on this machine
      {"outgoing-range:", "256"},
      {"outgoing-num-tcp:", "32"},
      {"num-queries-per-thread:", "2048"},
      {"msg-cache-size:", std::to_string(settings.cache_octets / 3)},
      {"rrset-cache-size:", std::to_string(settings.cache_octets - settings.cache_octets / 3)},
      {"infra-keep-probing:", "yes"},  // a server that was away is found again soon
      {"infra-host-ttl:", "120"},
  };
  for (const auto& option : options) RELAIS_TRY_VOID(set_option(context, option.name, option.value));
  return {};
}

Result<Context> make_context(const UnboundSettings& settings, bool validating) {
  Context made(ub_ctx_create());
  if (!made) return fail(Fault::refused, "DNS: the resolver cannot start");
  auto* const context = made.get();
  ub_ctx_debugout(context, nullptr);  // what goes wrong is in the answers
  RELAIS_TRY_VOID(check(ub_ctx_async(context, 1), "a thread"));
  RELAIS_TRY_VOID(set_options(context, settings));
  for (const auto& forwarder : settings.forwarders)
    RELAIS_TRY_VOID(check(ub_ctx_set_fwd(context, forwarder.c_str()), "the forwarder \"" + forwarder + "\""));
  if (settings.forwarders.empty() && !settings.resolv_conf.empty())
    RELAIS_TRY_VOID(check(ub_ctx_resolvconf(context, settings.resolv_conf.c_str()), "the file " + settings.resolv_conf));
  if (validating && !settings.trust_anchor_file.empty()) {
    // libunbound reads it with the first question, where nobody would hear of an error.
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(settings.trust_anchor_file, ignored))
      return fail(Fault::refused, "DNS: no trust anchor file " + settings.trust_anchor_file);
    RELAIS_TRY_VOID(
        check(ub_ctx_add_ta_file(context, settings.trust_anchor_file.c_str()), "the trust anchor file " + settings.trust_anchor_file));
  }
  // From here on the options are fixed: these calls read the trust anchors, too.
  for (const auto& zone : settings.open_zones)
    RELAIS_TRY_VOID(check(ub_ctx_zone_remove(context, zone.c_str()), "the zone \"" + zone + "\"; or the trust anchors"));
  for (const auto& record : settings.local_data)
    RELAIS_TRY_VOID(check(ub_ctx_data_add(context, record.c_str()), "the record \"" + record + "\"; or the trust anchors"));
  // Removing what is not there does nothing else; without it the first question would be the one that fails.
  RELAIS_TRY_VOID(check(ub_ctx_zone_remove(context, "nothing.invalid."), "the trust anchor file " + settings.trust_anchor_file));
  return made;
}

}  // namespace

struct UnboundResolver::Impl {
  Impl(Context made, Context plain, const UnboundSettings& settings)
      : context(std::move(made)),
        without_dnssec(std::move(plain)),
        limit(settings.limit),
        max_pending(settings.max_pending),
        wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    RELAIS_CHECK(wake >= 0);
    thread = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      ending = true;
    }
    notify();
    thread.join();
    retired.reset();
    context.reset();
    without_dnssec.reset();
    ::close(wake);
  }

  void notify() const {
    const std::uint64_t one = 1;
    static_cast<void>(!::write(wake, &one, sizeof one));  // fails only where it is already awake
  }

  // Any thread.
  void ask(Question question) {
    {
      const std::lock_guard lock(mutex);
      if (!ending && pending < max_pending) {
        ++pending;
        questions.push_back(std::move(question));
        if (questions.size() > 1) return;  // whoever put the first one there wakes the thread
      } else {
        refused.add();
        std::move(question.completion).resume(failed("too many questions at a time"));
        return;
      }
    }
    notify();
  }

  // All below: this resolver's thread.
  void run() {
    // libunbound's thread is made by the first question and inherits this: signals are for others.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    current = this;
    for (;;) {
      pollfd watched[] = {{ub_fd(context.get()), POLLIN, 0}, {wake, POLLIN, 0}};
      ::poll(watched, 2, pause());
      std::uint64_t count = 0;
      static_cast<void>(!::read(wake, &count, sizeof count));
      std::deque<Question> taken;
      bool end = false;
      {
        const std::lock_guard lock(mutex);
        taken.swap(questions);
        end = ending;
      }
      for (auto& question : taken) begin(std::move(question));
      if (end) break;
      ub_process(context.get());
      give_up_old();
    }
    while (!waiting.empty()) finish(waiting.begin()->first, failed("shutting down"));
    for (auto& question : std::exchange(held, {})) drop(std::move(question), "shutting down");
  }

  int pause() const {
    if (by_age.empty() && held.empty()) return -1;
    const auto first = by_age.empty() ? held.front().asked + limit : by_age.front().first;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
  }

  void begin(Question question) {
    if (without_dnssec) {
      held.push_back(std::move(question));
      if (held.size() == 1) probe();
      return;
    }
    ask_library(std::move(question));
  }

  // Does whoever is asked pass DNSSEC on? A server that leaves signatures out makes the root's own keys bogus, and with them every name.
  void probe() {
    const int returned = ub_resolve_async(context.get(), ".", kDnskey, kClassInternet, nullptr, &Impl::probed, nullptr);
    if (returned != UB_NOERROR) probe_ended(std::nullopt);
  }

  static void probed(void*, int error, ub_result* raw) {
    const std::unique_ptr<ub_result, FreeResult> result(raw);
    const bool answered = error == UB_NOERROR && result && (result->bogus != 0 || result->rcode == kNoError || result->rcode == kNameError);
    current->probe_ended(answered ? std::optional(result->bogus == 0) : std::nullopt);
  }

  // Nothing: no server answered. Who asks now is told so, and the next one tries again.
  void probe_ended(std::optional<bool> passes_on) {
    if (passes_on == false) {
      log::event(log::Level::warning, "DNS servers do not pass DNSSEC on", {{"effect", "names are not validated, DANE is not used"}});
      retired = std::exchange(context, nullptr);
      context = std::move(without_dnssec);
    }
    if (passes_on) without_dnssec.reset();
    auto waited = std::exchange(held, {});
    for (auto& question : waited) ask_library(std::move(question));
  }

  void ask_library(Question question) {
    const auto id = next_id++;
    const int type = static_cast<int>(question.type);
    const std::string name = std::move(question.name);
    waiting.emplace(id, Waiting{question.asked, std::move(question.completion)});
    by_age.emplace_back(question.asked + limit, id);
    const int returned =
        ub_resolve_async(context.get(), name.c_str(), type, kClassInternet, reinterpret_cast<void*>(id), &Impl::answered, nullptr);
    if (returned != UB_NOERROR) finish(id, failed(ub_strerror(returned)));
  }

  static void answered(void* id, int error, ub_result* raw) {
    const std::unique_ptr<ub_result, FreeResult> result(raw);
    auto answer = error != UB_NOERROR || !result ? failed(ub_strerror(error)) : to_answer(*result);
    current->finish(reinterpret_cast<std::uintptr_t>(id), std::move(answer));
  }

  // A question that was given up is not there any more.
  void finish(std::uintptr_t id, DnsAnswer answer) {
    const auto found = waiting.find(id);
    if (found == waiting.end()) return;
    auto done = std::move(found->second);
    waiting.erase(found);
    {
      const std::lock_guard lock(mutex);
      --pending;
    }
    duration.observe(std::chrono::steady_clock::now() - done.asked);
    (answer.status == DnsAnswer::Status::bogus ? bogus : answer.unknown() ? failures : answers).add();
    std::move(done.completion).resume(std::move(answer));
  }

  void drop(Question question, std::string why) {
    {
      const std::lock_guard lock(mutex);
      --pending;
    }
    failures.add();
    std::move(question.completion).resume(failed(std::move(why)));
  }

  void give_up_old() {
    const auto now = std::chrono::steady_clock::now();
    while (!held.empty() && held.front().asked + limit <= now) {
      drop(std::move(held.front()), "no answer in time");
      held.pop_front();
    }
    while (!by_age.empty() && (by_age.front().first <= now || !waiting.contains(by_age.front().second))) {
      finish(by_age.front().second, failed("no answer in time"));
      by_age.pop_front();
    }
  }

  Context context;
  Context without_dnssec;  ///< takes over where the servers don't pass DNSSEC on; null once that is known, or where it may not
  Context retired;         ///< what it took over from
  const std::chrono::milliseconds limit;
  const std::size_t max_pending;
  const int wake;
  metrics::Counter& answers =
      metrics::counter("relais_net_dns_questions_total", "DNS questions by what came of them", {{"result", "answer"}});
  metrics::Counter& failures =
      metrics::counter("relais_net_dns_questions_total", "DNS questions by what came of them", {{"result", "failed"}});
  metrics::Counter& bogus = metrics::counter("relais_net_dns_questions_total", "DNS questions by what came of them", {{"result", "bogus"}});
  metrics::Counter& refused =
      metrics::counter("relais_net_dns_questions_total", "DNS questions by what came of them", {{"result", "refused"}});
  metrics::Histogram& duration = metrics::histogram("relais_net_dns_question_seconds", "time from a DNS question to its answer");

  std::mutex mutex;  // guards questions, pending and ending
  std::deque<Question> questions;
  std::size_t pending = 0;
  bool ending = false;

  // The resolver's thread only.
  static thread_local Impl* current;
  std::unordered_map<std::uintptr_t, Waiting> waiting;
  std::deque<std::pair<SteadyTime, std::uintptr_t>> by_age;  ///< when each is given up; the limit is the same for all, so in order
  std::deque<Question> held;  ///< until it is known whether DNSSEC is passed on
  std::uintptr_t next_id = 1;
  std::thread thread;
};

thread_local UnboundResolver::Impl* UnboundResolver::Impl::current = nullptr;

UnboundResolver::UnboundResolver(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
UnboundResolver::~UnboundResolver() = default;

Result<std::unique_ptr<UnboundResolver>> UnboundResolver::open(const UnboundSettings& settings) {
  RELAIS_TRY(auto context, make_context(settings, true));
  Context plain;
  if (!settings.dnssec_required && !settings.trust_anchor_file.empty()) {
    RELAIS_TRY(plain, make_context(settings, false));
  }
  return std::unique_ptr<UnboundResolver>(new UnboundResolver(std::make_unique<Impl>(std::move(context), std::move(plain), settings)));
}

asio::awaitable<DnsAnswer> UnboundResolver::query(std::string name, DnsType type) {
  auto ask = [impl = impl_.get(), name_ = std::move(name), type](Completion<DnsAnswer> completion) mutable {
    impl->ask({std::move(name_), type, std::chrono::steady_clock::now(), std::move(completion)});
  };
  return suspended<DnsAnswer>(std::move(ask));
}

}  // namespace relais::net
