// The few cryptographic functions that logins need, with OpenSSL's failures turned into checks: they mean no memory or a broken library.
#include "directory/digest.h"

#include "base/check.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <limits>

namespace relais::directory {
namespace {

const EVP_MD* algorithm(Digest kind) noexcept {
  switch (kind) {
    case Digest::md5: return EVP_md5();
    case Digest::sha1: return EVP_sha1();
    case Digest::sha256: return EVP_sha256();
    case Digest::sha512: return EVP_sha512();
  }
  return EVP_sha256();
}

unsigned char* octets_of(std::string& s) noexcept { return reinterpret_cast<unsigned char*>(s.data()); }
const unsigned char* octets_of(std::string_view s) noexcept { return reinterpret_cast<const unsigned char*>(s.data()); }

int int_of(std::size_t n) {
  RELAIS_CHECK(n <= static_cast<std::size_t>(std::numeric_limits<int>::max()));
  return static_cast<int>(n);
}

}  // namespace

std::size_t digest_size(Digest kind) noexcept {
  switch (kind) {
    case Digest::md5: return 16;
    case Digest::sha1: return 20;
    case Digest::sha256: return 32;
    case Digest::sha512: return 64;
  }
  return 32;
}

std::string digest(Digest kind, std::string_view octets) {
  std::string out(digest_size(kind), '\0');
  unsigned size = 0;
  RELAIS_CHECK(EVP_Digest(octets.data(), octets.size(), octets_of(out), &size, algorithm(kind), nullptr) == 1 && size == out.size());
  return out;
}

std::string hmac(Digest kind, std::string_view key, std::string_view octets) {
  std::string out(digest_size(kind), '\0');
  unsigned size = 0;
  RELAIS_CHECK(HMAC(algorithm(kind), key.empty() ? "" : key.data(), int_of(key.size()), octets_of(octets), octets.size(), octets_of(out), &size) !=
               nullptr);
  return out;
}

std::string pbkdf2(Digest kind, std::string_view password, std::string_view salt, std::uint32_t iterations, std::size_t size) {
  std::string out(size, '\0');
  RELAIS_CHECK(PKCS5_PBKDF2_HMAC(password.data(), int_of(password.size()), octets_of(salt), int_of(salt.size()), int_of(iterations), algorithm(kind),
                                 int_of(size), octets_of(out)) == 1);
  return out;
}

bool equal_octets(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

void wipe(std::string& secret) noexcept {
  secret.resize(secret.capacity());  // a string that was longer, or moved from, still holds octets behind its end
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

}  // namespace relais::directory
