// What the bodies of one group see and write: their own changes in front of what is committed.
#pragma once

#include "storage/engine/journal_format.h"
#include "storage/engine/layers.h"
#include "storage/engine/mem_table.h"
#include "storage/engine/overlay.h"

#include <cstdint>
#include <string_view>

namespace relais::storage {

/// The changes of a group until they are committed together. Written into a table that the committer reuses. One thread.
class GroupTxn final : public References {
 public:
  /// Both must outlive it; `changes` is empty.
  GroupTxn(const View& view, MemTable& changes) noexcept : view_(view), changes_(changes) {}

  const View& view() const noexcept { return view_; }
  const MemTable& changes() const noexcept { return changes_; }

  Result<std::uint64_t> references(BlobId blob) const override;
  Result<std::optional<BlobRow>> blob(BlobId id) const;

  void put_entry(AccountId account, std::string_view key, std::string_view value);
  void erase_entry(AccountId account, std::string_view key);
  void put_blob(BlobId id, const BlobRow& row);
  void erase_blob(BlobId id);
  void put_segment(std::uint32_t segment, const SegmentRow& row);
  void erase_segment(std::uint32_t segment);
  void put_next_blob(std::uint64_t next);

  /// Copies every change to a journal record, and …
  void write(JournalRows& rows) const;
  /// … to the table of committed rows.
  void add_to(MemTable& table, Version version) const;

 private:
  static constexpr Version kOnly = 1;  // later changes of a key replace earlier ones
  const View& view_;
  MemTable& changes_;
};

/// One account's entries as a body sees them before its own writes.
class GroupReader {
 public:
  GroupReader(const GroupTxn& txn, AccountId account)
      : committed_(txn.view(), RowPrefix(account)), reader_(committed_.top(), txn.changes(), kNewest, RowPrefix(account)) {}
  const Reader& top() const noexcept { return reader_; }

 private:
  Layers committed_;
  MemReader reader_;
};

}  // namespace relais::storage
