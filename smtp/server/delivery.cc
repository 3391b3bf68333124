// The delivery agent as sessions see it: one account directly, several behind an intent.
#include "smtp/server/delivery.h"

#include "base/log.h"
#include "message/trace.h"
#include "smtp/server/delivery_state.h"
#include "smtp/server/gather.h"

#include <algorithm>

namespace relais::smtp {
namespace {

constexpr std::size_t kAtOnce = 64;  // appends in flight for one message; those of one shard share commits

std::vector<storage::AppendMessage> just(storage::AppendMessage message) {
  std::vector<storage::AppendMessage> messages;
  messages.push_back(std::move(message));
  return messages;
}

}  // namespace

storage::AccountRef deferred_account(storage::ShardNumber shard) {
  constexpr std::uint64_t kReserved = 1ULL << 63U;  // the directory numbers accounts from 1 on
  return {storage::AccountId{kReserved | shard}, shard};
}

std::string bounce_once(std::string_view id, std::size_t index) { return std::string(id) + "-b" + std::to_string(index); }

bool may_pass(const Error& error) noexcept { return error.fault != Fault::refused || error.code == "OVERQUOTA"; }

std::string place_text(storage::AccountRef account, const storage::AppendResult& result) {
  return "shard " + std::to_string(account.shard) + " account " + std::to_string(static_cast<std::uint64_t>(account.account)) + " mailbox " +
         std::to_string(static_cast<std::uint32_t>(result.mailbox)) + " uid " + std::to_string(result.uids.empty() ? 0 : result.uids.front());
}

Delivery::Impl::Impl(storage::Store& mail, directory::Directory& names, DeliveryOptions chosen, const Clock& time, DeliveryParts others)
    : store(mail),
      directory(names),
      options(std::move(chosen)),
      clock(time),
      parts(others),
      open_intents(metrics::gauge("relais_smtp_open_intents", "messages for several accounts that are not settled everywhere")),
      unlisted(metrics::gauge("relais_smtp_unlisted_shards",
                              "shards whose left-over mail is not known yet; mail for several accounts waits for one")),
      retries(metrics::counter("relais_smtp_delivery_retries_total", "attempts to finish an accepted message later")),
      bounces(metrics::counter("relais_smtp_bounces_total", "delivery status notifications sent")),
      held(metrics::gauge("relais_smtp_held_messages",
                          "accepted messages that could be neither delivered nor bounced and are kept for the administrator")),
      shards(mail.shards()) {
  unlisted.set(static_cast<std::int64_t>(shards.size()));
  open_intents.set(0);
  held.set(0);
}

storage::AppendMessage Delivery::Impl::copy_for(std::string_view sender, std::string_view recipient, std::string_view trace,
                                                storage::PreparedPtr message) const {
  storage::AppendMessage copy;
  copy.message = std::move(message);
  copy.trace_header = message::return_path_field(sender);  // RFC 5321 §4.4: at the beginning
  copy.trace_header += message::delivered_to_field(recipient);
  copy.trace_header += trace;
  copy.internal_date = clock.seconds();
  return copy;
}

Result<storage::ShardNumber> Delivery::Impl::choose_shard(const std::vector<Target>& targets) const {
  Error last{Fault::temporary, {}, "mail storage is starting, try again later", {}};
  for (const auto& target : targets) {
    const auto shard = target.account.shard;
    {
      const std::lock_guard lock(mutex);
      if (shard >= shards.size() || !shards[shard].listed) continue;
    }
    if (auto writable = store.writable(shard); !writable) {
      last = std::move(writable).error();
      continue;
    }
    return shard;
  }
  return fail(std::move(last));
}

net::Task<void> Delivery::Impl::deliver(std::shared_ptr<Impl> self, Envelope envelope, storage::PreparedPtr message) {
  if (envelope.targets.size() != 1) co_return co_await self->deliver_to_many(std::move(envelope), std::move(message));
  const auto& target = envelope.targets.front();
  auto copies = just(self->copy_for(envelope.sender, target.recipient, envelope.trace, std::move(message)));
  auto done = co_await self->store.append(target.account, "INBOX", std::move(copies), true, {});
  if (!done) co_return fail(std::move(done).error());
  self->trace_delivered(envelope.id, target.recipient, target.account, *done);
  co_return Result<void>{};
}

void Delivery::Impl::trace_delivered(std::string_view id, std::string_view recipient, storage::AccountRef account, const storage::AppendResult& result) {
  TraceEvent event{.id = std::string(id), .kind = TraceKind::delivered};
  event.to.emplace_back(recipient);
  event.host = place_text(account, result);
  event.detail = "INBOX";
  parts.trace.add(std::move(event));
}

net::Task<void> Delivery::Impl::deliver_to_many(Envelope envelope, storage::PreparedPtr message) {
  if (envelope.targets.empty()) co_return Result<void>{};
  RELAIS_CO_TRY(const auto shard, choose_shard(envelope.targets));
  Intent intent{envelope.id, envelope.sender, clock.seconds(), envelope.trace, {}};
  for (const auto& target : envelope.targets) {
    intent.targets.push_back({static_cast<std::uint64_t>(target.account.account), target.login, target.recipient, target.notify, target.original});
  }
  intent.ret = envelope.ret;
  intent.envelope_id = envelope.envelope_id;
  intent.smtputf8 = envelope.smtputf8;
  storage::AppendMessage note;
  note.message = message;
  note.trace_header = encode_intent(intent);
  note.internal_date = intent.accepted;
  RELAIS_CO_TRY(const auto noted,
                co_await store.append(deferred_account(shard), std::string(kDeferredMailbox), just(std::move(note)), true, {}));
  note_mailbox(shard, noted.mailbox);
  open_intents.add(1);

  // From here on the message is accepted, whatever happens: should this coroutine end early, the entry goes to work().
  Unfinished entry{.shard = shard, .uid = noted.uids.front(), .states = std::vector<TargetState>(envelope.targets.size())};
  struct Handover {
    Impl& impl;
    Unfinished& entry;
    bool armed = true;
    ~Handover() {
      if (armed) impl.add(std::move(entry));
    }
  } handover{*this, entry};

  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    const auto& target = envelope.targets[i];
    auto copies = just(copy_for(envelope.sender, target.recipient, envelope.trace, message));
    const auto done = co_await store.append(target.account, "INBOX", std::move(copies), true, envelope.id);
    if (done) {
      entry.states[i] = TargetState::delivered;
      trace_delivered(envelope.id, target.recipient, target.account, *done);
    } else {
      log::event(log::Level::warning, "delivery deferred",
                 {{"id", envelope.id},
                  {"account", target.login},
                  {"reason", done.error().text},
                  {"code", done.error().code},
                  {"detail", done.error().detail}});
    }
  };
  co_await for_each_at_once(envelope.targets.size(), kAtOnce, each);
  if (std::ranges::count(entry.states, TargetState::delivered) != std::ssize(entry.states)) {
    entry.attempts = 1;
    entry.due = clock.steady_now() + pause_after(1);
    co_return Result<void>{};
  }
  handover.armed = false;
  Finished finished_entry{.shard = shard, .uid = entry.uid};
  for (const auto& target : envelope.targets) finished_entry.once.emplace_back(target.account, envelope.id);
  add(std::move(finished_entry));
  co_return Result<void>{};
}

