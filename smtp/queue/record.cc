// Encoding and decoding of the queue's keys and records.
#include "smtp/queue/record.h"

#include "base/encode.h"

#include <algorithm>

namespace relais::smtp::queue {
namespace {

constexpr std::uint8_t kVersion = 1;

enum Flag : std::uint16_t {
  kEightBit = 1,
  kBinary = 2,
  kSmtpUtf8 = 4,
  kRequireTls = 8,
  kOptionalTls = 16,
  kReport = 32,
  kByTrace = 64,
  kByTold = 128,
};

// Times are stored as unsigned numbers, so that keys sort: what lies before 1970 is 1970.
std::uint64_t stored(std::int64_t time) noexcept { return time < 0 ? 0 : static_cast<std::uint64_t>(time); }
std::int64_t loaded(std::uint64_t time) noexcept {
  return static_cast<std::int64_t>(std::min(time, static_cast<std::uint64_t>(INT64_MAX)));
}

std::string key_of(char family, MessageId id, std::string_view rest) {
  std::string key;
  key.reserve(9 + rest.size());
  key += family;
  put_u64(key, id);
  key += rest;
  return key;
}

std::unexpected<Error> damaged(std::string_view what) {
  return fail(Fault::corrupt, "the queue is damaged", {}, std::string(what) + " cannot be decoded");
}

void put_text(std::string& out, std::string_view text) { put_string(out, text.substr(0, kMaxStoredText)); }

void put_once(std::string& out, const std::vector<OnceRecord>& list) {
  put_varint(out, list.size());
  for (const auto& once : list) {
    put_u64(out, once.account);
    put_u16(out, once.shard);
  }
}

bool get_once(Decoder& in, std::vector<OnceRecord>& list) {
  const auto count = in.varint();
  if (count > in.rest().size()) return false;
  list.reserve(count);
  for (std::uint64_t i = 0; i < count && in.ok(); ++i) {
    auto& once = list.emplace_back();
    once.account = in.u64();
    once.shard = in.u16();
  }
  return in.ok();
}

}  // namespace

PriorityClass priority_class(int priority) noexcept {
  if (priority >= 4) return 0;
  if (priority > 0) return 1;
  return priority == 0 ? 2 : 3;
}

std::string message_key(MessageId id) { return key_of('M', id, {}); }
std::string job_key(MessageId id, std::string_view destination) { return key_of('J', id, destination); }
std::string held_key(MessageId id, std::string_view destination) { return key_of('H', id, destination); }
std::string forget_key(MessageId id, std::string_view destination) { return key_of('F', id, destination); }

std::string schedule_key(std::string_view destination, const Position& position) {
  std::string key;
  key.reserve(destination.size() + 19);
  key += 'S';
  key += destination;
  put_u8(key, 0);
  put_u8(key, position.priority);
  put_u64(key, stored(position.due));
  put_u64(key, position.id);
  return key;
}

std::string check_key(std::int64_t time, MessageId id) {
  std::string key("X");
  put_u64(key, stored(time));
  put_u64(key, id);
  return key;
}

std::string trace_key(std::string_view trace_id, MessageId id) {
  std::string key("T");
  key += trace_id;
  put_u8(key, 0);
  put_u64(key, id);
  return key;
}

std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xFF') prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

std::string schedule_begin() { return "S"; }
std::string schedule_after(std::string_view destination) { return "S" + std::string(destination) + '\x01'; }

std::optional<ScheduleEntry> parse_schedule_key(std::string_view key) noexcept {
  constexpr std::size_t kTail = 1 + 1 + 8 + 8;
  if (key.size() < 1 + kTail || key.front() != 'S') return std::nullopt;
  ScheduleEntry entry;
  entry.destination = key.substr(1, key.size() - 1 - kTail);
  Decoder tail(key.substr(key.size() - kTail));
  const auto zero = tail.u8();
  entry.position.priority = tail.u8();
  entry.position.due = loaded(tail.u64());
  entry.position.id = tail.u64();
  if (zero != 0 || entry.position.priority >= kPriorityClasses || entry.destination.contains('\0')) return std::nullopt;
  return entry;
}

std::optional<JobName> parse_job_key(std::string_view key) noexcept {
  if (key.size() < 10 || (key.front() != 'J' && key.front() != 'H' && key.front() != 'F')) return std::nullopt;
  return JobName{Decoder(key.substr(1, 8)).u64(), key.substr(9)};
}

std::optional<MessageId> parse_message_key(std::string_view key) noexcept {
  if (key.size() != 9 || key.front() != 'M') return std::nullopt;
  return Decoder(key.substr(1)).u64();
}

std::optional<CheckEntry> parse_check_key(std::string_view key) noexcept {
  if (key.size() != 17 || key.front() != 'X') return std::nullopt;
  Decoder in(key.substr(1));
  CheckEntry entry;
  entry.time = loaded(in.u64());
  entry.id = in.u64();
  return entry;
}

std::optional<MessageId> parse_trace_key(std::string_view key) noexcept {
  if (key.size() < 10 || key.front() != 'T') return std::nullopt;
  return Decoder(key.substr(key.size() - 8)).u64();
}

void JobRecord::set_reply(RecipientRecord& recipient, ReplyRecord reply) {
  if (reply.text.size() > kMaxStoredText) reply.text.resize(kMaxStoredText);
  if (reply.status.size() > kMaxStoredText) reply.status.resize(kMaxStoredText);
  if (reply.host.size() > kMaxStoredText) reply.host.resize(kMaxStoredText);
  // The newest first: recipients of one transaction mostly hear the same.
  const auto known = std::find(replies.rbegin(), replies.rend(), reply);
  if (known != replies.rend()) {
    recipient.reply = static_cast<std::uint32_t>(replies.rend() - known);
    return;
  }
  replies.push_back(std::move(reply));
  recipient.reply = static_cast<std::uint32_t>(replies.size());
}

const ReplyRecord* JobRecord::reply_of(const RecipientRecord& recipient) const noexcept {
  return recipient.reply == 0 || recipient.reply > replies.size() ? nullptr : &replies[recipient.reply - 1];
}

bool JobRecord::open() const noexcept {
  return std::ranges::any_of(recipients, [](const RecipientRecord& one) { return one.state == RecipientState::open; });
}

std::string encode(const MessageRecord& record) {
  std::uint16_t flags = 0;
  const auto set = [&flags](bool on, Flag flag) { flags = static_cast<std::uint16_t>(flags | (on ? flag : 0)); };
  set(record.eight_bit, kEightBit);
  set(record.binary, kBinary);
  set(record.smtputf8, kSmtpUtf8);
  set(record.require_tls, kRequireTls);
  set(record.optional_tls, kOptionalTls);
  set(record.report, kReport);
  set(record.by_trace, kByTrace);
  set(record.by_told, kByTold);

  std::string out;
  out.reserve(96 + record.trace_id.size() + record.sender.size() + record.client.size() + record.message_id.size());
  put_u8(out, kVersion);
  put_u64(out, static_cast<std::uint64_t>(record.content));
  put_u16(out, flags);
  put_u8(out, static_cast<std::uint8_t>(record.ret));
  put_u8(out, static_cast<std::uint8_t>(record.by_mode));
  put_u8(out, static_cast<std::uint8_t>(record.priority));
  put_varint(out, record.size);
  put_varint(out, record.open_jobs);
  put_varint(out, record.next_recipient);
  for (const auto time : {record.arrival, record.expires, record.check, record.delay_at, record.deliver_by}) put_varint(out, stored(time));
  put_varint(out, record.account);
  for (const auto* text :
       {&record.trace_id, &record.sender, &record.envelope_id, &record.hold_request, &record.client, &record.message_id, &record.parent}) {
    put_string(out, *text);
  }
  return out;
}

void set_content(std::string& encoded, storage::BlobId content) noexcept {
  for (std::size_t i = 0; i < 8; ++i) encoded[1 + i] = static_cast<char>(static_cast<std::uint64_t>(content) >> (56 - 8 * i));
}

Result<MessageRecord> decode_message(std::string_view octets) {
  Decoder in(octets);
  if (in.u8() != kVersion) return damaged("message record");
  MessageRecord record;
  record.content = storage::BlobId{in.u64()};
  const auto flags = in.u16();
  record.eight_bit = (flags & kEightBit) != 0;
  record.binary = (flags & kBinary) != 0;
  record.smtputf8 = (flags & kSmtpUtf8) != 0;
  record.require_tls = (flags & kRequireTls) != 0;
  record.optional_tls = (flags & kOptionalTls) != 0;
  record.report = (flags & kReport) != 0;
  record.by_trace = (flags & kByTrace) != 0;
  record.by_told = (flags & kByTold) != 0;
  const auto ret = in.u8();
  const auto by_mode = in.u8();
  if (ret > static_cast<std::uint8_t>(Ret::headers) || by_mode > static_cast<std::uint8_t>(ByMode::give_up))
    return damaged("message record");
  record.ret = static_cast<Ret>(ret);
  record.by_mode = static_cast<ByMode>(by_mode);
  record.priority = static_cast<std::int8_t>(in.u8());
  record.size = in.varint();
  const auto open_jobs = in.varint();
  const auto next = in.varint();
  for (auto* time : {&record.arrival, &record.expires, &record.check, &record.delay_at, &record.deliver_by}) *time = loaded(in.varint());
  record.account = in.varint();
  for (auto* text :
       {&record.trace_id, &record.sender, &record.envelope_id, &record.hold_request, &record.client, &record.message_id, &record.parent}) {
    *text = in.string();
  }
  if (!in.done() || open_jobs > UINT32_MAX || next > UINT32_MAX) return damaged("message record");
  record.open_jobs = static_cast<std::uint32_t>(open_jobs);
  record.next_recipient = static_cast<std::uint32_t>(next);
  return record;
}

std::string encode(const JobRecord& record) {
  // Positions of the replies that are kept, from 1 on.
  std::vector<std::uint32_t> place(record.replies.size() + 1, 0);
  for (const auto& recipient : record.recipients) {
    if (record.reply_of(recipient) != nullptr) place[recipient.reply] = 1;
  }
  std::uint32_t kept = 0;
  for (auto& at : place) {
    if (at != 0) at = ++kept;
  }

  std::string out;
  out.reserve(32 + record.recipients.size() * 48 + kept * 64);
  put_u8(out, kVersion);
  put_u8(out, record.held ? 1 : 0);
  put_u8(out, record.priority);
  put_varint(out, stored(record.due));
  put_varint(out, record.attempts);
  put_varint(out, kept);
  for (std::size_t i = 0; i < record.replies.size(); ++i) {
    if (place[i + 1] == 0) continue;
    const auto& reply = record.replies[i];
    put_u16(out, reply.code);
    put_u8(out, reply.remote ? 1 : 0);
    put_varint(out, stored(reply.time));
    put_text(out, reply.status);
    put_text(out, reply.text);
    put_text(out, reply.host);
  }
  put_once(out, record.once);
  put_varint(out, record.recipients.size());
  for (const auto& recipient : record.recipients) {
    put_varint(out, recipient.number);
    put_u8(out, static_cast<std::uint8_t>(recipient.state));
    put_u8(out, recipient.notify.bits);
    put_u8(out, recipient.turns);
    put_varint(out, record.reply_of(recipient) != nullptr ? place[recipient.reply] : 0);
    put_string(out, recipient.address);
    put_string(out, recipient.given);
    put_string(out, recipient.original.type);
    put_string(out, recipient.original.address);
  }
  return out;
}

Result<JobRecord> decode_job(std::string_view octets) {
  Decoder in(octets);
  if (in.u8() != kVersion) return damaged("job record");
  JobRecord record;
  record.held = in.u8() != 0;
  record.priority = in.u8();
  record.due = loaded(in.varint());
  record.attempts = static_cast<std::uint32_t>(std::min<std::uint64_t>(in.varint(), UINT32_MAX));
  const auto replies = in.varint();
  // Every entry takes octets: a count beyond what is left is damage, not a wish for memory.
  if (replies > in.rest().size() || record.priority >= kPriorityClasses) return damaged("job record");
  record.replies.reserve(replies);
  for (std::uint64_t i = 0; i < replies && in.ok(); ++i) {
    auto& reply = record.replies.emplace_back();
    reply.code = in.u16();
    reply.remote = in.u8() != 0;
    reply.time = loaded(in.varint());
    reply.status = in.string();
    reply.text = in.string();
    reply.host = in.string();
  }
  if (!get_once(in, record.once)) return damaged("job record");
  const auto recipients = in.varint();
  if (recipients > in.rest().size()) return damaged("job record");
  record.recipients.reserve(recipients);
  for (std::uint64_t i = 0; i < recipients && in.ok(); ++i) {
    auto& recipient = record.recipients.emplace_back();
    recipient.number = static_cast<std::uint32_t>(std::min<std::uint64_t>(in.varint(), UINT32_MAX));
    const auto state = in.u8();
    if (state > static_cast<std::uint8_t>(RecipientState::failed)) return damaged("job record");
    recipient.state = static_cast<RecipientState>(state);
    recipient.notify.bits = in.u8();
    recipient.turns = in.u8();
    recipient.reply = static_cast<std::uint32_t>(std::min<std::uint64_t>(in.varint(), UINT32_MAX));
    if (recipient.reply > record.replies.size()) return damaged("job record");
    recipient.address = in.string();
    recipient.given = in.string();
    recipient.original.type = in.string();
    recipient.original.address = in.string();
  }
  if (!in.done()) return damaged("job record");
  return record;
}

std::string encode(const ForgetRecord& record) {
  std::string out;
  put_u8(out, kVersion);
  put_string(out, record.once);
  put_once(out, record.places);
  return out;
}

Result<ForgetRecord> decode_forget(std::string_view octets) {
  Decoder in(octets);
  if (in.u8() != kVersion) return damaged("forget record");
  ForgetRecord record;
  record.once = in.string();
  if (!get_once(in, record.places) || !in.done()) return damaged("forget record");
  return record;
}

}  // namespace relais::smtp::queue
