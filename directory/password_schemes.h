// Stored password schemes: their names, the form of their data, and how a password is checked against each.
#pragma once

#include "base/result.h"
#include "directory/directory.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace relais::directory {

enum class Scheme : std::uint8_t {
  plain,
  crypt,         ///< whatever crypt(3) knows; the data says which
  argon2,        ///< "$argon2id$…", "$argon2i$…"
  digest,        ///< unsalted
  salted_digest, ///< digest, then the salt
  pbkdf2,        ///< Dovecot's form "$1$salt$rounds$hex", SHA-1
  scram_sha1,    ///< Dovecot's form "iterations,salt,stored key,server key"
  scram_sha256,
};

/// A stored hash, its encoding removed.
struct ParsedHash {
  Scheme scheme = Scheme::plain;
  std::string_view name;  ///< canonical, without braces; a constant
  std::string data;       ///< as stored again: text, digests in base64
};

/// @return Fault::refused with a text for whoever imports: unknown scheme, or data that is not of the scheme's form.
Result<ParsedHash> parse_scheme(std::string_view hash);
/// Compares in constant time. Slow where the scheme is.
bool verify_scheme(const ParsedHash& hash, std::string_view password);

/// "iterations,salt,stored key,server key" with base64. @param key_size octets of the digest
Result<ScramKeys> parse_scram_data(std::string_view data, std::size_t key_size);

struct Argon2Parameters {
  std::uint32_t kib = 0;
  std::uint32_t passes = 0;
  std::uint32_t lanes = 0;
};
/// Of "$argon2id$v=19$m=…,t=…,p=…$…".
std::optional<Argon2Parameters> parse_argon2_parameters(std::string_view encoded);

}  // namespace relais::directory
