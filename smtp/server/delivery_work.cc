// The delivery agent in the background: what was left behind, retries, bounces, and clearing what is finished.
#include "base/ascii.h"
#include "base/log.h"
#include "smtp/server/delivery_state.h"
#include "smtp/server/gather.h"

#include <algorithm>
#include <limits>
#include <map>

namespace relais::smtp {
namespace {

using storage::StoreFlagsRequest;

constexpr std::size_t kIntentsAtOnce = 8;  // each may hold a whole message in memory
constexpr std::size_t kForgetsAtOnce = 64;
constexpr unsigned kMaxClearAttempts = 20;  // then the intent stays until the next start

bool is_missing(const Error& error) {
  return error.fault == Fault::refused && (error.code == "NONEXISTENT" || error.code == "EXPUNGEISSUED");
}

}  // namespace

std::chrono::seconds Delivery::Impl::pause_after(unsigned attempts) const {
  const auto doublings = std::min(attempts == 0 ? 0U : attempts - 1, 20U);
  return std::min(options.longest_retry, options.first_retry * (std::int64_t{1} << doublings));
}

net::Task<void> Delivery::Impl::recover(std::shared_ptr<Impl> self) {
  std::optional<Error> first;
  for (std::size_t i = 0; i < self->shards.size(); ++i) {  // its size never changes
    {
      const std::lock_guard lock(self->mutex);
      if (self->shards[i].listed) continue;
    }
    auto done = co_await self->recover_shard(static_cast<storage::ShardNumber>(i));
    if (!done && !first) first = std::move(done).error();
  }
  if (first) co_return fail(std::move(*first));
  co_return Result<void>{};
}

// Only lists: messages are read when their turn comes, so that serving starts at once.
net::Task<void> Delivery::Impl::recover_shard(storage::ShardNumber shard) {
  const auto account = deferred_account(shard);
  auto view = co_await store.open(account, std::string(kDeferredMailbox), false);
  std::vector<Unfinished> found;
  if (!view && !is_missing(view.error())) co_return fail(std::move(view).error());
  if (view) {
    storage::FetchBatch batch;
    for (storage::Uid first = 1; first != 0; first = batch.next) {
      storage::FetchRequest request;
      request.uids = &view->uids;
      request.first = first;
      batch.messages.clear();
      RELAIS_CO_TRY_VOID(co_await store.fetch(account, view->info.id, request, batch));
      for (const auto& message : batch.messages) {
        found.push_back({.shard = shard, .uid = message.uid, .only_forget = (message.flags & storage::kDeleted) != 0});
      }
    }
  }
  std::uint32_t kept = 0;
  if (const auto mailbox = co_await store.status(account, std::string(kHeldMailbox)); mailbox) {
    kept = mailbox->messages;
  } else if (!is_missing(mailbox.error())) {
    co_return fail(mailbox.error());
  }
  held.add(kept);
  if (kept != 0) log::event(log::Level::warning, "undeliverable mail is held", {{"shard", shard}, {"messages", kept}});
  if (!found.empty()) log::event(log::Level::info, "accepted mail found", {{"shard", shard}, {"messages", found.size()}});
  open_intents.add(static_cast<std::int64_t>(found.size()));
  const std::lock_guard lock(mutex);
  if (view) shards[shard].mailbox = view->info.id;
  shards[shard].listed = true;
  unlisted.add(-1);
  std::ranges::move(found, std::back_inserter(unfinished));
  co_return Result<void>{};
}

net::Task<std::chrono::steady_clock::duration> Delivery::Impl::work(std::shared_ptr<Impl> self) {
  const auto now = self->clock.steady_now();
  std::vector<Unfinished> due;
  std::vector<Finished> done;
  {
    const std::lock_guard lock(self->mutex);
    auto& all = self->unfinished;
    const auto later = std::ranges::partition(all, [&](const Unfinished& entry) { return entry.due > now; });
    std::ranges::move(later, std::back_inserter(due));
    all.erase(later.begin(), later.end());
    if (now >= self->next_sweep) {
      done = std::exchange(self->finished, {});
      self->next_sweep = now + self->options.sweep;
    }
    self->in_hand = due.size() + done.size();
  }
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> { co_await self->resume(std::move(due[i])); };
  co_await for_each_at_once(due.size(), kIntentsAtOnce, each);
  co_await self->clear(std::move(done));

  const std::lock_guard lock(self->mutex);
  self->in_hand = 0;
  std::chrono::steady_clock::duration pause = self->options.sweep;
  for (const auto& entry : self->unfinished) pause = std::min(pause, std::max(entry.due - now, std::chrono::steady_clock::duration{}));
  co_return pause;
}

net::asio::awaitable<void> Delivery::Impl::run(std::shared_ptr<Impl> self) {
  net::asio::steady_timer timer(co_await net::asio::this_coro::executor);
  for (;;) {
    if (const auto listed = co_await recover(self); !listed) {
      log::event(log::Level::warning, "accepted mail cannot be listed",
                 {{"reason", listed.error().text}, {"detail", listed.error().detail}});
    }
    const auto pause = co_await work(self);
    timer.expires_after(std::max<std::chrono::steady_clock::duration>(pause.value_or(self->options.sweep), std::chrono::milliseconds(10)));
    boost::system::error_code cancelled;
    co_await timer.async_wait(net::asio::redirect_error(net::asio::use_awaitable, cancelled));
    if (cancelled) co_return;
  }
}

net::asio::awaitable<void> Delivery::Impl::resume(Unfinished entry) {
  const auto account = deferred_account(entry.shard);
  const auto mailbox = mailbox_of(entry.shard);
  retries.add();
  ++entry.attempts;
  entry.due = clock.steady_now() + pause_after(entry.attempts);
  std::string content;
  const auto read = co_await store.read_content(account, *mailbox, entry.uid, 0, std::numeric_limits<std::uint32_t>::max(), content);
  if (!read) {
    if (is_missing(read.error())) {
      open_intents.add(-1);
      co_return;
    }
    log::event(log::Level::error, "accepted mail cannot be read",
               {{"shard", entry.shard}, {"uid", entry.uid}, {"detail", read.error().detail}});
    add(std::move(entry));
    co_return;
  }
  const auto stored = decode_intent(content);
  if (!stored) {
    log::event(log::Level::error, "delivery record damaged",
               {{"shard", entry.shard}, {"uid", entry.uid}, {"detail", stored.error().detail}});
    add(Finished{.shard = entry.shard, .uid = entry.uid, .hold = true});
    co_return;
  }
  entry.states.resize(stored->intent.targets.size());
  if (!entry.only_forget) co_await settle(entry, *stored, content);
  if (!entry.only_forget && std::ranges::count(entry.states, TargetState::open) != 0) {
    add(std::move(entry));
    co_return;
  }
  auto once = co_await ids_to_forget(*stored, entry.states);
  if (!once) {
    add(std::move(entry));
    co_return;
  }
  const bool stranded = std::ranges::count(entry.states, TargetState::stranded) != 0;
  log::event(log::Level::info, "accepted mail settled", {{"id", stored->intent.id}, {"attempts", entry.attempts}, {"held", stranded}});
  add(Finished{.shard = entry.shard, .uid = entry.uid, .hold = stranded, .once = std::move(*once)});
}

// Appends to everybody who has not got it, and tells the sender about those who can't.
net::asio::awaitable<void> Delivery::Impl::settle(Unfinished& entry, const StoredIntent& stored, std::string_view content) {
  const auto& intent = stored.intent;
  const auto message = co_await store.prepare(content.substr(stored.message_offset));
  if (!message) co_return;
  const bool expired = clock.seconds() - intent.accepted > options.give_up.count();
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    auto& state = entry.states[i];
    if (state != TargetState::open) co_return;
    auto done = co_await try_target(stored, i, *message);
    if (done) {
      state = TargetState::delivered;
      co_return;
    }
    auto why = std::move(done).error();
    log::event(log::Level::warning, "delivery failed",
               {{"id", intent.id},
                {"account", intent.targets[i].login},
                {"attempt", entry.attempts},
                {"reason", why.text},
                {"detail", why.detail}});
    if (may_pass(why) && !expired) co_return;
    const auto told = co_await bounce(stored, i, content, why);
    if (told) state = *told ? TargetState::bounced : TargetState::stranded;
  };
  co_await for_each_at_once(entry.states.size(), kForgetsAtOnce, each);
}

