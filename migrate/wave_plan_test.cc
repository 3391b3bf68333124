// Waves: every account once, no group in two, sizes as asked for.
#include "migrate/wave_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

namespace relais::migrate {
namespace {

std::vector<PlannedAccount> lone_accounts(std::size_t count) {
  std::vector<PlannedAccount> accounts;
  for (std::size_t i = 0; i < count; ++i) accounts.push_back({"user" + std::to_string(i) + "@example.org", ""});
  return accounts;
}

void add_domain(std::vector<PlannedAccount>& accounts, const std::string& domain, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    auto address = "user" + std::to_string(i) + "@" + domain;
    auto group = domain_group(address);
    accounts.push_back({std::move(address), std::move(group)});
  }
}

WaveRules rules(std::size_t canary, std::string_view shares) { return {canary, parse_wave_shares(shares).value()}; }

/// "canary:10 wave 1:100 …"
std::string sizes(const std::vector<Wave>& waves) {
  std::string out;
  for (const auto& wave : waves)
    out.append(out.empty() ? "" : " ").append(wave.name).append(":").append(std::to_string(wave.accounts.size()));
  return out;
}

TEST(WaveShares, Parse) {
  const auto shares = parse_wave_shares("1%,5%, 0.25% ,12.5%,rest");
  ASSERT_TRUE(shares);
  EXPECT_EQ(*shares, (std::vector<WaveShare>{{100}, {500}, {25}, {1'250}, {std::nullopt}}));
  EXPECT_EQ(parse_wave_shares("100%").value(), (std::vector<WaveShare>{{10'000}}));
  EXPECT_EQ(parse_wave_shares("Rest").value(), (std::vector<WaveShare>{{std::nullopt}}));
  EXPECT_EQ(parse_wave_shares("100%,rest").value().size(), 2U);
}

TEST(WaveShares, ErrorsSayWhatIsWrong) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "''"},
      {"1%,,rest", "''"},
      {"5", "'5'"},
      {"0%", "'0%'"},
      {"-1%", "'-1%'"},
      {"101%", "'101%'"},
      {"1.234%", "'1.234%'"},
      {"1.%", "'1.%'"},
      {".5%", "'.5%'"},
      {"100.01%", "'100.01%'"},
      {"1e1%", "'1e1%'"},
      {"rest,5%", "after"},
      {"60%,50%", "more than 100%"},
      {"1%,5%", "rest"},
      {"99.99%", "rest"},
      {"some", "'some'"},
  };
  for (const auto& [text, named] : cases) {
    const auto parsed = parse_wave_shares(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().fault, Fault::syntax);
    EXPECT_TRUE(parsed.error().text.contains(named)) << text << ": " << parsed.error().text;
  }
}

TEST(DomainGroup, IsWhatFollowsTheLastAt) {
  EXPECT_EQ(domain_group("ada@Example.ORG"), "example.org");
  EXPECT_EQ(domain_group("\"a@b\"@example.org"), "example.org");
  EXPECT_EQ(domain_group("ada"), "");
}

TEST(WavePlan, SizesAreAsAskedFor) {
  EXPECT_EQ(sizes(plan_waves(lone_accounts(50'000), rules(10, "1%,5%,25%,rest")).value()),
            "canary:10 wave 1:500 wave 2:2500 wave 3:12500 wave 4:34490");
  EXPECT_EQ(sizes(plan_waves(lone_accounts(50'000), rules(0, "rest")).value()), "wave 1:50000");
  EXPECT_EQ(sizes(plan_waves(lone_accounts(10), rules(0, "1%,5%,25%,rest")).value()), "wave 1:1 wave 2:1 wave 3:3 wave 4:5")
      << "rounded up";
  EXPECT_EQ(sizes(plan_waves(lone_accounts(2), rules(5, "50%,rest")).value()), "canary:2") << "waves without accounts are left out";
  EXPECT_EQ(sizes(plan_waves(lone_accounts(3), rules(1, "100%")).value()), "canary:1 wave 1:2") << "the canaries count among all";
  EXPECT_EQ(sizes(plan_waves({}, rules(1, "rest")).value()), "");
  EXPECT_EQ(sizes(plan_waves(lone_accounts(3), WaveRules{}).value()), "wave 1:3");
}

TEST(WavePlan, NoGroupIsSplitAndSmallOnesGoFirst) {
  std::vector<PlannedAccount> accounts;
  add_domain(accounts, "large.example", 600);
  add_domain(accounts, "middle.example", 300);
  for (int i = 0; i < 25; ++i) add_domain(accounts, "small" + std::to_string(i) + ".example", 4);
  const auto waves = plan_waves(accounts, rules(10, "5%,25%,rest")).value();
  EXPECT_EQ(sizes(waves), "canary:12 wave 1:48 wave 2:340 wave 3:600") << "what a wave took too much, the next takes less";
  for (const auto& wave : waves) {
    std::map<std::string, std::size_t> members;
    for (const auto i : wave.accounts) ++members[accounts[i].group];
    for (const auto& [group, count] : members)
      EXPECT_EQ(count, group.starts_with("small") ? 4U : group.starts_with("middle") ? 300U : 600U) << group;
  }
}

TEST(WavePlan, AGroupTooLargeForAWaveIsShownByWhatIsMissing) {
  std::vector<PlannedAccount> accounts;
  add_domain(accounts, "only.example", 1'000);
  const auto waves = plan_waves(accounts, rules(10, "1%,5%,rest")).value();
  ASSERT_EQ(sizes(waves), "wave 3:1000");
  EXPECT_EQ(waves.front().wanted, 930U);
}

TEST(WavePlan, AnAccountWithoutAGroupMeetsNoGroupOfItsName) {
  const std::vector<PlannedAccount> accounts{{"x", ""}, {"a", "x"}, {"b", "x"}};
  EXPECT_EQ(sizes(plan_waves(accounts, rules(1, "rest")).value()), "canary:1 wave 1:2");
}

TEST(WavePlan, AnAccountTwiceIsRefused) {
  const std::vector<PlannedAccount> accounts{{"a@x", "x"}, {"b@x", "x"}, {"a@x", "y"}};
  const auto plan = plan_waves(accounts, WaveRules{});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().text, "the account a@x is there twice");
}

// A platform of random domains, in random order: the plan is a partition, keeps groups whole, and does not depend on the order.
TEST(WavePlan, AlwaysThePartitionOfTheSameAccounts) {
  constexpr unsigned kSeed = 20'260'101;
  std::mt19937 random(kSeed);
  for (int round = 0; round < 100; ++round) {
    std::vector<PlannedAccount> accounts;
    const auto domains = random() % 40;
    for (unsigned d = 0; d < domains; ++d) add_domain(accounts, "d" + std::to_string(d) + ".example", 1 + random() % (1U + random() % 60));
    for (auto& account : accounts) {
      if (random() % 5 == 0) account.group.clear();
    }
    const auto chosen = rules(random() % 20, random() % 2 == 0 ? "1%,5%,25%,rest" : "33.33%,33.33%,33.34%");
    const auto plan = [&] {
      std::vector<std::vector<std::string>> waves;
      std::map<std::string, std::set<std::string>> waves_of_group;
      std::size_t placed = 0;
      const auto made = plan_waves(accounts, chosen).value();
      for (const auto& wave : made) {
        waves.emplace_back();
        for (const auto i : wave.accounts) {
          waves.back().push_back(accounts[i].address);
          if (!accounts[i].group.empty()) waves_of_group[accounts[i].group].insert(wave.name);
        }
        EXPECT_FALSE(wave.accounts.empty());
        EXPECT_TRUE(std::ranges::is_sorted(waves.back()));
        placed += wave.accounts.size();
      }
      EXPECT_EQ(placed, accounts.size());
      for (const auto& [group, in] : waves_of_group) EXPECT_EQ(in.size(), 1U) << group;
      return waves;
    };
    const auto before = plan();
    std::ranges::shuffle(accounts, random);
    EXPECT_EQ(plan(), before) << "round " << round;
  }
}

// What a plan of one release says, the next one says too.
TEST(WavePlan, Golden) {
  const auto accounts = lone_accounts(12);
  std::string text;
  for (const auto& wave : plan_waves(accounts, rules(2, "25%,rest")).value()) {
    text += wave.name + ":";
    for (const auto i : wave.accounts) text += " " + std::to_string(i);
    text += "\n";
  }
  EXPECT_EQ(text, "canary: 11 7\nwave 1: 10 6 8\nwave 2: 0 1 2 3 4 5 9\n");
}

}  // namespace
}  // namespace relais::migrate
