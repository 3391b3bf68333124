// storage::Import over the engines of a ShardedStore.
#pragma once

#include "storage/import.h"
#include "storage/model/sharded_store.h"

#include <optional>
#include <string>
#include <vector>

namespace relais::storage {

/// Threads, lifetime: as the store that has it.
class ShardedImport final : public Import {
 public:
  explicit ShardedImport(ShardedStore& store) noexcept : store_(store) {}
  ShardedImport(const ShardedImport&) = delete;
  ShardedImport& operator=(const ShardedImport&) = delete;

  net::Task<void> set_state(AccountRef account, AccountState expected, AccountState state) override;
  net::Task<AccountState> state(AccountRef account) override;

  net::Task<std::vector<MailboxInfo>> list(AccountRef account) override;
  net::Task<MailboxView> open(AccountRef account, MailboxId mailbox) override;
  net::Task<void> fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) override;

  net::Task<MailboxInfo> create(AccountRef account, ImportedMailbox mailbox) override;
  net::Task<void> rename(AccountRef account, MailboxId mailbox, std::string to) override;
  net::Task<void> remove(AccountRef account, MailboxId mailbox) override;
  net::Task<void> set_subscriptions(AccountRef account, std::vector<std::string> names) override;

  net::Task<void> append(AccountRef account, MailboxId mailbox, std::vector<ImportedMessage> messages) override;
  net::Task<void> impose(AccountRef account, MailboxId mailbox, std::vector<ImposedState> states) override;
  net::Task<void> expunge(AccountRef account, MailboxId mailbox, NumberSet uids, ModSeq mod_seq) override;
  net::Task<void> set_counters(AccountRef account, MailboxId mailbox, ImportedCounters counters) override;

  net::Task<std::vector<Attribute>> attributes(AccountRef account, std::optional<MailboxId> mailbox) override;
  net::Task<void> set_attributes(AccountRef account, std::optional<MailboxId> mailbox, std::vector<Attribute> attributes) override;

  net::Task<std::vector<ContentDigest>> digests(AccountRef account, MailboxId mailbox, NumberSet uids) override;
  net::Task<PreparedPtr> take(AccountRef account, MailboxId mailbox, Uid uid) override;

 private:
  ShardedStore& store_;
};

}  // namespace relais::storage
