// For tests of moves: mail as a model, at both ends, over a real directory, gate and journal, with faults on demand.
#pragma once

#include "directory/test_support.h"
#include "migrate/account_move.h"
#include "net/test_support.h"
#include "storage/engine/memory_engine.h"

#include <atomic>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace relais::migrate::testing {

/// What lies at one side: by mailbox and UID. Threads: any.
class Mail {
 public:
  using Mailbox = std::map<Uid, std::string>;
  using Mailboxes = std::map<std::string, Mailbox>;

  Mailboxes all() const;
  void set(Mailboxes all);
  /// @return the UID that it was given
  Uid append(const std::string& mailbox, std::string text);
  void erase(const std::string& mailbox, Uid uid);
  void edit(const std::function<void(Mailboxes&)>& change);
  friend bool operator==(const Mail& a, const Mail& b) { return a.all() == b.all(); }

 private:
  mutable std::mutex mutex_;
  Mailboxes mailboxes_;  // guarded by mutex_
};

/// A shard of one account, as far as moves see it: its state, and mail that only the one may write whom the state lets.
class ModelShard final : public storage::Import {
 public:
  net::Task<void> set_state(storage::AccountRef account, storage::AccountState expected, storage::AccountState state) override;
  net::Task<storage::AccountState> state(storage::AccountRef account) override;
  net::Task<std::vector<storage::MailboxInfo>> list(storage::AccountRef account) override;
  net::Task<storage::MailboxView> open(storage::AccountRef account, storage::MailboxId mailbox) override;
  net::Task<void> fetch(storage::AccountRef account, storage::MailboxId mailbox, storage::FetchRequest request,
                        storage::FetchBatch& batch) override;
  net::Task<storage::MailboxInfo> create(storage::AccountRef account, storage::ImportedMailbox mailbox) override;
  net::Task<void> rename(storage::AccountRef account, storage::MailboxId mailbox, std::string to) override;
  net::Task<void> remove(storage::AccountRef account, storage::MailboxId mailbox) override;
  net::Task<void> set_subscriptions(storage::AccountRef account, std::vector<std::string> names) override;
  net::Task<void> append(storage::AccountRef account, storage::MailboxId mailbox, std::vector<storage::ImportedMessage> messages) override;
  net::Task<void> impose(storage::AccountRef account, storage::MailboxId mailbox, std::vector<storage::ImposedState> states) override;
  net::Task<void> expunge(storage::AccountRef account, storage::MailboxId mailbox, NumberSet uids, storage::ModSeq mod_seq) override;
  net::Task<void> set_counters(storage::AccountRef account, storage::MailboxId mailbox, storage::ImportedCounters counters) override;
  net::Task<std::vector<storage::Attribute>> attributes(storage::AccountRef account, std::optional<storage::MailboxId> mailbox) override;
  net::Task<void> set_attributes(storage::AccountRef account, std::optional<storage::MailboxId> mailbox,
                                 std::vector<storage::Attribute> attributes) override;
  net::Task<std::vector<storage::ContentDigest>> digests(storage::AccountRef account, storage::MailboxId mailbox, NumberSet uids) override;
  net::Task<storage::PreparedPtr> take(storage::AccountRef account, storage::MailboxId mailbox, Uid uid) override;

  /// Makes the mailbox so (nullopt: removes it). Fault::refused "STATE" where it is not importing.
  Result<void> import(const std::string& mailbox, std::optional<Mail::Mailbox> content);
  /// What a frontend does. Fault::temporary "MOVED" where it is not open.
  Result<Uid> deliver(const std::string& mailbox, std::string text);
  storage::AccountState now() const;

  Mail mail;
  std::atomic<int> fail_states{0};  ///< so many changes of the state fail from now on

 private:
  mutable std::mutex mutex_;
  storage::AccountState state_ = storage::AccountState::open;  // guarded by mutex_
};

