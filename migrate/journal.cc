// The journal of moves: keys of an engine, read and written in one transaction per step.
#include "migrate/journal.h"

#include "base/encode.h"

#include <algorithm>
#include <set>

namespace relais::migrate {
namespace {

using storage::AccountId;
using storage::BlobId;
using storage::KeyValue;
using storage::Reader;
using storage::Txn;

constexpr std::uint8_t kFormat = 1;       // of the whole journal; a higher one is a newer release's
constexpr AccountId kNobody{0};           // has what concerns no account
constexpr std::size_t kMaxWaveName = 64;  // octets
constexpr std::string_view kEmptyRecord{"\x01", 1};

AccountId id(AccountNumber account) noexcept { return AccountId{account}; }

/// The first key behind all that begin with `prefix`, which does not end with 0xFF.
std::string behind(std::string prefix) {
  ++prefix.back();
  return prefix;
}

/// Walks all keys that begin with `prefix`; `visit` gives a Result<bool>: whether to go on.
template <class F>
Result<void> each(const Reader& reader, const std::string& prefix, F visit) {
  Result<void> outcome;
  RELAIS_TRY_VOID(reader.range(prefix, behind(prefix), [&](const KeyValue& entry) {
    Result<bool> more = visit(entry);
    if (!more) outcome = fail(std::move(more).error());
    return more.value_or(false);
  }));
  return outcome;
}

/// All records that begin with `prefix`, decoded.
template <class T>
Result<std::vector<T>> all(const Reader& reader, const std::string& prefix, Result<T> (*decode)(std::string_view)) {
  std::vector<T> found;
  RELAIS_TRY_VOID(each(reader, prefix, [&](const KeyValue& entry) -> Result<bool> {
    RELAIS_TRY(auto record, decode(entry.value));
    found.push_back(std::move(record));
    return true;
  }));
  return found;
}

template <class T>
Result<std::optional<T>> one(const Reader& reader, std::string_view key, Result<T> (*decode)(std::string_view)) {
  RELAIS_TRY(const auto value, reader.get(key));
  if (!value) return std::optional<T>{};
  RELAIS_TRY(auto record, decode(*value));
  return std::optional<T>(std::move(record));
}

Result<void> erase_prefix(Txn& txn, const std::string& prefix) {
  std::vector<std::string> keys;
  RELAIS_TRY_VOID(each(txn, prefix, [&](const KeyValue& entry) -> Result<bool> {
    keys.emplace_back(entry.key);
    return true;
  }));
  for (const auto& key : keys) RELAIS_TRY_VOID(txn.erase(key));
  return {};
}

Result<void> erase(Txn& txn, const Resolved& resolved) {
  if (!resolved.mailbox) return erase_prefix(txn, finding_prefix(resolved.code));
  if (!resolved.uid) return erase_prefix(txn, finding_prefix(resolved.code, *resolved.mailbox));
  return txn.erase(finding_key(resolved.code, *resolved.mailbox, *resolved.uid));
}

Result<void> erase_mailbox(Txn& txn, std::string_view wire) {
  RELAIS_TRY(const auto mailbox, one(txn, mailbox_step_key(wire), decode_mailbox_step));
  if (!mailbox) return {};
  RELAIS_TRY(const auto findings, all(txn, "f", decode_finding));
  for (const auto& finding : findings) {
    if (finding.mailbox == mailbox->name) RELAIS_TRY_VOID(txn.erase(finding_key(finding.code, finding.mailbox, finding.uid)));
  }
  return txn.erase(mailbox_step_key(wire));
}

Result<void> apply(Txn& txn, std::optional<Stage> expected, const JournalStep& change) {
  RELAIS_TRY(const auto there, one(txn, kStageKey, decode_stage));
  const auto name = [](std::optional<Stage> stage) { return stage ? to_string(*stage) : std::string_view("no stage"); };
  const auto now = there ? std::optional(there->stage) : std::nullopt;
  if (now != expected)
    return fail(Fault::refused, "the account has come to another stage meanwhile", "STAGE", std::string("is at ").append(name(now)));
  if (change.stage) {
    if (now ? !may_follow(*now, change.stage->stage) : change.stage->stage != Stage::planned)
      return fail(Fault::refused, std::string(name(change.stage->stage)).append(" cannot follow ").append(name(now)), "STAGE");
    auto next = *change.stage;
    if (there) next.consents = there->consents;
    RELAIS_TRY_VOID(txn.put(kStageKey, encode(next)));
  }
  for (const auto& wire : change.gone) RELAIS_TRY_VOID(erase_mailbox(txn, wire));
  for (const auto& mailbox : change.mailboxes) RELAIS_TRY_VOID(txn.put(mailbox_step_key(mailbox.wire), encode(mailbox)));
  for (const auto& resolved : change.resolved) RELAIS_TRY_VOID(erase(txn, resolved));
  for (const auto& finding : change.findings)
    RELAIS_TRY_VOID(txn.put(finding_key(finding.code, finding.mailbox, finding.uid), encode(finding)));
  return {};
}

Result<void> check_format(Txn& txn) {
  RELAIS_TRY(const auto format, txn.get(kFormatKey));
  if (!format) return txn.put(kFormatKey, std::string(1, static_cast<char>(kFormat)));
  if (format->size() != 1) return fail(Fault::corrupt, "the journal of moves is damaged", "", "format record");
  if (static_cast<std::uint8_t>(format->front()) > kFormat)
    return fail(Fault::refused, "the journal of moves was written by a newer release");
  return {};
}

Result<void> replace_plan(Txn& txn, std::string_view platform, const std::vector<Journal::PlannedWave>& waves) {
  RELAIS_TRY(const auto there, all(txn, wave_key(""), decode_wave));
  for (const auto& before : there) {
    const bool again = std::ranges::any_of(waves, [&](const auto& next) { return next.wave.name == before.name; });
    const bool open = before.platform == platform && before.state == WaveRecord::State::planned;
    if (again && !open)
      return fail(Fault::refused, "there is a wave of that name that cannot be changed any more: " + before.name, "STARTED");
    if (!open) continue;
    RELAIS_TRY_VOID(txn.erase(wave_key(before.name)));
    RELAIS_TRY_VOID(erase_prefix(txn, wave_account_prefix(before.name)));
  }
  for (const auto& next : waves) {
    RELAIS_TRY_VOID(txn.put(wave_key(next.wave.name), encode(next.wave)));
    for (const auto& address : next.accounts) RELAIS_TRY_VOID(txn.put(wave_account_key(next.wave.name, address), kEmptyRecord));
  }
  return {};
}

bool is_wave_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxWaveName && name.find('\0') == std::string_view::npos;
}

}  // namespace

