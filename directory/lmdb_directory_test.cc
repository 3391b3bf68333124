// The directory as sessions and admins use it.
#include "directory/placement.h"
#include "directory/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>

namespace relais::directory {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> addresses(const Result<Recipient>& found) {
  std::vector<std::string> out;
  if (found) {
    for (const auto& account : found->accounts) out.push_back(account.address);
  }
  return out;
}

class DirectoryTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(d.run(d->add_domain("Example.ORG"))); }
  Account add(std::string address, std::string password = "secret") {
    return d.run(d->add_account(std::move(address), std::move(password), 0)).value();
  }
  void alias(std::string address, std::vector<std::string> targets) {
    const auto done = d.run(d->add_alias(std::move(address), std::move(targets)));
    ASSERT_TRUE(done) << done.error().text;
  }
  Result<Recipient> resolve(std::string address) { return d.run(d->resolve(std::move(address))); }
  bool logs_in(std::string user, std::string password) {
    const auto login = d.run(d->authenticate(std::move(user), std::move(password)));
    if (!login) EXPECT_EQ(login.error().code, "AUTHENTICATIONFAILED") << login.error().text;
    return login.has_value();
  }
  ManualClock clock;
  TestDirectory d{{.shards = 4, .default_domain = "example.org", .clock = &clock}};
};

TEST_F(DirectoryTest, AccountsAreKeptNormalisedAndNumberedOnce) {
  const auto ann = add("Ann@EXAMPLE.org");
  EXPECT_EQ(ann.address, "ann@example.org");
  EXPECT_EQ(ann.number, 1U);
  EXPECT_TRUE(ann.enabled);
  EXPECT_TRUE(ann.has_password);
  EXPECT_EQ(ann.created, clock.seconds());
  EXPECT_EQ(ann.placement.epoch, 1U);
  EXPECT_EQ(ann.placement.shard, rendezvous_shard(1, 4));
  EXPECT_EQ(d.run(d->find("aNN@example.ORG")).value()->number, ann.number);
  EXPECT_EQ(d.run(d->find_number(ann.number)).value()->address, "ann@example.org");
  EXPECT_FALSE(d.run(d->find("bob@example.org")).value());
  EXPECT_FALSE(d.run(d->find_number(99)).value());
  EXPECT_EQ(d.run(d->add_account("ann@example.org", "x", 0)).error().code, "ALREADYEXISTS");
  EXPECT_EQ(d.run(d->add_account("ann@elsewhere.org", "x", 0)).error().code, "NONEXISTENT");
  EXPECT_EQ(d.run(d->add_account("no address", "x", 0)).error().fault, Fault::syntax);
  EXPECT_EQ(d.run(d->remove_account("ANN@example.org"))->number, ann.number);
  EXPECT_FALSE(d.run(d->find("ann@example.org")).value());
  EXPECT_FALSE(d.run(d->find_number(ann.number)).value());
  EXPECT_EQ(add("ann@example.org").number, 2U) << "numbers are never reused";
}

