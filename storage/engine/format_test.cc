// The octets on disk, as docs/format.md shows them: a change here is a change of format.
#include "base/encode.h"
#include "storage/engine/index_format.h"
#include "storage/engine/journal_format.h"
#include "storage/engine/segment_format.h"

#include "base/crc32c.h"

#include <gtest/gtest.h>

namespace relais::storage {
namespace {

ShardUuid shard() {
  ShardUuid out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<char>(i);
  return out;
}

std::string hex(std::string_view octets) { return to_hex(octets); }
template <std::size_t N>
std::string hex(const std::array<char, N>& octets) {
  return to_hex({octets.data(), N});
}

std::string record() {
  const auto blob = make_blob("Hi", encode_chunks("there"));
  std::string out;
  encode_record_header(BlobId{258}, AccountId{7}, *blob, out);
  for (const auto& part : blob->parts())
    for (const auto& chunk : *part) out += chunk.octets;
  return out;
}

TEST(StorageFormat, SegmentFileHeader) {
  const auto octets = encode_file_header({.segment = 3, .shard = shard()});
  EXPECT_EQ(hex(octets), "52656c61697353670001000000000003000102030405060708090a0b0c0d0e0f219bdfad");
  EXPECT_EQ(decode_file_header(octets), (FileHeader{.segment = 3, .shard = shard()}));
  for (std::size_t i = 0; i < octets.size(); ++i) {
    auto bad = octets;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(decode_file_header(bad)) << i;
    EXPECT_FALSE(decode_file_header(octets.substr(0, i)));
  }
}

TEST(StorageFormat, BlobRecord) {
  const auto octets = record();
  EXPECT_EQ(hex(octets), "52426c6201000000000000020000000000000102000000000000000700000000000000490000000200000002008a163ac000"
            "00000500000005005dbe709be60705b548697468657265");
  const auto header = RecordHeader::decode(octets).value();
  EXPECT_EQ(header.blob(), BlobId{258});
  EXPECT_EQ(header.account(), AccountId{7});
  EXPECT_EQ(header.length(), octets.size());
  EXPECT_EQ(header.chunks(), 2U);
  EXPECT_EQ(header.chunk(1).raw_size, 5U);
  EXPECT_TRUE(verify_record(octets, BlobId{258}, true));
  EXPECT_FALSE(verify_record(octets, BlobId{259}, false));
  for (std::size_t i = 0; i < octets.size(); ++i) {
    auto bad = octets;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    EXPECT_FALSE(verify_record(bad, BlobId{258}, false)) << i;
    EXPECT_FALSE(verify_record(octets.substr(0, i), BlobId{258}, false)) << i;
  }
}

TEST(StorageFormat, IndexKeys) {
  EXPECT_EQ(hex(RowKey(RowPrefix(AccountId{258}), "key").view()), "650000000000000102" "6b6579");
  EXPECT_EQ(hex(RowKey(RowPrefix(AccountId{258}), "key").index_key()), "0000000000000102" "6b6579");
  EXPECT_EQ(hex(blob_key(BlobId{258})), "0000000000000102");
  EXPECT_EQ(hex(segment_key(3)), "00000003");
  EXPECT_EQ(account_of(RowKey(RowPrefix(AccountId{258}), "key").index_key()), AccountId{258});
  EXPECT_EQ(account_of("12345678"), std::nullopt);
}

TEST(StorageFormat, IndexValues) {
  const std::string key("\0\0\0\0\0\0\0\7k", 9);
  std::string stored = "value";
  put_u32(stored, entry_checksum(key, "value"));
  EXPECT_EQ(hex(stored), "76616c756510566c8d");
  EXPECT_EQ(entry_value(key, stored).value(), "value");
  EXPECT_FALSE(entry_value(key + "2", stored));
  EXPECT_FALSE(entry_value(key, "abc"));

  const BlobRow blob{.segment = 3, .offset = 70'000, .length = 300, .references = 2};
  EXPECT_EQ(hex(encode_blob_row(blob)), "0103f0a204ac0202");
  EXPECT_EQ(decode_blob_row(encode_blob_row(blob)), blob);
  const SegmentRow segment{.length = 70'300, .live = 300};
  EXPECT_EQ(hex(encode_segment_row(segment)), "019ca504ac02");
  EXPECT_EQ(decode_segment_row(encode_segment_row(segment)), segment);
  const JournalRow journal{.epoch = 5, .version = 258};
  EXPECT_EQ(hex(encode_journal_row(journal)), "0100000000000000050000000000000102");
  EXPECT_EQ(decode_journal_row(encode_journal_row(journal)), journal);
  for (const auto* bad : {"", "00", "0203f0a204ac0202", "0103f0a204ac0200", "0103f0a204ac02", "0103f0a204ac020201", "01ffffffff7ff0a204ac0202"})
    EXPECT_FALSE(decode_blob_row(*from_hex(bad))) << bad;
  for (const auto* bad : {"", "010000", "012401", "029ca504ac02", "019ca504ac0200"}) EXPECT_FALSE(decode_segment_row(*from_hex(bad))) << bad;
}

TEST(StorageFormat, JournalRecord) {
  JournalRows rows;
  rows.add("ek", "value");
  rows.add("b1", std::nullopt);
  rows.add_octets(3, 70'000, 5);
  const auto encoded = rows.finish();
  EXPECT_EQ(hex(encoded), "020002656b0576616c756501026231" "0103f0a20405");
  JournalHeader header{.epoch = 5, .version = 258, .rows = static_cast<std::uint32_t>(encoded.size()), .octets = 5};
  header.checksum = crc32c("there", crc32c(encoded, journal_checksum(shard(), header)));
  const auto octets = encode_journal_header(header);
  EXPECT_EQ(hex(octets), "524a6e6c0100000000000000000000050000000000000102000000150000000000000005b6c06b34");
  const auto back = decode_journal_header(octets).value();
  EXPECT_EQ(back.epoch, 5U);
  EXPECT_EQ(back.version, 258U);
  EXPECT_EQ(back.size(), kJournalHeaderSize + encoded.size() + 5);
  EXPECT_EQ(back.checksum, header.checksum);
  EXPECT_FALSE(decode_journal_header(octets.substr(1)));
  EXPECT_FALSE(decode_journal_header(std::string_view(octets).substr(0, 39)));

  std::string seen;
  const JournalVisitor visitor{
      .row = [&](RowKind kind, std::string_view key, std::optional<std::string_view> stored) -> Result<void> {
        seen += std::string(1, static_cast<char>(kind)) + std::string(key) + (stored ? "=" + std::string(*stored) : "-") + " ";
        return {};
      },
      .octets = [&](std::uint32_t segment, std::uint64_t offset, std::string_view part) -> Result<void> {
        seen += std::to_string(segment) + "@" + std::to_string(offset) + ":" + std::string(part);
        return {};
      }};
  EXPECT_TRUE(walk_journal_record(encoded, "there", visitor));
  EXPECT_EQ(seen, "ek=value b1- 3@70000:there");
  EXPECT_FALSE(walk_journal_record(encoded, "ther", visitor));
  EXPECT_FALSE(walk_journal_record(encoded, "there!", visitor));
  for (std::size_t i = 0; i < encoded.size(); ++i) EXPECT_FALSE(walk_journal_record(std::string_view(encoded).substr(0, i), "there", visitor)) << i;
  EXPECT_FALSE(walk_journal_record(encoded + "x", "there", visitor));
  for (const auto* bad : {"0102016500", "01000000", "0100017a00" "00", "01000165" "00" "00"}) EXPECT_FALSE(walk_journal_record(*from_hex(bad), "", visitor)) << bad;
}

}  // namespace
}  // namespace relais::storage
