// ARC: chains there and back, broken ones, and structures that are none.
#include "antispam/arc_sets.h"
#include "antispam/authentication_results.h"
#include "antispam/signing_testing.h"
#include "base/ascii.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::antispam {
namespace {

using testing::Bench;
using testing::edwards_key;
using ::testing::HasSubstr;
using testing::kMessage;
using testing::kNow;
using testing::rsa_key;
using ::testing::StartsWith;

std::string status(const ArcChain& chain) {
  return std::string(to_string(chain.status)) + " " + std::to_string(chain.instances) + (chain.sealable ? "" : " closed");
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

TEST(Arc, NoChain) {
  Bench bench;
  const auto chain = bench.chain(kMessage);
  EXPECT_EQ(status(chain), "none 0");
  EXPECT_EQ(chain.reason, "");
  EXPECT_TRUE(bench.dns.asked.empty());
}

TEST(Arc, ChainsGrowAndStayWhole) {
  Bench bench;
  auto message = Bench::sign(kMessage).value();
  for (unsigned i = 1; i <= 4; ++i) {
    message = "Received: from hop " + std::to_string(i) + "\r\n" + bench.seal(message, i % 2 == 0 ? edwards_key() : rsa_key());
    const auto chain = bench.chain(message);
    EXPECT_EQ(status(chain), "pass " + std::to_string(i)) << chain.reason << "\n" << message;
    EXPECT_EQ(chain.oldest_pass, 0U);
    EXPECT_EQ(chain.domain, "example.org");
    EXPECT_EQ(bench.outcomes(message), "pass pass");
  }
  for (const auto line : split(message, '\n')) EXPECT_LE(line.size(), 81U) << line;
  EXPECT_THAT(message, HasSubstr("ARC-Authentication-Results: i=4; mx.example.org; spf=pass"));
  EXPECT_THAT(message, HasSubstr("ARC-Seal: i=1; a=rsa-sha256; cv=none; d=example.org; s=r1; t=1767225600;"));
  EXPECT_THAT(message, HasSubstr("ARC-Seal: i=2; a=ed25519-sha256; cv=pass; d=example.org; s=e1;"));
}

TEST(Arc, AHandlerMayChangeTheMessage) {
  Bench bench;
  const auto first = bench.seal(kMessage);
  const auto changed = replaced(first, "Subject: Hello", "Subject: [list] Hello") + "footer\r\n";
  EXPECT_EQ(status(bench.chain(changed)), "fail 1");
  // A handler that verified, changed and then sealed keeps the chain; the oldest signature that still fits is its own.
  const std::string_view body[] = {std::string_view(changed).substr(message::header_end(changed))};
  const auto fields = arc_seal(rsa_key(), {std::string_view(changed).substr(0, message::header_end(changed)), body}, bench.chain(first),
                               "list.test; arc=pass", {.now = kNow});
  ASSERT_TRUE(fields);
  const auto chain = bench.chain(*fields + changed);
  EXPECT_EQ(status(chain), "pass 2") << chain.reason;
  EXPECT_EQ(chain.oldest_pass, 2U);
}

TEST(Arc, BrokenChainsAreClosed) {
  Bench bench;
  const auto broken = replaced(bench.seal(bench.seal(kMessage)), "this is it", "that was it");
  const auto chain = bench.chain(broken);
  EXPECT_EQ(status(chain), "fail 2");
  EXPECT_THAT(chain.reason, HasSubstr("instance 2: the body was changed"));
  // RFC 8617 §5.1.2: marked as failed by a set that stands alone, and after that left as it is.
  const auto marked = bench.seal(broken);
  EXPECT_THAT(marked, StartsWith("ARC-Seal: i=3; a=rsa-sha256; cv=fail;"));
  const auto closed = bench.chain(marked);
  EXPECT_EQ(status(closed), "fail 3 closed");
  EXPECT_EQ(closed.reason, "an earlier handler found the chain broken");
  EXPECT_EQ(bench.seal(marked), marked);
}

TEST(Arc, EveryOctetCounts) {
  Bench bench;
  const auto message = bench.seal(bench.seal(Bench::sign(kMessage).value()), edwards_key());
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"From: Ann", "From: Eve"},
      {"Hello  Bob", "Hello  Rob"},
      {"spf=pass", "spf=fail"},
      {"cv=pass", "cv=none"},
      {"cv=none", "cv=pass"},
      {"i=2; a=ed", "i=3; a=ed"},
      {"i=1; a=", "i=2; a="},
      {"d=example.org; s=e1", "d=example.org; s=r1"},
      {"b=", "b=AAAA"},
      {"DKIM-Signature: v=1", "DKIM-Signature: v=2"},
      {"ARC-Seal: i=2;", "ARC-Seal: h=from; i=2;"},
      {"ARC-Seal: i=2;", "ARC-Seal: i=0;"},
      {"ARC-Seal: i=2;", "ARC-Seal: i=51;"},
      {"ARC-Seal: i=2;", "ARC-Seal: i=x;"},
      {"ARC-Seal: i=2;", "X-Seal: i=2;"},
      {"ARC-Message-Signature: i=1", "X: i=1"},
      {"ARC-Authentication-Results: i=1", "X: i=1"},
      {"h=", "h=arc-seal:"},
      {"h=", "l=1; h="},
      {"c=relaxed/relaxed", "c=x"},
      {"t=1767225600", "t=1767225601"},
      {"ARC-Seal: i=2;", "ARC-Authentication-Results: i=2; x\r\nARC-Seal: i=2;"},
      {"ARC-Seal: i=2;", "ARC-Authentication-Results: nothing\r\nARC-Seal: i=2;"},
  };
  EXPECT_EQ(status(bench.chain(message)), "pass 2");
  for (const auto& [from, to] : changes) {
    const auto chain = bench.chain(replaced(message, from, to));
    EXPECT_EQ(chain.status, ArcChain::Status::fail) << from << " " << to;
    EXPECT_FALSE(chain.reason.empty());
    EXPECT_FALSE(chain.temporary);
  }
  // Folding and other fields may change.
  EXPECT_EQ(status(bench.chain("X-New: 1\r\n" + replaced(message, "cv=pass;", "cv=pass;\r\n   \t"))), "pass 2");
}

