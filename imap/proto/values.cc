// Names of flags, special uses, and what a sequence set means in a mailbox.
#include "imap/proto/values.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"
#include "base/check.h"
#include "imap/proto/cursor.h"

namespace relais::imap {
namespace {

template <class Value>
struct Named {
  std::string_view name;
  Value value;
};

constexpr std::array<Named<SystemFlag>, 5> kSystemFlagNames{{
    {"\\Seen", kSeen},
    {"\\Answered", kAnswered},
    {"\\Flagged", kFlagged},
    {"\\Deleted", kDeleted},
    {"\\Draft", kDraft},
}};

constexpr std::array<Named<SpecialUse>, 8> kSpecialUseNames{{
    {"\\All", kUseAll},
    {"\\Archive", kUseArchive},
    {"\\Drafts", kUseDrafts},
    {"\\Flagged", kUseFlagged},
    {"\\Junk", kUseJunk},
    {"\\Sent", kUseSent},
    {"\\Trash", kUseTrash},
    {"\\Important", kUseImportant},
}};

template <class Value, std::size_t kSize>
std::optional<Value> value_of(const std::array<Named<Value>, kSize>& table, std::string_view name) noexcept {
  for (const auto& row : table) {
    if (row.name.size() == name.size() && iequals(row.name, name)) return row.value;
  }
  return std::nullopt;
}

template <class Value, std::size_t kSize>
std::string_view name_in(const std::array<Named<Value>, kSize>& table, Value value) noexcept {
  for (const auto& row : table) {
    if (row.value == value) return row.name;
  }
  return {};
}

}  // namespace

bool SequenceSet::has_star() const noexcept {
  return std::ranges::any_of(ranges, [](const Range& range) { return range.first == kStar || range.last == kStar; });
}

std::uint32_t SequenceSet::largest() const noexcept {
  std::uint32_t most = 0;
  for (const auto& range : ranges) most = std::max({most, range.first, range.last});
  return most;
}

NumberSet SequenceSet::resolve(std::uint32_t star) const {
  RELAIS_CHECK(!saved);
  std::vector<NumberRange> sorted;
  sorted.reserve(ranges.size());
  for (const auto& range : ranges) {
    const auto [low, high] = std::minmax(range.first == kStar ? star : range.first, range.last == kStar ? star : range.last);
    if (high != 0) sorted.push_back({std::max(low, 1U), high});
  }
  // In order, because NumberSet::add is O(1) only at its end.
  const auto before = [](const NumberRange& a, const NumberRange& b) { return a.first < b.first; };
  if (!std::ranges::is_sorted(sorted, before)) std::ranges::sort(sorted, before);
  NumberSet set;
  for (const auto& range : sorted) set.add(range);
  return set;
}

Result<NumberSet> SequenceSet::resolve_messages(std::uint32_t exists) const {
  if (largest() > exists || (exists == 0 && has_star())) return fail(Fault::syntax, "expected sequence numbers of messages that exist");
  return resolve(exists);
}

std::optional<SystemFlag> system_flag(std::string_view name) noexcept { return value_of(kSystemFlagNames, name); }
std::string_view name_of(SystemFlag flag) noexcept { return name_in(kSystemFlagNames, flag); }

bool is_keyword(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kMaxKeyword && std::ranges::all_of(name, is_atom_char);
}

std::optional<SpecialUse> special_use(std::string_view name) noexcept { return value_of(kSpecialUseNames, name); }
std::string_view name_of(SpecialUse use) noexcept { return name_in(kSpecialUseNames, use); }

}  // namespace relais::imap
