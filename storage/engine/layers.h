// A view of what is committed: tables in memory in front of the index.
#pragma once

#include "storage/engine.h"
#include "storage/engine/index.h"
#include "storage/engine/mem_table.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace relais::storage {

/// A part of a MemTable in front of a base: the rows under one prefix, as seen at one version. One thread.
class MemReader final : public Reader {
 public:
  /// @param rows  which rows: kind and account; base and table must outlive the reader
  MemReader(const Reader& base, const MemTable& table, Version at, RowPrefix rows) noexcept : base_(base), table_(table), at_(at), rows_(rows) {}

  Result<std::optional<std::string_view>> get(std::string_view key) const override;
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override;
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override;

 private:
  const Reader& base_;
  const MemTable& table_;
  Version at_;
  RowPrefix rows_;
};

/// The committed tables in memory: the one that is added to, and the one that is being written to the index, if any.
struct Tables {
  std::shared_ptr<MemTable> active;
  std::shared_ptr<MemTable> sealed;  ///< may be null
  std::uint64_t sealings = 0;        ///< how often a table was sealed
};

/// What a snapshot holds: tables, version and an index transaction that belong together.
struct View {
  std::shared_ptr<const Tables> tables;
  Version version = 0;
  Index::ReadTxn txn;
};

/// Hands out views. Threads: view() any; the others one at a time.
class TableSet {
 public:
  TableSet();
  /// What was committed, at this moment. Costs some 200 ns.
  Result<View> view(const Index& index) const;
  /// The table to add to.
  std::shared_ptr<MemTable> active() const;
  Version version() const;
  /// Readers see everything up to this version from now on.
  void publish(Version version);
  /// A new active table; the old one is sealed until drop_sealed(). Only where none is sealed.
  std::shared_ptr<const MemTable> seal();
  /// Its rows are in the index.
  void drop_sealed();

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Tables> tables_;  // guarded by mutex_, as is version_; the pointed-to tables' own rules hold for them
  Version version_ = 0;
};

/// The chain of readers for one part of a view: index, sealed table, active table. Stays where it is made: the readers point at each other.
class Layers {
 public:
  /// The view must outlive it.
  Layers(const View& view, RowPrefix rows);
  Layers(const Layers&) = delete;
  Layers& operator=(const Layers&) = delete;
  const Reader& top() const noexcept { return *top_; }

 private:
  RowReader index_;
  std::optional<MemReader> sealed_;
  std::optional<MemReader> active_;
  const Reader* top_;
};

/// The row of a blob in a view; nullopt where there is none.
Result<std::optional<BlobRow>> blob_row(const View& view, BlobId id);

}  // namespace relais::storage
