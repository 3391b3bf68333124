// The mailbox model over engines of this process: storage::Store itself.
#pragma once

#include "base/clock.h"
#include "net/worker_pool.h"
#include "storage/compression.h"
#include "storage/engine.h"
#include "storage/model/feed.h"
#include "storage/model/recent.h"
#include "storage/model/work.h"
#include "storage/store.h"

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace relais::storage {

class Import;
class ShardedImport;

/// Messages up to this many octets are prepared on the caller's thread, larger ones on the worker pool.
inline constexpr std::size_t kPrepareInline = 256 * 1024;
/// Messages that one transaction of a long expunge, move or removal takes: a few ten milliseconds of the shard's time.
inline constexpr std::uint64_t kMessagesPerStep = 5'000;

/// Store over a vector of engines; AccountRef::shard is the index.
///
/// Threads: any. Every call copies what it needs, so a caller that goes away while its call is under way harms nothing; the call may take
/// effect all the same.
/// Lifetime: io_contexts of callers and the pool outlive it; subscriptions end before it.
/// Errors beyond those of store.h: Fault::temporary UNAVAILABLE for a shard number that is none.
class ShardedStore final : public Store {
 public:
  /// @param engines at least one  @param pool may be nullptr: then everything is prepared on the caller's thread  @param clock outlives it
  ShardedStore(std::vector<std::unique_ptr<Engine>> engines, net::WorkerPool* pool, const Clock& clock = system_clock(),
               Compression compression = Compression::lz4);
  ~ShardedStore() override;
  ShardedStore(const ShardedStore&) = delete;
  ShardedStore& operator=(const ShardedStore&) = delete;

  /// The mover's door to the same accounts. It lives as long as the store.
  Import& importer() noexcept;
  /// For `relais storage check|compact|stats`. shard < shards().
  Engine& engine(ShardNumber shard) { return *engines_.at(shard); }
  /// Tests: groups of chunks that are full with so few messages, so that small mailboxes have several. Before the first call.
  void limit_groups(std::uint32_t messages) { group_messages_ = messages; }
  /// Waits for what is in flight; later writes are refused.
  void close();

  net::Task<PreparedPtr> prepare(std::string_view octets) override;

  net::Task<std::vector<MailboxInfo>> list(AccountRef account) override;
  net::Task<MailboxInfo> status(AccountRef account, std::string name) override;
  net::Task<MailboxInfo> create(AccountRef account, std::string name, std::uint8_t special_use, std::optional<std::uint32_t> uid_validity) override;
  net::Task<void> rename(AccountRef account, std::string from, std::string to) override;
  net::Task<void> remove(AccountRef account, std::string name) override;
  net::Task<void> subscribe(AccountRef account, std::string name, bool subscribed) override;

  net::Task<MailboxView> open(AccountRef account, std::string name, bool claim_recent) override;
  Uid claim_recent(AccountRef account, MailboxId mailbox, Uid known, Uid uid_next, bool claim) override;
  net::Task<MailboxChanges> changes(AccountRef account, MailboxId mailbox, ModSeq since, bool with_vanished) override;
  net::Task<void> fetch(AccountRef account, MailboxId mailbox, FetchRequest request, FetchBatch& batch) override;
  net::Task<void> read_content(AccountRef account, MailboxId mailbox, Uid uid, std::uint64_t offset, std::uint64_t length, std::string& into) override;
  net::Task<QuotaUsage> quota(AccountRef account) override;

  net::Task<AppendResult> append(AccountRef account, std::string mailbox, std::vector<AppendMessage> messages, bool create_missing,
                                 std::string once) override;
  net::Task<void> forget_once(AccountRef account, std::string once) override;
  net::Task<StoreFlagsResult> store_flags(AccountRef account, MailboxId mailbox, StoreFlagsRequest request) override;
  net::Task<ExpungeResult> expunge(AccountRef account, MailboxId mailbox, std::optional<NumberSet> uids, bool any_flag) override;
  net::Task<CopyResult> copy(AccountRef account, MailboxId from, NumberSet uids, std::string to) override;
  net::Task<CopyResult> move(AccountRef account, MailboxId from, NumberSet uids, std::string to) override;
  net::Task<void> set_quota(AccountRef account, std::uint64_t octets_limit, std::uint64_t messages_limit) override;
  net::Task<void> set_uid_next(AccountRef account, MailboxId mailbox, Uid uid_next, ModSeq highest_mod_seq) override;
  net::Task<void> remove_account(AccountRef account) override;

  std::unique_ptr<Subscription> subscribe_changes(AccountId account, std::function<void(const ChangeEvent&)> callback) override;

  std::size_t shards() const override { return engines_.size(); }
  Result<void> writable(ShardNumber shard) const override;

 private:
  friend class ShardedImport;
  using Blobs = std::vector<std::shared_ptr<const EncodedBlob>>;

  Result<Engine*> engine_of(AccountRef account) const;
  Result<std::unique_ptr<Snapshot>> snapshot(AccountRef account) const;
  model::Context context(AccountRef account, model::Door door = model::Door::store) const;
  /// One transaction: loads the account, runs f(Work&, blobs) -> Result<T>, saves.
  template <class F>
  auto write(AccountRef account, Blobs blobs, F f, model::Door door = model::Door::store) -> net::Task<typename std::invoke_result_t<F&, model::Work&, std::span<const BlobId>>::value_type>;
  /// One transaction over the bare Txn: f(Txn&) -> Result<T>.
  template <class F>
  auto write_raw(AccountRef account, F f) -> net::Task<typename std::invoke_result_t<F&, Txn&>::value_type>;
  /// An account's mailboxes exist from its first touch on.
  net::Task<void> make_account(AccountRef account);
  net::Task<void> clear_removed(AccountRef account);
  /// A snapshot with the account's mailboxes in it.
  net::Task<std::unique_ptr<Snapshot>> touched_snapshot(AccountRef account);

  const Clock& clock_;
  net::WorkerPool* const pool_;
  const Compression compression_;
  std::uint32_t group_messages_ = model::kGroupMessages;
  model::RecentClaims recent_;
  model::ChangeFeed feed_;
  const std::unique_ptr<ShardedImport> import_;
  const std::vector<std::unique_ptr<Engine>> engines_;  // last: gone first, so that no event comes later
};

}  // namespace relais::storage
