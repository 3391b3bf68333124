// New credentials, and which stored ones are due for a better hash; the schemes of other platforms are in password_schemes.cc.
#include "directory/password.h"

#include "base/ascii.h"
#include "base/check.h"
#include "base/encode.h"
#include "base/random.h"
#include "directory/digest.h"
#include "directory/password_schemes.h"

#include <argon2.h>
#include <gsasl.h>

#include <algorithm>
#include <cstdlib>

namespace relais::directory {
namespace {

constexpr std::size_t kArgon2Salt = 16;  // octets, RFC 9106 §3.1
constexpr std::size_t kArgon2Hash = 32;  // octets
constexpr std::size_t kScramSalt = 16;   // octets
constexpr std::string_view kArgon2id = "{ARGON2ID}";

bool printable_ascii(std::string_view text) noexcept {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

Result<std::string> argon2id(std::string_view password, const PasswordCost& cost) {
  const auto salt = random_octets(kArgon2Salt);
  std::string encoded(argon2_encodedlen(cost.argon2_passes, cost.argon2_kib, 1, kArgon2Salt, kArgon2Hash, Argon2_id), '\0');
  const int rc = argon2id_hash_encoded(cost.argon2_passes, cost.argon2_kib, 1, password.data(), password.size(), salt.data(), salt.size(), kArgon2Hash,
                                       encoded.data(), encoded.size());
  if (rc != ARGON2_OK) return fail(Fault::temporary, "password hashing failed", "", argon2_error_message(rc));
  encoded.resize(encoded.find('\0'));
  return encoded;
}

}  // namespace

std::string prepare_password(std::string_view password) {
  // SASLprep leaves printable US-ASCII as it is.
  if (printable_ascii(password) || password.contains('\0')) return std::string(password);
  std::string in(password);
  const Wiper wiper(in);
  char* prepared = nullptr;
  if (gsasl_saslprep(in.c_str(), GSASL_ALLOW_UNASSIGNED, &prepared, nullptr) != GSASL_OK || prepared == nullptr) return in;
  std::string out(prepared);
  gsasl_free(prepared);
  return out.empty() ? in : out;
}

Result<void> check_password(std::string_view password) {
  if (password.empty()) return fail(Fault::refused, "a password can't be empty");
  if (password.contains('\0')) return fail(Fault::refused, "a password can't hold NUL");
  if (password.size() > kMaxPassword) return fail(Fault::refused, "a password can't be longer than 1024 octets");
  return {};
}

ScramKeys derive_scram_keys(std::string_view password, std::string salt, std::uint32_t iterations) {
  // RFC 5802 §3: SaltedPassword := Hi(Normalize(password), salt, i)
  auto prepared = prepare_password(password);
  const Wiper wipe_prepared(prepared);
  auto salted = pbkdf2(Digest::sha256, prepared, salt, iterations, digest_size(Digest::sha256));
  const Wiper wipe_salted(salted);
  ScramKeys keys;
  keys.salt = std::move(salt);
  keys.iterations = iterations;
  keys.stored_key = digest(Digest::sha256, hmac(Digest::sha256, salted, "Client Key"));
  keys.server_key = hmac(Digest::sha256, salted, "Server Key");
  return keys;
}

Result<Credential> new_credential(std::string_view password, const PasswordCost& cost, Knowledge knowledge) {
  RELAIS_TRY_VOID(check_password(password));
  auto prepared = prepare_password(password);
  const Wiper wiper(prepared);
  RELAIS_TRY(auto encoded, argon2id(prepared, cost));
  Credential made;
  made.hash.append(kArgon2id).append(encoded);
  made.scram = derive_scram_keys(prepared, random_octets(kScramSalt), cost.scram_iterations);
  made.knowledge = knowledge;
  return made;
}

Result<Credential> import_credential(std::string_view hash) {
  RELAIS_TRY(const auto parsed, parse_scheme(hash));
  Credential made;
  made.knowledge = Knowledge::imported;
  // Digests come out of parse_scheme() in base64, whatever the scheme's usual form is.
  const bool encoded = parsed.scheme == Scheme::digest || parsed.scheme == Scheme::salted_digest;
  made.hash.append("{").append(parsed.name).append(encoded ? ".B64}" : "}").append(parsed.data);
  if (parsed.scheme == Scheme::scram_sha256) {
    RELAIS_TRY(auto keys, parse_scram_data(parsed.data, digest_size(Digest::sha256)));
    made.scram = std::move(keys);
  }
  if (parsed.scheme == Scheme::plain) RELAIS_TRY_VOID(check_password(parsed.data));
  return made;
}

bool verify_password(const Credential& credential, std::string_view password) {
  if (credential.hash.empty() || !check_password(password)) return false;
  const auto parsed = parse_scheme(credential.hash);
  if (!parsed) return false;
  // RFC 4616 §2: both sides are compared as SASLprep leaves them. Other platforms often hashed the octets as they came, so those count too;
  // for most passwords the two are the same.
  auto prepared = prepare_password(password);
  const Wiper wiper(prepared);
  return verify_scheme(*parsed, prepared) || (prepared != password && verify_scheme(*parsed, password));
}

void verify_nothing(std::string_view password, const PasswordCost& cost) {
  auto prepared = prepare_password(password.substr(0, kMaxPassword));
  const Wiper wiper(prepared);
  static_cast<void>(argon2id(prepared, cost));
}

bool wants_upgrade(const Credential& credential, const PasswordCost& cost) {
  if (credential.hash.empty()) return false;
  if (credential.scram.iterations == 0) return true;
  // Where only SCRAM keys are known, they would stay beside any other hash: nothing gained.
  if (istarts_with(credential.hash, "{SCRAM-SHA-256}")) return false;
  const std::string_view hash = credential.hash;
  if (!hash.starts_with(kArgon2id)) return true;
  const auto parameters = parse_argon2_parameters(hash.substr(kArgon2id.size()));
  return !parameters || parameters->kib < cost.argon2_kib || parameters->passes < cost.argon2_passes;
}

}  // namespace relais::directory
