// Blobs as they are prepared for storage: octets cut into chunks that are compressed and checksummed each on its own.
#pragma once

#include "base/result.h"
#include "storage/compression.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage {

/// Octets of a chunk before compression, at most: a range of a large blob costs no more than its chunks.
inline constexpr std::size_t kChunkSize = 256 * 1024;
/// Below this many octets compression gains nothing worth its time.
inline constexpr std::size_t kMinCompressed = 512;

/// What a chunk's row in a record says of it; docs/format.md has the octets.
struct ChunkInfo {
  std::uint32_t raw_size = 0;     ///< octets once decoded, 1 … kChunkSize
  std::uint32_t stored_size = 0;  ///< octets as stored
  Compression compression = Compression::none;
  std::uint32_t checksum = 0;     ///< CRC-32C of the stored octets

  bool operator==(const ChunkInfo&) const = default;
};

struct Chunk {
  ChunkInfo info;
  std::string octets;  ///< as stored
};

/// Chunks that any number of blobs share. Immutable; any thread. Not null; empty for no octets.
using SharedChunks = std::shared_ptr<const std::vector<Chunk>>;

/// Cuts, compresses (where that saves at least a sixteenth) and checksums. About 10 µs for 10 KB of text: call it before a transaction, and
/// on a worker for large ones. Threads: any.
SharedChunks encode_chunks(std::string_view octets, Compression compression = Compression::lz4);

/// A blob ready to be stored: the chunks of its parts, one after the other. Immutable; any thread; cheap to make of shared parts.
class EncodedBlob {
 public:
  explicit EncodedBlob(std::vector<SharedChunks> parts);

  const std::vector<SharedChunks>& parts() const noexcept { return parts_; }
  std::size_t chunk_count() const noexcept { return chunk_count_; }
  std::uint64_t raw_size() const noexcept { return raw_size_; }        ///< octets once decoded
  std::uint64_t stored_size() const noexcept { return stored_size_; }  ///< octets of all chunks as stored

  /// Appends [offset, offset + length) of the decoded octets to `into`, less at the end. Fault::corrupt as decode_chunk().
  Result<void> decode(std::uint64_t offset, std::uint64_t length, std::string& into) const;

 private:
  std::vector<SharedChunks> parts_;
  std::size_t chunk_count_ = 0;
  std::uint64_t raw_size_ = 0;
  std::uint64_t stored_size_ = 0;
};

/// A blob of a small own part (the trace header of one recipient) and shared chunks (the message, compressed once for all recipients).
/// `prefix` may be empty.
std::shared_ptr<const EncodedBlob> make_blob(std::string_view prefix, SharedChunks shared);

/// Verifies the chunk and appends [offset, offset + length) of its decoded octets to `into`, which is unchanged after an error.
/// @param stored  info.stored_size octets, as stored
/// @return Fault::corrupt where checksum, compression or sizes do not hold. No input makes it crash or take more than kChunkSize.
Result<void> decode_chunk(const ChunkInfo& info, std::string_view stored, std::uint64_t offset, std::uint64_t length, std::string& into);

/// As decode_chunk, without the octets: for checks.
Result<void> verify_chunk(const ChunkInfo& info, std::string_view stored);

}  // namespace relais::storage
