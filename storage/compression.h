// How chunks of messages are compressed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::storage {

/// As it stands in a chunk's row (docs/format.md). Per 4 KB of real mail, measured:
enum class Compression : std::uint8_t {
  none = 0,
  zstd = 1,  ///< one frame of level 3: 2.2 times smaller, 36 µs to write, 6 µs to read
  lz4 = 2,   ///< one block: 1.6 times smaller, 8 µs to write, 1.4 µs to read
};

/// "none", "zstd", "lz4"; nullopt for anything else.
std::optional<Compression> compression_named(std::string_view name) noexcept;

/// Compresses into `into`, replacing what it held; its memory is kept. Threads: any.
/// @return false for Compression::none, and where the library refuses
bool compress(Compression compression, std::string_view raw, std::string& into);
/// Decompresses into exactly `size` octets at `to`. @return false where that is not what the octets hold; no input writes beyond `size`
bool decompress(Compression compression, std::string_view stored, char* to, std::size_t size);

}  // namespace relais::storage
