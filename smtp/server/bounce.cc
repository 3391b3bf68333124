// Delivery status notifications: multipart/report with a text, a delivery-status and the returned header.
#include "smtp/server/bounce.h"

#include "base/ascii.h"
#include "message/date.h"

#include <algorithm>

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxReturned = 32 * 1024;  // octets of the returned header

// What came from outside stands in a header-like line: nothing in it may end the line.
std::string one_line(std::string_view text) {
  std::string out(text);
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }, '?');
  return out;
}

// A boundary must not occur in the parts: RFC 2046 §5.1.1. The parts are ours but for the returned header, whose lines are looked at.
std::string make_boundary(const Bounce& bounce) {
  std::string boundary = "=_" + std::string(bounce.id);
  while (bounce.header.find(boundary) != std::string_view::npos) boundary += "_";
  return boundary;
}

std::string_view returned_header(std::string_view header) {
  if (header.size() <= kMaxReturned) return header;
  const auto end = header.rfind("\r\n", kMaxReturned);
  return header.substr(0, end == std::string_view::npos ? 0 : end + 2);
}

// RFC 6533 §3: an address with UTF-8 has its own address type.
std::string typed_address(std::string_view address) { return (is_ascii(address) ? "rfc822; " : "utf-8; ") + one_line(address); }

}  // namespace

std::string build_bounce(const Bounce& bounce) {
  const auto boundary = make_boundary(bounce);
  const auto host = std::string(bounce.hostname);
  const auto date = message::format_date({bounce.now, 0});
  const auto returned = returned_header(bounce.header);
  const bool global = !is_ascii(bounce.recipient) || !is_ascii(bounce.sender);  // RFC 6533 §4: the types that may hold UTF-8
  const bool eight_bit = global || !is_ascii(returned);
  const bool global_header = !is_ascii(returned) && is_utf8(returned);
  std::string out;
  out.reserve(2'048 + returned.size());
  out += "From: Mail Delivery System <mailer-daemon@" + host + ">\r\nTo: <" + one_line(bounce.sender) +
         ">\r\nSubject: Undelivered mail returned to sender\r\nDate: " + date + "\r\nMessage-ID: <" + std::string(bounce.id) + ".dsn@" + host +
         ">\r\nAuto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"" +
         boundary + "\"\r\n";
  if (eight_bit) out += "Content-Transfer-Encoding: 8bit\r\n";
  out += "\r\nThis is a MIME-encapsulated message.\r\n\r\n--" + boundary + "\r\nContent-Type: text/plain; charset=utf-8\r\n";
  if (eight_bit) out += "Content-Transfer-Encoding: 8bit\r\n";
  out += "\r\nThis is the mail system at " + host + ".\r\n\r\nYour message could not be delivered to\r\n\r\n    <" + one_line(bounce.recipient) +
         ">\r\n\r\nReason: " + one_line(bounce.reason) + " (" + std::string(bounce.status) +
         ")\r\n\r\nThis is final: it will not be tried again. The header of your message is attached.\r\nIt can be traced as " +
         std::string(bounce.id) + ".\r\n\r\n";
  // RFC 3464 §2.2 per-message fields, §2.3 per-recipient fields
  out += "--" + boundary + "\r\nContent-Type: message/" + (global ? "global-" : "") + "delivery-status\r\n";
  if (eight_bit) out += "Content-Transfer-Encoding: 8bit\r\n";
  out += "\r\nReporting-MTA: dns; " + host + "\r\nArrival-Date: " + message::format_date({bounce.arrived, 0}) + "\r\n\r\nFinal-Recipient: " +
         typed_address(bounce.recipient) + "\r\nAction: failed\r\nStatus: " + std::string(bounce.status) + "\r\nLast-Attempt-Date: " + date +
         "\r\nDiagnostic-Code: X-Relais; " + one_line(bounce.reason) + "\r\n\r\n";
  out += "--" + boundary + "\r\nContent-Type: " + (global_header ? "message/global-headers" : "text/rfc822-headers") + "\r\n";
  if (eight_bit) out += "Content-Transfer-Encoding: 8bit\r\n";
  out += "\r\n";
  out += returned;
  if (!returned.empty() && !returned.ends_with("\r\n")) out += "\r\n";
  out += "\r\n--" + boundary + "--\r\n";
  return out;
}

}  // namespace relais::smtp
