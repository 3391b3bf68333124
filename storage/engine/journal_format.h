// The octets of journal records: one group of changes each. docs/format.md has them in tables.
#pragma once

#include "base/result.h"
#include "storage/engine/index_format.h"
#include "storage/engine/mem_table.h"
#include "storage/engine/segment_format.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace relais::storage {

/// Records start at multiples of so many octets, so that writing one never touches the disk's blocks of another.
inline constexpr std::uint64_t kJournalAlign = 4096;
inline constexpr std::size_t kJournalHeaderSize = 40;
inline constexpr std::uint8_t kJournalVersion = 1;

/// A record: this header, then `rows` octets of changed rows, then `octets` octets that belong into segments.
struct JournalHeader {
  std::uint64_t epoch = 0;
  Version version = 0;
  std::uint32_t rows = 0;      ///< octets
  std::uint64_t octets = 0;
  std::uint32_t checksum = 0;  ///< CRC-32C over the shard's id, the header before it, and all that follows

  std::uint64_t size() const noexcept { return kJournalHeaderSize + rows + octets; }
};

/// The header with a checksum field still to be set: encode, add up the checksum with journal_checksum() and crc32c(), encode again.
std::string encode_journal_header(const JournalHeader& header);
/// nullopt where no header of this version starts here; the checksum is not verified.
std::optional<JournalHeader> decode_journal_header(std::string_view octets) noexcept;
/// The checksum of shard id and header; go on with crc32c over rows and octets.
std::uint32_t journal_checksum(const ShardUuid& shard, const JournalHeader& header);

/// The rows part of a record, in the order in which it is read back: changed rows, then where the octets belong.
class JournalRows {
 public:
  /// @param key  with its kind's letter   @param stored  nullopt: erased
  void add(std::string_view key, std::optional<std::string_view> stored);
  /// The next `length` octets of the record belong there.
  void add_octets(std::uint32_t segment, std::uint64_t offset, std::uint64_t length);
  std::string finish();
  bool empty() const noexcept { return rows_.empty(); }

 private:
  std::string rows_;
  std::string places_;
  std::uint64_t row_count_ = 0;
  std::uint64_t place_count_ = 0;
};

struct JournalVisitor {
  std::function<Result<void>(RowKind kind, std::string_view index_key, std::optional<std::string_view> stored)> row;
  std::function<Result<void>(std::uint32_t segment, std::uint64_t offset, std::string_view octets)> octets;
};

/// Walks a record whose checksum was verified. Fault::corrupt where it does not decode all the same; a visitor's error ends the walk.
Result<void> walk_journal_record(std::string_view rows, std::string_view octets, const JournalVisitor& visit);

}  // namespace relais::storage
