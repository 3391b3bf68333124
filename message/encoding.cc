// Names of the Content-Transfer-Encodings.
#include "message/encoding.h"

#include "base/ascii.h"
#include "message/lexer.h"

namespace relais::message {

Encoding parse_encoding(std::string_view field_value) noexcept {
  Lexer in(field_value);
  in.skip_cfws();
  const auto token = in.token();
  if (token.empty()) return Encoding::seven_bit;
  for (const auto encoding : {Encoding::seven_bit, Encoding::eight_bit, Encoding::binary, Encoding::quoted_printable, Encoding::base64}) {
    if (iequals(token, to_string(encoding))) return encoding;
  }
  // RFC 2045 §6.4: an encoding nobody knows. What is no mechanism at all ("text/html") says nothing.
  in.skip_cfws();
  return in.at_end() || in.peek() == ';' ? Encoding::unknown : Encoding::seven_bit;
}

std::string_view to_string(Encoding encoding) noexcept {
  switch (encoding) {
    case Encoding::seven_bit: return "7bit";
    case Encoding::eight_bit: return "8bit";
    case Encoding::binary: return "binary";
    case Encoding::quoted_printable: return "quoted-printable";
    case Encoding::base64: return "base64";
    case Encoding::unknown: break;
  }
  return {};
}

}  // namespace relais::message
