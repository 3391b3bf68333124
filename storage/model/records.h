// The records of the mailbox model and their octets; docs/format.md has the tables and worked examples.
#pragma once

#include "base/number_set.h"
#include "base/result.h"
#include "storage/engine.h"
#include "storage/import.h"
#include "storage/store.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::storage::model {

/// What is counted per account.
struct AccountRecord {
  std::uint32_t next_mailbox = 1;
  std::uint32_t last_uid_validity = 0;  ///< the highest handed out
  std::uint32_t mailboxes = 0;
  ModSeq mod_seq = 1;                   ///< the highest handed out
  std::uint64_t octets = 0;
  std::uint64_t messages = 0;
  std::uint64_t octets_limit = 0;
  std::uint64_t messages_limit = 0;
  AccountState state = AccountState::open;
  friend bool operator==(const AccountRecord&, const AccountRecord&) = default;
};
std::string encode(const AccountRecord& record);
Result<AccountRecord> decode_account(std::string_view octets);

struct MailboxRecord {
  bool selectable = true;
  std::uint8_t special_use = kUseNone;
  std::uint32_t uid_validity = 0;
  Uid uid_next = 1;
  Uid recent_from = 1;
  Uid uidl_until = 0;                   ///< no message above it has a UIDL of a legacy platform
  std::uint32_t messages = 0;
  std::uint32_t unseen = 0;
  std::uint32_t deleted = 0;
  std::uint32_t tombstones = 0;         ///< how many tombstone records are kept
  ModSeq highest_mod_seq = 1;
  ModSeq tombstone_floor = 0;           ///< expunges up to this one have no record any more
  std::uint64_t octets = 0;
  std::string name;
  std::vector<std::string> keywords;
  friend bool operator==(const MailboxRecord&, const MailboxRecord&) = default;
};
std::string encode(const MailboxRecord& record);
Result<MailboxRecord> decode_mailbox(std::string_view octets);
MailboxInfo to_info(MailboxId id, MailboxRecord record);

/// What never changes of a message in a mailbox. Views into the encoded octets or whatever it was made of.
struct MessageRecord {
  BlobId blob{};
  std::int64_t internal_date = 0;
  std::int64_t save_date = 0;
  std::int64_t sent_date = 0;
  std::uint64_t email_id = 0;
  std::uint64_t thread_id = 0;
  std::int16_t internal_zone = 0;
  std::int16_t sent_zone = 0;
  bool header_fields_complete = true;
  bool header_fields_apart = false;     ///< they lie under header_key(), `header_fields` is empty
  std::string_view uidl;
  std::string_view parts;
  std::string_view envelope;
  std::string_view body_structure;
  std::string_view header_fields;
  friend bool operator==(const MessageRecord&, const MessageRecord&) = default;
};

/// A message record no larger than this stays inside an LMDB leaf page; header fields that do not fit go to a record of their own.
inline constexpr std::size_t kMaxInlineRecord = 1'980;

std::string encode(const MessageRecord& record);
Result<MessageRecord> decode_message(std::string_view octets);
/// The blob alone, for those who only count references.
Result<BlobId> decode_message_blob(std::string_view octets);
// Edits of an encoded record, at fixed places: the blob's number and the save date are known only inside the transaction.
void set_blob(std::string& encoded, BlobId blob);
void set_save_date(std::string& encoded, std::int64_t date);
/// Whether a legacy platform had handed out a UIDL.
bool has_uidl(std::string_view encoded) noexcept;
/// COPY drops the UIDL that the legacy platform had handed out: two messages of one mailbox must not share one (RFC 1939 §7).
Result<void> drop_uidl(std::string& encoded);

/// Ranges as varints: how many, then per range the distance from the end of the one before and its length - 1.
std::string encode(const NumberSet& set);
Result<NumberSet> decode_set(std::string_view octets);

std::string encode_attribute(std::string_view value);
/// The value, as a view into the octets.
Result<std::string_view> decode_attribute(std::string_view octets);

std::string encode(const AppendResult& result);
Result<AppendResult> decode_append_result(std::string_view octets);

}  // namespace relais::storage::model
