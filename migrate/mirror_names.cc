// Makes the target's mailboxes as the source's are listed; see mirror_state.h.
#include "migrate/compare.h"
#include "migrate/copy_messages.h"
#include "migrate/mirror_state.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <ranges>
#include <span>
#include <utility>

namespace relais::migrate {
namespace {

/// Keeps the digest of one message.
class DigestReceiver final : public MessageReceiver {
 public:
  net::Task<void> take(Message message) override {
    digest = digest_of(message.octets);
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid, Error) override { co_return Result<void>{}; }

  std::optional<std::array<unsigned char, 32>> digest;
};

/// Whether two listings can be of one mailbox, whatever came and went since. @return the last message that both have, where they agree in
/// all of those
std::optional<Uid> last_in_common(std::span<const SourceMessage> source, std::span<const SourceMessage> target) {
  std::optional<Uid> last;
  auto there = source.begin();
  for (const auto& here : target) {
    while (there != source.end() && there->uid < here.uid) ++there;
    if (there == source.end()) break;
    if (there->uid != here.uid) continue;
    if (there->size != here.size || there->internal_date != here.internal_date || there->internal_zone != here.internal_zone)
      return std::nullopt;
    last = here.uid;
  }
  return last;
}

class NamesMirror {
 public:
  NamesMirror(MirrorState& state, Source& source, SourceListing listing) : state_(state), source_(source), listing_(std::move(listing)) {}

  net::Task<std::vector<MailboxPair>> run();

 private:
  void tell_what_is_left() const;
  void choose();
  bool is_wanted(std::string_view name) const { return wanted_.contains(name); }
  bool has_wanted_child(std::string_view name) const;
  net::Task<void> list_target();
  /// @return whether there was one
  net::Task<bool> rename_moved();
  net::Task<bool> is_same(const SourceMailbox& source, const TargetMailbox& target);
  net::Task<void> remove_gone();
  net::Task<void> create_missing();
  net::Task<void> create(const SourceMailbox& mailbox, std::uint8_t special_use);
  net::Task<void> subscribe();
  net::Task<void> forget_cursors();

