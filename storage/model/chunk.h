// Hot records: what changes of a message (flags, mod-sequence) and its size, packed in chunks so that scans touch little.
#pragma once

#include "base/result.h"
#include "storage/types.h"

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace relais::storage::model {

struct HotRecord {
  Uid uid = 0;
  std::uint32_t size = 0;  ///< octets of the message
  ModSeq mod_seq = 0;
  FlagBits flags = 0;
  friend bool operator==(const HotRecord&, const HotRecord&) = default;
};

inline constexpr std::size_t kChunkRecords = 64;   ///< at most; two full chunks share one 4 KB page of LMDB
inline constexpr std::size_t kChunkHeader = 16;    ///< octets
inline constexpr std::size_t kHotRecord = 24;      ///< octets
inline constexpr std::uint8_t kChunkVersion = 1;

template <class T>
T load_big_endian(const char* at) noexcept {
  T v;
  std::memcpy(&v, at, sizeof v);
  if constexpr (std::endian::native == std::endian::little) v = std::byteswap(v);
  return v;
}
template <class T>
void store_big_endian(char* at, T v) noexcept {
  if constexpr (std::endian::native == std::endian::little) v = std::byteswap(v);
  std::memcpy(at, &v, sizeof v);
}

/// Reads an encoded chunk in place: octets version, count, unseen, deleted, u32 last UID, u64 highest mod-sequence; then the records, each
/// u32 UID, u32 size, u64 mod-sequence, u64 flags, ascending UID.
class ChunkView {
 public:
  /// @return Fault::corrupt where version or size are wrong. The records' contents are check_model()'s business.
  static Result<ChunkView> parse(std::string_view value);

  std::size_t count() const noexcept { return octet(1); }
  std::uint32_t unseen() const noexcept { return octet(2); }
  std::uint32_t deleted() const noexcept { return octet(3); }
  Uid first_uid() const noexcept { return uid(0); }
  Uid last_uid() const noexcept { return load_big_endian<std::uint32_t>(value_.data() + 4); }
  ModSeq max_mod_seq() const noexcept { return load_big_endian<std::uint64_t>(value_.data() + 8); }

  Uid uid(std::size_t i) const noexcept { return load_big_endian<std::uint32_t>(at(i)); }
  std::uint32_t size(std::size_t i) const noexcept { return load_big_endian<std::uint32_t>(at(i) + 4); }
  ModSeq mod_seq(std::size_t i) const noexcept { return load_big_endian<std::uint64_t>(at(i) + 8); }
  FlagBits flags(std::size_t i) const noexcept { return load_big_endian<std::uint64_t>(at(i) + 16); }
  HotRecord record(std::size_t i) const noexcept { return {uid(i), size(i), mod_seq(i), flags(i)}; }
  /// Index of the first record whose UID is not below `uid`; count() where there is none.
  std::size_t lower_bound(Uid uid) const noexcept;

 private:
  explicit ChunkView(std::string_view value) noexcept : value_(value) {}
  std::uint8_t octet(std::size_t i) const noexcept { return static_cast<std::uint8_t>(value_[i]); }
  const char* at(std::size_t i) const noexcept { return value_.data() + kChunkHeader + i * kHotRecord; }
  std::string_view value_;
};

/// What a group of neighbouring chunks holds in sum, so that a mailbox of a million messages is looked over in 250 steps. A group is named after
/// the first UID that it ever held and reaches to the next group.
struct GroupRecord {
  Uid last_uid = 0;           ///< the highest that it ever held
  std::uint32_t messages = 0; ///< at least 1 when stored
  std::uint32_t unseen = 0;
  std::uint32_t deleted = 0;
  ModSeq max_mod_seq = 0;     ///< no record is above it
  friend bool operator==(const GroupRecord&, const GroupRecord&) = default;
  /// Every UID from `first`, the group's name, to last_uid is there.
  bool solid(Uid first) const noexcept { return last_uid - first + 1 == messages; }
};
inline constexpr std::uint32_t kGroupMessages = 4'096;  ///< from so many on, the next chunk begins a new group
inline constexpr std::uint8_t kGroupVersion = 1;

std::string encode(const GroupRecord& group);
Result<GroupRecord> decode_group(std::string_view octets);

/// A chunk that is being edited.
class HotChunk {
 public:
  HotChunk() = default;
  explicit HotChunk(const ChunkView& view) noexcept;

  std::size_t count() const noexcept { return count_; }
  bool full() const noexcept { return count_ == kChunkRecords; }
  HotRecord& operator[](std::size_t i) noexcept { return records_[i]; }
  const HotRecord& operator[](std::size_t i) const noexcept { return records_[i]; }
  const HotRecord* begin() const noexcept { return records_.data(); }
  const HotRecord* end() const noexcept { return records_.data() + count_; }
  /// Not for a full chunk; UIDs ascend.
  void push_back(const HotRecord& record) noexcept;
  /// Keeps the first `count`.
  void truncate(std::size_t count) noexcept { count_ = count; }
  std::uint32_t unseen() const noexcept;
  std::uint32_t deleted() const noexcept;
  /// Replaces `out` by the encoded chunk. Not for an empty one.
  void encode(std::string& out) const;

 private:
  std::array<HotRecord, kChunkRecords> records_{};
  std::size_t count_ = 0;
};

}  // namespace relais::storage::model
