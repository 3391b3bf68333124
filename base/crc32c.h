// CRC-32C, the checksum of records and blobs.
#pragma once

#include <cstdint>
#include <string_view>

namespace relais {

/// CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected; RFC 3720 §B.4) of `octets`, going on from `crc`, the value of what came before.
/// crc32c(b, crc32c(a)) == crc32c(a + b). Uses the processor's instruction where it has one. Pure; threads: any.
std::uint32_t crc32c(std::string_view octets, std::uint32_t crc = 0) noexcept;

namespace detail {
/// The table-driven form, for processors without the instruction and to test the other against.
std::uint32_t crc32c_portable(std::string_view octets, std::uint32_t crc = 0) noexcept;
}  // namespace detail

}  // namespace relais
