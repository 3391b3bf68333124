// relais migrate copy|plan|start|pause|resume|status|retry|skip
#include "admin/operations.h"

#include "admin/finding_json.h"
#include "admin/migration.h"
#include "base/clock.h"
#include "directory/placement.h"
#include "migrate/account_move.h"
#include "migrate/wave_plan.h"
#include "migrate/window.h"
#include "smtp/server/gather.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <tuple>

namespace relais::admin {
namespace {

using directory::AccountNumber;
using migrate::Journal;
using migrate::Stage;
using migrate::StageRecord;
using migrate::WaveRecord;
using State = WaveRecord::State;

constexpr std::size_t kAtOnce = 32;      // accounts that are written down at one time: they share commits
constexpr std::uint64_t kTroubles = 50;  // shown of a wave
constexpr std::string_view kByHand = "by-hand";
constexpr std::array<std::string_view, directory::kKnowledges> kKnown{"unknown", "imported", "learned",
                                                                      "set"};  // of passwords, by Knowledge

bool is_address(std::string_view what) { return what.contains('@'); }

net::Task<directory::Account> account_of(Backend& backend, std::string address) {
  RELAIS_CO_TRY(const auto account, co_await backend.directory.find(address));
  if (!account) co_return fail(Fault::refused, "no account '" + address + "'; relais account list shows those there are");
  co_return *account;
}

Result<std::optional<WaveRecord>> wave_of(const Journal& journal, std::string_view name) {
  RELAIS_TRY(auto waves, journal.waves());
  const auto found = std::ranges::find(waves, name, &WaveRecord::name);
  if (found == waves.end()) return std::nullopt;
  return std::move(*found);
}

Result<WaveRecord> existing_wave(const Journal& journal, std::string_view name) {
  RELAIS_TRY(auto wave, wave_of(journal, name));
  if (!wave) return fail(Fault::refused, "no wave '" + std::string(name) + "'; relais migrate status shows those there are", "NONEXISTENT");
  return *std::move(wave);
}

json describe(const std::string& address, const StageRecord& stage) {
  json row{{"address", address},
           {"stage", migrate::to_string(stage.stage)},
           {"since", stage.since},
           {"platform", stage.platform},
           {"shard", stage.shard},
           {"wave", stage.wave},
           {"error", shown(stage.error)},
           {"attempts", stage.attempts},
           {"failures", stage.failures},
           {"not_before", stage.not_before},
           {"verified", stage.verified_in_full},
           {"messages", stage.messages},
           {"copied_messages", stage.copied_messages},
           {"copied_octets", stage.copied_octets},
           {"last",
            {{"appended", stage.last.appended},
             {"octets", stage.last.octets},
             {"flags", stage.last.flags},
             {"expunged", stage.last.expunged},
             {"ms", stage.last.took.count()}}}};
  auto freezes = json::array();
  for (const auto ms : stage.freezes_ms) {
    if (ms != 0) freezes.push_back(ms);
  }
  row["freezes_ms"] = std::move(freezes);
  return row;
}

net::Task<json> account_status(Journal& journal, const directory::Account& account) {
  RELAIS_CO_TRY(const auto known, journal.account(account.number));
  if (!known.stage) co_return fail(Fault::refused, account.address + " is not being moved", "NONEXISTENT");
  auto row = describe(account.address, *known.stage);
  auto findings = json::array();
  for (const auto& finding : known.findings) findings.push_back(admin::describe(finding));
  row["findings"] = std::move(findings);
  row["mailboxes"] = known.mailboxes.size();
  RELAIS_CO_TRY(const auto wave, wave_of(journal, known.stage->wave));
  if (wave) row["wave_state"] = migrate::to_string(wave->state);
  co_return row;
}

storage::ShardNumber shard_for(const Backend& backend, AccountNumber account) {
  return directory::rendezvous_shard(account, static_cast<std::uint16_t>(backend.store.shards()));
}

std::uint8_t consents_of(const json& request) {
  unsigned consents = migrate::kConsentNone;
  if (request.value("no_way_back", false)) consents |= migrate::kNoWayBack;
  if (request.value("allow_unreadable", false)) consents |= migrate::kAllowUnreadable;
  if (request.value("without_mailboxes", false)) consents |= migrate::kWithoutMailboxes;
  if (request.value("without_uidls", false)) consents |= migrate::kWithoutUidls;
  return static_cast<std::uint8_t>(consents);
}

// ---- copy

// The account is made the same here as it is there, once; repeated, only what has changed goes over.
net::Task<json> copy(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(const auto account, co_await account_of(backend, address));
  RELAIS_CO_TRY(const auto moving, co_await backend.moving.running());
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  RELAIS_CO_TRY(const auto hold, co_await moving.runner->hold(account.number));
  RELAIS_CO_TRY(auto stage, journal->stage(account.number));
  if (!stage) {
    RELAIS_CO_TRY(stage, co_await migrate::plan_move(*moving.services, account.number, {.shard = shard_for(backend, account.number)}));
  }
  if (migrate::at_rest(stage->stage))
    co_return fail(Fault::refused, account.address + " is " + std::string(migrate::to_string(stage->stage)) +
                                       (stage->error.empty() ? "" : ": " + stage->error));
  const auto outcome = co_await moving.runner->run_once(account.number);
  RELAIS_CO_TRY(stage, journal->stage(account.number));
  if (stage) moving.runner->changed(account.number, *stage);
  if (!outcome) co_return fail(outcome.error());
  co_return co_await account_status(*journal, account);
}

// ---- plan

struct Candidates {
  std::vector<migrate::PlannedAccount> accounts;
  std::uint64_t elsewhere = 0;  ///< named, but they do not live there
  std::uint64_t begun = 0;      ///< their move has begun
};

net::Task<Candidates> candidates(Backend& backend, const Journal& journal, const std::string& platform, const json& request) {
  const bool by_domain = text_argument_or(request, "group_by", "") == "domain";
  std::map<std::string, std::string, std::less<>> named;
  const auto rows = request.find("rows");
  if (rows != request.end()) {
    for (const auto& row : *rows) named.emplace(row.value("address", ""), row.value("group", ""));
  }
  std::map<AccountNumber, Stage> stages;
  RELAIS_CO_TRY_VOID(journal.for_each([&](AccountNumber account, const StageRecord& record) {
    stages.emplace(account, record.stage);
    return true;
  }));
  Candidates found;
  RELAIS_CO_TRY(const auto accounts, co_await backend.directory.accounts(""));
  std::uint64_t hits = 0;
  for (const auto& account : accounts) {
    if (account.placement.kind != directory::Placement::Kind::legacy || account.placement.legacy != platform) continue;
    const auto row = named.find(account.address);
    if (rows != request.end() && row == named.end()) continue;
    ++hits;
    const auto stage = stages.find(account.number);
    // One that was only copied so far, without a wave, may still be planned.
    if (stage != stages.end() && stage->second != Stage::planned && stage->second != Stage::copying && stage->second != Stage::tailing) {
      ++found.begun;
      continue;
    }
    auto group = row != named.end() && !row->second.empty() ? row->second
                 : by_domain                                ? migrate::domain_group(account.address)
                                                            : std::string();
    found.accounts.push_back({account.address, std::move(group)});
  }
  if (rows != request.end()) found.elsewhere = named.size() - hits;
  co_return found;
}

/// "old/wave-2" of "wave 2"
std::string wave_name(const std::string& platform, std::string name) {
  std::ranges::replace(name, ' ', '-');
  return platform + "/" + name;
}

net::Task<json> plan(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto name, text_argument(request, "name"));
  RELAIS_CO_TRY(const auto platform, co_await backend.moves.platform(name));
  if (!platform)
    co_return fail(Fault::refused, "no legacy platform '" + name + "'; relais legacy list shows those there are", "NONEXISTENT");
  migrate::WaveRules rules;
  rules.canary = static_cast<std::size_t>(number_argument_or(request, "canary", 0));
  RELAIS_CO_TRY(rules.shares, migrate::parse_wave_shares(text_argument_or(request, "waves", "rest")));
  const auto window = text_argument_or(request, "window", "");
  RELAIS_CO_TRY_VOID(migrate::Window::parse(window));
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  RELAIS_CO_TRY(const auto found, co_await candidates(backend, *journal, name, request));
  RELAIS_CO_TRY(const auto waves, migrate::plan_waves(found.accounts, rules));

