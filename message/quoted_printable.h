// Quoted-printable, the encoding direction.
#pragma once

#include <string>
#include <string_view>

namespace relais::message {

/// Text with CRLF line ends in at most 76 octets a line; line ends stay, a bare CR or LF is encoded like any other octet. A trailing CRLF
/// stays trailing; none is added. Decoding gives the same octets. Linear time. Source: RFC 2045 §6.7.
std::string encode_quoted_printable(std::string_view text);

}  // namespace relais::message
