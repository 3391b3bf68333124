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
    newer[0] = 2;
    EXPECT_FALSE(decode(newer));
  };
  check(encode_account(sample_account()), [](const std::string& s) { return decode_account(kKey, s); });
  check(encode_domain(DomainRecord{1}), [](const std::string& s) { return decode_domain(s); });
  check(encode_targets({"a@b", "c@d"}), [](const std::string& s) { return decode_targets(s); });
  check(encode_credential(Credential{"{PLAIN}x", derive_scram_keys("x", "salt", 1)}), [](const std::string& s) { return decode_credential(s); });
}

}  // namespace
}  // namespace relais::directory
