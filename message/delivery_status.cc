// Delivery status notifications: multipart/report with a text, the fields for software, and what is returned of the message.
#include "message/delivery_status.h"

#include "base/ascii.h"
#include "message/date.h"
#include "message/decode.h"
#include "message/encode.h"
#include "message/header.h"

#include <algorithm>
#include <array>
#include <span>

namespace relais::message {
namespace {

constexpr std::size_t kColumns = 72;          // of the text
constexpr std::size_t kMaxText = 400;         // octets of one text of others
constexpr std::size_t kMaxReplyLines = 10;    // of one reply
constexpr std::size_t kMaxMachineText = 900;  // octets of a line in the part for software
constexpr std::size_t kMaxBodyLine = 998;     // octets: RFC 5322 §2.1.1
constexpr std::string_view kIndent = "      ";

struct Words {
  std::string_view subject;   // of the report
  std::string_view sentence;  // after "Your message"
  std::string_view next;      // what will happen
};

// By DeliveryAction.
constexpr std::array<Words, 5> kWords{{
    {"Your message could not be delivered", "could not be delivered to", "This is final: it will not be tried again for this address."},
    {"Your message is delayed", "could not be delivered yet to",
     "It is kept and tried again by itself: you need not send it again. If it fails for good, you will get another report."},
    {"Your message was delivered", "was delivered to", "You asked to be told. There is nothing to do."},
    {"Your message was passed on", "was passed on to another mail server for",
     "If that server cannot deliver it, you will be told by it. There is nothing to do."},
    {"Your message was passed on", "was passed on to the members of", "You asked to be told. There is nothing to do."},
}};

const Words& words(DeliveryAction action) noexcept { return kWords[static_cast<std::size_t>(action)]; }

/// What came from outside stands within lines of ours: nothing in it may end the line; cut between characters.
std::string one_line(std::string_view text, std::size_t most = kMaxText) {
  text = trim(text);
  bool cut = false;
  if (text.size() > most) {
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xC0U) == 0x80U) --most;
    text = text.substr(0, most);
    cut = true;
  }
  std::string out(text);
  const bool utf8 = is_utf8(text);
  std::ranges::replace_if(
      out, [&](char c) { return static_cast<unsigned char>(c) < 32 || c == 127 || (!utf8 && static_cast<unsigned char>(c) > 127); }, '?');
  if (cut) out += "...";
  return out;
}

std::string to_ascii_text(std::string text) {
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) > 127; }, '?');
  return text;
}

/// The lines of a reply, without empty ones.
std::vector<std::string> reply_lines(std::string_view reply, std::size_t most) {
  std::vector<std::string> lines;
  for (const auto line : split(reply, '\n')) {
    if (trim(line).empty()) continue;
    if (lines.size() == kMaxReplyLines) {
      lines.back() += " ...";
      break;
    }
    lines.push_back(one_line(line, most));
  }
  return lines;
}

