// The small values that several IMAP commands share: sequence sets, flags, dates, special uses, status items.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/number_set.h"
#include "base/result.h"

namespace relais::imap {

/// What the client has switched on that changes how its commands are read and how it is answered.
struct Dialect {
  /// ENABLE IMAP4rev2 or UTF8=ACCEPT: mailbox names travel as UTF-8 instead of modified UTF-7, and quoted strings that we
  /// send may hold UTF-8 (RFC 9051 §5.1, RFC 6855 §3).
  bool utf8 = false;
  /// Between the levels of mailbox names (RFC 9051 §6.3.9); NUL: names have no levels.
  char separator = '/';
  /// Mailbox names that are neither modified UTF-7 nor UTF-8 are taken as the octets that they are, control characters too: those of
  /// a platform that took them.
  bool any_names = false;
};

// --- sequence sets ---------------------------------------------------------------------------------------------------------

/// `sequence-set` as written: numbers, ranges, "*", or "$" (RFC 9051 §9, RFC 5182). Whether the numbers are sequence numbers
/// or UIDs is the command's business.
struct SequenceSet {
  /// "*" in a range: the largest number in use.
  static constexpr std::uint32_t kStar = 0;
  struct Range {
    std::uint32_t first = 0;  ///< kStar or a number; may be larger than last, as written
    std::uint32_t last = 0;
    friend bool operator==(const Range&, const Range&) = default;
  };
  std::vector<Range> ranges;
  bool saved = false;  ///< "$": the result of the last SEARCH with SAVE; ranges is empty then

  bool empty() const noexcept { return ranges.empty() && !saved; }
  bool has_star() const noexcept;
  /// The largest number written; 0 where only "*" was. For the check against EXISTS.
  std::uint32_t largest() const noexcept;

  /// The set with "*" replaced. UIDs: the last UID, or UIDNEXT in an empty mailbox (RFC 9051 §9 `seq-number`). Numbers beyond
  /// it stay in the set; intersect with what exists. Not for a set that is saved. O(n log n).
  NumberSet resolve(std::uint32_t star) const;

  /// The same for message sequence numbers: Fault::syntax where one is above `exists` or where "*" meets an empty mailbox
  /// (RFC 9051 §9 `seq-number`: tagged BAD).
  Result<NumberSet> resolve_messages(std::uint32_t exists) const;
};

// --- flags -----------------------------------------------------------------------------------------------------------------

/// System flags as bits; storage keeps the same (RFC 9051 §2.3.2). \Recent is not among them: nobody can set it.
enum SystemFlag : std::uint8_t {
  kSeen = 1,
  kAnswered = 2,
  kFlagged = 4,
  kDeleted = 8,
  kDraft = 16,
};
inline constexpr std::uint8_t kAllSystemFlags = 31;

/// Flags of a STORE or an APPEND.
struct FlagList {
  std::uint8_t system = 0;            ///< SystemFlag bits
  std::vector<std::string> keywords;  ///< as written, each once (compared without regard to case, RFC 9051 §2.3.2)
  bool empty() const noexcept { return system == 0 && keywords.empty(); }
  friend bool operator==(const FlagList&, const FlagList&) = default;
};

/// The bit of "\Seen" and its like, without regard to case; nullopt where it is not one of the five.
std::optional<SystemFlag> system_flag(std::string_view name) noexcept;
/// "\Seen", …
std::string_view name_of(SystemFlag flag) noexcept;
/// True for an atom that may be a keyword: not empty, no atom-specials, no leading backslash, at most kMaxKeyword octets.
bool is_keyword(std::string_view name) noexcept;

inline constexpr std::size_t kMaxKeyword = 255;   ///< octets of one keyword; our own limit
inline constexpr std::size_t kMaxKeywords = 128;  ///< keywords in one command; our own limit

// --- dates -----------------------------------------------------------------------------------------------------------------

/// `date-time`: an instant and the zone it was written in.
struct DateTime {
  std::int64_t seconds = 0;       ///< since 1970-01-01T00:00:00Z
  std::int16_t zone_minutes = 0;  ///< east of UTC
  friend bool operator==(const DateTime&, const DateTime&) = default;
};

// --- special uses ----------------------------------------------------------------------------------------------------------

/// Special-use attributes as bits (RFC 6154 §2; \Important is RFC 8457).
enum SpecialUse : std::uint8_t {
  kUseAll = 1,
  kUseArchive = 2,
  kUseDrafts = 4,
  kUseFlagged = 8,
  kUseJunk = 16,
  kUseSent = 32,
  kUseTrash = 64,
  kUseImportant = 128,
};
/// The bit of "\Sent" and its like, without regard to case.
std::optional<SpecialUse> special_use(std::string_view name) noexcept;
/// "\Sent", …
std::string_view name_of(SpecialUse use) noexcept;

// --- status items ----------------------------------------------------------------------------------------------------------

/// `status-att` as bits.
enum StatusItem : std::uint16_t {
  kStatusMessages = 1,
  kStatusRecent = 2,  ///< RFC 3501 only
  kStatusUidNext = 4,
  kStatusUidValidity = 8,
  kStatusUnseen = 16,
  kStatusDeleted = 32,           ///< RFC 9051, RFC 9208 §3.1.4
  kStatusSize = 64,              ///< RFC 8438
  kStatusHighestModSeq = 128,    ///< RFC 7162 §3.1.7; asking for it enables CONDSTORE
  kStatusMailboxId = 256,        ///< RFC 8474 §4.3
  kStatusAppendLimit = 512,      ///< RFC 7889 §3
  kStatusDeletedStorage = 1024,  ///< RFC 9208 §5.3: octets of messages marked \Deleted
};
using StatusItems = std::uint16_t;

// --- limits of numbers -----------------------------------------------------------------------------------------------------

/// RFC 9051 §9 number64, RFC 7162 §7 mod-sequence-value: unsigned 63-bit.
inline constexpr std::uint64_t kMaxNumber64 = 0x7FFF'FFFF'FFFF'FFFF;

/// A window of a result (RFC 9394 §3.1): positions counted from 1, either from the oldest or from the newest.
struct PartialRange {
  std::uint32_t first = 1;  ///< first <= last
  std::uint32_t last = 1;
  bool from_end = false;  ///< written with minus signs
  friend bool operator==(const PartialRange&, const PartialRange&) = default;
};

}  // namespace relais::imap