  // Accounts of waves that have started stay in them.
  std::set<std::string> taken;
  RELAIS_CO_TRY(const auto before, journal->waves());
  for (const auto& wave : before) {
    if (wave.platform != name || wave.state == State::planned) continue;
    RELAIS_CO_TRY(const auto addresses, journal->wave_accounts(wave.name));
    taken.insert(addresses.begin(), addresses.end());
  }
  std::vector<Journal::PlannedWave> planned;
  auto rows = json::array();
  for (const auto& wave : waves) {
    Journal::PlannedWave one;
    one.wave = {.platform = name,
                .name = wave_name(name, wave.name),
                .window = window,
                .at_once = static_cast<std::uint32_t>(number_argument_or(request, "at_once", 0)),
                .created = system_clock().seconds()};
    for (const auto at : wave.accounts) {
      if (!taken.contains(found.accounts[at].address)) one.accounts.push_back(found.accounts[at].address);
    }
    rows.push_back({{"wave", one.wave.name}, {"accounts", one.accounts.size()}, {"wanted", wave.wanted}});
    planned.push_back(std::move(one));
  }
  RELAIS_CO_TRY_VOID(co_await journal->set_plan(name, std::move(planned)));
  if (const auto moving = co_await backend.moving.running(); moving) RELAIS_CO_TRY_VOID(co_await moving->runner->refresh_waves());
  co_return json{
      {"platform", name}, {"window", window}, {"waves", std::move(rows)}, {"elsewhere", found.elsewhere}, {"begun", found.begun}};
}

// ---- start, pause, resume

/// Puts an account into a wave, with what is agreed to for it. @return false where it is not to be moved by that wave (any more)
net::Task<bool> adopt(Backend& backend, const MoveAccess::Running& moving, Journal& journal, std::string address, std::string wave,
                      std::string platform, std::uint8_t consents) {
  RELAIS_CO_TRY(const auto account, co_await backend.directory.find(std::move(address)));
  if (!account || account->placement.kind != directory::Placement::Kind::legacy || account->placement.legacy != platform) co_return false;
  RELAIS_CO_TRY(const auto hold, co_await moving.runner->hold(account->number));
  RELAIS_CO_TRY(auto stage, journal.stage(account->number));
  if (!stage) {
    migrate::PlannedMove how{.shard = shard_for(backend, account->number), .wave = std::move(wave), .consents = consents};
    RELAIS_CO_TRY(stage, co_await migrate::plan_move(*moving.services, account->number, std::move(how)));
  } else {
    if (migrate::at_rest(stage->stage)) co_return false;
    stage->wave = std::move(wave);
    stage->consents = static_cast<std::uint8_t>(stage->consents | consents);
    RELAIS_CO_TRY_VOID(co_await journal.step(account->number, stage->stage, {.stage = *stage}));
    RELAIS_CO_TRY_VOID(co_await journal.set_consents(account->number, stage->consents));
  }
  moving.runner->changed(account->number, *stage);
  co_return true;
}

net::Task<void> note(Journal& journal, std::string kind, std::string subject, std::string text) {
  co_return co_await journal.add_event(
      {.time = system_clock().seconds(), .kind = std::move(kind), .subject = std::move(subject), .text = std::move(text)});
}

net::Task<void> run_wave(const MoveAccess::Running& moving, Journal& journal, WaveRecord wave, std::string kind) {
  wave.state = State::running;
  wave.why.clear();
  wave.ended = 0;
  if (wave.started == 0) wave.started = system_clock().seconds();
  const auto name = wave.name;
  RELAIS_CO_TRY_VOID(co_await moving.runner->set_wave(std::move(wave)));
  co_return co_await note(journal, std::move(kind), name, "");
}

/// The wave of accounts that were started one by one.
net::Task<WaveRecord> by_hand(Journal& journal, std::string platform) {
  const auto name = wave_name(platform, std::string(kByHand));
  RELAIS_CO_TRY(auto there, wave_of(journal, name));
  if (there) co_return *std::move(there);
  // A plan is replaced as a whole: what it has stays.
  std::vector<Journal::PlannedWave> all;
  RELAIS_CO_TRY(const auto waves, journal.waves());
  for (const auto& wave : waves) {
    if (wave.platform != platform || wave.state != State::planned) continue;
    RELAIS_CO_TRY(auto accounts, journal.wave_accounts(wave.name));
    all.push_back({wave, std::move(accounts)});
  }
  const WaveRecord made{.platform = platform, .name = name, .created = system_clock().seconds()};
  all.push_back({made, {}});
  RELAIS_CO_TRY_VOID(co_await journal.set_plan(std::move(platform), std::move(all)));
  co_return made;
}

net::Task<json> start_account(Backend& backend, const MoveAccess::Running& moving, Journal& journal, std::string address,
                              std::uint8_t consents) {
  RELAIS_CO_TRY(const auto account, co_await account_of(backend, std::move(address)));
  const auto platform = account.placement.legacy;
  if (account.placement.kind != directory::Placement::Kind::legacy)
    co_return fail(Fault::refused, account.address + " does not live on a legacy platform");
  RELAIS_CO_TRY(auto stage, journal.stage(account.number));
  WaveRecord wave;
  if (stage && !stage->wave.empty()) {
    RELAIS_CO_TRY(wave, existing_wave(journal, stage->wave));
  } else {
    RELAIS_CO_TRY(wave, co_await by_hand(journal, platform));
    RELAIS_CO_TRY_VOID(co_await moving.runner->refresh_waves());
  }
  if (wave.state == State::paused)
    co_return fail(Fault::refused, "its wave " + wave.name + " is paused: relais migrate resume " + wave.name);
  RELAIS_CO_TRY(const bool adopted, co_await adopt(backend, moving, journal, account.address, wave.name, platform, consents));
  if (!adopted)
    co_return fail(Fault::refused, account.address + " is " + std::string(stage ? migrate::to_string(stage->stage) : "not there") +
                                       ": relais migrate retry tries again");
  RELAIS_CO_TRY_VOID(co_await run_wave(moving, journal, wave, "wave-started"));
  co_return json{{"what", account.address}, {"wave", wave.name}, {"accounts", 1}, {"left_out", 0}};
}

net::Task<json> start(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto what, text_argument(request, "what"));
  RELAIS_CO_TRY(const auto moving, co_await backend.moving.running());
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  const auto consents = consents_of(request);
  if (is_address(what)) co_return co_await start_account(backend, moving, *journal, what, consents);
  RELAIS_CO_TRY(const auto wave, existing_wave(*journal, what));
  if (wave.state == State::paused) co_return fail(Fault::refused, what + " is paused: relais migrate resume " + what);
  RELAIS_CO_TRY(const auto addresses, journal->wave_accounts(what));
  std::uint64_t adopted = 0;
  std::optional<Error> failed;
  auto each = [&](std::size_t i) -> net::asio::awaitable<void> {
    if (failed) co_return;
    const auto done = co_await adopt(backend, moving, *journal, addresses[i], wave.name, wave.platform, consents);
    if (!done && !failed) failed = done.error();
    if (done && *done) ++adopted;
  };
  co_await smtp::for_each_at_once(addresses.size(), kAtOnce, each);
  if (failed) co_return fail(*failed);
  RELAIS_CO_TRY_VOID(co_await run_wave(moving, *journal, wave, "wave-started"));
  co_return json{{"what", what}, {"wave", what}, {"accounts", adopted}, {"left_out", addresses.size() - adopted}};
}

