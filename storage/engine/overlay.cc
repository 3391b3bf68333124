// The write buffer of one transaction body and its merge with the base.
#include "storage/engine/overlay.h"

#include "storage/engine/errors.h"

#include <cstring>

namespace relais::storage {
namespace {

Result<void> check_key(std::string_view key) {
  if (key.empty() || key.size() > kMaxKey) return fail(damaged("a key of " + std::to_string(key.size()) + " octets"));
  return {};
}

/// Walks the overlay's changes beside a range of the base.
class Merge {
 public:
  Merge(const Overlay::Changes& changes, std::string_view first, std::string_view last, const Visitor& visit)
      : next_(changes.lower_bound(first)), end_(changes.end()), last_(last), visit_(visit) {}

  /// The base has this entry: what was put before it comes first, and a change of the same key stands for it.
  bool base(const KeyValue& entry) {
    if (!before(entry.key)) return false;
    if (next_ != end_ && next_->first == entry.key) return one();
    return on_ = visit_(entry);
  }
  /// The base has nothing more.
  void rest() {
    if (on_) before(last_);
  }

 private:
  bool before(std::string_view key) {
    while (next_ != end_ && next_->first < key)
      if (!one()) return false;
    return true;
  }
  bool one() {
    const auto at = next_++;
    if (at->second) on_ = visit_(KeyValue{at->first, *at->second});
    return on_;
  }

  Overlay::Changes::const_iterator next_;
  Overlay::Changes::const_iterator end_;
  std::string_view last_;
  const Visitor& visit_;
  bool on_ = true;
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
  Merge merge(changes_, first, last, visit);
  RELAIS_TRY_VOID(base_.range(first, last, [&merge](const KeyValue& entry) { return merge.base(entry); }));
  merge.rest();
  return {};
}

Result<std::optional<std::pair<std::string, std::string_view>>> Overlay::last_in(std::string_view first, std::string_view last) const {
  // The newest change that is not an erasure …
  auto change = changes_.lower_bound(last);
  std::optional<std::string_view> changed;
  while (change != changes_.begin() && std::prev(change)->first >= first) {
    --change;
    if (!change->second) continue;
    changed = change->first;
    break;
  }
  // … against the newest key of the base that was not erased.
  std::string bound(last);
  while (true) {
    RELAIS_TRY(auto found, base_.last_in(changed ? *changed : first, bound));
    if (!found) break;
    const auto same = changes_.find(found->first);
    if (same == changes_.end()) return found;
    if (same->second) return std::pair(std::move(found->first), *same->second);
    bound = std::move(found->first);
  }
  if (!changed) return std::nullopt;
  return std::pair(std::string(*changed), *change->second);
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
