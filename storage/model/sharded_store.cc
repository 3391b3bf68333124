// ShardedStore: preparing, mailboxes, the account, the change feed.
#include "storage/model/sharded_store.h"

#include "base/check.h"
#include "storage/model/mailboxes.h"
#include "storage/model/names.h"
#include "storage/model/prepared.h"
#include "storage/model/sharded_import.h"
#include "storage/model/sharded_store_write.h"
#include "storage/model/walk.h"

namespace relais::storage {

using model::Work;

namespace {

using Ids = std::span<const BlobId>;

Result<bool> has_dead(const Reader& reader) {
  bool found = false;
  auto visit = [&](const KeyValue&) {
    found = true;
    return false;
  };
  RELAIS_TRY_VOID(reader.range(model::family_key(model::kDeadFamily), model::family_end(model::kDeadFamily), std::ref(visit)));
  return found;
}

}  // namespace

ShardedStore::ShardedStore(std::vector<std::unique_ptr<Engine>> engines, net::WorkerPool* pool, const Clock& clock, Compression compression)
    : clock_(clock), pool_(pool), compression_(compression), import_(std::make_unique<ShardedImport>(*this)), engines_(std::move(engines)) {
  RELAIS_CHECK(!engines_.empty());
  for (const auto& engine : engines_) {
    engine->listen([this](const ChangeEvent& event) { feed_.publish(event); });
  }
}

ShardedStore::~ShardedStore() { close(); }

void ShardedStore::close() {
  for (const auto& engine : engines_) engine->close();
}

Result<Engine*> ShardedStore::engine_of(AccountRef account) const {
  if (account.shard >= engines_.size())
    return fail(Fault::temporary, "mailbox storage is not available", "UNAVAILABLE", "no such shard here");
  return engines_[account.shard].get();
}

Result<std::unique_ptr<Snapshot>> ShardedStore::snapshot(AccountRef account) const {
  RELAIS_TRY(const auto* engine, engine_of(account));
  return engine->read(account.account);
}

model::Context ShardedStore::context(AccountRef account, model::Door door) const {
  return {account.account, clock_.seconds(), &recent_, group_messages_, door};
}

Import& ShardedStore::importer() noexcept { return *import_; }

Result<void> ShardedStore::writable(ShardNumber shard) const {
  RELAIS_TRY(const auto* engine, engine_of({AccountId{}, shard}));
  return engine->writable();
}

std::unique_ptr<Subscription> ShardedStore::subscribe_changes(AccountId account, std::function<void(const ChangeEvent&)> callback) {
  return feed_.subscribe(account, std::move(callback));
}

net::Task<PreparedPtr> ShardedStore::prepare(std::string_view octets) {
  if (pool_ == nullptr || octets.size() <= kPrepareInline) co_return std::make_shared<const PreparedMessage>(octets, compression_);
  auto job = [octets, compression = compression_]() -> Result<PreparedPtr> {
    return std::make_shared<const PreparedMessage>(octets, compression);
  };
  co_return co_await pool_->run(std::move(job));
}

net::Task<void> ShardedStore::make_account(AccountRef account) {
  auto body = [](Work&, Ids) -> Result<void> { return {}; };
  co_return co_await write(account, {}, std::move(body));
}

net::Task<std::unique_ptr<Snapshot>> ShardedStore::touched_snapshot(AccountRef account) {
  {
    RELAIS_CO_TRY(auto snapshot, this->snapshot(account));
    RELAIS_CO_TRY(const auto record, model::read_account(*snapshot));
    if (record && record->state == AccountState::importing) co_return model::account_has_moved();
    if (record) co_return std::move(snapshot);
  }
  RELAIS_CO_TRY_VOID(co_await make_account(account));
  co_return snapshot(account);
}

net::Task<void> ShardedStore::clear_removed(AccountRef account) {
  model::Clearing step;
  do {
    auto body = [from = step.next](Txn& txn) { return model::clear_dead(txn, kMessagesPerStep, from); };
    RELAIS_CO_TRY(step, co_await write_raw(account, std::move(body)));
  } while (step.more);
  co_return Result<void>{};
}

net::Task<std::vector<MailboxInfo>> ShardedStore::list(AccountRef account) {
  std::vector<MailboxInfo> list;
  bool dead = false;
  {
    RELAIS_CO_TRY(const auto snapshot, co_await touched_snapshot(account));
    RELAIS_CO_TRY(list, model::list_mailboxes(*snapshot, context(account)));
    RELAIS_CO_TRY(dead, has_dead(*snapshot));
  }
  // What a crash left of a removal is cleared by whoever comes next. It harms nobody, so its failure is no reason not to answer.
  if (dead) [[maybe_unused]]
    const auto cleared = co_await clear_removed(account);
  co_return list;
}

net::Task<MailboxInfo> ShardedStore::status(AccountRef account, std::string name) {
  RELAIS_CO_TRY(name, model::normalize_name(name));
  RELAIS_CO_TRY(const auto snapshot, co_await touched_snapshot(account));
  co_return model::mailbox_status(*snapshot, context(account), name);
}

net::Task<MailboxInfo> ShardedStore::create(AccountRef account, std::string name, std::uint8_t special_use,
                                            std::optional<std::uint32_t> uid_validity) {
  RELAIS_CO_TRY(name, model::normalize_name(name));
  auto body = [name, special_use, uid_validity](Work& work, Ids) { return model::create_mailbox(work, name, special_use, uid_validity); };
  co_return co_await write(account, {}, std::move(body));
}

net::Task<void> ShardedStore::rename(AccountRef account, std::string from, std::string to) {
  RELAIS_CO_TRY(from, model::normalize_name(from));
  RELAIS_CO_TRY(to, model::normalize_name(to));
  auto body = [from, to](Work& work, Ids) { return model::rename_mailbox(work, from, to, kMessagesPerStep); };
  RELAIS_CO_TRY(const auto rest, co_await write(account, {}, std::move(body)));
  if (rest) {
    RELAIS_CO_TRY([[maybe_unused]] const auto moved, co_await move(account, *rest, model::every_uid(), to));
  }
  co_return Result<void>{};
}

net::Task<void> ShardedStore::remove(AccountRef account, std::string name) {
  RELAIS_CO_TRY(name, model::normalize_name(name));
  auto body = [name](Work& work, Ids) { return model::remove_mailbox(work, name); };
  RELAIS_CO_TRY_VOID(co_await write(account, {}, std::move(body)));
  // The mailbox is gone; what it held is cleared in steps that do not keep others waiting. A failure here is made good by a later call.
  [[maybe_unused]] const auto cleared = co_await clear_removed(account);
  co_return Result<void>{};
}

net::Task<void> ShardedStore::subscribe(AccountRef account, std::string name, bool subscribed) {
  RELAIS_CO_TRY(name, model::normalize_name(name));
  auto body = [name, subscribed](Work& work, Ids) { return model::set_subscribed(work, name, subscribed); };
  co_return co_await write(account, {}, std::move(body));
}

net::Task<QuotaUsage> ShardedStore::quota(AccountRef account) {
  RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
  RELAIS_CO_TRY(const auto record, model::read_account(*snapshot));
  if (!record) co_return QuotaUsage{};
  co_return QuotaUsage{record->octets, record->messages, record->octets_limit, record->messages_limit};
}

net::Task<void> ShardedStore::set_quota(AccountRef account, std::uint64_t octets_limit, std::uint64_t messages_limit) {
  auto body = [octets_limit, messages_limit](Work& work, Ids) { return work.set_limits(octets_limit, messages_limit); };
  co_return co_await write(account, {}, std::move(body), model::Door::settings);
}

net::Task<void> ShardedStore::set_uid_next(AccountRef account, MailboxId mailbox, Uid uid_next, ModSeq highest_mod_seq) {
  auto body = [mailbox, uid_next, highest_mod_seq](Work& work, Ids) { return work.raise_counters(mailbox, uid_next, highest_mod_seq); };
  co_return co_await write(account, {}, std::move(body));
}

net::Task<void> ShardedStore::remove_account(AccountRef account) {
  {
    RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
    RELAIS_CO_TRY(const auto record, model::read_account(*snapshot));
    if (!record) co_return Result<void>{};
  }
  for (auto left = model::Erased::in_use; left != model::Erased::all;) {
    if (left == model::Erased::in_use) {  // also again: a delivery that was under way may have made an inbox once more
      auto body = [](Work& work, Ids) { return model::bury_all(work); };
      RELAIS_CO_TRY_VOID(co_await write(account, {}, std::move(body), model::Door::states));
      RELAIS_CO_TRY_VOID(co_await clear_removed(account));
    }
    auto body = [](Txn& txn) { return model::erase_emptied(txn, kMessagesPerStep); };
    RELAIS_CO_TRY(left, co_await write_raw(account, std::move(body)));
  }
  co_return Result<void>{};
}

}  // namespace relais::storage
