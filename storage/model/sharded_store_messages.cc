// ShardedStore: messages.
#include "storage/model/append.h"
#include "storage/model/copy.h"
#include "storage/model/expunge.h"
#include "storage/model/fetch.h"
#include "storage/model/flags.h"
#include "storage/model/names.h"
#include "storage/model/read.h"
#include "storage/model/sharded_store.h"
#include "storage/model/sharded_store_write.h"
#include "storage/model/walk.h"

#include <algorithm>

namespace relais::storage {

using model::Work;

namespace {

using Ids = std::span<const BlobId>;

void add_step(CopyResult& all, CopyResult step) {
  all.mailbox = step.mailbox;
  all.uid_validity = step.uid_validity;
  all.highest_mod_seq = step.highest_mod_seq;
  if (all.from.empty()) {  // the usual case: one step
    all.from = std::move(step.from);
    all.to = std::move(step.to);
    return;
  }
  all.from.insert(all.from.end(), step.from.begin(), step.from.end());
  all.to.insert(all.to.end(), step.to.begin(), step.to.end());
}

}  // namespace

net::Task<MailboxView> ShardedStore::open(AccountRef account, std::string name, bool claim_recent) {
  RELAIS_CO_TRY(name, model::normalize_name(name));
  RELAIS_CO_TRY(const auto snapshot, co_await touched_snapshot(account));
  RELAIS_CO_TRY(const auto id, model::read_name(*snapshot, name));
  if (!id) co_return model::no_such_mailbox();
  RELAIS_CO_TRY(auto record, model::read_mailbox(*snapshot, *id));
  if (!record || !record->selectable) co_return model::no_such_mailbox();
  RELAIS_CO_TRY(auto view, model::read_view(*snapshot, *id, std::move(*record)));
  RELAIS_CO_TRY(const auto subscribed, snapshot->get(model::subscribed_key(name)));
  view.info.subscribed = subscribed.has_value();
  view.info.recent_from = claim_recent ? recent_.claim(account.account, *id, view.info.recent_from, view.info.uid_next)
                                       : recent_.recent_from(account.account, *id, view.info.recent_from);
  co_return view;
}

Uid ShardedStore::claim_recent(AccountRef account, MailboxId mailbox, Uid known, Uid uid_next, bool claim) {
  return claim ? recent_.claim(account.account, mailbox, known, uid_next) : recent_.recent_from(account.account, mailbox, known);
}

net::Task<MailboxChanges> ShardedStore::changes(AccountRef account, MailboxId mailbox, ModSeq since, bool with_vanished) {
  RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
  co_return model::read_changes(*snapshot, mailbox, since, with_vanished);
}

net::Task<void> ShardedStore::fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) {
  RELAIS_CO_TRY(const auto* engine, engine_of(account));
  std::vector<model::PendingContent> pending;
  {
    RELAIS_CO_TRY(const auto snapshot, engine->read(account.account));
    RELAIS_CO_TRY_VOID(model::read_batch(*snapshot, mailbox, request, batch, pending));
  }
  bool some_gone = false;
  for (const auto& [index, blob] : pending) {
    if (index >= batch.messages.size()) break;  // did not fit any more
    const auto size = batch.messages[index].size;
    model::reserve_octets(batch, size);
    const auto at = batch.octets.size();
    auto read = co_await engine->read_blob(blob, 0, size, batch.octets);
    if (read) {
      batch.messages[index].content = std::string_view(batch.octets).substr(at);
    } else if (model::is_gone(read.error())) {
      RELAIS_CO_TRY_VOID(model::check_expunged(*engine, account.account, mailbox, batch.messages[index].uid, blob));
      batch.messages[index].uid = 0;  // expunged and reclaimed since the snapshot
      some_gone = true;
    } else {
      co_return std::unexpected(std::move(read).error());
    }
  }
  if (some_gone) std::erase_if(batch.messages, [](const MessageView& message) { return message.uid == 0; });
  co_return Result<void>{};
}

net::Task<void> ShardedStore::read_content(AccountRef account, MailboxId mailbox, Uid uid, std::uint64_t offset, std::uint64_t length,
                                           std::string& into) {
  RELAIS_CO_TRY(const auto* engine, engine_of(account));
  BlobId blob{};
  {
    RELAIS_CO_TRY(const auto snapshot, engine->read(account.account));
    RELAIS_CO_TRY(const auto octets, snapshot->get(model::message_key(mailbox, uid)));
    if (!octets) co_return model::message_is_gone();
    RELAIS_CO_TRY(blob, model::decode_message_blob(*octets));
    auto cached = snapshot->try_read_blob(blob, offset, length, into);
    if (cached && *cached) co_return Result<void>{};
    if (!cached && !model::is_gone(cached.error())) co_return std::unexpected(std::move(cached).error());
  }
  auto read = co_await engine->read_blob(blob, offset, length, into);
  if (read || !model::is_gone(read.error())) co_return read;
  RELAIS_CO_TRY_VOID(model::check_expunged(*engine, account.account, mailbox, uid, blob));
  co_return model::message_is_gone();
}

