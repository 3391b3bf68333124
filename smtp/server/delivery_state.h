// The inside of the delivery agent: what is known of intents, and the steps on one of them.
#pragma once

#include "base/metrics.h"
#include "message/delivery_status.h"
#include "smtp/server/delivery.h"

#include <mutex>
#include <optional>
#include <utility>
#include <vector>

namespace relais::smtp {

/// How far one target of an intent is.
enum class TargetState : std::uint8_t {
  open,  ///< to be tried (again)
  delivered,
  bounced,   ///< failed, and the sender was told
  stranded,  ///< failed, and there is nobody to tell
};

/// An intent that needs more work. Small: the message and its envelope stay in the store.
struct Unfinished {
  storage::ShardNumber shard = 0;
  storage::Uid uid = 0;
  bool only_forget = false;  ///< found with \Deleted: everybody has it already
  unsigned attempts = 0;
  std::chrono::steady_clock::time_point due{};
  std::vector<TargetState> states{};  ///< empty: all open
};

/// An intent whose targets are all settled: to be cleared.
struct Finished {
  storage::ShardNumber shard = 0;
  storage::Uid uid = 0;
  bool hold = false;  ///< keep the message in "held"
  unsigned attempts = 0;
  std::vector<std::pair<storage::AccountRef, std::string>> once{};  ///< delivery ids to forget
};

struct Delivery::Impl {
  Impl(storage::Store& mail, directory::Directory& names, DeliveryOptions chosen, const Clock& time, DeliveryParts others);

  // ---- for sessions, any thread
  static net::Task<void> deliver(std::shared_ptr<Impl> self, Envelope envelope, storage::PreparedPtr message);
  net::Task<void> deliver_to_many(Envelope envelope, storage::PreparedPtr message);
  storage::AppendMessage copy_for(std::string_view sender, std::string_view recipient, std::string_view trace,
                                  storage::PreparedPtr message) const;
  Result<storage::ShardNumber> choose_shard(const std::vector<Target>& targets) const;

  // ---- for work() and recover(), one coroutine at a time
  static net::Task<void> recover(std::shared_ptr<Impl> self);
  net::Task<void> recover_shard(storage::ShardNumber shard);
  static net::Task<std::chrono::steady_clock::duration> work(std::shared_ptr<Impl> self);
  static net::asio::awaitable<void> run(std::shared_ptr<Impl> self);

  /// One more attempt on an intent; gives it back to `unfinished` or `finished`.
  net::asio::awaitable<void> resume(Unfinished entry);
  net::asio::awaitable<void> settle(Unfinished& entry, const StoredIntent& stored, std::string_view content);
  net::Task<void> try_target(const StoredIntent& stored, std::size_t index, storage::PreparedPtr message);
  /// Gives the copy of an account that lies elsewhere by now to the queue.
  net::Task<void> hand_over(const StoredIntent& stored, std::size_t index, const directory::Account& account, storage::PreparedPtr message);
  /// Tells the sender, if it wants to hear. @return false where there is nobody to tell; Fault::temporary where it has to wait
  net::Task<bool> bounce(const StoredIntent& stored, std::size_t index, std::string_view content, const Error& why);
  net::Task<void> bounce_locally(const StoredIntent& stored, std::size_t index, const std::string& text, const std::vector<storage::AccountRef>& accounts);
  net::Task<void> bounce_by_queue(const StoredIntent& stored, std::size_t index, const message::BuiltReport& report, std::string destination);
  net::Task<std::vector<storage::AccountRef>> sender_accounts(const std::string& sender);
  net::Task<std::vector<std::pair<storage::AccountRef, std::string>>> ids_to_forget(const StoredIntent& stored,
                                                                                    const std::vector<TargetState>& states);

  net::asio::awaitable<void> clear(std::vector<Finished> entries);
  net::asio::awaitable<void> clear_shard(storage::ShardNumber shard, std::vector<Finished> entries);
  net::Task<void> hold(storage::ShardNumber shard, storage::MailboxId mailbox, storage::Uid uid);

  void trace_delivered(std::string_view id, std::string_view recipient, storage::AccountRef account, const storage::AppendResult& result);

  void add(Unfinished entry);
  void add(Finished entry);
  std::chrono::seconds pause_after(unsigned attempts) const;
  std::optional<storage::MailboxId> mailbox_of(storage::ShardNumber shard) const;
  void note_mailbox(storage::ShardNumber shard, storage::MailboxId mailbox);

  // Constant after construction.
  storage::Store& store;
  directory::Directory& directory;
  const DeliveryOptions options;
  const Clock& clock;
  const DeliveryParts parts;
  metrics::Gauge& open_intents;
  metrics::Gauge& unlisted;
  metrics::Counter& retries;
  metrics::Counter& bounces;
  metrics::Gauge& held;

  struct Shard {
    bool listed = false;  ///< recover() knows what an earlier process left here
    std::optional<storage::MailboxId> mailbox;
  };
  mutable std::mutex mutex;
  std::vector<Shard> shards;  // guarded by mutex, as are all below
  std::vector<Unfinished> unfinished;
  std::vector<Finished> finished;
  std::size_t in_hand = 0;  ///< intents that work() has taken out of the lists
  std::chrono::steady_clock::time_point next_sweep{};
};

/// Refusals that time may heal: an account that is over its quota now.
bool may_pass(const Error& error) noexcept;

/// Where a message lies, as traces tell it: "shard 1 account 12 mailbox 3 uid 17".
std::string place_text(storage::AccountRef account, const storage::AppendResult& result);

/// Delivery id of the bounce about one target.
std::string bounce_once(std::string_view id, std::size_t index);

}  // namespace relais::smtp
