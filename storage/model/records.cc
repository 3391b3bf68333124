// Encoding of the mailbox model's records.
#include "storage/model/records.h"

#include "base/check.h"
#include "base/encode.h"
#include "storage/model/chunk.h"

#include <utility>

namespace relais::storage::model {
namespace {

constexpr std::uint8_t kVersion = 1;  // of every record here
constexpr std::uint8_t kAccountWithState = 2;  // version of the record of an account that is not open

// Places in an encoded message record.
constexpr std::size_t kBlobAt = 2;
constexpr std::size_t kSaveDateAt = 18;
constexpr std::size_t kMessageHeader = 54;

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Fault::corrupt, "mailbox index is damaged", "SERVERBUG", std::string(what) + " record does not decode");
}

std::int64_t signed64(std::uint64_t v) { return static_cast<std::int64_t>(v); }
std::int16_t signed16(std::uint16_t v) { return static_cast<std::int16_t>(v); }
std::uint64_t unsigned64(std::int64_t v) { return static_cast<std::uint64_t>(v); }
std::uint16_t unsigned16(std::int16_t v) { return static_cast<std::uint16_t>(v); }

}  // namespace

// A release that knows nothing of states cannot read, and so cannot write, an account that is not open.
std::string encode(const AccountRecord& r) {
  std::string out;
  put_u8(out, r.state == AccountState::open ? kVersion : kAccountWithState);
  put_u32(out, r.next_mailbox);
  put_u32(out, r.last_uid_validity);
  put_u32(out, r.mailboxes);
  put_u64(out, r.mod_seq);
  put_u64(out, r.octets);
  put_u64(out, r.messages);
  put_u64(out, r.octets_limit);
  put_u64(out, r.messages_limit);
  if (r.state != AccountState::open) put_u8(out, static_cast<std::uint8_t>(r.state));
  return out;
}

Result<AccountRecord> decode_account(std::string_view octets) {
  Decoder in(octets);
  AccountRecord r;
  const auto version = in.u8();
  if (version != kVersion && version != kAccountWithState) return damaged("account");
  r.next_mailbox = in.u32();
  r.last_uid_validity = in.u32();
  r.mailboxes = in.u32();
  r.mod_seq = in.u64();
  r.octets = in.u64();
  r.messages = in.u64();
  r.octets_limit = in.u64();
  r.messages_limit = in.u64();
  if (version == kAccountWithState) {
    const auto state = in.u8();
    if (state != static_cast<std::uint8_t>(AccountState::importing) && state != static_cast<std::uint8_t>(AccountState::sealed)) return damaged("account");
    r.state = AccountState{state};
  }
  if (!in.done()) return damaged("account");
  return r;
}

std::string encode(const MailboxRecord& r) {
  std::string out;
  put_u8(out, kVersion);
  put_u8(out, r.selectable ? 1 : 0);
  put_u8(out, r.special_use);
  put_u32(out, r.uid_validity);
  put_u32(out, r.uid_next);
  put_u32(out, r.recent_from);
  put_u32(out, r.uidl_until);
  put_u32(out, r.messages);
  put_u32(out, r.unseen);
  put_u32(out, r.deleted);
  put_u32(out, r.tombstones);
  put_u64(out, r.highest_mod_seq);
  put_u64(out, r.tombstone_floor);
  put_u64(out, r.octets);
  put_string(out, r.name);
  put_varint(out, r.keywords.size());
  for (const auto& keyword : r.keywords) put_string(out, keyword);
  return out;
}

Result<MailboxRecord> decode_mailbox(std::string_view octets) {
  Decoder in(octets);
  MailboxRecord r;
  if (in.u8() != kVersion) return damaged("mailbox");
  r.selectable = (in.u8() & 1) != 0;
  r.special_use = in.u8();
  r.uid_validity = in.u32();
  r.uid_next = in.u32();
  r.recent_from = in.u32();
  r.uidl_until = in.u32();
  r.messages = in.u32();
  r.unseen = in.u32();
  r.deleted = in.u32();
  r.tombstones = in.u32();
  r.highest_mod_seq = in.u64();
  r.tombstone_floor = in.u64();
  r.octets = in.u64();
  r.name = in.string();
  const auto keywords = in.varint();
  if (!in.ok() || keywords > kMaxKeywords) return damaged("mailbox");
  r.keywords.reserve(keywords);
  for (std::uint64_t i = 0; i < keywords; ++i) r.keywords.emplace_back(in.string());
  if (!in.done()) return damaged("mailbox");
  return r;
}

MailboxInfo to_info(MailboxId id, MailboxRecord r) {
  MailboxInfo info;
  info.id = id;
  info.name = std::move(r.name);
  info.uid_validity = r.uid_validity;
  info.uid_next = r.uid_next;
  info.highest_mod_seq = r.highest_mod_seq;
  info.messages = r.messages;
  info.unseen = r.unseen;
  info.deleted = r.deleted;
  info.octets = r.octets;
  info.recent_from = r.recent_from;
  info.uidl_until = r.uidl_until;
  info.special_use = r.special_use;
  info.selectable = r.selectable;
  info.keywords = std::move(r.keywords);
  return info;
}

