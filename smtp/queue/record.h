// Keys and records of a queue shard; docs/format.md has the octets.
#pragma once

#include "base/result.h"
#include "smtp/queue/message.h"
#include "storage/engine.h"

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace relais::smtp::queue {

/// All keys of the queue belong to one account of the engine.
inline constexpr storage::AccountId kQueueAccount{1};

/// Names a message within its shard: ascending, and about its time of arrival in microseconds since the epoch.
using MessageId = std::uint64_t;

/// Urgent mail first: RFC 6710 priorities in four classes. 0: 4 to 9, 1: 1 to 3, 2: 0, 3: below.
using PriorityClass = std::uint8_t;
inline constexpr PriorityClass kPriorityClasses = 4;
PriorityClass priority_class(int priority) noexcept;

/// Where a job stands in its destination's schedule; ascending is the order in which jobs are tried.
struct Position {
  PriorityClass priority = 0;
  std::int64_t due = 0;  ///< seconds since the epoch
  MessageId id = 0;
  friend auto operator<=>(const Position&, const Position&) = default;
};

// ---- keys
std::string message_key(MessageId id);
std::string job_key(MessageId id, std::string_view destination);
std::string held_key(MessageId id, std::string_view destination);
std::string schedule_key(std::string_view destination, const Position& position);
std::string check_key(std::int64_t time, MessageId id);
std::string trace_key(std::string_view trace_id, MessageId id);
std::string forget_key(MessageId id, std::string_view destination);

/// What follows every key with this prefix: the end of its range.
std::string after_prefix(std::string prefix);
/// Before every schedule key; and before those of destinations behind this one.
std::string schedule_begin();
std::string schedule_after(std::string_view destination);

struct ScheduleEntry {
  std::string_view destination;
  Position position;
};
/// nullopt where the key is none (of another family).
std::optional<ScheduleEntry> parse_schedule_key(std::string_view key) noexcept;
struct JobName {
  MessageId id = 0;
  std::string_view destination;
};
/// Of job, held and forget keys.
std::optional<JobName> parse_job_key(std::string_view key) noexcept;
std::optional<MessageId> parse_message_key(std::string_view key) noexcept;
struct CheckEntry {
  std::int64_t time = 0;
  MessageId id = 0;
};
std::optional<CheckEntry> parse_check_key(std::string_view key) noexcept;
/// The id of a trace key.
std::optional<MessageId> parse_trace_key(std::string_view key) noexcept;

// ---- records
/// What is kept once of a message.
struct MessageRecord {
  storage::BlobId content{};
  std::uint64_t size = 0;
  std::uint32_t open_jobs = 0;
  std::uint32_t next_recipient = 0;  ///< number of the next recipient (one that is sent elsewhere)
  std::int64_t arrival = 0;
  std::int64_t expires = 0;
  std::int64_t check = 0;     ///< time of its check key
  std::int64_t delay_at = 0;  ///< when the sender shall hear that it takes longer; 0: told, or not wanted
  std::int64_t deliver_by = 0;
  ByMode by_mode = ByMode::none;
  Ret ret = Ret::unset;
  bool eight_bit = false;
  bool binary = false;
  bool smtputf8 = false;
  bool require_tls = false;
  bool optional_tls = false;
  bool report = false;
  bool by_trace = false;
  bool by_told = false;  ///< the notice of DELIVERBY=…;N was sent
  std::int8_t priority = 0;
  std::uint64_t account = 0;
  std::string trace_id;
  std::string sender;
  std::string envelope_id;
  std::string hold_request;
  std::string client;
  std::string message_id;
  std::string parent;
  friend bool operator==(const MessageRecord&, const MessageRecord&) = default;
};

enum class RecipientState : std::uint8_t {
  open,
  relayed,
  delivered,
  failed,
};

/// What another host (or we) said last. Texts are cut at kMaxStoredText.
struct ReplyRecord {
  std::uint16_t code = 0;  ///< 0: none
  bool remote = false;     ///< text is the remote's
  std::int64_t time = 0;
  std::string status;
  std::string text;
  std::string host;
  friend bool operator==(const ReplyRecord&, const ReplyRecord&) = default;
};
inline constexpr std::size_t kMaxStoredText = 512;  ///< octets

struct RecipientRecord {
  std::uint32_t number = 0;
  RecipientState state = RecipientState::open;
  Notify notify;
  std::uint8_t turns = 0;   ///< how often it was sent elsewhere
  std::uint32_t reply = 0;  ///< position in JobRecord::replies, from 1 on; 0: none
  std::string address;
  std::string given;
  OriginalRecipient original;
  friend bool operator==(const RecipientRecord&, const RecipientRecord&) = default;
};

/// An account that got the message under its delivery id.
struct OnceRecord {
  std::uint64_t account = 0;
  std::uint16_t shard = 0;
  friend auto operator<=>(const OnceRecord&, const OnceRecord&) = default;
};

/// A message's recipients of one destination.
struct JobRecord {
  std::int64_t due = 0;
  std::uint32_t attempts = 0;
  bool held = false;
  PriorityClass priority = 2;
  std::vector<ReplyRecord> replies;  ///< each once, however many recipients got it
  std::vector<OnceRecord> once;      ///< delivery ids to forget when the job is over
  std::vector<RecipientRecord> recipients;
  friend bool operator==(const JobRecord&, const JobRecord&) = default;

  /// Makes it the recipient's last reply.
  void set_reply(RecipientRecord& recipient, ReplyRecord reply);
  /// Null where there was none.
  const ReplyRecord* reply_of(const RecipientRecord& recipient) const noexcept;
  bool open() const noexcept;
};

/// Delivery ids of a job that is over, to be forgotten.
struct ForgetRecord {
  std::string once;  ///< the delivery id
  std::vector<OnceRecord> places;
  friend bool operator==(const ForgetRecord&, const ForgetRecord&) = default;
};

std::string encode(const MessageRecord& record);
/// Puts the content's blob id into an encoded message record: it is known within the transaction alone.
void set_content(std::string& encoded, storage::BlobId content) noexcept;
/// Replies that no recipient has are left out.
std::string encode(const JobRecord& record);
std::string encode(const ForgetRecord& record);
/// Fault::corrupt where the octets are no such record or of a version that is not known. No input makes them crash.
Result<MessageRecord> decode_message(std::string_view octets);
Result<JobRecord> decode_job(std::string_view octets);
Result<ForgetRecord> decode_forget(std::string_view octets);

}  // namespace relais::smtp::queue
