// The delivery agent: everybody or nobody, once, through faults and crashes at every step.
#include "smtp/server/delivery.h"

#include "base/metrics.h"
#include "smtp/server/test_support.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::smtp {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;
using testing::TestPlatform;

constexpr std::string_view kText = "From: a@example.test\r\nSubject: hello\r\n\r\nbody\r\n";

struct Bench {
  explicit Bench(int accounts, DeliveryOptions options = {}) : platform(std::move(options)) {
    for (int i = 0; i < accounts; ++i) {
      const auto address = "user" + std::to_string(i) + "@example.test";
      refs.push_back(platform.add(address));
      envelope.targets.push_back({refs.back(), address, "alias+" + std::to_string(i) + "@example.test"});
    }
    envelope.id = "abc-1";
    envelope.sender = "sender@elsewhere.test";
    envelope.trace = "Received: by mx.example.test\r\n";
  }
  Result<void> deliver() { return platform.run(platform.delivery->deliver(envelope, platform.prepared(kText))); }
  std::vector<std::size_t> counts() {
    std::vector<std::size_t> out;
    for (const auto ref : refs) out.push_back(platform.count(ref));
    return out;
  }
  std::size_t deferred(std::string_view mailbox = kDeferredMailbox) {
    return platform.count(deferred_account(0), std::string(mailbox)) + platform.count(deferred_account(1), std::string(mailbox));
  }
  /// Whether the delivery id is forgotten: an append with it takes effect again. Changes the mailbox.
  bool forgotten(std::size_t i) {
    std::vector<storage::AppendMessage> messages(1);
    messages.front().message = platform.prepared(kText);
    const auto before = platform.count(refs[i]);
    EXPECT_TRUE(platform.run(platform.shards.append(refs[i], "INBOX", std::move(messages), true, envelope.id)));
    return platform.count(refs[i]) == before + 1;
  }

  TestPlatform platform;
  std::vector<storage::AccountRef> refs;
  Envelope envelope;
};

std::vector<std::size_t> all(std::size_t accounts, std::size_t each) { return std::vector<std::size_t>(accounts, each); }

TEST(Delivery, OneAccountDirectly) {
  Bench setup(1);
  ASSERT_TRUE(setup.deliver());
  EXPECT_EQ(setup.platform.messages(setup.refs[0]),
            std::vector<std::string>{
                "Return-Path: <sender@elsewhere.test>\r\nDelivered-To: alias+0@example.test\r\nReceived: by mx.example.test\r\n" +
                std::string(kText)});
  EXPECT_EQ(setup.deferred(), 0U);
  EXPECT_EQ(setup.platform.delivery->pending(), 0U);
}

TEST(Delivery, SeveralAccountsThroughAnIntent) {
  Bench setup(5);
  ASSERT_TRUE(setup.deliver());
  EXPECT_EQ(setup.counts(), all(5, 1));
  EXPECT_EQ(setup.platform.messages(setup.refs[3])[0],
            "Return-Path: <sender@elsewhere.test>\r\nDelivered-To: alias+3@example.test\r\n"
            "Received: by mx.example.test\r\n" +
                std::string(kText));
  EXPECT_EQ(setup.deferred(), 1U) << "cleared later, with others";
  setup.platform.settle();
  EXPECT_EQ(setup.deferred(), 0U);
  for (std::size_t i = 0; i < 5; ++i) EXPECT_TRUE(setup.forgotten(i));
}

TEST(Delivery, OneAccountsErrorIsTheAnswer) {
  Bench setup(1);
  setup.platform.store.fail_once_at(0, {Fault::refused, "OVERQUOTA", "full", ""});
  const auto done = setup.deliver();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, "OVERQUOTA");
  EXPECT_EQ(setup.counts(), all(1, 0));
}

TEST(Delivery, WithoutAnIntentNobodyGetsIt) {
  Bench setup(3);
  setup.platform.store.fail_once_at(0, {Fault::temporary, "STORAGE_FULL", "full", ""});
  EXPECT_FALSE(setup.deliver());
  setup.platform.settle();
  EXPECT_EQ(setup.counts(), all(3, 0));
}