Journal::Journal(std::unique_ptr<storage::Engine> engine) : engine_(std::move(engine)) {}
Journal::~Journal() = default;

net::Task<std::unique_ptr<Journal>> Journal::open(std::unique_ptr<storage::Engine> engine) {
  auto journal = std::unique_ptr<Journal>(new Journal(std::move(engine)));
  RELAIS_CO_TRY_VOID(co_await journal->engine_->transact(kNobody, {}, [](Txn& txn, std::span<const BlobId>) { return check_format(txn); }));
  co_return journal;
}

void Journal::close() { engine_->close(); }

// ---- accounts

net::Task<void> Journal::step(AccountNumber account, std::optional<Stage> expected, JournalStep change) {
  co_return co_await engine_->transact(
      id(account), {}, [expected, change = std::move(change)](Txn& txn, std::span<const BlobId>) { return apply(txn, expected, change); });
}

net::Task<void> Journal::set_consents(AccountNumber account, std::uint8_t consents) {
  const auto body = [consents](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY(auto there, one(txn, kStageKey, decode_stage));
    if (!there) return fail(Fault::refused, "the account is not being moved", "NONEXISTENT");
    there->consents = consents;
    return txn.put(kStageKey, encode(*there));
  };
  co_return co_await engine_->transact(id(account), {}, body);
}

Result<std::optional<StageRecord>> Journal::stage(AccountNumber account) const {
  RELAIS_TRY(const auto snapshot, engine_->read(id(account)));
  return one(*snapshot, kStageKey, decode_stage);
}

Result<AccountJournal> Journal::account(AccountNumber account) const {
  RELAIS_TRY(const auto snapshot, engine_->read(id(account)));
  AccountJournal found;
  RELAIS_TRY(found.stage, one(*snapshot, kStageKey, decode_stage));
  RELAIS_TRY(found.mailboxes, all(*snapshot, mailbox_step_key(""), decode_mailbox_step));
  RELAIS_TRY(found.findings, all(*snapshot, "f", decode_finding));
  return found;
}

Result<void> Journal::for_each(const std::function<bool(AccountNumber, const StageRecord&)>& visit) const {
  RELAIS_TRY(const auto view, engine_->view());
  Result<void> outcome;
  RELAIS_TRY_VOID(view->for_each_key([&](AccountId account, const KeyValue& entry) {
    if (account == kNobody || entry.key != kStageKey) return true;
    const auto record = decode_stage(entry.value);
    if (!record) outcome = fail(record.error());
    return record && visit(static_cast<AccountNumber>(account), *record);
  }));
  return outcome;
}

net::Task<void> Journal::forget(AccountNumber account) {
  RELAIS_CO_TRY_VOID(co_await engine_->erase_account(id(account)));
  co_return co_await engine_->transact(kNobody, {}, [account](Txn& txn, std::span<const BlobId>) { return txn.erase(use_key(account)); });
}