// All waves that are in one state, or the one that is named, into another.
net::Task<json> change_waves(Backend& backend, const json& request, State from, State to, std::string why) {
  RELAIS_CO_TRY(const auto moving, co_await backend.moving.running());
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  const auto what = text_argument_or(request, "what", "");
  RELAIS_CO_TRY(const auto waves, journal->waves());
  if (!what.empty()) {
    RELAIS_CO_TRY(const auto wave, existing_wave(*journal, what));
    if (wave.state != from) co_return fail(Fault::refused, what + " is " + std::string(migrate::to_string(wave.state)));
  }
  auto changed = json::array();
  for (auto wave : waves) {
    if (wave.state != from || (!what.empty() && wave.name != what)) continue;
    changed.push_back(wave.name);
    if (to == State::running) {
      RELAIS_CO_TRY_VOID(co_await run_wave(moving, *journal, std::move(wave), "wave-resumed"));
      continue;
    }
    wave.state = to;
    wave.why = why;
    const auto name = wave.name;
    RELAIS_CO_TRY_VOID(co_await moving.runner->set_wave(std::move(wave)));
    RELAIS_CO_TRY_VOID(co_await note(*journal, "wave-paused", name, why));
  }
  co_return json{{"waves", std::move(changed)}};
}

net::Task<json> pause(Backend& backend, const json& request) {
  return change_waves(backend, request, State::running, State::paused, "by an administrator");
}
net::Task<json> resume(Backend& backend, const json& request) { return change_waves(backend, request, State::paused, State::running, ""); }

