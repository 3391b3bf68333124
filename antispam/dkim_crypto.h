// Keys and signatures of DKIM and ARC over OpenSSL.
#pragma once

#include "base/result.h"
#include "directory/dkim_key.h"

#include <openssl/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace relais::antispam {

using directory::DkimKey;

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept;
};
using KeyPointer = std::unique_ptr<EVP_PKEY, FreeKey>;

/// A PEM private key that fits the algorithm. Fault::corrupt otherwise.
Result<KeyPointer> read_private_key(std::string_view pem, DkimKey::Algorithm algorithm);

/// Signs a SHA-256 digest: PKCS #1 v1.5 (RFC 6376 §3.3.2), or Ed25519 over the digest as its message (RFC 8463 §3).
/// @return octets   Fault::corrupt where OpenSSL refuses.
Result<std::string> sign_digest(EVP_PKEY& key, DkimKey::Algorithm algorithm, std::string_view digest);

/// A domain's public key as its record gives it.
struct PublicKey {
  KeyPointer key;
  DkimKey::Algorithm algorithm = DkimKey::Algorithm::rsa_sha256;
  std::uint32_t bits = 0;
  bool testing = false;          ///< t=y
  bool strict_identity = false;  ///< t=s: i= must be of the domain itself
};

/// @param record  a TXT record, its strings joined
/// Errors: Fault::refused: text says why: no key record, another version, another use (s=), a hash we don't take (h=), revoked (p= empty),
/// an
///   unknown kind of key (k=), a key that can't be read.
/// Source: RFC 6376 §3.6.1, RFC 8463 §4.2
Result<PublicKey> parse_key_record(std::string_view record);
/// A key record whose RSA key is the bare RSAPublicKey of RFC 6376 §3.6.1 with a SubjectPublicKeyInfo instead, which is what nearly all
/// publish and all that libopendkim reads; every other record as it is.
std::string with_key_info(std::string_view record);

/// Whether a TXT record is meant as a key: there may be others at the name.
bool is_key_record(std::string_view record);

bool verify_digest(const PublicKey& key, std::string_view digest, std::string_view signature);

}  // namespace relais::antispam
