// Random operations of the mover and of users against a model that knows every number exactly, on each engine, with failing commits and
// reopening in between.
#include "storage/import.h"

#include "storage/model/check.h"
#include "storage/model/digest.h"
#include "storage/model/fault_harness.h"
#include "storage/model/testing.h"
#include "storage/model/work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <random>
#include <set>

namespace relais::storage::testing {
namespace {

constexpr AccountRef kAccount{AccountId{42}, 0};
const NumberSet kAll(NumberRange{1, UINT32_MAX});

struct KnownMessage {
  std::string content{};
  FlagBits system_flags = 0;
  std::set<std::string> keywords{};
  std::int64_t internal_date = 0;
  std::int16_t internal_zone = 0;
  std::string uidl{};
  ModSeq mod_seq = 0;
  friend bool operator==(const KnownMessage&, const KnownMessage&) = default;
};

struct KnownMailbox {
  bool selectable = true;
  std::uint32_t uid_validity = 0;  ///< 0: whatever the storage gave
  std::uint8_t special_use = kUseNone;
  Uid uid_next = 1;
  ModSeq highest = 1;
  ModSeq floor = 0;
  std::map<Uid, KnownMessage> messages{};
  std::map<Uid, ModSeq> tombstones{};
  std::map<std::string, std::string> attributes{};
};

/// One account, with its mod-sequences. Each operation returns the refusal's code, or an empty text.
struct KnownAccount {
  AccountState state = AccountState::open;
  ModSeq mod_seq = 1;
  std::map<std::string, KnownMailbox> mailboxes;
  std::set<std::string> subscribed;
  std::map<std::string, std::string> attributes;

  /// A transaction hands out one mod-sequence, when it is first wanted.
  struct Step {
    KnownAccount& account;
    ModSeq made = 0;
    ModSeq operator()() { return made != 0 ? made : made = ++account.mod_seq; }
    void raise(KnownMailbox& mailbox, ModSeq to) {
      mailbox.highest = std::max(mailbox.highest, to);
      account.mod_seq = std::max(account.mod_seq, to);
    }
  };

  bool has_children(const std::string& name) const {
    return std::ranges::any_of(mailboxes, [&](const auto& entry) { return entry.first.starts_with(name + "/"); });
  }
  void make_parents(const std::string& name) {
    for (auto slash = name.rfind('/'); slash != std::string::npos; slash = name.rfind('/', slash - 1)) {
      const auto [at, made] = mailboxes.try_emplace(name.substr(0, slash));
      if (made) at->second.selectable = false;
    }
  }
  std::string claim(std::uint8_t use, const std::string& for_name) {
    for (const auto& [name, mailbox] : mailboxes) {
      if (name != for_name && (mailbox.special_use & use) != 0 && mailbox.uid_next > 1) return "USEATTR";
    }
    for (auto& [name, mailbox] : mailboxes) {
      if (name != for_name) mailbox.special_use &= static_cast<std::uint8_t>(~use);
    }
    return {};
  }

