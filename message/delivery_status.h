// Delivery status notifications: what became of a message, for its sender and for the sender's software.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace relais::message {

/// RFC 3464 §2.3.3. In the order of how much the sender wants to know it.
enum class DeliveryAction : std::uint8_t {
  failed,     ///< will not be delivered: final
  delayed,    ///< will be tried again until ReportedRecipient::retry_until
  delivered,  ///< put into a mailbox here, or an LMTP server did it
  relayed,    ///< given to a server that does not report by itself (no DSN extension)
  expanded,   ///< given to several addresses of a list, which will send no success notices
};
std::string_view to_string(DeliveryAction action) noexcept;

/// What is told of one recipient. Texts may hold anything: they are cleaned when written.
struct ReportedRecipient {
  std::string recipient;        ///< the address that the attempt was for (Final-Recipient)
  std::string original_type{};  ///< of ORCPT: "rfc822", "utf-8"; empty: there was none
  std::string original{};       ///< its address, decoded
  DeliveryAction action = DeliveryAction::failed;
  std::string status{};           ///< "5.1.1" (RFC 3463); empty: that of the reply, else the general one of the action
  std::string host{};             ///< the server that replied, "mx.example.net" or "mx.example.net [192.0.2.1]"; empty: we decided
  std::string reply{};            ///< its words, code included: "550 5.1.1 no such user"; lines separated by LF or CRLF
  std::string reason{};           ///< ours, one line in plain words, where there is no reply: "the server did not answer"
  std::int64_t last_attempt = 0;  ///< seconds since epoch; 0: not told
  std::int64_t retry_until = 0;   ///< for delayed; 0: not told
};

/// A report about one message to its sender. All recipients of `recipients` are told in one report; actions may be mixed.
struct Report {
  std::string hostname;       ///< ours: Reporting-MTA, and the domain of From and Message-ID
  std::string report_id;      ///< unique for this report: its Message-ID is <report_id@hostname>
  std::string id;             ///< under which the message itself is traced
  std::string sender;         ///< who gets it; never empty: nothing is sent for a null reverse-path (RFC 5321 §6.1)
  std::string envelope_id{};  ///< ENVID, decoded; empty: none
  bool smtputf8 = false;      ///< the message came with SMTPUTF8, so its sender can take UTF-8 types (RFC 6533 §4)
  bool return_full = false;   ///< RET=FULL; honoured where a recipient failed and the message is small enough
  std::int64_t arrived = 0;   ///< seconds since epoch
  std::int64_t now = 0;
  std::int64_t deliver_by = 0;         ///< time that the sender set (RFC 2852 §5); seconds since epoch; 0: none
  std::string hold_request{};          ///< Future-Release-Request (RFC 4865 §5.1.2); empty: none
  std::uint64_t max_full = 64 * 1024;  ///< octets; of a longer message the header alone comes back, RET=FULL or not (RFC 3461 §6.2)
  std::vector<ReportedRecipient> recipients{};
};

constexpr std::size_t kMaxReturnedHeader = 32 * 1024;  ///< octets; what is longer is cut at a line
constexpr std::size_t kMaxReportedRecipients = 500;    ///< told one by one in the text; all are in the machine-readable part

struct BuiltReport {
  std::string message;
  bool eight_bit = false;  ///< octets above 127 are in it: BODY=8BITMIME
  bool smtputf8 = false;   ///< its own header or types have UTF-8: it can go only to servers that take SMTPUTF8
};

/// The report as a message with CRLF line ends, to be sent from the null reverse-path to Report::sender.
///
/// multipart/report with a text for people, message/delivery-status, and the header (or all) of the message. Auto-Submitted keeps
/// responders quiet. At most Report::max_full (three times kMaxReturnedHeader where that is more), and some 4,000 octets a recipient. No
/// line is longer than 998 octets.
/// @param original  the message with CRLF line ends, or its header alone (with or without the blank line)
/// Pure. Source: RFC 3464 §2, RFC 6522 §3 (multipart/report), RFC 3461 §6.2 and §6.3, RFC 6533 (UTF-8), RFC 3834 §3 (Auto-Submitted).
BuiltReport build_report(const Report& report, std::string_view original);

/// "550 5.1.1 no such user" → "5.1.1"; empty where the reply has no enhanced status of the class of its code (RFC 2034 §4).
std::string_view enhanced_status(std::string_view reply) noexcept;

/// What a status means to a person, and what can be done about it: two sentences each, without line ends.
struct Explanation {
  std::string_view happened;
  std::string_view advice;
};
/// @param status  RFC 3463; an unknown one gets the words of its class
Explanation explain_status(std::string_view status, DeliveryAction action) noexcept;

}  // namespace relais::message
