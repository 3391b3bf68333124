// The queue's front: intake, start and stop, and what others call.
#include "smtp/queue/queue.h"

#include "base/log.h"
#include "base/random.h"
#include "smtp/queue/queue_state.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>

#include <algorithm>

namespace relais::smtp::queue {
namespace {

constexpr Instant kLongestPause = 1'000;  // ms between looks at the scheduler's timers
constexpr Instant kLeastPause = 10;       // ms
constexpr std::size_t kReportIdSuffix = 6;
constexpr std::uint32_t kFullGroup = 64;  // messages that share a sync: with more, another shard's committer is of use

double machine_random() {
  std::array<unsigned char, 4> octets{};
  random_octets(octets);
  const auto number = std::uint32_t{octets[0]} << 24U | std::uint32_t{octets[1]} << 16U | std::uint32_t{octets[2]} << 8U | octets[3];
  return number / 4294967296.0;
}

}  // namespace

QueueMetrics::QueueMetrics()
    : messages(metrics::gauge("relais_queue_messages", "messages in the queue")),
      destinations(metrics::gauge("relais_queue_destinations", "destinations that are remembered")),
      troubled(metrics::gauge("relais_queue_destinations_in_trouble", "destinations whose last attempt found nobody")),
      connections(metrics::gauge("relais_queue_connections", "lanes to destinations that are open")),
      attempts(metrics::gauge("relais_queue_active", "attempts under way")),
      accepted(metrics::counter("relais_queue_accepted_total", "messages taken into the queue")),
      relayed(metrics::counter("relais_queue_recipients_total", "recipients by what an attempt made of them", {{"result", "relayed"}})),
      delivered(metrics::counter("relais_queue_recipients_total", "recipients by what an attempt made of them", {{"result", "delivered"}})),
      deferred(metrics::counter("relais_queue_recipients_total", "recipients by what an attempt made of them", {{"result", "deferred"}})),
      failed(metrics::counter("relais_queue_recipients_total", "recipients by what an attempt made of them", {{"result", "failed"}})),
      notices(metrics::counter("relais_queue_notices_total", "delivery status notifications made")),
      unrecorded(metrics::counter("relais_queue_unrecorded_total", "tries to record an outcome that failed")),
      defects(metrics::counter("relais_queue_defects_total", "attempts that ended with an exception")),
      intake(metrics::histogram("relais_queue_intake_seconds", "from a message to its durable entry")),
      delay(metrics::histogram("relais_queue_delay_seconds", "from arrival to the end of a recipient that was reached")) {}

Queue::Impl::Impl(QueueParts with, QueueOptions chosen, Rules first_rules)
    : parts(std::move(with)),
      options(std::move(chosen)),
      lifetimes{.lifetime = options.lifetime, .report = options.report_lifetime, .delay_notice = options.delay_notice},
      scheduler(
          options.connections, parts.shards.size(), [this](std::string_view destination) { return rule_of(destination); },
          [this] { return draw(); }),
      rules(std::make_shared<const Rules>(std::move(first_rules))) {
  for (std::size_t i = 0; i < parts.shards.size(); ++i) {
    shards.push_back(std::make_unique<QueueShard>(*parts.shards[i], static_cast<std::uint16_t>(i), parts.clock));
    background.push_back(std::make_unique<Background>());
    accepting.push_back(std::make_unique<std::atomic<std::uint32_t>>(0));
  }
}

Instant Queue::Impl::now() const {
  return std::chrono::duration_cast<std::chrono::milliseconds>(parts.clock.now().time_since_epoch()).count();
}
double Queue::Impl::draw() const { return options.random ? options.random() : machine_random(); }

Rule Queue::Impl::rule_of(std::string_view destination) const {
  std::shared_ptr<const Rules> current;
  {
    const std::lock_guard lock(mutex);
    current = rules;
  }
  return current->of(destination);
}

void Queue::Impl::set_rules(Rules fresh) {
  auto next = std::make_shared<const Rules>(std::move(fresh));
  const std::lock_guard lock(mutex);
  rules.swap(next);
}

std::string Queue::Impl::report_id(const std::string& trace_id) const {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789";
  auto id = trace_id.substr(0, kMaxTraceId - kReportIdSuffix - 2) + "-r";
  for (std::size_t i = 0; i < kReportIdSuffix; ++i)
    id += kLetters[static_cast<std::size_t>(draw() * static_cast<double>(kLetters.size())) % kLetters.size()];
  return id;
}

// ---- intake

std::size_t Queue::Impl::choose_shard() const {
  std::size_t best = 0;
  std::uint32_t least = 0;
  for (std::size_t i = 0; i < accepting.size(); ++i) {
    const auto count = accepting[i]->load(std::memory_order_relaxed);
    if (count < kFullGroup) return i;
    if (i != 0 && count >= least) continue;
    best = i;
    least = count;
  }
  return best;
}

net::Task<void> Queue::Impl::accept(std::shared_ptr<Impl> self, std::vector<NewMessage> messages) {
  const auto began = self->parts.clock.steady_now();
  if (messages.empty()) co_return Result<void>{};
  Result<void> last = fail(Fault::temporary, "the queue takes no mail now");
  const auto first = self->choose_shard();
  for (std::size_t i = 0; i < self->shards.size(); ++i) {
    const auto number = (first + i) % self->shards.size();
    auto& shard = *self->shards[number];
    if (auto writable = shard.writable(); !writable) {
      last = std::move(writable);
      continue;
    }
    std::vector<Entry> entries;
    entries.reserve(messages.size());
    for (const auto& message : messages) {
      RELAIS_CO_TRY(auto entry, make_entry(message, shard.next_id(), self->seconds(), self->lifetimes));
      entries.push_back(std::move(entry));
    }
    {
      struct Accepting {
        std::atomic<std::uint32_t>& count;
        explicit Accepting(std::atomic<std::uint32_t>& of) : count(of) { count.fetch_add(1, std::memory_order_relaxed); }
        ~Accepting() { count.fetch_sub(1, std::memory_order_relaxed); }
      } accepting(*self->accepting[number]);
      last = co_await shard.accept(entries);
    }
    if (last) {
      self->metrics.intake.observe(self->parts.clock.steady_now() - began);
      self->metrics.accepted.add(entries.size());
      std::vector<Scheduled> added;
      for (const auto& entry : entries) {
        self->trace_queued(entry);
        for (const auto& [destination, job] : entry.jobs) added.push_back({destination, {job.priority, job.due, entry.id}});
      }
      self->publish(shard.number(), added);
      co_return Result<void>{};
    }
    // Only of a full shard is it certain that nothing was written.
    if (last.error().code != "STORAGE_FULL") break;
  }
  co_return fail(std::move(last).error());
}

void Queue::Impl::trace_queued(const Entry& entry) {
  const auto& message = entry.message;
  if (message.report) {
    TraceEvent born{.id = message.trace_id, .kind = TraceKind::received};
    born.message_id = message.message_id;
    born.parent = message.parent;
    born.host = message.client;
    born.size = message.size;
    parts.trace.add(std::move(born));
  }
  for (const auto& [destination, job] : entry.jobs) {
    TraceEvent event{.id = message.trace_id, .kind = TraceKind::queued};
    event.from = message.sender;
    event.message_id = message.message_id;
    event.parent = message.parent;
    event.host = destination;
    event.size = message.size;
    for (const auto& recipient : job.recipients) event.to.push_back(recipient.address);
    parts.trace.add(std::move(event));
  }
}

void Queue::Impl::publish(std::uint16_t shard, const std::vector<Scheduled>& added) {
  if (added.empty()) return;
  for (const auto& one : added) scheduler.added(one.destination, shard, one.position, now(), net::Loop::current());
  kick();
}

// ---- running

Result<void> Queue::Impl::open() {
  for (auto& shard : shards) {
    RELAIS_TRY_VOID(shard->open(
        [&](std::string_view destination, const Position& first) { scheduler.found(destination, shard->number(), first, now()); }));
  }
  metrics.messages.set(0);
  std::uint64_t messages = 0;
  for (const auto& shard : shards) messages += shard->messages();
  metrics.messages.set(static_cast<std::int64_t>(messages));
  if (messages != 0) log::event(log::Level::info, "queue opened", {{"messages", messages}, {"destinations", scheduler.destinations()}});
  return {};
}

void Queue::Impl::run_on(std::function<net::Loop&()> how) {
  const std::lock_guard lock(mutex);
  pick = std::move(how);
}

void Queue::Impl::halt() {
  stopping = true;
  scheduler.stop();
  for (const auto& ring : scheduler.rung()) ring();
}

void Queue::Impl::kick() {
  std::function<net::Loop&()> choose;
  while (!stopping.load(std::memory_order_relaxed)) {
    if (!choose) {
      const std::lock_guard lock(mutex);
      if (!pick) return;
      choose = pick;
    }
    auto turn = scheduler.start(now());
    for (const auto& ring : scheduler.rung()) ring();
    if (!turn) return;
    auto& loop = choose();
    net::asio::co_spawn(loop.context(), run_lane(shared_from_this(), std::move(*turn), loop),
                        [self = shared_from_this()](std::exception_ptr thrown) {
                          if (thrown) {
                            self->metrics.defects.add();
                            try {
                              std::rethrow_exception(thrown);
                            } catch (const std::exception& defect) {
                              log::event(log::Level::error, "queue attempt failed", {{"exception", defect.what()}});
                            }
                          }
                          self->kick();
                        });
  }
}

Instant Queue::Impl::work() {
  const auto time = now();
  kick();
  if (stopping.load(std::memory_order_relaxed)) return time + kLongestPause;
  if (time >= next_poll.load(std::memory_order_relaxed)) {
    next_poll = time + options.poll.count();
    std::uint64_t messages = 0;
    for (const auto& shard : shards) messages += shard->messages();
    metrics.messages.set(static_cast<std::int64_t>(messages));
    metrics.destinations.set(static_cast<std::int64_t>(scheduler.destinations()));
    metrics.troubled.set(static_cast<std::int64_t>(scheduler.shut()));
    metrics.connections.set(static_cast<std::int64_t>(scheduler.lanes()));
    metrics.attempts.set(static_cast<std::int64_t>(scheduler.jobs_in_flight()));
    std::function<net::Loop&()> choose;
    {
      const std::lock_guard lock(mutex);
      choose = pick;
    }
    const auto rethrow = [](std::exception_ptr thrown) {
      if (thrown) std::rethrow_exception(thrown);  // they let only the end of memory through
    };
    for (std::size_t i = 0; choose && i < shards.size(); ++i) {
      const auto number = static_cast<std::uint16_t>(i);
      if (!background[i]->checking.exchange(true)) net::asio::co_spawn(choose().context(), run_checks(shared_from_this(), number), rethrow);
      if (background[i]->to_forget && !background[i]->forgetting.exchange(true)) {
        net::asio::co_spawn(choose().context(), run_forgets(shared_from_this(), number), rethrow);
      }
    }
  }
  return std::max(time + 1, std::min(scheduler.wake(), next_poll.load(std::memory_order_relaxed)));
}

net::asio::awaitable<void> Queue::Impl::pump(std::shared_ptr<Impl> self) {
  net::asio::steady_timer timer(co_await net::asio::this_coro::executor);
  while (!self->stopping) {
    const auto pause = std::clamp(self->work() - self->now(), kLeastPause, kLongestPause);
    timer.expires_after(std::chrono::milliseconds(pause));
    boost::system::error_code cancelled;
    co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
    if (cancelled) co_return;
  }
}

// ---- Queue

Queue::Queue(QueueParts parts, QueueOptions options, Rules rules)
    : impl_(std::make_shared<Impl>(std::move(parts), std::move(options), std::move(rules))) {}
Queue::~Queue() { impl_->halt(); }

net::Task<void> Queue::accept(std::vector<NewMessage> messages) { return Impl::accept(impl_, std::move(messages)); }
net::Task<void> Queue::accept(NewMessage message) {
  std::vector<NewMessage> messages;
  messages.push_back(std::move(message));
  return Impl::accept(impl_, std::move(messages));
}

Result<void> Queue::writable() const {
  Result<void> last = fail(Fault::temporary, "the queue takes no mail now");
  for (const auto& shard : impl_->shards) {
    last = shard->writable();
    if (last) break;
  }
  return last;
}

Result<void> Queue::open() { return impl_->open(); }

void Queue::start(net::LoopPool& loops) {
  impl_->run_on([&loops]() -> net::Loop& { return loops.next(); });
  net::asio::co_spawn(loops.at(0).context(), Impl::pump(impl_), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);  // work() lets only the end of memory through
  });
}