  std::string set_state(AccountState expected, AccountState to) {
    if (state == to) return {};
    if (state != expected) return "STATE";
    if (to == AccountState::open) {
      const auto inbox = mailboxes.find("INBOX");
      if (inbox != mailboxes.end() && !inbox->second.selectable) Step{*this}();  // the name gives way
      if (inbox == mailboxes.end() || !inbox->second.selectable) mailboxes["INBOX"] = {};
    }
    state = to;
    return {};
  }
  std::string create(const ImportedMailbox& wanted) {
    if (state != AccountState::importing) return "STATE";
    if (wanted.name == "INBOX" && !wanted.selectable) return "CANNOT";
    if (wanted.name == "INBOX" && wanted.special_use != 0) return "USEATTR";
    const auto at = mailboxes.find(wanted.name);
    const bool as_it_is = at != mailboxes.end() && at->second.selectable == wanted.selectable &&
                          (!wanted.selectable || at->second.uid_validity == wanted.uid_validity);
    if (as_it_is && at->second.special_use == wanted.special_use) return {};
    if (auto refused = claim(wanted.special_use, wanted.name); !refused.empty()) return refused;
    if (!as_it_is) {
      if (at != mailboxes.end()) Step{*this}();
      make_parents(wanted.name);
      mailboxes[wanted.name] = {.selectable = wanted.selectable, .uid_validity = wanted.uid_validity};
    }
    mailboxes[wanted.name].special_use = wanted.special_use;
    return {};
  }
  std::string rename(const std::string& from, const std::string& to) {
    if (state != AccountState::importing) return "STATE";
    if (from == to) return {};
    const auto& moved = mailboxes.at(from);
    if (to == "INBOX" && (!moved.selectable || moved.special_use != 0)) return "CANNOT";
    if (const auto there = mailboxes.find(to); there != mailboxes.end()) {
      if (there->second.selectable) return "ALREADYEXISTS";
      Step{*this}();
      mailboxes.erase(there);
    }
    const bool parent = has_children(from);
    auto node = mailboxes.extract(from);
    node.key() = to;
    mailboxes.insert(std::move(node));
    make_parents(to);
    if (parent && mailboxes.try_emplace(from).second) mailboxes[from].selectable = false;
    return {};
  }
  std::string remove(const std::string& name) {
    if (state != AccountState::importing) return "STATE";
    const bool parent = has_children(name);
    if (parent && !mailboxes.at(name).selectable) return {};
    Step{*this}();
    mailboxes.erase(name);
    if (parent) mailboxes[name].selectable = false;
    return {};
  }

