// What one transaction body has written, in front of what was there before: bodies see their own writes, and a failed one leaves nothing.
#pragma once

#include "storage/engine.h"

#include <map>
#include <memory_resource>
#include <span>
#include <vector>

namespace relais::storage {

/// Octets of a key, at most (storage/engine.h): LMDB takes 511, eight of which are the account.
inline constexpr std::size_t kMaxKey = 400;

/// How many references blobs have before the body runs.
class References {
 public:
  virtual ~References() = default;
  /// 0 where there is no such blob.
  virtual Result<std::uint64_t> references(BlobId blob) const = 0;
};

/// The Txn that a body gets, over any engine.
///
/// The base is not touched while the body runs, so what get() and range() gave stays valid until the Overlay is destroyed, and a visitor
/// may write. Allocates from one arena that the engine reuses for every body. One thread.
class Overlay final : public Txn {
 public:
  struct BlobChange {
    std::uint64_t before = 0;  ///< references in the base; 0 for a blob of this body
    std::uint64_t now = 0;
  };
  /// nullopt: erased.
  using Changes = std::pmr::map<std::string_view, std::optional<std::string_view>>;
  using BlobChanges = std::pmr::map<BlobId, BlobChange>;

  /// @param own  the blobs that came with the body, one reference each
  /// All parameters must outlive the Overlay.
  Overlay(const Reader& base, const References& references, std::span<const BlobId> own, std::pmr::memory_resource& arena);

  Result<std::optional<std::string_view>> get(std::string_view key) const override;
  Result<void> range(std::string_view first, std::string_view last, const Visitor& visit) const override;
  Result<std::optional<std::pair<std::string, std::string_view>>> last_in(std::string_view first, std::string_view last) const override;
  Result<void> put(std::string_view key, std::string_view value) override;
  Result<void> erase(std::string_view key) override;
  Result<void> retain_blob(BlobId blob) override;
  Result<void> release_blob(BlobId blob) override;
  void publish(const ChangeEvent& event) override { events_.push_back(event); }

  // What an engine applies once the body has returned a value.
  const Changes& changes() const noexcept { return changes_; }
  const BlobChanges& blob_changes() const noexcept { return blobs_; }
  const std::pmr::vector<ChangeEvent>& events() const noexcept { return events_; }

 private:
  std::string_view keep(std::string_view octets);
  Result<BlobChange*> blob(BlobId blob);

  const Reader& base_;
  const References& references_;
  std::pmr::memory_resource& arena_;
  Changes changes_;
  BlobChanges blobs_;
  std::pmr::vector<ChangeEvent> events_;
};

}  // namespace relais::storage
