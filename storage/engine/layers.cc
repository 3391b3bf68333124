// Merges tables in memory with the index.
#include "storage/engine/layers.h"

#include "base/check.h"
#include "storage/engine/merge.h"

namespace relais::storage {
namespace {

/// A MemTable's cursor, kept within the rows of one prefix and showing keys without it.
class PartCursor {
 public:
  PartCursor(const MemTable& table, Version at, const RowPrefix& rows, std::string_view first) : cursor_(table, at), rows_(rows) {
    cursor_.seek(RowKey(rows, first).view());
  }
  bool valid() const noexcept { return cursor_.valid() && cursor_.key().starts_with(rows_.view()); }
  std::string_view key() const noexcept { return cursor_.key().substr(rows_.view().size()); }
  std::optional<std::string_view> value() const noexcept {
    const auto stored = cursor_.value();
    return stored ? std::optional(rows_.value_of(*stored)) : std::nullopt;
  }
  void next() noexcept { cursor_.next(); }

 private:
  MemTable::Cursor cursor_;
  const RowPrefix& rows_;
};

struct Part {
  const MemTable& table;
  Version at;
  const RowPrefix& rows;

  MemTable::Found find(std::string_view key) const noexcept {
    auto found = table.find(RowKey(rows, key).view(), at);
    if (found.value) found.value = rows.value_of(*found.value);
    return found;
  }
  std::optional<std::pair<std::string_view, std::optional<std::string_view>>> before(std::string_view bound) const noexcept {
    MemTable::Cursor cursor(table, at);
    cursor.seek_before(RowKey(rows, bound).view());
    if (!cursor.valid() || !cursor.key().starts_with(rows.view())) return std::nullopt;
    auto value = cursor.value();
    if (value) value = rows.value_of(*value);
    return std::pair(cursor.key().substr(rows.view().size()), value);
  }
};

}  // namespace

// ---- MemReader

Result<std::optional<std::string_view>> MemReader::get(std::string_view key) const {
  if (const auto found = Part{table_, at_, rows_}.find(key); found.there) return found.value;
  return base_.get(key);
}

Result<void> MemReader::range(std::string_view first, std::string_view last, const Visitor& visit) const {
  return merged_range(base_, PartCursor(table_, at_, rows_, first), first, last, visit);
}

Result<std::optional<std::pair<std::string, std::string_view>>> MemReader::last_in(std::string_view first, std::string_view last) const {
  return merged_last_in(base_, Part{table_, at_, rows_}, first, last);
}

// ---- TableSet

TableSet::TableSet() : tables_(std::make_shared<const Tables>(Tables{.active = std::make_shared<MemTable>(), .sealed = nullptr})) {}

Result<View> TableSet::view(const Index& index) const {
  while (true) {
    std::unique_lock lock(mutex_);
    auto tables = tables_;
    const auto version = version_;
    lock.unlock();
    RELAIS_TRY(auto txn, index.read());
    lock.lock();
    // The index may have what was in the sealed table, but must not have what is newer than `version`: that takes another sealing.
    const bool same = tables_->sealings == tables->sealings;
    lock.unlock();
    if (same) return View{.tables = std::move(tables), .version = version, .txn = std::move(txn)};
  }
}

std::shared_ptr<MemTable> TableSet::active() const {
  const std::lock_guard lock(mutex_);
  return tables_->active;
}

Version TableSet::version() const {
  const std::lock_guard lock(mutex_);
  return version_;
}

void TableSet::publish(Version version) {
  const std::lock_guard lock(mutex_);
  version_ = version;
}

std::shared_ptr<const MemTable> TableSet::seal() {
  auto fresh = std::make_shared<MemTable>();
  const std::lock_guard lock(mutex_);
  RELAIS_CHECK(tables_->sealed == nullptr);
  tables_ = std::make_shared<const Tables>(Tables{.active = std::move(fresh), .sealed = tables_->active, .sealings = tables_->sealings + 1});
  return tables_->sealed;
}

void TableSet::drop_sealed() {
  std::shared_ptr<const Tables> old;  // destroyed outside the lock
  const std::lock_guard lock(mutex_);
  old = tables_;
  tables_ = std::make_shared<const Tables>(Tables{.active = old->active, .sealed = nullptr, .sealings = old->sealings});
}

// ---- Layers

Layers::Layers(const View& view, RowPrefix rows) : index_(view.txn.rows(rows)), top_(&index_) {
  const auto& [active, sealed, sealings] = *view.tables;
  if (sealed) top_ = &sealed_.emplace(*top_, *sealed, view.version, rows);
  if (!active->empty()) top_ = &active_.emplace(*top_, *active, view.version, rows);
}

Result<std::optional<BlobRow>> blob_row(const View& view, BlobId id) {
  const auto key = blob_key(id);
  const Layers layers(view, RowPrefix(RowKind::blob));
  RELAIS_TRY(const auto stored, layers.top().get({key.data(), key.size()}));
  if (!stored) return std::nullopt;
  RELAIS_TRY(auto row, decode_blob_row(*stored));
  return row;
}

}  // namespace relais::storage
