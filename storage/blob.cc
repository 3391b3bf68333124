// Cuts, compresses, checksums and decodes the chunks of blobs.
#include "storage/blob.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "storage/compression.h"

#include <algorithm>
#include <limits>

namespace relais::storage {
namespace {

std::unexpected<Error> corrupt(std::string_view detail) { return fail(Fault::corrupt, "stored message is damaged", {}, detail); }

Chunk encode_chunk(std::string_view raw, Compression compression) {
  Chunk chunk;
  chunk.info.raw_size = static_cast<std::uint32_t>(raw.size());
  if (raw.size() >= kMinCompressed) {
    thread_local std::string scratch;
    if (compress(compression, raw, scratch) && scratch.size() <= raw.size() - raw.size() / 16) {
      chunk.info.compression = compression;
      chunk.octets = scratch;
    }
  }
  if (chunk.info.compression == Compression::none) chunk.octets = raw;
  chunk.info.stored_size = static_cast<std::uint32_t>(chunk.octets.size());
  chunk.info.checksum = crc32c(chunk.octets);
  return chunk;
}

Result<void> check_stored(const ChunkInfo& info, std::string_view stored) {
  if (info.raw_size == 0 || info.raw_size > kChunkSize) return corrupt("chunk size out of range");
  if (stored.size() != info.stored_size) return corrupt("chunk is cut short");
  if (crc32c(stored) != info.checksum) return corrupt("chunk checksum differs");
  switch (info.compression) {
    case Compression::none: return info.raw_size == info.stored_size ? Result<void>() : corrupt("raw chunk of two sizes");
    case Compression::zstd:
    case Compression::lz4: return {};
  }
  return corrupt("unknown compression");
}

const std::string& scratch_decode(const ChunkInfo& info, std::string_view stored, bool& ok) {
  thread_local std::string scratch;
  scratch.resize(kChunkSize);
  ok = decompress(info.compression, stored, scratch.data(), info.raw_size);
  return scratch;
}

}  // namespace

SharedChunks encode_chunks(std::string_view octets, Compression compression) {
  std::vector<Chunk> chunks;
  chunks.reserve((octets.size() + kChunkSize - 1) / kChunkSize);
  for (; !octets.empty(); octets.remove_prefix(std::min(kChunkSize, octets.size())))
    chunks.push_back(encode_chunk(octets.substr(0, kChunkSize), compression));
  return std::make_shared<const std::vector<Chunk>>(std::move(chunks));
}

EncodedBlob::EncodedBlob(std::vector<SharedChunks> parts) : parts_(std::move(parts)) {
  for (const auto& part : parts_) {
    RELAIS_CHECK(part != nullptr);
    chunk_count_ += part->size();
    for (const auto& chunk : *part) {
      raw_size_ += chunk.info.raw_size;
      stored_size_ += chunk.info.stored_size;
    }
  }
}

Result<void> EncodedBlob::decode(std::uint64_t offset, std::uint64_t length, std::string& into) const {
  const std::uint64_t end =
      length > std::numeric_limits<std::uint64_t>::max() - offset ? std::numeric_limits<std::uint64_t>::max() : offset + length;
  std::uint64_t at = 0;
  for (const auto& part : parts_)
    for (const auto& chunk : *part) {
      const std::uint64_t next = at + chunk.info.raw_size;
      if (next > offset && at < end) {
        const std::uint64_t from = std::max(at, offset) - at;
        RELAIS_TRY_VOID(decode_chunk(chunk.info, chunk.octets, from, std::min(next, end) - at - from, into));
      }
      at = next;
    }
  return {};
}

std::shared_ptr<const EncodedBlob> make_blob(std::string_view prefix, SharedChunks shared) {
  std::vector<SharedChunks> parts;
  parts.reserve(2);
  if (!prefix.empty()) parts.push_back(encode_chunks(prefix));
  parts.push_back(std::move(shared));
  return std::make_shared<const EncodedBlob>(std::move(parts));
}

Result<void> decode_chunk(const ChunkInfo& info, std::string_view stored, std::uint64_t offset, std::uint64_t length, std::string& into) {
  RELAIS_TRY_VOID(check_stored(info, stored));
  if (offset >= info.raw_size) return {};
  const std::size_t from = static_cast<std::size_t>(offset);
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(length, info.raw_size - offset));
  if (info.compression == Compression::none) {
    into.append(stored.substr(from, size));
    return {};
  }
  bool ok = true;
  if (from == 0 && size == info.raw_size) {  // straight into its place
    const std::size_t before = into.size();
    into.resize_and_overwrite(before + size, [&](char* octets, std::size_t) {  // libstdc++ 12 passes the capacity, not the size asked for
      ok = decompress(info.compression, stored, octets + before, info.raw_size);
      return ok ? before + size : before;
    });
  } else {
    const auto& decoded = scratch_decode(info, stored, ok);
    if (ok) into.append(decoded, from, size);
  }
  return ok ? Result<void>() : corrupt("chunk does not decompress");
}

Result<void> verify_chunk(const ChunkInfo& info, std::string_view stored) {
  RELAIS_TRY_VOID(check_stored(info, stored));
  bool ok = true;
  if (info.compression != Compression::none) scratch_decode(info, stored, ok);
  return ok ? Result<void>() : corrupt("chunk does not decompress");
}

}  // namespace relais::storage
