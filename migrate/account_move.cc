// One account through its stages.
#include "migrate/account_move.h"

#include "base/log.h"
#include "base/metrics.h"
#include "migrate/pass_notes.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <tuple>
#include <utility>

namespace relais::migrate {
namespace {

namespace asio = net::asio;
using directory::Placement;
using Time = std::chrono::steady_clock;

constexpr std::size_t kNotesAtOnce = 64;     // mailboxes in one transaction of the journal
constexpr std::size_t kVerifyRounds = 3;     // of one account in a row, while its owner changes it
constexpr std::uint16_t kMostFailures = 20;  // doublings beyond are none

metrics::Histogram& freezes() {
  static auto& histogram =
      metrics::histogram("relais_migrate_freeze_seconds", "Time for which a cutover kept an account from being served.");
  return histogram;
}
metrics::Counter& messages_counter() {
  static auto& counter = metrics::counter("relais_migrate_messages_total", "Messages copied from legacy platforms.");
  return counter;
}
metrics::Counter& octets_counter() {
  static auto& counter = metrics::counter("relais_migrate_octets_total", "Octets of messages copied from legacy platforms.");
  return counter;
}
/// Takes a lock: once for each attempt.
metrics::Counter& ended_counter(Release why) {
  if (why == Release::none) return metrics::counter("relais_migrate_switched_total", "Accounts that have changed sides.");
  return metrics::counter("relais_migrate_released_total", "Cutovers that were given up.", {{"reason", to_string(why)}});
}

net::Task<directory::Located> existing(const MoveServices& services, AccountNumber account) {
  RELAIS_CO_TRY(auto located, co_await services.directory->located(account));
  if (!located) co_return fail(Fault::refused, "no such account: " + std::to_string(account), "NONEXISTENT");
  co_return *std::move(located);
}

std::unexpected<Error> elsewhere(const directory::Located& located) {
  return fail(Fault::refused, located.account.address + " does not live on a legacy platform", "PLACEMENT");
}

/// The account's placement, on its platform. Where it is `moving` although no freeze is under way (the journal was lost, or put back from a
/// copy), nobody is served; so it is released here, when an administrator asks for something.
net::Task<Placement> on_its_platform(const MoveServices& services, const directory::Located& located) {
  const auto& placement = located.account.placement;
  if (placement.kind == Placement::Kind::legacy) co_return placement;
  if (placement.kind != Placement::Kind::moving || placement.legacy.empty()) co_return elsewhere(located);
  const auto account = located.account.number;
  Placement back{.kind = Placement::Kind::legacy, .legacy = placement.legacy};
  RELAIS_CO_TRY(auto now, co_await services.directory->change_placement(account, placement.epoch, std::move(back)));
  services.gate->settled(account, now);
  if (services.release_mail) services.release_mail(account);
  co_return now;
}

std::unexpected<Error> not_moved() { return fail(Fault::refused, "the account is not being moved", "NONEXISTENT"); }

/// What an account that is stuck, skipped or waiting becomes, in one step. @return what was journaled
net::Task<StageRecord> change_stage(const MoveServices& services, AccountNumber account, StageRecord from, StageRecord to,
                                    std::vector<Resolved> resolved) {
  to.since = services.clock->seconds();
  JournalStep step{.stage = to, .resolved = std::move(resolved)};
  RELAIS_CO_TRY_VOID(co_await services.journal->step(account, from.stage, std::move(step)));
  co_return to;
}

}  // namespace

net::Task<StageRecord> plan_move(const MoveServices& services, AccountNumber account, PlannedMove plan) {
  RELAIS_CO_TRY(const auto located, co_await existing(services, account));
  RELAIS_CO_TRY(const auto there, services.journal->stage(account));
  if (there) co_return fail(Fault::refused, located.account.address + " is being moved already", "ALREADYEXISTS");
  RELAIS_CO_TRY(const auto placement, co_await on_its_platform(services, located));
  StageRecord record{.since = services.clock->seconds(),
                     .epoch = placement.epoch,
                     .platform = placement.legacy,
                     .shard = plan.shard,
                     .wave = std::move(plan.wave),
                     .consents = plan.consents};
  RELAIS_CO_TRY_VOID(co_await services.journal->step(account, std::nullopt, {.stage = record}));
  co_return record;
}

net::Task<StageRecord> retry_move(const MoveServices& services, AccountNumber account) {
  RELAIS_CO_TRY(const auto there, services.journal->stage(account));
  if (!there) co_return not_moved();
  RELAIS_CO_TRY(const auto located, co_await existing(services, account));
  auto placement = located.account.placement;
  if (placement.kind == Placement::Kind::shard) co_return elsewhere(located);
  auto next = *there;
  const bool stopped = there->stage == Stage::stuck || there->stage == Stage::skipped;
  if (!stopped && there->stage != Stage::planned && there->stage != Stage::copying && there->stage != Stage::tailing)
    co_return fail(Fault::refused, located.account.address + " is past that: " + std::string(to_string(there->stage)), "STAGE");
  if (stopped) {
    RELAIS_CO_TRY(placement, co_await on_its_platform(services, located));
  }
  if (stopped) {
    next.stage = Stage::copying;
    next.epoch = placement.epoch;
    next.platform = placement.legacy;
    next.verified_in_full = false;
  }
  next.attempts = 0;
  next.failures = 0;
  next.not_before = 0;
  next.error.clear();
  co_return co_await change_stage(services, account, *there, std::move(next), stopped ? resolved_differences() : std::vector<Resolved>{});
}

net::Task<StageRecord> skip_move(const MoveServices& services, AccountNumber account) {
  RELAIS_CO_TRY(const auto there, services.journal->stage(account));
  if (!there) co_return not_moved();
  if (there->stage == Stage::skipped) co_return *there;
  if (there->stage == Stage::stuck) {
    RELAIS_CO_TRY(const auto located, co_await existing(services, account));
    if (located.account.placement.kind == Placement::Kind::moving) RELAIS_CO_TRY_VOID(co_await on_its_platform(services, located));
  }
  auto next = *there;
  next.stage = Stage::skipped;
  co_return co_await change_stage(services, account, *there, std::move(next), {});
}

struct AccountMove::Impl {
  Impl(const MoveServices& parts, const MoveOptions& how, AccountNumber number, net::Loop& home)
      : services(parts), options(how), account(number), loop(home) {}

