// How an account changes sides.
#include "migrate/cutover.h"

#include "base/log.h"
#include "migrate/pass_notes.h"
#include "migrate/pending.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <iterator>
#include <utility>

namespace relais::migrate {
namespace {

namespace asio = net::asio;
using directory::Placement;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock;

constexpr milliseconds kLook{20};  // between two looks at who is present

void reach(const MoveServices& services, std::string_view point) {
  if (services.crash_point) services.crash_point(point);
}

template <class T>
void append(std::vector<T>& to, std::vector<T> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

asio::awaitable<void> sleep(milliseconds time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  boost::system::error_code ignored;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

/// Whose placement it is, seen from a freeze that began at record.epoch.
enum class Side : std::uint8_t {
  source,    ///< not frozen yet, or released
  between,   ///< frozen by us
  target,    ///< switched by us
  somebody,  ///< somebody else's doing
};

Side side_of(const Placement& placement, const StageRecord& record) noexcept {
  const auto since = placement.epoch - record.epoch;  // wraps where it is older: somebody's
  switch (placement.kind) {
    case Placement::Kind::legacy: return placement.legacy == record.platform && (since == 0 || since == 2) ? Side::source : Side::somebody;
    case Placement::Kind::moving: return placement.legacy == record.platform && since == 1 ? Side::between : Side::somebody;
    case Placement::Kind::shard: return placement.shard == record.shard && since == 2 ? Side::target : Side::somebody;
  }
  return Side::somebody;
}

Placement on_source(const StageRecord& record) { return {.kind = Placement::Kind::legacy, .legacy = record.platform}; }
Placement on_target(const StageRecord& record) { return {.kind = Placement::Kind::shard, .shard = record.shard, .legacy = {}}; }
Placement between(const StageRecord& record) { return {.kind = Placement::Kind::moving, .shard = record.shard, .legacy = record.platform}; }

/// The end of a freeze: the placement is settled, everybody is told, and the journal notes it, in this order. Each may fail, and run() may
/// be called again, also in another process.
class FreezeEnd {
 public:
  FreezeEnd(const MoveServices& services, AccountNumber account, StageRecord record)
      : services_(services), account_(account), from_(record.stage), record_(std::move(record)) {}

  net::Task<StageRecord> run() {
    if (!told_) {
      RELAIS_CO_TRY_VOID(co_await settle());
      tell();
    }
    co_return co_await note();
  }

  /// The placement is settled, and it is served: what is left is to be noted.
  bool told() const noexcept { return told_; }
  bool switched() const noexcept { return side_ == Side::target; }
  StageRecord& record() noexcept { return record_; }
  /// Goes into the journal with the stage.
  JournalStep step{};
  /// Called when the placement is settled and before it is noted.
  std::function<void(FreezeEnd&)> before_note{};

 private:
  net::Task<void> settle() {
    RELAIS_CO_TRY(placement_, co_await read());
    side_ = placement_ ? side_of(*placement_, record_) : Side::somebody;
    if (side_ != Side::between) co_return Result<void>{};
    const bool forward = from_ == Stage::switching;
    if (forward) {
      const storage::AccountRef target{storage::AccountId{account_}, record_.shard};
      RELAIS_CO_TRY_VOID(co_await services_.import->set_state(target, storage::AccountState::importing, storage::AccountState::open));
      reach(services_, "switching.open");
    }
    RELAIS_CO_TRY(placement_, co_await services_.directory->change_placement(account_, record_.epoch + 1,
                                                                             forward ? on_target(record_) : on_source(record_)));
    side_ = forward ? Side::target : Side::source;
    reach(services_, forward ? "switching.placed" : "release.placed");
    co_return Result<void>{};
  }

  void tell() {
    told_ = true;
    if (!placement_ || placement_->kind == Placement::Kind::moving) return;
    services_.gate->settled(account_, *placement_);
    if (services_.release_mail) services_.release_mail(account_);
    reach(services_, side_ == Side::target ? "switching.told" : "release.told");
  }

  net::Task<StageRecord> note() {
    if (before_note) std::exchange(before_note, nullptr)(*this);
    if (placement_) record_.epoch = placement_->epoch;
    record_.since = services_.clock->seconds();
    if (side_ == Side::target && from_ == Stage::switching) {
      record_.stage = Stage::native;
      record_.attempts = 0;
      record_.not_before = 0;
      record_.error.clear();
    } else if (side_ == Side::source) {
      record_.stage = record_.stage == Stage::stuck ? Stage::stuck : Stage::tailing;
    } else {
      record_.stage = Stage::stuck;
      record_.error = placement_ ? "somebody else has changed the account's placement" : "there is no such account any more";
    }
    step.stage = record_;
    RELAIS_CO_TRY_VOID(co_await services_.journal->step(account_, from_, step));
    if (record_.stage == Stage::native) reach(services_, "native.journaled");
    co_return record_;
  }

  net::Task<std::optional<Placement>> read() {
    RELAIS_CO_TRY(const auto located, co_await services_.directory->located(account_));
    co_return located ? std::optional(located->account.placement) : std::nullopt;
  }

  const MoveServices& services_;
  const AccountNumber account_;
  const Stage from_;
  StageRecord record_;
  std::optional<Placement> placement_;
  Side side_ = Side::somebody;
  bool told_ = false;
};

/// One attempt.
class Attempt {
 public:
  Attempt(const MoveServices& services, const MoveOptions& options, AccountNumber account, StageRecord record, MoveEnds& ends,
          Cursors& cursors, std::vector<Finding> known, std::function<bool()> stopping)
      : services_(services),
        options_(options),
        account_(account),
        record_(std::move(record)),
        ends_(ends),
        cursors_(cursors),
        known_(std::move(known)),
        stopping_(std::move(stopping)) {}

  net::Task<CutoverResult> run() {
    executor_ = co_await asio::this_coro::executor;
    RELAIS_CO_TRY_VOID(co_await journal(Stage::cutover, {}));
    reach(services_, "cutover.journaled");
    began_ = Time::now();
    deadline_ = began_ + options_.freeze_limit;
    result_.why = co_await freeze();
    co_await end();
    // What has been given up waiting for comes to its end before its references do; nobody is frozen any more.
    if (pass_) co_await pass_->finished();
    if (verification_) co_await verification_->finished();
    co_return std::move(result_);
  }

 private:
  bool late() const noexcept { return Time::now() >= deadline_; }
  Release failed(Release why, const Error& error) {
    result_.detail = one_line(error);
    return why;
  }
  static Release whose(const Error& error) noexcept {
    return error.code == "STORAGE_FULL" || error.code == "READ_ONLY" || error.code == "STATE" ? Release::target : Release::source;
  }

  net::Task<void> journal(Stage next, JournalStep step) {
    auto record = record_;
    record.stage = next;
    record.since = services_.clock->seconds();
    step.stage = record;
    RELAIS_CO_TRY_VOID(co_await services_.journal->step(account_, record_.stage, std::move(step)));
    record_ = std::move(record);
    co_return Result<void>{};
  }

  /// Up to the decision. @return none where it is made: `switching` is in the journal
  asio::awaitable<Release> freeze() {
    if (const auto changed = co_await services_.directory->change_placement(account_, record_.epoch, between(record_)); !changed)
      co_return failed(changed.error().code == "EPOCH" ? Release::epoch : Release::records, changed.error());
    reach(services_, "cutover.moving");
    if (const auto drained = co_await services_.gate->drain(account_, deadline_); !drained)
      co_return failed(Release::drain, drained.error());
    reach(services_, "cutover.drained");
    if (const auto why = co_await final_pass(); why != Release::none) co_return why;
    reach(services_, "cutover.copied");
    if (const auto why = co_await verify(); why != Release::none) co_return why;
    reach(services_, "cutover.verified");
    if (stopping_()) co_return Release::asked;
    if (late()) co_return Release::limit;
    auto step = notes_.take(known_);
    append(step.resolved, resolved_differences());
    if (const auto decided = co_await journal(Stage::switching, std::move(step)); !decided)
      co_return failed(Release::records, decided.error());
    reach(services_, "switching.journaled");
    co_return Release::none;
  }

  asio::awaitable<Release> final_pass() {
    if (stopping_()) co_return Release::asked;
    MirrorRules rules;
    rules.read_back = options_.read_back;
    rules.frozen = true;
    events_.in_step = [this](const SourceMailbox& mailbox, const TargetMailbox&, Cursor cursor) { return in_step(mailbox, cursor); };
    events_.gone = [this](std::string wire) { return gone(std::move(wire)); };
    events_.finding = [this](Finding finding) { notes_.finding(std::move(finding)); };
    events_.written = [this](const std::string& mailbox, const NumberSet& uids) { notes_.written(mailbox, uids); };
    events_.postponed = [this](const SourceMailbox& mailbox, const Error& why) { notes_.postponed(mailbox, why); };
    rules_ = std::move(rules);
    pass_.emplace(executor_, ends_.pass(cursors_, rules_, events_));
    if (!co_await pass_->until(deadline_)) {
      given_up_ = true;
      co_return Release::limit;
    }
    const auto figures = pass_->take();
    pass_.reset();
    if (!figures) co_return failed(anew_ ? Release::difference : whose(figures.error()), figures.error());
    record_.last = *figures;
    record_.copied_messages += figures->appended;
    record_.copied_octets += figures->octets;
    notes_.complete(known_);
    result_.detail = notes_.left_behind().empty() ? notes_.failed() : notes_.left_behind();
    if (result_.detail.empty() && !notes_.left_out().empty() && (record_.consents & kWithoutMailboxes) == 0)
      result_.detail = *notes_.left_out().begin() + ": cannot be carried, and nobody has agreed to that";
    co_return result_.detail.empty() ? Release::none : Release::difference;
  }

  net::Task<void> in_step(const SourceMailbox& mailbox, Cursor cursor) {
    if (given_up_) co_return fail(Fault::closed, "the freeze was given up");
    // A mailbox that is emptied would have to be copied within the freeze; and the journal would have to know before.
    if (cursor == Cursor{}) {
      anew_ = true;
      co_return fail(Fault::temporary, "a mailbox has to be copied again: " + mailbox.name);
    }
    notes_.in_step(mailbox, cursor);
    co_return Result<void>{};
  }

  net::Task<void> gone(std::string wire) {
    if (given_up_) co_return fail(Fault::closed, "the freeze was given up");
    notes_.gone(std::move(wire));
    co_return Result<void>{};
  }

  asio::awaitable<Release> verify() {
    VerifyRules rules;
    rules.only.assign(notes_.touched().begin(), notes_.touched().end());
    // No mailboxes would mean all of them.
    rules.depth = rules.only.empty() ? VerifyDepth::counters : VerifyDepth::messages;
    // All was compared while the account was in use: what the final delta has written is left, and the counters.
    rules.written = notes_.written();
    for (const auto& mailbox : rules.only) rules.written.try_emplace(mailbox);
    rules.cursors = cursors_;
    rules.known = known_;
    verification_.emplace(executor_, ends_.verify(std::move(rules)));
    if (!co_await verification_->until(deadline_)) co_return Release::limit;
    auto found = verification_->take();
    verification_.reset();
    if (!found) co_return failed(whose(found.error()), found.error());
    if (found->empty()) co_return Release::none;
    const auto& first = found->front();
    result_.detail = first.code + (first.mailbox.empty() ? "" : " in " + first.mailbox) + (first.text.empty() ? "" : ": " + first.text);
    result_.differences = *std::move(found);
    co_return Release::difference;
  }

  /// Switched or released, whatever it takes: until the placement is settled, or the platform stops.
  asio::awaitable<void> end() {
    FreezeEnd freeze_end(services_, account_, record_);
    freeze_end.before_note = [this](FreezeEnd& ending) { sum_up(ending); };
    while (true) {
      auto ended = co_await freeze_end.run();
      if (ended) {
        result_.stage = *std::move(ended);
        break;
      }
      log::event(log::Level::error, "migrate-freeze-not-ended",
                 {{"account", static_cast<std::int64_t>(account_)}, {"error", one_line(ended.error())}, {"served", freeze_end.told()}});
      result_.stage = record_;
      if (freeze_end.told() || stopping_()) {
        if (result_.why == Release::none && !freeze_end.switched()) result_.why = Release::asked;
        result_.detail = one_line(ended.error());
        break;
      }
      co_await sleep(options_.write_again);
    }
    if (freeze_end.switched()) result_.why = Release::none;
  }

  /// Everybody is served again: what this attempt leaves behind goes into the journal with the stage.
  void sum_up(FreezeEnd& ending) {
    auto& record = ending.record();
    result_.frozen = std::chrono::ceil<milliseconds>(Time::now() - began_);
    std::ranges::rotate(record.freezes_ms, record.freezes_ms.end() - 1);
    record.freezes_ms.front() =
        static_cast<std::uint32_t>(std::min<std::int64_t>(std::max<std::int64_t>(result_.frozen.count(), 1), UINT32_MAX));
    if (ending.switched()) return;
    if (result_.why == Release::none) result_.why = Release::epoch;  // decided, and then the placement was taken from us
    ending.step = given_up_ ? JournalStep{} : notes_.take(known_);
    record.error = std::string(to_string(result_.why)) + (result_.detail.empty() ? "" : ": " + result_.detail);
    if (result_.why == Release::difference) {
      record.verified_in_full = false;
      append(ending.step.resolved, resolved_differences());
      append(ending.step.findings, shortened(result_.differences));
    }
    if (result_.why == Release::asked) return;
    const auto doublings = std::min<unsigned>(record.attempts, 20);
    const auto wait = std::min<std::int64_t>(options_.first_retry.count() << doublings, options_.longest_retry.count());
    record.not_before = services_.clock->seconds() + wait;
    if (result_.why == Release::records) return;  // says nothing of the account
    if (++record.attempts >= options_.max_attempts) record.stage = Stage::stuck;
  }

  const MoveServices& services_;
  const MoveOptions& options_;
  const AccountNumber account_;
  StageRecord record_;
  MoveEnds& ends_;
  Cursors& cursors_;
  const std::vector<Finding> known_;
  const std::function<bool()> stopping_;

  asio::any_io_executor executor_;
  Time::time_point began_{};
  net::Deadline deadline_{};
  MirrorRules rules_;
  MirrorEvents events_;
  PassNotes notes_;
  bool given_up_ = false;
  bool anew_ = false;
  std::optional<Pending<PassFigures>> pass_;
  std::optional<Pending<std::vector<Finding>>> verification_;
  CutoverResult result_;
};

}  // namespace

std::string_view to_string(Release why) noexcept {
  switch (why) {
    case Release::none: return "switched";
    case Release::limit: return "limit";
    case Release::drain: return "drain";
    case Release::difference: return "difference";
    case Release::source: return "source";
    case Release::target: return "target";
    case Release::records: return "records";
    case Release::epoch: return "epoch";
    case Release::asked: return "asked";
  }
  return "unknown";
}

net::Task<CutoverResult> cut_over(const MoveServices& services, const MoveOptions& options, AccountNumber account, StageRecord record,
                                  MoveEnds& ends, Cursors& cursors, std::vector<Finding> known, std::function<bool()> stopping) {
  Attempt attempt(services, options, account, std::move(record), ends, cursors, std::move(known), std::move(stopping));
  co_return co_await attempt.run();
}

net::Task<StageRecord> end_freeze(const MoveServices& services, AccountNumber account, StageRecord record) {
  if (record.stage != Stage::cutover && record.stage != Stage::switching) co_return record;
  FreezeEnd freeze_end(services, account, std::move(record));
  co_return co_await freeze_end.run();
}

net::Task<bool> wait_for_quiet(const MoveServices& services, const MoveOptions& options, AccountNumber account,
                               std::function<bool()> stopping) {
  const auto deadline = Time::now() + options.quiet_wait;
  while (!stopping()) {
    const auto present = services.gate->presence(account);
    if (present.pop_sessions == 0 && present.transfers == 0 && present.longest_busy <= options.long_command) co_return true;
    if (Time::now() >= deadline) co_return false;
    co_await sleep(kLook);
  }
  co_return false;
}

net::Task<Recovered> recover(const MoveServices& services) {
  std::vector<std::pair<AccountNumber, StageRecord>> frozen;
  RELAIS_CO_TRY_VOID(services.journal->for_each([&](AccountNumber account, const StageRecord& record) {
    if (record.stage == Stage::cutover || record.stage == Stage::switching) frozen.emplace_back(account, record);
    return true;
  }));
  Recovered found;
  for (auto& [account, record] : frozen) {
    const auto ended = co_await end_freeze(services, account, std::move(record));
    if (!ended)
      log::event(log::Level::error, "migrate-not-recovered",
                 {{"account", static_cast<std::int64_t>(account)}, {"error", one_line(ended.error())}});
    ++(!ended ? found.waiting : ended->stage == Stage::native ? found.completed : found.released);
  }
  co_return found;
}

}  // namespace relais::migrate
