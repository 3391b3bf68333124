// ShardedImport: bodies of transactions by the store's engines.
#include "storage/model/sharded_import.h"

#include "storage/model/attributes.h"
#include "storage/model/digests.h"
#include "storage/model/fetch.h"
#include "storage/model/import_mailboxes.h"
#include "storage/model/import_messages.h"
#include "storage/model/mailboxes.h"
#include "storage/model/names.h"
#include "storage/model/prepared.h"
#include "storage/model/read.h"
#include "storage/model/sharded_store_write.h"
#include "storage/model/take.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <utility>

namespace relais::storage {

using model::Door;
using model::Work;

namespace {

using Ids = std::span<const BlobId>;

}  // namespace

net::Task<void> ShardedImport::set_state(AccountRef account, AccountState expected, AccountState state) {
  auto body = [expected, state](Work& work, Ids) { return model::change_state(work, expected, state); };
  co_return co_await store_.write(account, {}, std::move(body), Door::states);
}

net::Task<AccountState> ShardedImport::state(AccountRef account) {
  RELAIS_CO_TRY(const auto snapshot, store_.snapshot(account));
  RELAIS_CO_TRY(const auto record, model::read_account(*snapshot));
  co_return record ? record->state : AccountState::open;
}

net::Task<std::vector<MailboxInfo>> ShardedImport::list(AccountRef account) {
  RELAIS_CO_TRY(const auto snapshot, store_.snapshot(account));
  co_return model::list_mailboxes(*snapshot, store_.context(account));
}

net::Task<MailboxView> ShardedImport::open(AccountRef account, MailboxId mailbox) {
  RELAIS_CO_TRY(const auto snapshot, store_.snapshot(account));
  RELAIS_CO_TRY(auto record, model::read_mailbox(*snapshot, mailbox));
  if (!record || !record->selectable) co_return model::no_such_mailbox();
  RELAIS_CO_TRY(auto view, model::read_view(*snapshot, mailbox, std::move(*record)));
  RELAIS_CO_TRY(const auto subscribed, snapshot->get(model::subscribed_key(view.info.name)));
  view.info.subscribed = subscribed.has_value();
  co_return view;
}

net::Task<void> ShardedImport::fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) {
  return store_.fetch(account, mailbox, request, batch);
}

net::Task<MailboxInfo> ShardedImport::create(AccountRef account, ImportedMailbox mailbox) {
  RELAIS_CO_TRY(mailbox.name, model::normalize_name(mailbox.name));
  while (true) {
    auto body = [mailbox](Work& work, Ids) { return model::import_mailbox(work, mailbox); };
    RELAIS_CO_TRY(auto made, co_await store_.write(account, {}, std::move(body), Door::import));
    // What went away is cleared in steps; where it has the wanted id it has to be gone first.
    auto cleared = co_await store_.clear_removed(account);
    if (made) co_return std::move(*made);
    if (!cleared) co_return std::unexpected(std::move(cleared).error());
  }
}

net::Task<void> ShardedImport::rename(AccountRef account, MailboxId mailbox, std::string to) {
  RELAIS_CO_TRY(to, model::normalize_name(to));
  auto body = [mailbox, to](Work& work, Ids) { return model::rename_imported(work, mailbox, to); };
  co_return co_await store_.write(account, {}, std::move(body), Door::import);
}

net::Task<void> ShardedImport::remove(AccountRef account, MailboxId mailbox) {
  auto body = [mailbox](Work& work, Ids) { return model::remove_imported(work, mailbox); };
  RELAIS_CO_TRY_VOID(co_await store_.write(account, {}, std::move(body), Door::import));
  [[maybe_unused]] const auto cleared = co_await store_.clear_removed(account);  // as ShardedStore::remove
  co_return Result<void>{};
}

net::Task<void> ShardedImport::set_subscriptions(AccountRef account, std::vector<std::string> names) {
  for (auto& name : names) {
    RELAIS_CO_TRY(name, model::normalize_name(name));
  }
  auto body = [names = std::move(names)](Work& work, Ids) { return model::replace_subscriptions(work, names); };
  co_return co_await store_.write(account, {}, std::move(body), Door::import);
}

net::Task<void> ShardedImport::append(AccountRef account, MailboxId mailbox, std::vector<ImportedMessage> messages) {
  const auto now = store_.clock_.seconds();
  std::vector<model::PlannedMessage> planned;
  planned.reserve(messages.size());
  ShardedStore::Blobs blobs;
  blobs.reserve(messages.size());
  Uid before = 0;
  for (const auto& message : messages) {
    RELAIS_CO_TRY(auto plan, model::plan_import(message, before, now));
    before = message.uid;
    blobs.push_back(std::move(plan.blob));
    planned.push_back(std::move(plan));
  }
  auto body = [mailbox, planned = std::move(planned)](Work& work, Ids ids) { return model::append_imported(work, mailbox, planned, ids); };
  co_return co_await store_.write(account, std::move(blobs), std::move(body), Door::import);
}