/// Appends words with line ends between them, each line indented.
void wrap(std::string& out, std::string_view text, std::string_view indent) {
  std::size_t column = 0;
  for (const auto word : split(text, ' ')) {
    if (word.empty()) continue;
    if (column != 0 && column + 1 + word.size() > kColumns) {
      out += "\r\n";
      column = 0;
    }
    if (column == 0) {
      out += indent;
      column = indent.size();
    } else {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  out += "\r\n";
}

std::string status_of(const ReportedRecipient& recipient) {
  if (!recipient.status.empty()) return to_ascii_text(one_line(recipient.status, 11));
  if (const auto found = enhanced_status(recipient.reply); !found.empty()) return std::string(found);
  // RFC 3461 §6.3 (g): the general codes where nothing more is known.
  const char first = recipient.reply.empty() ? '\0' : recipient.reply.front();
  if (recipient.action == DeliveryAction::failed) return first == '4' ? "4.0.0" : "5.0.0";
  return recipient.action == DeliveryAction::delayed ? "4.0.0" : "2.0.0";
}

// ---- the text

void describe_message(std::string& out, const Report& report, std::string_view header) {
  const auto show = [&](std::string_view label, const std::string& value) {
    if (!value.empty()) out.append("    ").append(label).append(value).append("\r\n");
  };
  const auto subject = find_field(header, "Subject");
  show("Subject:  ", subject ? one_line(decode_words(*subject)) : "");
  show("Arrived:  ", report.arrived != 0 ? format_date({report.arrived, 0}) : "");
  const auto message_id = find_field(header, "Message-ID");
  show("Id:       ", message_id ? one_line(*message_id) : "");
}

void describe(std::string& out, const ReportedRecipient& recipient) {
  out.append("  <").append(one_line(recipient.recipient)).append(">\r\n");
  if (!recipient.original.empty() && !iequals(recipient.original, recipient.recipient)) {
    out.append("  (where mail for <").append(one_line(recipient.original)).append("> goes)\r\n");
  }
  const auto explanation = explain_status(status_of(recipient), recipient.action);
  out += "\r\n    What happened:\r\n";
  wrap(out, explanation.happened, kIndent);
  if (!recipient.reason.empty()) wrap(out, one_line(recipient.reason), kIndent);
  const auto lines = reply_lines(recipient.reply, kMaxText);
  if (!lines.empty()) {
    out += "\r\n    What the server ";
    out += recipient.host.empty() ? "said" : one_line(recipient.host) + " said";
    out += ":\r\n";
    for (const auto& line : lines) wrap(out, line, kIndent);
  } else if (!recipient.host.empty()) {
    out.append("\r\n    The server was:\r\n").append(kIndent).append(one_line(recipient.host)).append("\r\n");
  }
  out += "\r\n    What happens next:\r\n";
  wrap(out, words(recipient.action).next, kIndent);
  if (recipient.action == DeliveryAction::delayed && recipient.retry_until != 0) {
    wrap(out, "It will be tried until " + format_date({recipient.retry_until, 0}) + ".", kIndent);
  }
  if (!explanation.advice.empty()) {
    out += "\r\n    What you can do:\r\n";
    wrap(out, explanation.advice, kIndent);
  }
  out += "\r\n";
}

std::string text_of(const Report& report, std::string_view header, bool full, bool full_refused) {
  std::string out;
  wrap(out, "This is the mail server " + one_line(report.hostname) + ". Your message", "");
  out += "\r\n";
  describe_message(out, report, header);
  out += "\r\n";
  std::size_t told = 0;
  for (std::size_t kind = 0; kind < kWords.size(); ++kind) {
    const auto action = static_cast<DeliveryAction>(kind);
    const auto fits = [&](const ReportedRecipient& recipient) { return recipient.action == action; };
    if (const auto count = std::ranges::count_if(report.recipients, fits); count > 0) {
      std::string sentence(kWords[kind].sentence);
      sentence += count == 1 ? " this recipient:" : " these " + std::to_string(count) + " recipients:";
      wrap(out, sentence, "");
      out += "\r\n";
    }
    for (const auto& recipient : report.recipients) {
      if (fits(recipient) && told < kMaxReportedRecipients && ++told != 0) describe(out, recipient);
    }
  }
  if (told < report.recipients.size()) {
    wrap(out, "(" + std::to_string(report.recipients.size() - told) + " more recipients are listed in the next part of this report.)", "");
    out += "\r\n";
  }
  wrap(out, full ? "Your message is attached." : "The header of your message is attached.", "");
  if (full_refused) wrap(out, "The message itself is too large to come back, or cannot be attached as it is.", "");
  wrap(out, "Administrators find what happened to it by its number, " + one_line(report.id) + ".", "");
  return out;
}

// ---- the part for software

// RFC 6533 §3 utf-8-addr-xtext: the form of an address that is US-ASCII.
std::string escape_utf8(std::string_view address) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  const auto hex = [](std::string& out, std::uint32_t code) {
    std::string digits;
    for (; code != 0; code >>= 4U) digits.insert(digits.begin(), kHex[code & 15U]);
    if (digits.size() < 2) digits.insert(0, 2 - digits.size(), '0');
    out.append("\\x{").append(digits).append("}");
  };
  std::string out;
  for (std::size_t i = 0; i < address.size();) {
    const auto c = static_cast<unsigned char>(address[i]);
    if (c < 128) {
      if (c <= 32 || c == 127 || c == '\\' || c == '+' || c == '=')
        hex(out, c);
      else
        out += address[i];
      ++i;
      continue;
    }
    // The caller has made sure that it is UTF-8.
    const std::size_t more = c >= 0xF0 ? 3 : c >= 0xE0 ? 2 : 1;
    std::uint32_t code = c & (0x3FU >> more);
    for (std::size_t k = 1; k <= more && i + k < address.size(); ++k)
      code = (code << 6U) | (static_cast<unsigned char>(address[i + k]) & 0x3FU);
    hex(out, code);
    i += more + 1;
  }
  return out;
}

/// "rfc822; bob@example.net". RFC 3464 §2.3.1, RFC 6533 §3.
std::string typed_address(std::string_view type, std::string_view address, bool global) {
  const auto text = one_line(address, kMaxMachineText);
  if (type.empty()) type = is_ascii(text) ? "rfc822" : "utf-8";
  const auto clean_type = to_ascii_text(one_line(type, 60));
  if (is_ascii(text)) return clean_type + "; " + text;
  if (global) return clean_type + "; " + text;
  if (!iequals(clean_type, "utf-8")) return clean_type + "; " + to_ascii_text(text);
  auto escaped = escape_utf8(text);
  if (escaped.size() > kMaxMachineText) escaped.erase(escaped.rfind('\\', kMaxMachineText)).append("...");
  return clean_type + "; " + escaped;
}

/// The name of a host without its address: RFC 3464 §2.3.5 wants the name in the field, the address as a comment.
std::string remote_mta(std::string_view host) {
  const auto space = host.find(' ');
  const auto name = host.substr(0, space);
  auto out = "dns; " + to_ascii_text(one_line(name));
  if (space == std::string_view::npos) return out;
  auto comment = to_ascii_text(one_line(host.substr(space)));
  std::erase_if(comment, [](char c) { return c == '(' || c == ')' || c == '\\'; });
  return out + " (" + comment + ")";
}

void append_recipient(std::string& out, const ReportedRecipient& recipient, bool global) {
  const auto plain = [&](std::string text) { return global ? text : to_ascii_text(std::move(text)); };
  if (!recipient.original_type.empty()) {
    out.append("Original-Recipient: ").append(typed_address(recipient.original_type, recipient.original, global)).append("\r\n");
  }
  out.append("Final-Recipient: ").append(typed_address("", recipient.recipient, global)).append("\r\n");
  out.append("Action: ").append(to_string(recipient.action)).append("\r\nStatus: ").append(status_of(recipient)).append("\r\n");
  if (!recipient.host.empty()) out.append("Remote-MTA: ").append(remote_mta(recipient.host)).append("\r\n");
  if (const auto lines = reply_lines(recipient.reply, kMaxMachineText); !lines.empty()) {
    out += "Diagnostic-Code: smtp";
    // RFC 3461 §9.2: a line of the reply a line, indented by one space.
    for (std::size_t i = 0; i < lines.size(); ++i) out.append(i == 0 ? "; " : "\r\n ").append(plain(lines[i]));
    out += "\r\n";
  } else if (!recipient.reason.empty()) {
    out.append("Diagnostic-Code: X-Relais; ").append(plain(one_line(recipient.reason))).append("\r\n");
  }
  if (recipient.last_attempt != 0) out.append("Last-Attempt-Date: ").append(format_date({recipient.last_attempt, 0})).append("\r\n");
  if (recipient.action == DeliveryAction::delayed && recipient.retry_until != 0) {
    out.append("Will-Retry-Until: ").append(format_date({recipient.retry_until, 0})).append("\r\n");
  }
}

std::string status_part(const Report& report, bool global) {
  const auto plain = [&](std::string text) { return global ? text : to_ascii_text(std::move(text)); };
  std::string out;
  if (!report.envelope_id.empty()) out.append("Original-Envelope-Id: ").append(plain(one_line(report.envelope_id))).append("\r\n");
  out.append("Reporting-MTA: dns; ").append(to_ascii_text(one_line(report.hostname))).append("\r\n");
  if (report.arrived != 0) out.append("Arrival-Date: ").append(format_date({report.arrived, 0})).append("\r\n");
  if (report.deliver_by != 0) out.append("Deliver-By-Date: ").append(format_date({report.deliver_by, 0})).append("\r\n");
  if (!report.hold_request.empty()) out.append("Future-Release-Request: ").append(plain(one_line(report.hold_request))).append("\r\n");
  out.append("X-Relais-Id: ").append(plain(one_line(report.id))).append("\r\n");
  for (const auto& recipient : report.recipients) {
    out += "\r\n";
    append_recipient(out, recipient, global);
  }
  return out;
}

// ---- what comes back

std::string_view returned_header(std::string_view header) {
  if (header.size() <= kMaxReturnedHeader) return header;
  const auto end = header.rfind("\r\n", kMaxReturnedHeader);
  return header.substr(0, end == std::string_view::npos ? 0 : end + 2);
}

/// Whether octets can stand in a message as they are: no NUL, no bare CR or LF, no line that is too long.
bool fits_as_it_is(std::string_view text) {
  std::size_t line = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      line = 0;
      ++i;
      continue;
    }
    if (c == '\0' || c == '\r' || c == '\n' || ++line > kMaxBodyLine) return false;
  }
  return true;
}

