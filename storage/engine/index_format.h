// The keys and rows of the index: accounts' entries, blob locations, segments. docs/format.md has them in tables.
#pragma once

#include "base/result.h"
#include "storage/engine.h"
#include "storage/engine/overlay.h"
#include "storage/engine/segment_format.h"
#include "storage/types.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace relais::storage {

inline constexpr std::uint8_t kIndexVersion = 1;
inline constexpr std::size_t kAccountSize = 8;

/// An entry's key in the index: the account, big-endian, then the account's own key. On the stack: it is made for every get.
class EntryKey {
 public:
  EntryKey(AccountId account, std::string_view key) noexcept;
  std::string_view view() const noexcept { return {octets_.data(), size_}; }

 private:
  std::array<char, kAccountSize + kMaxKey + 1> octets_;  // a range's end may be one octet longer than any key
  std::size_t size_;
};

/// The account in front of an index key; nullopt where it is too short to be one.
std::optional<AccountId> account_of(std::string_view index_key) noexcept;

/// What follows an entry's value: CRC-32C of index key and value, so that a value that rotted, or lies under another key, is noticed.
std::uint32_t entry_checksum(std::string_view index_key, std::string_view value) noexcept;
/// Splits value and checksum and verifies. Fault::corrupt.
Result<std::string_view> entry_value(std::string_view index_key, std::string_view stored);

/// Where a blob's record lies, and how many references keep it alive.
struct BlobRow {
  std::uint32_t segment = 0;
  std::uint64_t offset = 0;  ///< in octets from the start of the segment file
  std::uint64_t length = 0;  ///< of the whole record, in octets
  std::uint64_t references = 0;

  bool same_place(const BlobRow& other) const noexcept { return segment == other.segment && offset == other.offset && length == other.length; }
  bool operator==(const BlobRow&) const = default;
};
std::array<char, 8> blob_key(BlobId id) noexcept;
std::string encode_blob_row(const BlobRow& row);
Result<BlobRow> decode_blob_row(std::string_view octets);

/// What the index knows of a segment: what lies beyond `length` was never acknowledged.
struct SegmentRow {
  std::uint64_t length = 0;  ///< octets in use, file header included
  std::uint64_t live = 0;    ///< octets of records that blob rows name; changes in the transaction that changes those
  /// Octets that compaction can reclaim.
  std::uint64_t dead() const noexcept { return length - kFileHeaderSize - live; }
  bool operator==(const SegmentRow&) const = default;
};
std::array<char, 4> segment_key(std::uint32_t segment) noexcept;
std::string encode_segment_row(const SegmentRow& row);
Result<SegmentRow> decode_segment_row(std::string_view octets);

}  // namespace relais::storage
