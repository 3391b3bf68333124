// Makes key pairs and writes their DNS records.
#include "antispam/dkim_keys.h"

#include "antispam/dkim_crypto.h"
#include "base/encode.h"
#include "message/address.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <chrono>

namespace relais::antispam {
namespace {

constexpr std::size_t kRsaBits = 2'048;
constexpr std::size_t kMaxString = 255;  // octets of one character string: RFC 1035 §3.3

struct FreeBio {
  void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using BioPointer = std::unique_ptr<BIO, FreeBio>;

std::string contents(BIO& bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : std::string();
}

Result<std::string> public_octets(EVP_PKEY& key, DkimKey::Algorithm algorithm) {
  if (algorithm == DkimKey::Algorithm::ed25519_sha256) {  // RFC 8463 §4.2: the bare key
    std::string raw(32, '\0');
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(&key, reinterpret_cast<unsigned char*>(raw.data()), &size) != 1)
      return fail(Fault::corrupt, "the DKIM key can't be used");
    return raw;
  }
  const BioPointer bio(BIO_new(BIO_s_mem()));
  if (!bio || i2d_PUBKEY_bio(bio.get(), &key) != 1) return fail(Fault::corrupt, "the DKIM key can't be used");
  return contents(*bio);
}

}  // namespace

Result<DkimKey> make_dkim_key(std::string_view domain, std::string_view selector, DkimKey::Algorithm algorithm, DkimKey::State state,
                              std::int64_t now) {
  DkimKey made;
  RELAIS_TRY(made.domain, message::to_ascii_domain(domain));
  auto name = message::to_ascii_domain(selector);
  if (!name) return fail(Fault::syntax, "not a selector: " + std::string(selector));
  made.selector = *std::move(name);
  made.algorithm = algorithm;
  made.state = state;
  made.created = now;
  made.changed = now;
  const KeyPointer key(algorithm == DkimKey::Algorithm::ed25519_sha256 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                                                                       : EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", kRsaBits));
  const BioPointer bio(BIO_new(BIO_s_secmem()));
  if (!key || !bio || PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return fail(Fault::temporary, "no key could be made");
  }
  made.private_key = contents(*bio);
  return made;
}

std::string default_selector(DkimKey::Algorithm algorithm, std::int64_t now) {
  const std::chrono::year_month_day day{std::chrono::floor<std::chrono::days>(std::chrono::sys_seconds(std::chrono::seconds(now)))};
  const auto number = static_cast<unsigned>(static_cast<int>(day.year())) * 10'000 + static_cast<unsigned>(day.month()) * 100 +
                      static_cast<unsigned>(day.day());
  return (algorithm == DkimKey::Algorithm::ed25519_sha256 ? "e" : "r") + std::to_string(number);
}

Result<DkimRecord> dkim_record(const DkimKey& key) {
  RELAIS_TRY(const auto secret, read_private_key(key.private_key, key.algorithm));
  RELAIS_TRY(const auto open, public_octets(*secret, key.algorithm));
  DkimRecord record;
  record.name = key.selector + "._domainkey." + key.domain;
  record.value = key.algorithm == DkimKey::Algorithm::ed25519_sha256 ? "v=DKIM1; k=ed25519; p=" : "v=DKIM1; k=rsa; h=sha256; p=";
  record.value += to_base64(open);
  record.zone_line = record.name + ". IN TXT (";
  for (std::size_t at = 0; at < record.value.size(); at += kMaxString) {
    record.strings.push_back(record.value.substr(at, kMaxString));
    record.zone_line.append(" \"").append(record.strings.back()).append("\"");
  }
  record.zone_line += " )";
  return record;
}

}  // namespace relais::antispam
