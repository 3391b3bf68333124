// Random operations against the reference model, on each engine, with failing commits and reopening in between.
#include "storage/model/check.h"
#include "storage/model/fault_harness.h"
#include "storage/model/reference_model.h"
#include "storage/model/testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <random>

namespace relais::storage::testing {
namespace {

constexpr AccountRef kAccount{AccountId{42}, 0};
const NumberSet kAll(NumberRange{1, UINT32_MAX});

/// A client that keeps a mailbox in memory and catches up by changes() alone (RFC 7162).
struct Client {
  std::string name;
  MailboxId id{};
  ModSeq mod_seq = 0;
  std::map<Uid, FlagBits> messages;
};

class RandomTest {
 public:
  RandomTest(Harness& harness, ManualClock& clock, std::uint64_t seed) : harness_(harness), clock_(clock), random_(seed) {
    for (unsigned i = 0; i < 24; ++i) contents_.push_back(sample_message(i * 37));
    contents_.push_back("Subject: bare\n\nbare line feeds\n");
    contents_.push_back("");
    contents_.push_back("To: x\r\nReferences: " + std::string(3'000, 'r') + "\r\n\r\nlarge header\r\n");
    for (const auto& content : contents_) prepared_.push_back(*await(store().prepare(content)));
    EXPECT_TRUE(await(store().list(kAccount)));
  }

  void run(unsigned steps) {
    for (unsigned step = 0; step < steps && !::testing::Test::HasFailure(); ++step) {
      clock_.advance(std::chrono::seconds(random_() % 3));
      if (random_() % 16 == 0) catch_up();
      if (random_() % 150 == 0) {
        trace("reopen");
        harness_.reopen();
      }
      if (random_() % 120 == 0) {
        trace("compact");
        EXPECT_TRUE(await(store().engine(0).compact(0.1)));
      }
      operate();
      if (random_() % 24 == 0) compare();
      if (random_() % 200 == 0) check();
    }
    compare();
    check();
    if (::testing::Test::HasFailure()) {
      for (const auto& line : trace_) std::cerr << line << "\n";
    }
  }

 private:
  ShardedStore& store() { return harness_.store(); }
  std::size_t below(std::size_t n) { return random_() % n; }
  template <class T>
  const T& one_of(const std::vector<T>& v) { return v[below(v.size())]; }
  void trace(std::string line) {
    trace_.push_back(std::move(line));
    if (trace_.size() > 60) trace_.erase(trace_.begin());
  }

  std::string any_name() {
    static const std::vector<std::string> kNames = {"INBOX", "INBOX", "INBOX", "Sent", "Trash", "Archive", "a", "a/b", "a/b/c", "d", "d/e", "Größe", "INBOX/sub"};
    return one_of(kNames);
  }
  std::string existing_name() {
    std::vector<std::string> names;
    for (const auto& [name, mailbox] : model_.mailboxes) {
      if (mailbox.selectable) names.push_back(name);
    }
    return below(2) == 0 ? "INBOX" : one_of(names);
  }
  NumberSet any_uids(const std::string& name) {
    const auto next = model_.mailboxes.at(name).uid_next;
    NumberSet set;
    if (below(8) == 0) return kAll;
    for (auto ranges = 1 + below(6); ranges > 0; --ranges) {
      const auto first = static_cast<Uid>(1 + below(next + 1));
      set.add(NumberRange{first, first + static_cast<Uid>(below(4) == 0 ? below(200) : below(4))});
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

  /// Runs the call with perhaps a fault; then the model has made the step or has not.
  /// @param step  makes the step on a model and says what code the store must answer with
  template <class T>
  void both(const std::string& what, net::Task<T> call, const std::function<std::string(ReferenceModel&)>& step,
            const std::function<void(const Result<T>&)>& verify = {}) {
    auto after = model_;
    const auto expected = step(after);
    const auto result = await(std::move(call));
    trace(what + " -> " + (result ? "OK" : result.error().code) + (expected.empty() ? "" : " expected " + expected));
    const bool failed = !result && result.error().fault == Fault::temporary;
    if (failed) {
      EXPECT_TRUE(armed_) << what << ": " << result.error().text << result.error().detail;
      harness_.reopen();
      // The reply was lost, or nothing was done: one of the two, and never anything in between.
      const auto now = observe();
      if (!equal(now, model_)) {
        EXPECT_TRUE(equal(now, after)) << what << " failed and left neither the old nor the new state";
        model_ = after;
      }
    } else if (!result) {
      EXPECT_EQ(result.error().code, expected) << what << ": " << result.error().text << " " << result.error().detail;
    } else {
      EXPECT_EQ(expected, "") << what;
      if (expected.empty()) {
        model_ = after;
        if (verify) verify(result);
      }
    }
    if (armed_ && !failed) harness_.reopen();  // the fault met nobody, or a refusal
    armed_ = false;
  }

  void operate() {
    armed_ = below(25) == 0 && harness_.arm(random_);
    choose();
    if (armed_) harness_.reopen();
    armed_ = false;
  }

  void choose() {
    const auto dice = below(100);
    if (dice < 35) return append();
    if (dice < 55) return store_flags();
    if (dice < 65) return expunge();
    if (dice < 75) return copy(false);
    if (dice < 82) return copy(true);
    if (dice < 86) return create();
    if (dice < 90) return rename();
    if (dice < 94) return remove();
    if (dice < 97) return subscribe();
    if (dice < 99) return quota();
    if (below(8) == 0) remove_account();
  }

  void append() {
    const auto name = any_name();
    const bool create_missing = below(2) == 0;
    const std::string once = below(6) == 0 ? "delivery-" + std::to_string(below(12)) : "";
    std::vector<AppendMessage> messages;
    std::vector<ReferenceModel::NewMessage> expected;
    const auto it = model_.mailboxes.find(name);
    const auto next = it == model_.mailboxes.end() || !it->second.selectable ? 1 : it->second.uid_next;
    const auto count = below(3) == 0 ? 1 + below(80) : 1;
    for (std::size_t i = 0; i < count; ++i) {
      const auto which = below(contents_.size());
      AppendMessage message;
      message.message = prepared_[which];
      if (below(3) == 0) message.trace_header = "Received: by x; " + std::to_string(random_() % 1000) + "\r\n";
      message.system_flags = any_flags();
      message.keywords = any_keywords();
      message.internal_date = below(2) == 0 ? 0 : static_cast<std::int64_t>(1 + below(1'000'000'000));
      if (below(4) == 0) message.uidl = "uidl-" + std::to_string(random_());
      if (count == 1 && below(8) == 0) message.uid = static_cast<Uid>(std::max<std::size_t>(next + below(4), 3) - (below(6) == 0 ? 2 : 0));
      expected.push_back({{message.trace_header + contents_[which], message.system_flags,
                           {message.keywords.begin(), message.keywords.end()},
                           message.internal_date == 0 ? clock_.seconds() : message.internal_date, message.uidl},
                          message.uid});
      messages.push_back(std::move(message));
    }
    std::vector<Uid> uids;
    both<AppendResult>(
        "append " + std::to_string(count) + " " + name + " " + once, store().append(kAccount, name, std::move(messages), create_missing, once),
        [&](ReferenceModel& model) { return model.append(name, expected, create_missing, once, uids); },
        [&](const Result<AppendResult>& result) { EXPECT_EQ(result->uids, uids); });
  }

  std::map<Uid, FlagChange> flags_of(MailboxId id) {
    std::map<Uid, FlagChange> out;
    for (const auto& change : await(store().changes(kAccount, id, 0, false))->changed) out[change.uid] = change;
    return out;
  }

  void store_flags() {
    const auto name = existing_name();
    const auto info = *await(store().status(kAccount, name));
    StoreFlagsRequest request;
    request.uids = any_uids(name);
    request.operation = static_cast<FlagOperation>(below(3));
    request.system_flags = any_flags();
    request.keywords = any_keywords();
    const auto before = flags_of(info.id);
    NumberSet refused;
    if (below(3) == 0) {
      request.unchanged_since = info.highest_mod_seq - std::min<ModSeq>(info.highest_mod_seq, below(6));
      for (const auto& [uid, change] : before) {
        if (request.uids.contains(uid) && change.mod_seq > *request.unchanged_since) refused.add(uid);
      }
    }
    both<StoreFlagsResult>(
        "store " + name + " " + request.uids.to_string(), store().store_flags(kAccount, info.id, request),
        [&](ReferenceModel& model) {
          model.store_flags(name, request.uids, refused, request.operation, request.system_flags, {request.keywords.begin(), request.keywords.end()});
          return std::string{};
        },
        [&](const Result<StoreFlagsResult>& done) {
          const auto& result = *done;
          EXPECT_EQ(result.failed, refused);
          bool any = false;
          for (const auto& change : result.changed) {
            const auto& old = before.at(change.uid);
            any = any || change.flags != old.flags;
            if (change.flags == old.flags) EXPECT_EQ(change.mod_seq, old.mod_seq);
            if (change.flags != old.flags) EXPECT_EQ(change.mod_seq, result.highest_mod_seq);
          }
          // RFC 7162 §3.1.3: what changes nothing gets no new mod-sequence.
          EXPECT_EQ(result.highest_mod_seq > info.highest_mod_seq, any);
        });
  }

  void expunge() {
    const auto name = existing_name();
    const auto info = *await(store().status(kAccount, name));
    const auto uids = below(3) == 0 ? std::nullopt : std::optional(any_uids(name));
    const bool any_flag = below(4) == 0 && (uids || below(5) == 0);
    NumberSet expunged;
    both<ExpungeResult>(
        "expunge " + name + " " + (uids ? uids->to_string() : "all") + (any_flag ? " any" : ""), store().expunge(kAccount, info.id, uids, any_flag),
        [&](ReferenceModel& model) {
          model.expunge(name, uids, any_flag, expunged);
          return std::string{};
        },
        [&](const Result<ExpungeResult>& done) {
          const auto& result = *done;
          EXPECT_EQ(result.expunged, expunged);
          EXPECT_EQ(result.highest_mod_seq > info.highest_mod_seq, !expunged.empty());
        });
  }

  void copy(bool move) {
    const auto from = existing_name();
    const auto to = any_name();
    const auto id = await(store().status(kAccount, from))->id;
    const auto uids = any_uids(from);
    std::vector<std::pair<Uid, Uid>> pairs;
    both<CopyResult>(
        (move ? "move " : "copy ") + from + " " + uids.to_string() + " " + to,
        move ? store().move(kAccount, id, uids, to) : store().copy(kAccount, id, uids, to),
        [&](ReferenceModel& model) { return model.copy(from, uids, to, move, pairs); },
        [&](const Result<CopyResult>& done) {
          const auto& result = *done;
          std::vector<std::pair<Uid, Uid>> got;
          for (std::size_t i = 0; i < result.from.size(); ++i) got.emplace_back(result.from[i], result.to[i]);
          EXPECT_EQ(got, pairs);
        });
  }

  void create() {
    const auto name = any_name();
    const auto use = below(4) == 0 ? static_cast<std::uint8_t>(1U << below(8)) : std::uint8_t{0};
    if (name == "INBOX" && use != 0) return;
    both<MailboxInfo>(
        "create " + name, store().create(kAccount, name, use, std::nullopt), [&](ReferenceModel& model) { return model.create(name, use); },
        [&](const Result<MailboxInfo>& info) {
          EXPECT_GT(info->uid_validity, highest_validity_);
          highest_validity_ = std::max(highest_validity_, info->uid_validity);
        });
  }

  void rename() {
    const auto from = any_name();
    const auto to = below(6) == 0 ? any_name() : any_name() + "/" + std::to_string(below(3));
    both<void>("rename " + from + " " + to, store().rename(kAccount, from, to), [&](ReferenceModel& model) { return model.rename(from, to); });
  }

  void remove() {
    const auto name = below(3) == 0 && model_.mailboxes.size() > 12 ? std::prev(model_.mailboxes.end())->first : any_name();
    both<void>("remove " + name, store().remove(kAccount, name), [&](ReferenceModel& model) { return model.remove(name); });
  }

  void subscribe() {
    const auto name = any_name();
    const bool on = below(2) == 0;
    both<void>("subscribe " + name, store().subscribe(kAccount, name, on), [&](ReferenceModel& model) {
      if (on) model.subscribed.insert(name);
      if (!on) model.subscribed.erase(name);
      return std::string{};
    });
  }

  void quota() {
    const auto octets = below(3) == 0 ? model_.octets() + below(20'000) : 0;
    const auto messages = below(3) == 0 ? model_.messages() + below(100) : 0;
    both<void>("quota", store().set_quota(kAccount, octets, messages), [&](ReferenceModel& model) {
      model.octets_limit = octets;
      model.messages_limit = messages;
      return std::string{};
    });
  }

  void remove_account() {
    if (armed_) return;  // several steps: what a failure leaves is finished by calling again
    trace("remove account");
    ASSERT_TRUE(await(store().remove_account(kAccount)));
    EXPECT_THAT(*store().engine(0).accounts(), ::testing::IsEmpty());
    check();
    model_ = {};
    clients_.clear();
    ASSERT_TRUE(await(store().list(kAccount)));
  }

  // ---- comparing

  ReferenceModel observe() {
    ReferenceModel seen;
    seen.mailboxes.clear();
    seen.subscribed.clear();
    for (const auto& info : *await(store().list(kAccount))) {
      if (info.subscribed) seen.subscribed.insert(info.name);
      if (info.exists) observe(info, seen.mailboxes[info.name]);
    }
    const auto quota = *await(store().quota(kAccount));
    seen.octets_limit = quota.octets_limit;
    seen.messages_limit = quota.messages_limit;
    EXPECT_EQ(quota.octets, seen.octets());
    EXPECT_EQ(quota.messages, seen.messages());
    return seen;
  }

  void observe(const MailboxInfo& info, RefMailbox& seen) {
    seen.uid_next = info.selectable ? info.uid_next : 1;
    seen.selectable = info.selectable;
    seen.special_use = info.special_use;
    if (!info.selectable) return;
    FetchBatch batch;
    FetchRequest request;
    request.uids = &kAll;
    request.fields = 0xFF;
    request.max_messages = static_cast<std::uint32_t>(1 + below(300));
    request.max_octets = static_cast<std::uint32_t>(below(50'000));
    std::uint32_t unseen = 0;
    std::uint32_t deleted = 0;
    do {
      const auto fetched = await(store().fetch(kAccount, info.id, request, batch));
      ASSERT_TRUE(fetched) << fetched.error().detail;
      for (const auto& message : batch.messages) {
        auto& to = seen.messages[message.uid];
        EXPECT_TRUE(message.has_content);
        EXPECT_EQ(message.size, message.content.size());
        to.content = message.content;
        to.system_flags = message.flags & kSystemFlags;
        for (std::size_t i = 0; i < info.keywords.size(); ++i) {
          if ((message.flags & FlagBits{1} << (kFirstKeyword + i)) != 0) to.keywords.insert(info.keywords[i]);
        }
        to.internal_date = message.internal_date;
        to.uidl = message.uidl;
        unseen += (message.flags & kSeen) == 0;
        deleted += (message.flags & kDeleted) != 0;
        if (to.content.contains("large header")) EXPECT_TRUE(message.header_fields.contains("rrrr"));
        EXPECT_FALSE(message.envelope.empty());
        EXPECT_FALSE(message.body.empty());
      }
      request.first = batch.next;
    } while (batch.next != 0);
    EXPECT_EQ(info.messages, seen.messages.size());
    EXPECT_EQ(info.unseen, unseen);
    EXPECT_EQ(info.deleted, deleted);
    const auto view = *await(store().open(kAccount, info.name, false));
    EXPECT_EQ(view.uids.count(), seen.messages.size());
    for (const auto& [uid, message] : seen.messages) EXPECT_TRUE(view.uids.contains(uid));
    const auto first = std::ranges::find_if(seen.messages, [](const auto& entry) { return (entry.second.system_flags & kSeen) == 0; });
    EXPECT_EQ(view.first_unseen, first == seen.messages.end() ? 0 : first->first);
  }

  static bool equal(const ReferenceModel& a, const ReferenceModel& b) {
    return a.mailboxes == b.mailboxes && a.subscribed == b.subscribed && a.octets_limit == b.octets_limit && a.messages_limit == b.messages_limit;
  }

  void compare() {
    const auto seen = observe();
    EXPECT_TRUE(seen.subscribed == model_.subscribed);
    for (const auto& [name, mailbox] : model_.mailboxes) {
      const auto it = seen.mailboxes.find(name);
      ASSERT_NE(it, seen.mailboxes.end()) << name;
      EXPECT_EQ(it->second.uid_next, mailbox.uid_next) << name;
      EXPECT_EQ(it->second.special_use, mailbox.special_use) << name;
      EXPECT_EQ(it->second.messages.size(), mailbox.messages.size()) << name;
      EXPECT_TRUE(it->second == mailbox) << name;
    }
    EXPECT_TRUE(equal(seen, model_));
  }

  void check() {
    EXPECT_THAT(check_model(store().engine(0))->problems, ::testing::IsEmpty());
    EXPECT_THAT(store().engine(0).check()->problems, ::testing::IsEmpty());
  }

  void catch_up() {
    if (clients_.size() < 6) clients_.push_back({existing_name(), {}, 0, {}});
    auto& client = clients_[below(clients_.size())];
    if (client.id == MailboxId{}) {
      const auto view = await(store().open(kAccount, client.name, true));
      if (!view) {
        client.name = existing_name();
        return;
      }
      client.id = view->info.id;
      client.mod_seq = view->info.highest_mod_seq;
      for (const auto& [uid, change] : flags_of(client.id)) client.messages[uid] = change.flags;
      return;
    }
    const auto changes = *await(store().changes(kAccount, client.id, client.mod_seq, true));
    if (!changes.exists) {
      client = {existing_name(), {}, 0, {}};
      return;
    }
    changes.vanished.for_each([&](Uid uid) { client.messages.erase(uid); });
    for (const auto& change : changes.changed) {
      EXPECT_GT(change.mod_seq, client.mod_seq);
      client.messages[change.uid] = change.flags;
    }
    EXPECT_GE(changes.highest_mod_seq, client.mod_seq);
    client.mod_seq = changes.highest_mod_seq;
    std::map<Uid, FlagBits> truth;
    for (const auto& [uid, change] : flags_of(client.id)) truth[uid] = change.flags;
    EXPECT_EQ(client.messages, truth) << "a client that synchronised by changes() alone has another mailbox";
  }

  Harness& harness_;
  ManualClock& clock_;
  std::mt19937_64 random_;
  ReferenceModel model_;
  std::vector<std::string> contents_;
  std::vector<PreparedPtr> prepared_;
  std::vector<Client> clients_;
  std::uint32_t highest_validity_ = 0;
  bool armed_ = false;
  std::vector<std::string> trace_;
};

TEST(ModelAgainstReference, MemoryWithFaults) { run_seeds<MemoryHarness, RandomTest>(4, 1'200); }

TEST(ModelAgainstReference, LmdbWithFaultsAndReopening) { run_seeds<LmdbHarness, RandomTest>(2, 600); }

}  // namespace
}  // namespace relais::storage::testing