  using Next = std::optional<Time::time_point>;  ///< nullopt: there is more to do at once

  // ---- the stages

  net::Task<Outcome> run() {
    fatal.reset();
    RELAIS_CO_TRY_VOID(load());
    if (record.stage == Stage::cutover || record.stage == Stage::switching) {
      RELAIS_CO_TRY(auto ended, co_await end_freeze(services, account, record));
      enter(std::move(ended));
    }
    Next next;
    while (!next) {
      if (stopping) break;
      RELAIS_CO_TRY(next, co_await work());
    }
    if (ends && (!next || *next > Time::now() + kKeptOpen || !works())) co_await hang_up();
    co_return Outcome{.stage = record, .next = next.value_or(Time::now())};
  }

  bool works() const noexcept { return record.stage == Stage::copying || record.stage == Stage::tailing; }

  net::Task<Next> work() {
    if (record.stage == Stage::planned) {
      if (!allowed().copy) co_return in(options.shortest_pause);
      co_return co_await to_stage(Stage::copying, "copying.journaled");
    }
    if (!works()) co_return Time::time_point::max();
    if (!allowed().copy) co_return in(options.shortest_pause);
    if (record.failures > 0 && waits()) co_return when();
    const bool fresh = ends == nullptr;
    auto followed = co_await follow();
    if (!followed && !fresh && !fatal && !stopping && followed.error().fault != Fault::corrupt) {
      co_await hang_up();  // it may have been closed for idling
      followed = co_await follow();
    }
    if (fatal) co_return fail(*std::exchange(fatal, std::nullopt));
    if (stopping) co_return in(std::chrono::seconds(0));
    if (!works()) co_return Time::time_point::max();  // stuck
    if (!followed && !allowed().copy) co_return in(options.shortest_pause);
    if (!followed) co_return co_await failed(followed.error());
    if (record.stage == Stage::copying) co_return co_await copied();
    co_return co_await followed_up(*followed);
  }

  /// Both ends are open, and a pass is made.
  net::Task<PassFigures> follow() {
    if (!ends) {
      if (auto opened = co_await open(); !opened) {
        co_await hang_up();
        co_return fail(std::move(opened).error());
      }
    }
    if (!works()) co_return PassFigures{};
    co_return co_await pass({});
  }

  /// All mailboxes were in step once.
  net::Task<Next> copied() {
    if (!left_behind.empty()) co_return in(options.shortest_pause);
    reach("copying.copied");
    small = 0;
    pause = options.shortest_pause;
    co_return co_await to_stage(Stage::tailing, "tailing.journaled");
  }

