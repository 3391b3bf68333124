// base64 and quoted-printable, tolerant and strict, with and without output.
#include <array>
#include <cstring>

#include "base/ascii.h"
#include "message/decode.h"

namespace relais::message {
namespace {

constexpr std::uint8_t kPad = 64;
constexpr std::uint8_t kSpace = 65;
constexpr std::uint8_t kStray = 66;

constexpr auto kBase64 = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(kStray);
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::size_t i = 0; i < kAlphabet.size(); ++i) table[static_cast<unsigned char>(kAlphabet[i])] = static_cast<std::uint8_t>(i);
  table['='] = kPad;
  for (const char c : std::string_view(" \t\r\n")) table[static_cast<unsigned char>(c)] = kSpace;
  return table;
}();

constexpr unsigned base64_value(char c) noexcept { return kBase64[static_cast<unsigned char>(c)]; }

constexpr int hex_value(char c) noexcept {
  if (ascii_digit(c)) return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Where decoded octets go: to a place with enough room, or nowhere but the count.
struct Store {
  char*& out;
  void octet(unsigned value) noexcept { *out++ = static_cast<char>(static_cast<unsigned char>(value)); }
  void octets(std::string_view text) noexcept {
    if (!text.empty()) std::memcpy(out, text.data(), text.size());
    out += text.size();
  }
};
struct Count {
  std::uint64_t& size;
  void octet(unsigned) noexcept { ++size; }
  void octets(std::string_view text) noexcept { size += text.size(); }
};

template <class Sink>
void put_quantum(Sink& sink, std::uint32_t bits, unsigned have) {
  // `have` sextets of the four: 2 give one octet, 3 give two.
  if (have >= 2) sink.octet(bits >> (6 * have - 8));
  if (have >= 3) sink.octet(bits >> (6 * have - 16));
  if (have >= 4) sink.octet(bits);
}

// RFC 2045 §6.8. Tolerant: stray octets are skipped, and after padding a new quantum may begin (several encoded texts one after the other).
// Strict: only line ends and spaces may stand between, nothing after the padding; missing padding at the end is forgiven as every decoder
// does.
template <bool kStrict, class Sink>
bool decode_base64(std::string_view in, Sink sink) {
  std::uint32_t bits = 0;
  unsigned have = 0;
  bool padded = false;
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (have == 0 && !padded) {  // whole quanta
      while (i + 4 <= in.size()) {
        const unsigned a = base64_value(in[i]);
        const unsigned b = base64_value(in[i + 1]);
        const unsigned c = base64_value(in[i + 2]);
        const unsigned d = base64_value(in[i + 3]);
        if ((a | b | c | d) >= 64) break;
        put_quantum(sink, a << 18 | b << 12 | c << 6 | d, 4);
        i += 4;
      }
      if (i >= in.size()) break;
    }
    const unsigned value = base64_value(in[i]);
    if (value < 64) {
      if (kStrict && padded) return false;
      bits = bits << 6 | value;
      if (++have == 4) {
        put_quantum(sink, bits, 4);
        bits = have = 0;
      }
    } else if (value == kPad) {
      if (kStrict && (have == 1 || (have == 0 && !padded))) return false;
      put_quantum(sink, bits, have);
      bits = have = 0;
      padded = kStrict;
    } else if (kStrict && value == kStray) {
      return false;
    }
  }
  if (kStrict && have == 1) return false;
  put_quantum(sink, bits, have);
  return true;
}

// RFC 2045 §6.7. Spaces at the end of a line were added in transport (rule 3). Tolerant: "=" that starts nothing stays.
template <bool kStrict, class Sink>
bool decode_quoted_printable(std::string_view in, Sink sink) {
  while (!in.empty()) {
    const auto lf = in.find('\n');
    std::string_view line = in.substr(0, lf);
    std::string_view line_end;
    if (lf != std::string_view::npos) {
      const bool crlf = line.ends_with('\r');
      if (crlf) line.remove_suffix(1);
      line_end = in.substr(line.size(), crlf ? 2 : 1);
    }
    in.remove_prefix(line.size() + line_end.size());
    while (!line.empty() && ascii_wsp(line.back())) line.remove_suffix(1);
    if (line.ends_with('=')) {  // soft line break
      line.remove_suffix(1);
      line_end = {};
    }
    for (;;) {
      const auto equals = line.find('=');
      sink.octets(line.substr(0, equals));
      if (equals == std::string_view::npos) break;
      line.remove_prefix(equals);
      const int high = line.size() > 2 ? hex_value(line[1]) : -1;
      const int low = line.size() > 2 ? hex_value(line[2]) : -1;
      if (high < 0 || low < 0) {
        if (kStrict) return false;
        sink.octets("=");
        line.remove_prefix(1);
      } else {
        sink.octet(static_cast<unsigned>(high * 16 + low));
        line.remove_prefix(3);
      }
    }
    sink.octets(line_end);
  }
  return true;
}

template <bool kStrict, class Sink>
bool decode(Encoding encoding, std::string_view octets, Sink sink) {
  switch (encoding) {
    case Encoding::base64: return decode_base64<kStrict>(octets, sink);
    case Encoding::quoted_printable: return decode_quoted_printable<kStrict>(octets, sink);
    case Encoding::unknown:
      if (kStrict) return false;
      [[fallthrough]];
    case Encoding::seven_bit:
    case Encoding::eight_bit:
    case Encoding::binary: sink.octets(octets); break;
  }
  return true;
}

// RFC 9051 §7.1 UNKNOWN-CTE
std::unexpected<Error> broken() { return fail(Fault::refused, "the part's transfer encoding can't be decoded", "UNKNOWN-CTE"); }

template <bool kStrict>
bool decode_into(std::string& out, Encoding encoding, std::string_view octets) {
  bool good = false;
  // No encoding's result is longer than its text.
  out.resize_and_overwrite(octets.size(), [&](char* begin, std::size_t) {
    char* end = begin;
    good = decode<kStrict>(encoding, octets, Store{end});
    return end - begin;
  });
  return good;
}

}  // namespace

std::string decode_transfer(Encoding encoding, std::string_view octets) {
  std::string out;
  decode_into<false>(out, encoding, octets);
  return out;
}

Result<std::string> decode_transfer_strict(Encoding encoding, std::string_view octets) {
  std::string out;
  if (!decode_into<true>(out, encoding, octets)) return broken();
  return out;
}

Result<std::uint64_t> decoded_size(Encoding encoding, std::string_view octets) {
  std::uint64_t size = 0;
  if (!decode<true>(encoding, octets, Count{size})) return broken();
  return size;
}

}  // namespace relais::message
