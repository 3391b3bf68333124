// Encodes and decodes the keys and rows of the index.
#include "storage/engine/index_format.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/encode.h"
#include "storage/engine/errors.h"

#include <bit>
#include <cstring>

namespace relais::storage {
namespace {

template <class T>
std::array<char, sizeof(T)> big_endian(T v) noexcept {
  std::array<char, sizeof(T)> out;
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<char>(static_cast<unsigned char>(v >> (8 * (sizeof(T) - 1 - i))));
  return out;
}

}  // namespace

EntryKey::EntryKey(AccountId account, std::string_view key) noexcept {
  const auto prefix = big_endian(static_cast<std::uint64_t>(account));
  std::memcpy(octets_.data(), prefix.data(), prefix.size());
  const std::size_t size = std::min(key.size(), octets_.size() - kAccountSize);  // a longer bound of a range: none of its keys is as long
  if (size != 0) std::memcpy(octets_.data() + kAccountSize, key.data(), size);
  size_ = kAccountSize + size;
}

std::optional<AccountId> account_of(std::string_view index_key) noexcept {
  if (index_key.size() <= kAccountSize) return std::nullopt;
  return static_cast<AccountId>(Decoder(index_key).u64());
}

std::uint32_t entry_checksum(std::string_view index_key, std::string_view value) noexcept { return crc32c(value, crc32c(index_key)); }

Result<std::string_view> entry_value(std::string_view index_key, std::string_view stored) {
  if (stored.size() < sizeof(std::uint32_t)) return fail(damaged("entry " + to_hex(index_key) + " is cut short"));
  const auto value = stored.substr(0, stored.size() - sizeof(std::uint32_t));
  if (Decoder(stored.substr(value.size())).u32() != entry_checksum(index_key, value))
    return fail(damaged("entry " + to_hex(index_key) + ": checksum differs"));
  return value;
}

std::array<char, 8> blob_key(BlobId id) noexcept { return big_endian(static_cast<std::uint64_t>(id)); }

std::string encode_blob_row(const BlobRow& row) {
  std::string out;
  put_u8(out, kIndexVersion);
  put_varint(out, row.segment);
  put_varint(out, row.offset);
  put_varint(out, row.length);
  put_varint(out, row.references);
  return out;
}

Result<BlobRow> decode_blob_row(std::string_view octets) {
  Decoder in(octets);
  const auto version = in.u8();
  const auto segment = in.varint();
  BlobRow row{.offset = in.varint(), .length = in.varint(), .references = in.varint()};
  if (version != kIndexVersion || !in.done() || segment > UINT32_MAX || row.references == 0) return fail(damaged("blob row does not decode"));
  row.segment = static_cast<std::uint32_t>(segment);
  return row;
}

std::array<char, 4> segment_key(std::uint32_t segment) noexcept { return big_endian(segment); }

std::string encode_segment_row(const SegmentRow& row) {
  std::string out;
  put_u8(out, kIndexVersion);
  put_varint(out, row.length);
  put_varint(out, row.live);
  return out;
}

Result<SegmentRow> decode_segment_row(std::string_view octets) {
  Decoder in(octets);
  const auto version = in.u8();
  const SegmentRow row{.length = in.varint(), .live = in.varint()};
  if (version != kIndexVersion || !in.done() || row.length < kFileHeaderSize || row.live > row.length - kFileHeaderSize)
    return fail(damaged("segment row does not decode"));
  return row;
}

}  // namespace relais::storage