// ---- retry, skip

net::Task<void> retry_account(const MoveAccess::Running& moving, AccountNumber account) {
  RELAIS_CO_TRY(const auto hold, co_await moving.runner->hold(account));
  RELAIS_CO_TRY(const auto stage, co_await migrate::retry_move(*moving.services, account));
  moving.runner->changed(account, stage);
  co_return Result<void>{};
}

net::Task<json> retry(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto what, text_argument(request, "what"));
  RELAIS_CO_TRY(const auto moving, co_await backend.moving.running());
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  std::vector<AccountNumber> accounts;
  std::string wave = what;
  if (is_address(what)) {
    RELAIS_CO_TRY(const auto account, co_await account_of(backend, what));
    accounts.push_back(account.number);
    RELAIS_CO_TRY(const auto stage, journal->stage(account.number));
    wave = stage ? stage->wave : "";
  } else {
    RELAIS_CO_TRY_VOID(existing_wave(*journal, what));
    RELAIS_CO_TRY_VOID(journal->for_each([&](AccountNumber account, const StageRecord& record) {
      if (record.wave == what && (record.stage == Stage::stuck || record.attempts > 0 || record.failures > 0) &&
          record.stage != Stage::native)
        accounts.push_back(account);
      return true;
    }));
  }
  for (const auto account : accounts) RELAIS_CO_TRY_VOID(co_await retry_account(moving, account));
  if (!wave.empty() && !accounts.empty()) {
    RELAIS_CO_TRY(auto record, existing_wave(*journal, wave));
    if (record.state == State::done) RELAIS_CO_TRY_VOID(co_await run_wave(moving, *journal, std::move(record), "wave-resumed"));
  }
  co_return json{{"what", what}, {"accounts", accounts.size()}};
}

