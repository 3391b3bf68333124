// The words of the mailbox model: ids, flags, and what is known of a mailbox and of a message.
#pragma once

#include "base/number_set.h"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage {

/// An account, as numbered by the directory. Never reused.
enum class AccountId : std::uint64_t {};
/// A mailbox within its account. Never reused; survives RENAME (it is what OBJECTID's MAILBOXID shows, RFC 8474 §4).
enum class MailboxId : std::uint32_t {};
/// Which slice of the storage holds an account.
using ShardNumber = std::uint16_t;
/// Unique identifier of a message in a mailbox (RFC 9051 §2.3.1.1), 1 … 2^32-1, strictly ascending.
using Uid = std::uint32_t;
/// Modification sequence (RFC 7162 §3.1.1), 1 … 2^63-1, one counter per account, so that it ascends in every mailbox.
using ModSeq = std::uint64_t;

/// Flags of a message as bits: five system flags and, from kFirstKeyword on, the mailbox's keywords by their position in
/// MailboxInfo::keywords.
using FlagBits = std::uint64_t;
inline constexpr FlagBits kSeen = 1;
inline constexpr FlagBits kAnswered = 2;
inline constexpr FlagBits kFlagged = 4;
inline constexpr FlagBits kDeleted = 8;
inline constexpr FlagBits kDraft = 16;
inline constexpr FlagBits kSystemFlags = 31;
inline constexpr unsigned kFirstKeyword = 8;              ///< bit number; bits 5 to 7 are spare
inline constexpr std::size_t kMaxKeywords = 64 - kFirstKeyword;  ///< different keywords per mailbox in use at one time

/// Special uses of RFC 6154 as bits.
enum SpecialUse : std::uint8_t {
  kUseNone = 0, kUseAll = 1, kUseArchive = 2, kUseDrafts = 4, kUseFlagged = 8, kUseJunk = 16, kUseSent = 32, kUseTrash = 64, kUseImportant = 128,
};

/// A mailbox and its counters.
struct MailboxInfo {
  MailboxId id{};
  std::string name;             ///< UTF-8 (NFC), '/' between levels; "INBOX" for the inbox
  std::uint32_t uid_validity = 0;
  Uid uid_next = 1;
  ModSeq highest_mod_seq = 1;
  std::uint32_t messages = 0;
  std::uint32_t unseen = 0;
  std::uint32_t deleted = 0;    ///< how many carry \Deleted (STATUS DELETED, RFC 9051 §6.3.11)
  std::uint64_t octets = 0;     ///< sum of message sizes (STATUS SIZE, RFC 8438)
  Uid recent_from = 1;          ///< UIDs from here on are \Recent to the next read-write session that selects it
  Uid uidl_until = 0;           ///< no message above it has a MessageView::uidl: POP3 need not look for one
  std::uint8_t special_use = kUseNone;
  bool subscribed = false;
  bool selectable = true;       ///< false: a name that exists only as a parent (\Noselect), or a subscription without mailbox (\NonExistent)
  bool exists = true;
  std::vector<std::string> keywords;  ///< at most kMaxKeywords; an unused position is an empty string
};

/// Everything a session needs to select a mailbox; a consistent view.
struct MailboxView {
  MailboxInfo info;
  NumberSet uids;               ///< every message; doubles as the sequence map
  Uid first_unseen = 0;         ///< 0 where all are seen
};

/// Which parts of messages a fetch wants.
enum FetchField : std::uint32_t {
  kFetchFlags = 1,         ///< flags, mod_seq, size: always filled, the cheapest fetch asks for this alone
  kFetchMeta = 2,          ///< internal date, save date, ids, uidl
  kFetchEnvelope = 4,      ///< IMAP wire form
  kFetchBodyStructure = 8, ///< IMAP wire form, with extension data
  kFetchBody = 16,         ///< IMAP wire form, without extension data
  kFetchParts = 32,        ///< message::encode_parts
  kFetchHeaderFields = 64, ///< message::Summary::header_fields
  kFetchContent = 128,     ///< the whole message where it is no larger than FetchRequest::content_limit
};

/// One message of a FetchBatch. Views point into the batch and live as long as it does.
struct MessageView {
  Uid uid = 0;
  std::uint32_t size = 0;       ///< RFC822.SIZE in octets
  FlagBits flags = 0;
  ModSeq mod_seq = 0;
  std::int64_t internal_date = 0;  ///< seconds since epoch, UTC
  std::int16_t internal_zone = 0;  ///< minutes east of UTC, as given by the client or the platform
  std::int64_t save_date = 0;      ///< when it came into this mailbox (RFC 8514)
  std::int64_t sent_date = 0;      ///< message::Summary::sent_date
  std::int16_t sent_zone = 0;      ///< message::Summary::sent_zone, for SENTBEFORE, SENTON, SENTSINCE
  std::uint64_t email_id = 0;      ///< RFC 8474 EMAILID: equal for copies
  std::uint64_t thread_id = 0;     ///< RFC 8474 THREADID, 0 where unknown
  std::string_view uidl;           ///< POP3 UIDL that the legacy platform had handed out; empty: derive it
  std::string_view envelope;
  std::string_view body_structure;
  std::string_view body;
  std::string_view parts;
  std::string_view header_fields;
  bool header_fields_complete = false;
  bool has_content = false;
  std::string_view content;
};

struct FlagChange {
  Uid uid = 0;
  FlagBits flags = 0;
  ModSeq mod_seq = 0;
};

/// What happened in a mailbox since a mod-sequence.
struct MailboxChanges {
  ModSeq highest_mod_seq = 0;
  Uid uid_next = 1;
  std::uint32_t uid_validity = 0;
  bool exists = true;                ///< false: deleted meanwhile
  NumberSet vanished;                ///< expunged since; complete unless `vanished_unknown`
  bool vanished_unknown = false;     ///< tombstones that old were dropped: `vanished` then holds every UID below uid_next that is not there
  std::vector<FlagChange> changed;   ///< flags or existence changed since, ascending UID; new messages are among them
  std::vector<std::string> keywords;
};

/// Something was committed in a mailbox. Sent after the commit, in commit order.
struct ChangeEvent {
  AccountId account{};
  MailboxId mailbox{};
  ModSeq mod_seq = 0;
};

}  // namespace relais::storage