struct Part {
  std::string type;
  std::string_view encoding;  // empty: 7bit
  std::string text;
};

/// Every octet counts: a header that comes back is what was sent.
std::string quoted_printable(std::string_view octets) {
  std::string out;
  append_quoted_printable(out, octets, false);
  return out;
}

Part text_part(std::string text) {
  if (is_ascii(text) && fits_as_it_is(text)) return {"text/plain; charset=us-ascii", "", std::move(text)};
  return {"text/plain; charset=utf-8", "quoted-printable", quoted_printable(text)};
}

/// RFC 6533 §4: the types that may hold UTF-8, for those who can read them; RFC 6522 §4: else quoted-printable.
Part header_part(std::string_view header, bool smtputf8) {
  const bool as_is = fits_as_it_is(header);
  if (is_ascii(header) && as_is) return {"text/rfc822-headers", "", std::string(header)};
  if (smtputf8 && as_is && is_utf8(header)) return {"message/global-headers", "8bit", std::string(header)};
  return {"text/rfc822-headers", "quoted-printable", quoted_printable(header)};
}

Part message_part(std::string_view message, bool smtputf8) {
  const bool global = smtputf8 && !is_ascii(message.substr(0, header_end(message)));
  return {global ? "message/global" : "message/rfc822", is_ascii(message) ? "" : "8bit", std::string(message)};
}

