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

/// What a row is; each kind has a database of its own in the index, and its letter in front of its keys in memory and in the journal.
enum class RowKind : char {
  entry = 'e',    ///< key: account, big-endian, then the account's own key; value: the account's, then entry_checksum()
  blob = 'b',     ///< key: blob_key(); value: BlobRow
  segment = 's',  ///< key: segment_key(); value: SegmentRow
  meta = 'm',     ///< key: a name; value: as kNextBlobKey and its siblings say
};
std::optional<RowKind> row_kind(char letter) noexcept;

inline constexpr std::string_view kFormatKey = "format";        ///< meta: one octet, kIndexVersion
inline constexpr std::string_view kShardKey = "shard";          ///< meta: ShardUuid
inline constexpr std::string_view kNextBlobKey = "next-blob";   ///< meta: u64, the lowest blob id not given yet
inline constexpr std::string_view kJournalKey = "journal";      ///< meta: JournalRow

/// Which rows a reader shows, and the part of their keys that it does not: the kind's letter and, for one account's entries, the account.
class RowPrefix {
 public:
  explicit RowPrefix(RowKind kind) noexcept : size_(1), kind_(kind) { octets_[0] = static_cast<char>(kind); }
  /// One account's entries.
  explicit RowPrefix(AccountId account) noexcept;
  /// All entries, keys with their account, values with their checksum, which is not verified: for checks.
  static RowPrefix raw_entries() noexcept;

  RowKind kind() const noexcept { return kind_; }
  std::string_view view() const noexcept { return {octets_.data(), size_}; }
  /// True where values end with a checksum that readers verify and take off.
  bool checksummed() const noexcept { return kind_ == RowKind::entry && !raw_; }
  /// What a reader shows of a value as it is stored.
  std::string_view value_of(std::string_view stored) const noexcept {
    return checksummed() && stored.size() >= sizeof(std::uint32_t) ? stored.substr(0, stored.size() - sizeof(std::uint32_t)) : stored;
  }

 private:
  std::array<char, 1 + kAccountSize> octets_{};
  std::size_t size_;
  RowKind kind_;
  bool raw_ = false;
};

/// A whole key: prefix and the rest. On the stack: it is made for every get.
class RowKey {
 public:
  RowKey(const RowPrefix& rows, std::string_view key) noexcept;
  /// With the kind's letter, as in memory.
  std::string_view view() const noexcept { return {octets_.data(), size_}; }
  /// Without, as in the index.
  std::string_view index_key() const noexcept { return view().substr(1); }

 private:
  std::array<char, 1 + kAccountSize + kMaxKey + 1> octets_;  // a range's end may be one octet longer than any key
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

/// Up to where the journal's groups are in the index.
struct JournalRow {
  std::uint64_t epoch = 1;     ///< what the index lacks is in the journals of this epoch and later
  std::uint64_t version = 0;   ///< of the last group that the index has
  bool operator==(const JournalRow&) const = default;
};
std::string encode_journal_row(const JournalRow& row);
Result<JournalRow> decode_journal_row(std::string_view octets);

}  // namespace relais::storage
