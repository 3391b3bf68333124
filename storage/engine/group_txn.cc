// Collects the changes of a group.
#include "storage/engine/group_txn.h"

#include "base/encode.h"

namespace relais::storage {

Result<std::uint64_t> GroupTxn::references(BlobId id) const {
  RELAIS_TRY(const auto row, blob(id));
  return row ? row->references : 0;
}

Result<std::optional<BlobRow>> GroupTxn::blob(BlobId id) const {
  const auto key = blob_key(id);
  const RowKey full(RowPrefix(RowKind::blob), {key.data(), key.size()});
  if (const auto found = changes_.find(full.view(), kNewest); found.there) {
    if (!found.value) return std::nullopt;
    RELAIS_TRY(auto row, decode_blob_row(*found.value));
    return row;
  }
  return blob_row(view_, id);
}

void GroupTxn::put_entry(AccountId account, std::string_view key, std::string_view value) {
  const RowKey full(RowPrefix(account), key);
  const auto checksum = entry_checksum(full.index_key(), value);
  std::array<char, sizeof checksum> tail;
  for (std::size_t i = 0; i < tail.size(); ++i) tail[i] = static_cast<char>(static_cast<unsigned char>(checksum >> (24 - 8 * i)));
  changes_.add(full.view(), kOnly, value, {tail.data(), tail.size()});
}

void GroupTxn::erase_entry(AccountId account, std::string_view key) { changes_.add(RowKey(RowPrefix(account), key).view(), kOnly, std::nullopt); }

void GroupTxn::put_blob(BlobId id, const BlobRow& row) {
  const auto key = blob_key(id);
  changes_.add(RowKey(RowPrefix(RowKind::blob), {key.data(), key.size()}).view(), kOnly, encode_blob_row(row), {});
}

void GroupTxn::erase_blob(BlobId id) {
  const auto key = blob_key(id);
  changes_.add(RowKey(RowPrefix(RowKind::blob), {key.data(), key.size()}).view(), kOnly, std::nullopt);
}

void GroupTxn::put_segment(std::uint32_t segment, const SegmentRow& row) {
  const auto key = segment_key(segment);
  changes_.add(RowKey(RowPrefix(RowKind::segment), {key.data(), key.size()}).view(), kOnly, encode_segment_row(row), {});
}

void GroupTxn::erase_segment(std::uint32_t segment) {
  const auto key = segment_key(segment);
  changes_.add(RowKey(RowPrefix(RowKind::segment), {key.data(), key.size()}).view(), kOnly, std::nullopt);
}

void GroupTxn::put_next_blob(std::uint64_t next) {
  std::string octets;
  put_u64(octets, next);
  changes_.add(RowKey(RowPrefix(RowKind::meta), kNextBlobKey).view(), kOnly, octets, {});
}

void GroupTxn::write(JournalRows& rows) const {
  MemTable::Cursor row(changes_, kNewest);
  for (row.seek({}); row.valid(); row.next()) rows.add(row.key(), row.value());
}

void GroupTxn::add_to(MemTable& table, Version version) const {
  MemTable::Cursor row(changes_, kNewest);
  for (row.seek({}); row.valid(); row.next()) table.add(row.key(), version, row.value());
}

}  // namespace relais::storage
