// What other platforms stored: crypt(3), argon2, plain and salted digests, PBKDF2, SCRAM; the names and encodings are Dovecot's.
#include "directory/password_schemes.h"

#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"

#include <argon2.h>
#include <crypt.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>

namespace relais::directory {
namespace {

enum class Form : std::uint8_t { text, hex, base64 };

struct SchemeRow {
  std::string_view name;       // as announced in braces
  Scheme scheme;
  Digest digest;               // where the scheme has one
  Form form;                   // of its data where no suffix says otherwise
  std::string_view prefix;     // which the data must begin with
};

constexpr std::array kSchemes{
    SchemeRow{"PLAIN", Scheme::plain, Digest::sha1, Form::text, ""},
    SchemeRow{"CLEARTEXT", Scheme::plain, Digest::sha1, Form::text, ""},
    SchemeRow{"CLEAR", Scheme::plain, Digest::sha1, Form::text, ""},
    SchemeRow{"CRYPT", Scheme::crypt, Digest::sha1, Form::text, ""},
    SchemeRow{"DES-CRYPT", Scheme::crypt, Digest::sha1, Form::text, ""},
    SchemeRow{"MD5-CRYPT", Scheme::crypt, Digest::sha1, Form::text, "$1$"},
    SchemeRow{"MD5", Scheme::crypt, Digest::sha1, Form::text, "$1$"},
    SchemeRow{"SHA256-CRYPT", Scheme::crypt, Digest::sha1, Form::text, "$5$"},
    SchemeRow{"SHA512-CRYPT", Scheme::crypt, Digest::sha1, Form::text, "$6$"},
    SchemeRow{"BLF-CRYPT", Scheme::crypt, Digest::sha1, Form::text, "$2"},
    SchemeRow{"YESCRYPT", Scheme::crypt, Digest::sha1, Form::text, "$y$"},
    SchemeRow{"ARGON2I", Scheme::argon2, Digest::sha1, Form::text, "$argon2i$"},
    SchemeRow{"ARGON2ID", Scheme::argon2, Digest::sha1, Form::text, "$argon2id$"},
    SchemeRow{"PLAIN-MD5", Scheme::digest, Digest::md5, Form::hex, ""},
    SchemeRow{"LDAP-MD5", Scheme::digest, Digest::md5, Form::base64, ""},
    SchemeRow{"SMD5", Scheme::salted_digest, Digest::md5, Form::base64, ""},
    SchemeRow{"SHA", Scheme::digest, Digest::sha1, Form::base64, ""},
    SchemeRow{"SHA1", Scheme::digest, Digest::sha1, Form::base64, ""},
    SchemeRow{"SSHA", Scheme::salted_digest, Digest::sha1, Form::base64, ""},
    SchemeRow{"SHA256", Scheme::digest, Digest::sha256, Form::base64, ""},
    SchemeRow{"SSHA256", Scheme::salted_digest, Digest::sha256, Form::base64, ""},
    SchemeRow{"SHA512", Scheme::digest, Digest::sha512, Form::base64, ""},
    SchemeRow{"SSHA512", Scheme::salted_digest, Digest::sha512, Form::base64, ""},
    SchemeRow{"PBKDF2", Scheme::pbkdf2, Digest::sha1, Form::text, "$1$"},
    SchemeRow{"SCRAM-SHA-1", Scheme::scram_sha1, Digest::sha1, Form::text, ""},
    SchemeRow{"SCRAM-SHA-256", Scheme::scram_sha256, Digest::sha256, Form::text, ""},
};

constexpr std::size_t kMaxHash = 1'024;                 // octets of a stored hash; a PLAIN one is as long as a password may be
constexpr std::uint32_t kMaxArgon2Kib = 4U << 20;       // 4 GiB: beyond it one login would take the machine
constexpr std::size_t kMinCrypt = 13;                   // octets: traditional DES
constexpr std::uint32_t kMaxRounds = 10'000'000;        // iterations of PBKDF2 and SCRAM

const SchemeRow* find_scheme(std::string_view name) noexcept {
  const auto row = std::ranges::find_if(kSchemes, [&](const SchemeRow& r) { return iequals(r.name, name); });
  return row == kSchemes.end() ? nullptr : &*row;
}

/// Base64 as LDAP servers and scripts write it: with or without padding.
std::optional<std::string> lenient_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::string padded(text);
  while (padded.size() % 4 != 0) padded += '=';
  return from_base64(padded);
}

std::optional<std::string> decode(Form form, std::string_view text) {
  switch (form) {
    case Form::text: return std::string(text);
    case Form::hex: return from_hex(text);
    case Form::base64: return lenient_base64(text);
  }
  return std::nullopt;
}

/// The scheme of a hash that names none: what begins with "$" and is known.
std::string_view implied_scheme(std::string_view hash) noexcept {
  if (hash.starts_with("$argon2id$")) return "ARGON2ID";
  if (hash.starts_with("$argon2i$")) return "ARGON2I";
  if (hash.starts_with("$")) return "CRYPT";
  return {};
}

/// Whether crypt(3) here can check hashes of this kind.
bool crypt_knows(const std::string& data) {
  if (data.size() < kMinCrypt) return false;
  const int rc = crypt_checksalt(data.c_str());
  // CRYPT_SALT_METHOD_LEGACY: known, only not for new hashes.
  return rc == CRYPT_SALT_OK || rc == CRYPT_SALT_METHOD_LEGACY || rc == CRYPT_SALT_TOO_CHEAP;
}

struct Pbkdf2Data {
  std::string_view salt;
  std::uint32_t rounds = 0;
  std::string key;
};

/// Dovecot's "$1$salt$rounds$hex".
std::optional<Pbkdf2Data> parse_pbkdf2(std::string_view data) {
  const auto pieces = split(data, '$');
  if (pieces.size() != 5 || !pieces[0].empty() || pieces[1] != "1") return std::nullopt;
  const auto rounds = parse_u64(pieces[3]);
  auto key = from_hex(pieces[4]);
  if (!rounds || *rounds == 0 || *rounds > kMaxRounds || !key || key->size() != digest_size(Digest::sha1)) return std::nullopt;
  return Pbkdf2Data{pieces[2], static_cast<std::uint32_t>(*rounds), std::move(*key)};
}

/// A scheme's name for an error text, which must stay one short line of US-ASCII.
std::string printable_scheme(std::string_view name) {
  std::string out(name.substr(0, 32));
  for (auto& c : out) {
    if (c < 0x21 || c > 0x7e) c = '?';
  }
  return out;
}

bool argon2_usable(std::string_view data) {
  const auto parameters = parse_argon2_parameters(data);
  return parameters && parameters->kib <= kMaxArgon2Kib && parameters->passes >= 1 && parameters->lanes >= 1;
}

bool well_formed(const SchemeRow& row, const std::string& data, std::size_t decoded_size) {
  switch (row.scheme) {
    case Scheme::plain: return true;
    case Scheme::crypt: return crypt_knows(data);
    case Scheme::argon2: return argon2_usable(data);
    case Scheme::digest: return decoded_size == digest_size(row.digest);
    case Scheme::salted_digest: return decoded_size > digest_size(row.digest);
    case Scheme::pbkdf2: return parse_pbkdf2(data).has_value();
    case Scheme::scram_sha1:
    case Scheme::scram_sha256: return parse_scram_data(data, digest_size(row.digest)).has_value();
  }
  return false;
}

bool verify_crypt(const std::string& data, std::string_view password) {
  std::string secret(password);
  const Wiper wiper(secret);
  auto scratch = std::make_unique<crypt_data>();  // 32 KiB
  const char* made = crypt_r(secret.c_str(), data.c_str(), scratch.get());
  // A failure gives a text that begins with '*', which no hash does.
  return made != nullptr && made[0] != '*' && equal_octets(made, data);
}

bool verify_argon2(const std::string& data, std::string_view password) {
  const auto kind = data.starts_with("$argon2id$") ? Argon2_id : Argon2_i;
  return argon2_usable(data) && argon2_verify(data.c_str(), password.data(), password.size(), kind) == ARGON2_OK;
}

bool verify_digest(Digest kind, const std::string& data, std::string_view password) {
  const auto stored = lenient_base64(data);
  if (!stored || stored->size() < digest_size(kind)) return false;
  const auto wanted = std::string_view(*stored).substr(0, digest_size(kind));
  std::string input(password);
  const Wiper wiper(input);
  input.append(*stored, digest_size(kind));  // the salt, where there is one
  return equal_octets(digest(kind, input), wanted);
}

bool verify_scram(Digest kind, std::string_view data, std::string_view password) {
  const auto keys = parse_scram_data(data, digest_size(kind));
  if (!keys) return false;
  const auto salted = pbkdf2(kind, password, keys->salt, keys->iterations, digest_size(kind));
  return equal_octets(digest(kind, hmac(kind, salted, "Client Key")), keys->stored_key);
}

}  // namespace