TEST(Arc, KeysThatCannotBeHad) {
  Bench bench;
  auto unknown = rsa_key();
  unknown.selector = "nowhere";
  auto chain = bench.chain(bench.seal(kMessage, unknown));
  EXPECT_EQ(chain.status, ArcChain::Status::fail);
  EXPECT_FALSE(chain.temporary);
  EXPECT_THAT(chain.reason, HasSubstr("there is no key at the selector"));
  unknown.selector = "unreachable";
  bench.dns.fail("unreachable._domainkey.example.org");
  chain = bench.chain(bench.seal(kMessage, unknown));
  EXPECT_EQ(chain.status, ArcChain::Status::fail);
  EXPECT_TRUE(chain.temporary);
}

TEST(Arc, FiftySetsAreTheMost) {
  Bench bench;
  std::string message(kMessage);
  for (int i = 0; i < 50; ++i) message = bench.seal(message, edwards_key());
  EXPECT_EQ(status(bench.chain(message)), "pass 50 closed");
  EXPECT_EQ(bench.seal(message, edwards_key()), message);
  const auto more = "ARC-Seal: i=51; a=rsa-sha256; cv=pass; d=a.b; s=c; b=AAAA\r\n" + message;
  EXPECT_EQ(bench.chain(more).status, ArcChain::Status::fail);
}

TEST(Arc, SealsNeedSomethingToSeal) {
  Bench bench;
  EXPECT_THAT(bench.seal("To: a@b.test\r\n\r\n"), StartsWith("error: a message without From"));
  auto broken = rsa_key();
  broken.private_key = "x";
  EXPECT_THAT(bench.seal(kMessage, broken), StartsWith("error: "));
  // A chain of another message.
  const std::string_view none[] = {""};
  EXPECT_FALSE(arc_seal(rsa_key(), {"From: a@b.test\r\n", none}, bench.chain(bench.seal(kMessage)), "x; none", {.now = kNow}));
  // Results come from what others sent: they stay one field.
  const auto sealed = bench.seal(kMessage, rsa_key(), "mx.test; dkim=fail reason=\"a\r\nBcc: x\"");
  EXPECT_EQ(status(bench.chain(sealed)), "pass 1");
  EXPECT_EQ(sealed.find("\nBcc"), std::string::npos);
}

TEST(Arc, InstanceOfResults) {
  EXPECT_EQ(results_instance("i=1; x"), 1U);
  EXPECT_EQ(results_instance(" (a) i (b) = (c) 50 (d) ;"), 50U);
  for (const auto* bad : {"", "i", "i=", "i=1", "i=0; x", "i=51; x", "i=100; x", "i=x; x", "I=1; x", "x; i=1; y", "i=-1;"})
    EXPECT_FALSE(results_instance(bad)) << bad;
}

TEST(AuthenticationResults, SaysWhatWasFound) {
  DkimResult good{.outcome = DkimResult::Outcome::pass,
                  .domain = "example.net",
                  .selector = "s1",
                  .identity = "@example.net",
                  .algorithm = "rsa-sha256",
                  .signature = "AbC+/=12"};
  DkimResult bad{.outcome = DkimResult::Outcome::fail, .domain = "x y\r\n;\"", .reason = "the body was changed"};
  const std::vector<DkimResult> both{good, bad};
  const std::vector<std::string> extra{"spf=pass smtp.mailfrom=a@b.test", ""};
  EXPECT_EQ(authentication_results("mx.test", both, {.status = ArcChain::Status::pass, .instances = 2, .oldest_pass = 1}, extra),
            "mx.test; spf=pass smtp.mailfrom=a@b.test; dkim=pass header.d=example.net header.i=@example.net header.s=s1 "
            "header.a=rsa-sha256 header.b=\"AbC+/=12\"; "
            "dkim=fail reason=\"the body was changed\" header.d=\"x y  ;\\\"\"; arc=pass header.oldest-pass=1");
  EXPECT_EQ(authentication_results("mx.test", {}, {}), "mx.test; dkim=none; arc=none");
}

}  // namespace
}  // namespace relais::antispam