net::Task<void> Delivery::Impl::try_target(const StoredIntent& stored, std::size_t index, storage::PreparedPtr message) {
  const auto& target = stored.intent.targets[index];
  RELAIS_CO_TRY(const auto account, co_await directory.find(target.login));
  if (!account || account->number != target.account) co_return fail(Fault::refused, "the mailbox does not exist any more", "5.1.1");
  if (account->placement.kind != directory::Placement::Kind::shard) co_return co_await hand_over(stored, index, *account, std::move(message));
  const storage::AccountRef ref{storage::AccountId{account->number}, account->placement.shard};
  std::vector<storage::AppendMessage> copies;
  copies.push_back(copy_for(stored.intent.sender, target.recipient, stored.intent.trace, std::move(message)));
  auto done = co_await store.append(ref, "INBOX", std::move(copies), true, stored.intent.id);
  if (!done) co_return fail(std::move(done).error());
  trace_delivered(stored.intent.id, target.recipient, ref, *done);
  co_return Result<void>{};
}

// Also of bounces that an earlier process may have sent: an id that was never used is forgotten for nothing.
net::Task<std::vector<std::pair<storage::AccountRef, std::string>>> Delivery::Impl::ids_to_forget(const StoredIntent& stored,
                                                                                                  const std::vector<TargetState>& states) {
  std::vector<std::pair<storage::AccountRef, std::string>> ids;
  const auto& intent = stored.intent;
  std::vector<storage::AccountRef> senders;
  if (std::ranges::any_of(states, [](TargetState state) { return state != TargetState::delivered; })) {
    if (auto found = co_await sender_accounts(intent.sender)) senders = std::move(*found);
  }
  for (std::size_t i = 0; i < intent.targets.size(); ++i) {
    RELAIS_CO_TRY(const auto account, co_await directory.find(intent.targets[i].login));
    if (account && account->number == intent.targets[i].account) {
      ids.emplace_back(storage::AccountRef{storage::AccountId{account->number}, account->placement.shard}, intent.id);
    }
    if (states[i] == TargetState::delivered) continue;
    for (const auto& sender : senders) ids.emplace_back(sender, bounce_once(intent.id, i));
  }
  co_return ids;
}

