// Compares both ends; see verify.h.
#include "migrate/verify.h"

#include "migrate/compare.h"
#include "migrate/copy_messages.h"
#include "migrate/imap_messages.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

namespace relais::migrate {
namespace {

constexpr std::uint32_t kStep = 1'000;  // messages whose digests are compared at once

std::string text_of(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out.append(out.empty() ? "" : ", ").append(name);
  return out;
}

/// What the source gives, as digests.
class DigestList final : public MessageReceiver {
 public:
  net::Task<void> take(Message message) override {
    digests.insert_or_assign(message.about.uid, TargetDigest{message.about.uid, message.octets.size(), digest_of(message.octets)});
    co_return Result<void>{};
  }
  net::Task<void> unreadable(Uid uid, Error) override {
    refused.add(uid);
    co_return Result<void>{};
  }

  std::map<Uid, TargetDigest> digests;
  NumberSet refused;
};

class Verifier {
 public:
  Verifier(Source& source, Target& target, VerifyRules rules);
  net::Task<std::vector<Finding>> run();

 private:
  void add(std::string code, std::string_view mailbox, std::string text, std::string there = {}, std::string here = {}) {
    out_.push_back({std::move(code), Weight::red, std::string(mailbox), 0, std::move(text), std::move(there), std::move(here)});
  }
  static bool has(const std::map<std::string, NumberSet, std::less<>>& sets, std::string_view mailbox, Uid uid) {
    const auto found = sets.find(mailbox);
    return found != sets.end() && found->second.contains(uid);
  }
  bool is_looked_into(std::string_view mailbox) const {
    return depth_ != VerifyDepth::counters && (only_.empty() || only_.contains(mailbox));
  }
  /// @return false where there is nothing to look into
  bool compare_counters(const SourceMailbox& there, const TargetMailbox& here);
  /// What is looked into of a mailbox; nullptr: all of it.
  const NumberSet* part_of(const SourceMailbox& there, const TargetMailbox& here) const;
  net::Task<void> compare_contents(const SourceMailbox& there, const TargetMailbox& here);
  net::Task<void> compare_digests(const SourceMailbox& there, const TargetMailbox& here, const NumberSet& uids);