net::Task<AppendResult> ShardedStore::append(AccountRef account, std::string mailbox, std::vector<AppendMessage> messages,
                                             bool create_missing, std::string once) {
  RELAIS_CO_TRY(mailbox, model::normalize_name(mailbox));
  if (once.size() > model::kMaxOnceId) co_return fail(Fault::refused, "delivery id is too long", "CANNOT");
  const auto now = clock_.seconds();
  std::vector<model::PlannedMessage> planned;
  planned.reserve(messages.size());
  Blobs blobs;
  blobs.reserve(messages.size());
  for (const auto& message : messages) {
    RELAIS_CO_TRY(auto plan, model::plan_message(message, now));
    blobs.push_back(std::move(plan.blob));
    planned.push_back(std::move(plan));
  }
  auto body = [mailbox = std::move(mailbox), planned = std::move(planned), create_missing, once = std::move(once)](Work& work, Ids ids) {
    return model::append_messages(work, mailbox, planned, create_missing, once, ids);
  };
  co_return co_await write(account, std::move(blobs), std::move(body));
}

net::Task<void> ShardedStore::forget_once(AccountRef account, std::string once) {
  auto body = [once](Txn& txn) { return txn.erase(model::once_key(once)); };
  co_return co_await write_raw(account, std::move(body));
}

net::Task<StoreFlagsResult> ShardedStore::store_flags(AccountRef account, MailboxId mailbox, StoreFlagsRequest request) {
  // What is only taken away need not be a keyword that could be added.
  if (request.operation != FlagOperation::remove) RELAIS_CO_TRY_VOID(model::check_keywords(request.keywords));
  auto body = [mailbox, request = std::move(request)](Work& work, Ids) { return model::store_flags(work, mailbox, request); };
  co_return co_await write(account, {}, std::move(body));
}

net::Task<ExpungeResult> ShardedStore::expunge(AccountRef account, MailboxId mailbox, std::optional<NumberSet> uids, bool any_flag) {
  const auto set = std::make_shared<const NumberSet>(uids ? std::move(*uids) : model::every_uid());
  const auto limit = any_flag ? UINT64_MAX : kMessagesPerStep;
  ExpungeResult result;
  if (!any_flag) {  // CLOSE and EXPUNGE with nothing to do write nothing
    RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
    RELAIS_CO_TRY(const auto record, model::read_mailbox(*snapshot, mailbox));
    if (!record) co_return model::no_such_mailbox();
    result.highest_mod_seq = record->highest_mod_seq;
    if (record->deleted == 0) co_return result;
  }
  for (;;) {
    auto body = [mailbox, set, any_flag, limit](Work& work, Ids) { return model::expunge_messages(work, mailbox, *set, any_flag, limit); };
    RELAIS_CO_TRY(auto step, co_await write(account, {}, std::move(body)));
    result.expunged.add(step.expunged);
    result.highest_mod_seq = step.highest_mod_seq;
    if (step.expunged.count() < limit) co_return result;
  }
}

net::Task<CopyResult> ShardedStore::copy(AccountRef account, MailboxId from, NumberSet uids, std::string to) {
  RELAIS_CO_TRY(to, model::normalize_name(to));
  {
    // What the copying itself makes, where it goes to the same mailbox, is not copied by a later step.
    RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
    RELAIS_CO_TRY(const auto record, model::read_mailbox(*snapshot, from));
    if (!record) co_return model::no_such_mailbox();
    uids.remove(NumberRange{record->uid_next, UINT32_MAX});
  }
  CopyResult result;
  for (;;) {
    auto body = [from, uids, to, first = result.to.empty()](Work& work, Ids) -> Result<CopyResult> {
      if (first) RELAIS_TRY_VOID(model::check_copy_fits(work, from, uids, to));
      return model::copy_messages(work, from, uids, to, false, kMessagesPerStep);
    };
    auto step = co_await write(account, {}, std::move(body));
    if (!step) {
      // RFC 9051 §6.4.7: the destination is restored to what it was.
      NumberSet copied;
      for (const auto uid : result.to) copied.add(uid);
      if (!copied.empty()) [[maybe_unused]]
        const auto undone = co_await expunge(account, result.mailbox, std::move(copied), true);
      co_return step;
    }
    const bool last = step->from.size() < kMessagesPerStep;
    if (!last) uids.remove(NumberRange{1, step->from.back()});
    add_step(result, std::move(*step));
    if (last) co_return result;
  }
}

net::Task<CopyResult> ShardedStore::move(AccountRef account, MailboxId from, NumberSet uids, std::string to) {
  RELAIS_CO_TRY(to, model::normalize_name(to));
  {
    // Messages that the move itself makes, where it goes to the same mailbox, are not moved again by a later step.
    RELAIS_CO_TRY(const auto snapshot, this->snapshot(account));
    RELAIS_CO_TRY(const auto record, model::read_mailbox(*snapshot, from));
    if (!record) co_return model::no_such_mailbox();
    uids.remove(NumberRange{record->uid_next, UINT32_MAX});
  }
  CopyResult result;
  for (;;) {
    auto body = [from, uids, to](Work& work, Ids) { return model::copy_messages(work, from, uids, to, true, kMessagesPerStep); };
    RELAIS_CO_TRY(auto step, co_await write(account, {}, std::move(body)));
    const bool last = step.from.size() < kMessagesPerStep;
    if (!last) uids.remove(NumberRange{1, step.from.back()});
    add_step(result, std::move(step));
    if (last) co_return result;
  }
}

}  // namespace relais::storage