net::Task<json> skip(Backend& backend, const json& request) {
  RELAIS_CO_TRY(const auto address, text_argument(request, "address"));
  RELAIS_CO_TRY(const auto account, co_await account_of(backend, address));
  RELAIS_CO_TRY(const auto moving, co_await backend.moving.running());
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  RELAIS_CO_TRY(const auto hold, co_await moving.runner->hold(account.number));
  RELAIS_CO_TRY(const auto known, journal->stage(account.number));
  // One that no wave has begun with: what is not there cannot be skipped.
  if (!known)
    RELAIS_CO_TRY_VOID(co_await migrate::plan_move(*moving.services, account.number, {.shard = shard_for(backend, account.number)}));
  RELAIS_CO_TRY(const auto stage, co_await migrate::skip_move(*moving.services, account.number));
  moving.runner->changed(account.number, stage);
  co_return describe(account.address, stage);
}

// ---- status

struct WaveCounts {
  std::map<std::string, std::uint64_t, std::less<>> stages;
  std::uint64_t accounts = 0;  ///< with a stage
  std::uint64_t messages = 0;
  std::uint64_t copied_messages = 0;
  std::uint64_t copied_octets = 0;
  std::vector<std::uint32_t> freezes;  ///< of accounts that were switched, milliseconds
  std::vector<std::pair<AccountNumber, StageRecord>> troubles;
  std::uint64_t troubled = 0;

