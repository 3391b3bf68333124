// Digests, keyed digests and key derivation over OpenSSL.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

enum class Digest : std::uint8_t { md5, sha1, sha256, sha512 };

/// Octets of a digest: 16, 20, 32, 64.
std::size_t digest_size(Digest kind) noexcept;
std::string digest(Digest kind, std::string_view octets);
std::string hmac(Digest kind, std::string_view key, std::string_view octets);
/// RFC 8018 §5.2, which with one block is Hi() of RFC 5802 §2.2.
std::string pbkdf2(Digest kind, std::string_view password, std::string_view salt, std::uint32_t iterations, std::size_t size);
/// Takes time that depends on the lengths alone.
bool equal_octets(std::string_view a, std::string_view b) noexcept;
/// Overwrites what a string held, so that a password does not stay in freed memory.
void wipe(std::string& secret) noexcept;

/// Wipes a string when the scope ends.
class Wiper {
 public:
  explicit Wiper(std::string& secret) noexcept : secret_(secret) {}
  ~Wiper() { wipe(secret_); }
  Wiper(const Wiper&) = delete;
  Wiper& operator=(const Wiper&) = delete;

 private:
  std::string& secret_;
};

}  // namespace relais::directory
