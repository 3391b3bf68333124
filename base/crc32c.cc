// CRC-32C in two forms: the SSE 4.2 instruction, three streams at a time, and tables of eight octets.
#include "base/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#define RELAIS_CRC32C_SSE42 1
#endif

namespace relais {
namespace {

constexpr std::uint32_t kPolynomial = 0x82F63B78;  // reflected 0x1EDC6F41

constexpr std::array<std::array<std::uint32_t, 256>, 8> make_tables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? (crc >> 1) ^ kPolynomial : crc >> 1;
    tables[0][i] = crc;
  }
  for (std::size_t t = 1; t < 8; ++t)
    for (std::size_t i = 0; i < 256; ++i) tables[t][i] = (tables[t - 1][i] >> 8) ^ tables[0][tables[t - 1][i] & 0xFF];
  return tables;
}
constexpr auto kTables = make_tables();

std::uint64_t load(const char* p) noexcept {
  std::uint64_t v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

#ifdef RELAIS_CRC32C_SSE42

// The instruction takes three cycles but one can start every cycle, so three stretches of a block are run side by side and then joined:
// crc(a ++ b) = shift(crc(a), |b|) ^ crc(b), where shifting by a constant length is linear, hence four look-ups.
constexpr std::size_t kLongStretch = 512;   // octets
constexpr std::size_t kShortStretch = 128;  // for records of a few hundred octets and the rest of long ones

using ShiftTable = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t shift_by_octets(std::uint32_t crc, std::size_t octets) {
  for (std::size_t i = 0; i < octets; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xFF];
  return crc;
}

template <std::size_t Stretch>
const ShiftTable& shift_table() noexcept {
  static const ShiftTable table = [] {
    ShiftTable t{};
    std::array<std::uint32_t, 32> of_bit{};
    for (std::size_t bit = 0; bit < 32; ++bit) of_bit[bit] = shift_by_octets(std::uint32_t{1} << bit, Stretch);
    for (std::size_t octet = 0; octet < 4; ++octet)
      for (std::size_t v = 0; v < 256; ++v)
        for (std::size_t bit = 0; bit < 8; ++bit)
          if ((v >> bit & 1) != 0) t[octet][v] ^= of_bit[octet * 8 + bit];
    return t;
  }();
  return table;
}

std::uint64_t shift(const ShiftTable& t, std::uint64_t crc) noexcept {
  return t[0][crc & 0xFF] ^ t[1][crc >> 8 & 0xFF] ^ t[2][crc >> 16 & 0xFF] ^ t[3][crc >> 24 & 0xFF];
}

/// Takes blocks of three stretches off the front.
template <std::size_t Stretch>
__attribute__((target("sse4.2"))) std::uint64_t crc32c_blocks(const char*& p, std::size_t& n, std::uint64_t crc) noexcept {
  if (n < 3 * Stretch) return crc;
  const auto& table = shift_table<Stretch>();
  do {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (std::size_t i = 0; i < Stretch; i += 8) {
      crc = _mm_crc32_u64(crc, load(p + i));
      second = _mm_crc32_u64(second, load(p + Stretch + i));
      third = _mm_crc32_u64(third, load(p + 2 * Stretch + i));
    }
    crc = shift(table, shift(table, crc) ^ second) ^ third;
    p += 3 * Stretch;
    n -= 3 * Stretch;
  } while (n >= 3 * Stretch);
  return crc;
}

__attribute__((target("sse4.2"))) std::uint32_t crc32c_sse42(std::string_view octets, std::uint32_t start) noexcept {
  const char* p = octets.data();
  std::size_t n = octets.size();
  std::uint64_t crc = ~start & 0xFFFFFFFFU;
  crc = crc32c_blocks<kLongStretch>(p, n, crc);
  crc = crc32c_blocks<kShortStretch>(p, n, crc);
  for (; n >= 8; p += 8, n -= 8) crc = _mm_crc32_u64(crc, load(p));
  auto narrow = static_cast<std::uint32_t>(crc);
  for (; n > 0; ++p, --n) narrow = _mm_crc32_u8(narrow, static_cast<unsigned char>(*p));
  return ~narrow;
}

#endif

}  // namespace

std::uint32_t detail::crc32c_portable(std::string_view octets, std::uint32_t start) noexcept {
  std::uint32_t crc = ~start;
  const char* p = octets.data();
  std::size_t n = octets.size();
  for (; n >= 8; p += 8, n -= 8) {
    const std::uint64_t v = load(p) ^ crc;  // little-endian, as are all machines that have no other path here
    crc = kTables[7][v & 0xFF] ^ kTables[6][v >> 8 & 0xFF] ^ kTables[5][v >> 16 & 0xFF] ^ kTables[4][v >> 24 & 0xFF] ^
          kTables[3][v >> 32 & 0xFF] ^ kTables[2][v >> 40 & 0xFF] ^ kTables[1][v >> 48 & 0xFF] ^ kTables[0][v >> 56];
  }
  for (; n > 0; ++p, --n) crc = (crc >> 8) ^ kTables[0][(crc ^ static_cast<unsigned char>(*p)) & 0xFF];
  return ~crc;
}

std::uint32_t crc32c(std::string_view octets, std::uint32_t crc) noexcept {
#ifdef RELAIS_CRC32C_SSE42
  static const bool has_instruction = __builtin_cpu_supports("sse4.2") != 0;
  if (has_instruction) return crc32c_sse42(octets, crc);
#endif
  return detail::crc32c_portable(octets, crc);
}

}  // namespace relais
