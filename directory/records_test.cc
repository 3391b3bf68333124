// Golden octets of every record: what a release wrote, later ones must read. docs/directory.md shows the same examples.
#include "base/encode.h"
#include "directory/name.h"
#include "directory/records.h"

#include <gtest/gtest.h>

namespace relais::directory {
namespace {

const std::string kKey = Name{"ann", "example.org"}.key();

AccountRecord sample_account() {
  AccountRecord record;
  record.account.number = 7;
  record.account.address = "ann@example.org";
  record.account.enabled = true;
  record.account.has_password = true;
  record.account.created = 1'767'225'600;
  record.generation = 3;
  record.account.quota_octets = 1U << 30U;
  record.account.quota_messages = 5;
  record.account.placement = Placement{Placement::Kind::legacy, 2, "old", 300};
  return record;
}

TEST(Records, AccountGolden) {
  const auto octets = encode_account(sample_account());
  EXPECT_EQ(to_hex(octets), "01000000000000000703000000006955b9000380808080040501"
                            "0002ac02036f6c64");
  const auto back = decode_account(kKey, octets);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->account.address, "ann@example.org");
  EXPECT_EQ(back->account.number, 7U);
  EXPECT_TRUE(back->account.enabled);
  EXPECT_TRUE(back->account.has_password);
  EXPECT_EQ(back->account.created, 1'767'225'600);
  EXPECT_EQ(back->generation, 3U);
  EXPECT_EQ(back->account.quota_octets, 1U << 30U);
  EXPECT_EQ(back->account.quota_messages, 5U);
  EXPECT_EQ(back->account.placement.kind, Placement::Kind::legacy);
  EXPECT_EQ(back->account.placement.shard, 2);
  EXPECT_EQ(back->account.placement.legacy, "old");
  EXPECT_EQ(back->account.placement.epoch, 300U);
}

TEST(Records, DomainGolden) {
  const auto octets = encode_domain(DomainRecord{1'767'225'600});
  EXPECT_EQ(to_hex(octets), "01000000006955b900");
  EXPECT_EQ(decode_domain(octets)->created, 1'767'225'600);
}

TEST(Records, CredentialGolden) {
  Credential credential;
  credential.knowledge = Knowledge::set;
  credential.hash = "{PLAIN}x";
  EXPECT_EQ(to_hex(encode_credential(credential)), "01087b504c41494e7d7800");
  credential.scram.iterations = 4'096;
  credential.scram.salt = "salt";
  credential.scram.stored_key = std::string(32, 'a');
  credential.scram.server_key = std::string(32, 'b');
  const auto octets = encode_credential(credential);
  EXPECT_EQ(to_hex(octets), "01087b504c41494e7d7880200473616c74" + to_hex(std::string(32, 'a')) + to_hex(std::string(32, 'b')));
  const auto back = decode_credential(octets);
  ASSERT_TRUE(back);
  EXPECT_EQ(back->hash, credential.hash);
  EXPECT_EQ(back->scram.iterations, 4'096U);
  EXPECT_EQ(back->scram.salt, "salt");
  EXPECT_EQ(back->scram.stored_key, credential.scram.stored_key);
  EXPECT_EQ(back->scram.server_key, credential.scram.server_key);
  EXPECT_EQ(back->knowledge, Knowledge::set);
}

TEST(Records, CredentialsThatNobodySetHereSayHowTheyCameToBeKnown) {
  Credential credential;
  credential.hash = "{PLAIN}x";
  credential.knowledge = Knowledge::learned;
  const auto octets = encode_credential(credential);
  EXPECT_EQ(to_hex(octets), "0202087b504c41494e7d7800");
  EXPECT_EQ(decode_credential(octets)->knowledge, Knowledge::learned);
  EXPECT_EQ(decode_credential(octets)->hash, "{PLAIN}x");
  EXPECT_EQ(decode_credential(from_hex("0204087b504c41494e7d7800").value()).error().fault, Fault::corrupt);
}

LegacyPlatform sample_platform() {
  LegacyPlatform platform;
  platform.name = "old";
  platform.imap = {.host = "imap.old", .port = 993, .tls = LegacyService::Tls::implicit};
  platform.delivery = {.host = "::1", .port = 24, .tls = LegacyService::Tls::none, .verify = false};
  platform.delivery_lmtp = true;
  platform.ca_file = "/ca";
  platform.user_format = "%n";
  platform.master = {LegacyMaster::Way::format, "m", "pw", "%u*%m"};
  platform.forward = ForwardAddress::id;
  platform.learn_passwords = true;
  platform.created = 1'767'225'600;
  return platform;
}

TEST(Records, PlatformGolden) {
  const auto octets = encode_platform(sample_platform());
  EXPECT_EQ(to_hex(octets), "01000000006955b900" "08696d61702e6f6c64" "03e1" "02" "01" "00" "00" "033a3a31" "0018" "00" "00" "03" "01"
                            "032f6361" "02256e" "01" "016d" "027077" "0525752a256d");
  EXPECT_EQ(decode_platform("old", octets).value(), sample_platform());
}

TEST(Records, OriginGolden) {
  const Origin origin{.platform = "old", .user = "a17", .names = {'.', "INBOX."}};
  const auto octets = encode_origin(origin);
  EXPECT_EQ(to_hex(octets), "01036f6c6403613137" "2e" "06494e424f582e");
  EXPECT_EQ(decode_origin(octets).value(), origin);
}

TEST(Records, AliasGolden) {
  const std::vector<std::string> targets{"a@b", "c@d"};
  const auto octets = encode_targets(targets);
  EXPECT_EQ(to_hex(octets), "010203614062" "03634064");
  EXPECT_EQ(decode_targets(octets).value(), targets);
}

TEST(Records, KeysSortByDomain) {
  EXPECT_EQ(to_hex(kKey), "6578616d706c652e6f726700616e6e");
  EXPECT_EQ(name_of_key(kKey), (Name{"ann", "example.org"}));
  EXPECT_EQ(name_of_key(Name{"", "example.org"}.key()), (Name{"", "example.org"}));
  EXPECT_TRUE(kKey.starts_with(domain_prefix("example.org")));
  EXPECT_FALSE((Name{"ann", "example.organic"}.key().starts_with(domain_prefix("example.org"))));
}

TEST(Records, DamagedOnesAreCorrupt) {
  const auto check = [](const std::string& octets, auto decode) {
    for (std::size_t n = 0; n < octets.size(); ++n) {
      const auto cut = decode(octets.substr(0, n));
      ASSERT_FALSE(cut) << n;
      EXPECT_EQ(cut.error().fault, Fault::corrupt);
    }
    EXPECT_FALSE(decode(octets + "x"));
    auto newer = octets;
    newer[0] = 3;
    EXPECT_FALSE(decode(newer));
  };
  check(encode_account(sample_account()), [](const std::string& s) { return decode_account(kKey, s); });
  check(encode_domain(DomainRecord{1}), [](const std::string& s) { return decode_domain(s); });
  check(encode_targets({"a@b", "c@d"}), [](const std::string& s) { return decode_targets(s); });
  check(encode_credential(Credential{"{PLAIN}x", derive_scram_keys("x", "salt", 1), Knowledge::set}), [](const std::string& s) { return decode_credential(s); });
  check(encode_platform(sample_platform()), [](const std::string& s) { return decode_platform("old", s); });
  check(encode_origin({.platform = "old"}), [](const std::string& s) { return decode_origin(s); });
}

}  // namespace
}  // namespace relais::directory
