// APPEND and delivery.
#include "storage/model/append.h"

#include "message/summary.h"
#include "storage/model/digest.h"
#include "storage/model/prepared.h"

#include <algorithm>

namespace relais::storage::model {
namespace {

// RFC 8474 §4: copies of one content share their EMAILID, different contents must not. The trace header is content too.
std::uint64_t email_id(std::uint64_t digest, std::string_view trace_header) {
  if (!trace_header.empty()) digest = (digest ^ sha256_prefix(trace_header)) * 0x9E37'79B9'7F4A'7C15U;
  return digest == 0 ? 1 : digest;
}

}  // namespace

Result<void> check_keywords(const std::vector<std::string>& keywords) {
  for (const auto& keyword : keywords) {
    // atom-specials: "(" ")" "{" SP CTL, list-wildcards, quoted-specials, resp-specials
    const bool atom = std::ranges::all_of(keyword, [](char c) { return c > 0x20 && c < 0x7F && !std::string_view("(){%*\"\\]").contains(c); });
    if (keyword.empty() || keyword.size() > kMaxKeyword || !atom) return fail(Fault::refused, "not a keyword", "CANNOT");
  }
  return {};
}

Result<void> check_uidl(std::string_view uidl) {
  const bool good = uidl.size() <= 70 && std::ranges::all_of(uidl, [](char c) { return c >= 0x21 && c <= 0x7E; });
  if (!good) return fail(Fault::refused, "not a UIDL", "CANNOT");
  return {};
}

Result<PlannedMessage> plan_message(const AppendMessage& message, std::int64_t now) {
  return plan_message(message, {.internal_date = message.internal_date == 0 ? now : message.internal_date, .save_date = now});
}

Result<PlannedMessage> plan_message(const AppendMessage& message, MessageDates dates) {
  const auto size = message.message->size() + message.trace_header.size();
  if (size > kMaxMessage) return fail(Fault::refused, "message is too large", "LIMIT");
  RELAIS_TRY_VOID(check_uidl(message.uidl));
  RELAIS_TRY_VOID(check_keywords(message.keywords));

  PlannedMessage planned;
  planned.blob = make_blob(message.trace_header, message.message->chunks());
  planned.size = static_cast<std::uint32_t>(size);
  planned.system_flags = message.system_flags & kSystemFlags;
  planned.keywords = message.keywords;
  planned.uid = message.uid;
  planned.mod_seq = message.mod_seq;

  message::Summary shifted;
  const auto* summary = &message.message->summary();
  if (!message.trace_header.empty()) {
    shifted = *summary;
    message::shift(shifted, message.trace_header);
    summary = &shifted;
  }
  MessageRecord record;
  record.internal_date = dates.internal_date;
  record.internal_zone = message.internal_zone;
  record.save_date = dates.save_date;
  record.sent_date = summary->sent_date;
  record.sent_zone = summary->sent_zone;
  record.email_id = email_id(message.message->digest(), message.trace_header);
  record.header_fields_complete = summary->header_fields_complete;
  record.uidl = message.uidl;
  record.parts = summary->parts;
  record.envelope = summary->envelope;
  record.body_structure = summary->body_structure;
  record.header_fields = summary->header_fields;
  planned.record = encode(record);
  if (planned.record.size() > kMaxInlineRecord && !record.header_fields.empty()) {
    planned.header_fields_apart = summary->header_fields;
    record.header_fields = {};
    record.header_fields_apart = true;
    planned.record = encode(record);
  }
  return planned;
}

Result<AppendResult> append_messages(Work& work, const std::string& mailbox, const std::vector<PlannedMessage>& messages, bool create_missing,
                                     const std::string& once, std::span<const BlobId> blobs) {
  if (!once.empty()) {
    RELAIS_TRY(const auto done, work.txn().get(once_key(once)));
    if (done) {
      RELAIS_TRY(auto result, decode_append_result(*done));
      for (const auto blob : blobs) RELAIS_TRY_VOID(work.txn().release_blob(blob));
      return result;
    }
  }
  RELAIS_TRY(auto* box, work.find(mailbox));
  if (box == nullptr || !box->record.selectable) {
    // RFC 9051 §6.3.12: APPEND never creates; a delivery does.
    if (!create_missing) return fail(Fault::refused, "no such mailbox", "TRYCREATE");
    RELAIS_TRY(box, work.create_selectable(box, mailbox));
  }
  std::uint64_t octets = 0;
  for (const auto& message : messages) octets += message.size;
  RELAIS_TRY_VOID(work.check_quota(octets, messages.size()));

  AppendResult result{box->id, box->record.uid_validity, {}};
  result.uids.reserve(messages.size());
  const auto highest_before = box->record.highest_mod_seq;
  std::string buffer;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& message = messages[i];
    if (message.uid) {
      if (*message.uid < box->record.uid_next || *message.uid > kMaxUid) return fail(Fault::refused, "UID is taken or out of order", "CANNOT");
      box->record.uid_next = *message.uid;
    }
    RELAIS_TRY(const auto keywords, work.keyword_bits(*box, message.keywords, true));
    const bool dictated = message.mod_seq && *message.mod_seq > highest_before && *message.mod_seq <= kMaxDictatedModSeq;
    const HotRecord hot{0, message.size, dictated ? *message.mod_seq : work.mod_seq(), message.system_flags | keywords};
    buffer = message.record;
    set_blob(buffer, blobs[i]);
    RELAIS_TRY(const auto uid, work.append(*box, hot, buffer, message.header_fields_apart));
    result.uids.push_back(uid);
  }
  if (!once.empty()) RELAIS_TRY_VOID(work.txn().put(once_key(once), encode(result)));
  return result;
}

}  // namespace relais::storage::model
