// What an inventory of an account says: what will be hard about moving it, how long copying and the freeze will take. Pure.
#pragma once

#include "base/number_set.h"
#include "migrate/finding.h"
#include "migrate/source.h"

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

/// One mailbox, counted.
struct MailboxCount {
  std::string name;  ///< storage name
  std::uint64_t messages = 0;
  std::uint64_t octets = 0;  ///< as the source tells sizes
  std::uint64_t largest = 0;
  Uid largest_uid = 0;
  std::uint64_t recent_messages = 0;  ///< came within kRecentDays, by INTERNALDATE
  std::uint64_t recent_octets = 0;
  std::uint64_t unsized = 0;      ///< no RFC822.SIZE, or none above 0
  std::uint64_t undated = 0;      ///< no INTERNALDATE
  std::uint64_t odd_flagged = 0;  ///< with flags that are not carried
  std::size_t keywords = 0;       ///< different ones
  friend bool operator==(const MailboxCount&, const MailboxCount&) = default;
};

inline constexpr int kRecentDays = 28;

/// @param now  seconds since epoch
MailboxCount count_mailbox(std::string name, std::span<const SourceMessage> messages, std::int64_t now);

/// Which messages of a mailbox are read to see what reading costs: two FETCHes, whose difference tells octets from messages.
struct Sample {
  NumberSet small{};  ///< at most kSampleMessages of at most kSampleSmall octets, from all over the mailbox
  NumberSet large{};  ///< at most kSampleLarge of its largest ones that are at most kSampleOctets
  bool empty() const noexcept { return small.empty() && large.empty(); }
};
inline constexpr std::size_t kSampleMessages = 8;
inline constexpr std::size_t kSampleLarge = 2;
inline constexpr std::uint64_t kSampleSmall = 32U << 10U;
inline constexpr std::uint64_t kSampleOctets = 512U << 10U;
Sample choose_sample(std::span<const SourceMessage> messages);

/// What reading messages costs, by what samples took: seconds = messages × a + octets × b with the a and b that fit best (least squares,
/// neither below 0). Samples of many accounts are added up; the order makes no difference.
class ReadingCost {
 public:
  void add(std::uint64_t messages, std::uint64_t octets, std::chrono::duration<double> took);
  void add(const ReadingCost& other);
  bool known() const noexcept { return time_messages_ > 0 || time_octets_ > 0; }
  std::chrono::duration<double> estimate(std::uint64_t messages, std::uint64_t octets) const;
  /// For who hands it on: five sums.
  std::vector<double> sums() const { return {messages_, mixed_, octets_, time_messages_, time_octets_}; }
  static ReadingCost of(std::span<const double> sums);

 private:
  double messages_ = 0;       ///< Σ messages²
  double mixed_ = 0;          ///< Σ messages × octets
  double octets_ = 0;         ///< Σ octets²
  double time_messages_ = 0;  ///< Σ seconds × messages
  double time_octets_ = 0;    ///< Σ seconds × octets
};

/// All that was seen of an account.
struct AccountInventory {
  SourceTraits traits{};
  SourceListing listing{};
  std::vector<MailboxCount> counts{};
  SourceExtras extras{};
  std::vector<Finding> findings{};  ///< of reading: mailboxes and messages that cannot be read, sizes that are wrong
  ReadingCost cost{};
  std::chrono::milliseconds listed_in{0};  ///< a listing when nothing is new: what each delta costs
  std::chrono::milliseconds read_in{0};    ///< all flags of all mailboxes: what each delta costs where there are no MODSEQs
  std::chrono::microseconds round_trip{0};

  std::uint64_t messages() const noexcept;
  std::uint64_t octets() const noexcept;
};

struct ScanRules {
  bool pop3 = false;                            ///< the account has been used by POP3 through us
  std::vector<std::string> own_names{};         ///< of ACLs: the account itself, and the platform's administrators
  std::uint64_t quota_octets = 0;               ///< what the account may keep here; 0: no limit
  std::uint64_t large_octets = 64ULL << 20U;    ///< a message from here on is amber …
  std::uint64_t unread_octets = 256ULL << 20U;  ///< … and above here cannot be carried
  std::uint64_t slow_delta_messages = 20'000;   ///< without MODSEQs all flags are read each time: amber from here on
  std::uint64_t exact_session = 200'000;        ///< a session with more messages selected cannot be moved open
  std::chrono::milliseconds noticed_freeze{1'000};
  std::chrono::milliseconds freeze_limit{10'000};
};

/// The freeze as it is to be expected.
std::chrono::milliseconds predicted_freeze(const AccountInventory& inventory);
/// What will be hard, the worst first; `findings` of the inventory are among them. Codes beside Finding's own: "name-clash",
/// "not-carried", "name-changed", "shared-mailbox", "shared-by-user", "metadata", "no-state", "mailbox-unreadable", "unreadable",
/// "too-large", "large-message", "size-unknown", "size-wrong", "no-date", "odd-flags", "keywords-dropped", "special-use-twice",
/// "quota-exceeded", "above-quota", "slow-delta", "big-mailbox", "long-freeze", "pop3-uidls".
std::vector<Finding> judge(const AccountInventory& inventory, const ScanRules& rules);

enum class Verdict : std::uint8_t { green, amber, red };
std::string_view to_string(Verdict verdict) noexcept;
std::string_view to_string(Weight weight) noexcept;
/// That of the worst finding; a note leaves an account green.
Verdict verdict_of(std::span<const Finding> findings) noexcept;

}  // namespace relais::migrate