  void add(AccountNumber account, const StageRecord& record) {
    ++accounts;
    ++stages[std::string(migrate::to_string(record.stage))];
    messages += record.messages;
    copied_messages += record.copied_messages;
    copied_octets += record.copied_octets;
    if (record.stage == Stage::native || record.stage == Stage::settled) freezes.push_back(record.freezes_ms[0]);
    if (record.error.empty() || record.stage == Stage::native || record.stage == Stage::skipped) return;
    ++troubled;
    if (record.stage == Stage::stuck && troubles.size() >= kTroubles) {  // they come before those that are tried again
      const auto other = std::ranges::find_if(troubles, [](const auto& trouble) { return trouble.second.stage != Stage::stuck; });
      if (other != troubles.end()) *other = {account, record};
    } else if (troubles.size() < kTroubles) {
      troubles.emplace_back(account, record);
    }
  }
};

json freezes_of(std::vector<std::uint32_t> freezes) {
  if (freezes.empty()) return nullptr;
  std::ranges::sort(freezes);
  const auto at = [&](std::size_t percent) { return freezes[std::min(freezes.size() - 1, freezes.size() * percent / 100)]; };
  return {{"p50", at(50)}, {"p99", at(99)}, {"max", freezes.back()}};
}

net::Task<json> describe(Backend& backend, const WaveRecord& wave, WaveCounts counts) {
  if (wave.accounts > counts.accounts) counts.stages["planned"] += wave.accounts - counts.accounts;
  auto troubles = json::array();
  for (const auto& [number, record] : counts.troubles) {
    RELAIS_CO_TRY(const auto account, co_await backend.directory.find_number(number));
    troubles.push_back({{"address", account ? account->address : std::to_string(number)},
                        {"stage", migrate::to_string(record.stage)},
                        {"error", shown(record.error)}});
  }
  co_return json{{"wave", wave.name},
                 {"platform", wave.platform},
                 {"state", migrate::to_string(wave.state)},
                 {"why", wave.why},
                 {"window", wave.window},
                 {"at_once", wave.at_once},
                 {"created", wave.created},
                 {"started", wave.started},
                 {"ended", wave.ended},
                 {"accounts", std::max<std::uint64_t>(wave.accounts, counts.accounts)},
                 {"stages", counts.stages},
                 {"messages", counts.messages},
                 {"copied_messages", counts.copied_messages},
                 {"copied_octets", counts.copied_octets},
                 {"freeze_ms", freezes_of(std::move(counts.freezes))},
                 {"troubled", counts.troubled},
                 {"troubles", std::move(troubles)}};
}

