// Checks a new message and makes its records.
#include "smtp/queue/intake.h"

#include <algorithm>
#include <map>

namespace relais::smtp::queue {
namespace {

std::unexpected<Error> wrong(std::string_view what) { return fail(Fault::refused, "message cannot be queued", "5.5.4", what); }

bool clean(std::string_view text, std::size_t most) {
  return text.size() <= most && std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

Result<void> check_recipient(const NewRecipient& recipient) {
  if (recipient.address.empty() || !clean(recipient.address, kMaxQueueText)) return wrong("recipient");
  if (!clean(recipient.given, kMaxQueueText)) return wrong("recipient as given");
  if (recipient.original.type.size() + recipient.original.address.size() > kMaxQueueText) return wrong("original recipient");
  if (recipient.destination.empty() || !clean(recipient.destination, kMaxDestination)) return wrong("destination");
  return {};
}

}  // namespace

std::int64_t next_check(const MessageRecord& message) noexcept {
  auto next = message.expires;
  if (message.delay_at != 0) next = std::min(next, message.delay_at);
  if (message.by_mode == ByMode::give_up || (message.by_mode == ByMode::notify && !message.by_told))
    next = std::min(next, message.deliver_by);
  return next;
}

Result<Entry> make_entry(const NewMessage& message, MessageId id, std::int64_t now, const Lifetimes& lifetimes) {
  if (message.trace_id.empty() || !clean(message.trace_id, kMaxTraceId)) return wrong("trace id");
  if (message.recipients.empty()) return wrong("no recipients");
  if (!message.content) return wrong("no content");
  if (message.priority < -9 || message.priority > 9) return wrong("priority");
  if (!clean(message.sender, kMaxQueueText) || !clean(message.envelope_id, kMaxQueueText)) return wrong("sender");
  if (!clean(message.hold_request, kMaxQueueText) || !clean(message.parent, kMaxTraceId)) return wrong("envelope");

  Entry entry{.id = id, .message = {}, .jobs = {}, .content = message.content};
  auto& record = entry.message;
  record.size = message.content->raw_size();
  record.arrival = message.arrival != 0 ? message.arrival : now;
  record.ret = message.ret;
  record.eight_bit = message.eight_bit;
  record.binary = message.binary;
  record.smtputf8 = message.smtputf8;
  record.require_tls = message.require_tls;
  record.optional_tls = message.optional_tls;
  record.report = message.report;
  record.priority = static_cast<std::int8_t>(message.priority);
  record.account = message.account;
  record.trace_id = message.trace_id;
  record.sender = message.sender;
  record.envelope_id = message.envelope_id;
  record.hold_request = message.hold_request;
  record.client = message.client.substr(0, kMaxQueueText);
  record.message_id = message.message_id.substr(0, kMaxQueueText);
  record.parent = message.parent;

  const auto begins = std::max(record.arrival, message.hold_until);
  record.expires = begins + (message.report ? lifetimes.report : lifetimes.lifetime).count();
  if (message.by_mode != ByMode::none && message.deliver_by != 0) {
    record.by_mode = message.by_mode;
    record.by_trace = message.by_trace;
    record.deliver_by = message.deliver_by;
  }
  const bool tells = !message.sender.empty() && !message.report;
  const bool delay = std::ranges::any_of(message.recipients, [](const NewRecipient& one) { return one.notify.delay(); });
  if (tells && delay && lifetimes.delay_notice.count() > 0) record.delay_at = begins + lifetimes.delay_notice.count();
  record.check = std::max(next_check(record), now);

  std::map<std::string_view, JobRecord> jobs;
  for (const auto& recipient : message.recipients) {
    RELAIS_TRY_VOID(check_recipient(recipient));
    auto& job = jobs[recipient.destination];
    job.recipients.push_back({.number = record.next_recipient++,
                              .state = RecipientState::open,
                              .notify = recipient.notify,
                              .turns = 0,
                              .reply = 0,
                              .address = recipient.address,
                              .given = recipient.given == recipient.address ? std::string() : recipient.given,
                              .original = recipient.original});
  }
  for (auto& [destination, job] : jobs) {
    job.due = begins > now ? begins : now;
    job.priority = priority_class(message.priority);
    entry.jobs.emplace_back(destination, std::move(job));
  }
  record.open_jobs = static_cast<std::uint32_t>(entry.jobs.size());
  return entry;
}

}  // namespace relais::smtp::queue
