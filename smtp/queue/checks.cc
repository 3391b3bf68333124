// What time does to queued messages: delay notices, DELIVERBY, expiry; and clearing what attempts have left behind.
#include "base/log.h"
#include "smtp/queue/queue_state.h"
#include "smtp/server/gather.h"

#include <algorithm>

namespace relais::smtp::queue {
namespace {

constexpr std::size_t kChecksAtOnce = 32;  // share commits
constexpr std::size_t kChecksARound = 256;
constexpr std::size_t kForgetsARound = 256;
constexpr std::int64_t kLateEntries = 60;   // seconds that an entry's transaction may take
constexpr std::int64_t kBusyPause = 60;     // seconds until a message is looked at again that an attempt had in hand
constexpr std::int64_t kHeldPause = 3'600;  // … or of which only held jobs are left

bool is_over(const Error& error) { return error.fault == Fault::refused; }

}  // namespace

net::Task<std::optional<Entry>> Queue::Impl::notice(QueueShard& shard, const MessageRecord& message,
                                                    std::vector<message::ReportedRecipient> recipients) {
  auto destination = co_await parts.router.destination(message.sender);
  if (!destination) {
    if (destination.error().fault != Fault::refused && destination.error().fault != Fault::syntax)
      co_return fail(std::move(destination).error());
    log::event(log::Level::error, "sender cannot be told",
               {{"id", message.trace_id}, {"sender", message.sender}, {"reason", destination.error().text}});
    co_return std::nullopt;
  }
  const auto content = shard.content(message);
  RELAIS_CO_TRY(const auto made,
                co_await make_notice(message, std::move(recipients), report_id(message.trace_id), std::move(*destination), *content,
                                     seconds(), {.hostname = options.hostname, .full_report = options.full_report}));
  auto entry = make_entry(made, shard.next_id(), seconds(), lifetimes);
  if (!entry) {
    log::event(log::Level::error, "sender cannot be told",
               {{"id", message.trace_id}, {"sender", message.sender}, {"reason", entry.error().detail}});
    co_return std::nullopt;
  }
  metrics.notices.add();
  co_return std::move(*entry);
}

net::asio::awaitable<void> Queue::Impl::run_checks(std::shared_ptr<Impl> self, std::uint16_t number) {
  auto& shard = *self->shards[number];
  auto& state = *self->background[number];
  struct Done {
    Background& state;
    ~Done() { state.checking = false; }
  } done{state};
  bool failed = false;
  bool all = false;
  const auto now = self->seconds();
  std::optional<CheckEntry> first;
  for (auto from = state.checked_to.load(); !self->stopping && !failed && shard.writable();) {
    const auto due = shard.checks(from, now, kChecksARound);
    if (!due) {
      log::event(log::Level::error, "queue cannot be read", {{"shard", number}, {"detail", due.error().detail}});
      failed = true;
      break;
    }
    auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
      const auto checked = co_await self->check(shard, (*due)[i]);
      if (checked) co_return;
      log::event(log::Level::error, "queued message cannot be checked",
                 {{"shard", number}, {"id", (*due)[i].id}, {"reason", checked.error().text}, {"detail", checked.error().detail}});
      if (checked.error().fault != Fault::corrupt) failed = true;
    };
    co_await for_each_at_once(due->size(), kChecksAtOnce, each);
    if (due->size() < kChecksARound) {
      all = true;
      break;
    }
    // What was looked at is gone from there, unless it is damaged: that is passed over.
    const bool stuck = first && first->id == due->front().id && first->time == due->front().time;
    from = due->back().time + (stuck ? 1 : 0);
    first = due->front();
  }
  // The next walk must not wade through what was erased since the last checkpoint. Transactions under way may still add entries of a while
  // ago.
  if (all && !failed) state.checked_to = std::max(state.checked_to.load(), now - kLateEntries);
}

