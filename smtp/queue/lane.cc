// Lanes at work: a destination's due jobs one after the other, and what comes of them.
//
// Why a crash at any instant loses nothing and repeats at most what no record tells of:
//   1. the job is sent           killed before its reply: the attempt is repeated after the restart
//   2. reports are made          nothing durable yet: as 1; where the remote had taken it, it gets a second copy, the one duplicate that
//   SMTP
//                                cannot avoid (RFC 5321 §4.5.4.1 prefers it to a loss)
//   3. one transaction: states, schedule, reports       killed after: the next process goes on from there
// A lane does not go on to another job before 3.
#include "base/log.h"
#include "smtp/queue/queue_state.h"
#include "storage/engine/resumption.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <map>
#include <tuple>

namespace relais::smtp::queue {
namespace {

constexpr std::uint32_t kMostTurns = 10;  // times a recipient may be sent elsewhere before it counts as a loop
constexpr std::chrono::milliseconds kLookPause{1};
constexpr Instant kBlocked = 10'000;  // ms that the jobs of a shard that fails are left alone

net::asio::awaitable<void> pause_for(std::chrono::milliseconds pause) {
  net::asio::steady_timer timer(co_await net::asio::this_coro::executor, pause);
  boost::system::error_code cancelled;
  co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
}

bool reached(Disposition disposition) noexcept {
  return disposition == Disposition::relayed || disposition == Disposition::relayed_without_dsn || disposition == Disposition::delivered;
}

ReplyRecord reply_of(const RecipientOutcome& outcome, std::int64_t now) {
  ReplyRecord reply{
      .code = outcome.code, .remote = outcome.remote, .time = now, .status = outcome.status, .text = outcome.text, .host = outcome.host};
  if (reply.status.empty())
    reply.status = reached(outcome.disposition) ? "2.0.0" : outcome.disposition == Disposition::permanent ? "5.0.0" : "4.0.0";
  return reply;
}

Dispatch make_dispatch(const LoadedJob& loaded, MessageId id, std::span<const RecipientRecord* const> recipients,
                       std::shared_ptr<Content> content) {
  const auto& message = loaded.message;
  Dispatch dispatch;
  dispatch.id = id;
  dispatch.trace_id = message.trace_id;
  dispatch.sender = message.sender;
  for (const auto* one : recipients) {
    dispatch.recipients.push_back({.number = one->number,
                                   .address = one->address,
                                   .given = one->given,
                                   .original = one->original,
                                   .notify = one->notify,
                                   .turns = one->turns});
  }
  dispatch.eight_bit = message.eight_bit;
  dispatch.binary = message.binary;
  dispatch.smtputf8 = message.smtputf8;
  dispatch.require_tls = message.require_tls;
  dispatch.optional_tls = message.optional_tls;
  dispatch.report = message.report;
  dispatch.ret = message.ret;
  dispatch.envelope_id = message.envelope_id;
  dispatch.priority = message.priority;
  dispatch.deliver_by = message.deliver_by;
  dispatch.by_mode = message.by_mode;
  dispatch.by_trace = message.by_trace;
  dispatch.arrival = message.arrival;
  dispatch.attempts = loaded.job.attempts;
  dispatch.content = std::move(content);
  return dispatch;
}

/// Which report, if any, is due for what an attempt made of a recipient.
std::optional<message::DeliveryAction> report_of(const RecipientUpdate& update, Disposition disposition, Notify notify, bool by_relay) {
  switch (update.state) {
    case RecipientState::failed: return notify.failure() ? std::optional(message::DeliveryAction::failed) : std::nullopt;
    case RecipientState::delivered: return notify.success() ? std::optional(message::DeliveryAction::delivered) : std::nullopt;
    case RecipientState::relayed:
      // RFC 3461 §5.2.2; RFC 2852 §4.1.4.2 and the "T" of §4.
      if (disposition == Disposition::relayed_without_dsn && notify.success()) return message::DeliveryAction::relayed;
      return by_relay && !notify.never() ? std::optional(message::DeliveryAction::relayed) : std::nullopt;
    case RecipientState::open: break;
  }
  return std::nullopt;
}

/// Where a lane waits for its next job with an open connection. Each ring() ends one wait(), whichever comes first.
class Bell {
 public:
  /// Threads: any.
  void ring() {
    std::unique_lock lock(mutex_);
    if (!waiting_) {
      rung_ = true;
      return;
    }
    auto resumption = std::move(*waiting_);
    waiting_.reset();
    lock.unlock();
    storage::Resumption::post(std::move(resumption));
  }
  /// Threads: the lane's.
  net::asio::awaitable<void> wait() {
    co_await storage::suspend([this](storage::Resumption resumption) {
      std::unique_lock lock(mutex_);
      if (!std::exchange(rung_, false)) {
        waiting_.emplace(std::move(resumption));
        return;
      }
      lock.unlock();
      storage::Resumption::post(std::move(resumption));
    });
  }

