// Range arithmetic of NumberSet.
#include "base/number_set.h"

#include "base/ascii.h"
#include "base/check.h"

#include <algorithm>

namespace relais {
namespace {

// First range whose last number is not below `number`.
auto at_or_after(const std::vector<NumberRange>& ranges, std::uint32_t number) {
  return std::ranges::lower_bound(ranges, number, {}, &NumberRange::last);
}

std::uint64_t size_of(NumberRange range) { return std::uint64_t{range.last} - range.first + 1; }

}  // namespace

std::optional<NumberSet> NumberSet::parse(std::string_view text) {
  NumberSet set;
  for (const auto piece : split(text, ',')) {
    const auto colon = piece.find(':');
    const auto first = parse_u64(piece.substr(0, colon));
    const auto last = colon == std::string_view::npos ? first : parse_u64(piece.substr(colon + 1));
    if (!first || !last || *first == 0 || *last == 0 || *first > UINT32_MAX || *last > UINT32_MAX) return std::nullopt;
    const auto [low, high] = std::minmax(*first, *last);
    set.add(NumberRange{static_cast<std::uint32_t>(low), static_cast<std::uint32_t>(high)});
  }
  return set;
}

std::string NumberSet::to_string() const {
  std::string out;
  for (const auto range : ranges_) {
    if (!out.empty()) out += ',';
    append_number(out, range.first);
    if (range.last != range.first) {
      out += ':';
      append_number(out, range.last);
    }
  }
  return out;
}

void NumberSet::add(NumberRange range) {
  RELAIS_CHECK(range.first <= range.last);
  before_.clear();
  if (ranges_.empty() || range.first > ranges_.back().last) {  // the common case: UIDs ascend
    if (!ranges_.empty() && ranges_.back().last + 1 == range.first) {
      ranges_.back().last = range.last;
    } else {
      ranges_.push_back(range);
    }
    count_ += size_of(range);
    return;
  }
  // Everything that overlaps or touches the new range melts into it.
  const auto begin = at_or_after(ranges_, range.first == 0 ? 0 : range.first - 1) - ranges_.begin();
  auto end = begin;
  NumberRange merged = range;
  while (end < std::ssize(ranges_)) {
    const auto& r = ranges_[static_cast<std::size_t>(end)];
    if (range.last != UINT32_MAX && r.first > range.last + 1) break;
    merged.first = std::min(merged.first, r.first);
    merged.last = std::max(merged.last, r.last);
    count_ -= size_of(r);
    ++end;
  }
  count_ += size_of(merged);
  if (begin == end) {
    ranges_.insert(ranges_.begin() + begin, merged);
  } else {
    ranges_[static_cast<std::size_t>(begin)] = merged;
    ranges_.erase(ranges_.begin() + begin + 1, ranges_.begin() + end);
  }
}

void NumberSet::remove(NumberRange range) {
  RELAIS_CHECK(range.first <= range.last);
  before_.clear();
  const auto begin = at_or_after(ranges_, range.first) - ranges_.begin();
  auto end = begin;
  std::vector<NumberRange> rest;  // at most the two stumps that stick out of the removed range
  while (end < std::ssize(ranges_) && ranges_[static_cast<std::size_t>(end)].first <= range.last) {
    const auto r = ranges_[static_cast<std::size_t>(end)];
    count_ -= size_of(r);
    if (r.first < range.first) rest.push_back({r.first, range.first - 1});
    if (r.last > range.last) rest.push_back({range.last + 1, r.last});
    ++end;
  }
  for (const auto r : rest) count_ += size_of(r);
  const auto keep = std::min<std::ptrdiff_t>(std::ssize(rest), end - begin);
  std::copy_n(rest.begin(), keep, ranges_.begin() + begin);
  ranges_.erase(ranges_.begin() + begin + keep, ranges_.begin() + end);
  ranges_.insert(ranges_.begin() + begin + keep, rest.begin() + keep, rest.end());
}

void NumberSet::add(const NumberSet& other) {
  if (other.empty()) return;
  if (empty() || other.front() > back()) {
    for (const auto range : other.ranges_) add(range);
    return;
  }
  std::vector<NumberRange> all;
  all.reserve(ranges_.size() + other.ranges_.size());
  std::ranges::merge(ranges_, other.ranges_, std::back_inserter(all), {}, &NumberRange::first, &NumberRange::first);
  clear();
  for (const auto range : all) {
    if (!ranges_.empty() && range.last <= ranges_.back().last) continue;
    add(NumberRange{ranges_.empty() ? range.first : std::max(range.first, ranges_.back().last + 1), range.last});
  }
}

void NumberSet::remove(const NumberSet& other) {
  if (other.ranges_.size() < 4) {
    for (const auto range : other.ranges_) remove(range);
    return;
  }
  NumberSet rest;
  auto hole = other.ranges_.begin();
  for (auto range : ranges_) {
    while (hole != other.ranges_.end() && hole->last < range.first) ++hole;
    bool left = true;
    for (auto h = hole; h != other.ranges_.end() && h->first <= range.last; ++h) {
      if (h->first > range.first) rest.add(NumberRange{range.first, h->first - 1});
      if (h->last >= range.last) {
        left = false;
        break;
      }
      range.first = h->last + 1;
    }
    if (left) rest.add(range);
  }
  *this = std::move(rest);
}

void NumberSet::clear() {
  ranges_.clear();
  before_.clear();
  count_ = 0;
}

bool NumberSet::contains(std::uint32_t number) const noexcept {
  const auto it = at_or_after(ranges_, number);
  return it != ranges_.end() && it->first <= number;
}

NumberSet NumberSet::intersect(const NumberSet& other) const {
  NumberSet out;
  auto a = ranges_.begin();
  auto b = other.ranges_.begin();
  while (a != ranges_.end() && b != other.ranges_.end()) {
    const auto first = std::max(a->first, b->first);
    const auto last = std::min(a->last, b->last);
    if (first <= last) out.add(NumberRange{first, last});
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

std::uint32_t NumberSet::front() const {
  RELAIS_CHECK(!empty());
  return ranges_.front().first;
}

std::uint32_t NumberSet::back() const {
  RELAIS_CHECK(!empty());
  return ranges_.back().last;
}

void NumberSet::index() const {
  if (before_.size() == ranges_.size()) return;
  before_.resize(ranges_.size());
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    before_[i] = static_cast<std::uint32_t>(sum);
    sum += size_of(ranges_[i]);
  }
}

std::optional<std::uint32_t> NumberSet::nth(std::uint64_t n) const {
  if (n >= count_) return std::nullopt;
  index();
  const auto it = std::ranges::upper_bound(before_, static_cast<std::uint32_t>(n)) - 1;
  const auto& range = ranges_[static_cast<std::size_t>(it - before_.begin())];
  return range.first + (static_cast<std::uint32_t>(n) - *it);
}

std::uint64_t NumberSet::rank(std::uint32_t number) const {
  index();
  const auto it = at_or_after(ranges_, number);
  if (it == ranges_.end()) return count_;
  const auto before = before_[static_cast<std::size_t>(it - ranges_.begin())];
  return std::uint64_t{before} + (number > it->first ? number - it->first : 0);
}

std::optional<std::uint32_t> NumberSet::lower_bound(std::uint32_t number) const noexcept {
  const auto it = at_or_after(ranges_, number);
  if (it == ranges_.end()) return std::nullopt;
  return std::max(it->first, number);
}

std::size_t NumberSet::memory() const noexcept {
  return ranges_.capacity() * sizeof(NumberRange) + before_.capacity() * sizeof(std::uint32_t);
}

void NumberSet::shrink_to_fit() {
  ranges_.shrink_to_fit();
  before_.clear();
  before_.shrink_to_fit();
}

}  // namespace relais