net::Task<void> Queue::Impl::check(QueueShard& shard, CheckEntry entry) {
  RELAIS_CO_TRY(const auto message, shard.message(entry.id));
  if (!message || message->check != entry.time) co_return Result<void>{};
  const auto time = seconds();
  if (time >= message->expires) co_return co_await expire(shard, entry.id, *message, false);
  const bool by_over = message->by_mode != ByMode::none && time >= message->deliver_by;
  if (by_over && message->by_mode == ByMode::give_up) co_return co_await expire(shard, entry.id, *message, true);
  co_return co_await tell_delay(shard, entry.id, *message, by_over && !message->by_told);
}

// Jobs that a lane has in hand are left to it: conclude() sees that their time is over. Held ones wait for an admin.
net::Task<void> Queue::Impl::expire(QueueShard& shard, MessageId id, const MessageRecord& message, bool by_time) {
  RELAIS_CO_TRY(const auto jobs, shard.jobs(id));
  bool busy = false;
  bool gone = false;
  for (const auto& [destination, seen] : jobs) {
    if (seen.held) continue;
    if (!scheduler.claim(destination, shard.number(), id, now())) {
      busy = true;
      continue;
    }
    struct Claimed {
      Impl& impl;
      const std::string& destination;
      std::uint16_t shard;
      MessageId id;
      std::optional<Position> position;
      ~Claimed() { impl.scheduler.unclaim(destination, shard, id, position, impl.now()); }
    } claimed{*this, destination, shard.number(), id, Position{seen.priority, seen.due, id}};
    // An attempt may have ended between the look and the claim: whom it has reached must not be told of as failed.
    RELAIS_CO_TRY(const auto loaded, shard.load(id, destination));
    if (!loaded || loaded->job.held) {
      claimed.position.reset();
      continue;
    }
    const auto& job = loaded->job;
    claimed.position = Position{job.priority, job.due, id};

    const auto trouble = scheduler.describe(destination);
    JobUpdate update{.job = {id, destination}};
    update.over = false;
    std::vector<message::ReportedRecipient> told;
    TraceEvent event{.id = message.trace_id, .kind = TraceKind::bounced};
    for (const auto& recipient : job.recipients) {
      if (recipient.state != RecipientState::open) continue;
      ReplyRecord reply;
      if (const auto* last = job.reply_of(recipient)) {
        reply = *last;
      } else {
        reply.text = trouble && !trouble->trouble.empty() ? trouble->trouble : "it could not be delivered in time";
      }
      reply.status = by_time ? "5.4.7" : "4.4.7";  // RFC 3463 §3.5, RFC 2852 §4.1.3
      update.recipients.push_back({.number = recipient.number, .state = RecipientState::failed, .reply = reply, .moves = {}});
      if (can_tell(message) && recipient.notify.failure()) told.push_back(reported(recipient, message::DeliveryAction::failed, &reply));
      event.to.push_back(recipient.address);
      event.reply = reply.text;
    }
    if (!told.empty()) {
      RELAIS_CO_TRY(auto report, co_await notice(shard, message, std::move(told)));
      if (report) update.reports.push_back(std::move(*report));
    }
    RELAIS_CO_TRY(const auto change, co_await shard.update(update));
    if (change.closed || !change.found) claimed.position.reset();
    gone = gone || change.message_closed;
    if (!change.found) continue;
    if (change.forget) background[shard.number()]->to_forget = true;
    metrics.failed.add(update.recipients.size());
    event.from = message.sender;
    event.host = destination;
    event.detail = by_time ? "its time to be delivered by is over" : can_tell(message) ? "too old" : "too old; nobody is told";
    parts.trace.add(std::move(event));
    for (const auto& report : update.reports) {
      TraceEvent told_event{.id = message.trace_id, .kind = TraceKind::notice, .detail = report.message.trace_id};
      told_event.to.push_back(message.sender);
      parts.trace.add(std::move(told_event));
      trace_queued(report);
    }
    publish(shard.number(), change.added);
  }
  if (gone) co_return Result<void>{};
  RELAIS_CO_TRY(const bool there, co_await shard.update(CheckUpdate{.id = id, .check = seconds() + (busy ? kBusyPause : kHeldPause)}));
  (void)there;
  co_return Result<void>{};
}

