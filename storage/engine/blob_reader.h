// Reads records out of segment files: one read for a small one, the needed chunks of a large one.
#pragma once

#include "base/result.h"
#include "storage/blob.h"
#include "storage/engine/index_format.h"
#include "storage/engine/segments.h"

#include <cstdint>
#include <memory>
#include <string>

namespace relais::storage {

/// Records up to so many octets are read whole, with one call.
inline constexpr std::size_t kWholeRead = 512 * 1024;

enum class ReadMode : std::uint8_t {
  no_wait,  ///< from the page cache alone
  wait,     ///< from the disk
};

/// Appends [offset, offset + length) of a blob's decoded octets to `into`, which is unchanged unless true comes back.
/// @return false where it would have to wait for the disk (no_wait alone); Fault::corrupt where record or chunks do not verify;
///         Fault::temporary where the disk fails
Result<bool> read_record(const SegmentFolder& folder, const SegmentFile& file, const BlobRow& row, BlobId blob, std::uint64_t offset,
                         std::uint64_t length, ReadMode mode, std::string& into);

/// The whole blob with its chunks as stored, verified by their checksums. nullptr and errors as read_record()'s false and errors.
Result<std::shared_ptr<const EncodedBlob>> take_record(const SegmentFolder& folder, const SegmentFile& file, const BlobRow& row,
                                                       BlobId blob, ReadMode mode);

/// Reads exactly [offset, offset + size) of the file into `to`, waiting for the disk. Fault::corrupt where the file ends before.
Result<void> read_exactly(const SegmentFile& file, std::uint64_t offset, char* to, std::size_t size);

}  // namespace relais::storage