  struct NewMessage {
    Uid uid = 0;
    KnownMessage message;
  };
  std::string append(const std::string& name, const std::vector<NewMessage>& messages) {
    if (state != AccountState::importing) return "STATE";
    auto& mailbox = mailboxes.at(name);
    if (!mailbox.selectable) return "NONEXISTENT";
    const auto first_new = mailbox.uid_next;
    Step step{*this};
    for (const auto& [uid, message] : messages) {
      if (uid < first_new) {
        const auto there = mailbox.messages.find(uid);
        if (there == mailbox.messages.end() || there->second.content != message.content) return "CANNOT";
        continue;
      }
      auto& added = mailbox.messages[uid] = message;
      if (added.mod_seq == 0) added.mod_seq = step();
      step.raise(mailbox, added.mod_seq);
      mailbox.uid_next = uid + 1;
    }
    return {};
  }
  std::string impose(const std::string& name, const std::vector<ImposedState>& states) {
    if (state != AccountState::importing) return "STATE";
    auto& mailbox = mailboxes.at(name);
    if (!mailbox.selectable) return "NONEXISTENT";
    std::map<Uid, ImposedState> last;
    for (const auto& imposed : states) last[imposed.uid] = imposed;
    Step step{*this};
    for (const auto& [uid, imposed] : last) {
      const auto at = mailbox.messages.find(uid);
      if (at == mailbox.messages.end()) continue;
      auto& message = at->second;
      const std::set<std::string> keywords(imposed.keywords.begin(), imposed.keywords.end());
      const bool other = message.system_flags != imposed.system_flags || message.keywords != keywords;
      message.system_flags = imposed.system_flags;
      message.keywords = keywords;
      const auto before = message.mod_seq;
      if (imposed.mod_seq != 0) message.mod_seq = imposed.mod_seq;
      if (imposed.mod_seq == 0 && other) message.mod_seq = step();
      if (other || message.mod_seq != before) step.raise(mailbox, message.mod_seq);
      if (imposed.uidl) message.uidl = *imposed.uidl;
    }
    return {};
  }
  std::string expunge(const std::string& name, const NumberSet& uids, ModSeq dictated) {
    auto& mailbox = mailboxes.at(name);
    if (!mailbox.selectable) return "NONEXISTENT";
    Step step{*this};
    std::erase_if(mailbox.messages, [&](const auto& entry) {
      if (!uids.contains(entry.first)) return false;
      const auto mod_seq = dictated != 0 ? dictated : step();
      step.raise(mailbox, mod_seq);
      mailbox.tombstones[entry.first] = mod_seq;
      return true;
    });
    return {};
  }
  std::string set_counters(const std::string& name, const ImportedCounters& counters) {
    if (state != AccountState::importing) return "STATE";
    auto& mailbox = mailboxes.at(name);
    if (!mailbox.selectable) return "NONEXISTENT";
    mailbox.uid_next = std::max(mailbox.uid_next, counters.uid_next);
    Step{*this}.raise(mailbox, std::max(mailbox.highest, counters.highest_mod_seq));
    mailbox.floor = std::max(mailbox.floor, counters.tombstone_floor);
    return {};
  }
};

bool same(const KnownMailbox& a, const KnownMailbox& b) {
  const bool validity = !a.selectable || a.uid_validity == b.uid_validity || a.uid_validity == 0 || b.uid_validity == 0;
  return validity && a.selectable == b.selectable && a.special_use == b.special_use && a.attributes == b.attributes &&
         (!a.selectable || (a.uid_next == b.uid_next && a.highest == b.highest && a.floor == b.floor && a.messages == b.messages));
}

bool same(const KnownAccount& a, const KnownAccount& b) {
  return a.state == b.state && a.mod_seq == b.mod_seq && a.subscribed == b.subscribed && a.attributes == b.attributes &&
         std::ranges::equal(a.mailboxes, b.mailboxes,
                            [](const auto& x, const auto& y) { return x.first == y.first && same(x.second, y.second); });
}

class ImportRandomTest {
 public:
  ImportRandomTest(Harness& harness, ManualClock& clock, std::uint64_t seed) : harness_(harness), clock_(clock), random_(seed) {
    for (unsigned i = 0; i < 12; ++i) contents_.push_back(sample_message(i * 37));
    contents_.push_back("");
    contents_.push_back("To: x\r\nReferences: " + std::string(1'900, 'r') + "\r\n\r\na UIDL more and the header fields lie apart\r\n");
    for (const auto& content : contents_) prepared_.push_back(*await(store().prepare(content)));
    EXPECT_TRUE(await(import().set_state(kAccount, AccountState::open, AccountState::importing)));
    model_.state = AccountState::importing;
    EXPECT_TRUE(await(import().create(kAccount, {.name = "INBOX", .uid_validity = 1})));
    model_.create({.name = "INBOX", .uid_validity = 1});
    look();
  }

  void run(unsigned steps) {
    for (unsigned step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      clock_.advance(std::chrono::seconds(random_() % 3));
      if (random_() % 150 == 0) {
        trace("reopen");
        harness_.reopen();
      }
      if (random_() % 150 == 0) {
        trace("compact");
        EXPECT_TRUE(await(store().engine(0).compact(0.1)));
      }
      armed_ = below(25) == 0 && harness_.arm(random_);
      choose();
      disarm();
      if (random_() % 24 == 0) compare();
      if (random_() % 100 == 0) check();
    }
    compare();
    check();
    if (::testing::Test::HasFailure()) {
      for (const auto& line : trace_) std::cerr << line << "\n";
    }
  }

 private:
  ShardedStore& store() { return harness_.store(); }
  Import& import() { return store().importer(); }
  std::size_t below(std::size_t n) { return random_() % n; }
  template <class T>
  const T& one_of(const std::vector<T>& v) {
    return v[below(v.size())];
  }
  void trace(std::string line) {
    trace_.push_back(std::move(line));
    if (trace_.size() > 60) trace_.erase(trace_.begin());
  }

  std::string any_name() {
    static const std::vector<std::string> kNames = {"INBOX", "Sent", "a", "a/b", "a/b/c", "d", "d/e", "Größe", "INBOX/sub"};
    return one_of(kNames);
  }
  std::string existing_name() {
    return std::next(model_.mailboxes.begin(), static_cast<std::ptrdiff_t>(below(model_.mailboxes.size())))->first;
  }
  std::string full_name() {  // most often the one with the most messages
    if (below(3) == 0) return existing_name();
    return std::ranges::max_element(model_.mailboxes, {}, [](const auto& entry) { return entry.second.messages.size(); })->first;
  }
  NumberSet any_uids(const std::string& name) {
    const auto next = model_.mailboxes.at(name).uid_next;
    NumberSet set;
    if (below(20) == 0) return kAll;
    for (auto ranges = 1 + below(6); ranges > 0; --ranges) {
      const auto first = static_cast<Uid>(1 + below(next + 1));
      set.add(NumberRange{first, first + static_cast<Uid>(below(4) == 0 ? below(100) : below(4))});
    }
    return set;
  }
  FlagBits any_flags() { return (random_() & random_()) & kSystemFlags; }
  std::vector<std::string> any_keywords() {
    static const std::vector<std::string> kKeywords = {"$forwarded", "work", "later", "nonjunk", "k1", "k2", "k3"};
    std::vector<std::string> out;
    while (below(3) == 0) out.push_back(one_of(kKeywords));
    return out;
  }
  std::string any_uidl() { return below(3) == 0 ? "uidl-" + std::to_string(random_()) : ""; }
  /// 0, or one below, near or above what is there.
  ModSeq any_mod_seq() { return below(3) == 0 ? 0 : 1 + below(model_.mod_seq + 20); }

  /// As RandomTest::both(): with a fault the storage has made the step or has not.
  template <class T>
  void both(const std::string& what, net::Task<T> call, const std::function<std::string(KnownAccount&)>& step) {
    auto after = model_;
    const auto expected = step(after);
    if (!expected.empty()) after = model_;
    const auto result = await(std::move(call));
    trace(what + " -> " + (result ? "OK" : result.error().code) + (expected.empty() ? "" : " expected " + expected));
    const bool failed = !result && result.error().fault == Fault::temporary && result.error().code != "MOVED";
    if (failed) {
      EXPECT_TRUE(armed_) << what << ": " << result.error().text << result.error().detail;
      harness_.reopen();
      const auto now = observe();
      if (!same(now, model_)) {
        EXPECT_TRUE(same(now, after)) << what << " failed and left neither the old nor the new state";
        model_ = after;
      }
    } else {
      EXPECT_EQ(result ? "" : result.error().code, expected)
          << what << (result ? "" : ": " + result.error().text + " " + result.error().detail);
      model_ = after;
    }
    if (armed_ && !failed) harness_.reopen();
    armed_ = false;
    look();
  }

  void choose() {
    if (model_.state != AccountState::importing) {
      const auto dice = below(10);
      if (dice < 4) return set_state();
      if (dice < 8) return serve();
    }
    const auto dice = below(100);
    if (dice < 30) return append();
    if (dice < 50) return impose();
    if (dice < 62) return expunge();
    if (dice < 70) return set_counters();
    if (dice < 80) return create();
    if (dice < 85) return rename();
    if (dice < 88) return remove();
    if (dice < 91) return subscribe();
    if (dice < 95) return set_attributes();
    if (dice < 97) return serve();
    set_state();
  }

  void set_state() {
    const auto any = [&] { return static_cast<AccountState>(below(3)); };
    const auto expected = below(4) == 0 ? any() : model_.state;
    const auto to = below(2) == 0 ? AccountState::importing : any();
    both<void>("state " + std::to_string(static_cast<int>(expected)) + " to " + std::to_string(static_cast<int>(to)),
               import().set_state(kAccount, expected, to), [&](KnownAccount& model) { return model.set_state(expected, to); });
  }

  // What users do, and are refused.
  void serve() {
    const auto name = full_name();
    const auto& mailbox = model_.mailboxes.at(name);
    if (!mailbox.selectable) return;
    const auto id = ids_.at(name);
    const auto uids = any_uids(name);
    const auto flags = any_flags();
    const bool open = model_.state == AccountState::open;
    const auto which = below(contents_.size());
    switch (below(3)) {
      case 0: {
        auto message = append_message(prepared_[which]);
        message.system_flags = flags;
        message.internal_date = 5;
        both<AppendResult>(
            "delivery " + name, store().append(kAccount, name, {message}, false, ""), [&](KnownAccount& model) -> std::string {
              if (!open) return "MOVED";
              auto& into = model.mailboxes.at(name);
              KnownAccount::Step step{model};
              into.messages[into.uid_next++] = {.content = contents_[which], .system_flags = flags, .internal_date = 5, .mod_seq = step()};
              step.raise(into, step.made);
              return {};
            });
        return;
      }
      case 1:
        both<StoreFlagsResult>("flags " + name + " " + uids.to_string(),
                               store().store_flags(kAccount, id, {uids, FlagOperation::replace, flags, {}, {}}),
                               [&](KnownAccount& model) -> std::string {
                                 if (!open) return "MOVED";
                                 KnownAccount::Step step{model};
                                 auto& into = model.mailboxes.at(name);
                                 for (auto& [uid, message] : into.messages) {
                                   if (!uids.contains(uid) || (message.system_flags == flags && message.keywords.empty())) continue;
                                   message.system_flags = flags;
                                   message.keywords.clear();
                                   message.mod_seq = step();
                                   step.raise(into, message.mod_seq);
                                 }
                                 return {};
                               });
        return;
      default:
        both<ExpungeResult>("expunge by user " + name + " " + uids.to_string(), store().expunge(kAccount, id, uids, true),
                            [&](KnownAccount& model) { return open ? model.expunge(name, uids, 0) : "MOVED"; });
    }
  }

  void append() {
    const auto name = below(3) == 0 ? existing_name() : full_name();
    const auto& mailbox = model_.mailboxes.at(name);
    std::vector<ImportedMessage> messages;
    std::vector<KnownAccount::NewMessage> expected;
    auto uid = mailbox.uid_next - std::min(mailbox.uid_next - 1, static_cast<Uid>(below(3) == 0 ? below(40) : 0));
    const auto count = below(3) == 0 ? 1 + below(80) : 1 + below(3);
    for (std::size_t i = 0; i < count; ++i) {
      if (below(8) == 0) uid += static_cast<Uid>(below(200));
      const auto there = mailbox.messages.find(uid);
      auto which = below(contents_.size());
      if (uid < mailbox.uid_next && there == mailbox.messages.end() && below(50) != 0) {  // a gap: this would be refused
        ++uid;
        continue;
      }
      if (there != mailbox.messages.end() && below(50) != 0) {
        which = static_cast<std::size_t>(std::ranges::find(contents_, there->second.content) - contents_.begin());
      }
      ImportedMessage message;
      message.message = prepared_[which];
      message.uid = uid;
      message.system_flags = any_flags();
      message.keywords = any_keywords();
      message.internal_date = static_cast<std::int64_t>(below(1'000'000'000));
      message.internal_zone = static_cast<std::int16_t>(static_cast<int>(below(1'440)) - 720);
      message.mod_seq = any_mod_seq();
      message.uidl = any_uidl();
      expected.push_back({uid,
                          {contents_[which],
                           message.system_flags,
                           {message.keywords.begin(), message.keywords.end()},
                           message.internal_date,
                           message.internal_zone,
                           message.uidl,
                           message.mod_seq}});
      messages.push_back(std::move(message));
      ++uid;
    }
    both<void>("append " + std::to_string(messages.size()) + " " + name, import().append(kAccount, ids_.at(name), std::move(messages)),
               [&](KnownAccount& model) { return model.append(name, expected); });
  }

  void impose() {
    const auto name = full_name();
    std::vector<ImposedState> states;
    any_uids(name).intersect(NumberSet(NumberRange{1, model_.mailboxes.at(name).uid_next + 5})).for_each([&](Uid uid) {
      if (states.size() + 2 > kMessagesPerStep) return;  // one transaction
      ImposedState state{.uid = uid, .system_flags = any_flags(), .keywords = any_keywords(), .mod_seq = any_mod_seq()};
      if (below(4) == 0) state.uidl = any_uidl();
      if (below(4) == 0) {
        const auto& messages = model_.mailboxes.at(name).messages;
        if (const auto at = messages.find(uid); at != messages.end()) {  // as it is
          state.system_flags = at->second.system_flags;
          state.keywords = {at->second.keywords.begin(), at->second.keywords.end()};
        }
      }
      states.push_back(state);
      if (below(10) == 0) states.insert(states.begin(), ImposedState{.uid = uid, .system_flags = any_flags()});
    });
    both<void>("impose " + std::to_string(states.size()) + " " + name, import().impose(kAccount, ids_.at(name), states),
               [&](KnownAccount& model) { return model.impose(name, states); });
  }

  void expunge() {
    const auto name = full_name();
    const auto uids = any_uids(name);
    const auto mod_seq = any_mod_seq();
    both<void>("expunge " + name + " " + uids.to_string() + " at " + std::to_string(mod_seq),
               import().expunge(kAccount, ids_.at(name), uids, mod_seq),
               [&](KnownAccount& model) { return model.state == AccountState::importing ? model.expunge(name, uids, mod_seq) : "STATE"; });
  }

  void set_counters() {
    const auto name = existing_name();
    const auto& mailbox = model_.mailboxes.at(name);
    const ImportedCounters counters{.uid_next = static_cast<Uid>(below(mailbox.uid_next + 10)),
                                    .highest_mod_seq = any_mod_seq(),
                                    .tombstone_floor = below(4) == 0 ? any_mod_seq() : 0};
    both<void>("counters " + name, import().set_counters(kAccount, ids_.at(name), counters),
               [&](KnownAccount& model) { return model.set_counters(name, counters); });
  }

  void create() {
    ImportedMailbox wanted{.name = any_name(), .uid_validity = static_cast<std::uint32_t>(1 + below(20) / 18)};
    if (below(4) == 0) wanted.special_use = static_cast<std::uint8_t>(1U << below(8));
    wanted.selectable = below(8) != 0;
    const auto there = model_.mailboxes.find(wanted.name);
    const bool new_one = there == model_.mailboxes.end() || there->second.selectable != wanted.selectable;
    if (below(3) == 0) wanted.id = new_one ? MailboxId{next_id_++} : ids_.at(wanted.name);
    if (wanted.id && !new_one && wanted.selectable && there->second.uid_validity != wanted.uid_validity) disarm();  // two steps
    both<MailboxInfo>("create " + wanted.name, import().create(kAccount, wanted), [&](KnownAccount& model) {
      const bool made_anew = !new_one && wanted.selectable && there->second.uid_validity != wanted.uid_validity;
      const auto* old = made_anew ? &model.mailboxes.at(wanted.name) : nullptr;
      const bool two_steps = old != nullptr && wanted.id && (old->uid_next > 1 || !old->attributes.empty());
      const bool leaves_name = two_steps && model.has_children(wanted.name);
      auto code = model.create(wanted);
      if (leaves_name && code.empty()) ++model.mod_seq;  // and the name goes away again
      return code;
    });
    if (wanted.id && model_.state == AccountState::importing && ids_.contains(wanted.name) &&
        model_.mailboxes.at(wanted.name).uid_validity != 0 && trace_.back().ends_with("-> OK")) {
      EXPECT_EQ(ids_.at(wanted.name), *wanted.id);
    }
  }

  void disarm() {
    if (armed_) harness_.reopen();
    armed_ = false;
  }

  void rename() {
    const auto from = existing_name();
    const auto to = any_name();
    both<void>("rename " + from + " " + to, import().rename(kAccount, ids_.at(from), to),
               [&](KnownAccount& model) { return model.rename(from, to); });
  }

  void remove() {
    const auto name = existing_name();
    if (model_.mailboxes.size() == 1) return;
    both<void>("remove " + name, import().remove(kAccount, ids_.at(name)), [&](KnownAccount& model) { return model.remove(name); });
  }

  void subscribe() {
    std::vector<std::string> names;
    while (below(4) != 0) names.push_back(any_name());
    both<void>("subscriptions", import().set_subscriptions(kAccount, names), [&](KnownAccount& model) -> std::string {
      if (model.state != AccountState::importing) return "STATE";
      model.subscribed = {names.begin(), names.end()};
      return {};
    });
  }

  void set_attributes() {
    const auto name = below(3) == 0 ? std::string() : existing_name();
    std::vector<Attribute> attributes;
    while (below(3) != 0) attributes.push_back({"name" + std::to_string(below(5)), below(3) == 0 ? "" : std::string(below(3'000), 'v')});
    const auto mailbox = name.empty() ? std::nullopt : std::optional(ids_.at(name));
    both<void>("attributes " + name, import().set_attributes(kAccount, mailbox, attributes), [&](KnownAccount& model) -> std::string {
      if (model.state != AccountState::importing) return "STATE";
      auto& known = name.empty() ? model.attributes : model.mailboxes.at(name).attributes;
      for (const auto& [key, value] : attributes) {
        known[key] = value;
        if (value.empty()) known.erase(key);
      }
      return {};
    });
  }

  // ---- comparing

  /// Learns the numbers of mailboxes, and the UIDVALIDITYs that were not dictated.
  void look() {
    ids_.clear();
    for (const auto& info : *await(import().list(kAccount))) {
      if (!info.exists) continue;
      ids_[info.name] = info.id;
      next_id_ = std::max(next_id_, static_cast<std::uint32_t>(info.id) + 1);
      const auto at = model_.mailboxes.find(info.name);
      if (at != model_.mailboxes.end() && at->second.uid_validity == 0) at->second.uid_validity = info.uid_validity;
    }
  }

  std::map<std::string, std::string> attributes_of(std::optional<MailboxId> mailbox) {
    std::map<std::string, std::string> out;
    for (auto& attribute : *await(import().attributes(kAccount, mailbox)))
      out.emplace(std::move(attribute.name), std::move(attribute.value));
    return out;
  }

  KnownAccount observe() {
    KnownAccount seen;
    seen.state = *await(import().state(kAccount));
    seen.mod_seq = model::read_account(**store().engine(0).read(kAccount.account)).value()->mod_seq;
    seen.attributes = attributes_of({});
    std::uint64_t octets = 0;
    std::uint64_t messages = 0;
    for (const auto& info : *await(import().list(kAccount))) {
      if (info.subscribed) seen.subscribed.insert(info.name);
      if (!info.exists) continue;
      auto& mailbox = seen.mailboxes[info.name];
      observe(info, mailbox);
      octets += info.octets;
      messages += mailbox.messages.size();
    }
    const auto quota = *await(store().quota(kAccount));
    EXPECT_EQ(quota.octets, octets);
    EXPECT_EQ(quota.messages, messages);
    return seen;
  }

  void observe(const MailboxInfo& info, KnownMailbox& seen) {
    seen.selectable = info.selectable;
    seen.uid_validity = info.uid_validity;
    seen.special_use = info.special_use;
    seen.uid_next = info.uid_next;
    seen.highest = info.highest_mod_seq;
    seen.floor = model::read_mailbox(**store().engine(0).read(kAccount.account), info.id).value()->tombstone_floor;
    seen.attributes = attributes_of(info.id);
    if (!info.selectable) return;
    FetchBatch batch;
    FetchRequest request;
    request.uids = &kAll;
    request.fields = 0xFF;
    request.max_messages = static_cast<std::uint32_t>(1 + below(300));
    std::uint32_t unseen = 0;
    std::uint32_t deleted = 0;
    std::uint64_t octets = 0;
    do {
      const auto fetched = await(import().fetch(kAccount, info.id, request, batch));
      ASSERT_TRUE(fetched) << fetched.error().detail;
      for (const auto& message : batch.messages) {
        auto& to = seen.messages[message.uid];
        to.content = message.content;
        to.system_flags = message.flags & kSystemFlags;
        for (std::size_t i = 0; i < info.keywords.size(); ++i) {
          if ((message.flags & FlagBits{1} << (kFirstKeyword + i)) != 0) to.keywords.insert(info.keywords[i]);
        }
        to.internal_date = message.internal_date;
        to.internal_zone = message.internal_zone;
        to.uidl = message.uidl;
        to.mod_seq = message.mod_seq;
        EXPECT_TRUE(message.uidl.empty() || message.uid <= info.uidl_until);
        if (message.content.contains("lie apart")) EXPECT_TRUE(message.header_fields.contains("rrrr"));
        octets += message.size;
        unseen += (message.flags & kSeen) == 0;
        deleted += (message.flags & kDeleted) != 0;
      }
      request.first = batch.next;
    } while (batch.next != 0);
    EXPECT_EQ(info.messages, seen.messages.size());
    EXPECT_EQ(info.unseen, unseen);
    EXPECT_EQ(info.deleted, deleted);
    EXPECT_EQ(info.octets, octets);
  }

  void compare() {
    const auto seen = observe();
    EXPECT_EQ(seen.state, model_.state);
    EXPECT_EQ(seen.mod_seq, model_.mod_seq);
    EXPECT_TRUE(seen.attributes == model_.attributes && seen.subscribed == model_.subscribed);
    for (const auto& [name, mailbox] : model_.mailboxes) {
      const auto it = seen.mailboxes.find(name);
      ASSERT_NE(it, seen.mailboxes.end()) << name;
      EXPECT_EQ(it->second.uid_next, mailbox.uid_next) << name;
      EXPECT_EQ(it->second.highest, mailbox.highest) << name;
      EXPECT_EQ(it->second.special_use, mailbox.special_use) << name;
      EXPECT_TRUE(it->second.messages == mailbox.messages) << name;
      if (mailbox.selectable) compare_changes(name, mailbox);
    }
    EXPECT_TRUE(same(seen, model_));
  }

  /// What clients that come from any mod-sequence are told: the indexes over mod-sequences are right whatever was dictated.
  void compare_changes(const std::string& name, const KnownMailbox& mailbox) {
    for (const ModSeq since : {ModSeq{0}, 1 + below(mailbox.highest), 1 + below(mailbox.highest), mailbox.floor, mailbox.highest}) {
      const auto changes = *await(store().changes(kAccount, ids_.at(name), since, true));
      std::map<Uid, ModSeq> changed;
      for (const auto& change : changes.changed) changed[change.uid] = change.mod_seq;
      std::map<Uid, ModSeq> expected;
      for (const auto& [uid, message] : mailbox.messages) {
        if (message.mod_seq > since) expected[uid] = message.mod_seq;
      }
      EXPECT_EQ(changed, expected) << name << " since " << since;
      NumberSet vanished;
      const bool unknown = since < mailbox.floor && since < mailbox.highest;
      for (Uid uid = 1; unknown && uid < mailbox.uid_next; ++uid) {
        if (!mailbox.messages.contains(uid)) vanished.add(uid);
      }
      for (const auto& [uid, mod_seq] : mailbox.tombstones) {
        if (!unknown && mod_seq > since) vanished.add(uid);
      }
      EXPECT_EQ(changes.vanished_unknown, unknown) << name << " since " << since << " floor " << mailbox.floor;
      EXPECT_EQ(changes.vanished.to_string(), vanished.to_string()) << name << " since " << since << " floor " << mailbox.floor;

      FetchBatch batch;
      FetchRequest request;
      request.uids = &kAll;
      request.changed_since = since;
      request.max_messages = 100'000;
      ASSERT_TRUE(await(import().fetch(kAccount, ids_.at(name), request, batch)));
      EXPECT_EQ(batch.messages.size(), since == 0 ? mailbox.messages.size() : expected.size()) << name << " since " << since;
    }
    const auto digests = *await(import().digests(kAccount, ids_.at(name), kAll));
    ASSERT_EQ(digests.size(), mailbox.messages.size());
    for (const auto& digest : digests) {
      const auto& content = mailbox.messages.at(digest.uid).content;
      EXPECT_EQ(digest.size, content.size());
      EXPECT_EQ(std::string(digest.sha256.begin(), digest.sha256.end()), model::sha256(content));
    }
  }

  void check() {
    EXPECT_THAT(check_model(store().engine(0))->problems, ::testing::IsEmpty());
    EXPECT_THAT(store().engine(0).check()->problems, ::testing::IsEmpty());
  }

  Harness& harness_;
  ManualClock& clock_;
  std::mt19937_64 random_;
  KnownAccount model_;
  std::map<std::string, MailboxId> ids_;
  std::uint32_t next_id_ = 1;
  std::vector<std::string> contents_;
  std::vector<PreparedPtr> prepared_;
  bool armed_ = false;
  std::vector<std::string> trace_;
};

TEST(ImportAgainstModel, MemoryWithFaults) { run_seeds<MemoryHarness, ImportRandomTest>(4, 1'000); }

TEST(ImportAgainstModel, LmdbWithFaultsAndReopening) { run_seeds<LmdbHarness, ImportRandomTest>(2, 500); }

}  // namespace
}  // namespace relais::storage::testing
