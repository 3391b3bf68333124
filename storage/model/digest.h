// The one digest that records depend on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::storage::model {

/// SHA-256, 32 octets (FIPS 180-4).
std::string sha256(std::string_view octets);
/// Its first 64 bits.
std::uint64_t sha256_prefix(std::string_view octets);

}  // namespace relais::storage::model