Result<ParsedHash> parse_scheme(std::string_view hash) {
  std::string_view name = implied_scheme(hash);
  std::string_view text = hash;
  if (hash.starts_with("{")) {
    const auto end = hash.find('}');
    if (end == std::string_view::npos) return fail(Fault::refused, "password hash: no '}' after the scheme");
    name = hash.substr(1, end - 1);
    text = hash.substr(end + 1);
  }
  if (name.empty()) return fail(Fault::refused, "password hash without a scheme: write {SCHEME}hash, for clear text {PLAIN}password");
  if (hash.size() > kMaxHash + 64) return fail(Fault::refused, "password hash too long");

  const auto dot = name.find('.');
  const auto* row = find_scheme(name.substr(0, dot));
  const auto shown = printable_scheme(name);
  if (row == nullptr) return fail(Fault::refused, "unknown password scheme " + shown);
  auto form = row->form;
  // Dovecot: a digest in hex is recognised by its length.
  if (form == Form::base64 && row->scheme == Scheme::digest && text.size() == 2 * digest_size(row->digest)) form = Form::hex;
  if (dot != std::string_view::npos) {
    const auto suffix = name.substr(dot + 1);
    if (iequals(suffix, "hex")) form = Form::hex;
    else if (iequals(suffix, "b64") || iequals(suffix, "base64")) form = Form::base64;
    else return fail(Fault::refused, "unknown encoding of password scheme " + shown);
  }
  auto data = decode(form, text);
  const auto bad = [&] { return fail(Fault::refused, "malformed data of password scheme " + shown); };
  if (!data || data->empty() || (row->form == Form::text && data->contains('\0'))) return bad();
  const auto size = data->size();
  if (row->form != Form::text) *data = to_base64(*data);
  if (!data->starts_with(row->prefix) || !well_formed(*row, *data, size)) return bad();
  return ParsedHash{row->scheme, row->name, std::move(*data)};
}