/// Letters, digits, ".", "-", "_" of a name that goes into a boundary and a Message-ID.
std::string safe_id(std::string_view id) {
  std::string out(id.substr(0, 50));
  std::ranges::replace_if(out, [](char c) { return !ascii_alpha(c) && !ascii_digit(c) && c != '.' && c != '-' && c != '_'; }, '-');
  return out;
}

/// RFC 2046 §5.1.1: it must not occur in the parts.
std::string make_boundary(std::string_view id, std::span<const Part> parts) {
  std::string boundary = "=_" + safe_id(id);
  const auto occurs = [&](const Part& part) { return part.text.contains(boundary); };
  for (unsigned i = 0; std::ranges::any_of(parts, occurs); ++i) boundary = "=_" + safe_id(id) + "_" + std::to_string(i);
  return boundary;
}

/// A Message-ID that can stand in a field of ours, or nothing.
std::string_view usable_id(std::string_view id) {
  const auto odd = [](char c) { return c <= ' ' || c > '~'; };
  return id.size() > 2 && id.size() < 500 && id.front() == '<' && id.back() == '>' && std::ranges::none_of(id, odd) ? id
                                                                                                                    : std::string_view{};
}

std::string own_header(const Report& report, std::string_view header, std::string_view boundary, bool eight_bit) {
  const auto host = to_ascii_text(one_line(report.hostname));
  const auto worst = std::ranges::min_element(report.recipients, {}, &ReportedRecipient::action);
  const auto action = worst == report.recipients.end() ? DeliveryAction::failed : worst->action;
  std::string out;
  out.append("From: Mail Delivery System <mailer-daemon@")
      .append(host)
      .append(">\r\nTo: <")
      .append(one_line(report.sender, kMaxMachineText))
      .append(">\r\n");
  out.append("Subject: ").append(words(action).subject).append("\r\nDate: ").append(format_date({report.now, 0})).append("\r\n");
  out.append("Message-ID: <").append(safe_id(report.report_id)).append("@").append(host).append(">\r\n");
  // RFC 3834 §3.1.6, RFC 5322 §3.6.4: mail programs show the report beside the message.
  const auto found = find_field(header, "Message-ID");
  if (const auto id = usable_id(found ? *found : std::string_view{}); !id.empty()) {
    out.append("In-Reply-To: ").append(id).append("\r\nReferences: ").append(id).append("\r\n");
  }
  out +=
      "Auto-Submitted: auto-replied\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status;\r\n\tboundary=\"";
  out.append(boundary).append("\"\r\n");
  if (eight_bit) out += "Content-Transfer-Encoding: 8bit\r\n";
  return out;
}

}  // namespace

