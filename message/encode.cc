// Quoted-printable, base64 and encoded words.
#include "message/encode.h"

#include "base/ascii.h"
#include "base/encode.h"

#include <algorithm>

namespace relais::message {
namespace {

constexpr char kHex[] = "0123456789ABCDEF";

void append_hex(std::string& out, char c) {
  const auto octet = static_cast<unsigned char>(c);
  out.push_back('=');
  out.push_back(kHex[octet >> 4U]);
  out.push_back(kHex[octet & 15U]);
}

// RFC 2045 §6.7 (2): what may stand for itself.
constexpr bool literal(char c) noexcept { return (c >= ' ' && c <= '~' && c != '=') || c == '\t'; }

// RFC 2047 §5 (3): letters, digits, "!", "*", "+", "-", "/"; the strictest of the three places.
constexpr bool word_char(char c) noexcept { return ascii_alpha(c) || ascii_digit(c) || std::string_view("!*+-/").contains(c); }

// Octets of the UTF-8 character at the front, or 1.
std::size_t character(std::string_view text, bool utf8) noexcept {
  if (!utf8) return 1;
  std::size_t n = 1;
  while (n < text.size() && (static_cast<unsigned char>(text[n]) & 0xC0U) == 0x80U) ++n;
  return n;
}

}  // namespace

void append_quoted_printable(std::string& out, std::string_view octets, bool text) {
  out.reserve(out.size() + octets.size() + octets.size() / 8);
  std::size_t column = 0;
  for (std::size_t i = 0; i < octets.size(); ++i) {
    const char c = octets[i];
    const bool crlf = c == '\r' && i + 1 < octets.size() && octets[i + 1] == '\n';
    if (crlf || (text && (c == '\r' || c == '\n'))) {
      if (crlf) ++i;
      out += "\r\n";
      column = 0;
      continue;
    }
    // (3): no white space at the end of a line.
    const bool last = i + 1 == octets.size() || octets[i + 1] == '\r' || octets[i + 1] == '\n';
    const bool plain = literal(c) && !(ascii_wsp(c) && last);
    // (5): a soft break takes the last place of a line; where the line ends here anyway it is not needed.
    const std::size_t width = plain ? 1 : 3;
    if (column + width > kEncodedLine - 1) {
      out += "=\r\n";
      column = 0;
    }
    if (plain)
      out.push_back(c);
    else
      append_hex(out, c);
    column += width;
  }
}

void append_base64_lines(std::string& out, std::string_view octets) {
  constexpr std::size_t kOctets = kEncodedLine / 4 * 3;
  out.reserve(out.size() + octets.size() / kOctets * (kEncodedLine + 2) + kEncodedLine + 2);
  for (bool first = true; first || !octets.empty(); first = false) {
    if (!first) out += "\r\n";
    const auto line = octets.substr(0, kOctets);
    out += to_base64(line);
    octets.remove_prefix(line.size());
  }
}

void append_encoded_words(std::string& out, std::string_view text, std::size_t& column) {
  constexpr std::size_t kMaxWord = 75;  // RFC 2047 §2
  const bool utf8 = is_utf8(text);
  const std::string_view opening = utf8 ? "=?utf-8?q?" : "=?unknown-8bit?q?";
  for (bool first = true; !text.empty(); first = false) {
    std::string word(opening);
    // As much as fits behind what is on the line; on a line of its own where that is next to nothing.
    const auto room = column + kMaxWord / 2 > kEncodedLine ? kMaxWord : std::min(kMaxWord, kEncodedLine - std::min(column, kEncodedLine));
    while (!text.empty()) {
      const auto size = character(text, utf8);
      std::string encoded;
      for (const char c : text.substr(0, size)) {
        if (word_char(c))
          encoded.push_back(c);
        else if (c == ' ')
          encoded.push_back('_');
        else
          append_hex(encoded, c);
      }
      if (word.size() > opening.size() && word.size() + encoded.size() + 2 > room) break;
      word += encoded;
      text.remove_prefix(size);
    }
    word += "?=";
    if (!first || column + word.size() > kEncodedLine) {
      if (!first || !out.ends_with(' ')) {
        out += "\r\n ";
      } else {  // the space in front becomes the fold's
        out.back() = '\r';
        out += "\n ";
      }
      column = 1;
    }
    out += word;
    column += word.size();
  }
}

}  // namespace relais::message
