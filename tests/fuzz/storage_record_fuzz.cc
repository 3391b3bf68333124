// What lies on disk and may have rotted: segment records, chunks, journal records, index rows.
//
// Properties: no crash or sanitizer report, no memory beyond the input's order (a chunk decodes to 256 KB at most); what verifies can be
// walked; rows that decode encode to the same octets.
#include "base/crc32c.h"
#include "base/encode.h"
#include "storage/blob.h"
#include "storage/engine/index_format.h"
#include "storage/engine/journal_format.h"
#include "storage/engine/segment_format.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace relais;
using namespace relais::storage;

void check(bool holds) {
  if (!holds) std::abort();
}

// Checksums are made right, so that what is behind them is reached.

void record(std::string_view in) {
  std::string octets(in);
  const auto size = RecordHeader::size_of(octets);
  if (size && *size <= octets.size()) {
    std::string checksum;
    put_u32(checksum, crc32c(std::string_view(octets).substr(0, *size - kChecksumSize)));
    octets.replace(*size - kChecksumSize, kChecksumSize, checksum);
  }
  const auto header = RecordHeader::decode(octets);
  if (!header) return;
  check(size && *size == header->header_size() && header->length() >= *size);
  std::uint64_t stored = 0;
  for (std::uint32_t i = 0; i < header->chunks(); ++i) stored += header->chunk(i).stored_size;
  check(*size + stored == header->length());
  const bool whole = verify_record(octets, header->blob(), false).has_value();
  check(whole || !verify_record(octets, header->blob(), true));
}

void chunk(std::string_view in) {
  Decoder fields(in);
  ChunkInfo info;
  info.raw_size = fields.u32();
  info.compression = static_cast<Compression>(fields.u8());
  const auto offset = fields.u16();
  const auto length = fields.u16();
  if (!fields.ok()) return;
  const auto stored = fields.rest();
  info.stored_size = static_cast<std::uint32_t>(stored.size());
  info.checksum = crc32c(stored);
  std::string whole = "kept";
  std::string part = "kept";
  const auto decoded = decode_chunk(info, stored, 0, UINT64_MAX, whole);
  check(decoded ? whole.size() == 4 + info.raw_size && info.raw_size <= kChunkSize : whole == "kept");
  const auto ranged = decode_chunk(info, stored, offset, length, part);
  check(ranged.has_value() == decoded.has_value() || offset >= info.raw_size);
  if (decoded && ranged && offset < info.raw_size) check(part.substr(4) == std::string_view(whole).substr(4).substr(offset, length));
  check(verify_chunk(info, stored).has_value() == decoded.has_value());
}

void journal(std::string_view in) {
  if (const auto header = decode_journal_header(in)) check(encode_journal_header(*header).size() == kJournalHeaderSize);
  Decoder fields(in);
  const auto split = fields.u16();  // where rows end and octets begin
  if (!fields.ok() || split > fields.rest().size()) return;
  in = fields.rest();
  JournalRows again;
  std::string octets;
  const JournalVisitor visitor{
      .row = [&](RowKind kind, std::string_view key, std::optional<std::string_view> stored) -> Result<void> {
        again.add(static_cast<char>(kind) + std::string(key), stored);
        return {};
      },
      .octets = [&](std::uint32_t segment, std::uint64_t offset, std::string_view part) -> Result<void> {
        again.add_octets(segment, offset, part.size());
        octets += part;
        return {};
      }};
  if (!walk_journal_record(in.substr(0, split), in.substr(split), visitor)) return;
  check(octets == in.substr(split));
  const JournalVisitor nothing{.row = [](RowKind, std::string_view, std::optional<std::string_view>) -> Result<void> { return {}; },
                               .octets = [](std::uint32_t, std::uint64_t, std::string_view) -> Result<void> { return {}; }};
  check(walk_journal_record(again.finish(), octets, nothing).has_value());
}

void rows(std::string_view in) {
  if (const auto row = decode_blob_row(in)) check(decode_blob_row(encode_blob_row(*row)) == *row);
  if (const auto row = decode_segment_row(in)) check(decode_segment_row(encode_segment_row(*row)) == *row);
  if (const auto row = decode_journal_row(in)) check(encode_journal_row(*row) == in);
  if (const auto header = decode_file_header(in)) check(decode_file_header(encode_file_header(*header)) == *header);
  (void)entry_value("key of an entry", in);
  (void)account_of(in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view in(reinterpret_cast<const char*>(data) + 1, size - 1);
  switch (data[0] % 4) {
    case 0: record(in); break;
    case 1: chunk(in); break;
    case 2: journal(in); break;
    default: rows(in); break;
  }
  return 0;
}
