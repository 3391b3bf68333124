// Preparing messages.
#include "storage/model/prepared.h"

#include "storage/model/digest.h"

#include <utility>
#include <vector>

namespace relais::storage {
namespace {

SharedChunks chunks_of(const EncodedBlob& blob) {
  if (blob.parts().size() == 1) return blob.parts().front();
  std::vector<Chunk> all;
  all.reserve(blob.chunk_count());
  for (const auto& part : blob.parts()) all.insert(all.end(), part->begin(), part->end());
  return std::make_shared<const std::vector<Chunk>>(std::move(all));
}

}  // namespace

PreparedMessage::PreparedMessage(std::string_view octets, Compression compression)
    : size_(octets.size()), chunks_(encode_chunks(octets, compression)), summary_(message::summarize(octets)), digest_(model::sha256_prefix(octets)) {}

PreparedMessage::PreparedMessage(const EncodedBlob& blob, message::Summary summary, std::uint64_t digest)
    : size_(blob.raw_size()), chunks_(chunks_of(blob)), summary_(std::move(summary)), digest_(digest) {}

}  // namespace relais::storage