net::Task<void> Queue::Impl::tell_delay(QueueShard& shard, MessageId id, const MessageRecord& message, bool deliver_by) {
  CheckUpdate update{.id = id};
  // One notice serves both reasons.
  update.delay_told = message.delay_at != 0 && (deliver_by || seconds() >= message.delay_at);
  update.by_told = deliver_by;
  auto after = message;
  if (update.delay_told) after.delay_at = 0;
  after.by_told = after.by_told || update.by_told;
  update.check = std::max(next_check(after), seconds() + 1);

  std::vector<message::ReportedRecipient> told;
  if (can_tell(message) && (update.delay_told || update.by_told)) {
    RELAIS_CO_TRY(const auto jobs, shard.jobs(id));
    for (const auto& [destination, job] : jobs) {
      if (job.held) continue;
      const auto state = scheduler.describe(destination);
      for (const auto& recipient : job.recipients) {
        if (recipient.state != RecipientState::open || !recipient.notify.delay()) continue;
        auto one = reported(recipient, message::DeliveryAction::delayed, job.reply_of(recipient));
        if (one.reply.empty() && one.reason.empty() && state) one.reason = state->trouble;
        if (one.status.empty() || one.status.starts_with('2')) one.status = "4.0.0";
        if (update.by_told) one.status = "4.4.7";  // RFC 2852 §4.1.3
        one.retry_until = message.expires;
        told.push_back(std::move(one));
      }
    }
  }
  if (!told.empty()) {
    RELAIS_CO_TRY(auto report, co_await notice(shard, message, std::move(told)));
    if (report) update.reports.push_back(std::move(*report));
  }
  RELAIS_CO_TRY(const bool there, co_await shard.update(update));
  if (!there) co_return Result<void>{};
  std::vector<Scheduled> added;
  for (const auto& report : update.reports) {
    TraceEvent event{.id = message.trace_id, .kind = TraceKind::notice, .detail = report.message.trace_id};
    event.to.push_back(message.sender);
    parts.trace.add(std::move(event));
    trace_queued(report);
    for (const auto& [destination, job] : report.jobs) added.push_back({destination, {job.priority, job.due, report.id}});
  }
  publish(shard.number(), added);
  co_return Result<void>{};
}

net::asio::awaitable<void> Queue::Impl::run_forgets(std::shared_ptr<Impl> self, std::uint16_t number) {
  auto& shard = *self->shards[number];
  auto& state = *self->background[number];
  struct Done {
    Background& state;
    ~Done() { state.forgetting = false; }
  } done{state};
  state.to_forget = false;
  while (!self->stopping) {
    const auto waiting = shard.forgets(kForgetsARound);
    if (waiting && waiting->empty()) co_return;
    if (!waiting) log::event(log::Level::error, "queue cannot be read", {{"shard", number}, {"detail", waiting.error().detail}});
    if (!waiting || !shard.writable()) {
      state.to_forget = true;
      co_return;
    }
    std::vector<bool> good(waiting->size(), true);
    auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
      const auto& record = (*waiting)[i].second;
      for (const auto& place : record.places) {
        if (self->parts.store == nullptr) continue;
        const storage::AccountRef account{storage::AccountId{place.account}, place.shard};
        const auto forgot = co_await self->parts.store->forget_once(account, record.once);
        if (!forgot && !is_over(forgot.error())) good[i] = false;
      }
    };
    co_await for_each_at_once(waiting->size(), kChecksAtOnce, each);
    std::vector<JobRef> over;
    for (std::size_t i = 0; i < waiting->size(); ++i) {
      if (good[i]) over.push_back((*waiting)[i].first);
    }
    const auto erased = over.empty() ? Result<void>{} : co_await shard.forgotten(over);
    if (!erased || over.size() != waiting->size()) {
      state.to_forget = true;  // the next round, when the clock comes by
      co_return;
    }
  }
}

}  // namespace relais::smtp::queue