  net::Task<Next> followed_up(PassFigures figures) {
    const bool little = figures.changes() < options.small_changes && figures.octets < options.small_octets &&
                        figures.took < options.small_time && left_behind.empty();
    small = little ? small + 1 : 0;
    pause = figures.changes() == 0 ? std::min(pause * 2, options.longest_pause) : options.shortest_pause;
    const bool ready = allowed().cut_over && !waits();
    if (small < options.small_in_a_row) {
      if (little && ready) co_return Next{};
      co_return in(pause);
    }
    if (!record.verified_in_full) {
      RELAIS_CO_TRY(const bool verified, co_await verify_all());
      if (!works()) co_return Time::time_point::max();
      if (!verified) co_return in(pause);
    }
    RELAIS_CO_TRY(const bool free, co_await may_be_switched());
    if (!free) co_return in(options.longest_pause);
    if (!ready || !allowed().cut_over) co_return in(pause);
    const auto asked = Time::now();
    RELAIS_CO_TRY(const bool quiet, co_await wait_for_quiet(services, options, account, [this] { return stopping; }));
    if (!quiet) co_return in(options.shortest_pause);
    if (Time::now() - asked > options.small_time) {  // much may have come meanwhile
      small = options.small_in_a_row - 1;
      co_return Next{};
    }
    co_return co_await switch_over();
  }

  net::Task<Next> switch_over() {
    RELAIS_CO_TRY(auto result,
                  co_await cut_over(services, options, account, record, *ends, cursors, findings, [this] { return stopping; }));
    freezes().observe(result.frozen);
    ended_counter(result.why).add();
    messages_counter().add(result.stage.copied_messages - record.copied_messages);
    octets_counter().add(result.stage.copied_octets - record.copied_octets);
    enter(result.stage);
    small = 0;
    pause = options.shortest_pause;
    const auto why = to_string(result.why);
    log::event(result.why == Release::none ? log::Level::info : log::Level::warning, "migrate-cutover",
               {{"account", address}, {"result", why}, {"frozen_ms", result.frozen.count()}, {"detail", result.detail}});
    const std::string kind = record.stage == Stage::native ? "switched" : record.stage == Stage::stuck ? "stuck" : "released";
    co_await say(kind, record.stage == Stage::native ? std::to_string(result.frozen.count()) + " ms" : record.error);
    if (record.stage == Stage::cutover || record.stage == Stage::switching) co_return in(options.shortest_pause);
    if (result.why != Release::none) RELAIS_CO_TRY_VOID(reload());
    if (!works()) co_return Time::time_point::max();
    co_return in(options.shortest_pause);
  }

  // ---- the two ends

  net::Task<void> open() {
    RELAIS_CO_TRY(auto located, co_await existing(services, account));
    address = located.account.address;
    const auto& placement = located.account.placement;
    if (placement.kind != Placement::Kind::legacy || placement.legacy != record.platform || placement.epoch != record.epoch)
      co_return co_await stuck("somebody else has changed the account's placement");
    RELAIS_CO_TRY(auto opened, co_await services.open(located, record.shard, loop));
    ends = std::move(opened);
    RELAIS_CO_TRY(const auto listing, co_await ends->list());
    auto origin = located.origin;
    origin.platform = record.platform;
    origin.names = listing.names;
    // Clients of the account go on seeing these names after the switch, so they are known before there is anything to be seen.
    if (origin != located.origin) {
      RELAIS_CO_TRY_VOID(co_await services.directory->set_origin(account, std::move(origin)));
      reach("copying.origin");
    }
    co_return co_await take_target();
  }

  net::Task<void> take_target() {
    const storage::AccountRef target{storage::AccountId{account}, record.shard};
    RELAIS_CO_TRY(const auto state, co_await services.import->state(target));
    if (state == storage::AccountState::importing) co_return Result<void>{};
    RELAIS_CO_TRY(const auto mailboxes, co_await services.import->list(target));
    const bool used = std::ranges::any_of(mailboxes, [](const auto& mailbox) { return mailbox.messages > 0 || mailbox.uid_next > 1; });
    if (state != storage::AccountState::open || used)
      co_return co_await stuck("shard " + std::to_string(record.shard) + " has mail of this account already");
    RELAIS_CO_TRY_VOID(co_await services.import->set_state(target, state, storage::AccountState::importing));
    reach("copying.importing");
    co_return Result<void>{};
  }

