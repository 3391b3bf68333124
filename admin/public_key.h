// The digest of a certificate's public key, as TLSA records have it.
#pragma once

#include "base/result.h"

#include <string>

namespace relais::admin {

/// SHA-256 over the SubjectPublicKeyInfo of the first certificate in a PEM file: 32 octets ("3 1 1", RFC 6698 §2.1).
/// Errors: Fault::refused where the file cannot be read or holds no certificate.
Result<std::string> public_key_digest(const std::string& pem_file);

}  // namespace relais::admin
