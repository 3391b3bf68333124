// SHA-256 by OpenSSL.
#include "storage/model/digest.h"

#include "base/check.h"

#include <openssl/evp.h>
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

struct Sha256::State {
  struct Free {
    void operator()(EVP_MD_CTX* c) const noexcept { EVP_MD_CTX_free(c); }
  };
  std::unique_ptr<EVP_MD_CTX, Free> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  RELAIS_CHECK(state_->context != nullptr && EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::add(std::string_view octets) { RELAIS_CHECK(EVP_DigestUpdate(state_->context.get(), octets.data(), octets.size()) == 1); }

std::array<unsigned char, 32> Sha256::finish() {
  std::array<unsigned char, 32> out{};
  RELAIS_CHECK(EVP_DigestFinal_ex(state_->context.get(), out.data(), nullptr) == 1);
  RELAIS_CHECK(EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) == 1);
  return out;
}

}  // namespace relais::storage::model