std::string_view to_string(DeliveryAction action) noexcept {
  switch (action) {
    case DeliveryAction::failed: return "failed";
    case DeliveryAction::delayed: return "delayed";
    case DeliveryAction::delivered: return "delivered";
    case DeliveryAction::relayed: return "relayed";
    case DeliveryAction::expanded: return "expanded";
  }
  return "failed";
}

// RFC 2034 §4: status-code = class "." subject "." detail, behind the reply code; the class is the code's first digit.
std::string_view enhanced_status(std::string_view reply) noexcept {
  if (reply.size() < 9 || (reply[3] != ' ' && reply[3] != '-') || reply[4] != reply[0] || reply[5] != '.') return {};
  const auto status = reply.substr(4, reply.find_first_of(" \r\n", 4) - 4);
  std::size_t dots = 0;
  std::size_t digits = 0;
  for (const char c : status) {
    if (c == '.' && digits > 0) {
      ++dots;
      digits = 0;
    } else if (!ascii_digit(c) || ++digits > 3) {
      return {};
    }
  }
  return dots == 2 && digits > 0 ? status : std::string_view{};
}

BuiltReport build_report(const Report& report, std::string_view original) {
  const auto body_begin = header_end(original);
  const auto header = original.substr(0, body_begin);
  const bool failed = std::ranges::any_of(report.recipients, [](const auto& r) { return r.action == DeliveryAction::failed; });
  // RFC 3461 §6.2: all of it for failures alone.
  const bool wanted = report.return_full && failed;
  const bool full = wanted && original.size() <= report.max_full && fits_as_it_is(original);
  auto status = status_part(report, report.smtputf8);
  const bool global_status = !is_ascii(status);
  std::array<Part, 3> parts{
      text_part(text_of(report, header, full, wanted && !full)),
      Part{global_status ? "message/global-delivery-status" : "message/delivery-status", global_status ? "8bit" : "", std::move(status)},
      full ? message_part(original, report.smtputf8) : header_part(returned_header(header), report.smtputf8),
  };
  const bool eight_bit = std::ranges::any_of(parts, [](const Part& part) { return part.encoding == "8bit"; });
  const auto boundary = make_boundary(report.report_id, parts);
  BuiltReport built;
  auto& out = built.message;
  out.reserve(2'048 + parts[0].text.size() + parts[1].text.size() + parts[2].text.size());
  out = own_header(report, header, boundary, eight_bit);
  built.smtputf8 = !is_ascii(out) || std::ranges::any_of(parts, [](const Part& part) { return part.type.starts_with("message/global"); });
  out += "\r\nThis is a report in several parts, as RFC 6522 describes them.\r\n";
  for (const auto& part : parts) {
    out.append("\r\n--").append(boundary).append("\r\nContent-Type: ").append(part.type).append("\r\n");
    if (!part.encoding.empty()) out.append("Content-Transfer-Encoding: ").append(part.encoding).append("\r\n");
    out.append("\r\n").append(part.text);
    if (!part.text.ends_with("\r\n")) out += "\r\n";
  }
  out.append("\r\n--").append(boundary).append("--\r\n");
  built.eight_bit = eight_bit || !is_ascii(out);
  return built;
}

}  // namespace relais::message
