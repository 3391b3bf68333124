// What moves have come to, durable: the stage of each account, how far each mailbox was copied, findings, waves, events.
#pragma once

#include "base/result.h"
#include "migrate/journal_records.h"
#include "net/task.h"
#include "storage/engine.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace relais::migrate {

/// Findings that are none any more.
struct Resolved {
  std::string code;
  std::optional<std::string> mailbox{};  ///< storage name; nullopt: all findings with this code; empty: the account's own
  std::optional<Uid> uid{};              ///< with a mailbox; nullopt: all of it
};

/// What one step changes, all in one transaction: mailboxes that are gone and findings that are resolved go first, then the others are
/// written. Members that are empty change nothing.
struct JournalStep {
  std::optional<StageRecord> stage{};
  std::vector<std::string> gone{};  ///< wire names of mailboxes that are no more: what was found in them goes along
  std::vector<MailboxStep> mailboxes{};
  std::vector<Resolved> resolved{};
  std::vector<Finding> findings{};
};

/// All that is known of one account's move.
struct AccountJournal {
  std::optional<StageRecord> stage{};
  std::vector<MailboxStep> mailboxes{};
  std::vector<Finding> findings{};
};

/// The journal over an engine of its own (DIR/data/migrate).
///
/// Threads: any. Durability: what changes something returns after the commit. Errors: those of storage::Engine, Fault::corrupt for records
/// of an unknown version, and those named. A step that fails has most likely changed nothing, but after "READ_ONLY" it may be there when
/// the journal is opened again: who made it must be right either way, and must not go on as if it were there. Lifetime: outlives its calls.
class Journal {
 public:
  static constexpr std::uint64_t kEvents = 10'000;  ///< the newest are kept

  /// Blocks. @param engine  of DIR/data/migrate, nobody else's. Errors: Fault::refused where a newer release has written it.
  static net::Task<std::unique_ptr<Journal>> open(std::unique_ptr<storage::Engine> engine);
  ~Journal();

  // ---- accounts
  /// @param expected  the stage that is there now, nullopt: no record yet
  /// Errors: Fault::refused "STAGE", and nothing is changed, where it is another, or the new one may not follow it
  net::Task<void> step(AccountNumber account, std::optional<Stage> expected, JournalStep change);
  /// What an administrator agrees to, in whatever stage; a step does not change it once there is a stage.
  /// Errors: Fault::refused "NONEXISTENT" without a stage.
  net::Task<void> set_consents(AccountNumber account, std::uint8_t consents);
  Result<std::optional<StageRecord>> stage(AccountNumber account) const;
  Result<AccountJournal> account(AccountNumber account) const;
  /// Every account that has a stage, ascending; return false to stop. From one view, at the cost of all keys: for the start and for
  /// status. A record that cannot be read ends it.
  Result<void> for_each(const std::function<bool(AccountNumber, const StageRecord&)>& visit) const;
  /// As if it had never been moved.
  net::Task<void> forget(AccountNumber account);

  /// Many accounts in one transaction. A day that is before the one that is there changes nothing.
  net::Task<void> note_use(std::vector<std::pair<AccountNumber, UseRecord>> records);
  Result<UseRecord> use(AccountNumber account) const;

  // ---- waves
  struct PlannedWave {
    WaveRecord wave;
    std::vector<std::string> accounts;  ///< addresses; `wave.accounts` becomes their number
  };
  /// All waves of a platform at once, with their accounts; those of it that are planned and not among them go.
  /// Errors: Fault::refused "STARTED" where one of these names is that of a wave that is not `planned` any more, or of another platform's;
  /// Fault::syntax for a name that is none
  net::Task<void> set_plan(std::string platform, std::vector<PlannedWave> waves);
  /// Fault::refused "NONEXISTENT" where there is none of this name.
  net::Task<void> set_wave(WaveRecord wave);
  /// By name.
  Result<std::vector<WaveRecord>> waves() const;
  /// Addresses, sorted.
  Result<std::vector<std::string>> wave_accounts(std::string_view wave) const;

  // ---- events
  net::Task<void> add_event(JournalEvent event);
  /// Newest first.
  Result<std::vector<JournalEvent>> events(std::size_t most) const;

  /// False where a step would be refused now; says why.
  Result<void> writable() const { return engine_->writable(); }
  /// Waits for what is in flight; later steps are refused.
  void close();

 private:
  explicit Journal(std::unique_ptr<storage::Engine> engine);
  const std::unique_ptr<storage::Engine> engine_;
};

}  // namespace relais::migrate
