// Reports to senders: which recipients are told of, and the message that tells it.
#pragma once

#include "message/delivery_status.h"
#include "smtp/queue/record.h"
#include "smtp/queue/transport.h"

#include <cstdint>
#include <string>
#include <vector>

namespace relais::smtp::queue {

/// Whether anybody may be told about this message: not about reports, and not where the reverse-path is null (RFC 5321 §6.1).
bool can_tell(const MessageRecord& message) noexcept;

/// One recipient as a report tells it.
/// @param reply  the last one, or null
message::ReportedRecipient reported(const RecipientRecord& recipient, message::DeliveryAction action, const ReplyRecord* reply);

struct NoticeOptions {
  std::string hostname;
  std::uint64_t full_report = 64 * 1024;  ///< octets
};

/// The report as a message for the queue.
/// @param trace_id    of the report, unique   @param recipients  who is told of, at least one
/// @param destination where the sender's mail goes   @param content  of the message told of; read, at most some ten KB, or all where
/// RET=FULL asks Errors: of reading the content. What cannot be read for good (Fault::corrupt) is left out of the report.
net::Task<NewMessage> make_notice(const MessageRecord& message, std::vector<message::ReportedRecipient> recipients, std::string trace_id,
                                  std::string destination, Content& content, std::int64_t now, const NoticeOptions& options);

}  // namespace relais::smtp::queue