std::string encode(const MessageRecord& r) {
  std::string out;
  out.reserve(kMessageHeader + 16 + r.uidl.size() + r.parts.size() + r.envelope.size() + r.body_structure.size() + r.header_fields.size());
  put_u8(out, kVersion);
  put_u8(out, static_cast<std::uint8_t>((r.header_fields_complete ? 1 : 0) | (r.header_fields_apart ? 2 : 0)));
  put_u64(out, static_cast<std::uint64_t>(r.blob));
  put_u64(out, unsigned64(r.internal_date));
  put_u64(out, unsigned64(r.save_date));
  put_u64(out, unsigned64(r.sent_date));
  put_u64(out, r.email_id);
  put_u64(out, r.thread_id);
  put_u16(out, unsigned16(r.internal_zone));
  put_u16(out, unsigned16(r.sent_zone));
  RELAIS_CHECK(out.size() == kMessageHeader);
  for (const auto text : {r.uidl, r.parts, r.envelope, r.body_structure, r.header_fields}) put_varint(out, text.size());
  for (const auto text : {r.uidl, r.parts, r.envelope, r.body_structure, r.header_fields}) out += text;
  return out;
}

Result<MessageRecord> decode_message(std::string_view octets) {
  if (octets.size() < kMessageHeader || static_cast<std::uint8_t>(octets[0]) != kVersion) return damaged("message");
  const char* at = octets.data();
  const auto u64_at = [at](std::size_t i) { return load_big_endian<std::uint64_t>(at + i); };
  MessageRecord r;
  const auto bits = static_cast<std::uint8_t>(octets[1]);
  r.header_fields_complete = (bits & 1) != 0;
  r.header_fields_apart = (bits & 2) != 0;
  r.blob = BlobId{u64_at(kBlobAt)};
  r.internal_date = signed64(u64_at(10));
  r.save_date = signed64(u64_at(kSaveDateAt));
  r.sent_date = signed64(u64_at(26));
  r.email_id = u64_at(34);
  r.thread_id = u64_at(42);
  r.internal_zone = signed16(load_big_endian<std::uint16_t>(at + 50));
  r.sent_zone = signed16(load_big_endian<std::uint16_t>(at + 52));
  Decoder in(octets.substr(kMessageHeader));
  const std::uint64_t sizes[] = {in.varint(), in.varint(), in.varint(), in.varint(), in.varint()};
  r.uidl = in.octets(sizes[0]);
  r.parts = in.octets(sizes[1]);
  r.envelope = in.octets(sizes[2]);
  r.body_structure = in.octets(sizes[3]);
  r.header_fields = in.octets(sizes[4]);
  if (!in.done()) return damaged("message");
  return r;
}

Result<BlobId> decode_message_blob(std::string_view octets) {
  if (octets.size() < kMessageHeader || static_cast<std::uint8_t>(octets[0]) != kVersion) return damaged("message");
  return BlobId{load_big_endian<std::uint64_t>(octets.data() + kBlobAt)};
}

void set_blob(std::string& encoded, BlobId blob) {
  RELAIS_CHECK(encoded.size() >= kMessageHeader);
  store_big_endian(encoded.data() + kBlobAt, static_cast<std::uint64_t>(blob));
}

void set_save_date(std::string& encoded, std::int64_t date) {
  RELAIS_CHECK(encoded.size() >= kMessageHeader);
  store_big_endian(encoded.data() + kSaveDateAt, unsigned64(date));
}

bool has_uidl(std::string_view encoded) noexcept { return encoded.size() > kMessageHeader && encoded[kMessageHeader] != '\0'; }

Result<void> drop_uidl(std::string& encoded) {
  if (!has_uidl(encoded)) return {};  // the usual case
  RELAIS_TRY(auto record, decode_message(encoded));
  record.uidl = {};
  encoded = encode(record);
  return {};
}

std::string encode(const NumberSet& set) {
  std::string out;
  put_varint(out, set.ranges().size());
  std::uint32_t before = 0;
  for (const auto range : set.ranges()) {
    put_varint(out, range.first - before);
    put_varint(out, range.last - range.first);
    before = range.last;
  }
  return out;
}

Result<NumberSet> decode_set(std::string_view octets) {
  Decoder in(octets);
  NumberSet set;
  const auto ranges = in.varint();
  std::uint64_t before = 0;
  for (std::uint64_t i = 0; i < ranges && in.ok(); ++i) {
    const auto distance = in.varint();
    const auto length = in.varint();
    if (distance > UINT32_MAX || length > UINT32_MAX || before + distance + length > UINT32_MAX) return damaged("tombstone");
    const auto first = before + distance;
    before = first + length;
    set.add(NumberRange{static_cast<std::uint32_t>(first), static_cast<std::uint32_t>(before)});
  }
  if (!in.done()) return damaged("tombstone");
  return set;
}

std::string encode_attribute(std::string_view value) {
  std::string out;
  out.reserve(value.size() + 1);
  put_u8(out, kVersion);
  return out += value;
}

Result<std::string_view> decode_attribute(std::string_view octets) {
  if (octets.size() < 2 || static_cast<std::uint8_t>(octets.front()) != kVersion) return damaged("attribute");
  return octets.substr(1);
}

std::string encode(const AppendResult& result) {
  std::string out;
  put_u8(out, kVersion);
  put_u32(out, static_cast<std::uint32_t>(result.mailbox));
  put_u32(out, result.uid_validity);
  put_varint(out, result.uids.size());
  for (const auto uid : result.uids) put_u32(out, uid);
  return out;
}

Result<AppendResult> decode_append_result(std::string_view octets) {
  Decoder in(octets);
  AppendResult result;
  if (in.u8() != kVersion) return damaged("append");
  result.mailbox = MailboxId{in.u32()};
  result.uid_validity = in.u32();
  const auto count = in.varint();
  if (!in.ok() || in.rest().size() != count * 4) return damaged("append");
  result.uids.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) result.uids.push_back(in.u32());
  return result;
}

}  // namespace relais::storage::model
