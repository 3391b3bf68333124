// The write buffer of one transaction body and its merge with the base.
#include "storage/engine/overlay.h"

#include "storage/engine/errors.h"
#include "storage/engine/merge.h"

#include <cstring>

namespace relais::storage {
namespace {

Result<void> check_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKey) return fail(damaged("a key of " + std::to_string(key.size()) + " octets"));
  return {};
}

class MapCursor {
 public:
  MapCursor(const Overlay::Changes& changes, std::string_view first) : next_(changes.lower_bound(first)), end_(changes.end()) {}
  bool valid() const noexcept { return next_ != end_; }
  std::string_view key() const noexcept { return next_->first; }
  std::optional<std::string_view> value() const noexcept { return next_->second; }
  void next() noexcept { ++next_; }

 private:
  Overlay::Changes::const_iterator next_;
  Overlay::Changes::const_iterator end_;
};

struct MapPart {
  const Overlay::Changes& changes;

  MemTable::Found find(std::string_view key) const noexcept {
    const auto found = changes.find(key);
    return found == changes.end() ? MemTable::Found{} : MemTable::Found{.there = true, .value = found->second};
  }
  std::optional<std::pair<std::string_view, std::optional<std::string_view>>> before(std::string_view bound) const noexcept {
    const auto at = changes.lower_bound(bound);
    return at == changes.begin() ? std::nullopt : std::optional(std::pair(std::prev(at)->first, std::prev(at)->second));
  }
};

}  // namespace

Overlay::Overlay(const Reader& base, const References& references, std::span<const BlobId> own, std::pmr::memory_resource& arena)
    : base_(base), references_(references), arena_(arena), changes_(&arena), blobs_(&arena), events_(&arena) {
  for (const auto id : own) blobs_.emplace(id, BlobChange{.before = 0, .now = 1});
}

std::string_view Overlay::keep(std::string_view octets) {
  if (octets.empty()) return {};
  auto* to = static_cast<char*>(arena_.allocate(octets.size(), 1));
  std::memcpy(to, octets.data(), octets.size());
  return {to, octets.size()};
}

Result<std::optional<std::string_view>> Overlay::get(std::string_view key) const {
  if (const auto found = changes_.find(key); found != changes_.end()) return found->second;
  return base_.get(key);
}

Result<void> Overlay::range(std::string_view first, std::string_view last, const Visitor& visit) const {
  return merged_range(base_, MapCursor(changes_, first), first, last, visit);
}

Result<std::optional<std::pair<std::string, std::string_view>>> Overlay::last_in(std::string_view first, std::string_view last) const {
  return merged_last_in(base_, MapPart{changes_}, first, last);
}

Result<void> Overlay::put(std::string_view key, std::string_view value) {
  RELAIS_TRY_VOID(check_key(key));
  const auto kept = keep(value);
  const auto at = changes_.lower_bound(key);
  if (at != changes_.end() && at->first == key) {
    at->second = kept;
  } else {
    changes_.emplace_hint(at, keep(key), kept);
  }
  return {};
}

Result<void> Overlay::erase(std::string_view key) {
  RELAIS_TRY_VOID(check_key(key));
  const auto at = changes_.lower_bound(key);
  if (at != changes_.end() && at->first == key) {
    at->second = std::nullopt;
  } else {
    changes_.emplace_hint(at, keep(key), std::nullopt);
  }
  return {};
}

Result<Overlay::BlobChange*> Overlay::blob(BlobId blob) {
  if (const auto found = blobs_.find(blob); found != blobs_.end()) return &found->second;
  RELAIS_TRY(const auto before, references_.references(blob));
  if (before == 0) return fail(damaged("a reference to blob " + std::to_string(static_cast<std::uint64_t>(blob)) + ", which does not exist"));
  return &blobs_.emplace(blob, BlobChange{.before = before, .now = before}).first->second;
}

Result<void> Overlay::retain_blob(BlobId id) {
  RELAIS_TRY(auto* change, blob(id));
  ++change->now;
  return {};
}

Result<void> Overlay::release_blob(BlobId id) {
  RELAIS_TRY(auto* change, blob(id));
  if (change->now == 0) return fail(damaged("blob " + std::to_string(static_cast<std::uint64_t>(id)) + " is released more often than it was referenced"));
  --change->now;
  return {};
}

}  // namespace relais::storage
