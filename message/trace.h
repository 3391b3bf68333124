// Trace fields that the platform puts in front of a message, and what it reads from those it finds there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "message/date.h"

namespace relais::message {

/// What a Received field says (RFC 5321 §4.4). Texts that came from the peer may hold anything: they are cleaned when written.
struct Received {
  std::string_view helo;              ///< argument of HELO, EHLO, LHLO
  std::string_view peer_name;         ///< verified name of the client; empty where unknown
  std::string_view peer_address;      ///< textual IPv4 or IPv6 address; empty for local submission
  std::string_view authenticated_as;  ///< account name; empty where it should not be told
  std::string_view by;                ///< our host name
  std::string_view with;              ///< with_protocol()
  std::string_view id;                ///< under which the message is traced
  std::string_view recipient;         ///< `for` clause; only where there is just one (RFC 5321 §7.2 on blind copies); empty otherwise
  std::string_view tls_version;       ///< "TLSv1.3"; empty without TLS
  std::string_view tls_cipher;        ///< "TLS_AES_256_GCM_SHA384"
  DateTime date;
};

/// The whole field, folded, with its final CRLF. Nothing that the peer said can end the line or start another field: control characters,
/// 8-bit octets that are not UTF-8, and, within comments, parentheses and backslashes are replaced by "?".
std::string received_field(const Received& received);

/// The keyword after `with`: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA, LMTP…, and UTF8SMTP… (RFC 3848, RFC 6531 §4.3).
std::string_view with_protocol(bool lmtp, bool extended, bool utf8, bool tls, bool authenticated) noexcept;

/// "Return-Path: <a@b>\r\n"; "<>" for an empty path (RFC 5321 §4.4). The path goes without angle brackets.
std::string return_path_field(std::string_view reverse_path);
/// "Delivered-To: a@b\r\n".
std::string delivered_to_field(std::string_view recipient);

/// Number of Received fields in a header: RFC 5321 §6.3 loop detection. The header may have a body behind it.
std::size_t count_received(std::string_view header) noexcept;
/// Whether a Delivered-To field of the header names this recipient, US-ASCII case ignored: the message has been here before.
bool has_delivered_to(std::string_view header, std::string_view recipient) noexcept;

}  // namespace relais::message
