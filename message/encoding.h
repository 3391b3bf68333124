// Content-Transfer-Encoding as a value.
#pragma once

#include <cstdint>
#include <string_view>

namespace relais::message {

/// RFC 2045 §6. The numbers are stored (see encode_parts): never change them.
enum class Encoding : std::uint8_t {
  seven_bit = 0,  ///< also where the field is absent
  eight_bit = 1,
  binary = 2,
  quoted_printable = 3,
  base64 = 4,
  unknown = 5,  ///< a token we don't know, x-uuencode among them: the octets can't be decoded
};

/// The value of a Content-Transfer-Encoding field: case-insensitive, comments and surrounding space ignored. Empty or no token
/// gives seven_bit, as if it were absent.
Encoding parse_encoding(std::string_view field_value) noexcept;
/// "7bit", "8bit", "binary", "quoted-printable", "base64"; empty for unknown.
std::string_view to_string(Encoding encoding) noexcept;

}  // namespace relais::message