TEST(Delivery, OneFailedAppendIsRetried) {
  for (std::uint64_t n = 1; n <= 4; ++n) {
    SCOPED_TRACE(n);
    Bench setup(4);
    setup.platform.store.fail_once_at(n, {Fault::temporary, "STORAGE_FULL", "full", ""});
    ASSERT_TRUE(setup.deliver()) << "accepted: it will be retried";
    EXPECT_EQ(setup.platform.delivery->pending(), 1U);
    setup.platform.settle();
    EXPECT_EQ(setup.counts(), all(4, 1));
    EXPECT_EQ(setup.deferred(), 0U);
  }
}

// Killed at each modifying call of the store, with and without that call's effect, in the delivery or in the clearing; then killed again at
// each call of the recovery.
TEST(Delivery, ExactlyOnceThroughTwoCrashes) {
  constexpr std::size_t kAccounts = 3;
  std::uint64_t longest = 0;
  {
    Bench setup(kAccounts);
    const auto before = setup.platform.store.calls();
    ASSERT_TRUE(setup.deliver());
    setup.platform.settle();
    longest = setup.platform.store.calls() - before;
  }
  ASSERT_GE(longest, 1 + kAccounts + 1 + kAccounts + 1);
  for (std::uint64_t first = 0; first < longest; ++first) {
    for (const bool kept : {false, true}) {
      for (std::uint64_t second = 0; second <= longest; ++second) {
        SCOPED_TRACE(std::to_string(first) + (kept ? " kept, then " : " lost, then ") + std::to_string(second));
        Bench setup(kAccounts);
        auto& store = setup.platform.store;
        store.die_at(first, kept);
        const bool accepted = setup.deliver().has_value();
        if (accepted) setup.platform.settle(1);
        store.revive();
        store.die_at(second, kept);
        setup.platform.restart();
        setup.platform.settle(1);
        store.revive();
        setup.platform.restart();
        setup.platform.settle();
        const auto counts = setup.counts();
        if (accepted) {
          ASSERT_EQ(counts, all(kAccounts, 1));
        } else {
          ASSERT_TRUE(counts == all(kAccounts, 0) || counts == all(kAccounts, 1)) << "half delivered";
        }
        ASSERT_EQ(setup.deferred(), 0U);
        ASSERT_EQ(setup.platform.delivery->pending(), 0U);
        if (counts == all(kAccounts, 1)) {
          for (std::size_t i = 0; i < kAccounts; ++i) ASSERT_TRUE(setup.forgotten(i));
        }
      }
    }
  }
}

// A refusal that time does not heal: the account is removed between the reply and the retry.
TEST(Delivery, RemovedAccountBouncesToALocalSender) {
  Bench setup(2);
  const auto author = setup.platform.add("author@example.test");
  setup.envelope.sender = "author@example.test";
  setup.platform.store.fail_once_at(2, {Fault::temporary, "", "later", ""});
  ASSERT_TRUE(setup.deliver());
  const bool first = setup.counts()[0] == 0;
  ASSERT_TRUE(setup.platform.run(setup.platform.names->remove_account(first ? "user0@example.test" : "user1@example.test")));
  // The bounce is sent once, although the process dies right after it.
  setup.platform.store.die_at(0, true);
  setup.platform.settle(1);
  setup.platform.store.revive();
  setup.platform.restart();
  setup.platform.settle();
  const auto bounces = setup.platform.messages(author);
  ASSERT_EQ(bounces.size(), 1U);
  EXPECT_THAT(bounces[0], StartsWith("Return-Path: <>\r\n"));
  EXPECT_THAT(bounces[0], HasSubstr(std::string("Final-Recipient: rfc822; alias+") + (first ? "0" : "1") +
                                    "@example.test\r\nAction: failed\r\nStatus: 5.1.1\r\n"));
  EXPECT_THAT(bounces[0], HasSubstr("Subject: hello\r\n"));
  EXPECT_EQ(setup.deferred(), 0U);
  EXPECT_EQ(setup.deferred(kHeldMailbox), 0U);
}

