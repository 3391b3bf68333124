// Content for servers that take less than we have: no 8-bit octets, no binary.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace relais::message {

/// The same message in 7bit, lines ended by CRLF: each part with 8-bit octets (or declared binary) becomes quoted-printable or base64, its
/// Content-Transfer-Encoding with it and those of the parts around it; 8-bit text in header fields becomes RFC 2047 words or RFC 2231
/// parameters. Parts that are 7bit already stay octet by octet as they are.
///
/// @return Fault::refused with code 5.6.3 where a part can't be converted: what is signed (multipart/signed, RFC 1847 §2.1),
/// message/partial and
///         message/external-body (RFC 2046 §5.2.2), an unknown transfer encoding; with code 5.6.7 where a mail address in a header field is
///         not US-ASCII (only SMTPUTF8 can carry that).
/// Pure; linear time. Memory: the result. Source: RFC 6152 §3, RFC 3030 §3, RFC 2045 §6.
Result<std::string> to_seven_bit(std::string_view message);

/// The same for a server that takes 8-bit octets but no binary ones (BINARYMIME not offered): only what no 8bit part may hold is encoded,
/// that is NUL, a CR or LF alone, or a line above 998 octets (RFC 2045 §2.8). The same errors.
Result<std::string> to_eight_bit(std::string_view message);

/// Whether a server without SMTPUTF8 can't take it: a header field of it, of a part of it or of a message within it, holds octets above 127
/// (RFC 6532 §3).
bool has_eight_bit_header(std::string_view message);

}  // namespace relais::message
