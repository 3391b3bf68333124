// HELO, EHLO, LHLO: the argument, and the list of extensions in the reply.
#include "smtp/proto/hello.h"

#include "base/ascii.h"
#include "smtp/proto/reply.h"

namespace relais::smtp {
namespace {

constexpr std::size_t kMaxName = 255;  // octets: RFC 5321 §4.5.3.1.2

bool is_domain(std::string_view name) {
  for (const auto label : split(name, '.')) {
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    for (const char c : label) {
      // RFC 6531 §3.7.1: U-labels may come before the client could ask for SMTPUTF8.
      if (!ascii_alpha(c) && !ascii_digit(c) && c != '-' && static_cast<unsigned char>(c) < 0x80) return false;
    }
  }
  return is_utf8(name);
}

bool is_literal(std::string_view name) {
  return name.size() > 2 && name.front() == '[' && name.back() == ']' &&
         name.find_first_not_of("0123456789abcdefABCDEFIPvipV:.", 1) == name.size() - 1;
}

}  // namespace

Result<HelloArgs> parse_hello(std::string_view rest) {
  const auto name = trim(rest);
  if (name.empty()) return fail(Fault::syntax, "your host name is missing", "5.5.4");
  return HelloArgs{std::string(name.substr(0, kMaxName)), is_domain(name) || is_literal(name)};
}

void append_offer(std::string& out, const Offer& offer) {
  Reply reply{250, {}, std::string(offer.hostname)};
  auto& text = reply.text;
  text += "\nPIPELINING\nSIZE";  // RFC 2920, RFC 1870
  if (offer.max_size != 0) {
    text += ' ';
    append_number(text, offer.max_size);
  }
  text += "\n8BITMIME\nSMTPUTF8\nENHANCEDSTATUSCODES\nCHUNKING\nBINARYMIME";  // RFC 6152, 6531, 2034, 3030
  if (offer.starttls) text += "\nSTARTTLS";                                   // RFC 3207
  if (!offer.auth_mechanisms.empty()) {                                       // RFC 4954
    text += "\nAUTH";
    for (const auto mechanism : offer.auth_mechanisms) (text += ' ') += mechanism;
  }
  if (offer.max_messages != 0 || offer.max_recipients != 0) {  // RFC 9422
    text += "\nLIMITS";
    if (offer.max_messages != 0) append_number(text += " MAILMAX=", offer.max_messages);
    if (offer.max_recipients != 0) append_number(text += " RCPTMAX=", offer.max_recipients);
  }
  if (offer.dsn) text += "\nDSN";                  // RFC 3461
  if (offer.require_tls) text += "\nREQUIRETLS";   // RFC 8689
  if (offer.mt_priority) text += "\nMT-PRIORITY";  // RFC 6710
  if (offer.deliver_by) {                          // RFC 2852 §2
    text += "\nDELIVERBY";
    if (offer.min_deliver_by != 0) append_number(text += ' ', offer.min_deliver_by);
  }
  if (offer.max_hold != 0) {  // RFC 4865 §3
    append_number(text += "\nFUTURERELEASE ", offer.max_hold);
    (text += ' ') += offer.max_hold_until;
  }
  text += "\nHELP";
  append_reply(out, reply);
}

}  // namespace relais::smtp
