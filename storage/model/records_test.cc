// Golden octets of every record and key (docs/format.md shows the same ones), and what must not decode.
#include "storage/model/records.h"

#include "base/encode.h"
#include "storage/model/chunk.h"
#include "storage/model/keys.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

namespace relais::storage::model {
namespace {

AccountRecord account() {
  return {.next_mailbox = 7, .last_uid_validity = 1'767'225'605, .mailboxes = 6, .mod_seq = 300, .octets = 4'096, .messages = 2, .octets_limit = 1'000'000, .messages_limit = 0};
}

MailboxRecord mailbox() {
  MailboxRecord r;
  r.special_use = kUseSent;
  r.uid_validity = 1'767'225'604;
  r.uid_next = 10;
  r.recent_from = 9;
  r.uidl_until = 5;
  r.messages = 2;
  r.unseen = 1;
  r.deleted = 1;
  r.tombstones = 3;
  r.highest_mod_seq = 299;
  r.tombstone_floor = 17;
  r.octets = 4'096;
  r.name = "Sent";
  r.keywords = {"$Forwarded", "", "work"};
  return r;
}

MessageRecord message() {
  MessageRecord r;
  r.blob = BlobId{0x0102030405060708};
  r.internal_date = 1'767'225'600;
  r.save_date = 1'767'225'601;
  r.sent_date = -1;
  r.email_id = 0xE0E1E2E3E4E5E6E7;
  r.internal_zone = -90;
  r.sent_zone = 60;
  r.uidl = "u1";
  r.parts = "P";
  r.envelope = "(E)";
  r.body_structure = "(B)";
  r.header_fields = "To: b\r\n";
  return r;
}

TEST(Golden, Account) {
  constexpr auto kHex = "01000000076955b90500000006000000000000012c0000000000001000000000000000000200000000000f42400000000000000000";
  EXPECT_EQ(to_hex(encode(account())), kHex);
  EXPECT_EQ(decode_account(*from_hex(kHex)).value(), account());
}

TEST(Golden, AccountThatIsNotOpen) {
  constexpr auto kHex = "02000000076955b90500000006000000000000012c0000000000001000000000000000000200000000000f4240000000000000000001";
  auto record = account();
  record.state = AccountState::importing;
  EXPECT_EQ(to_hex(encode(record)), kHex);
  EXPECT_EQ(decode_account(*from_hex(kHex)).value(), record);
  record.state = AccountState::sealed;
  EXPECT_EQ(to_hex(encode(record)).back(), '2');
  EXPECT_EQ(decode_account(encode(record)).value(), record);
  for (const char state : {'\0', '\3'}) {
    auto octets = encode(record);
    octets.back() = state;
    EXPECT_FALSE(decode_account(octets));
  }
}

TEST(Golden, Mailbox) {
  constexpr auto kHex =
      "0101206955b9040000000a0000000900000005000000020000000100000001000000030000"
      "00000000012b000000000000001100000000000010000453656e74030a24466f727761726465640004776f726b";
  EXPECT_EQ(to_hex(encode(mailbox())), kHex);
  EXPECT_EQ(decode_mailbox(*from_hex(kHex)).value(), mailbox());
}

TEST(Golden, Message) {
  constexpr auto kHex =
      "01010102030405060708000000006955b900000000006955b901ffffffffffffffffe0e1e2e3e4e5e6e70000000000000000ffa6003c"
      "020103030775315028452928422954"
      "6f3a20620d0a";
  EXPECT_EQ(to_hex(encode(message())), kHex);
  const auto octets = *from_hex(kHex);
  EXPECT_EQ(decode_message(octets).value(), message());
  EXPECT_EQ(decode_message_blob(octets).value(), message().blob);
}

TEST(Golden, Chunk) {
  HotChunk chunk;
  chunk.push_back({.uid = 7, .size = 1'000, .mod_seq = 299, .flags = kSeen | kDeleted});
  chunk.push_back({.uid = 9, .size = 3'096, .mod_seq = 12, .flags = FlagBits{1} << kFirstKeyword});
  std::string octets;
  chunk.encode(octets);
  constexpr auto kHex =
      "0102010100000009000000000000012b"
      "00000007000003e8000000000000012b0000000000000009"
      "0000000900000c18000000000000000c0000000000000100";
  EXPECT_EQ(to_hex(octets), kHex);
  const auto view = ChunkView::parse(octets);
  ASSERT_TRUE(view);
  EXPECT_EQ(view->count(), 2U);
  EXPECT_EQ(view->unseen(), 1U);
  EXPECT_EQ(view->deleted(), 1U);
  EXPECT_EQ(view->max_mod_seq(), 299U);
  EXPECT_EQ(view->last_uid(), 9U);
  EXPECT_EQ(view->record(1), chunk[1]);
  EXPECT_EQ(view->lower_bound(8), 1U);
  EXPECT_EQ(view->lower_bound(10), 2U);
}

TEST(Golden, Group) {
  const GroupRecord group{.last_uid = 4'096, .messages = 4'000, .unseen = 3, .deleted = 2, .max_mod_seq = 299};
  EXPECT_EQ(to_hex(encode(group)), "010000100000000fa00000000300000002000000000000012b");
  EXPECT_EQ(decode_group(encode(group)).value(), group);
  EXPECT_FALSE(group.solid(1));
  EXPECT_TRUE(group.solid(97));
}

TEST(Golden, Tombstone) {
  const auto set = *NumberSet::parse("3:5,9,1000:1999");
  EXPECT_EQ(to_hex(encode(set)), "0303020400df07e707");
  EXPECT_EQ(decode_set(encode(set)).value(), set);
  EXPECT_EQ(decode_set(encode(NumberSet(NumberRange{1, UINT32_MAX}))).value(), NumberSet(NumberRange{1, UINT32_MAX}));
}

TEST(Golden, Attribute) {
  EXPECT_EQ(to_hex(encode_attribute("lr")), "016c72");
  EXPECT_EQ(decode_attribute(encode_attribute("lr")).value(), "lr");
  EXPECT_FALSE(decode_attribute("\1"));
  EXPECT_FALSE(decode_attribute("\2v"));
}

TEST(Golden, AppendResult) {
  const AppendResult result{MailboxId{2}, 1'767'225'601, {5, 6}};
  EXPECT_EQ(to_hex(encode(result)), "01000000026955b901020000000500000006");
  EXPECT_EQ(decode_append_result(encode(result))->uids, result.uids);
}

TEST(Golden, Keys) {
  const auto hex = [](std::string_view key) { return to_hex(key); };
  constexpr MailboxId kBox{0x01020304};
  EXPECT_EQ(hex(account_key()), "61");
  EXPECT_EQ(hex(mailbox_key(kBox)), "6201020304");
  EXPECT_EQ(hex(dead_key(kBox)), "6401020304");
  EXPECT_EQ(hex(group_key(kBox, 5)), "670102030400000005");
  EXPECT_EQ(hex(chunk_key(kBox, 5)), "680102030400000005");
  EXPECT_EQ(hex(message_key(kBox, 5)), "6d0102030400000005");
  EXPECT_EQ(hex(name_key("INBOX")), "6e494e424f58");
  EXPECT_EQ(hex(once_key("d1")), "6f6431");
  EXPECT_EQ(hex(attribute_key(kBox, "x")), "700102030478");
  EXPECT_EQ(attribute_name(attribute_key(kBox, "x")), "x");
  EXPECT_EQ(hex(subscribed_key("a/b")), "73612f62");
  EXPECT_EQ(hex(tombstone_key(kBox, 300)), "7401020304000000000000012c");
  EXPECT_EQ(hex(header_key(kBox, 5)), "780102030400000005");
  EXPECT_EQ(uid_of(message_key(kBox, 5)), 5U);
  EXPECT_EQ(mailbox_of(chunk_key(kBox, 5)), kBox);
}

TEST(Keys, LongNamesKeepTheirKeysShortAndApart) {
  const std::string a(900, 'a');
  const auto b = a + "b";
  EXPECT_EQ(name_key(a).size(), 1 + kMaxNameInKey + 1 + 32);
  EXPECT_NE(name_key(a), name_key(b));
  EXPECT_NE(name_key(a), name_key(a.substr(0, kMaxNameInKey)));
}

TEST(Decode, TruncatedOrLongerRecordsAreCorrupt) {
  HotChunk chunk;
  chunk.push_back({.uid = 1, .size = 1, .mod_seq = 1, .flags = 0});
  std::string chunk_octets;
  chunk.encode(chunk_octets);
  struct Row {
    std::string octets;
    std::function<bool(std::string_view)> decodes;
  };
  auto sealed = account();
  sealed.state = AccountState::sealed;
  const Row rows[] = {
      {encode(account()), [](std::string_view in) { return decode_account(in).has_value(); }},
      {encode(sealed), [](std::string_view in) { return decode_account(in).has_value(); }},
      {encode(mailbox()), [](std::string_view in) { return decode_mailbox(in).has_value(); }},
      {encode(message()), [](std::string_view in) { return decode_message(in).has_value(); }},
      {encode(*NumberSet::parse("3:5,9")), [](std::string_view in) { return decode_set(in).has_value(); }},
      {encode(AppendResult{MailboxId{2}, 1, {5}}), [](std::string_view in) { return decode_append_result(in).has_value(); }},
      {encode(GroupRecord{.messages = 1}), [](std::string_view in) { return decode_group(in).has_value(); }},
      {chunk_octets, [](std::string_view in) { return ChunkView::parse(in).has_value(); }},
  };
  for (const auto& row : rows) {
    EXPECT_TRUE(row.decodes(row.octets));
    for (std::size_t size = 0; size < row.octets.size(); ++size) EXPECT_FALSE(row.decodes(std::string_view(row.octets).substr(0, size))) << size;
    EXPECT_FALSE(row.decodes(row.octets + '\0'));
  }
  // Versions of the future are refused, not misread.
  for (auto octets : {encode(account()), encode(mailbox()), encode(message()), chunk_octets}) {
    for (const char version : {'\2', '\3'}) {
      octets[0] = version;
      EXPECT_FALSE(decode_account(octets) || decode_mailbox(octets) || decode_message(octets) || ChunkView::parse(octets));
    }
  }
}

TEST(Edit, PlacesOfAMessageRecord) {
  auto octets = encode(message());
  set_blob(octets, BlobId{77});
  set_save_date(octets, 5);
  ASSERT_TRUE(drop_uidl(octets));
  auto expected = message();
  expected.blob = BlobId{77};
  expected.save_date = 5;
  expected.uidl = {};
  EXPECT_EQ(decode_message(octets).value(), expected);
  const auto again = octets;
  ASSERT_TRUE(drop_uidl(octets));
  EXPECT_EQ(octets, again);
}

}  // namespace
}  // namespace relais::storage::model
