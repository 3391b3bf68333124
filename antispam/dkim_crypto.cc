// Reads keys, signs and verifies digests.
#include "antispam/dkim_crypto.h"

#include "antispam/dkim_tags.h"
#include "base/ascii.h"
#include "base/encode.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>

namespace relais::antispam {
namespace {

constexpr std::size_t kEd25519Key = 32;       // octets
constexpr std::size_t kMaxPublicKey = 4'096;  // octets of DER: 16,384 bits and more
constexpr int kMaxVerifyBits = 8'192;         // a larger key costs too much to verify with

const unsigned char* octets(std::string_view text) noexcept { return reinterpret_cast<const unsigned char*>(text.data()); }

struct FreeContext {
  void operator()(EVP_PKEY_CTX* context) const noexcept { EVP_PKEY_CTX_free(context); }
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};

std::unexpected<Error> openssl_error(std::string_view what) {
  char text[256] = "";
  ERR_error_string_n(ERR_get_error(), text, sizeof text);
  ERR_clear_error();
  return fail(Fault::corrupt, "the DKIM key can't be used", "", std::string(what) + ": " + text);
}

std::unexpected<Error> unusable(std::string_view why) { return fail(Fault::refused, why); }

bool in_list(std::string_view list, std::string_view wanted) {
  return std::ranges::any_of(colon_list(list), [&](std::string_view one) { return iequals(one, wanted); });
}

// Most publish a SubjectPublicKeyInfo, some the bare RSAPublicKey that RFC 6376 §3.6.1 speaks of.
KeyPointer read_rsa(std::string_view der) {
  const auto* at = octets(der);
  KeyPointer key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!key) {
    at = octets(der);
    key.reset(d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, static_cast<long>(der.size())));
  }
  ERR_clear_error();
  if (key && EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA) key.reset();
  return key;
}

}  // namespace

void FreeKey::operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }

Result<KeyPointer> read_private_key(std::string_view pem, DkimKey::Algorithm algorithm) {
  const std::unique_ptr<BIO, FreeContext> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) return openssl_error("BIO_new_mem_buf");
  // No password: the callback that asks at the terminal must never run.
  KeyPointer key(PEM_read_bio_PrivateKey(bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (!key) return openssl_error("PEM_read_bio_PrivateKey");
  const int wanted = algorithm == DkimKey::Algorithm::ed25519_sha256 ? EVP_PKEY_ED25519 : EVP_PKEY_RSA;
  if (EVP_PKEY_get_base_id(key.get()) != wanted)
    return fail(Fault::corrupt, "the DKIM key can't be used", "", "the key is of another algorithm");
  return key;
}

Result<std::string> sign_digest(EVP_PKEY& key, DkimKey::Algorithm algorithm, std::string_view digest) {
  std::size_t size = 0;
  std::string out;
  if (algorithm == DkimKey::Algorithm::ed25519_sha256) {
    const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, &key) != 1 ||
        EVP_DigestSign(context.get(), nullptr, &size, octets(digest), digest.size()) != 1) {
      return openssl_error("EVP_DigestSign");
    }
    out.resize(size);
    if (EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets(digest), digest.size()) != 1)
      return openssl_error("EVP_DigestSign");
  } else {
    const std::unique_ptr<EVP_PKEY_CTX, FreeContext> context(EVP_PKEY_CTX_new(&key, nullptr));
    if (!context || EVP_PKEY_sign_init(context.get()) != 1 || EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) != 1 ||
        EVP_PKEY_sign(context.get(), nullptr, &size, octets(digest), digest.size()) != 1) {
      return openssl_error("EVP_PKEY_sign");
    }
    out.resize(size);
    if (EVP_PKEY_sign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, octets(digest), digest.size()) != 1)
      return openssl_error("EVP_PKEY_sign");
  }
  out.resize(size);
  return out;
}

std::string with_key_info(std::string_view record) {
  const auto tags = TagList::parse(record);
  const auto unchanged = [&] { return std::string(record); };
  if (!tags || !iequals(tags->find("k").value_or("rsa"), "rsa")) return unchanged();
  const auto value = tags->get("p");
  const auto der = from_base64(without_space(value));
  if (!der || der->empty() || der->size() > kMaxPublicKey) return unchanged();
  const auto* at = octets(*der);
  const KeyPointer known(d2i_PUBKEY(nullptr, &at, static_cast<long>(der->size())));
  if (known) return unchanged();
  const auto key = read_rsa(*der);
  unsigned char* info = nullptr;
  const auto size = key ? i2d_PUBKEY(key.get(), &info) : 0;
  ERR_clear_error();
  if (size <= 0) return unchanged();
  const auto text = to_base64({reinterpret_cast<const char*>(info), static_cast<std::size_t>(size)});
  OPENSSL_free(info);
  // The value is a view of the record.
  const auto begin = static_cast<std::size_t>(value.data() - record.data());
  auto out = unchanged();
  out.replace(begin, value.size(), text);
  return out;
}

bool is_key_record(std::string_view record) {
  const auto tags = TagList::parse(record);
  return tags && tags->has("p");
}

Result<PublicKey> parse_key_record(std::string_view record) {
  const auto tags = TagList::parse(record);
  if (!tags || !tags->has("p")) return unusable("there is no key at the selector");
  if (const auto version = tags->find("v"); version && *version != "DKIM1") return unusable("the key record is of an unknown version");
  if (const auto hashes = tags->find("h"); hashes && !in_list(*hashes, "sha256")) return unusable("the key is not for SHA-256");
  if (const auto services = tags->find("s"); services && !in_list(*services, "email") && !in_list(*services, "*"))
    return unusable("the key is not for mail");
  PublicKey out;
  if (const auto flags = tags->find("t")) {
    out.testing = in_list(*flags, "y");
    out.strict_identity = in_list(*flags, "s");
  }
  const auto text = without_space(tags->get("p"));
  if (text.empty()) return unusable("the key was revoked");
  const auto der = from_base64(text);
  if (!der || der->size() > kMaxPublicKey) return unusable("the key can't be read");
  const auto kind = tags->find("k").value_or("rsa");
  if (iequals(kind, "ed25519")) {
    out.algorithm = DkimKey::Algorithm::ed25519_sha256;
    if (der->size() == kEd25519Key) out.key.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(*der), der->size()));
  } else if (iequals(kind, "rsa")) {
    out.key = read_rsa(*der);
  } else {
    return unusable("the key is of an unknown kind");
  }
  if (!out.key || EVP_PKEY_get_bits(out.key.get()) > kMaxVerifyBits) return unusable("the key can't be read");
  out.bits = static_cast<std::uint32_t>(EVP_PKEY_get_bits(out.key.get()));
  return out;
}

bool verify_digest(const PublicKey& key, std::string_view digest, std::string_view signature) {
  bool good = false;
  if (key.algorithm == DkimKey::Algorithm::ed25519_sha256) {
    const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
    good = context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.key.get()) == 1 &&
           EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(digest), digest.size()) == 1;
  } else {
    const std::unique_ptr<EVP_PKEY_CTX, FreeContext> context(EVP_PKEY_CTX_new(key.key.get(), nullptr));
    good = context && EVP_PKEY_verify_init(context.get()) == 1 && EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1 &&
           EVP_PKEY_verify(context.get(), octets(signature), signature.size(), octets(digest), digest.size()) == 1;
  }
  ERR_clear_error();
  return good;
}

}  // namespace relais::antispam
