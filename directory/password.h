// Password hashes: argon2id and SCRAM keys for new ones, and the schemes that other platforms stored.
#pragma once

#include "base/result.h"
#include "directory/directory.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

inline constexpr std::size_t kMaxPassword = 1'024;  ///< octets; longer ones are refused before any hash sees them

/// What hashing a new password costs. Defaults: OWASP's for argon2id, RFC 7677 §4's minimum for SCRAM.
struct PasswordCost {
  std::uint32_t argon2_kib = 19'456;
  std::uint32_t argon2_passes = 2;
  std::uint32_t scram_iterations = 4'096;
};

/// What is stored for an account that can log in.
struct Credential {
  std::string hash;      ///< "{SCHEME}data"; empty: no password
  ScramKeys scram;       ///< iterations 0: none
  Knowledge knowledge = Knowledge::nothing;  ///< nothing: where there is no hash
};

/// The password as it is compared: SASLprep (RFC 4013) where that is defined for it, else its octets unchanged.
std::string prepare_password(std::string_view password);

/// Fault::refused for an empty password, one with NUL, or one above kMaxPassword.
Result<void> check_password(std::string_view password);

/// argon2id hash and SCRAM-SHA-256 keys with random salts. Slow: run it on a worker.
Result<Credential> new_credential(std::string_view password, const PasswordCost& cost, Knowledge knowledge = Knowledge::set);
/// SCRAM-SHA-256 keys of a password (RFC 5802 §3). Slow.
ScramKeys derive_scram_keys(std::string_view password, std::string salt, std::uint32_t iterations);

/// Takes a hash from another platform, Dovecot's schemes with their ".b64", ".hex" suffixes:
/// PLAIN CLEARTEXT CLEAR, CRYPT DES-CRYPT MD5-CRYPT SHA256-CRYPT SHA512-CRYPT BLF-CRYPT (any that crypt(3) knows, yescrypt too),
/// ARGON2I ARGON2ID, MD5 SMD5 LDAP-MD5 PLAIN-MD5, SHA SHA1 SSHA SHA256 SSHA256 SHA512 SSHA512, PBKDF2, SCRAM-SHA-1, SCRAM-SHA-256 (whose keys are
/// taken over). Without a scheme: what begins with "$" and crypt(3) or argon2 knows.
/// @return known as `imported`; Fault::refused that names the scheme where it is unknown or its data malformed.
Result<Credential> import_credential(std::string_view hash);

/// Whether the password fits. Slow for the schemes that mean to be; compares in constant time. A broken hash fits nothing.
bool verify_password(const Credential& credential, std::string_view password);
/// Costs as much as verify_password() of a credential made with `cost`.
void verify_nothing(std::string_view password, const PasswordCost& cost);
/// True where new_credential() would give something stronger or SCRAM keys are missing.
bool wants_upgrade(const Credential& credential, const PasswordCost& cost);

}  // namespace relais::directory