net::Task<void> Journal::note_use(std::vector<std::pair<AccountNumber, UseRecord>> records) {
  const auto body = [records = std::move(records)](Txn& txn, std::span<const BlobId>) -> Result<void> {
    for (const auto& [account, use] : records) {
      RELAIS_TRY(auto known, one(txn, use_key(account), decode_use));
      const UseRecord before = known.value_or(UseRecord{});
      const UseRecord after{.last_imap = std::max(before.last_imap, use.last_imap), .last_pop = std::max(before.last_pop, use.last_pop)};
      if (after != before) RELAIS_TRY_VOID(txn.put(use_key(account), encode(after)));
    }
    return {};
  };
  co_return co_await engine_->transact_along(kNobody, {}, body);
}

Result<UseRecord> Journal::use(AccountNumber account) const {
  RELAIS_TRY(const auto snapshot, engine_->read(kNobody));
  RELAIS_TRY(auto found, one(*snapshot, use_key(account), decode_use));
  return found.value_or(UseRecord{});
}

// ---- waves

net::Task<void> Journal::set_plan(std::string platform, std::vector<PlannedWave> waves) {
  std::set<std::string> names;
  for (auto& next : waves) {
    if (!names.insert(next.wave.name).second) co_return fail(Fault::syntax, "two waves have one name: " + next.wave.name);
    if (!is_wave_name(next.wave.name)) co_return fail(Fault::syntax, "the name of a wave has 1 to 64 octets");
    next.wave.platform = platform;
    std::ranges::sort(next.accounts);
    const auto again = std::ranges::unique(next.accounts);
    next.accounts.erase(again.begin(), again.end());
    next.wave.accounts = static_cast<std::uint32_t>(next.accounts.size());
  }
  co_return co_await engine_->transact(kNobody, {},
                                       [platform = std::move(platform), waves = std::move(waves)](Txn& txn, std::span<const BlobId>) {
                                         return replace_plan(txn, platform, waves);
                                       });
}

net::Task<void> Journal::set_wave(WaveRecord wave) {
  const auto body = [wave = std::move(wave)](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY(const auto there, txn.get(wave_key(wave.name)));
    if (!there) return fail(Fault::refused, "no such wave: " + wave.name, "NONEXISTENT");
    return txn.put(wave_key(wave.name), encode(wave));
  };
  co_return co_await engine_->transact(kNobody, {}, body);
}

Result<std::vector<WaveRecord>> Journal::waves() const {
  RELAIS_TRY(const auto snapshot, engine_->read(kNobody));
  return all(*snapshot, wave_key(""), decode_wave);
}

Result<std::vector<std::string>> Journal::wave_accounts(std::string_view wave) const {
  RELAIS_TRY(const auto snapshot, engine_->read(kNobody));
  const auto prefix = wave_account_prefix(wave);
  std::vector<std::string> found;
  RELAIS_TRY_VOID(each(*snapshot, prefix, [&](const KeyValue& entry) -> Result<bool> {
    found.emplace_back(entry.key.substr(prefix.size()));
    return true;
  }));
  return found;
}

// ---- events

net::Task<void> Journal::add_event(JournalEvent event) {
  const auto body = [event = std::move(event)](Txn& txn, std::span<const BlobId>) -> Result<void> {
    RELAIS_TRY(const auto newest, txn.last_in("e", "f"));
    std::uint64_t serial = 0;
    if (newest) {
      Decoder in(std::string_view(newest->first).substr(1));
      serial = in.u64() + 1;
    }
    RELAIS_TRY_VOID(txn.put(event_key(serial), encode(event)));
    return serial < kEvents ? Result<void>{} : txn.erase(event_key(serial - kEvents));
  };
  co_return co_await engine_->transact_along(kNobody, {}, body);
}

Result<std::vector<JournalEvent>> Journal::events(std::size_t most) const {
  std::vector<JournalEvent> found;
  if (most == 0) return found;
  RELAIS_TRY(const auto snapshot, engine_->read(kNobody));
  RELAIS_TRY(const auto newest, snapshot->last_in("e", "f"));
  if (!newest) return found;
  Decoder in(std::string_view(newest->first).substr(1));
  const auto last = in.u64();
  const auto first = last + 1 > most ? last + 1 - most : 0;
  Result<void> outcome;
  RELAIS_TRY_VOID(snapshot->range(event_key(first), "f", [&](const KeyValue& entry) {
    auto event = decode_event(entry.value);
    if (event)
      found.push_back(*std::move(event));
    else
      outcome = fail(std::move(event).error());
    return outcome.has_value();
  }));
  RELAIS_TRY_VOID(std::move(outcome));
  std::ranges::reverse(found);
  return found;
}

}  // namespace relais::migrate
