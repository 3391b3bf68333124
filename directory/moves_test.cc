// Platforms, origins, placements and learned passwords, as frontends and the mover use them.
#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <future>

namespace relais::directory {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

LegacyPlatform platform(std::string name, bool learn = false) {
  LegacyPlatform made;
  made.name = std::move(name);
  made.imap = {.host = "imap.old.example", .port = 993, .tls = LegacyService::Tls::implicit};
  made.master = {LegacyMaster::Way::format, "master", "top secret", "%u*%m"};
  made.learn_passwords = learn;
  return made;
}

class MovesTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(d.run(d->add_domain("example.org")));
    ASSERT_TRUE(d.run(d->set_platform(platform("old", true))));
  }
  Account add_legacy(std::string address, std::string hash = "", std::string user = "") {
    return d
        .run(d->add_legacy_account(
            {.address = std::move(address), .origin = {.platform = "old", .user = std::move(user)}, .password_hash = std::move(hash)}))
        .value();
  }
  Located located(AccountNumber number) { return d.run(d->located(number)).value().value(); }
  void learn(AccountNumber number, std::string password) {
    d->learn(number, located(number).generation, std::move(password));
    wait_for_upgrades(*d);
  }
  bool fits(std::string user, std::string password) { return d.run(d->authenticate(std::move(user), std::move(password))).has_value(); }
  ManualClock clock;
  TestDirectory d{{.shards = 4, .default_domain = "example.org", .clock = &clock}};
};

TEST_F(MovesTest, PlatformsAreKeptCheckedAndListed) {
  EXPECT_EQ(d.run(d->set_platform(platform("Bad Name"))).error().fault, Fault::syntax);
  ASSERT_TRUE(d.run(d->set_platform(platform("older"))));
  d.reopen();
  const auto all = d.run(d->platforms()).value();
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].name, "old");
  EXPECT_EQ(all[0].created, clock.seconds());
  EXPECT_EQ(all[0].master.password, "top secret");
  EXPECT_FALSE(d.run(d->platform("none")).value());
  auto changed = platform("older");
  changed.user_format = "%n";
  ASSERT_TRUE(d.run(d->set_platform(changed)));
  EXPECT_EQ(d.run(d->platform("older")).value()->user_format, "%n");
  ASSERT_TRUE(d.run(d->remove_platform("older")));
  EXPECT_EQ(d.run(d->remove_platform("older")).error().code, "NONEXISTENT");
}

TEST_F(MovesTest, APlatformStaysWhileAnAccountNamesIt) {
  const auto ann = add_legacy("ann@example.org");
  const auto in_use = d.run(d->remove_platform("old"));
  EXPECT_EQ(in_use.error().code, "INUSE");
  EXPECT_TRUE(in_use.error().text.contains("ann@example.org")) << in_use.error().text;
  ASSERT_TRUE(d.run(d->change_placement(ann.number, 1, Placement{})));
  EXPECT_EQ(d.run(d->remove_platform("old")).error().code, "INUSE") << "its origin";
  ASSERT_TRUE(d.run(d->set_origin(ann.number, {})));
  EXPECT_TRUE(d.run(d->remove_platform("old")));
}

