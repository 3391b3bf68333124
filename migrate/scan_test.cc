// What an inventory says, by rule.
#include "migrate/scan.h"

#include <gtest/gtest.h>

#include <functional>

namespace relais::migrate {
namespace {

using namespace std::chrono_literals;

constexpr std::int64_t kNow = 1'767'225'600;  // 2026-01-01T00:00:00Z

SourceMessage message(Uid uid, std::optional<std::uint64_t> size, std::optional<std::int64_t> date = kNow - 3600) {
  SourceMessage out;
  out.uid = uid;
  out.size = size;
  out.internal_date = date;
  return out;
}

SourceMailbox mailbox(std::string name) {
  SourceMailbox out;
  out.wire = out.name = std::move(name);
  out.state.uid_validity = 1;
  return out;
}

/// An account that nothing is said about.
AccountInventory plain_account() {
  AccountInventory account;
  account.traits.mod_seqs = true;
  account.listing.mailboxes = {mailbox("INBOX"), mailbox("Sent")};
  account.counts = {{.name = "INBOX", .messages = 3, .octets = 3'000, .largest = 1'500, .largest_uid = 2}, {.name = "Sent"}};
  return account;
}

std::string text_of(const std::vector<Finding>& findings) {
  std::string out;
  for (const auto& finding : findings) {
    out.append(out.empty() ? "" : "; ").append(to_string(finding.weight)).append(" ").append(finding.code);
    if (!finding.mailbox.empty()) out += " " + finding.mailbox;
    if (finding.uid != 0) out += " " + std::to_string(finding.uid);
  }
  return out;
}

TEST(Scan, CountsAMailbox) {
  std::vector<SourceMessage> messages{message(1, 100), message(4, 2'000, kNow - 29 * 86'400LL), message(6, 0),
                                      message(7, std::nullopt, std::nullopt), message(9, 50, kNow + 86'400)};
  messages[0].keywords = {"a", "b"};
  messages[1].keywords = {"b", "c"};
  messages[4].odd_flags = {"\\Bad*"};
  const MailboxCount expected{.name = "x",
                              .messages = 5,
                              .octets = 2'150,
                              .largest = 2'000,
                              .largest_uid = 4,
                              .recent_messages = 2,
                              .recent_octets = 100,
                              .unsized = 2,
                              .undated = 1,
                              .odd_flagged = 1,
                              .keywords = 3};
  EXPECT_EQ(count_mailbox("x", messages, kNow), expected);
  EXPECT_EQ(count_mailbox("x", {}, kNow), MailboxCount{.name = "x"});
}

TEST(Scan, ASampleIsFromAllOverTheMailbox) {
  std::vector<SourceMessage> messages;
  for (Uid uid = 1; uid <= 80; ++uid) messages.push_back(message(uid, uid == 40 ? 5U << 20U : uid % 10 == 0 ? 50'000 + uid : 1'000));
  const auto sample = choose_sample(messages);
  EXPECT_EQ(sample.small.to_string(), "1,11,21,31,41,51,61,71");
  EXPECT_EQ(sample.large.to_string(), "70,80") << "the largest that are not too large";
  EXPECT_TRUE(choose_sample({}).empty());
  const std::vector<SourceMessage> few{message(3, 10), message(8, std::nullopt)};
  EXPECT_EQ(choose_sample(few).small.to_string(), "3,8");
}

TEST(Scan, ReadingCost) {
  ReadingCost cost;
  EXPECT_FALSE(cost.known());
  EXPECT_EQ(cost.estimate(5, 5).count(), 0);
  const auto took = [](double messages, double octets) { return std::chrono::duration<double>(messages * 0.001 + octets * 1e-8); };
  cost.add(8, 8'000, took(8, 8'000));
  EXPECT_NEAR(cost.estimate(16, 16'000).count(), took(16, 16'000).count(), 1e-9) << "one sample scales by octets";
  ReadingCost other;
  other.add(2, 1'000'000, took(2, 1'000'000));
  other.add(cost);
  EXPECT_NEAR(other.estimate(1'000'000, 1'000'000'000).count(), 1'010, 1e-3) << "two tell messages from octets";
  EXPECT_NEAR(ReadingCost::of(other.sums()).estimate(1'000, 0).count(), 1, 1e-6);

  ReadingCost odd;  // large ones were read faster than small ones: no cost is below 0
  odd.add(8, 8'000, 8ms);
  odd.add(2, 800'000, 1ms);
  EXPECT_GE(odd.estimate(1, 0).count(), 0);
  EXPECT_GE(odd.estimate(0, 1'000'000).count(), 0);
  ReadingCost empty_messages;
  empty_messages.add(4, 0, 4ms);
  EXPECT_NEAR(empty_messages.estimate(10, 100).count(), 0.01, 1e-9);
  ReadingCost early;  // the round trip was longer than the reading
  early.add(4, 100, -4ms);
  EXPECT_FALSE(early.known());
}

TEST(Scan, Judgements) {
  struct Row {
    const char* what;
    std::function<void(AccountInventory&, ScanRules&)> make;
    const char* findings;
    Verdict verdict;
  };
  const std::vector<Row> rows{
      {"nothing", [](auto&, auto&) {}, "", Verdict::green},
      {"a mailbox of another user's",
       [](auto& account, auto&) { account.listing.left = {{"Shared/all", "is another user's, or shared", true}}; },
       "amber shared-mailbox Shared/all", Verdict::amber},
      {"names that fall on one, and that are none",
       [](auto& account, auto&) {
         account.listing.left = {{"a/b", "has the same name here as a.b", false}, {"outside", "lies outside", false}};
       },
       "red name-clash a/b; red not-carried outside", Verdict::red},
      {"names that are one in NFC",
       [](auto& account, auto&) {
         account.listing.mailboxes.push_back(mailbox("Caf\xc3\xa9"));
         account.listing.mailboxes.push_back(mailbox("Cafe\xcc\x81"));
       },
       "red name-clash Cafe\xcc\x81", Verdict::red},
      {"a name that is not in NFC", [](auto& account, auto&) { account.listing.mailboxes.push_back(mailbox("Cafe\xcc\x81")); },
       "amber name-changed Cafe\xcc\x81", Verdict::amber},
      {"a name that was no UTF-8",
       [](auto& account, auto&) {
         account.listing.mailboxes[1].name = "%FF";
         account.listing.mailboxes[1].name_changed = true;
       },
       "amber name-changed %FF", Verdict::amber},
      {"a level that is too long", [](auto& account, auto&) { account.listing.mailboxes[1].name = std::string(300, 'x'); }, nullptr,
       Verdict::red},
      {"a mailbox that could not be asked",
       [](auto& account, auto&) {
         account.listing.mailboxes[1].state = {};
         account.listing.mailboxes[1].problem = "Permission denied";
       },
       "red no-state Sent", Verdict::red},
      {"a parent alone",
       [](auto& account, auto&) {
         account.listing.mailboxes[1].state = {};
         account.listing.mailboxes[1].selectable = false;
       },
       "", Verdict::green},
      {"a message of 64 MB", [](auto& account, auto&) { account.counts[0].largest = 64U << 20U; }, "amber large-message INBOX 2",
       Verdict::amber},
      {"one octet less", [](auto& account, auto&) { account.counts[0].largest = (64U << 20U) - 1; }, "", Verdict::green},
      {"a message that cannot be carried", [](auto& account, auto&) { account.counts[0].largest = (256U << 20U) + 1; },
       "red too-large INBOX 2", Verdict::red},
      {"sizes, dates and flags that are none",
       [](auto& account, auto&) {
         account.counts[0].unsized = 1;
         account.counts[0].undated = 2;
         account.counts[0].odd_flagged = 3;
       },
       "amber size-unknown INBOX; amber no-date INBOX; amber odd-flags INBOX", Verdict::amber},
      {"56 keywords", [](auto& account, auto&) { account.counts[1].keywords = 56; }, "", Verdict::green},
      {"57 keywords", [](auto& account, auto&) { account.counts[1].keywords = 57; }, "amber keywords-dropped Sent", Verdict::amber},
      {"two mailboxes for one use",
       [](auto& account, auto&) {
         account.listing.mailboxes[0].special_use = storage::kUseTrash;
         account.listing.mailboxes[1].special_use = storage::kUseSent | storage::kUseTrash;
       },
       "amber special-use-twice Sent", Verdict::amber},
      {"rights of others",
       [](auto& account, auto& rules) {
         rules.own_names = {"ann@x.test", "boss"};
         account.extras.acl = {{"INBOX", "acl/Ann@x.test", "lrswipkxtea"},
                               {"INBOX", "acl/owner", "lr"},
                               {"INBOX", "acl/user=boss", "lr"},
                               {"INBOX", "acl/-anyone", "lr"},
                               {"INBOX", "acl/anyone", "p"},
                               {"Sent", "acl/bob", "lr"},
                               {"Sent", "acl/anyone", "lrs"},
                               {"INBOX", "acl/group=administrators", "lr"}};
         account.extras.metadata = {{"", "/shared/comment", "x"}};
       },
       "amber shared-by-user Sent; note metadata", Verdict::amber},
      {"above its quota there", [](auto& account, auto&) { account.extras.quota = {{"", "STORAGE", 513, 512}, {"", "MESSAGE", 5, 0}}; },
       "amber quota-exceeded", Verdict::amber},
      {"at its quota there", [](auto& account, auto&) { account.extras.quota = {{"", "STORAGE", 512, 512}}; }, "", Verdict::green},
      {"more than it may keep here", [](auto&, auto& rules) { rules.quota_octets = 2'999; }, "amber above-quota", Verdict::amber},
      {"as much as it may keep here", [](auto&, auto& rules) { rules.quota_octets = 3'000; }, "", Verdict::green},
      {"no CONDSTORE", [](auto& account, auto&) { account.traits.mod_seqs = false; }, "note slow-delta", Verdict::green},
      {"no CONDSTORE and many messages",
       [](auto& account, auto&) {
         account.traits.mod_seqs = false;
         account.counts[0].messages = 20'000;
       },
       "amber slow-delta", Verdict::amber},
      {"a session that cannot go on", [](auto& account, auto&) { account.counts[0].messages = 200'001; }, "note big-mailbox INBOX",
       Verdict::green},
      {"a freeze that is noticed", [](auto& account, auto&) { account.listed_in = 1'000ms; }, "amber long-freeze", Verdict::amber},
      {"a freeze that is too long", [](auto& account, auto&) { account.listed_in = 10'000ms; }, "red long-freeze", Verdict::red},
      {"a POP3 user", [](auto&, auto& rules) { rules.pop3 = true; }, "amber pop3-uidls", Verdict::amber},
      {"the worst comes first",
       [](auto& account, auto&) {
         account.traits.mod_seqs = false;
         account.counts[1].keywords = 60;
         account.findings = {{.code = "unreadable", .weight = Weight::red, .mailbox = "INBOX", .uid = 2}};
       },
       "red unreadable INBOX 2; amber keywords-dropped Sent; note slow-delta", Verdict::red},
  };
  for (const auto& row : rows) {
    auto account = plain_account();
    ScanRules rules;
    row.make(account, rules);
    const auto findings = judge(account, rules);
    if (row.findings != nullptr) EXPECT_EQ(text_of(findings), row.findings) << row.what;
    EXPECT_EQ(verdict_of(findings), row.verdict) << row.what;
    for (const auto& finding : findings) EXPECT_TRUE(finding.code == "unreadable" || !finding.text.empty()) << row.what;
  }
}

TEST(Scan, PredictedFreeze) {
  auto account = plain_account();
  EXPECT_EQ(predicted_freeze(account), 50ms);
  account.listed_in = 20ms;
  account.round_trip = 1'500us;
  account.read_in = 300ms;
  EXPECT_EQ(predicted_freeze(account), 79ms);
  account.traits.mod_seqs = false;
  EXPECT_EQ(predicted_freeze(account), 379ms) << "the flags of all messages are read again";
}

TEST(Scan, Words) {
  EXPECT_EQ(to_string(Verdict::green), "green");
  EXPECT_EQ(to_string(Verdict::red), "red");
  EXPECT_EQ(to_string(Weight::note), "note");
  EXPECT_EQ(to_string(Weight::amber), "amber");
}

}  // namespace
}  // namespace relais::migrate