  net::asio::awaitable<void> hang_up() {
    if (!ends) co_return;
    co_await ends->close();
    ends.reset();
  }

  // ---- one pass

  /// @param anew  storage names of mailboxes that are copied again
  net::Task<PassFigures> pass(std::vector<std::string> anew) {
    PassNotes notes;
    PassFigures so_far;
    const auto before = record;
    MirrorRules rules;
    rules.read_back = options.read_back;
    rules.anew = std::move(anew);
    MirrorEvents events;
    events.in_step = [&](const SourceMailbox& mailbox, const TargetMailbox&, Cursor cursor) {
      notes.in_step(mailbox, cursor);
      return flush(notes, cursor == Cursor{});
    };
    events.gone = [&](std::string wire) {
      notes.gone(std::move(wire));
      return flush(notes, false);
    };
    events.finding = [&](Finding finding) { notes.finding(std::move(finding)); };
    events.postponed = [&](const SourceMailbox& mailbox, const Error& why) { notes.postponed(mailbox, why); };
    events.progress = [&](const PassFigures& figures) {
      so_far = figures;
      count(before, figures);
      if (changed) changed(record);
    };
    events.budget = [this](std::uint64_t messages, std::uint64_t octets) { return budget(messages, octets); };
    auto figures = co_await ends->pass(cursors, rules, events);
    if (figures) so_far = *figures;
    count(before, so_far);
    if (so_far.changes() >= options.small_changes || so_far.octets >= options.small_octets) record.verified_in_full = false;
    messages_counter().add(so_far.appended);
    octets_counter().add(so_far.octets);
    left_behind = notes.left_behind();
    if (figures) {
      notes.complete(findings);
      left_out = notes.left_out().size();
    }
    const auto flushed = co_await flush(notes, true);
    if (!figures) co_return figures;
    if (!flushed) co_return fail(flushed.error());
    record.last = *figures;
    const bool better = record.failures > 0;
    if (better) {
      record.failures = 0;
      record.not_before = 0;
      record.error.clear();
    }
    if (better || figures->changes() > 0) RELAIS_CO_TRY_VOID(co_await journal({.stage = record}));
    co_return figures;
  }

  void count(const StageRecord& before, const PassFigures& figures) {
    record.copied_messages = before.copied_messages + figures.appended;
    record.copied_octets = before.copied_octets + figures.octets;
    record.messages = 0;
    for (const auto& [wire, cursor] : cursors) record.messages += cursor.messages;
  }

  /// Journals what has gathered, when that is enough or `now`.
  net::Task<void> flush(PassNotes& notes, bool now) {
    if (stopping) now = true;  // and the pass ends
    if (now || notes.size() >= kNotesAtOnce) {
      auto step = notes.take(findings);
      if (!is_empty(step)) {
        RELAIS_CO_TRY_VOID(co_await journal(std::move(step)));
        RELAIS_CO_TRY_VOID(reload());
      }
    }
    if (stopping) co_return fail(Fault::closed, "stopped");
    co_return Result<void>{};
  }

  net::Task<void> budget(std::uint64_t messages, std::uint64_t octets) {
    if (stopping || !allowed().copy) co_return fail(Fault::closed, "copying is not allowed now");
    if (services.budget) RELAIS_CO_TRY_VOID(co_await services.budget(record.platform, messages, octets));
    co_return Result<void>{};
  }

  // ---- verification of everything, while the account is in use

  /// What a finding is about: the same one twice, with a pass between, is a difference that passes do not see.
  using Subject = std::tuple<std::string, std::string, Uid, std::string, std::string>;
  static std::map<Subject, Finding> by_subject(std::vector<Finding> found) {
    std::map<Subject, Finding> all;
    for (auto& finding : found) {
      Subject subject{finding.code, finding.mailbox, finding.uid, finding.source_value, finding.target_value};
      all.emplace(std::move(subject), std::move(finding));
    }
    return all;
  }

