// Writing transfer encodings and encoded words.
#pragma once

#include <string>
#include <string_view>

namespace relais::message {

constexpr std::size_t kEncodedLine = 76;  ///< characters of a line without its CRLF: RFC 2045 §6.7 (5), §6.8, RFC 2047 §2

/// Appends quoted-printable (RFC 2045 §6.7).
/// @param text  CR LF, and a CR or LF alone, are line ends and stay that; else only CR LF is one, and a CR or LF alone is an octet to be
/// kept
void append_quoted_printable(std::string& out, std::string_view octets, bool text);

/// Appends base64 in lines, CRLF between them, none at the end (RFC 2045 §6.8).
void append_base64_lines(std::string& out, std::string_view octets);

/// Appends one or more encoded words (RFC 2047 §2, encoding "q", safe in phrases: §5 (3)), a fold in front of each that would make the line
/// longer than kEncodedLine. UTF-8 characters are never cut; text that is no UTF-8 gets the charset unknown-8bit (RFC 1428 §3).
/// @param column  where the line is; moved along
void append_encoded_words(std::string& out, std::string_view text, std::size_t& column);

}  // namespace relais::message
