// Octet encodings.
#include "base/encode.h"

#include <array>

namespace relais {
namespace {

void put_big_endian(std::string& out, std::uint64_t v, unsigned octets) {
  for (unsigned i = octets; i-- > 0;) out += static_cast<char>(v >> (8 * i));
}

constexpr std::string_view kHex = "0123456789abcdef";
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr auto kBase64Value = [] {
  std::array<std::int8_t, 256> table{};
  table.fill(-1);
  for (std::size_t i = 0; i < kBase64.size(); ++i) table[static_cast<unsigned char>(kBase64[i])] = static_cast<std::int8_t>(i);
  return table;
}();

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

void put_u8(std::string& out, std::uint8_t v) { out += static_cast<char>(v); }
void put_u16(std::string& out, std::uint16_t v) { put_big_endian(out, v, 2); }
void put_u32(std::string& out, std::uint32_t v) { put_big_endian(out, v, 4); }
void put_u64(std::string& out, std::uint64_t v) { put_big_endian(out, v, 8); }

void put_varint(std::string& out, std::uint64_t v) {
  while (v >= 0x80) {
    out += static_cast<char>(v | 0x80);
    v >>= 7;
  }
  out += static_cast<char>(v);
}

void put_string(std::string& out, std::string_view v) {
  put_varint(out, v.size());
  out += v;
}

std::uint64_t Decoder::big_endian(std::size_t n) noexcept {
  std::uint64_t v = 0;
  for (const char c : octets(n)) v = v << 8 | static_cast<unsigned char>(c);
  return v;
}

std::uint8_t Decoder::u8() noexcept { return static_cast<std::uint8_t>(big_endian(1)); }
std::uint16_t Decoder::u16() noexcept { return static_cast<std::uint16_t>(big_endian(2)); }
std::uint32_t Decoder::u32() noexcept { return static_cast<std::uint32_t>(big_endian(4)); }
std::uint64_t Decoder::u64() noexcept { return big_endian(8); }

std::uint64_t Decoder::varint() noexcept {
  std::uint64_t v = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const auto octet = u8();
    v |= static_cast<std::uint64_t>(octet & 0x7F) << shift;
    if (octet < 0x80) return v;
  }
  ok_ = false;
  return 0;
}

std::string_view Decoder::string() noexcept {
  const auto length = varint();
  return octets(length);
}

std::string_view Decoder::octets(std::size_t n) noexcept {
  if (n > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const auto out = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return out;
}

std::string to_hex(std::string_view octets) {
  std::string out;
  out.reserve(octets.size() * 2);
  for (const char c : octets) {
    const auto o = static_cast<unsigned char>(c);
    out += kHex[o >> 4];
    out += kHex[o & 15];
  }
  return out;
}

std::optional<std::string> from_hex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string out;
  out.reserve(hex.size() / 2);
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_value(hex[i]);
    const int low = hex_value(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
  }
  return out;
}

std::string to_base64(std::string_view octets) {
  std::string out;
  out.reserve((octets.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < octets.size(); i += 3) {
    const auto at = [&](std::size_t k) -> std::uint32_t { return i + k < octets.size() ? static_cast<unsigned char>(octets[i + k]) : 0U; };
    const std::uint32_t group = at(0) << 16 | at(1) << 8 | at(2);
    const std::size_t have = std::min<std::size_t>(3, octets.size() - i);
    for (std::size_t k = 0; k < 4; ++k) out += k <= have ? kBase64[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

std::optional<std::string> from_base64(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  for (std::size_t i = 0; i < text.size(); i += 4) {
    const bool last = i + 4 == text.size();
    const std::size_t pad = !last || text[i + 3] != '=' ? 0U : text[i + 2] == '=' ? 2U : 1U;
    std::uint32_t group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const auto value = k >= 4 - pad ? std::int8_t{0} : kBase64Value[static_cast<unsigned char>(text[i + k])];
      if (value < 0) return std::nullopt;
      group = group << 6 | static_cast<std::uint32_t>(value);
    }
    if ((pad == 2 && (group & 0xFFFF) != 0) || (pad == 1 && (group & 0xFF) != 0)) return std::nullopt;
    for (std::size_t k = 0; k < 3 - pad; ++k) out += static_cast<char>(group >> (16 - 8 * k));
  }
  return out;
}

}  // namespace relais