TEST_F(DirectoryTest, SurvivesReopening) {
  add("ann@example.org");
  alias("info@example.org", {"ann@example.org"});
  ASSERT_TRUE(d.run(d->set_quota("ann@example.org", 1'000, 10)));
  d.reopen();
  const auto ann = d.run(d->find("ann@example.org")).value();
  ASSERT_TRUE(ann);
  EXPECT_EQ(ann->quota_octets, 1'000U);
  EXPECT_EQ(ann->quota_messages, 10U);
  EXPECT_TRUE(logs_in("ann@example.org", "secret"));
  EXPECT_THAT(addresses(resolve("info@example.org")), ElementsAre("ann@example.org"));
}

TEST_F(DirectoryTest, ResolvesInOrder) {
  add("ann@example.org");
  add("bob@example.org");
  add("exact+tag@example.org");
  add("rest@example.org");
  alias("info@example.org", {"ann@example.org", "bob@example.org", "Ann@example.org", "Someone@remote.example"});
  struct Case {
    std::string address;
    Recipient::Kind kind;
    std::vector<std::string> accounts;
    std::string detail;
  };
  const auto run = [&](const std::vector<Case>& cases) {
    for (const auto& c : cases) {
      SCOPED_TRACE(c.address);
      const auto found = resolve(c.address);
      ASSERT_TRUE(found) << found.error().text;
      EXPECT_EQ(found->kind, c.kind);
      EXPECT_EQ(addresses(found), c.accounts);
      EXPECT_EQ(found->detail, c.detail);
    }
  };
  using enum Recipient::Kind;
  run({
      {"ANN@Example.Org", Recipient::Kind::accounts, {"ann@example.org"}, ""},
      {"info@example.org", Recipient::Kind::accounts, {"ann@example.org", "bob@example.org"}, ""},
      {"ann+Lists@example.org", Recipient::Kind::accounts, {"ann@example.org"}, "lists"},
      {"info+x@example.org", Recipient::Kind::accounts, {"ann@example.org", "bob@example.org"}, "x"},
      {"exact+tag@example.org", Recipient::Kind::accounts, {"exact+tag@example.org"}, ""},
      {"exact+other@example.org", unknown, {}, ""},
      {"+tag@example.org", unknown, {}, ""},
      {"nobody@example.org", unknown, {}, ""},
      {"ann@remote.example", not_local, {}, ""},
      {"ann@[192.0.2.1]", not_local, {}, ""},
  });
  EXPECT_THAT(resolve("info@example.org")->remote, ElementsAre("Someone@remote.example"));
  alias("@example.org", {"rest@example.org"});
  run({
      {"nobody@example.org", Recipient::Kind::accounts, {"rest@example.org"}, ""},
      {"nobody+x@example.org", Recipient::Kind::accounts, {"rest@example.org"}, ""},
      {"ann+x@example.org", Recipient::Kind::accounts, {"ann@example.org"}, "x"},
      {"postmaster@example.org", Recipient::Kind::accounts, {"rest@example.org"}, ""},
  });
  EXPECT_EQ(resolve("not an address").error().fault, Fault::syntax);
  EXPECT_EQ(d.run(d->domains())->front().catch_all, "rest@example.org");
}

TEST_F(DirectoryTest, AnAccountAtAnAliasAddressWins) {
  alias("ann@example.org", {"bob@example.org"});
  add("ann@example.org");
  add("bob@example.org");
  EXPECT_THAT(addresses(resolve("ann@example.org")), ElementsAre("ann@example.org"));
}

TEST_F(DirectoryTest, AnAliasThatNamesItsAccountDeliversAndForwards) {
  add("ann@example.org");
  add("bob@example.org");
  alias("ann@example.org", {"Ann@example.org", "bob@example.org", "someone@remote.example"});
  for (const auto* address : {"ann@example.org", "ann+x@example.org"}) {
    const auto found = resolve(address);
    EXPECT_THAT(addresses(found), ElementsAre("ann@example.org", "bob@example.org")) << address;
    EXPECT_THAT(found->remote, ElementsAre("someone@remote.example"));
  }
  const auto number = d.run(d->find("ann@example.org"))->value().number;
  for (const auto* own : {"ann@example.org", "Ann+news@example.org"}) EXPECT_TRUE(*d.run(d->may_send_as(number, own))) << own;
  EXPECT_FALSE(*d.run(d->may_send_as(number, "bob@example.org")));
  EXPECT_FALSE(*d.run(d->may_send_as(number, "someone@remote.example")));
}

TEST_F(DirectoryTest, DisabledAccountsTakeNoMail) {
  add("ann@example.org");
  add("bob@example.org");
  alias("both@example.org", {"ann@example.org", "bob@example.org"});
  alias("one@example.org", {"ann@example.org"});
  ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", false)));
  EXPECT_EQ(resolve("ann@example.org")->kind, Recipient::Kind::disabled);
  EXPECT_EQ(resolve("ann+x@example.org")->kind, Recipient::Kind::disabled);
  EXPECT_EQ(resolve("one@example.org")->kind, Recipient::Kind::disabled);
  EXPECT_THAT(addresses(resolve("both@example.org")), ElementsAre("bob@example.org"));
}

TEST_F(DirectoryTest, AliasLoopsEndAndDepthIsBounded) {
  add("end@example.org");
  alias("a@example.org", {"b@example.org"});
  alias("b@example.org", {"a@example.org", "end@example.org"});
  alias("self@example.org", {"self@example.org"});
  alias("tagged@example.org", {"tagged+x@example.org"});
  EXPECT_THAT(addresses(resolve("a@example.org")), ElementsAre("end@example.org"));
  EXPECT_EQ(resolve("self@example.org")->kind, Recipient::Kind::unknown);
  EXPECT_EQ(resolve("tagged@example.org")->kind, Recipient::Kind::unknown);
  alias("deep0@example.org", {"end@example.org"});
  for (int i = 1; i <= 10; ++i) alias("deep" + std::to_string(i) + "@example.org", {"deep" + std::to_string(i - 1) + "@example.org"});
  EXPECT_THAT(addresses(resolve("deep9@example.org")), ElementsAre("end@example.org"));
  EXPECT_EQ(resolve("deep10@example.org").error().fault, Fault::temporary);
}

TEST_F(DirectoryTest, WideAliasesAreBounded) {
  add("end@example.org");
  std::vector<std::string> targets;
  for (int i = 0; i < 999; ++i) targets.push_back("gone" + std::to_string(i) + "@example.org");
  targets.push_back("end@example.org");
  alias("wide@example.org", targets);
  EXPECT_THAT(addresses(resolve("wide@example.org")), ElementsAre("end@example.org"));
  targets.push_back("more@example.org");
  EXPECT_EQ(d.run(d->add_alias("wider@example.org", targets)).error().fault, Fault::refused);
  alias("both@example.org", {"wide@example.org", "another@example.org"});
  EXPECT_EQ(resolve("both@example.org").error().fault, Fault::temporary);
}

TEST_F(DirectoryTest, PostmasterGoesToTheConfiguredOne) {
  add("admin@example.org");
  EXPECT_EQ(resolve("postmaster@example.org")->kind, Recipient::Kind::unknown);
  d.options.postmaster = "Admin@example.org";
  d.reopen();
  ASSERT_TRUE(d.run(d->add_domain("second.example")));
  for (const auto* address : {"postmaster@example.org", "PostMaster@second.example", "Postmaster"}) {
    EXPECT_THAT(addresses(resolve(address)), ElementsAre("admin@example.org")) << address;
  }
  EXPECT_EQ(resolve("postmaster@remote.example")->kind, Recipient::Kind::not_local);
}

TEST_F(DirectoryTest, InternationalNamesMeetInOneSpelling) {
  ASSERT_TRUE(
      d.run(d->add_domain("b\xc3\xbc"
                          "cher.example")));
  EXPECT_THAT(d.run(d->domains())->front().name, "example.org");
  add("J\xc3\xb6rg@b\xc3\xbc"
      "cher.example");
  EXPECT_EQ(resolve("JO\xcc\x88RG@xn--bcher-kva.example")->kind, Recipient::Kind::accounts);
  EXPECT_TRUE(d.run(d->is_local_domain("XN--BCHER-KVA.example")).value());
}

TEST_F(DirectoryTest, DomainsWithAddressesStay) {
  add("ann@example.org");
  EXPECT_EQ(d.run(d->add_domain("example.org")).error().code, "ALREADYEXISTS");
  EXPECT_EQ(d.run(d->remove_domain("example.org")).error().fault, Fault::refused);
  ASSERT_TRUE(d.run(d->remove_account("ann@example.org")));
  alias("@example.org", {"x@remote.example"});
  EXPECT_EQ(d.run(d->remove_domain("example.org")).error().fault, Fault::refused);
  ASSERT_TRUE(d.run(d->remove_alias("@example.org")));
  EXPECT_TRUE(d.run(d->remove_domain("Example.org")));
  EXPECT_FALSE(d.run(d->is_local_domain("example.org")).value());
  EXPECT_EQ(d.run(d->remove_domain("example.org")).error().code, "NONEXISTENT");
}

TEST_F(DirectoryTest, ListsAreOfOneDomainOrAll) {
  ASSERT_TRUE(d.run(d->add_domain("example.organic")));
  add("ann@example.org");
  add("bob@example.organic");
  alias("x@example.organic", {"bob@example.organic"});
  EXPECT_EQ(d.run(d->accounts("example.org"))->size(), 1U);
  EXPECT_EQ(d.run(d->accounts(""))->size(), 2U);
  EXPECT_THAT(*d.run(d->aliases("example.org")), IsEmpty());
  EXPECT_EQ(d.run(d->aliases(""))->front().address, "x@example.organic");
}

TEST_F(DirectoryTest, MaySendAsItselfItsTagsAndItsOwnAliases) {
  const auto ann = add("ann@example.org").number;
  const auto bob = add("bob@example.org").number;
  alias("info@example.org", {"ann@example.org"});
  alias("all@example.org", {"ann@example.org", "bob@example.org"});
  alias("away@example.org", {"ann@example.org", "x@remote.example"});
  const auto may = [&](AccountNumber who, std::string as) { return d.run(d->may_send_as(who, std::move(as))).value(); };
  EXPECT_TRUE(may(ann, "Ann@example.org"));
  EXPECT_TRUE(may(ann, "ann+x@example.org"));
  EXPECT_TRUE(may(ann, "info@example.org"));
  EXPECT_FALSE(may(bob, "info@example.org"));
  EXPECT_FALSE(may(ann, "bob@example.org"));
  EXPECT_FALSE(may(ann, "all@example.org"));
  EXPECT_FALSE(may(ann, "away@example.org"));
  EXPECT_FALSE(may(ann, "ann@remote.example"));
  EXPECT_FALSE(may(ann, "nonsense"));
}

// ---- logins

TEST_F(DirectoryTest, LoginsWithAddressOrBareName) {
  const auto ann = add("ann@example.org").number;
  EXPECT_EQ(d.run(d->authenticate("ANN@example.org", "secret"))->account.number, ann);
  EXPECT_EQ(d.run(d->authenticate("ann", "secret"))->account.number, ann);
  EXPECT_FALSE(logs_in("ann", "Secret"));
  EXPECT_FALSE(logs_in("ann", ""));
  EXPECT_FALSE(logs_in("ann", std::string("secret\0", 7)));
  EXPECT_FALSE(logs_in("ann", std::string(100'000, 'x')));
  EXPECT_FALSE(logs_in("bob", "secret"));
  EXPECT_FALSE(logs_in("", "secret"));
  EXPECT_FALSE(logs_in("a b c @@", "secret"));
  EXPECT_FALSE(logs_in("ann+tag@example.org", "secret"));
}

TEST_F(DirectoryTest, EverySpellingOfAUserIsCountedAsOne) {
  directory::TestDirectory named({.default_domain = "example.org"});
  for (const auto* user : {"ada@example.org", "ada", "ADA", "Ada@Example.ORG", "\"ada\"@example.org", "\"a\\da\"@example.org",
                           "\xef\xbd\x81\x64\x61@example.org"}) {
    EXPECT_EQ(named->login_name(user), "ada@example.org") << user;
  }
  EXPECT_EQ(named->login_name("b\xc3\xbc"
                              "cher@b\xc3\xbc"
                              "cher.example"),
            named->login_name("B\xc3\x9c"
                              "CHER@xn--bcher-kva.example"));
  EXPECT_EQ(named->login_name("No Address At All@"), "no address at all@");
}

TEST_F(DirectoryTest, ALoginTellsHowClientsKnowTheMailboxes) {
  const auto ann = add("ann@example.org").number;
  EXPECT_TRUE(d.run(d->authenticate("ann", "secret"))->names.is_ours());
  const NameView names{'.', "INBOX."};
  ASSERT_TRUE(d.run(d->set_origin(ann, {.names = names})));
  EXPECT_EQ(d.run(d->authenticate("ann", "secret"))->names, names);
  EXPECT_EQ(d.run(d->authenticate("ann", "secret"))->names, names) << "a password that is remembered";
  EXPECT_EQ(d.run(d->login_verified("ann", d.run(d->scram_keys("ann"))->generation))->names, names);
}

TEST_F(DirectoryTest, AccountsWithoutPasswordTakeNoLogin) {
  EXPECT_FALSE(add("ann@example.org", "").has_password);
  EXPECT_FALSE(logs_in("ann", ""));
  EXPECT_FALSE(logs_in("ann", "x"));
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "x")));
  EXPECT_TRUE(logs_in("ann", "x"));
}

TEST_F(DirectoryTest, ARememberedPasswordEndsWithChangeDisableAndRemoval) {
  add("ann@example.org");
  EXPECT_TRUE(logs_in("ann", "secret"));
  EXPECT_TRUE(logs_in("ann", "secret"));
  ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", false)));
  EXPECT_FALSE(logs_in("ann", "secret"));
  ASSERT_TRUE(d.run(d->set_enabled("ann@example.org", true)));
  EXPECT_TRUE(logs_in("ann", "secret"));
  ASSERT_TRUE(d.run(d->set_password("ann@example.org", "new")));
  EXPECT_FALSE(logs_in("ann", "secret"));
  EXPECT_TRUE(logs_in("ann", "new"));
  ASSERT_TRUE(d.run(d->remove_account("ann@example.org")));
  EXPECT_FALSE(logs_in("ann", "new"));
  EXPECT_FALSE(d.run(d->set_password("ann@example.org", "")));
}

TEST_F(DirectoryTest, ConcurrentLoginsShareTheirHash) {
  add("ann@example.org");
  constexpr int kLogins = 200;
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::latch done(2 * kLogins);
  const auto attempt = [&](std::string password, std::atomic<int>& count, bool expected) -> net::asio::awaitable<void> {
    const auto login = co_await d->authenticate("ann", std::move(password));
    if (login.has_value() == expected) ++count;
    done.count_down();
  };
  for (int i = 0; i < kLogins; ++i) {
    auto& loop = d.loops().at(static_cast<std::size_t>(i % 2));
    net::asio::co_spawn(loop.context(), attempt("secret", good, true), net::asio::detached);
    net::asio::co_spawn(loop.context(), attempt("wrong", bad, false), net::asio::detached);
  }
  done.wait();
  EXPECT_EQ(good, kLogins);
  EXPECT_EQ(bad, kLogins);
}

TEST_F(DirectoryTest, ImportedHashesAreUpgradedAfterALogin) {
  ASSERT_TRUE(d.run(d->import_account({"ann@example.org", "{SSHA}HgxHqDmO/U1yGOC8kj0CoVXgTDhGs2u2", 5})));
  EXPECT_EQ(d.run(d->find("ann@example.org")).value()->quota_octets, 5U);
  EXPECT_FALSE(d->scram_ready());
  const auto before = d.run(d->scram_keys("ann")).value();
  EXPECT_FALSE(logs_in("ann", "wrong"));
  EXPECT_TRUE(logs_in("ann", "Gr0ß secret"));
  wait_for_upgrades(*d);
  EXPECT_TRUE(d->scram_ready());
  EXPECT_NE(d.run(d->scram_keys("ann"))->salt, before.salt);
  EXPECT_TRUE(logs_in("ann", "Gr0ß secret"));
  d.reopen();
  EXPECT_TRUE(logs_in("ann", "Gr0ß secret"));
  EXPECT_FALSE(logs_in("ann", "wrong"));
  EXPECT_EQ(d.run(d->import_account({"bob@example.org", "plain text", 0})).error().fault, Fault::refused);
  EXPECT_FALSE(d.run(d->find("bob@example.org")).value());
}

TEST_F(DirectoryTest, ScramReadinessFollowsRemovalAndNewPasswords) {
  ASSERT_TRUE(d.run(d->import_account({"ann@example.org", "{PLAIN}x", 0})));
  ASSERT_TRUE(d.run(d->import_account({"bob@example.org", "{PLAIN}x", 0})));
  EXPECT_FALSE(d->scram_ready());
  ASSERT_TRUE(d.run(d->remove_account("ann@example.org")));
  EXPECT_FALSE(d->scram_ready());
  ASSERT_TRUE(d.run(d->set_password("bob@example.org", "y")));
  EXPECT_TRUE(d->scram_ready());
  ASSERT_TRUE(d.run(d->import_account({"eve@example.org", "", 0})));
  EXPECT_TRUE(d->scram_ready());
}

TEST_F(DirectoryTest, MadeUpScramKeysStayTheSame) {
  const auto one = d.run(d->scram_keys("nobody")).value();
  d.reopen();
  const auto two = d.run(d->scram_keys("Nobody@example.org")).value();
  EXPECT_EQ(one.salt, two.salt);
  EXPECT_EQ(one.salt.size(), 16U);
  EXPECT_EQ(one.iterations, kTestCost.scram_iterations);
  EXPECT_NE(one.salt, d.run(d->scram_keys("somebody"))->salt);
}

TEST(Placement, IsFixedForever) {
  std::string first;
  for (AccountNumber n = 1; n <= 16; ++n) first += std::to_string(rendezvous_shard(n, 8));
  EXPECT_EQ(first, "0556505034775165");
}

TEST(Placement, SpreadsEvenlyAndMovesFew) {
  constexpr int kAccounts = 80'000;
  std::vector<int> count(8);
  int moved = 0;
  for (AccountNumber n = 1; n <= kAccounts; ++n) {
    const auto shard = rendezvous_shard(n, 8);
    ++count[shard];
    const auto later = rendezvous_shard(n, 9);
    if (later != shard) {
      EXPECT_EQ(later, 8);
      ++moved;
    }
  }
  for (const auto c : count) EXPECT_NEAR(c, kAccounts / 8, kAccounts / 80);
  EXPECT_NEAR(moved, kAccounts / 9, kAccounts / 90);
}

TEST(LmdbDirectory, TellsWhatIsWrongWithItsFolder) {
  net::WorkerPool workers(1, 10);
  EXPECT_EQ(open_lmdb_directory(workers, {.path = "/proc/nowhere"}).error().fault, Fault::refused);
  EXPECT_EQ(open_lmdb_directory(workers, {.path = "/dev/null/x"}).error().fault, Fault::refused);
}

TEST(LmdbDirectory, AFullMapRefusesWritesAndGoesOnReading) {
  TestDirectory d{{.map_size = 1U << 20U}};
  ASSERT_TRUE(d.run(d->add_domain("example.org")));
  Result<Account> last;
  int made = 0;
  do {
    last = d.run(d->import_account({"user" + std::to_string(made) + "@example.org", "{PLAIN}" + std::string(900, 'x'), 0}));
    if (last) ++made;
  } while (last && made < 10'000);
  ASSERT_FALSE(last);
  EXPECT_EQ(last.error().fault, Fault::temporary);
  EXPECT_EQ(last.error().code, "STORAGE_FULL");
  EXPECT_EQ(d.run(d->resolve("user0@example.org"))->kind, Recipient::Kind::accounts);
  EXPECT_EQ(d.run(d->accounts(""))->size(), static_cast<std::size_t>(made));
  d.options.map_size = 4U << 20U;
  d.reopen();
  EXPECT_TRUE(d.run(d->add_account("late@example.org", "", 0)));
}

}  // namespace
}  // namespace relais::directory