net::asio::awaitable<void> Delivery::Impl::clear(std::vector<Finished> entries) {
  std::map<storage::ShardNumber, std::vector<Finished>> by_shard;
  for (auto& entry : entries) by_shard[entry.shard].push_back(std::move(entry));
  for (auto& [shard, list] : by_shard) co_await clear_shard(shard, std::move(list));
}

net::Task<void> Delivery::Impl::hold(storage::ShardNumber shard, storage::MailboxId mailbox, storage::Uid uid) {
  const auto account = deferred_account(shard);
  const std::string name{kHeldMailbox};
  auto made = co_await store.create(account, name, storage::kUseNone, std::nullopt);
  if (!made && made.error().code != "ALREADYEXISTS") co_return fail(std::move(made).error());
  NumberSet uids;
  uids.add(uid);
  auto moved = co_await store.move(account, mailbox, std::move(uids), name);
  if (!moved) co_return fail(std::move(moved).error());
  held.add(1);
  co_return Result<void>{};
}

// Steps 3 to 5 of delivery.h, for all finished intents of a shard at once.
net::asio::awaitable<void> Delivery::Impl::clear_shard(storage::ShardNumber shard, std::vector<Finished> entries) {
  const auto account = deferred_account(shard);
  const auto mailbox = *mailbox_of(shard);
  const auto put_back = [&](Finished& entry, const Error& why) {
    if (++entry.attempts < kMaxClearAttempts) return add(std::move(entry));
    log::event(log::Level::warning, "finished delivery cannot be cleared",
               {{"shard", shard}, {"uid", entry.uid}, {"reason", why.text}, {"detail", why.detail}});
    open_intents.add(-1);
  };

  StoreFlagsRequest flags;
  flags.system_flags = storage::kDeleted;
  for (auto& entry : entries) {
    if (entry.hold) {
      if (const auto kept = co_await hold(shard, mailbox, entry.uid); !kept) {
        put_back(entry, kept.error());
        entry.uid = 0;
      }
    } else {
      flags.uids.add(entry.uid);
    }
  }
  std::erase_if(entries, [](const Finished& entry) { return entry.uid == 0; });
  if (!flags.uids.empty()) {
    const auto flagged = co_await store.store_flags(account, mailbox, std::move(flags));
    if (!flagged) {
      for (auto& entry : entries) put_back(entry, flagged.error());
      co_return;
    }
  }

  std::vector<std::pair<std::size_t, std::size_t>> work;  // (entry, id)
  for (std::size_t i = 0; i < entries.size(); ++i) {
    for (std::size_t k = 0; k < entries[i].once.size(); ++k) work.emplace_back(i, k);
  }
  std::vector<std::optional<Error>> failed(entries.size());
  auto each = [&](std::size_t n) -> net::asio::awaitable<void> {
    const auto [i, k] = work[n];
    const auto& [owner, id] = entries[i].once[k];
    const auto forgotten = co_await store.forget_once(owner, id);
    if (!forgotten && forgotten.error().fault != Fault::refused) failed[i] = forgotten.error();
  };
  co_await for_each_at_once(work.size(), kForgetsAtOnce, each);

  NumberSet gone;
  std::int64_t cleared = 0;
  for (std::size_t i = 0; i < entries.size(); ++i) {
    if (failed[i]) {
      if (!entries[i].hold) {
        put_back(entries[i], *failed[i]);
        continue;
      }
    }
    if (!entries[i].hold) gone.add(entries[i].uid);
    ++cleared;
  }
  if (!gone.empty()) {
    // One that stays is found at the next start, flagged: nothing is delivered again.
    const auto expunged = co_await store.expunge(account, mailbox, std::move(gone), false);
    if (!expunged)
      log::event(log::Level::warning, "finished deliveries cannot be expunged", {{"shard", shard}, {"detail", expunged.error().detail}});
  }
  open_intents.add(-cleared);
}

}  // namespace relais::smtp
