// Taking an account's inventory: what is asked, and what goes wrong with one mailbox alone.
#include "migrate/inventory.h"

#include "net/test_support.h"

#include <gtest/gtest.h>

#include <map>

namespace relais::migrate {
namespace {

constexpr std::int64_t kNow = 1'767'225'600;

/// An account in memory. Messages are as long as `real`, whatever their size says.
class FakeSource final : public Source {
 public:
  struct Kept {
    SourceMessage about;
    std::size_t real = 0;
  };
  void add(const std::string& name, std::vector<Kept> messages) {
    SourceMailbox mailbox;
    mailbox.wire = mailbox.name = name;
    mailbox.state.uid_validity = 1;
    listing.mailboxes.push_back(mailbox);
    kept[name] = std::move(messages);
  }
  static Kept message(Uid uid, std::uint64_t size, std::size_t real) {
    Kept out{{}, real};
    out.about.uid = uid;
    out.about.size = size;
    out.about.internal_date = kNow - 60;
    return out;
  }

  const SourceTraits& traits() const noexcept override { return traits_; }
  net::Task<SourceListing> list() override {
    ++lists;
    co_return listing;
  }
  net::Task<SourceChanges> changes(const SourceMailbox&, Cursor, const NumberSet&) override {
    co_return fail(Fault::refused, "not asked for");
  }
  net::Task<void> messages(const SourceMailbox& mailbox, NumberSet uids, MessageReceiver& receiver) override {
    for (const auto& one : kept[mailbox.name]) {
      if (!uids.contains(one.about.uid)) continue;
      if (one.real == 0) {
        RELAIS_CO_TRY_VOID(co_await receiver.unreadable(one.about.uid, Error{Fault::refused, "", "no", "disk error"}));
        continue;
      }
      const std::string octets(one.real, 'x');
      RELAIS_CO_TRY_VOID(co_await receiver.take({one.about, octets}));
    }
    co_return Result<void>{};
  }
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox& mailbox) override {
    if (const auto broken = errors.find(mailbox.name); broken != errors.end()) co_return fail(broken->second);
    std::vector<SourceMessage> out;
    for (const auto& one : kept[mailbox.name]) out.push_back(one.about);
    co_return out;
  }
  net::Task<std::vector<SourceMessage>> everything(const SourceMailbox&, NumberSet) override {
    co_return fail(Fault::refused, "not asked for");
  }
  net::Task<SourceExtras> extras(const SourceListing&) override {
    SourceExtras extras;
    extras.quota = {{"", "STORAGE", 1, 2}};
    co_return extras;
  }
  net::Task<void> wait(net::Deadline) override { co_return Result<void>{}; }
  std::chrono::microseconds round_trip() const noexcept override { return std::chrono::microseconds(7); }
  net::asio::awaitable<void> close() override { co_return; }

  SourceListing listing;
  std::map<std::string, std::vector<Kept>> kept;
  std::map<std::string, Error> errors;
  int lists = 0;

 private:
  SourceTraits traits_{.mod_seqs = true, .described = "fake"};
};

Result<AccountInventory> inventory_of(FakeSource& source) {
  net::LoopPool loops(1);
  loops.start();
  return net::run_on(loops.at(0), take_inventory(source, kNow));
}

std::string text_of(const Finding& finding) {
  return finding.code + " " + finding.mailbox + " " + std::to_string(finding.uid) + " " + finding.source_value + "/" +
         finding.target_value + ": " + finding.text;
}

TEST(Inventory, CountsReadsSomeAndAsksTwice) {
  FakeSource source;
  source.add("INBOX", {FakeSource::message(1, 100, 100)});
  source.add("Full", {FakeSource::message(1, 100, 100), FakeSource::message(5, 40'000, 40'000), FakeSource::message(9, 70, 70)});
  const auto taken = inventory_of(source);
  ASSERT_TRUE(taken);
  EXPECT_EQ(source.lists, 2);
  EXPECT_EQ(taken->messages(), 4U);
  EXPECT_EQ(taken->octets(), 40'270U);
  EXPECT_EQ(taken->counts[1].recent_messages, 3U);
  EXPECT_EQ(taken->round_trip.count(), 7);
  EXPECT_EQ(taken->traits.described, "fake");
  EXPECT_EQ(taken->extras.quota.size(), 1U);
  EXPECT_TRUE(taken->findings.empty());
  const auto sums = taken->cost.sums();
  EXPECT_EQ(sums[0], 2 * 2 + 1 * 1) << "two small ones, then a large one, of the fullest mailbox";
  EXPECT_EQ(sums[2], 170.0 * 170 + 40'000.0 * 40'000);
}

TEST(Inventory, WhatIsWrongWithMessages) {
  FakeSource source;
  source.add("INBOX", {FakeSource::message(1, 100, 90), FakeSource::message(2, 0, 5), FakeSource::message(3, 10, 0)});
  const auto taken = inventory_of(source);
  ASSERT_TRUE(taken);
  ASSERT_EQ(taken->findings.size(), 2U);
  EXPECT_EQ(text_of(taken->findings[0]), "size-wrong INBOX 1 100/90: the server tells another size of it than it has");
  EXPECT_EQ(text_of(taken->findings[1]), "unreadable INBOX 3 /: the server cannot give it: disk error");
}

TEST(Inventory, AMailboxThatCannotBeReadIsAFinding) {
  FakeSource source;
  source.add("INBOX", {FakeSource::message(1, 10, 10)});
  source.add("broken", {});
  source.add("gone", {});
  source.errors["broken"] = Error{Fault::corrupt, "", "makes no sense", "broken"};
  source.errors["gone"] = Error{Fault::refused, "NONEXISTENT", "no such mailbox", ""};
  const auto taken = inventory_of(source);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->counts.size(), 1U);
  ASSERT_EQ(taken->findings.size(), 1U);
  EXPECT_EQ(text_of(taken->findings[0]), "mailbox-unreadable broken 0 /: makes no sense: broken");
}

TEST(Inventory, ASourceThatIsAwayIsAnError) {
  FakeSource source;
  source.add("INBOX", {});
  source.errors["INBOX"] = Error{Fault::temporary, "LIMIT", "not now", ""};
  const auto taken = inventory_of(source);
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, "LIMIT");
}

}  // namespace
}  // namespace relais::migrate
