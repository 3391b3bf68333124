// A self-signed certificate through OpenSSL.
#include "admin/certificate.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace relais::admin {
namespace {

template <auto Free>
struct Freer {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;

constexpr long kValidSeconds = 10L * 365 * 24 * 3600;

// Opened with its final mode: the key is never readable by others, not even for a moment.
std::unique_ptr<std::FILE, Freer<std::fclose>> open_for_writing(const std::filesystem::path& path, mode_t mode) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  return std::unique_ptr<std::FILE, Freer<std::fclose>>(fd < 0 ? nullptr : ::fdopen(fd, "w"));
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, certificate, certificate, nullptr, nullptr, 0);
  std::unique_ptr<X509_EXTENSION, Freer<X509_EXTENSION_free>> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

Certificate make_certificate(EVP_PKEY* key, const std::vector<std::string>& names) {
  Certificate certificate(X509_new());
  std::uint64_t serial = 0;
  if (!certificate || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) != 1) return nullptr;
  X509_set_version(certificate.get(), X509_VERSION_3);
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);  // clocks differ
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kValidSeconds);
  X509_set_pubkey(certificate.get(), key);
  auto* subject = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(names.front().c_str()), -1, -1, 0);
  X509_set_issuer_name(certificate.get(), subject);
  std::string alternatives;
  for (const auto& name : names) {
    const bool address = name.find_first_not_of("0123456789.") == std::string::npos || name.find(':') != std::string::npos;
    alternatives += (alternatives.empty() ? "" : ",") + std::string(address ? "IP:" : "DNS:") + name;
  }
  const bool whole = add_extension(certificate.get(), NID_subject_alt_name, alternatives) &&
                     add_extension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE") && X509_sign(certificate.get(), key, EVP_sha256()) > 0;
  return whole ? std::move(certificate) : nullptr;
}

}  // namespace

Result<void> make_self_signed_certificate(const std::filesystem::path& certificate_path, const std::filesystem::path& key_path,
                                          const std::vector<std::string>& names) {
  const Key key(EVP_EC_gen("P-256"));
  const auto certificate = key ? make_certificate(key.get(), names) : nullptr;
  if (!certificate) return fail(Fault::temporary, "cannot make a certificate for " + names.front());
  const auto key_file = open_for_writing(key_path, 0600);
  if (!key_file || PEM_write_PrivateKey(key_file.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail(Fault::temporary, "cannot write " + key_path.string());
  }
  const auto certificate_file = open_for_writing(certificate_path, 0644);
  if (!certificate_file || PEM_write_X509(certificate_file.get(), certificate.get()) != 1) {
    return fail(Fault::temporary, "cannot write " + certificate_path.string());
  }
  return {};
}

}  // namespace relais::admin
