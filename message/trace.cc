// Writes and counts trace fields.
#include "message/trace.h"

#include <algorithm>

#include "base/ascii.h"
#include "message/header.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxItem = 300;  // octets of any text that is not ours; keeps every line below 998 (RFC 5322 §2.1.1)

// Where a text stands decides what it may not hold.
enum class Place { word, comment, path };

// A cleaned copy: one word that can't end the line, the comment or the clause it stands in.
void append_clean(std::string& out, std::string_view text, Place place) {
  if (text.size() > kMaxItem) {
    auto size = kMaxItem;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xc0U) == 0x80) --size;  // not within a UTF-8 sequence
    text = text.substr(0, size);
  }
  const bool utf8 = is_utf8(text);
  for (const char c : text) {
    const auto octet = static_cast<unsigned char>(c);
    bool good = octet > 32 && octet != 127 && (octet < 0x80 || utf8);
    if (place == Place::path) {
      good = good || c == ' ';  // within a quoted local part
    } else {
      good = good && !std::string_view("()\\\"<>;,").contains(c);
    }
    out.push_back(good ? c : '?');
  }
}

// "name [address]" of the client
void append_peer(std::string& out, const Received& received) {
  if (!received.peer_name.empty()) {
    append_clean(out, received.peer_name, Place::comment);
    out.push_back(' ');
  }
  // Address-literal of RFC 5321 §4.1.3
  out.append(received.peer_address.contains(':') ? "[IPv6:" : "[");
  append_clean(out, received.peer_address, Place::comment);
  out.push_back(']');
}

}  // namespace

// Time-stamp-line = "Received:" FWS "from" … "by" … [via] [with] [id] [for] ";" FWS date-time        RFC 5321 §4.4
std::string received_field(const Received& received) {
  std::string out = "Received: from ";
  out.reserve(512);
  if (received.helo.empty())
    out.append("unknown");
  else
    append_clean(out, received.helo, Place::word);
  if (!received.peer_address.empty()) {
    out.append(" (");
    append_peer(out, received);
    out.push_back(')');
  }
  if (!received.authenticated_as.empty()) {
    out.append("\r\n\t(authenticated as ");
    append_clean(out, received.authenticated_as, Place::comment);
    out.push_back(')');
  }
  out.append("\r\n\tby ");
  append_clean(out, received.by, Place::word);
  out.append(" with ");
  append_clean(out, received.with, Place::word);
  out.append(" id ");
  append_clean(out, received.id, Place::word);
  if (!received.tls_version.empty()) {
    out.append("\r\n\t(");
    append_clean(out, received.tls_version, Place::comment);
    out.append(" cipher ");
    append_clean(out, received.tls_cipher, Place::comment);
    out.push_back(')');
  }
  if (!received.recipient.empty()) {
    out.append("\r\n\tfor <");
    append_clean(out, received.recipient, Place::path);
    out.push_back('>');
  }
  return out.append(";\r\n\t").append(format_date(received.date)).append("\r\n");
}

std::string_view with_protocol(bool lmtp, bool extended, bool utf8, bool tls, bool authenticated) noexcept {
  if (!lmtp && !extended && !utf8) return "SMTP";
  static constexpr std::string_view kNames[4][4] = {{"ESMTP", "ESMTPA", "ESMTPS", "ESMTPSA"},
                                                    {"UTF8SMTP", "UTF8SMTPA", "UTF8SMTPS", "UTF8SMTPSA"},
                                                    {"LMTP", "LMTPA", "LMTPS", "LMTPSA"},
                                                    {"UTF8LMTP", "UTF8LMTPA", "UTF8LMTPS", "UTF8LMTPSA"}};
  return kNames[(lmtp ? 2 : 0) + (utf8 ? 1 : 0)][(tls ? 2 : 0) + (authenticated ? 1 : 0)];
}

std::string return_path_field(std::string_view reverse_path) {
  std::string out = "Return-Path: <";
  append_clean(out, reverse_path, Place::path);
  return out.append(">\r\n");
}

std::string delivered_to_field(std::string_view recipient) {
  std::string out = "Delivered-To: ";
  append_clean(out, recipient, Place::path);
  return out.append("\r\n");
}

std::size_t count_received(std::string_view header) noexcept {
  std::size_t count = 0;
  for_each_field(header, [&](const Field& field) {
    if (iequals(field.name, "received")) ++count;
  });
  return count;
}

bool has_delivered_to(std::string_view header, std::string_view recipient) noexcept {
  bool found = false;
  for_each_field(header, [&](const Field& field) {
    found = iequals(field.name, "delivered-to") && iequals(trim(field.value), recipient);
    return !found;
  });
  return found;
}

}  // namespace relais::message
