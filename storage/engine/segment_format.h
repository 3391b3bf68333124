// The octets of segment files: file header, record headers. docs/format.md has them in tables.
#pragma once

#include "base/result.h"
#include "storage/blob.h"
#include "storage/engine.h"
#include "storage/types.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace relais::storage {

/// Tells the files of one shard from those of another.
using ShardUuid = std::array<char, 16>;

// ---- file header
inline constexpr std::size_t kFileHeaderSize = 36;
inline constexpr std::uint16_t kSegmentVersion = 1;

struct FileHeader {
  std::uint32_t segment = 0;
  ShardUuid shard{};
  bool operator==(const FileHeader&) const = default;
};

std::string encode_file_header(const FileHeader& header);
/// @return Fault::corrupt naming what is wrong; a version of a later release is named as such.
Result<FileHeader> decode_file_header(std::string_view octets);

// ---- records: a header with a row per chunk, then the chunks
inline constexpr std::size_t kRecordFixedSize = 36;
inline constexpr std::size_t kChunkRowSize = 13;
inline constexpr std::size_t kChecksumSize = 4;
inline constexpr std::uint8_t kRecordVersion = 1;
inline constexpr std::uint32_t kMaxChunks = 1U << 20;  ///< 256 GB; keeps a damaged count from being believed

/// Octets of a header with so many chunks.
constexpr std::size_t record_header_size(std::size_t chunks) { return kRecordFixedSize + chunks * kChunkRowSize + kChecksumSize; }
/// Octets of the whole record.
std::uint64_t record_size(const EncodedBlob& blob);
/// Appends the header of the blob's record to `out`; the chunks' octets follow it in the file.
void encode_record_header(BlobId id, AccountId account, const EncodedBlob& blob, std::string& out);

/// A record's header, read in place.
class RecordHeader {
 public:
  /// How many octets the header takes, told from the first kRecordFixedSize octets. Fault::corrupt where they start no record.
  static Result<std::size_t> size_of(std::string_view octets);
  /// Verifies checksum and sums.
  /// @param octets  a whole header at least; must outlive the RecordHeader
  static Result<RecordHeader> decode(std::string_view octets);

  BlobId blob() const noexcept { return blob_; }
  AccountId account() const noexcept { return account_; }
  std::uint64_t length() const noexcept { return length_; }  ///< octets of the whole record
  std::size_t header_size() const noexcept { return record_header_size(chunks_); }
  std::uint32_t chunks() const noexcept { return chunks_; }
  ChunkInfo chunk(std::uint32_t i) const noexcept;

 private:
  RecordHeader() = default;
  BlobId blob_{};
  AccountId account_{};
  std::uint64_t length_ = 0;
  std::uint32_t chunks_ = 0;
  std::string_view rows_;
};

/// Verifies a whole record in memory: header, id, every chunk's checksum; with `decompress` also that every chunk decodes.
Result<void> verify_record(std::string_view octets, BlobId id, bool decompress);

}  // namespace relais::storage
