// Which message of INBOX each message of a POP3 drop is, so that POP3 clients find their unique ids again. Pure.
#pragma once

#include "migrate/finding.h"
#include "storage/types.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace relais::migrate {

/// A message of INBOX, as IMAP tells of it.
struct InboxMessage {
  storage::Uid uid = 0;
  std::optional<std::uint64_t> size{};  ///< RFC822.SIZE
  std::string header{};                 ///< header_digest(); empty: not asked for
  std::string file{};                   ///< name of its file without flags, or GUID, where the source knows one
};

/// A message of the drop, at its place (RFC 1939 §7).
struct DropEntry {
  std::string uidl;
  std::optional<std::uint64_t> size{};  ///< LIST
  std::string header{};                 ///< header_digest() of TOP n 0; empty: not asked for
};

/// How an entry was found.
enum class FoundBy : std::uint8_t { nothing, formula, file, order, header };
std::string_view to_string(FoundBy how) noexcept;

struct MatchedEntry {
  storage::Uid uid = 0;  ///< 0: no message of INBOX is this one for sure
  FoundBy how = FoundBy::nothing;
  bool keeps_uidl = false;  ///< its UIDL may be kept (RFC 1939 §7: 1 to 70 characters of 0x21 to 0x7E)
};

struct DropMatch {
  std::vector<MatchedEntry> entries{};  ///< as many as the drop has
  /// UidlFormula that fits all of the drop, where it has kFormulaFrom messages at least: makes the UIDLs of those that come later.
  std::string formula{};
  bool in_uid_order = true;  ///< the drop's order is that of the UIDs
  /// What header digests would decide that is not decided yet: places in the drop, from 0, and UIDs; both empty where nothing would. To be
  /// asked for, and then all is matched again.
  std::vector<std::size_t> wanted_entries{};
  std::vector<storage::Uid> wanted_uids{};
  /// "uidl-twice", "uidl-not-kept", "uidl-unmatched", "not-in-drop" (amber), "pop3-order" (note); of what is wanted nothing is said.
  std::vector<Finding> findings{};
};

inline constexpr std::size_t kFormulaFrom = 20;

/// Matches a drop to INBOX. A wrong match would keep a message from its user, who has "downloaded" it already; so what is not sure is not
/// matched. In this order:
///   1. by the name of its file
///   2. by a known formula of UID and UIDVALIDITY. One without UIDVALIDITY, or with one that any number could be, counts only where all of
///   the
///      drop fits it, in the order of the UIDs, with equal sizes. (Courier numbers a drop by itself: UID7 there is not UID 7 of IMAP.)
///      An entry of a formula whose UID is not in INBOX is none of the others.
///   3. by order and size: as many are left on both sides, of equal sizes one by one, half of which at least nothing else has
///   4. by the digest of the header, and the size where several have the same header
/// Each message of INBOX is matched once at most.
/// @param inbox  ascending UIDs, as of the time of the drop  @return O(n log n)
DropMatch match_drop(std::uint32_t uid_validity, std::span<const InboxMessage> inbox, std::span<const DropEntry> drop);

/// SHA-256 of a message's header without what POP3 servers add and take away (Status, X-Status, X-UID, X-UIDL, X-IMAPbase, X-Keywords,
/// Content-Length), with line ends and what follows the header's last line left out of account. Never empty.
/// @param octets  of TOP n 0 (dot-stuffing undone) or BODY[HEADER]; a whole message is the same
std::string header_digest(std::string_view octets);

}  // namespace relais::migrate
