// Makes delivery status notifications out of the queue's records.
#include "smtp/queue/notice.h"

#include "base/ascii.h"
#include "base/log.h"

#include <algorithm>

namespace relais::smtp::queue {
namespace {

/// The header with its blank line, or what there is of it.
std::string_view header_of(std::string_view octets) {
  const auto end = octets.starts_with("\r\n") ? 0 : octets.find("\r\n\r\n");
  return end == std::string_view::npos ? octets : octets.substr(0, end == 0 ? 2 : end + 4);
}

}  // namespace

bool can_tell(const MessageRecord& message) noexcept { return !message.report && !message.sender.empty(); }

message::ReportedRecipient reported(const RecipientRecord& recipient, message::DeliveryAction action, const ReplyRecord* reply) {
  message::ReportedRecipient out;
  out.recipient = recipient.address;
  out.original_type = recipient.original.type;
  out.original = recipient.original.address;
  out.action = action;
  if (reply == nullptr) return out;
  out.status = reply->status;
  out.host = reply->host;
  out.last_attempt = reply->time;
  (reply->remote ? out.reply : out.reason) = reply->text;
  return out;
}

net::Task<NewMessage> make_notice(const MessageRecord& message, std::vector<message::ReportedRecipient> recipients, std::string trace_id,
                                  std::string destination, Content& content, std::int64_t now, const NoticeOptions& options) {
  const bool failed =
      std::ranges::any_of(recipients, [](const message::ReportedRecipient& one) { return one.action == message::DeliveryAction::failed; });
  message::Report report;
  report.hostname = options.hostname;
  report.report_id = trace_id;
  report.id = message.trace_id;
  report.sender = message.sender;
  report.envelope_id = message.envelope_id;
  report.smtputf8 = message.smtputf8;
  // RFC 8689 §5: what had to be protected comes back with its header alone, and under the same demand.
  report.return_full = failed && message.ret == Ret::full && message.size <= options.full_report && !message.require_tls;
  report.max_full = options.full_report;
  report.arrived = message.arrival;
  report.now = now;
  report.deliver_by = message.deliver_by;
  report.hold_request = message.hold_request;
  report.recipients = std::move(recipients);

  std::string original;
  const auto wanted = report.return_full ? message.size : message::kMaxReturnedHeader + 4;
  if (auto read = co_await content.read(0, wanted, original); !read) {
    if (read.error().fault != Fault::corrupt && read.error().fault != Fault::refused) co_return fail(std::move(read).error());
    log::event(log::Level::error, "queued message damaged", {{"id", message.trace_id}, {"detail", read.error().detail}});
    original.clear();  // the sender hears of the failure all the same
    report.return_full = false;
  }
  const auto built = message::build_report(report, report.return_full ? std::string_view(original) : header_of(original));

  NewMessage notice;
  notice.trace_id = std::move(trace_id);
  // RFC 3461 §6.1 and §5.2.1: a report asks for none.
  notice.recipients.push_back(
      {.address = message.sender, .given = {}, .original = {}, .notify = {Notify::kNever}, .destination = std::move(destination)});
  notice.content = storage::make_blob({}, storage::encode_chunks(built.message));
  notice.eight_bit = built.eight_bit;
  notice.smtputf8 = built.smtputf8;
  notice.require_tls = message.require_tls;
  notice.arrival = now;
  notice.client = "here";
  notice.message_id = "<" + notice.trace_id + "@" + options.hostname + ">";
  notice.parent = message.trace_id;
  notice.report = true;
  co_return notice;
}

}  // namespace relais::smtp::queue
