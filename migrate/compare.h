// Two listings of one mailbox, and what makes the second like the first. Pure.
#pragma once

#include "migrate/finding.h"
#include "migrate/source.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

/// Keywords do not differ in case (RFC 9051 §2.3.2). Both sorted by their octets.
bool same_keywords(std::span<const std::string> a, std::span<const std::string> b);

/// What differs between two listings of one mailbox, both ascending by UID. Sizes and dates count where both sides know them, MODSEQs
/// never: no client sees one that it could compare. O(n).
/// @param mailbox  storage name, for the findings
std::vector<Finding> compare_messages(std::string_view mailbox, std::span<const SourceMessage> source,
                                      std::span<const SourceMessage> target);

/// A special use is one mailbox's, the first one's that is listed with it, and never INBOX's or one's without messages: it is taken from
/// the others. @return their names
std::vector<std::string> give_uses_once(SourceListing& listing);

/// A mailbox of the target as it is now.
struct TargetState {
  std::uint32_t uid_validity = 0;  ///< 0: there is none
  Uid uid_next = 1;
  NumberSet uids{};
};

/// What has to be done to a mailbox of the target so that it is as the source told. Doing it again changes nothing.
struct Delta {
  /// The mailbox is emptied first, with the UIDVALIDITY of `changes`: the source's is another, or it has a message below the target's next
  /// UID that the target lacks (one that could not be read before), and UIDs are given in ascending order only.
  bool anew = false;
  NumberSet append{};                  ///< to be read and appended
  std::vector<SourceMessage> flags{};  ///< to be set: may be so already
  NumberSet expunge{};
  bool empty() const noexcept { return !anew && append.empty() && flags.empty() && expunge.empty(); }
};

/// @param unreadable  UIDs that were tried and are known not to be readable: they are not asked for again, and nothing is made anew for
/// them
/// @return nullopt where `changes` do not say enough: the mailbox is to be made anew, and they are no complete listing. Ask for changes
/// since
///   nothing.
std::optional<Delta> plan_delta(const SourceChanges& changes, const TargetState& target, const NumberSet& unreadable);

}  // namespace relais::migrate
