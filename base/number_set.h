// A set of 32-bit numbers kept as sorted ranges: UID sets, sequence sets and the map from one to the other.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace relais {

/// A closed interval, first <= last.
struct NumberRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  friend bool operator==(const NumberRange&, const NumberRange&) = default;
};

/// Sorted, disjoint, non-adjacent ranges of numbers. A mailbox of a million consecutive UIDs takes 8 octets here; each hole
/// takes 8 more.
///
/// The set doubles as the sequence map of an IMAP session: `nth(n)` is the UID of sequence number n + 1 and `rank(uid)` the
/// sequence number - 1. Both are O(log ranges) through a prefix table that is built at the first question after a change.
///
/// Threads: none of its own; the lazily built table makes even const use single-threaded.
class NumberSet {
 public:
  NumberSet() = default;
  explicit NumberSet(NumberRange range) { add(range); }

  /// The text form of RFC 9051 `uid-set` without "*": "1,3:5". nullopt where it is not well-formed or holds 0. Any order, overlaps welcome.
  static std::optional<NumberSet> parse(std::string_view text);
  std::string to_string() const;

  void add(std::uint32_t number) { add(NumberRange{number, number}); }
  /// O(1) at the end, O(ranges) elsewhere.
  void add(NumberRange range);
  void remove(std::uint32_t number) { remove(NumberRange{number, number}); }
  void remove(NumberRange range);
  void add(const NumberSet& other);
  void remove(const NumberSet& other);
  void clear();

  bool contains(std::uint32_t number) const noexcept;
  NumberSet intersect(const NumberSet& other) const;
  /// How many numbers; up to 2^32.
  std::uint64_t count() const noexcept { return count_; }
  bool empty() const noexcept { return ranges_.empty(); }
  std::uint32_t front() const;  ///< Not for an empty set.
  std::uint32_t back() const;   ///< Not for an empty set.
  std::span<const NumberRange> ranges() const noexcept { return ranges_; }

  /// The number at position n, counted from 0; nullopt past the end.
  std::optional<std::uint32_t> nth(std::uint64_t n) const;
  /// How many members are below the number (its own position where it is a member).
  std::uint64_t rank(std::uint32_t number) const;
  /// The smallest member >= number.
  std::optional<std::uint32_t> lower_bound(std::uint32_t number) const noexcept;

  /// Octets of memory that the set holds.
  std::size_t memory() const noexcept;
  void shrink_to_fit();

  /// Calls f(number) for each member, ascending.
  template <class F>
  void for_each(F&& f) const {
    for (const auto range : ranges_) {
      for (std::uint64_t n = range.first; n <= range.last; ++n) f(static_cast<std::uint32_t>(n));
    }
  }

  friend bool operator==(const NumberSet& a, const NumberSet& b) noexcept { return a.ranges_ == b.ranges_; }

 private:
  void index() const;

  std::vector<NumberRange> ranges_;
  std::uint64_t count_ = 0;
  mutable std::vector<std::uint32_t> before_;  ///< members before each range; empty until asked for
};

}  // namespace relais