bool Queue::stop() {
  impl_->halt();
  return impl_->scheduler.lanes() == 0;
}

std::chrono::system_clock::time_point Queue::work(net::Loop& loop) {
  impl_->run_on([&loop]() -> net::Loop& { return loop; });
  return std::chrono::system_clock::time_point(std::chrono::milliseconds(impl_->work()));
}

void Queue::set_rules(Rules rules) { impl_->set_rules(std::move(rules)); }
net::Task<JobPage> Queue::list(Filter filter, std::string after, std::size_t limit) {
  return Impl::list(impl_, std::move(filter), std::move(after), limit);
}
net::Task<std::vector<ShownMessage>> Queue::show(std::string id) { return Impl::show(impl_, std::move(id)); }
net::Task<ActionResult> Queue::apply(Filter filter, Action action) { return Impl::apply(impl_, std::move(filter), action); }
net::Task<std::vector<std::string>> Queue::why(std::string what) { return Impl::why(impl_, std::move(what)); }
std::vector<ShownDestination> Queue::destinations(std::size_t limit) const { return impl_->scheduler.describe_all(limit); }
net::Task<void> Queue::release_account(std::uint64_t account) { return Impl::release(impl_, "account:" + std::to_string(account)); }
net::Task<void> Queue::release_destination(std::string destination) { return Impl::release(impl_, std::move(destination)); }

std::uint64_t Queue::messages() const {
  std::uint64_t count = 0;
  for (const auto& shard : impl_->shards) count += shard->messages();
  return count;
}
std::uint64_t Queue::active() const { return impl_->scheduler.jobs_in_flight(); }

}  // namespace relais::smtp::queue
