// Chunks: round trips, ranges, and every kind of damage.
#include "storage/blob.h"

#include <gtest/gtest.h>

#include <random>

namespace relais::storage {
namespace {

std::string text(std::size_t size) {
  std::string out;
  while (out.size() < size)
    out += "Received: from mx" + std::to_string(out.size() % 97) + ".example.org by relais; the quick brown fox\r\n";
  out.resize(size);
  return out;
}

std::string noise(std::size_t size) {
  std::mt19937 random(7);
  std::string out(size, '\0');
  for (auto& c : out) c = static_cast<char>(random());
  return out;
}

std::string decoded(const EncodedBlob& blob, std::uint64_t offset = 0, std::uint64_t length = UINT64_MAX) {
  std::string out = "before";
  const auto ok = blob.decode(offset, length, out);
  EXPECT_TRUE(ok) << ok.error().detail;
  EXPECT_TRUE(out.starts_with("before"));
  return out.substr(6);
}

TEST(Blob, ComesBackInEverySize) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, kMinCompressed - 1, kMinCompressed, std::size_t{10'000}, kChunkSize - 1,
                                 kChunkSize, kChunkSize + 1, 3 * kChunkSize + 5})
    for (const auto& octets : {text(size), noise(size)}) {
      for (const auto compression : {Compression::none, Compression::zstd, Compression::lz4}) {
        const auto blob = make_blob("", encode_chunks(octets, compression));
        EXPECT_EQ(blob->raw_size(), size);
        EXPECT_EQ(blob->chunk_count(), (size + kChunkSize - 1) / kChunkSize);
        EXPECT_TRUE(decoded(*blob) == octets) << size;  // too long to print
      }
    }
}

TEST(Blob, CompressesOnlyWhatGains) {
  for (const auto compression : {Compression::zstd, Compression::lz4}) {
    EXPECT_EQ((*encode_chunks(text(10'000), compression))[0].info.compression, compression);
    EXPECT_LT((*encode_chunks(text(10'000), compression))[0].info.stored_size, 2'000U);
  }
  EXPECT_EQ((*encode_chunks(text(10'000), Compression::none))[0].info.compression, Compression::none);
  EXPECT_EQ((*encode_chunks(noise(10'000)))[0].info.compression, Compression::none);
  EXPECT_EQ((*encode_chunks(text(kMinCompressed - 1)))[0].info.compression, Compression::none);
}

TEST(Blob, SharesChunksBehindAPrefix) {
  const auto body = encode_chunks(text(600'000));
  const auto one = make_blob("Delivered-To: one@example.org\r\n", body);
  const auto two = make_blob("Delivered-To: two@example.org\r\n", body);
  EXPECT_EQ(one->parts()[1], two->parts()[1]);
  EXPECT_TRUE(decoded(*one) == "Delivered-To: one@example.org\r\n" + text(600'000));
  EXPECT_EQ(decoded(*two, 14, 10), "two@exampl");
}

TEST(Blob, RangesCrossChunks) {
  const auto octets = text(2 * kChunkSize + 100);
  const auto blob = make_blob(octets.substr(0, 50), encode_chunks(octets.substr(50)));
  for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{49}, std::uint64_t{50}, std::uint64_t{kChunkSize + 40},
                                     std::uint64_t{2 * kChunkSize + 99}, std::uint64_t{2 * kChunkSize + 100}, UINT64_MAX})
    for (const std::uint64_t length : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{100}, std::uint64_t{kChunkSize}, UINT64_MAX}) {
      const auto want = offset > octets.size() ? std::string() : octets.substr(offset, length);
      EXPECT_TRUE(decoded(*blob, offset, length) == want) << offset << ' ' << length;
    }
}

class BlobDamage : public ::testing::TestWithParam<Compression> {};
INSTANTIATE_TEST_SUITE_P(Compressions, BlobDamage, ::testing::Values(Compression::zstd, Compression::lz4));

TEST_P(BlobDamage, IsFound) {
  const auto chunks = encode_chunks(text(5'000), GetParam());
  const auto& good = chunks->front();
  std::string out = "kept";
  const auto refused = [&](const ChunkInfo& info, std::string_view stored) {
    const auto whole = decode_chunk(info, stored, 0, UINT64_MAX, out);
    const auto part = decode_chunk(info, stored, 3, 4, out);
    const auto checked = verify_chunk(info, stored);
    return !whole && !part && !checked && whole.error().fault == Fault::corrupt && out == "kept";
  };
  for (std::size_t i = 0; i < good.octets.size(); i += 7) {
    auto stored = good.octets;
    stored[i] = static_cast<char>(stored[i] ^ 0x10);
    EXPECT_TRUE(refused(good.info, stored)) << i;
  }
  EXPECT_TRUE(refused(good.info, std::string_view(good.octets).substr(1)));
  auto info = good.info;
  info.raw_size -= 1;
  EXPECT_TRUE(refused(info, good.octets));
  info.raw_size += 2;
  EXPECT_TRUE(refused(info, good.octets));
  info.raw_size = 0;
  EXPECT_TRUE(refused(info, good.octets));
  info.raw_size = UINT32_MAX;
  EXPECT_TRUE(refused(info, good.octets));
  info = good.info;
  info.compression = Compression::none;
  EXPECT_TRUE(refused(info, good.octets));
  info.compression = static_cast<Compression>(9);
  EXPECT_TRUE(refused(info, good.octets));
  EXPECT_TRUE(verify_chunk(good.info, good.octets));
}

}  // namespace
}  // namespace relais::storage