  /// @return whether both ends are equal. Stuck where they differ after mailboxes were copied again.
  net::Task<bool> verify_all() {
    std::map<Subject, Finding> before;
    bool repaired = false;
    for (std::size_t round = 0; round < kVerifyRounds && !stopping; ++round) {
      VerifyRules rules;
      rules.known = findings;
      for (const auto& [subject, finding] : before) rules.only.push_back(finding.mailbox);
      drop_doubles(rules.only);
      auto found = co_await ends->verify(std::move(rules));
      if (!found) co_return co_await not_verified(found.error());
      if (found->empty()) co_return co_await verified();
      auto now = by_subject(*std::move(found));
      std::vector<Finding> lasting;
      for (const auto& [subject, finding] : now) {
        if (before.contains(subject)) lasting.push_back(finding);
      }
      if (!lasting.empty() && repaired) co_return co_await differ(std::move(lasting));
      std::vector<std::string> anew;
      for (const auto& finding : lasting) anew.push_back(finding.mailbox);
      drop_doubles(anew);
      if (!lasting.empty()) {
        repaired = true;
        round = 0;
      }
      before = std::move(now);
      if (const auto passed = co_await pass(std::move(anew)); !passed) co_return co_await not_verified(passed.error());
    }
    co_return false;
  }

  static void drop_doubles(std::vector<std::string>& names) {
    std::ranges::sort(names);
    const auto again = std::ranges::unique(names);
    names.erase(again.begin(), again.end());
    std::erase(names, std::string{});
  }

  net::Task<bool> verified() {
    record.verified_in_full = true;
    RELAIS_CO_TRY_VOID(co_await journal({.stage = record, .resolved = resolved_differences()}));
    co_return true;
  }

  net::Task<bool> not_verified(Error why) {
    if (fatal) co_return fail(*std::exchange(fatal, std::nullopt));
    if (stopping || !allowed().copy) co_return false;
    RELAIS_CO_TRY(const auto next, co_await failed(why));
    static_cast<void>(next);
    co_return false;
  }

  net::Task<bool> differ(std::vector<Finding> lasting) {
    for (auto& finding : lasting) finding.weight = Weight::red;
    RELAIS_CO_TRY_VOID(co_await journal({.resolved = resolved_differences(), .findings = shortened(lasting)}));
    RELAIS_CO_TRY_VOID(co_await stuck(std::to_string(lasting.size()) + " differences that copying again does not mend"));
    co_return false;
  }

  // ---- what only an administrator can let pass

  net::Task<bool> may_be_switched() {
    RELAIS_CO_TRY_VOID(reload());
    RELAIS_CO_TRY(const auto use, services.journal->use(account));
    std::vector<Finding> bars;
    const auto bar = [&](Consent consent, bool applies, std::string_view code, std::string text) {
      if (applies && (record.consents & consent) == 0)
        bars.push_back({.code = std::string(code), .weight = Weight::red, .text = std::move(text)});
    };
    const auto unreadable = std::ranges::count(findings, "unreadable", &Finding::code);
    bar(kNoWayBack, true, "no-way-back", "a switch cannot be taken back yet (--no-way-back lets it happen)");
    bar(kWithoutUidls, use.last_pop != 0 || services.gate->presence(account).pop_sessions > 0, "pop3-uidls",
        "the account is used by POP3, and its UIDLs are not carried yet (--without-uidls lets it happen)");
    bar(kAllowUnreadable, unreadable > 0, "unreadable-messages",
        std::to_string(unreadable) + " messages cannot be read at the source (--allow-unreadable leaves them behind)");
    bar(kWithoutMailboxes, left_out > 0, "mailboxes-left-out",
        "mailboxes cannot be carried, and would not be seen any more: " + std::to_string(left_out) +
            " (--without-mailboxes leaves them behind)");
    static constexpr std::array<std::string_view, 4> kBars{"no-way-back", "pop3-uidls", "unreadable-messages", "mailboxes-left-out"};
    const bool barred = std::ranges::any_of(findings, [](const Finding& f) { return std::ranges::find(kBars, f.code) != kBars.end(); });
    const std::string why = bars.empty() ? "" : bars.front().text;
    if (bars.empty() ? barred : why != record.error) {
      record.error = why;
      JournalStep step{.stage = record, .findings = bars};
      for (const auto code : kBars) step.resolved.push_back({.code = std::string(code)});
      RELAIS_CO_TRY_VOID(co_await journal(std::move(step)));
    }
    co_return bars.empty();
  }

  // ---- the record

  Result<void> load() {
    RELAIS_TRY(auto known, services.journal->account(account));
    if (!known.stage) return not_moved();
    record = *std::move(known.stage);
    findings = std::move(known.findings);
    cursors.clear();
    for (const auto& mailbox : known.mailboxes) cursors[mailbox.wire] = mailbox.cursor;
    return {};
  }

