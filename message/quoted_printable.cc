// Writes quoted-printable.
#include "message/quoted_printable.h"

namespace relais::message {
namespace {

constexpr std::size_t kMaxLine = 76;  // octets, the "=" of a soft line break included: RFC 2045 §6.7 rule 5
constexpr std::string_view kHex = "0123456789ABCDEF";

}  // namespace

std::string encode_quoted_printable(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 16 + 16);
  std::size_t column = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n') {
      out += "\r\n";
      column = 0;
      ++i;
      continue;
    }
    // Rule 3: white space must not end a line.
    const bool ends_line = i + 1 == text.size() || text.substr(i + 1).starts_with("\r\n");
    const bool literal = (c > 32 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !ends_line);
    const std::size_t width = literal ? 1 : 3;
    if (column + width > (ends_line ? kMaxLine : kMaxLine - 1)) {
      out += "=\r\n";
      column = 0;
    }
    if (literal) {
      out += text[i];
    } else {
      out += '=';
      out += kHex[c >> 4U];
      out += kHex[c & 15U];
    }
    column += width;
  }
  return out;
}

}  // namespace relais::message
