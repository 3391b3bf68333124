// DKIM: tag lists, canonical forms, keys, signatures there and back, and what strangers may send.
#include "antispam/dkim_canonical.h"
#include "antispam/dkim_crypto.h"
#include "antispam/dkim_tags.h"
#include "antispam/signing_testing.h"
#include "base/ascii.h"
#include "base/encode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace relais::antispam {
namespace {

using testing::Bench;
using testing::edwards_key;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kMessage;
using testing::kNow;
using ::testing::MatchesRegex;
using ::testing::Not;
using testing::rsa_key;
using ::testing::StartsWith;

// RFC 8463 appendix A.3, as printed there.
constexpr std::string_view kRfc8463 =
    "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n q=dns/txt; "
    "s=brisbane; t=1528637909; h=from : to :\r\n"
    " subject : date : message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n "
    "b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
    " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n q=dns/txt; s=test; "
    "t=1528637909; h=from : to : subject :\r\n"
    " date : message-id : from : subject : date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n "
    "b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, "
    "11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n";

// RFC 6376 appendix A.2. Its c=simple needs the octets as they were: folds of six spaces, one space after "game.".
constexpr std::string_view kRfc6376 =
    "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
    "      h=Received : From : To : Subject : Date : Message-ID;\r\n      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
    "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
    "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n      4bmp/YzhwvcubU4=;\r\n"
    "Received: from client1.football.example.com  [192.0.2.1]\r\n      by submitserver.example.com with SUBMISSION;\r\n      Fri, 11 Jul "
    "2003 21:01:54 -0700 (PDT)\r\n"
    "From: Joe SixPack <joe@football.example.com>\r\nTo: Suzie Q <suzie@shopping.example.net>\r\nSubject: Is dinner ready?\r\nDate: Fri, "
    "11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
    "Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\r\nHi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n";

TEST(DkimTags, ListsAreTakenApart) {
  const auto tags = TagList::parse(" v=1; a = rsa-sha256 ;\r\n b=ab\r\n cd;d=;x_1=\xC3\xBC");
  ASSERT_TRUE(tags);
  EXPECT_EQ(tags->get("v"), "1");
  EXPECT_EQ(tags->get("a"), "rsa-sha256");
  EXPECT_EQ(without_space(tags->get("b")), "abcd");
  EXPECT_EQ(tags->find("d"), "");
  EXPECT_FALSE(tags->find("V"));
  EXPECT_TRUE(TagList::parse("a=1;"));
  EXPECT_TRUE(TagList::parse("a=1 ;\r\n "));
  for (const auto* bad : {"", ";", "a", "a=1;;b=2", "=1", "1a=2", "a b=c", "a=1; a=2", "a=1;b", "a=\x01", "a-b=1"})
    EXPECT_FALSE(TagList::parse(bad)) << bad;
  std::string many;
  for (int i = 0; i < 61; ++i) many += "t" + std::to_string(i) + "=1;";
  EXPECT_FALSE(TagList::parse(many));
}

TEST(DkimTags, TheSignatureIsCutOut) {
  EXPECT_EQ(without_signature("D: a=1; b=xyz\r\n\tabc; c=2\r\n"), "D: a=1; b=; c=2\r\n");
  EXPECT_EQ(without_signature("D: b = x"), "D: b =");
  EXPECT_EQ(without_signature("D: bh=x; bb=y;b=z;"), "D: bh=x; bb=y;b=;");
  EXPECT_EQ(without_signature("D"), "D");
}

// RFC 6376 §3.4.5
TEST(DkimCanonical, ExamplesOfTheStandard) {
  std::string relaxed;
  append_canonical_field(relaxed, Canonical::relaxed, "A: X\r\n");
  append_canonical_field(relaxed, Canonical::relaxed, "B : Y\t\r\n\tZ  \r\n");
  EXPECT_EQ(relaxed, "a:X\r\nb:Y Z\r\n");
  std::string simple;
  append_canonical_field(simple, Canonical::simple, "B : Y\t\r\n\tZ  \r\n");
  EXPECT_EQ(simple, "B : Y\t\r\n\tZ  \r\n");
  const auto hash = [](Canonical form, std::string_view body) {
    const std::string_view pieces[] = {body};
    return to_base64(body_hash(form, pieces));
  };
  const auto sha = [](std::string_view text) {
    Sha256 digest;
    digest.update(text);
    return to_base64(digest.finish());
  };
  constexpr std::string_view body = " C \r\nD \t E\r\n\r\n\r\n";
  EXPECT_EQ(hash(Canonical::relaxed, body), sha(" C\r\nD E\r\n"));
  EXPECT_EQ(hash(Canonical::simple, body), sha(" C \r\nD \t E\r\n"));
  // §3.4.3 and §3.4.4: the hashes of an empty body
  EXPECT_EQ(hash(Canonical::simple, ""), "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=");
  EXPECT_EQ(hash(Canonical::relaxed, ""), "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=");
  EXPECT_EQ(hash(Canonical::relaxed, "\r\n \t\r\n\r\n"), hash(Canonical::relaxed, ""));
  EXPECT_EQ(hash(Canonical::simple, "\r\n\r\n"), hash(Canonical::simple, ""));
  EXPECT_EQ(hash(Canonical::relaxed, "a"), sha("a\r\n"));
  EXPECT_EQ(hash(Canonical::simple, "a"), sha("a\r\n"));
  EXPECT_EQ(hash(Canonical::relaxed, "a\rb\nc \r"), sha("a\rb\nc \r\r\n"));
}

TEST(DkimCanonical, CutsDoNotMatter) {
  constexpr std::string_view body = "a \t b\r\n\r\n\r\n \r\nc\r\r\n\rd\ne  \r\n\r\n";
  for (const auto form : {Canonical::simple, Canonical::relaxed}) {
    const std::string_view whole[] = {body};
    const auto expected = body_hash(form, whole);
    for (std::size_t first = 0; first <= body.size(); ++first) {
      for (std::size_t second = first; second <= body.size(); ++second) {
        const std::string_view pieces[] = {body.substr(0, first), body.substr(first, second - first), body.substr(second)};
        ASSERT_EQ(body_hash(form, pieces), expected) << first << " " << second;
      }
    }
  }
}

TEST(DkimCanonical, LimitsCountCanonicalOctets) {
  BodyHash limited(Canonical::relaxed, 4);
  limited.update("a  b  cdefg\r\n");
  Sha256 sha;
  sha.update("a b ");
  EXPECT_EQ(limited.finish(), sha.finish());
  EXPECT_EQ(limited.size(), 11U);
}

// RFC 6376 §5.4.2: from the bottom up
TEST(DkimCanonical, FieldsArePickedFromBelow) {
  const HeaderFields fields("A: 1\r\nB: 2\r\na: 3\r\nnone\r\nA : 4\r\n\r\nA: 5\r\n");
  const std::string_view names[] = {"A", "a", "C", "b", "B", "A", "A"};
  std::string picked;
  for (const auto* field : fields.select(names)) picked += trim(field->value);
  EXPECT_EQ(picked, "4321");
  EXPECT_EQ(fields.count("A"), 3U);
  EXPECT_THAT(names_to_sign(HeaderFields("X: 1\r\nFrom: a\r\nSender: b\r\nSUBJECT: c\r\n")),
              ElementsAre("from", "sender", "subject", "cc", "content-transfer-encoding", "content-type", "date", "from", "in-reply-to",
                          "message-id", "mime-version", "references", "reply-to", "subject", "to"));
}

TEST(DkimKeys, RecordsAreCutForTheDns) {
  const auto record = dkim_record(rsa_key()).value();
  EXPECT_EQ(record.name, "r1._domainkey.example.org");
  EXPECT_THAT(record.value, MatchesRegex("v=DKIM1; k=rsa; h=sha256; p=MIIBIjANBg[A-Za-z0-9+/]+=*"));
  ASSERT_EQ(record.strings.size(), 2U);
  EXPECT_EQ(record.strings[0].size(), 255U);
  EXPECT_EQ(record.strings[0] + record.strings[1], record.value);
  EXPECT_EQ(record.zone_line, "r1._domainkey.example.org. IN TXT ( \"" + record.strings[0] + "\" \"" + record.strings[1] + "\" )");
  const auto small = dkim_record(edwards_key()).value();
  EXPECT_THAT(small.value, MatchesRegex("v=DKIM1; k=ed25519; p=[A-Za-z0-9+/]{43}="));
  EXPECT_EQ(small.strings.size(), 1U);
  EXPECT_EQ(parse_key_record(record.value)->bits, 2'048U);
  EXPECT_EQ(parse_key_record(small.value)->bits, 256U);
  EXPECT_EQ(default_selector(DkimKey::Algorithm::rsa_sha256, kNow), "r20260101");
  EXPECT_EQ(default_selector(DkimKey::Algorithm::ed25519_sha256, kNow + 86'400 * 31), "e20260201");
  EXPECT_EQ(make_dkim_key("a b", "x", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::active, 0).error().fault, Fault::syntax);
  EXPECT_EQ(make_dkim_key("a.b", "x y", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::active, 0).error().fault, Fault::syntax);
  EXPECT_EQ(make_dkim_key("b\xC3\xBC"
                          "cher.example",
                          "S.1", DkimKey::Algorithm::ed25519_sha256, DkimKey::State::pending, 0)
                ->domain,
            "xn--bcher-kva.example");
  auto odd = rsa_key();
  odd.algorithm = DkimKey::Algorithm::ed25519_sha256;
  EXPECT_EQ(dkim_record(odd).error().fault, Fault::corrupt);
  odd.private_key = "none";
  EXPECT_EQ(dkim_record(odd).error().fault, Fault::corrupt);
}

TEST(DkimKeys, RecordsThatCannotBeUsed) {
  const auto p = dkim_record(edwards_key())->value.substr(22);
  EXPECT_TRUE(parse_key_record("k=ed25519;p=" + p));
  EXPECT_TRUE(parse_key_record("v=DKIM1; k=ed25519; s=other:email; h=sha1:sha256; t=y:s; n=x; p=" + p)->strict_identity);
  EXPECT_TRUE(parse_key_record("v=DKIM1; k=ed25519; s=*; t=y; p=" + p)->testing);
  for (const auto& record : {std::string("v=spf1 -all"), "v=DKIM2; k=ed25519; p=" + p, "k=ed25519; h=sha1; p=" + p,
                             "k=ed25519; s=web; p=" + p, std::string("v=DKIM1; p="), "k=dsa; p=" + p, "k=rsa; p=" + p,
                             std::string("k=ed25519; p=AAAA"), std::string("k=ed25519; p=!"), std::string("p=MIIB")}) {
    const auto key = parse_key_record(record);
    ASSERT_FALSE(key) << record;
    EXPECT_EQ(key.error().fault, Fault::refused);
  }
}

TEST(Dkim, ExampleOfRfc8463) {
  Bench bench;
  bench.dns.add("brisbane._domainkey.football.example.com", "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
  bench.dns.add(
      "test._domainkey.football.example.com",
      "v=DKIM1; k=rsa; "
      "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/"
      "e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB");
  const auto results = bench.verify(kRfc8463);
  ASSERT_EQ(results.size(), 2U);
  EXPECT_EQ(results[0].outcome, DkimResult::Outcome::pass) << results[0].reason;
  EXPECT_EQ(results[1].outcome, DkimResult::Outcome::pass) << results[1].reason;
  EXPECT_EQ(results[0].domain, "football.example.com");
  EXPECT_EQ(results[0].selector, "brisbane");
  EXPECT_EQ(results[0].identity, "@football.example.com");
  EXPECT_EQ(results[0].algorithm, "ed25519-sha256");
  EXPECT_EQ(results[0].signature, "/gCrinpc");
  EXPECT_EQ(results[0].key_bits, 256U);
  EXPECT_EQ(results[1].key_bits, 1'024U);
}

TEST(Dkim, ExampleOfRfc6376) {
  Bench bench;
  bench.dns.add(
      "brisbane._domainkey.example.com",
      "v=DKIM1; "
      "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/"
      "RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB");
  EXPECT_EQ(bench.outcomes(kRfc6376), "pass");
  std::string changed(kRfc6376);
  changed.replace(changed.find("  [192"), 2, " ");  // c=simple
  EXPECT_EQ(bench.outcomes(changed), "fail");
}

TEST(Dkim, OursAreGood) {
  Bench bench;
  const auto message = Bench::sign(kMessage).value();
  EXPECT_THAT(message, StartsWith("DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;"));
  for (const auto line : split(std::string_view(message).substr(0, message.find("Received:")), '\n')) EXPECT_LE(line.size(), 80U) << line;
  const auto header = message.substr(0, message.find("Received:"));
  EXPECT_THAT(header, Not(HasSubstr("l=")));
  EXPECT_THAT(header, HasSubstr("t=1767225600"));
  const auto results = bench.verify(message);
  ASSERT_EQ(results.size(), 2U);
  for (const auto& result : results) EXPECT_EQ(result.outcome, DkimResult::Outcome::pass) << result.reason;
  EXPECT_EQ(results[0].algorithm, "rsa-sha256");
  EXPECT_EQ(results[0].key_bits, 2'048U);
  EXPECT_EQ(results[1].algorithm, "ed25519-sha256");
  EXPECT_THAT(bench.dns.asked, ElementsAre("r1._domainkey.example.org", "e1._domainkey.example.org"));
  // What relays do to messages.
  EXPECT_EQ(bench.outcomes("Received: from x\r\nX-Spam: no\r\n" + message), "pass pass");
  EXPECT_EQ(bench.outcomes(message + "\r\n\r\n"), "pass pass");
}

TEST(Dkim, ChangesAreFound) {
  Bench bench;
  const auto message = Bench::sign(kMessage).value();
  const std::pair<std::string_view, std::string_view> changes[] = {
      {"Hello  Bob", "Hello  Rob"},
      {"Subject: Hello", "Subject: Hallo"},
      {"From: Ann", "From: Eve"},
      {"\r\n\r\nHello", "\r\nReply-To: eve@x.test\r\n\r\nHello"},
      {"To: bob", "From: eve@x.test\r\nTo: bob"},
      {"this is it", "this is it<br>and more"},
      {"Date: Thu", "Date: Fri"},
      {"Message-ID: <m1", "Message-ID: <m2"},
      {"\r\n\r\nHello", "\r\nContent-Type: text/html\r\n\r\nHello"},
  };
  for (const auto& [from, to] : changes) {
    auto changed = message;
    const auto at = changed.rfind(from);
    ASSERT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    EXPECT_EQ(bench.outcomes(changed), "fail fail") << to;
  }
  EXPECT_EQ(bench.verify(message + "more\r\n")[0].reason, "the body was changed");
}

TEST(Dkim, StatesOfKeys) {
  auto retired = rsa_key();
  retired.state = DkimKey::State::retired;
  auto pending = edwards_key();
  pending.state = DkimKey::State::pending;
  EXPECT_EQ(Bench::sign(kMessage, {retired, pending}), kMessage);
  EXPECT_EQ(Bench::sign(kMessage, {}), kMessage);
  Bench bench;
  EXPECT_EQ(bench.outcomes(Bench::sign(kMessage, {retired, edwards_key()}).value()), "pass");
  auto broken = rsa_key();
  broken.private_key = "-----BEGIN PRIVATE KEY-----\nxxxx\n-----END PRIVATE KEY-----\n";
  EXPECT_EQ(Bench::sign(kMessage, {broken}).error().fault, Fault::corrupt);
  auto other = edwards_key();
  other.algorithm = DkimKey::Algorithm::rsa_sha256;
  EXPECT_EQ(Bench::sign(kMessage, {other}).error().fault, Fault::corrupt);
}

TEST(Dkim, MessagesThatCannotBeSigned) {
  EXPECT_EQ(Bench::sign("To: a@b.test\r\n\r\nx\r\n").error().fault, Fault::refused);
  EXPECT_EQ(Bench::sign("From: a@b.test\r\nTo: " + std::string(70'000, 'x') + "\r\n\r\nx\r\n").error().fault, Fault::refused);
  EXPECT_EQ(Bench::sign(std::string("From: a@b.test\r\nTo: a\0b\r\n\r\nx\r\n", 30)).error().fault, Fault::refused);
  std::string many = "From: a@b.test\r\n";
  for (int i = 0; i < 1'100; ++i) many += "X: y\r\n";
  EXPECT_EQ(Bench::sign(many + "\r\n").error().fault, Fault::refused);
}

TEST(Dkim, OddMessagesAreSignedAsTheyAre) {
  Bench bench;
  for (const auto& message :
       {std::string("From: a@b.test\r\n\r\n"), std::string("From: a@b.test\r\n"), std::string("From:\r\n\r\n.\r\n"),
        std::string("X y z\r\nFrom: a@b.test\r\nfrom : c@d.test\r\nSubject: 1\r\nSubject: 2\r\n: x\r\n\r\nbody without end"),
        std::string("From: \xC3\xBC@b.test\r\nSubject: \xFF\xFE\r\n\r\n\xFF\r\n"),
        "From: a@b.test\r\nReferences: " + std::string(50'000, 'r') + "\r\n\r\n",
        "From: a@b.test\r\n\r\n" + std::string(300'000, 'x') + "\r\n \t\r\n" + std::string(100, '\n'),
        std::string("From: a@b.test\r\n\r\na\0b\r\n", 23)}) {
    const auto done = Bench::sign(message);
    ASSERT_TRUE(done) << done.error().detail;
    EXPECT_EQ(bench.outcomes(*done), "pass pass") << message.substr(0, 100);
  }
}

// RFC 6376 §3.4.3, §3.4.4: the CRLF that a body lacks is part of what is signed. It is added on the way where DATA carries the message.
TEST(Dkim, ABodyWithoutItsLastLineEndIsSignedAsIfItHadOne) {
  Bench bench;
  for (const std::string body : {"body", "b", "body\r\nbody", "body\r", "\r", "body\n", "\n", "x \t", " "}) {
    const auto done = Bench::sign("From: a@b.test\r\n\r\n" + body);
    ASSERT_TRUE(done) << done.error().detail;
    EXPECT_EQ(bench.outcomes(*done), "pass pass") << to_base64(body);
    EXPECT_EQ(bench.outcomes(*done + "\r\n"), "pass pass") << to_base64(body);
    EXPECT_EQ(bench.outcomes(*done + "!"), "fail fail") << to_base64(body);
  }
}

// Both forms of an RSA key are in use: the RSAPublicKey of RFC 6376 §3.6.1, and what its own examples have.
TEST(Dkim, BareRsaKeysAreRead) {
  const auto record = dkim_record(rsa_key())->value;
  const auto at = record.find("p=") + 2;
  const auto info = from_base64(record.substr(at)).value();
  // SubjectPublicKeyInfo of an RSA key of 2,048 bits: 24 octets in front of the RSAPublicKey.
  const auto bare = "v=DKIM1; h=sha256; p=" + to_base64(std::string_view(info).substr(24)) + " ; n=x";
  EXPECT_EQ(parse_key_record(bare)->bits, 2'048U);
  EXPECT_EQ(with_key_info(bare), "v=DKIM1; h=sha256; p=" + record.substr(at) + " ; n=x");
  EXPECT_EQ(with_key_info(record), record);
  const auto edwards = dkim_record(edwards_key())->value;
  EXPECT_EQ(with_key_info(edwards), edwards);
  for (const auto* odd : {"", "p=", "p=!", "p=AAAA", "k=x; p=AAAA", "none"}) EXPECT_EQ(with_key_info(odd), odd);
  auto moved = rsa_key();
  moved.selector = "bare";
  Bench bench;
  bench.dns.add("bare._domainkey.example.org", bare);
  EXPECT_EQ(bench.outcomes(Bench::sign(kMessage, {moved}).value()), "pass");
}

TEST(Dkim, KeysThatCannotBeHad) {
  const auto message = Bench::sign(kMessage, {rsa_key()}).value();
  const auto record = dkim_record(rsa_key())->value;
  const auto outcome = [&](std::string_view text) {
    Bench bench;
    auto moved = rsa_key();
    moved.selector = "s9";
    bench.dns.add("s9._domainkey.example.org", text);
    const auto result = bench.verify(Bench::sign(kMessage, {moved}).value()).at(0);
    return std::string(to_string(result.outcome)) + (result.testing ? " testing" : "");
  };
  EXPECT_EQ(outcome(record), "pass");
  EXPECT_EQ(outcome("t=y; " + record.substr(9)), "pass testing");
  EXPECT_EQ(outcome("v=DKIM1; p="), "permerror");
  EXPECT_EQ(outcome("v=DKIM1; p=AAAA"), "permerror");
  EXPECT_EQ(outcome("v=DKIM2; " + record.substr(9)), "permerror");
  EXPECT_EQ(outcome("v=spf1 -all"), "permerror");
  EXPECT_EQ(outcome(record + "; n=" + std::string(2'000, 'x')), "permerror");
  EXPECT_EQ(outcome(dkim_record(edwards_key())->value), "permerror");
  {
    Bench bench;
    auto unknown = rsa_key();
    unknown.selector = "nowhere";
    EXPECT_EQ(bench.outcomes(Bench::sign(kMessage, {unknown}).value()), "permerror");
    auto unreachable = rsa_key();
    unreachable.selector = "unreachable";
    bench.dns.fail("unreachable._domainkey.example.org");
    EXPECT_EQ(bench.outcomes(Bench::sign(kMessage, {unreachable, edwards_key()}).value()), "temperror pass");
    // Other TXT records at the name do not hide the key.
    auto crowded = rsa_key();
    crowded.selector = "crowded";
    bench.dns.add("crowded._domainkey.example.org", "v=spf1 -all");
    bench.dns.add("crowded._domainkey.example.org", record);
    EXPECT_EQ(bench.outcomes(Bench::sign(kMessage, {crowded}).value()), "pass");
  }
}

TEST(Dkim, SignaturesThatAreNone) {
  Bench bench;
  const auto message = Bench::sign(kMessage, {rsa_key()}).value();
  const auto with = [&](std::string_view from, std::string_view to) {
    auto changed = message;
    changed.replace(changed.find(from), from.size(), to);
    return bench.outcomes(changed);
  };
  EXPECT_EQ(with("v=1", "v=2"), "neutral");
  EXPECT_EQ(with("v=1; ", ""), "neutral");
  EXPECT_EQ(with("a=rsa-sha256", "a=rsa-sha1"), "policy");
  EXPECT_EQ(with("a=rsa-sha256", "a=rot13"), "neutral");
  EXPECT_EQ(with("c=relaxed/relaxed", "c=relaxed/none"), "neutral");
  EXPECT_EQ(with("d=example.org", "d=example..org"), "neutral");
  EXPECT_EQ(with("d=example.org", "d=example.org; i=@example.net"), "neutral");
  EXPECT_EQ(with("d=example.org", "d=example.org; i=@notexample.org"), "neutral");
  EXPECT_EQ(with("d=example.org", "d=example.org; d=example.org"), "neutral");
  EXPECT_EQ(with("t=1767225600", "t=17672256001234567"), "neutral");
  EXPECT_EQ(with("t=1767225600", "t=1767225600; x=1767225600"), "neutral");
  EXPECT_EQ(with("t=1767225600", "t=1767229999"), "fail");
  EXPECT_EQ(with("bh=", "bh=!"), "neutral");
  EXPECT_EQ(with("bh=", "l=x; bh="), "neutral");
  EXPECT_EQ(bench.outcomes("DKIM-Signature: nonsense\r\nDKIM-Signature:\r\n" + message), "neutral neutral pass");
  EXPECT_EQ(bench.outcomes("DKIM-Signature: v=1; a=rsa-sha256; b=AAAA; bh=AAAA; d=example.org; s=r1; h=to:subject\r\n" + message),
            "neutral pass");
  EXPECT_EQ(bench.outcomes(kMessage), "");
}

TEST(Dkim, SignaturesAgeAndAreLimited) {
  Bench bench;
  const auto old = Bench::sign(kMessage, {rsa_key()}).value();
  EXPECT_EQ(bench.outcomes(old, kNow - 200), "pass");
  EXPECT_EQ(bench.outcomes(old, kNow - 400), "fail");
  EXPECT_EQ(bench.outcomes(old, kNow + 10 * 365 * 86'400), "pass");
  std::string many;
  for (int i = 0; i < 30; ++i) many += old.substr(0, old.find("Received:"));
  const auto results = bench.verify(many + std::string(kMessage));
  EXPECT_EQ(results.size(), kMaxDkimSignatures);
  for (const auto& result : results) EXPECT_EQ(result.outcome, DkimResult::Outcome::pass);
}

// What the library would read or write beyond its buffers, or take for signed, must not reach it.
TEST(Dkim, HostileHeadersAreKeptFromTheLibrary) {
  Bench bench;
  const auto message = Bench::sign(kMessage, {rsa_key()}).value();
  const auto signature = [](std::string_view h) {
    return "DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; d=example.org; s=r1; h=" + std::string(h) +
           ";\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=AAAA\r\n";
  };
  // Every field of the message picked, and more names behind: the list of picked fields is full.
  EXPECT_EQ(bench.outcomes(signature("from:dkim-signature:from:to:x:y:z:from") + "From: a@b.test\r\n\r\n"), "fail");
  EXPECT_EQ(bench.outcomes(signature("dkim-signature:from") + "From: a@b.test\r\n\r\n"), "fail");
  std::string names = "from";
  for (int i = 0; i < 199; ++i) names += ":n" + std::to_string(i);
  EXPECT_EQ(bench.outcomes(signature(names) + "From: a@b.test\r\n\r\n"), "fail");
  EXPECT_EQ(bench.outcomes(signature(names + ":one-more") + "From: a@b.test\r\n\r\n"), "neutral");
  EXPECT_EQ(bench.outcomes(signature("from:" + std::string(5'000, 'x')) + "From: a@b.test\r\n\r\n"), "neutral");
  EXPECT_EQ(bench.outcomes(std::string(10'000, 'n') + ": x\r\n" + message), "pass");
  EXPECT_EQ(bench.outcomes("X: " + std::string(100'000, 'x') + "\r\n" + message), "permerror");
  EXPECT_EQ(bench.outcomes(std::string("X: a\0b\r\n", 8) + message), "permerror");
  // The library takes these for folds, others for the end of a field.
  for (const auto* odd : {"X: a\rb\r\n", "X: a\nb\r\n", "X: a\r\r\n", "X: a\n b\r\n", "X: a\r b\r\n"})
    EXPECT_EQ(bench.outcomes(odd + message), "permerror") << odd;
  std::string many;
  for (int i = 0; i < 1'001; ++i) many += "X: y\r\n";
  EXPECT_EQ(bench.outcomes(message.substr(0, message.find("Received:")) + many + std::string(kMessage)), "permerror");
  EXPECT_EQ(bench.outcomes("DKIM-Signature: v=1; a=rsa-sha256; d=example.org; s=r1; h=from; bh=\xC3\xBC; b=AAAA\r\n" + message),
            "neutral pass");
}

/// Made by our own parts, with tags that libopendkim writes for nobody. @param limit  octets of the body that are hashed
std::string sign_by_hand(std::string_view tags, std::string_view body, std::optional<std::uint64_t> limit = std::nullopt) {
  BodyHash hash(Canonical::relaxed, limit);
  hash.update(body);
  std::string field = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=r1; h=from; ";
  field.append(tags).append("bh=").append(to_base64(hash.finish())).append("; b=");
  std::string text;
  append_canonical_field(text, Canonical::relaxed, "From: a@example.org");
  append_canonical_field(text, Canonical::relaxed, field);
  text.resize(text.size() - 2);
  Sha256 digest;
  digest.update(text);
  const auto key = read_private_key(rsa_key().private_key, DkimKey::Algorithm::rsa_sha256).value();
  return field + to_base64(*sign_digest(*key, DkimKey::Algorithm::rsa_sha256, digest.finish())) + "\r\nFrom: a@example.org\r\n\r\n" +
         std::string(body);
}

// RFC 6376 §3.5 t= and x=, with five minutes of grace for clocks.
TEST(Dkim, SignaturesHaveTheirTime) {
  Bench bench;
  const auto message = sign_by_hand("t=1000000000; x=4000003600; ", "Hello\r\n");
  EXPECT_EQ(bench.outcomes(message, 999'999'699), "fail");
  EXPECT_EQ(bench.outcomes(message, 999'999'700), "pass");
  EXPECT_EQ(bench.outcomes(message, 4'000'003'899), "pass");
  EXPECT_EQ(bench.outcomes(message, 4'000'003'900), "fail");
  // The library asks the machine's clock as well: what has expired by that never passes.
  EXPECT_EQ(bench.outcomes(sign_by_hand("t=1000000000; x=1000003600; ", "Hello\r\n"), 1'000'000'000), "fail");
}

// A prefix that is signed lets anybody add the rest: RFC 6376 §8.2.
TEST(Dkim, PartsOfBodiesDoNotCount) {
  Bench bench;
  const auto make = [](std::string_view body, std::uint64_t length) {
    return sign_by_hand("l=" + std::to_string(length) + "; ", body, length);
  };
  EXPECT_EQ(bench.outcomes(make("Hello\r\n", 7)), "pass");
  EXPECT_EQ(bench.outcomes(make("Hello\r\nand more\r\n", 7)), "policy");
  EXPECT_EQ(bench.outcomes(make("Hello\r\n", 0)), "policy");
  EXPECT_EQ(bench.outcomes(make("Hello\r\n", 8)), "permerror");
}

}  // namespace
}  // namespace relais::antispam