  /// What others may have written meanwhile, and what has been found.
  Result<void> reload() {
    RELAIS_TRY(auto known, services.journal->account(account));
    if (!known.stage || known.stage->stage != record.stage)
      return fail(Fault::refused, "the account has come to another stage meanwhile", "STAGE");
    record.consents = known.stage->consents;
    findings = std::move(known.findings);
    return {};
  }

  /// An error of the journal ends everything: it is not the source's.
  net::Task<void> journal(JournalStep step) {
    auto done = co_await services.journal->step(account, record.stage, std::move(step));
    if (!done) fatal = done.error();
    co_return done;
  }

  net::Task<Next> to_stage(Stage stage, std::string_view point) {
    auto next = record;
    next.stage = stage;
    next.since = services.clock->seconds();
    RELAIS_CO_TRY_VOID(co_await journal({.stage = next}));
    reach(point);
    enter(std::move(next));
    co_return Next{};
  }

  void enter(StageRecord next) {
    record = std::move(next);
    if (changed) changed(record);
  }

  net::Task<void> stuck(std::string why) {
    auto next = record;
    next.stage = Stage::stuck;
    next.error = why;
    next.since = services.clock->seconds();
    RELAIS_CO_TRY_VOID(co_await journal({.stage = next}));
    enter(std::move(next));
    log::event(log::Level::warning, "migrate-stuck", {{"account", address}, {"why", why}});
    co_await say("stuck", std::move(why));
    co_return Result<void>{};
  }

  /// A pass that came to nothing: again later.
  net::Task<Next> failed(const Error& why) {
    co_await hang_up();
    small = 0;
    const bool first = record.failures == 0;
    const auto doublings = std::min(record.failures, kMostFailures);
    record.failures = static_cast<std::uint16_t>(std::min<unsigned>(record.failures + 1U, UINT16_MAX));
    record.error = one_line(why);
    record.not_before =
        services.clock->seconds() + std::min<std::int64_t>(options.first_retry.count() << doublings, options.longest_retry.count());
    RELAIS_CO_TRY_VOID(co_await journal({.stage = record}));
    if (changed) changed(record);
    if (first) {
      log::event(log::Level::warning, "migrate-failed", {{"account", address}, {"error", record.error}});
      co_await say("failed", record.error);
    }
    co_return when();
  }

  net::asio::awaitable<void> say(std::string kind, std::string text) {
    JournalEvent event{.time = services.clock->seconds(), .kind = std::move(kind), .subject = address, .text = std::move(text)};
    if (const auto added = co_await services.journal->add_event(std::move(event)); !added)
      log::event(log::Level::warning, "migrate-event-lost", {{"account", address}, {"error", one_line(added.error())}});
  }

  void reach(std::string_view point) const {
    if (services.crash_point) services.crash_point(point);
  }

  // ---- time
  static Time::time_point in(Time::duration pause) { return Time::now() + pause; }
  bool waits() const { return record.not_before > services.clock->seconds(); }
  Time::time_point when() const {
    return Time::now() + std::chrono::seconds(std::max<std::int64_t>(record.not_before - services.clock->seconds(), 0));
  }

  /// Connections are kept for a pause no longer than this; servers close those that idle for half an hour.
  static constexpr std::chrono::seconds kKeptOpen{30};

  const MoveServices& services;
  const MoveOptions options;
  const AccountNumber account;
  net::Loop& loop;
  std::function<Permission()> allowed;
  std::function<void(const StageRecord&)> changed;

  bool stopping = false;
  StageRecord record;
  Cursors cursors;
  std::vector<Finding> findings;
  std::string address;
  std::unique_ptr<MoveEnds> ends;
  std::uint32_t small = 0;  ///< passes in a row that had little to do
  std::chrono::seconds pause{options.shortest_pause};
  std::string left_behind;   ///< by the last pass
  std::size_t left_out = 0;  ///< mailboxes of the account that are not carried, by the last complete pass
  std::optional<Error> fatal;
};

AccountMove::AccountMove(const MoveServices& services, const MoveOptions& options, AccountNumber account, net::Loop& loop)
    : impl_(std::make_unique<Impl>(services, options, account, loop)) {}
AccountMove::~AccountMove() = default;

net::Task<AccountMove::Outcome> AccountMove::run(std::function<Permission()> allowed, std::function<void(const StageRecord&)> changed) {
  impl_->allowed = std::move(allowed);
  impl_->changed = std::move(changed);
  impl_->stopping = false;
  co_return co_await impl_->run();
}

void AccountMove::stop() noexcept { impl_->stopping = true; }

}  // namespace relais::migrate