net::Task<json> platform_status(Backend& backend, const std::string& name) {
  RELAIS_CO_TRY(const auto knowledge, co_await backend.moves.knowledge(name));
  json row{{"platform", name}};
  std::uint64_t accounts = 0;
  auto passwords = json::object();
  for (std::size_t i = 0; i < knowledge.size(); ++i) {
    accounts += knowledge[i];
    passwords[std::string(kKnown[i])] = knowledge[i];
  }
  row["accounts"] = accounts;
  row["passwords"] = std::move(passwords);
  co_return row;
}

net::Task<json> platforms_status(Backend& backend) {
  auto platforms = json::array();
  RELAIS_CO_TRY(const auto known, co_await backend.moves.platforms());
  for (const auto& platform : known) {
    RELAIS_CO_TRY(auto row, co_await platform_status(backend, platform.name));
    platforms.push_back(std::move(row));
  }
  co_return platforms;
}

net::Task<json> status(Backend& backend, const json& request) {
  const auto what = text_argument_or(request, "what", "");
  if (!backend.moving.any()) {
    if (!what.empty())
      co_return fail(Fault::refused, "nothing is being moved: relais migrate plan, or relais migrate start ADDRESS", "NONEXISTENT");
    RELAIS_CO_TRY(auto platforms, co_await platforms_status(backend));
    co_return json{{"platforms", std::move(platforms)}, {"waves", json::array()}, {"events", json::array()}, {"running", nullptr}};
  }
  RELAIS_CO_TRY(auto* journal, co_await backend.moving.journal());
  if (is_address(what)) {
    RELAIS_CO_TRY(const auto account, co_await account_of(backend, what));
    co_return co_await account_status(*journal, account);
  }
  if (!what.empty()) RELAIS_CO_TRY_VOID(existing_wave(*journal, what));
  std::map<std::string, WaveCounts, std::less<>> counts;
  RELAIS_CO_TRY_VOID(journal->for_each([&](AccountNumber account, const StageRecord& record) {
    if (what.empty() || record.wave == what) counts[record.wave].add(account, record);
    return true;
  }));
  auto waves = json::array();
  RELAIS_CO_TRY(auto records, journal->waves());
  // Those of one plan in the order in which they were planned: "old/wave-2" before "old/wave-10".
  std::ranges::sort(records, [](const WaveRecord& a, const WaveRecord& b) {
    return std::tuple(a.platform, a.created, a.name.size(), a.name) < std::tuple(b.platform, b.created, b.name.size(), b.name);
  });
  for (const auto& wave : records) {
    if (!what.empty() && wave.name != what) continue;
    RELAIS_CO_TRY(auto row, co_await describe(backend, wave, std::move(counts[wave.name])));
    waves.push_back(std::move(row));
  }
  if (what.empty() && counts.contains("")) {  // copied, but never started
    RELAIS_CO_TRY(auto row, co_await describe(backend, WaveRecord{}, std::move(counts[""])));
    waves.push_back(std::move(row));
  }
  RELAIS_CO_TRY(auto platforms, co_await platforms_status(backend));
  auto events = json::array();
  RELAIS_CO_TRY(const auto last, journal->events(10));
  for (const auto& event : last)
    events.push_back({{"time", event.time}, {"kind", event.kind}, {"subject", event.subject}, {"text", shown(event.text)}});
  json result{{"platforms", std::move(platforms)}, {"waves", std::move(waves)}, {"events", std::move(events)}, {"running", nullptr}};
  if (const auto moving = co_await backend.moving.running(); moving) result["running"] = moving->runner->running();
  co_return result;
}

constexpr std::array<Operation, 8> kOperations{{{"migrate copy", copy},
                                                {"migrate plan", plan},
                                                {"migrate start", start},
                                                {"migrate pause", pause},
                                                {"migrate resume", resume},
                                                {"migrate retry", retry},
                                                {"migrate skip", skip},
                                                {"migrate status", status}}};

}  // namespace

std::span<const Operation> move_operations() { return kOperations; }

}  // namespace relais::admin