 private:
  std::mutex mutex_;
  bool rung_ = false;
  std::optional<storage::Resumption> waiting_;
};

}  // namespace

struct Queue::Impl::Attempt {
  Scheduler::Turn& turn;
  QueueShard& shard;
  JobRef job;
  LoadedJob loaded;
  Rule rule;
  std::vector<const RecipientRecord*> open{};  ///< of loaded.job
  Health health = Health::good;
  std::string trouble{};
  bool deferred = false;  ///< a recipient was told to come back
  enum class Recorded : std::uint8_t { yes, not_now, never };
  Recorded recorded = Recorded::yes;
};

net::asio::awaitable<void> Queue::Impl::run_lane(std::shared_ptr<Impl> self, Scheduler::Turn turn, net::Loop& loop) {
  // However the coroutine ends, the destination gets its connection back.
  struct Ended {
    Impl& impl;
    Scheduler::Turn& turn;
    ~Ended() { impl.scheduler.ended(turn, impl.now()); }
  } ended{*self, turn};
  const auto lane = self->parts.transport.lane(turn.name(), loop);
  const auto bell = std::make_shared<Bell>();
  turn.ring = [bell] { bell->ring(); };
  turn.home = &loop;
  for (;;) {
    const auto next = self->scheduler.next(turn, self->now());
    for (const auto& scan : next.scans) self->look(turn, scan);
    if (!next.scans.empty()) self->kick();
    if (next.step == Scheduler::Step::end) break;
    if (next.step == Scheduler::Step::again) co_await pause_for(kLookPause);
    if (next.step == Scheduler::Step::rest) co_await bell->wait();
    if (next.step != Scheduler::Step::job) continue;
    const bool open = co_await self->attempt(turn, next.ticket, *lane);
    self->kick();
    if (!open) break;
  }
  co_await lane->close();
}

void Queue::Impl::look(Scheduler::Turn& turn, const ScanRequest& scan) {
  const auto found = shards[scan.shard]->due(turn.name(), scan.from, seconds(), scan.limit);
  if (!found) log::event(log::Level::error, "queue cannot be read", {{"shard", scan.shard}, {"detail", found.error().detail}});
  scheduler.scanned(turn, scan, found, now());
}

net::asio::awaitable<bool> Queue::Impl::attempt(Scheduler::Turn& turn, Ticket ticket, Lane& lane) {
  auto& shard = *shards[ticket.shard];
  // However the coroutine ends, the job is nobody's afterwards; where nothing else was said it stays where it was and its destination
  // rests.
  struct Open {
    Impl& impl;
    Scheduler::Turn& turn;
    const Ticket& ticket;
    bool armed = true;
    ~Open() {
      if (armed) impl.scheduler.done(turn, ticket, Health::unreachable, "the attempt was broken off", true, impl.now());
    }
  } open{*this, turn, ticket};
  const auto leave_alone = [&] {
    open.armed = false;
    scheduler.block(ticket.shard, now() + kBlocked);
    scheduler.put_back(turn, ticket, now());
    return true;
  };

  const auto& destination = turn.name();
  // What cannot be recorded is not sent: it would be sent again.
  if (!shard.writable()) co_return leave_alone();
  auto loaded = shard.load(ticket.position.id, destination);
  if (!loaded) {
    log::event(log::Level::error, "queued message cannot be read",
               {{"shard", ticket.shard}, {"id", ticket.position.id}, {"destination", destination}, {"detail", loaded.error().detail}});
    if (loaded.error().fault != Fault::corrupt) co_return leave_alone();
  }
  // One that is damaged must not keep the others of its destination. What an administrator or another lane has moved is known under its new
  // time as a rule, but two that move a job at once may tell of it in the wrong order.
  const auto* found = loaded && *loaded ? &**loaded : nullptr;
  const bool moved = found != nullptr && !found->job.held && found->job.due != ticket.position.due;
  // RFC 2852 §4.1.3: no attempt after the time of BY=…;R. What is told of it is checks.cc's, which has the message by the same time.
  const bool too_late = found != nullptr && found->message.by_mode == ByMode::give_up && seconds() >= found->message.deliver_by;
  if (found == nullptr || found->job.held || moved || too_late) {
    open.armed = false;
    scheduler.stale(turn, ticket, now());
    if (moved) scheduler.added(destination, ticket.shard, {found->job.priority, found->job.due, ticket.position.id}, now());
    co_return true;
  }
  Attempt attempt{
      .turn = turn, .shard = shard, .job = {ticket.position.id, destination}, .loaded = std::move(**loaded), .rule = rule_of(destination)};
  for (const auto& recipient : attempt.loaded.job.recipients) {
    if (recipient.state == RecipientState::open) attempt.open.push_back(&recipient);
  }
  const bool usable = co_await send_in_parts(attempt, lane);
  open.armed = false;
  if (attempt.recorded == Attempt::Recorded::never) {
    scheduler.abandon(turn, ticket, attempt.health, attempt.trouble, now());
  } else {
    scheduler.done(turn, ticket, attempt.health, attempt.trouble, attempt.recorded == Attempt::Recorded::not_now, now());
  }
  co_return usable;
}

// A job with many recipients goes out in several transactions, each recorded before the next.
net::asio::awaitable<bool> Queue::Impl::send_in_parts(Attempt& attempt, Lane& lane) {
  const auto content = attempt.shard.content(attempt.loaded.message);
  for (std::size_t first = 0; first < attempt.open.size();) {
    const auto count = std::min<std::size_t>(attempt.rule.recipients_per_transaction, attempt.open.size() - first);
    const auto dispatch = make_dispatch(attempt.loaded, attempt.job.id, std::span(attempt.open).subspan(first, count), content);
    auto outcome = co_await lane.send(dispatch);
    outcome.recipients.resize(count);
    first += count;
    attempt.health = outcome.health;
    attempt.trouble = outcome.trouble;
    if (!outcome.begun && outcome.health == Health::unreachable && scheduler.others_get_through(attempt.turn)) {
      // The host has enough of us. That says nothing of this message: one of the other connections takes it.
      attempt.recorded = Attempt::Recorded::not_now;
      co_return false;
    }
    const bool over = first >= attempt.open.size() || outcome.health != Health::good || !outcome.open;
    auto update = co_await conclude(attempt, dispatch, outcome, over);
    const auto change = co_await record(attempt.shard, update);
    if (!change) {
      // A shard that takes nothing any more is left alone as a whole; where the others of it go on, it is this record.
      const bool damaged = change.error().fault == Fault::corrupt && attempt.shard.writable();
      attempt.recorded = damaged ? Attempt::Recorded::never : Attempt::Recorded::not_now;
      co_return false;
    }
    account_for(attempt, dispatch, outcome, update, change->found);
    if (change->forget) background[attempt.shard.number()]->to_forget = true;
    publish(attempt.shard.number(), change->added);
    const bool usable = outcome.open && outcome.health == Health::good;
    if (over || !change->found) co_return usable;
  }
  co_return true;
}

net::asio::awaitable<JobUpdate> Queue::Impl::conclude(Attempt& attempt, const Dispatch& dispatch, const Outcome& outcome, bool over) {
  const auto& message = attempt.loaded.message;
  const auto time = seconds();
  const bool by_over = message.by_mode == ByMode::give_up && time >= message.deliver_by;
  const bool expired = time >= message.expires || by_over;
  JobUpdate update;
  update.job = attempt.job;
  update.over = over;
  std::vector<message::ReportedRecipient> told;
  std::vector<std::size_t> told_of;  // positions in update.recipients
  for (std::size_t i = 0; i < dispatch.recipients.size(); ++i) {
    const auto& one = outcome.recipients[i];
    const auto& to = dispatch.recipients[i];
    auto& news = update.recipients.emplace_back();
    news.number = to.number;
    news.reply = reply_of(one, time);
    switch (one.disposition) {
      case Disposition::relayed:
      case Disposition::relayed_without_dsn: news.state = RecipientState::relayed; break;
      case Disposition::delivered: news.state = RecipientState::delivered; break;
      case Disposition::permanent: news.state = RecipientState::failed; break;
      case Disposition::temporary:
        if (expired) {
          news.state = RecipientState::failed;
          news.reply.status = by_over ? "5.4.7" : "4.4.7";  // RFC 2852 §4.1.3, RFC 3463 §3.5
        } else {
          attempt.deferred = true;
        }
        break;
      case Disposition::elsewhere:
        if (to.turns < kMostTurns && !one.moves.empty()) {
          news.moves = one.moves;
        } else {
          news.state = RecipientState::failed;
          news.reply.status = "5.4.6";
          news.reply.text = "the address leads in a circle";
          news.reply.remote = false;
        }
        break;
    }
    if (!can_tell(message) || !news.moves.empty()) continue;
    const auto action = report_of(news, one.disposition, to.notify, message.by_trace || outcome.by_dropped);
    const auto recipient = std::ranges::find(attempt.loaded.job.recipients, to.number, &RecipientRecord::number);
    if (!action) continue;
    told.push_back(reported(*recipient, *action, &news.reply));
    told_of.push_back(i);
  }
  for (const auto& once : outcome.once) update.once.push_back({once.account, once.shard});
  // Where some were not tried because the connection ended, they need not wait.
  update.due = time;
  if (attempt.deferred || outcome.health != Health::good) {
    update.due += std::max<std::int64_t>(1, attempt.rule.retry.pause(attempt.loaded.job.attempts + 1, draw()).count() / 1'000);
  }
  while (!told.empty()) {
    auto report = co_await notice(attempt.shard, message, told);
    if (report) {
      if (*report) update.reports.push_back(std::move(**report));
      break;
    }
    log::event(log::Level::warning, "notice cannot be made yet",
               {{"id", message.trace_id}, {"reason", report.error().text}, {"detail", report.error().detail}});
    if (stopping) {  // those whom the report is about stay open, and are tried again after the restart
      for (const auto i : told_of) update.recipients[i].state = RecipientState::open;
      break;
    }
    co_await pause_for(options.storage_pause);
  }
  co_return update;
}

net::Task<JobChange> Queue::Impl::record(QueueShard& shard, const JobUpdate& update) {
  for (;;) {
    auto change = co_await shard.update(update);
    if (change) co_return change;
    metrics.unrecorded.add();
    log::event(log::Level::error, "outcome cannot be recorded",
               {{"shard", shard.number()},
                {"id", update.job.id},
                {"destination", update.job.destination},
                {"reason", change.error().text},
                {"detail", change.error().detail}});
    // A damaged record stays damaged; what else fails may heal, and sending again meanwhile would make duplicates.
    if (change.error().fault == Fault::corrupt || stopping) co_return change;
    co_await pause_for(options.storage_pause);
  }
}

void Queue::Impl::account_for(const Attempt& attempt, const Dispatch& dispatch, const Outcome& outcome, const JobUpdate& update,
                              bool kept) {
  const auto& message = attempt.loaded.message;
  const auto waited = std::chrono::seconds(std::max<std::int64_t>(0, seconds() - message.arrival));
  // One event for all recipients that heard the same.
  std::map<std::tuple<TraceKind, std::string, std::string>, TraceEvent> events;
  for (std::size_t i = 0; i < update.recipients.size(); ++i) {
    const auto& news = update.recipients[i];
    const auto& to = dispatch.recipients[i];
    auto kind = TraceKind::deferred;
    std::string detail;
    if (!news.moves.empty()) {
      for (const auto& move : news.moves) {
        TraceEvent event{.id = message.trace_id, .kind = TraceKind::expanded, .host = move.destination, .detail = to.address};
        event.to.push_back(move.address);
        parts.trace.add(std::move(event));
      }
      continue;
    }
    // What the other side said is history also where an administrator has dropped the message meanwhile.
    const bool gone = !kept && (news.state == RecipientState::failed || news.state == RecipientState::open);
    if (gone) {
      kind = TraceKind::attempt;
      detail = "it was dropped meanwhile";
    }
    switch (news.state) {
      case RecipientState::relayed:
        kind = TraceKind::relayed;
        metrics.relayed.add();
        metrics.delay.observe(waited);
        break;
      case RecipientState::delivered:
        kind = TraceKind::delivered;
        metrics.delivered.add();
        metrics.delay.observe(waited);
        break;
      case RecipientState::failed:
        if (gone) break;
        kind = TraceKind::bounced;
        metrics.failed.add();
        if (!can_tell(message)) detail = "nobody is told";
        break;
      case RecipientState::open:
        if (gone) break;
        metrics.deferred.add();
        detail = "next attempt " + trace_time(update.due * 1'000);
        break;
    }
    auto& event = events[{kind, news.reply.host, news.reply.text}];
    event.id = message.trace_id;
    event.kind = kind;
    event.from = message.sender;
    event.host = news.reply.host.empty() ? attempt.job.destination : news.reply.host;
    event.reply = news.reply.text;
    event.detail = detail;
    event.to.push_back(to.address);
  }
  for (auto& [key, event] : events) {
    log::event(event.kind == TraceKind::bounced ? log::Level::info : log::Level::debug, to_string(event.kind),
               {{"id", event.id},
                {"destination", attempt.job.destination},
                {"host", event.host},
                {"to", event.to.front()},
                {"recipients", event.to.size()},
                {"reply", event.reply}});
    parts.trace.add(std::move(event));
  }
  if (outcome.health != Health::good) {
    log::event(log::Level::debug, "destination in trouble", {{"destination", attempt.job.destination}, {"reason", outcome.trouble}});
  }
  if (!kept) return;
  for (const auto& report : update.reports) {
    TraceEvent event{.id = message.trace_id, .kind = TraceKind::notice, .detail = report.message.trace_id};
    event.to.push_back(message.sender);
    parts.trace.add(std::move(event));
    trace_queued(report);
  }
}

}  // namespace relais::smtp::queue
