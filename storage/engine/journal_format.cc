// Encodes and decodes journal records.
#include "storage/engine/journal_format.h"

#include "base/check.h"
#include "base/crc32c.h"
#include "base/encode.h"
#include "storage/engine/errors.h"

namespace relais::storage {
namespace {

constexpr std::string_view kMagic = "RJnl";
constexpr std::uint8_t kPut = 0;
constexpr std::uint8_t kErase = 1;

std::string encode_without_checksum(const JournalHeader& header) {
  std::string out(kMagic);
  put_u8(out, kJournalVersion);
  out.append(3, '\0');
  put_u64(out, header.epoch);
  put_u64(out, header.version);
  put_u32(out, header.rows);
  put_u64(out, header.octets);
  return out;
}

}  // namespace

std::string encode_journal_header(const JournalHeader& header) {
  auto out = encode_without_checksum(header);
  put_u32(out, header.checksum);
  RELAIS_CHECK(out.size() == kJournalHeaderSize);
  return out;
}

std::optional<JournalHeader> decode_journal_header(std::string_view octets) noexcept {
  Decoder in(octets.substr(0, kJournalHeaderSize));
  if (in.octets(kMagic.size()) != kMagic || in.u8() != kJournalVersion) return std::nullopt;
  in.octets(3);
  JournalHeader header{.epoch = in.u64(), .version = in.u64(), .rows = in.u32(), .octets = in.u64(), .checksum = in.u32()};
  if (!in.done()) return std::nullopt;
  return header;
}

std::uint32_t journal_checksum(const ShardUuid& shard, const JournalHeader& header) {
  return crc32c(encode_without_checksum(header), crc32c({shard.data(), shard.size()}));
}

void JournalRows::add(std::string_view key, std::optional<std::string_view> stored) {
  ++row_count_;
  put_u8(rows_, stored ? kPut : kErase);
  put_string(rows_, key);
  if (stored) put_string(rows_, *stored);
}

void JournalRows::add_octets(std::uint32_t segment, std::uint64_t offset, std::uint64_t length) {
  ++place_count_;
  put_varint(places_, segment);
  put_varint(places_, offset);
  put_varint(places_, length);
}

std::string JournalRows::finish() {
  std::string out;
  out.reserve(rows_.size() + places_.size() + 20);
  put_varint(out, row_count_);
  out += rows_;
  put_varint(out, place_count_);
  out += places_;
  return out;
}

Result<void> walk_journal_record(std::string_view rows, std::string_view octets, const JournalVisitor& visit) {
  Decoder in(rows);
  for (auto count = in.varint(); count > 0 && in.ok(); --count) {
    const auto operation = in.u8();
    const auto key = in.string();
    const auto stored = operation == kPut ? std::optional(in.string()) : std::nullopt;
    const auto kind = key.empty() ? std::nullopt : row_kind(key.front());
    if (!in.ok() || operation > kErase || !kind || key.size() == 1) return fail(damaged("journal row does not decode"));
    RELAIS_TRY_VOID(visit.row(*kind, key.substr(1), stored));
  }
  for (auto count = in.varint(); count > 0 && in.ok(); --count) {
    const auto segment = in.varint();
    const auto offset = in.varint();
    const auto length = in.varint();
    if (!in.ok() || segment > UINT32_MAX || offset > INT64_MAX || length > octets.size()) return fail(damaged("journal octets do not decode"));
    RELAIS_TRY_VOID(visit.octets(static_cast<std::uint32_t>(segment), offset, octets.substr(0, static_cast<std::size_t>(length))));
    octets.remove_prefix(static_cast<std::size_t>(length));
  }
  if (!in.done() || !octets.empty()) return fail(damaged("journal record does not add up"));
  return {};
}

}  // namespace relais::storage