/// What goes wrong at the ends; each may be empty.
struct Script {
  /// Before a pass or a verification does anything. An Error is its.
  std::function<net::Task<void>(bool frozen)> before_pass{};
  std::function<net::Task<void>()> before_verify{};
  std::function<Result<void>()> on_open{};
  std::set<std::string> unseen{};    ///< mailboxes whose changes passes do not see, unless they are copied anew
  std::set<std::string> hopeless{};  ///< … not even then
  std::vector<Finding> findings{};   ///< told by each pass
  std::uint64_t passes = 0;
  std::uint64_t opened = 0;
  std::uint64_t verified = 0;  ///< in full
  VerifyRules asked{};         ///< of the last verification
};

/// Delegates to a directory; changes of placements fail on demand.
class FaultyMoves final : public directory::Moves {
 public:
  enum class Fault : std::uint8_t { none, unwritten, lost_reply };
  explicit FaultyMoves(directory::MovingDirectory& real) : real_(real) {}
  /// Asked at each change of a placement.
  std::function<Fault(const directory::Placement& next)> fault{};
  std::atomic<bool> unreadable{false};  ///< located() fails

  net::Task<void> set_platform(directory::LegacyPlatform platform) override { return real_.set_platform(std::move(platform)); }
  net::Task<void> remove_platform(std::string name) override { return real_.remove_platform(std::move(name)); }
  net::Task<std::vector<directory::LegacyPlatform>> platforms() override { return real_.platforms(); }
  net::Task<std::optional<directory::LegacyPlatform>> platform(std::string name) override { return real_.platform(std::move(name)); }
  void listen(Listener listener) override { real_.listen(std::move(listener)); }
  net::Task<std::optional<directory::Located>> locate(std::string user) override { return real_.locate(std::move(user)); }
  net::Task<std::optional<directory::Located>> located(AccountNumber account) override;
  net::Task<directory::Account> add_legacy_account(directory::LegacyAccount account) override {
    return real_.add_legacy_account(std::move(account));
  }
  net::Task<void> set_origin(AccountNumber account, directory::Origin origin) override {
    return real_.set_origin(account, std::move(origin));
  }
  net::Task<directory::Placement> change_placement(AccountNumber account, std::uint64_t expected_epoch, directory::Placement next) override;
  void learn(AccountNumber account, std::uint64_t generation, std::string password) override {
    real_.learn(account, generation, std::move(password));
  }
  net::Task<directory::KnowledgeCounts> knowledge(std::string platform) override { return real_.knowledge(std::move(platform)); }

 private:
  directory::MovingDirectory& real_;
};

/// A platform with one account on the legacy platform `old`. Its mover runs on the second loop; `directory.run()` uses the first.
class MoveWorld {
 public:
  MoveWorld();
  ~MoveWorld();

  /// Runs a coroutine on the mover's loop and waits for it on the calling thread.
  template <class T>
  T run(net::asio::awaitable<T> call) {
    return net::run_on(loop(), std::move(call));
  }
  /// Drives the move until run() says that nothing is to be done before a time that is not now, or so many times.
  Result<AccountMove::Outcome> move(AccountMove::Permission permission = {.copy = true, .cut_over = true}, int most = 20);
  StageRecord stage() const { return journal->stage(ann.number).value().value_or(StageRecord{}); }
  directory::Placement placement();
  std::vector<std::string> findings() const;  ///< codes
  net::Loop& loop() { return directory.loops().at(1); }

  directory::TestDirectory directory;
  FaultyMoves moves{*directory};
  directory::PlacementGate gate{*directory};
  storage::MemoryEngine* engine = nullptr;
  std::unique_ptr<Journal> journal;
  ModelShard shard;
  Mail source;
  Script script;
  ManualClock clock;
  MoveServices services;
  MoveOptions options;
  directory::Account ann;
  std::atomic<int> mail_released{0};
  std::vector<std::string> points;  ///< that were reached
};

/// The two ends over models.
std::unique_ptr<MoveEnds> make_model_ends(Mail& source, ModelShard& shard, Script& script);

}  // namespace relais::migrate::testing
