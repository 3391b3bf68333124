// Encoding of chunks of hot records.
#include "storage/model/chunk.h"

#include "base/check.h"
#include "base/encode.h"

#include <algorithm>

namespace relais::storage::model {

Result<ChunkView> ChunkView::parse(std::string_view value) {
  if (value.size() >= kChunkHeader + kHotRecord && static_cast<std::uint8_t>(value[0]) == kChunkVersion) {
    const auto count = static_cast<std::uint8_t>(value[1]);
    if (count <= kChunkRecords && value.size() == kChunkHeader + count * kHotRecord) return ChunkView(value);
  }
  return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "chunk of hot records has a wrong version or size");
}

std::size_t ChunkView::lower_bound(Uid wanted) const noexcept {
  std::size_t low = 0;
  std::size_t high = count();
  while (low < high) {
    const auto middle = (low + high) / 2;
    if (uid(middle) < wanted) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

HotChunk::HotChunk(const ChunkView& view) noexcept : count_(view.count()) {
  for (std::size_t i = 0; i < count_; ++i) records_[i] = view.record(i);
}

void HotChunk::push_back(const HotRecord& record) noexcept {
  RELAIS_CHECK(!full() && (count_ == 0 || records_[count_ - 1].uid < record.uid));
  records_[count_++] = record;
}

std::uint32_t HotChunk::unseen() const noexcept {
  return static_cast<std::uint32_t>(std::ranges::count_if(*this, [](const HotRecord& r) { return (r.flags & kSeen) == 0; }));
}

std::uint32_t HotChunk::deleted() const noexcept {
  return static_cast<std::uint32_t>(std::ranges::count_if(*this, [](const HotRecord& r) { return (r.flags & kDeleted) != 0; }));
}

void HotChunk::encode(std::string& out) const {
  RELAIS_CHECK(count_ > 0);
  out.resize(kChunkHeader + count_ * kHotRecord);
  ModSeq highest = 0;
  char* at = out.data() + kChunkHeader;
  for (const auto& r : *this) {
    store_big_endian(at, r.uid);
    store_big_endian(at + 4, r.size);
    store_big_endian(at + 8, r.mod_seq);
    store_big_endian(at + 16, r.flags);
    at += kHotRecord;
    highest = std::max(highest, r.mod_seq);
  }
  out[0] = static_cast<char>(kChunkVersion);
  out[1] = static_cast<char>(count_);
  out[2] = static_cast<char>(unseen());
  out[3] = static_cast<char>(deleted());
  store_big_endian(out.data() + 4, records_[count_ - 1].uid);
  store_big_endian(out.data() + 8, highest);
}

std::string encode(const GroupRecord& group) {
  std::string out;
  put_u8(out, kGroupVersion);
  put_u32(out, group.last_uid);
  put_u32(out, group.messages);
  put_u32(out, group.unseen);
  put_u32(out, group.deleted);
  put_u64(out, group.max_mod_seq);
  return out;
}

Result<GroupRecord> decode_group(std::string_view octets) {
  Decoder in(octets);
  GroupRecord group;
  const bool known = in.u8() == kGroupVersion;
  group.last_uid = in.u32();
  group.messages = in.u32();
  group.unseen = in.u32();
  group.deleted = in.u32();
  group.max_mod_seq = in.u64();
  if (!known || !in.done()) return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", "group record does not decode");
  return group;
}

}  // namespace relais::storage::model
