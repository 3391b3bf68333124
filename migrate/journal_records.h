// What the journal of moves keeps, and its octets; docs/format.md has the tables and worked examples.
#pragma once

#include "base/result.h"
#include "directory/account.h"
#include "migrate/figures.h"
#include "migrate/finding.h"
#include "storage/types.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

using directory::AccountNumber;

/// Where an account is on its way. The numbers are stored; 6 to 8 are for the way back.
enum class Stage : std::uint8_t {
  planned = 0,  ///< wanted; nothing was done
  copying = 1,
  tailing = 2,    ///< all mailboxes were in step once; kept so
  cutover = 3,    ///< frozen, or about to be: the placement may be `moving`. After a crash: released
  switching = 4,  ///< verified: after a crash completed
  native = 5,     ///< it lives here
  settled = 9,
  stuck = 10,    ///< a person must look
  skipped = 11,  ///< a person has decided that it stays where it is
};
std::string_view to_string(Stage stage) noexcept;
/// Which stage may follow which; a stage may follow itself.
bool may_follow(Stage now, Stage next) noexcept;

/// What an administrator has agreed to for an account, as bits.
enum Consent : std::uint8_t {
  kConsentNone = 0,
  kNoWayBack = 1,         ///< it may be switched although it cannot be taken back
  kAllowUnreadable = 2,   ///< … without messages that the source cannot give
  kWithoutUidls = 4,      ///< … although it has used POP3, and its POP3 client will download everything again
  kWithoutMailboxes = 8,  ///< … without mailboxes of its own that cannot be carried
};

/// Key `a` of an account.
struct StageRecord {
  Stage stage = Stage::planned;
  std::int64_t since = 0;          ///< seconds since epoch
  std::uint64_t epoch = 0;         ///< of the placement that this stage relies on; cutover and switching: the one before the freeze
  std::string platform{};          ///< source
  storage::ShardNumber shard = 0;  ///< target
  std::string wave{};              ///< empty: none
  std::uint8_t consents = kConsentNone;
  bool verified_in_full = false;              ///< both ends were compared message by message, and nothing was found since
  std::uint16_t attempts = 0;                 ///< released cutovers in a row
  std::uint16_t failures = 0;                 ///< passes that failed in a row
  std::int64_t not_before = 0;                ///< seconds since epoch; of the next attempt or pass
  std::string error{};                        ///< why it does not go on, or of the last failure: one line; empty: none
  PassFigures last{};                         ///< the last pass
  std::array<std::uint32_t, 4> freezes_ms{};  ///< the last ones, newest first; 0: none
  std::uint64_t messages = 0;                 ///< at the source when it was listed last
  std::uint64_t copied_messages = 0;          ///< by all passes
  std::uint64_t copied_octets = 0;
  friend bool operator==(const StageRecord&, const StageRecord&) = default;
};

/// Key `m` of an account: a mailbox, as far as it was copied.
struct MailboxStep {
  std::string wire{};  ///< what the source calls it
  std::string name{};  ///< storage name
  Cursor cursor{};     ///< the target is as the source was then; all zero: to be compared with the source in full
  friend bool operator==(const MailboxStep&, const MailboxStep&) = default;
};

/// Key `l`: how an account was used lately. Decides whether a POP3 client must be reckoned with.
struct UseRecord {
  std::int32_t last_imap = 0;  ///< day of the last session, days since epoch; 0: never
  std::int32_t last_pop = 0;
  friend bool operator==(const UseRecord&, const UseRecord&) = default;
};

/// Key `w`.
struct WaveRecord {
  enum class State : std::uint8_t { planned = 0, running = 1, paused = 2, done = 3, rolled_back = 4 };
  std::string platform{};
  std::string name{};  ///< 1 to 64 octets, without NUL
  State state = State::planned;
  std::string why{};  ///< paused: by whom or by what
  std::uint32_t accounts = 0;
  std::string window{};       ///< "01:00-06:00" local time, in which accounts may be switched; empty: always
  std::uint32_t at_once = 0;  ///< accounts being copied; 0: as the runner has it
  std::int64_t created = 0;   ///< seconds since epoch
  std::int64_t started = 0;
  std::int64_t ended = 0;
  friend bool operator==(const WaveRecord&, const WaveRecord&) = default;
};
std::string_view to_string(WaveRecord::State state) noexcept;

/// Key `e`.
struct JournalEvent {
  std::int64_t time = 0;  ///< seconds since epoch
  std::string kind{};     ///< "wave-started", "released", "switched", …
  std::string subject{};  ///< wave or address
  std::string text{};
  friend bool operator==(const JournalEvent&, const JournalEvent&) = default;
};

// Decoders: Fault::corrupt for a record that is not of a known version or does not end where it should.
std::string encode(const StageRecord& record);
Result<StageRecord> decode_stage(std::string_view octets);
std::string encode(const MailboxStep& record);
Result<MailboxStep> decode_mailbox_step(std::string_view octets);
std::string encode(const Finding& finding);
Result<Finding> decode_finding(std::string_view octets);
std::string encode(const UseRecord& record);
Result<UseRecord> decode_use(std::string_view octets);
std::string encode(const WaveRecord& record);
Result<WaveRecord> decode_wave(std::string_view octets);
std::string encode(const JournalEvent& event);
Result<JournalEvent> decode_event(std::string_view octets);

// ---- keys. Names of more than 200 octets appear in them as their first 200, 0xFF and the SHA-256 of the whole.
inline constexpr std::string_view kStageKey = "a";
std::string mailbox_step_key(std::string_view wire);
/// @param mailbox  empty: the account
std::string finding_key(std::string_view code, std::string_view mailbox, storage::Uid uid);
/// What the keys of all findings with this code begin with, or of those of one mailbox.
std::string finding_prefix(std::string_view code);
std::string finding_prefix(std::string_view code, std::string_view mailbox);
// Of account 0:
inline constexpr std::string_view kFormatKey = "v";
std::string use_key(AccountNumber account);
std::string wave_key(std::string_view wave);
std::string wave_account_prefix(std::string_view wave);
std::string wave_account_key(std::string_view wave, std::string_view address);
std::string event_key(std::uint64_t serial);

}  // namespace relais::migrate
