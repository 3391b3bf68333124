// Brings one mailbox of the target in step with the source's; see mirror_state.h.
#include "migrate/compare.h"
#include "migrate/copy_messages.h"
#include "migrate/imap_messages.h"
#include "migrate/mirror_state.h"

#include <boost/asio/this_coro.hpp>

#include <algorithm>
#include <optional>
#include <utility>

namespace relais::migrate {
namespace {

constexpr std::uint32_t kStep = 5'000;  // messages whose flags are set, or that are expunged, in one call
constexpr std::uint32_t kProbes = 50;   // messages that are tried to be read at once, of those that could not be before
constexpr std::size_t kFewFlags = 32;   // so many are set without looking what they are

/// Finds out which messages can be read, without keeping them.
class Prober final : public MessageReceiver {
 public:
  net::Task<void> take(Message message) override {
    readable.add(message.about.uid);
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid uid, Error why) override {
    failed.emplace_back(uid, std::move(why));
    co_return Result<void>{};
  }

  NumberSet readable;
  std::vector<std::pair<Uid, Error>> failed;
};

/// The mailbox has changed hands: the next pass lists it anew.
bool is_moved(const Error& error) { return error.fault == Fault::refused && (error.code == "NONEXISTENT" || error.code == "UIDVALIDITY"); }

bool same_flags(const SourceMessage& wanted, const SourceMessage& there) {
  return wanted.system_flags == there.system_flags && (wanted.mod_seq == 0 || wanted.mod_seq == there.mod_seq) &&
         same_keywords(wanted.keywords, there.keywords);
}

class MailboxMirror {
 public:
  MailboxMirror(MirrorState& state, Source& source, MailboxPair pair)
      : state_(state), source_(source), pair_(std::move(pair)), room_(pair_.target, state.target.traits().max_keywords) {}

  net::Task<void> run();

 private:
  /// What went wrong, by whose fault.
  enum class Side : std::uint8_t { source, here };

  bool is_anew() const { return std::ranges::find(state_.rules.anew, pair_.target.name) != state_.rules.anew.end(); }
  Cursor cursor() const;
  Cursor asked_since(Cursor before, const NumberSet& held) const;
  bool unchanged(const Cursor& since) const;
  net::Task<void> attempt();
  net::Task<NumberSet> probe(const SourceChanges& changes, const NumberSet& held);
  net::Task<void> make_anew(std::uint32_t uid_validity);
  net::Task<void> expunge(const NumberSet& uids, ModSeq mod_seq);
  net::Task<void> set_flags(std::vector<SourceMessage> messages, bool all_told);
  net::Task<void> append(const SourceChanges& changes, const NumberSet& uids);
  /// Marks an Error as the target's, or the events'.
  template <class T>
  Result<T> ours(Result<T> result) {
    if (!result) side_ = Side::here;
    return result;
  }

