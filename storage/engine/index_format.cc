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

std::optional<RowKind> row_kind(char letter) noexcept {
  switch (const auto kind = static_cast<RowKind>(letter)) {
    case RowKind::entry:
    case RowKind::blob:
    case RowKind::segment:
    case RowKind::meta: return kind;
  }
  return std::nullopt;
}

RowPrefix::RowPrefix(AccountId account) noexcept : size_(1 + kAccountSize), kind_(RowKind::entry) {
  octets_[0] = static_cast<char>(RowKind::entry);
  const auto number = big_endian(static_cast<std::uint64_t>(account));
  std::memcpy(octets_.data() + 1, number.data(), number.size());
}

RowPrefix RowPrefix::raw_entries() noexcept {
  RowPrefix rows(RowKind::entry);
  rows.raw_ = true;
  return rows;
}

RowKey::RowKey(const RowPrefix& rows, std::string_view key) noexcept {
  const auto prefix = rows.view();
  std::memcpy(octets_.data(), prefix.data(), prefix.size());
  const std::size_t size = std::min(key.size(), octets_.size() - prefix.size());  // a longer bound of a range: none of its keys is as long
  if (size != 0) std::memcpy(octets_.data() + prefix.size(), key.data(), size);
  size_ = prefix.size() + size;
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

std::string encode_journal_row(const JournalRow& row) {
  std::string out;
  put_u8(out, kIndexVersion);
  put_u64(out, row.epoch);
  put_u64(out, row.version);
  return out;
}

Result<JournalRow> decode_journal_row(std::string_view octets) {
  Decoder in(octets);
  const auto version = in.u8();
  const JournalRow row{.epoch = in.u64(), .version = in.u64()};
  if (version != kIndexVersion || !in.done()) return fail(damaged("journal row does not decode"));
  return row;
}

}  // namespace relais::storage
