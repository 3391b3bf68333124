// Encodes and decodes the headers of segment files and of their records.
#include "storage/engine/segment_format.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/encode.h"
#include "storage/engine/errors.h"

namespace relais::storage {
namespace {

constexpr std::string_view kFileMagic = "RelaisSg";
constexpr std::string_view kRecordMagic = "RBlb";

}  // namespace

std::string encode_file_header(const FileHeader& header) {
  std::string out(kFileMagic);
  put_u16(out, kSegmentVersion);
  put_u16(out, 0);
  put_u32(out, header.segment);
  out.append(header.shard.data(), header.shard.size());
  put_u32(out, crc32c(out));
  RELAIS_CHECK(out.size() == kFileHeaderSize);
  return out;
}

Result<FileHeader> decode_file_header(std::string_view octets) {
  if (octets.size() < kFileHeaderSize) return fail(damaged("segment file without header"));
  octets = octets.substr(0, kFileHeaderSize);
  Decoder in(octets);
  if (in.octets(kFileMagic.size()) != kFileMagic) return fail(damaged("not a segment file"));
  if (const auto version = in.u16(); version != kSegmentVersion) return fail(damaged("segment file of unknown version " + std::to_string(version)));
  in.u16();
  FileHeader header{.segment = in.u32()};
  const auto shard = in.octets(header.shard.size());
  const auto checksum = in.u32();
  if (!in.done() || checksum != crc32c(octets.substr(0, kFileHeaderSize - kChecksumSize))) return fail(damaged("segment header checksum differs"));
  shard.copy(header.shard.data(), header.shard.size());
  return header;
}

std::uint64_t record_size(const EncodedBlob& blob) { return record_header_size(blob.chunk_count()) + blob.stored_size(); }

void encode_record_header(BlobId id, AccountId account, const EncodedBlob& blob, std::string& out) {
  RELAIS_CHECK(blob.chunk_count() <= kMaxChunks);
  const std::size_t start = out.size();
  out += kRecordMagic;
  put_u8(out, kRecordVersion);
  out.append(3, '\0');
  put_u32(out, static_cast<std::uint32_t>(blob.chunk_count()));
  put_u64(out, static_cast<std::uint64_t>(id));
  put_u64(out, static_cast<std::uint64_t>(account));
  put_u64(out, record_size(blob));
  for (const auto& part : blob.parts())
    for (const auto& chunk : *part) {
      put_u32(out, chunk.info.raw_size);
      put_u32(out, chunk.info.stored_size);
      put_u8(out, static_cast<std::uint8_t>(chunk.info.compression));
      put_u32(out, chunk.info.checksum);
    }
  put_u32(out, crc32c(std::string_view(out).substr(start)));
}

Result<std::size_t> RecordHeader::size_of(std::string_view octets) {
  if (octets.size() < kRecordFixedSize) return fail(damaged("record is cut short"));
  Decoder in(octets);
  if (in.octets(kRecordMagic.size()) != kRecordMagic) return fail(damaged("no record where one should start"));
  if (const auto version = in.u8(); version != kRecordVersion) return fail(damaged("record of unknown version " + std::to_string(version)));
  in.octets(3);
  const auto chunks = in.u32();
  if (chunks > kMaxChunks) return fail(damaged("record with too many chunks"));
  return record_header_size(chunks);
}

Result<RecordHeader> RecordHeader::decode(std::string_view octets) {
  RELAIS_TRY(const auto size, size_of(octets));
  if (octets.size() < size) return fail(damaged("record is cut short"));
  octets = octets.substr(0, size);
  Decoder in(octets);
  in.octets(8);
  RecordHeader header;
  header.chunks_ = in.u32();
  header.blob_ = static_cast<BlobId>(in.u64());
  header.account_ = static_cast<AccountId>(in.u64());
  header.length_ = in.u64();
  header.rows_ = in.octets(header.chunks_ * kChunkRowSize);
  const auto checksum = in.u32();
  if (!in.done() || checksum != crc32c(octets.substr(0, size - kChecksumSize))) return fail(damaged("record header checksum differs"));
  std::uint64_t length = size;
  for (std::uint32_t i = 0; i < header.chunks_; ++i) length += header.chunk(i).stored_size;
  if (length != header.length_) return fail(damaged("record length differs from its chunks"));
  return header;
}

ChunkInfo RecordHeader::chunk(std::uint32_t i) const noexcept {
  Decoder in(rows_.substr(i * kChunkRowSize, kChunkRowSize));
  ChunkInfo info;
  info.raw_size = in.u32();
  info.stored_size = in.u32();
  info.compression = static_cast<Compression>(in.u8());
  info.checksum = in.u32();
  return info;
}

Result<void> verify_record(std::string_view octets, BlobId id, bool decompress) {
  RELAIS_TRY(const auto header, RecordHeader::decode(octets));
  if (header.blob() != id) return fail(damaged("record of another blob"));
  if (octets.size() < header.length()) return fail(damaged("record is cut short"));
  octets.remove_prefix(header.header_size());
  for (std::uint32_t i = 0; i < header.chunks(); ++i) {
    const auto info = header.chunk(i);
    const auto stored = octets.substr(0, info.stored_size);
    if (decompress) {
      RELAIS_TRY_VOID(verify_chunk(info, stored));
    } else if (crc32c(stored) != info.checksum) {
      return fail(damaged("chunk checksum differs"));
    }
    octets.remove_prefix(info.stored_size);
  }
  return {};
}

}  // namespace relais::storage
