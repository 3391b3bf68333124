// A message ready to be appended: parsed, compressed, digested.
#pragma once

#include "message/summary.h"
#include "storage/blob.h"
#include "storage/store.h"

#include <cstdint>
#include <memory>
#include <string_view>

namespace relais::storage {

/// See store.h. What append() needs of the octets; they themselves are kept compressed only.
class PreparedMessage {
 public:
  explicit PreparedMessage(std::string_view octets, Compression compression = Compression::lz4);
  /// One that is stored already.
  /// @param digest  the EMAILID that it has
  PreparedMessage(const EncodedBlob& blob, message::Summary summary, std::uint64_t digest);

  std::uint64_t size() const noexcept { return size_; }
  const SharedChunks& chunks() const noexcept { return chunks_; }
  const message::Summary& summary() const noexcept { return summary_; }
  /// 64 bits of SHA-256 of the octets.
  std::uint64_t digest() const noexcept { return digest_; }

 private:
  std::uint64_t size_;
  SharedChunks chunks_;
  message::Summary summary_;
  std::uint64_t digest_;
};

}  // namespace relais::storage