TEST(Delivery, NobodyToTellKeepsTheMessage) {
  for (const auto* sender : {"", "someone@elsewhere.test"}) {
    SCOPED_TRACE(sender);
    Bench setup(2);
    setup.envelope.sender = sender;
    setup.platform.store.fail_once_at(2, {Fault::temporary, "", "later", ""});
    ASSERT_TRUE(setup.deliver());
    ASSERT_TRUE(
        setup.platform.run(setup.platform.names->remove_account(setup.counts()[0] == 0 ? "user0@example.test" : "user1@example.test")));
    setup.platform.settle();
    EXPECT_EQ(setup.deferred(), 0U);
    EXPECT_EQ(setup.deferred(kHeldMailbox), 1U);
    setup.platform.restart();
    EXPECT_EQ(setup.platform.delivery->pending(), 0U) << "held mail is not tried again";
    EXPECT_EQ(metrics::gauge("relais_smtp_held_messages", "").value(), 1) << "and seen after a restart too";
  }
}

TEST(Delivery, OverQuotaBouncesAfterFiveDays) {
  Bench setup(2);
  const auto author = setup.platform.add("author@example.test");
  setup.envelope.sender = "author@example.test";
  const auto full = setup.refs[1];
  setup.platform.store.refuse([full](storage::AccountRef account) {
    return account.account == full.account ? std::optional<Error>(Error{Fault::refused, "OVERQUOTA", "mailbox full", ""}) : std::nullopt;
  });
  ASSERT_TRUE(setup.deliver());
  for (int hour = 0; hour < 5 * 24; ++hour) {
    setup.platform.clock.advance(std::chrono::hours(1));
    (void)setup.platform.run(setup.platform.delivery->work());
  }
  EXPECT_EQ(setup.platform.count(author), 0U) << "five days are not over";
  setup.platform.settle();
  EXPECT_EQ(setup.counts(), (std::vector<std::size_t>{1, 0}));
  ASSERT_EQ(setup.platform.count(author), 1U);
  EXPECT_THAT(setup.platform.messages(author)[0], HasSubstr("Status: 5.2.2\r\n"));
}

TEST(Delivery, FullAccountGetsItWhenThereIsRoom) {
  Bench setup(2);
  bool full = true;
  const auto ref = setup.refs[0];
  setup.platform.store.refuse([&full, ref](storage::AccountRef account) {
    return full && account.account == ref.account ? std::optional<Error>(Error{Fault::refused, "OVERQUOTA", "mailbox full", ""})
                                                  : std::nullopt;
  });
  ASSERT_TRUE(setup.deliver());
  setup.platform.settle(3);
  full = false;
  setup.platform.settle();
  EXPECT_EQ(setup.counts(), all(2, 1));
}

TEST(Intent, RoundTrip) {
  Intent intent{"id-1", "a@b.test", 1'700'000'000, "Received: x\r\n y\r\nDate: z\r\n", {}};
  for (std::uint64_t i = 0; i < 1'000; ++i) intent.targets.push_back({i, "user" + std::to_string(i), "r\xC3\xBC" + std::to_string(i)});
  const auto text = encode_intent(intent) + std::string(kText);
  for (std::size_t at = 0, line = 0; at < text.size(); ++at) {
    line = text[at] == '\n' ? 0 : line + 1;
    ASSERT_LE(line, 998U);
  }
  const auto back = decode_intent(text);
  ASSERT_TRUE(back) << back.error().detail;
  EXPECT_TRUE(back->intent == intent);
  EXPECT_EQ(text.substr(back->message_offset), kText);
  for (std::size_t cut = 0; cut < 200; ++cut) EXPECT_FALSE(decode_intent(text.substr(0, cut)));
}

// docs/format.md: the header block of one intent, octet for octet.
TEST(Intent, Golden) {
  EXPECT_EQ(encode_intent({"k3-1", "a@b.test", 1'767'225'600, "Received: x\r\n", {{7, "u@b.test", "u+t@b.test"}}}),
            "X-Relais-Intent: AQRrMy0xCGFAYi50ZXN0AAAAAGlVuQANAQAAAAAAAAAHCHVAYi50ZXN0CnUrdEBiLnRlc3Q=\r\nReceived: x\r\n");
}

}  // namespace
}  // namespace relais::smtp
