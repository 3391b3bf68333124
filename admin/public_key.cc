// From a PEM file to the digest of its key, over OpenSSL.
#include "admin/public_key.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <cstdio>
#include <memory>

namespace relais::admin {
namespace {

struct Close {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  void operator()(X509* certificate) const noexcept { X509_free(certificate); }
};

}  // namespace

Result<std::string> public_key_digest(const std::string& pem_file) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(pem_file.c_str(), "re"));
  if (!file) return fail(Fault::refused, "cannot read " + pem_file);
  const std::unique_ptr<X509, Close> certificate(PEM_read_X509(file.get(), nullptr, nullptr, nullptr));
  if (!certificate) return fail(Fault::refused, pem_file + " holds no certificate");
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate.get()), &der);
  if (size <= 0) return fail(Fault::refused, pem_file + " holds no public key");
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  const bool done = EVP_Digest(der, static_cast<std::size_t>(size), digest.data(), &length, EVP_sha256(), nullptr) == 1;
  OPENSSL_free(der);
  if (!done) return fail(Fault::temporary, "no digest");
  return std::string(digest.begin(), digest.begin() + length);
}

}  // namespace relais::admin