TEST_F(MovesTest, LegacyAccountsAreLocated) {
  EXPECT_EQ(d.run(d->add_legacy_account({.address = "x@example.org", .origin = {.platform = "none"}})).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->add_legacy_account({.address = "x@example.org"})).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->add_legacy_account({.address = "x@elsewhere.example", .origin = {.platform = "old"}})).error().code, "NONEXISTENT");
  const auto ann = d.run(d->add_legacy_account({.address = "Ann@example.org",
                                                .origin = {.platform = "old", .user = "a17", .names = {'.', "INBOX."}},
                                                .quota_octets = 1'000}))
                       .value();
  EXPECT_EQ(ann.placement, (Placement{Placement::Kind::legacy, 0, "old", 1}));
  EXPECT_EQ(ann.quota_octets, 1'000U);
  const auto found = d.run(d->locate("ANN")).value();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->account.address, "ann@example.org");
  EXPECT_EQ(found->origin.user, "a17");
  EXPECT_EQ(found->origin.names, (NameView{'.', "INBOX."}));
  EXPECT_EQ(found->knowledge, Knowledge::nothing);
  EXPECT_FALSE(found->has_scram);
  EXPECT_EQ(found->platform(), "old");
  EXPECT_FALSE(d.run(d->locate("nobody")).value());
  ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", false)));
  EXPECT_FALSE(d.run(d->locate("ann")).value());
  EXPECT_TRUE(d.run(d->located(ann.number)).value());
  ASSERT_TRUE(d.run(d->remove_account("ann@example.org")));
  EXPECT_TRUE(d.run(d->remove_platform("old"))) << "the origin goes with the account";
}

TEST_F(MovesTest, PlacementsAreComparedAndSet) {
  std::vector<std::pair<AccountNumber, Placement>> heard;
  std::vector<std::string> platforms;
  d->listen({.platform_changed = [&](const std::string& name) { platforms.push_back(name); },
             .placement_changed = [&](AccountNumber number, const Placement& placement) { heard.emplace_back(number, placement); }});
  const auto ann = add_legacy("ann@example.org");
  const Placement moving{Placement::Kind::moving, 3, "old", 99};
  EXPECT_EQ(d.run(d->change_placement(ann.number, 2, moving)).error().code, "EPOCH");
  EXPECT_THAT(heard, IsEmpty());
  const auto now = d.run(d->change_placement(ann.number, 1, moving)).value();
  EXPECT_EQ(now, (Placement{Placement::Kind::moving, 3, "old", 2}));
  EXPECT_EQ(d.run(d->find_number(ann.number)).value()->placement, now);
  EXPECT_EQ(d.run(d->change_placement(ann.number, 1, moving)).error().code, "EPOCH");
  EXPECT_EQ(d.run(d->change_placement(ann.number, 2, Placement{Placement::Kind::shard, 4, "", 0})).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->change_placement(ann.number, 2, Placement{Placement::Kind::legacy, 0, "none", 0})).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->change_placement(99, 1, moving)).error().code, "NONEXISTENT");
  const auto here = d.run(d->change_placement(ann.number, 2, Placement{Placement::Kind::shard, 3, "", 0})).value();
  EXPECT_EQ(here, (Placement{Placement::Kind::shard, 3, "", 3}));
  EXPECT_EQ(located(ann.number).platform(), "old") << "where it came from is still known";
  EXPECT_THAT(heard, ElementsAre(Pair(ann.number, now), Pair(ann.number, here)));
  ASSERT_TRUE(d.run(d->set_platform(platform("other"))));
  ASSERT_TRUE(d.run(d->remove_platform("other")));
  EXPECT_THAT(platforms, ElementsAre("other", "other"));
}

TEST_F(MovesTest, OfManyThatChangeAPlacementOneDoes) {
  const auto ann = add_legacy("ann@example.org");
  constexpr int kRounds = 20;
  constexpr int kRivals = 8;
  for (std::uint64_t epoch = 1; epoch <= kRounds; ++epoch) {
    std::vector<std::future<Result<Placement>>> rivals;
    for (int i = 0; i < kRivals; ++i) {
      rivals.push_back(net::asio::co_spawn(
          d.loops().at(static_cast<std::size_t>(i) % 2).executor(),
          d->change_placement(ann.number, epoch, Placement{Placement::Kind::shard, static_cast<std::uint16_t>(i % 4), "", 0}),
          net::asio::use_future));
    }
    int done = 0;
    for (auto& rival : rivals) {
      const auto outcome = rival.get();
      done += outcome ? 1 : 0;
      if (!outcome) EXPECT_EQ(outcome.error().code, "EPOCH");
    }
    EXPECT_EQ(done, 1);
  }
  EXPECT_EQ(located(ann.number).account.placement.epoch, kRounds + 1U);
}

TEST_F(MovesTest, AcceptedPasswordsAreLearned) {
  const auto ann = add_legacy("ann@example.org");
  EXPECT_FALSE(fits("ann", "secret"));
  learn(ann.number, "secret");
  auto now = located(ann.number);
  EXPECT_EQ(now.knowledge, Knowledge::learned);
  EXPECT_TRUE(now.has_scram);
  EXPECT_TRUE(now.account.has_password);
  EXPECT_EQ(now.generation, 2U);
  EXPECT_TRUE(fits("ann", "secret"));
  const auto keys = d.run(d->scram_keys("ann")).value();
  EXPECT_EQ(derive_scram_keys("secret", keys.salt, keys.iterations).stored_key, keys.stored_key);

  learn(ann.number, "secret");
  EXPECT_EQ(located(ann.number).generation, 2U) << "nothing new";
  learn(ann.number, "changed there");
  EXPECT_EQ(located(ann.number).generation, 3U);
  EXPECT_FALSE(fits("ann", "secret"));
  EXPECT_TRUE(fits("ann", "changed there"));
  d.reopen();  // what was learned is known from the hash, not from memory
  learn(ann.number, "changed there");
  EXPECT_EQ(located(ann.number).generation, 3U);
}