  MirrorState& state_;
  Source& source_;
  MailboxPair pair_;
  KeywordRoom room_;
  Side side_ = Side::source;
  bool ended_ = false;       // by an event
  bool one_by_one_ = false;  // messages are asked for: the source does not keep to the order of UIDs
  bool made_anew_ = false;
  bool changed_ = false;  // something was done to the target
};

Cursor MailboxMirror::cursor() const {
  const auto found = state_.cursors.find(pair_.source.wire);
  if (found == state_.cursors.end() || found->second.uid_validity != pair_.target.uid_validity) return {};
  return found->second;
}

// A source that does not tell what vanished finds it out by the number of messages, and we lack some that were there at the cursor (they
// could not be read, or a pass was cut off): the numbers might agree by chance. Then all is asked for.
Cursor MailboxMirror::asked_since(Cursor before, const NumberSet& held) const {
  if (!source_.traits().vanished && held.rank(before.uid_next) != before.messages) before.highest_mod_seq = 0;
  return before;
}

bool MailboxMirror::unchanged(const Cursor& since) const {
  const auto& listed = pair_.source.state;
  return source_.traits().mod_seqs && listed.highest_mod_seq != 0 && listed == since && pair_.target.messages == listed.messages &&
         (listed.uid_next == 0 || pair_.target.uid_next == listed.uid_next);
}

net::Task<void> MailboxMirror::run() {
  if (!is_anew() && unchanged(cursor())) co_return Result<void>{};
  ++state_.figures.mailboxes;
  auto done = co_await attempt();
  if (!done && one_by_one_ && !ended_) {  // the source's order was not to be relied on: what was appended so far is made anew
    side_ = Side::source;
    done = co_await attempt();
  }
  if (done) co_return done;
  const auto& error = done.error();
  const bool of_the_mailbox = error.fault == Fault::refused || (error.fault == Fault::corrupt && side_ == Side::source);
  if (ended_ || !of_the_mailbox) co_return done;
  if (side_ == Side::source && is_moved(error)) {
    if (state_.events.postponed) state_.events.postponed(pair_.source, error);
  } else {
    const auto& why = error.detail.empty() ? error.text : error.detail;
    state_.find({"mailbox-failed", Weight::red, pair_.target.name, 0, "could not be brought in step: " + why, {}, {}});
  }
  co_return Result<void>{};
}

net::Task<void> MailboxMirror::attempt() {
  RELAIS_CO_TRY(const auto held, ours(co_await state_.target.uids(pair_.target)));
  if (!held.empty()) pair_.target.uid_next = std::max(pair_.target.uid_next, held.back() + 1);
  const bool forced = is_anew() && !made_anew_;
  const auto before = forced ? Cursor{} : cursor();
  RELAIS_CO_TRY(auto changes, co_await source_.changes(pair_.source, asked_since(before, held), held));
  pair_.source.state = changes.state;
  const TargetState there{forced ? 0 : pair_.target.uid_validity, pair_.target.uid_next, held};
  NumberSet unreadable;
  if (there.uid_validity == changes.state.uid_validity) {
    RELAIS_CO_TRY(unreadable, co_await probe(changes, held));
  }
  auto delta = plan_delta(changes, there, unreadable);
  if (!delta) {
    RELAIS_CO_TRY(changes, co_await source_.changes(pair_.source, {}, {}));
    pair_.source.state = changes.state;
    delta = plan_delta(changes, there, unreadable);
    if (!delta) co_return fail(Fault::corrupt, "the source does not list all of the mailbox", "", pair_.source.wire);
  }
  if (delta->anew) RELAIS_CO_TRY_VOID(ours(co_await make_anew(changes.state.uid_validity)));
  RELAIS_CO_TRY_VOID(ours(co_await expunge(delta->expunge, changes.state.highest_mod_seq)));
  RELAIS_CO_TRY_VOID(ours(co_await set_flags(std::move(delta->flags), changes.all || changes.restarted)));
  RELAIS_CO_TRY_VOID(co_await append(changes, delta->append));
  if (changes.state.uid_next > pair_.target.uid_next || changes.state.highest_mod_seq > before.highest_mod_seq) {
    RELAIS_CO_TRY_VOID(ours(co_await state_.target.set_counters(pair_.target, changes.state.uid_next, changes.state.highest_mod_seq)));
    state_.progress();
  }
  if (!changed_ && before == changes.state) co_return Result<void>{};
  co_return ours(co_await state_.move_cursor(pair_.source, pair_.target, changes.state, ended_));
}

// Below the next UID and not here: could not be read when it came by, or was kept from us. Whether it can be read now decides whether the
// mailbox is made anew.
net::Task<NumberSet> MailboxMirror::probe(const SourceChanges& changes, const NumberSet& held) {
  NumberSet missing;
  for (const auto& message : changes.changed) {
    if (message.uid < pair_.target.uid_next && !held.contains(message.uid)) missing.add(message.uid);
  }
  Prober prober;
  for (const auto& some : in_batches(missing, kProbes)) {
    RELAIS_CO_TRY_VOID(co_await state_.budget(some.count(), 0, ended_));
    RELAIS_CO_TRY_VOID(co_await source_.messages(pair_.source, some, prober));
    if (!prober.readable.empty()) break;
  }
  NumberSet unreadable;
  for (const auto& [uid, why] : prober.failed) unreadable.add(uid);
  if (!prober.readable.empty()) {
    state_.find({"copied-anew",
                 Weight::note,
                 pair_.target.name,
                 prober.readable.front(),
                 "a message can be read that could not be before: the mailbox is copied anew",
                 {},
                 {}});
    co_return NumberSet{};
  }
  for (const auto& [uid, why] : prober.failed) {
    state_.find({"unreadable",
                 Weight::red,
                 pair_.target.name,
                 uid,
                 "the source cannot give it: " + (why.detail.empty() ? why.text : why.detail),
                 {},
                 {}});
  }
  // Neither: gone meanwhile, which the next pass is told.
  missing.remove(unreadable);
  unreadable.add(missing);
  co_return unreadable;
}

// The cursor is void before the mailbox is: a pass that is cut off in between must not be taken for one that had come that far.
net::Task<void> MailboxMirror::make_anew(std::uint32_t uid_validity) {
  const bool reset = pair_.target.uid_validity != uid_validity;
  if (reset && pair_.target.uid_next > 1) {
    state_.find({"uidvalidity-changed", Weight::amber, pair_.target.name, 0, "another UIDVALIDITY: the mailbox is copied anew",
                 std::to_string(uid_validity), std::to_string(pair_.target.uid_validity)});
  }
  const auto journaled = state_.cursors.find(pair_.source.wire);
  if (journaled != state_.cursors.end() && journaled->second != Cursor{}) {
    RELAIS_CO_TRY_VOID(co_await state_.move_cursor(pair_.source, pair_.target, {}, ended_));
  }
  changed_ = made_anew_ = true;
  if (!reset) RELAIS_CO_TRY_VOID(co_await state_.target.remove(pair_.target));
  RELAIS_CO_TRY(pair_.target, co_await state_.target.create(pair_.source));
  room_ = KeywordRoom(pair_.target, state_.target.traits().max_keywords);
  state_.progress();
  co_return Result<void>{};
}

net::Task<void> MailboxMirror::expunge(const NumberSet& uids, ModSeq mod_seq) {
  for (const auto& some : in_batches(uids, kStep)) {
    RELAIS_CO_TRY_VOID(co_await state_.target.expunge(pair_.target, some, mod_seq));
    state_.written(pair_.target, some);
    changed_ = true;
    state_.figures.expunged += some.count();
    state_.progress();
  }
  co_return Result<void>{};
}

// Where all messages were told of and not just those that changed, only flags that differ are written, and count.
net::Task<void> MailboxMirror::set_flags(std::vector<SourceMessage> messages, bool all_told) {
  for (auto& message : messages) fit_flags(state_, pair_.target.name, room_, message);
  if (!messages.empty() && (all_told || messages.size() > kFewFlags)) {
    RELAIS_CO_TRY(const auto there, co_await state_.target.flags(pair_.target));
    auto other = there.begin();
    std::erase_if(messages, [&](const SourceMessage& message) {
      while (other != there.end() && other->uid < message.uid) ++other;
      return other != there.end() && other->uid == message.uid && same_flags(message, *other);
    });
  }
  for (std::size_t i = 0; i < messages.size(); i += kStep) {
    const auto count = std::min<std::size_t>(kStep, messages.size() - i);
    const auto first = messages.begin() + static_cast<std::ptrdiff_t>(i);
    std::vector<SourceMessage> some(std::make_move_iterator(first), std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count)));
    NumberSet uids;
    for (const auto& message : some) uids.add(message.uid);
    RELAIS_CO_TRY_VOID(co_await state_.target.set_flags(pair_.target, std::move(some)));
    state_.written(pair_.target, uids);
    changed_ = true;
    state_.figures.flags += count;
    state_.progress();
  }
  co_return Result<void>{};
}

net::Task<void> MailboxMirror::append(const SourceChanges& changes, const NumberSet& uids) {
  if (uids.empty()) co_return Result<void>{};
  MessageCopier copier(state_, pair_, room_, co_await net::asio::this_coro::executor);
  auto done = co_await copier.copy(source_, uids, changes.changed, one_by_one_);
  changed_ = changed_ || copier.handed_over() != 0;
  pair_.target.uid_next = std::max(pair_.target.uid_next, copier.handed_over() + 1);
  if (copier.failed_here()) side_ = Side::here;
  ended_ = copier.ended();
  one_by_one_ = one_by_one_ || copier.out_of_order();
  co_return done;
}

}  // namespace

net::Task<void> mirror_mailbox(MirrorState& state, Source& source, MailboxPair pair) {
  MailboxMirror mirror(state, source, std::move(pair));
  co_return co_await mirror.run();
}

}  // namespace relais::migrate
