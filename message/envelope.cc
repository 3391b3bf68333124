// Writes ENVELOPE.
#include "message/envelope.h"

#include <array>

#include "base/ascii.h"
#include "message/address.h"
#include "message/header.h"
#include "message/wire.h"

namespace relais::message {
namespace {

// In the order of RFC 9051 §9 `envelope`.
enum Slot : std::size_t { kDate, kSubject, kFrom, kSender, kReplyTo, kTo, kCc, kBcc, kInReplyTo, kMessageId, kSlots, kNone = kSlots };

Slot slot_of(std::string_view name) noexcept {
  switch (name.size()) {
    case 2: return iequals(name, "to") ? kTo : iequals(name, "cc") ? kCc : kNone;
    case 3: return iequals(name, "bcc") ? kBcc : kNone;
    case 4: return iequals(name, "from") ? kFrom : iequals(name, "date") ? kDate : kNone;
    case 6: return iequals(name, "sender") ? kSender : kNone;
    case 7: return iequals(name, "subject") ? kSubject : kNone;
    case 8: return iequals(name, "reply-to") ? kReplyTo : kNone;
    case 10: return iequals(name, "message-id") ? kMessageId : kNone;
    case 11: return iequals(name, "in-reply-to") ? kInReplyTo : kNone;
    default: return kNone;
  }
}

constexpr bool holds_addresses(Slot slot) noexcept { return slot >= kFrom && slot <= kBcc; }

void append_nstring(std::string& out, std::string_view text) {
  if (text.empty())
    out.append("NIL");
  else
    append_imap_string(out, text);
}

// address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")". NIL as host marks a group, so an address that lacks a part gets the
// words for it that Dovecot has been sending to clients for long.
void append_address(std::string& out, const ListedAddress& address) {
  using Kind = ListedAddress::Kind;
  if (address.kind == Kind::group_end) {
    out.append("(NIL NIL NIL NIL)");
    return;
  }
  if (address.kind == Kind::group_start) {
    out.append("(NIL NIL ");
    append_imap_string(out, address.name);
    out.append(" NIL)");
    return;
  }
  out.push_back('(');
  append_nstring(out, address.name);
  out.push_back(' ');
  append_nstring(out, address.route);
  out.push_back(' ');
  append_imap_string(out, address.mailbox.empty() ? "MISSING_MAILBOX" : std::string_view(address.mailbox));
  out.push_back(' ');
  append_imap_string(out, address.host.empty() ? "MISSING_DOMAIN" : std::string_view(address.host));
  out.push_back(')');
}

}  // namespace

void append_envelope(std::string& out, std::string_view header, WireBudget& budget) {
  std::array<std::string, kSlots> text;  // wire form; addresses without their outer parentheses
  for_each_field(header, [&](const Field& field) {
    const auto slot = slot_of(field.name);
    if (slot == kNone || budget.spent()) return;
    auto& wire = text[slot];
    if (!holds_addresses(slot)) {
      if (!budget.take(field.value.size())) return;
      wire.clear();
      append_imap_string(wire, unfold(field.value));
      return;
    }
    for (const auto& address : parse_address_list(field.value)) {
      const auto before = wire.size();
      append_address(wire, address);
      if (!budget.take(wire.size() - before)) {
        wire.resize(before);
        break;
      }
    }
  });
  // RFC 9051 §7.5.2: an absent or empty Sender or Reply-To is taken from From.
  if (text[kSender].empty()) text[kSender] = text[kFrom];
  if (text[kReplyTo].empty()) text[kReplyTo] = text[kFrom];

  for (std::size_t i = 0; i < kSlots; ++i) {
    out.push_back(i == 0 ? '(' : ' ');
    if (text[i].empty())
      out.append("NIL");
    else if (holds_addresses(static_cast<Slot>(i)))
      out.append("(").append(text[i]).append(")");
    else
      out.append(text[i]);
  }
  out.push_back(')');
}

}  // namespace relais::message