  Source& source_;
  Target& target_;
  const VerifyDepth depth_;
  const std::set<std::string, std::less<>> only_;
  const std::map<std::string, NumberSet, std::less<>> written_;
  const Cursors cursors_;
  std::map<std::string, NumberSet, std::less<>> unreadable_;  // by storage name
  std::map<std::string, NumberSet, std::less<>> odd_sizes_;
  std::vector<Finding> out_;
};

Verifier::Verifier(Source& source, Target& target, VerifyRules rules)
    : source_(source),
      target_(target),
      depth_(rules.depth),
      only_(rules.only.begin(), rules.only.end()),
      written_(std::move(rules.written)),
      cursors_(std::move(rules.cursors)) {
  for (const auto& finding : rules.known) {
    if (finding.code == "unreadable") unreadable_[finding.mailbox].add(finding.uid);
    if (finding.code == "size-wrong") odd_sizes_[finding.mailbox].add(finding.uid);
  }
}

net::Task<std::vector<Finding>> Verifier::run() {
  RELAIS_CO_TRY(auto listing, co_await source_.list());
  RELAIS_CO_TRY(auto now, co_await target_.list());
  give_uses_once(listing);
  std::map<std::string_view, const TargetMailbox*> there;
  for (const auto& mailbox : now.mailboxes) there.emplace(mailbox.name, &mailbox);
  std::vector<std::pair<const SourceMailbox*, const TargetMailbox*>> pairs;
  for (const auto& mailbox : listing.mailboxes) {
    const auto found = there.find(mailbox.name);
    if (found == there.end()) {
      add("mailbox-missing", mailbox.name, "a mailbox that the target does not have");
      continue;
    }
    if (compare_counters(mailbox, *found->second) && is_looked_into(mailbox.name)) pairs.emplace_back(&mailbox, found->second);
  }
  std::set<std::string_view> listed;
  for (const auto& mailbox : listing.mailboxes) listed.insert(mailbox.name);
  for (const auto& mailbox : now.mailboxes) {
    const auto below = mailbox.name + "/";
    const auto child = listed.lower_bound(below);
    const bool for_its_children = !mailbox.selectable && child != listed.end() && child->starts_with(below);
    if (listed.contains(mailbox.name) || for_its_children) continue;
    add("mailbox-extra", mailbox.name, "a mailbox that the source does not have");
  }
  if (listing.subscriptions != now.subscriptions) {
    add("subscriptions-differ", {}, "other subscriptions", text_of(listing.subscriptions), text_of(now.subscriptions));
  }
  for (const auto& [source, target] : pairs) RELAIS_CO_TRY_VOID(co_await compare_contents(*source, *target));
  co_return std::move(out_);
}

bool Verifier::compare_counters(const SourceMailbox& there, const TargetMailbox& here) {
  if (there.selectable != here.selectable) {
    add("kind-differs", there.name, "a mailbox with messages on one side, a name alone on the other", there.selectable ? "mailbox" : "name",
        here.selectable ? "mailbox" : "name");
    return false;
  }
  if (!there.selectable) return false;
  const auto& state = there.state;
  const auto differ = [&](std::string code, std::string text, std::uint64_t a, std::uint64_t b) {
    if (a != b) add(std::move(code), there.name, std::move(text), std::to_string(a), std::to_string(b));
  };
  differ("uidvalidity-differs", "another UIDVALIDITY", state.uid_validity, here.uid_validity);
  if (state.uid_validity != here.uid_validity) return false;
  if (state.uid_next != 0) differ("uidnext-differs", "another next UID", state.uid_next, here.uid_next);
  differ("special-use-differs", "another special use", there.special_use, here.special_use);
  // Some of those that could not be read may be gone.
  const auto left_out = unreadable_.find(there.name);
  const auto fewer = left_out == unreadable_.end() ? 0 : left_out->second.count();
  if (state.messages < here.messages || state.messages - here.messages > fewer)
    differ("count-differs", "another number of messages", state.messages, here.messages);
  return true;
}

// A source that has come further than the delta was told of has changed since, nobody knows where.
const NumberSet* Verifier::part_of(const SourceMailbox& there, const TargetMailbox& here) const {
  const auto part = written_.find(there.name);
  if (part == written_.end() || there.state.messages != here.messages) return nullptr;
  if (!source_.traits().mod_seqs) return &part->second;
  const auto cursor = cursors_.find(there.wire);
  const bool as_it_was = cursor != cursors_.end() && cursor->second.highest_mod_seq == there.state.highest_mod_seq;
  return as_it_was ? &part->second : nullptr;
}

net::Task<void> Verifier::compare_contents(const SourceMailbox& there, const TargetMailbox& here) {
  const auto* part = part_of(there, here);
  if (part != nullptr && part->empty()) co_return Result<void>{};
  std::vector<SourceMessage> source;
  std::vector<SourceMessage> target;
  if (part == nullptr) {
    RELAIS_CO_TRY(source, co_await source_.everything(there));
    RELAIS_CO_TRY(target, co_await target_.everything(here));
  } else {
    RELAIS_CO_TRY(source, co_await source_.everything(there, *part));
    RELAIS_CO_TRY(target, co_await target_.everything(here, *part));
  }
  KeywordRoom room(here, target_.traits().max_keywords);
  for (auto& message : source) room.fit(message.keywords);
  NumberSet both;
  for (const auto& message : target) both.add(message.uid);
  const auto known = [&](const Finding& finding) {
    return (finding.code == "missing" && has(unreadable_, there.name, finding.uid)) ||
           (finding.code == "size-differs" && has(odd_sizes_, there.name, finding.uid));
  };
  for (auto& finding : compare_messages(there.name, source, target)) {
    if (finding.code == "extra") both.remove(finding.uid);
    if (!known(finding)) out_.push_back(std::move(finding));
  }
  if (depth_ == VerifyDepth::digests) RELAIS_CO_TRY_VOID(co_await compare_digests(there, here, both));
  co_return Result<void>{};
}

net::Task<void> Verifier::compare_digests(const SourceMailbox& there, const TargetMailbox& here, const NumberSet& uids) {
  for (const auto& some : in_batches(uids, kStep)) {
    DigestList read;
    RELAIS_CO_TRY_VOID(co_await source_.messages(there, some, read));
    RELAIS_CO_TRY(const auto lies, co_await target_.digests(here, some));
    auto missing = some;
    const auto differs = [&](Uid uid, std::string text) {
      out_.push_back({"digest-differs", Weight::red, there.name, uid, std::move(text), {}, {}});
    };
    for (const auto& one : lies) {
      missing.remove(one.uid);
      const auto sent = read.digests.find(one.uid);
      if (sent == read.digests.end()) {
        differs(one.uid,
                read.refused.contains(one.uid) ? "the source cannot give the message now" : "the source does not give the message");
      } else if (sent->second.size != one.size || sent->second.sha256 != one.sha256) {
        differs(one.uid, "other octets");
      }
    }
    missing.for_each([&](Uid uid) { differs(uid, "the target does not give the message"); });
  }
  co_return Result<void>{};
}

}  // namespace

net::Task<std::vector<Finding>> verify(Source& source, Target& target, VerifyRules rules) {
  Verifier verifier(source, target, std::move(rules));
  co_return co_await verifier.run();
}

}  // namespace relais::migrate