TEST_F(MovesTest, WhatMayNotBeLearnedIsNot) {
  const auto ann = add_legacy("ann@example.org");
  d->learn(ann.number, 7, "secret");
  d->learn(99, 1, "secret");
  d->learn(ann.number, 1, "");
  wait_for_upgrades(*d);
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::nothing);

  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "of the admin")));
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::set);
  learn(ann.number, "secret");
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::set);
  EXPECT_TRUE(fits("ann", "of the admin"));

  const auto native = d.run(d->add_account("bob@example.org", "", 0)).value();
  learn(native.number, "secret");
  EXPECT_EQ(located(native.number).knowledge, Knowledge::nothing) << "no platform has accepted it";
}

TEST_F(MovesTest, ThePlatformsRecordSaysWhetherPasswordsAreLearnedOfAccountsThatLiveThere) {
  ASSERT_TRUE(d.run(d->set_platform(platform("old", false))));
  const auto ann = add_legacy("ann@example.org");
  learn(ann.number, "secret");
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::nothing);
  ASSERT_TRUE(d.run(d->change_placement(ann.number, 1, Placement{})));
  learn(ann.number, "secret");
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::learned) << "it lives here now";
}

TEST_F(MovesTest, ImportedHashesAreReplacedByWhatThePlatformAccepts) {
  const auto ann = add_legacy("ann@example.org", "{PLAIN}of yesterday");
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::imported);
  ASSERT_TRUE(fits("ann", "of yesterday"));
  wait_for_upgrades(*d);
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::imported) << "a better hash of it";
  EXPECT_TRUE(located(ann.number).has_scram);
  learn(ann.number, "of today");
  EXPECT_EQ(located(ann.number).knowledge, Knowledge::learned);
  EXPECT_FALSE(fits("ann", "of yesterday"));
  EXPECT_TRUE(fits("ann", "of today"));
}

TEST_F(MovesTest, ScramWaitsUntilEveryPasswordIsKnown) {
  EXPECT_TRUE(d->scram_ready());
  const auto ann = add_legacy("ann@example.org");
  EXPECT_FALSE(d->scram_ready()) << "nobody knows the password here";
  const auto bob = add_legacy("bob@example.org", "{PLAIN}x");
  learn(ann.number, "secret");
  EXPECT_FALSE(d->scram_ready()) << "an imported hash has no keys";
  learn(bob.number, "x");
  EXPECT_TRUE(d->scram_ready());
  const auto carol = add_legacy("carol@example.org");
  ASSERT_TRUE(d.run(d->change_placement(carol.number, 1, Placement{})));
  EXPECT_FALSE(d->scram_ready()) << "moved, and asked for at its platform still";
  ASSERT_TRUE(d.run(d->set_origin(carol.number, {})));
  EXPECT_TRUE(d->scram_ready()) << "settled without a password: nobody can log in";
  ASSERT_TRUE(d.run(d->set_origin(carol.number, {.platform = "old"})));
  EXPECT_FALSE(d->scram_ready());
  ASSERT_TRUE(d.run(d->remove_account("carol@example.org")));
  EXPECT_TRUE(d->scram_ready());
}

TEST_F(MovesTest, KnowledgeIsCountedByPlatform) {
  ASSERT_TRUE(d.run(d->set_platform(platform("other"))));
  const auto ann = add_legacy("ann@example.org");
  add_legacy("bob@example.org", "{PLAIN}x");
  add_legacy("carol@example.org");
  ASSERT_TRUE(d.run(d->add_account("dave@example.org", "set here", 0)));
  ASSERT_TRUE(d.run(d->add_legacy_account({.address = "eve@example.org", .origin = {.platform = "other"}})));
  learn(ann.number, "secret");
  ASSERT_TRUE(d.run(d->change_placement(ann.number, 1, Placement{})));
  EXPECT_THAT(d.run(d->knowledge("old")).value(), ElementsAre(1U, 1U, 1U, 0U));
  EXPECT_THAT(d.run(d->knowledge("other")).value(), ElementsAre(1U, 0U, 0U, 0U));
  EXPECT_THAT(d.run(d->knowledge("")).value(), ElementsAre(2U, 1U, 1U, 1U));
}

}  // namespace
}  // namespace relais::directory
