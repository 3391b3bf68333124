// Octet encodings shared by records, keys and protocols: big-endian numbers, varints, hex, base64.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais {

void put_u8(std::string& out, std::uint8_t v);
void put_u16(std::string& out, std::uint16_t v);
void put_u32(std::string& out, std::uint32_t v);
void put_u64(std::string& out, std::uint64_t v);
/// LEB128: seven bits an octet, least significant first.
void put_varint(std::string& out, std::uint64_t v);
/// A varint length and the octets.
void put_string(std::string& out, std::string_view v);

/// Reads back what the put_ functions wrote. Sticky: the first shortage is remembered, later reads give zeros; check ok() once.
class Decoder {
 public:
  explicit Decoder(std::string_view in) noexcept : rest_(in) {}
  std::uint8_t u8() noexcept;
  std::uint16_t u16() noexcept;
  std::uint32_t u32() noexcept;
  std::uint64_t u64() noexcept;
  std::uint64_t varint() noexcept;
  /// A view into the input.
  std::string_view string() noexcept;
  std::string_view octets(std::size_t n) noexcept;
  std::string_view rest() const noexcept { return rest_; }
  bool ok() const noexcept { return ok_; }
  /// ok() and nothing left.
  bool done() const noexcept { return ok_ && rest_.empty(); }

 private:
  std::uint64_t big_endian(std::size_t n) noexcept;
  std::string_view rest_;
  bool ok_ = true;
};

std::string to_hex(std::string_view octets);
std::optional<std::string> from_hex(std::string_view hex);
/// RFC 4648 §4, with padding, without line ends.
std::string to_base64(std::string_view octets);
/// Strict: no line ends, no spaces, right padding. nullopt otherwise.
std::optional<std::string> from_base64(std::string_view text);

}  // namespace relais