net::Task<void> ShardedImport::impose(AccountRef account, MailboxId mailbox, std::vector<ImposedState> states) {
  RELAIS_CO_TRY_VOID(model::normalize_states(states));
  const auto all = std::make_shared<const std::vector<ImposedState>>(std::move(states));
  std::size_t done = 0;
  do {  // once also where there is nothing: is the account being imported?
    const auto count = std::min<std::size_t>(all->size() - done, kMessagesPerStep);
    auto body = [mailbox, all, done, count](Work& work, Ids) {
      return model::impose_states(work, mailbox, std::span(*all).subspan(done, count));
    };
    RELAIS_CO_TRY_VOID(co_await store_.write(account, {}, std::move(body), Door::import));
    done += count;
  } while (done < all->size());
  co_return Result<void>{};
}

net::Task<void> ShardedImport::expunge(AccountRef account, MailboxId mailbox, NumberSet uids, ModSeq mod_seq) {
  RELAIS_CO_TRY_VOID(model::check_mod_seq(mod_seq));
  const auto set = std::make_shared<const NumberSet>(std::move(uids));
  for (auto removed = kMessagesPerStep; removed == kMessagesPerStep;) {
    auto body = [mailbox, set, mod_seq](Work& work, Ids) {
      return model::expunge_imported(work, mailbox, *set, mod_seq, kMessagesPerStep);
    };
    RELAIS_CO_TRY(removed, co_await store_.write(account, {}, std::move(body), Door::import));
  }
  co_return Result<void>{};
}

net::Task<void> ShardedImport::set_counters(AccountRef account, MailboxId mailbox, ImportedCounters counters) {
  RELAIS_CO_TRY_VOID(model::check_mod_seq(std::max(counters.highest_mod_seq, counters.tombstone_floor)));
  auto body = [mailbox, counters](Work& work, Ids) { return model::set_imported_counters(work, mailbox, counters); };
  co_return co_await store_.write(account, {}, std::move(body), Door::import);
}

net::Task<std::vector<ContentDigest>> ShardedImport::digests(AccountRef account, MailboxId mailbox, NumberSet uids) {
  RELAIS_CO_TRY(const auto* engine, store_.engine_of(account));
  std::vector<ContentDigest> all;
  Uid next = 1;
  while (next != 0) {
    const auto job = [engine, account, mailbox, &uids, next] { return model::digest_some(*engine, account.account, mailbox, uids, next); };
    auto digested = store_.pool_ == nullptr ? job() : co_await store_.pool_->run(job);
    RELAIS_CO_TRY(auto some, std::move(digested));
    all.insert(all.end(), some.digests.begin(), some.digests.end());
    next = some.next;
    if (!some.to_read) continue;
    RELAIS_CO_TRY(const auto read, co_await model::digest_waiting(*engine, store_.pool_, *some.to_read));
    if (read) {
      all.push_back(*read);
    } else {
      RELAIS_CO_TRY_VOID(model::check_expunged(*engine, account.account, mailbox, some.to_read->uid, some.to_read->blob));
    }
  }
  co_return all;
}

net::Task<PreparedPtr> ShardedImport::take(AccountRef account, MailboxId mailbox, Uid uid) {
  RELAIS_CO_TRY(const auto* engine, store_.engine_of(account));
  std::optional<model::StoredMessage> stored;
  {
    RELAIS_CO_TRY(const auto snapshot, engine->read(account.account));
    RELAIS_CO_TRY(stored, model::read_stored(*snapshot, mailbox, uid));
  }
  if (!stored) co_return model::message_is_gone();
  auto blob = co_await engine->take_blob(stored->blob);
  if (!blob && model::is_gone(blob.error())) {
    RELAIS_CO_TRY_VOID(model::check_expunged(*engine, account.account, mailbox, uid, stored->blob));
    co_return model::message_is_gone();
  }
  if (!blob) co_return std::unexpected(std::move(blob).error());
  co_return std::make_shared<const PreparedMessage>(**blob, std::move(stored->summary), stored->email_id);
}

net::Task<std::vector<Attribute>> ShardedImport::attributes(AccountRef account, std::optional<MailboxId> mailbox) {
  RELAIS_CO_TRY(const auto snapshot, store_.snapshot(account));
  co_return model::read_attributes(*snapshot, mailbox);
}

net::Task<void> ShardedImport::set_attributes(AccountRef account, std::optional<MailboxId> mailbox, std::vector<Attribute> attributes) {
  RELAIS_CO_TRY_VOID(model::check_attributes(attributes));
  auto body = [mailbox, attributes = std::move(attributes)](Work& work, Ids) { return model::write_attributes(work, mailbox, attributes); };
  co_return co_await store_.write(account, {}, std::move(body), Door::import);
}

}  // namespace relais::storage
