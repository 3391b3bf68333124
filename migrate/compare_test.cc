// What differs between two mailboxes, and what makes one like the other.
#include "migrate/compare.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace relais::migrate {
namespace {

SourceMessage message(Uid uid, storage::FlagBits flags = 0, std::vector<std::string> keywords = {}) {
  SourceMessage out;
  out.uid = uid;
  out.system_flags = flags;
  out.keywords = std::move(keywords);
  return out;
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string out;
  for (const auto& one : findings) {
    out += one.mailbox + " " + std::to_string(one.uid) + " " + one.code;
    if (!one.source_value.empty() || !one.target_value.empty()) out += " (" + one.source_value + ") (" + one.target_value + ")";
    out += "\n";
  }
  return out;
}

TEST(Compare, Messages) {
  auto dated = message(5);
  dated.internal_date = 100;
  dated.size = 7;
  auto other = dated;
  other.internal_zone = 60;
  other.size = 8;
  EXPECT_EQ(text_of(compare_messages("a", std::vector{message(1), dated}, std::vector{message(1), dated})), "");
  EXPECT_EQ(text_of(compare_messages("a", std::vector{dated}, std::vector{other})),
            "a 5 date-differs (100 zone 0) (100 zone 60)\na 5 size-differs (7) (8)\n");
  EXPECT_EQ(text_of(compare_messages("a", std::vector{message(5)}, std::vector{other})), "")
      << "what one side does not know does not differ";
  EXPECT_EQ(text_of(compare_messages("a", std::vector{message(2), message(3, storage::kSeen, {"$k"}), message(UINT32_MAX)},
                                     std::vector{message(1), message(3, storage::kSeen | storage::kFlagged), message(4), message(5)})),
            "a 1 extra\na 2 missing\na 3 flags-differ (\\Seen $k) (\\Seen \\Flagged)\na 4 extra\na 5 extra\na 4294967295 missing\n");
  EXPECT_EQ(text_of(compare_messages("a", {}, std::vector{message(UINT32_MAX)})), "a 4294967295 extra\n");
}

TEST(Compare, KeywordsDoNotDifferInCase) {
  EXPECT_EQ(text_of(compare_messages("a", std::vector{message(1, 0, {"B", "a"})}, std::vector{message(1, 0, {"A", "b"})})), "");
  EXPECT_EQ(text_of(compare_messages("a", std::vector{message(1, 0, {"a", "b"})}, std::vector{message(1, 0, {"a", "c"})})),
            "a 1 flags-differ (a b) (a c)\n");
  EXPECT_FALSE(same_keywords(std::vector<std::string>{"a"}, std::vector<std::string>{}));
}

TEST(Compare, ASpecialUseIsOneMailboxes) {
  SourceListing listing;
  const auto add = [&](std::string name, unsigned uses, bool selectable = true) {
    auto& mailbox = listing.mailboxes.emplace_back();
    mailbox.name = std::move(name);
    mailbox.special_use = static_cast<std::uint8_t>(uses);
    mailbox.selectable = selectable;
  };
  add("INBOX", storage::kUseArchive);
  add("a", storage::kUseSent | storage::kUseTrash);
  add("b", storage::kUseSent | storage::kUseArchive);
  add("c", storage::kUseJunk, false);
  add("d", storage::kUseJunk);
  EXPECT_EQ(give_uses_once(listing), (std::vector<std::string>{"INBOX", "b", "c"}));
  std::vector<unsigned> uses;
  for (const auto& mailbox : listing.mailboxes) uses.push_back(mailbox.special_use);
  EXPECT_EQ(uses, (std::vector<unsigned>{0, storage::kUseSent | storage::kUseTrash, storage::kUseArchive, 0, storage::kUseJunk}));
}

std::string text_of(const std::optional<Delta>& delta) {
  if (!delta) return "more";
  std::string out = delta->anew ? "anew " : "";
  out += "append " + delta->append.to_string() + " expunge " + delta->expunge.to_string() + " flags";
  for (const auto& one : delta->flags) out += " " + std::to_string(one.uid);
  return out;
}

TEST(Delta, Plans) {
  const auto set = [](std::string_view text) { return NumberSet::parse(text).value_or(NumberSet{}); };
  const TargetState target{5, 10, set("2:4,9")};
  const auto changes = [&](std::vector<Uid> changed, std::optional<std::string> all, std::string_view vanished,
                           std::uint32_t validity = 5) {
    SourceChanges out;
    out.state.uid_validity = validity;
    for (const auto uid : changed) out.changed.push_back(message(uid));
    if (all) out.all = set(*all);
    out.vanished = set(vanished);
    return out;
  };
  EXPECT_EQ(text_of(plan_delta(changes({}, std::nullopt, ""), target, {})), "append  expunge  flags");
  EXPECT_TRUE(plan_delta(changes({}, std::nullopt, ""), target, {})->empty());
  EXPECT_EQ(text_of(plan_delta(changes({3, 10, 12}, std::nullopt, "1:2,7"), target, {})), "append 10,12 expunge 2 flags 3");
  EXPECT_EQ(text_of(plan_delta(changes({3}, "3:4,9", ""), target, {})), "append  expunge 2 flags 3");
  EXPECT_EQ(text_of(plan_delta(changes({7}, std::nullopt, ""), target, set("7"))), "append  expunge  flags") << "known not to be readable";
  EXPECT_EQ(text_of(plan_delta(changes({7}, std::nullopt, ""), target, {})), "more")
      << "below the next UID: anew, and the rest is not known";
  EXPECT_EQ(text_of(plan_delta(changes({7}, "2:4,7,9", ""), target, set("3"))), "anew append 2,4,7,9 expunge  flags");
  EXPECT_EQ(text_of(plan_delta(changes({1, 2}, "1:2", "", 6), target, {})), "anew append 1:2 expunge  flags");
  EXPECT_EQ(text_of(plan_delta(changes({1, 2}, std::nullopt, "", 6), target, {})), "more");
  auto first = changes({1, 2}, std::nullopt, "");
  first.restarted = true;
  EXPECT_EQ(text_of(plan_delta(first, {}, {})), "anew append 1:2 expunge  flags");
  auto resumed = changes({3, 10}, std::nullopt, "");
  resumed.restarted = true;
  EXPECT_EQ(text_of(plan_delta(resumed, target, {})), "append 10 expunge 2,4,9 flags 3") << "what is not in all of it is gone";
}

// A source that changes at random; the target, given what the plan says each time, is always the same as it. Each pass is done twice: the
// second time changes nothing.
TEST(Delta, FollowsASource) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937 dice(seed);
  const auto below = [&dice](std::uint32_t n) { return std::uniform_int_distribution<std::uint32_t>(0, n - 1)(dice); };
  std::map<Uid, storage::FlagBits> source;
  std::map<Uid, storage::FlagBits> held;
  TargetState target;
  std::uint32_t validity = 1;
  Uid next = 1;
  for (int pass = 0; pass < 2'000; ++pass) {
    SourceChanges changes;
    std::set<Uid> touched;
    if (below(100) == 0) {
      ++validity;
      source.clear();
      next = 1;
    }
    for (auto count = below(5); count > 0; --count) {
      next += below(3);
      touched.insert(next);
      source[next++] = below(32);
    }
    for (auto& [uid, flags] : source) {
      if (below(8) == 0) {
        flags = below(32);
        touched.insert(uid);
      }
    }
    for (auto it = source.begin(); it != source.end();) {
      const bool gone = below(12) == 0;
      if (gone) changes.vanished.add(it->first);
      it = gone ? source.erase(it) : std::next(it);
    }
    changes.state.uid_validity = validity;
    changes.restarted = target.uid_validity != validity;
    const bool whole = changes.restarted || below(3) == 0;
    if (whole) changes.all.emplace();
    for (const auto& [uid, flags] : source) {
      if (whole) changes.all->add(uid);
      if (whole || touched.contains(uid)) changes.changed.push_back(message(uid, flags));
    }
    for (int time = 0; time < 2; ++time) {
      const auto delta = plan_delta(changes, target, {});
      ASSERT_TRUE(delta);
      if (delta->anew) {
        ASSERT_EQ(time, 0);
        held.clear();
        target = {validity, 1, {}};
      }
      delta->expunge.for_each([&](Uid uid) { held.erase(uid); });
      target.uids.remove(delta->expunge);
      delta->append.for_each([&](Uid uid) {
        ASSERT_GE(uid, target.uid_next);
        held[uid] = source.at(uid);
        target.uids.add(uid);
        target.uid_next = uid + 1;
      });
      for (const auto& one : delta->flags) held.at(one.uid) = one.system_flags;
      ASSERT_EQ(held, source) << pass;
    }
  }
}

}  // namespace
}  // namespace relais::migrate
