// Logins of accounts that live on a legacy platform, and what becomes of the session: both sides speak from a script, over sockets.
#include "imap/relay/relay.h"

#include "imap/server/relay_testing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace relais::imap {
namespace {

using testing::Front;
using ::testing::HasSubstr;
using testing::Platform;
using testing::with_login;

using testing::kGreeting;
using testing::kLoggedIn;

TEST(RelayedLogin, TheSessionGoesOnAtThePlatform) {
  const Platform platform(with_login({"C: b NOOP", "S: * 3 EXISTS", "S: b OK done", "C: c LOGOUT", "S: * BYE", "S: c OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a LOGIN carol@example.org theirs\r\nb NOOP\r\nc LOGOUT\r\n"),
            std::string(kGreeting) + kLoggedIn + "* 3 EXISTS\r\nb OK done\r\n* BYE\r\nc OK\r\n");
  EXPECT_EQ(front.capabilities.common(), kIdle);
}

TEST(RelayedLogin, SaslPlainIsTheSame) {
  const Platform platform(with_login({"C: b LOGOUT", "S: * BYE", "S: b OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a AUTHENTICATE PLAIN AGNhcm9sAHRoZWlycw==\r\nb LOGOUT\r\n"),
            std::string(kGreeting) + kLoggedIn + "* BYE\r\nb OK\r\n");
}

class OnePassword final : public directory::LegacyCheck {
 public:
  net::Task<void> check(directory::LegacyAttempt attempt) override {
    ++asked;
    if (attempt.password == "theirs") co_return Result<void>{};
    co_return fail(Fault::refused, "no", "AUTHENTICATIONFAILED");
  }
  std::atomic<int> asked{0};
};

TEST(MovedLogin, APasswordThatOnlyThePlatformKnewIsAskedForOnce) {
  const Platform nobody({"CLOSE"});
  OnePassword old;
  directory::AskLimits limits;
  directory::VerifiedCache accepted(0, std::chrono::seconds(0), system_clock());
  Front front(nobody.port(), [&](Front& made) {
    made.parts.emplace(directory::LegacyLoginParts{*made.directory, *made.directory, made.gate, old, limits, accepted});
    return &*made.parts;
  });
  ASSERT_TRUE(front.directory.place("carol@example.org", directory::Placement{}));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org guess\r\nb LOGOUT\r\n"), HasSubstr("a NO [AUTHENTICATIONFAILED]"));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\nb LOGOUT\r\n"), HasSubstr("a OK "));
  directory::wait_for_upgrades(*front.directory);
  EXPECT_EQ(old.asked, 2);
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\nb LOGOUT\r\n"), HasSubstr("a OK "));
  EXPECT_EQ(old.asked, 2) << "it is known here now";
}

TEST(RelayedLogin, AWrongPasswordIsThePlatformsToRefuse) {
  const Platform platform({"S: * OK [CAPABILITY IMAP4rev1] old", "C: r1 LOGIN \"carol@example.org\" \"wrong\"",
                           "S: r1 NO [AUTHENTICATIONFAILED] its own words"});
  Front front(platform.port());
  const auto heard = front.talk("a LOGIN carol@example.org wrong\r\n", "\r\na ");
  EXPECT_THAT(heard, HasSubstr("a NO [AUTHENTICATIONFAILED] authentication failed\r\n"));
}

TEST(RelayedLogin, APlatformThatIsAwayIsATemporaryFailure) {
  for (const auto& script : std::vector<std::vector<std::string>>{
           {"S: * BYE too many of you", "CLOSE"},
           {"CLOSE"},
           {"S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] old",
            "C: r1 AUTHENTICATE PLAIN AGNhcm9sQGV4YW1wbGUub3JnAHRoZWlycw==", "S: r1 NO [UNAVAILABLE] later"},
       }) {
    const Platform platform(script);
    Front front(platform.port());
    EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\n", "\r\na "), HasSubstr("a NO [UNAVAILABLE] "));
  }
}

TEST(RelayedLogin, AnAccountThatIsMovingIsATemporaryFailure) {
  const Platform platform({"CLOSE"});
  Front front(platform.port());
  ASSERT_TRUE(front.directory.place("carol@example.org", {.kind = directory::Placement::Kind::moving, .legacy = "old"}));
  EXPECT_THAT(front.talk("a LOGIN carol@example.org theirs\r\n", "\r\na "), HasSubstr("a NO [UNAVAILABLE] "));
}

TEST(RelayedLogin, WhoLivesHereIsServedHere) {
  const Platform platform({"CLOSE"});
  Front front(platform.port());
  ASSERT_TRUE(front.directory.run(front.directory->add_account("alice@example.org", "secret", 0)));
  const auto heard = front.talk("a LOGIN alice secret\r\nb LOGOUT\r\n");
  EXPECT_THAT(heard, HasSubstr("a OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ENABLE ID IDLE NAMESPACE"));
  EXPECT_THAT(heard, HasSubstr("b OK"));
}

TEST(RelayedSession, WhatMustNotPassIsAnsweredInItsPlace) {
  const Platform platform(
      with_login({"C: b CAPABILITY", "S: * CAPABILITY IMAP4rev1 STARTTLS COMPRESS=DEFLATE", "S: b OK", "C: e LOGOUT", "S: e OK", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(
      front.talk("a LOGIN carol theirs\r\nb CAPABILITY\r\nc COMPRESS DEFLATE\r\nd LOGIN x {1}\r\ne LOGOUT\r\n"),
      std::string(kGreeting) + kLoggedIn +
          "* CAPABILITY IMAP4rev1 SORT IDLE\r\nb OK\r\nc NO [CANNOT] COMPRESS is not available\r\nd BAD this command is not allowed now\r\n"
          "e OK\r\n* BYE [UNAVAILABLE] the mail server has closed the connection\r\n");
}

TEST(RelayedSession, ALiteralWaitsForThePlatform) {
  const Platform platform(with_login({"C: b APPEND x {5}", "S: + go", "C: b OK ", "S: b OK appended", "C: c NOOP", "S: * BYE", "CLOSE"}));
  Front front(platform.port());
  EXPECT_THAT(front.talk("a LOGIN carol theirs\r\nb APPEND x {5}\r\nb OK \r\nc NOOP\r\n"),
              ::testing::EndsWith("+ go\r\nb OK appended\r\n* BYE\r\n"));
}

TEST(RelayedSession, APlatformThatGoesAwayIsSaid) {
  const Platform platform(with_login({"S: * 1 EXISTS", "CLOSE"}));
  Front front(platform.port());
  EXPECT_EQ(front.talk("a LOGIN carol theirs\r\n"),
            std::string(kGreeting) + kLoggedIn + "* 1 EXISTS\r\n* BYE [UNAVAILABLE] the mail server has closed the connection\r\n");
}

TEST(RelayedSession, OurOwnEndWaitsForTheReplies) {
  const Platform platform(with_login({"C: b IDLE", "S: + idling"}));
  Front front(platform.port());
  const auto stop = [&] { front.frontend->loops.at(0).post([&] { front.frontend->loops.at(0).begin_shutdown(); }); };
  EXPECT_THAT(front.talk("a LOGIN carol theirs\r\nb IDLE\r\n", "+ idling\r\n", stop),
              ::testing::EndsWith("+ idling\r\n* BYE [UNAVAILABLE] shutting down\r\n"));
}

TEST(PlatformCapabilities, AreThoseThatAllHave) {
  PlatformCapabilities all;
  EXPECT_EQ(all.common(), kAllEarly);
  all.set_platforms({"a", "b"});
  EXPECT_EQ(all.common(), 0);
  all.learned("a", {"IMAP4rev1", "idle", "ENABLE", "ID"});
  EXPECT_EQ(all.common(), 0);
  all.learned("b", {"IMAP4REV2", "IDLE", "ID", "LITERAL+"});
  EXPECT_EQ(all.common(), kIdle | kId);
  all.learned("c", {});
  all.set_platforms({"a"});
  EXPECT_EQ(all.common(), kIdle | kId | kEnable);
  all.set_platforms({});
  EXPECT_EQ(all.common(), kAllEarly);
}

}  // namespace
}  // namespace relais::imap
