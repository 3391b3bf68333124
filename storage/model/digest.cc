// SHA-256 by OpenSSL.
#include "storage/model/digest.h"

#include <openssl/sha.h>

#include <array>

namespace relais::storage::model {
namespace {

std::array<unsigned char, SHA256_DIGEST_LENGTH> digest(std::string_view octets) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> out{};
  // OpenSSL counts in unsigned char; the octets are the same.
  SHA256(reinterpret_cast<const unsigned char*>(octets.data()), octets.size(), out.data());
  return out;
}

}  // namespace

std::string sha256(std::string_view octets) {
  const auto d = digest(octets);
  return {d.begin(), d.end()};
}

std::uint64_t sha256_prefix(std::string_view octets) {
  const auto d = digest(octets);
  std::uint64_t v = 0;
  for (std::size_t i = 0; i < 8; ++i) v = v << 8 | d[i];
  return v;
}

}  // namespace relais::storage::model