bool verify_scheme(const ParsedHash& hash, std::string_view password) {
  const auto* row = find_scheme(hash.name);
  if (row == nullptr) return false;
  switch (hash.scheme) {
    case Scheme::plain: return equal_octets(hash.data, password);
    case Scheme::crypt: return verify_crypt(hash.data, password);
    case Scheme::argon2: return verify_argon2(hash.data, password);
    case Scheme::digest:
    case Scheme::salted_digest: return verify_digest(row->digest, hash.data, password);
    case Scheme::pbkdf2: {
      const auto parsed = parse_pbkdf2(hash.data);
      return parsed && equal_octets(pbkdf2(row->digest, password, parsed->salt, parsed->rounds, parsed->key.size()), parsed->key);
    }
    case Scheme::scram_sha1:
    case Scheme::scram_sha256: return verify_scram(row->digest, hash.data, password);
  }
  return false;
}

Result<ScramKeys> parse_scram_data(std::string_view data, std::size_t key_size) {
  const auto bad = [] { return fail(Fault::refused, "SCRAM keys are 'iterations,salt,stored key,server key' with base64"); };
  const auto pieces = split(data, ',');
  if (pieces.size() != 4) return bad();
  const auto iterations = parse_u64(pieces[0]);
  auto salt = from_base64(pieces[1]);
  auto stored = from_base64(pieces[2]);
  auto server = from_base64(pieces[3]);
  if (!iterations || *iterations == 0 || *iterations > kMaxRounds || !salt || salt->empty() || !stored || stored->size() != key_size || !server ||
      server->size() != key_size) {
    return bad();
  }
  ScramKeys keys;
  keys.iterations = static_cast<std::uint32_t>(*iterations);
  keys.salt = std::move(*salt);
  keys.stored_key = std::move(*stored);
  keys.server_key = std::move(*server);
  return keys;
}

std::optional<Argon2Parameters> parse_argon2_parameters(std::string_view encoded) {
  // "$argon2id$v=19$m=65536,t=3,p=1$salt$hash"; the oldest form lacks the version.
  auto pieces = split(encoded, '$');
  if (pieces.size() == 6 && pieces[2].starts_with("v=")) pieces.erase(pieces.begin() + 2);
  if (pieces.size() != 5 || !pieces[0].empty()) return std::nullopt;
  const auto values = split(pieces[2], ',');
  if (values.size() != 3 || !values[0].starts_with("m=") || !values[1].starts_with("t=") || !values[2].starts_with("p=")) return std::nullopt;
  const auto number = [](std::string_view text) { return parse_u64(text.substr(2)).value_or(0); };
  const auto kib = number(values[0]);
  const auto passes = number(values[1]);
  const auto lanes = number(values[2]);
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  if (kib == 0 || passes == 0 || lanes == 0 || kib > kMax || passes > kMax || lanes > kMax) return std::nullopt;
  return Argon2Parameters{static_cast<std::uint32_t>(kib), static_cast<std::uint32_t>(passes), static_cast<std::uint32_t>(lanes)};
}

}  // namespace relais::directory