  MirrorState& state_;
  Source& source_;
  SourceListing listing_;
  std::map<std::string, SourceMailbox, std::less<>> wanted_;  // by storage name
  std::map<std::string, TargetMailbox, std::less<>> there_;   // by storage name
  std::vector<std::string> subscribed_;
  std::set<std::string, std::less<>> unknown_;  // names whose mailboxes could not be asked for, or not made
};

void NamesMirror::tell_what_is_left() const {
  for (const auto& left : listing_.left) {
    const bool clash = left.why.starts_with("has the same name");
    const auto* code = left.shared ? "shared-mailbox" : clash ? "name-clash" : "not-carried";
    state_.find({code, left.shared ? Weight::amber : Weight::red, left.wire, 0, left.why, {}, {}});
  }
  for (const auto& mailbox : listing_.mailboxes) {
    if (!mailbox.name_changed && !mailbox.recomposed) continue;
    const auto* why =
        mailbox.name_changed ? "its name is no UTF-8: clients see another one" : "its name is written in another form of Unicode here";
    state_.find({"name-changed", Weight::amber, mailbox.name, 0, why, mailbox.wire, mailbox.name});
  }
}

void NamesMirror::choose() {
  for (const auto& mailbox : listing_.mailboxes) {
    if (mailbox.selectable && mailbox.state.uid_validity == 0) {
      state_.find({"no-state", Weight::red, mailbox.name, 0, "the source tells nothing of it: " + mailbox.problem, {}, {}});
      unknown_.insert(mailbox.name);
    }
    wanted_.emplace(mailbox.name, mailbox);
  }
}

net::Task<std::vector<MailboxPair>> NamesMirror::run() {
  tell_what_is_left();
  for (const auto& name : give_uses_once(listing_)) {
    state_.find(
        {"special-use-twice", Weight::amber, name, 0, "another mailbox has the same special use, or this one can have none", {}, {}});
  }
  choose();
  RELAIS_CO_TRY_VOID(co_await list_target());
  RELAIS_CO_TRY(const bool renamed, co_await rename_moved());
  if (renamed) RELAIS_CO_TRY_VOID(co_await list_target());  // a name may be left, for children
  RELAIS_CO_TRY_VOID(co_await remove_gone());
  RELAIS_CO_TRY_VOID(co_await create_missing());
  RELAIS_CO_TRY_VOID(co_await subscribe());
  RELAIS_CO_TRY_VOID(co_await forget_cursors());
  std::vector<MailboxPair> pairs;
  const auto rank = [this](const SourceMailbox& mailbox) {
    return mailbox.name == "INBOX" ? 0 : mailbox.state.messages <= state_.rules.large_mailbox ? 1 : 2;
  };
  for (const int turn : {0, 1, 2}) {
    for (const auto& mailbox : listing_.mailboxes) {
      if (!mailbox.selectable || unknown_.contains(mailbox.name) || rank(mailbox) != turn) continue;
      pairs.push_back({wanted_.at(mailbox.name), there_.at(mailbox.name)});
    }
  }
  co_return pairs;
}

net::Task<void> NamesMirror::list_target() {
  RELAIS_CO_TRY(auto now, co_await state_.target.list());
  there_.clear();
  for (auto& mailbox : now.mailboxes) there_.emplace(mailbox.name, std::move(mailbox));
  subscribed_ = std::move(now.subscriptions);
  co_return Result<void>{};
}

bool NamesMirror::has_wanted_child(std::string_view name) const {
  const auto prefix = std::string(name) + "/";
  const auto child = wanted_.lower_bound(prefix);
  return child != wanted_.end() && child->first.starts_with(prefix);
}

// Servers give UIDVALIDITYs by the second, or the same to all mailboxes, so that alone says nothing.
net::Task<bool> NamesMirror::rename_moved() {
  std::map<std::uint32_t, std::vector<std::string>> gone;
  std::map<std::uint32_t, std::vector<std::string>> come;
  for (const auto& [name, mailbox] : there_) {
    if (mailbox.selectable && name != "INBOX" && !is_wanted(name) && mailbox.messages > 0) gone[mailbox.uid_validity].push_back(name);
  }
  if (gone.empty()) co_return false;
  bool any = false;
  for (const auto& [name, mailbox] : wanted_) {
    const auto known = there_.find(name);
    if (mailbox.selectable && name != "INBOX" && !unknown_.contains(name) && (known == there_.end() || !known->second.selectable)) {
      come[mailbox.state.uid_validity].push_back(name);
    }
  }
  for (const auto& [validity, from] : gone) {
    const auto to = come.find(validity);
    if (to == come.end() || from.size() != 1 || to->second.size() != 1) continue;
    const auto& name = to->second.front();
    RELAIS_CO_TRY(const bool same, co_await is_same(wanted_.at(name), there_.at(from.front())));
    if (!same) continue;
    auto renamed = co_await state_.target.rename(there_.at(from.front()), name);
    if (!renamed && renamed.error().fault == Fault::refused) continue;
    if (!renamed) co_return fail(renamed.error());
    any = true;
    state_.progress();
  }
  co_return any;
}

net::Task<bool> NamesMirror::is_same(const SourceMailbox& source, const TargetMailbox& target) {
  const auto no_or = [](const Error& error) -> Result<bool> {
    if (error.fault == Fault::refused || error.fault == Fault::corrupt) return false;
    return fail(error);
  };
  const auto listed = co_await source_.everything(source);
  if (!listed) co_return no_or(listed.error());
  RELAIS_CO_TRY(const auto held, co_await state_.target.everything(target));
  const auto last = last_in_common(*listed, held);
  if (!last) co_return false;
  DigestReceiver receiver;
  const auto read = co_await source_.messages(source, NumberSet{{*last, *last}}, receiver);
  if (!read) co_return no_or(read.error());
  RELAIS_CO_TRY(const auto digests, co_await state_.target.digests(target, NumberSet{{*last, *last}}));
  co_return receiver.digest&& digests.size() == 1 && digests.front().sha256 == *receiver.digest;
}

// Children before their parents. INBOX stays: no account is without.
net::Task<void> NamesMirror::remove_gone() {
  std::vector<std::string> gone;
  for (const auto& [name, mailbox] : there_) {
    if (name == "INBOX" || is_wanted(name) || (!mailbox.selectable && has_wanted_child(name))) continue;
    gone.push_back(name);
  }
  for (const auto& name : std::views::reverse(gone)) {
    RELAIS_CO_TRY_VOID(co_await state_.target.remove(there_.at(name)));
    there_.erase(name);
    state_.progress();
  }
  co_return Result<void>{};
}

// A special use that passes from one mailbox to another is taken away before it is given.
net::Task<void> NamesMirror::create_missing() {
  for (const auto& mailbox : listing_.mailboxes) {
    const auto now = there_.find(mailbox.name);
    const auto use = mailbox.special_use;
    if (now == there_.end() || !now->second.selectable || (now->second.special_use & ~use) == 0) continue;
    RELAIS_CO_TRY_VOID(co_await create(mailbox, static_cast<std::uint8_t>(now->second.special_use & use)));
  }
  for (const auto& mailbox : listing_.mailboxes) {
    if (unknown_.contains(mailbox.name)) continue;
    const auto now = there_.find(mailbox.name);
    const auto use = mailbox.special_use;
    const bool is_so =
        now != there_.end() && now->second.selectable == mailbox.selectable && (!mailbox.selectable || now->second.special_use == use);
    if (!is_so) RELAIS_CO_TRY_VOID(co_await create(mailbox, use));
  }
  co_return Result<void>{};
}

// One that is there keeps its UIDVALIDITY: mirror_mailbox() sees to that.
net::Task<void> NamesMirror::create(const SourceMailbox& mailbox, std::uint8_t special_use) {
  const auto now = there_.find(mailbox.name);
  auto wanted = mailbox;
  wanted.special_use = special_use;
  if (now != there_.end() && now->second.selectable && mailbox.selectable) wanted.state.uid_validity = now->second.uid_validity;
  auto made = co_await state_.target.create(wanted);
  if (!made && made.error().fault != Fault::refused) co_return fail(made.error());
  if (made) {
    there_.insert_or_assign(mailbox.name, std::move(*made));
    state_.progress();
    co_return Result<void>{};
  }
  const auto& why = made.error().detail.empty() ? made.error().text : made.error().detail;
  state_.find({"mailbox-refused", Weight::red, mailbox.name, 0, "cannot be made: " + why, {}, {}});
  if (now == there_.end() || now->second.selectable != mailbox.selectable) unknown_.insert(mailbox.name);
  co_return Result<void>{};
}

net::Task<void> NamesMirror::subscribe() {
  if (subscribed_ == listing_.subscriptions) co_return Result<void>{};
  auto done = co_await state_.target.set_subscriptions(listing_.subscriptions);
  if (!done && done.error().fault != Fault::refused) co_return done;
  if (!done) state_.find({"subscriptions-refused", Weight::amber, {}, 0, "the subscriptions cannot be kept: " + done.error().text, {}, {}});
  state_.progress();
  co_return Result<void>{};
}

net::Task<void> NamesMirror::forget_cursors() {
  std::set<std::string_view> listed;
  for (const auto& mailbox : listing_.mailboxes) {
    if (mailbox.selectable) listed.insert(mailbox.wire);
  }
  std::vector<std::string> gone;
  for (const auto& [wire, cursor] : state_.cursors) {
    if (!listed.contains(wire)) gone.push_back(wire);
  }
  for (const auto& wire : gone) {
    if (state_.events.gone) {
      auto told = co_await state_.events.gone(wire);
      if (!told) co_return told;
    }
    state_.cursors.erase(wire);
  }
  co_return Result<void>{};
}

}  // namespace

net::Task<std::vector<MailboxPair>> mirror_names(MirrorState& state, Source& source, SourceListing listing) {
  NamesMirror mirror(state, source, std::move(listing));
  co_return co_await mirror.run();
}

}  // namespace relais::migrate