void Delivery::Impl::add(Unfinished entry) {
  const std::lock_guard lock(mutex);
  unfinished.push_back(std::move(entry));
}

void Delivery::Impl::add(Finished entry) {
  const std::lock_guard lock(mutex);
  finished.push_back(std::move(entry));
}

std::optional<storage::MailboxId> Delivery::Impl::mailbox_of(storage::ShardNumber shard) const {
  const std::lock_guard lock(mutex);
  return shard < shards.size() ? shards[shard].mailbox : std::nullopt;
}

void Delivery::Impl::note_mailbox(storage::ShardNumber shard, storage::MailboxId mailbox) {
  const std::lock_guard lock(mutex);
  shards[shard].mailbox = mailbox;
}

Delivery::Delivery(storage::Store& store, directory::Directory& directory, DeliveryOptions options, const Clock& clock, DeliveryParts parts)
    : impl_(std::make_shared<Impl>(store, directory, std::move(options), clock, parts)) {}
Delivery::~Delivery() = default;

net::Task<storage::PreparedPtr> Delivery::prepare(std::string_view octets) { return impl_->store.prepare(octets); }
net::Task<void> Delivery::deliver(Envelope envelope, storage::PreparedPtr message) {
  return Impl::deliver(impl_, std::move(envelope), std::move(message));
}
net::Task<void> Delivery::recover() { return Impl::recover(impl_); }
net::Task<std::chrono::steady_clock::duration> Delivery::work() { return Impl::work(impl_); }

std::size_t Delivery::pending() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->unfinished.size() + impl_->finished.size() + impl_->in_hand;
}

void Delivery::start(net::Loop& loop) {
  net::asio::co_spawn(loop.context(), Impl::run(impl_), [](std::exception_ptr thrown) {
    if (thrown) std::rethrow_exception(thrown);  // run() lets only the end of memory through
  });
}

}  // namespace relais::smtp
