// Servers, clients and certificates made on the spot for tests.
#include "net/test_support.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace relais::net {
namespace {

template <class T, void (*F)(T*)>
struct Freed {
  void operator()(T* p) const noexcept { F(p); }
};
template <class T, void (*F)(T*)>
using Owned = std::unique_ptr<T, Freed<T, F>>;

template <class Write>
void write_pem(const std::string& path, Write write) {
  auto* const file = std::fopen(path.c_str(), "w");
  RELAIS_CHECK(file != nullptr);
  RELAIS_CHECK(write(file) == 1);
  RELAIS_CHECK(std::fclose(file) == 0);
}

void add_extension(X509* x, int which, const std::string& value) {
  const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(X509V3_EXT_conf_nid(nullptr, nullptr, which, value.c_str()));
  RELAIS_CHECK(extension != nullptr);
  X509_add_ext(x, extension.get(), -1);
}

std::string new_directory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "relais-cert-XXXXXX").string();
  RELAIS_CHECK(::mkdtemp(pattern.data()) != nullptr);
  return pattern;
}

template <class Read>
auto read_pem(const std::string& path, Read read) {
  auto* const file = std::fopen(path.c_str(), "r");
  RELAIS_CHECK(file != nullptr);
  auto* const made = read(file);
  RELAIS_CHECK(made != nullptr && std::fclose(file) == 0);
  return made;
}

Owned<X509, X509_free> read_certificate(const std::string& path) {
  return Owned<X509, X509_free>(read_pem(path, [](std::FILE* file) { return PEM_read_X509(file, nullptr, nullptr, nullptr); }));
}

}  // namespace

TestServer::TestServer(SessionStarter starter, ListenerOptions options, unsigned threads) : loops(threads) {
  options.name = "test";
  options.address = "127.0.0.1";
  auto opened = Listener::open(loops, std::move(options), std::move(starter));
  if (!opened) throw std::runtime_error(opened.error().text);
  listener = std::move(*opened);
  loops.start();
  listener->start();
}

Task<std::string> read_exactly(Connection& connection, std::size_t n) {
  std::string got;
  while (got.size() < n) {
    if (connection.buffered().empty()) RELAIS_CO_TRY_VOID(co_await connection.fill(in(kSoon), Awaiting::data));
    const auto piece = connection.buffered().substr(0, n - got.size());
    got.append(piece);
    connection.consume(piece.size());
  }
  co_return got;
}

asio::awaitable<std::string> read_all(Connection& connection) {
  std::string got;
  do {
    got.append(connection.buffered());
    connection.consume(connection.buffered().size());
  } while (co_await connection.fill(in(kSoon), Awaiting::data));
  co_return got;
}

Task<std::string> exchange(Connection& connection, std::string text) {
  connection.queue(text);
  RELAIS_CO_TRY_VOID(co_await connection.flush(in(kSoon)));
  co_return co_await read_exactly(connection, text.size());
}

TestCertificate::TestCertificate(std::vector<std::string> names, long lasts) : directory_(new_directory()) { make(names, lasts, nullptr); }

TestCertificate::TestCertificate(const TestCertificate& authority, std::vector<std::string> names, long lasts)
    : directory_(new_directory()) {
  make(names, lasts, &authority);
}

TestCertificate::~TestCertificate() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void TestCertificate::replace(const std::vector<std::string>& names, long lasts) { make(names, lasts, nullptr); }

void TestCertificate::make(const std::vector<std::string>& names, long lasts, const TestCertificate* authority) {
  const Owned<EVP_PKEY, EVP_PKEY_free> pkey(EVP_EC_gen("P-256"));
  const Owned<X509, X509_free> made(X509_new());
  auto* const x = made.get();
  RELAIS_CHECK(pkey && x != nullptr);
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), authority == nullptr ? 1 : 2);
  X509_gmtime_adj(X509_getm_notBefore(x), std::min(lasts, 0L) - 60);
  X509_gmtime_adj(X509_getm_notAfter(x), lasts);
  X509_set_pubkey(x, pkey.get());
  auto* const subject = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(names.front().c_str()), -1, -1, 0);
  std::string alternatives;
  for (const auto& name : names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  add_extension(x, NID_subject_alt_name, alternatives);
  add_extension(x, NID_basic_constraints, authority == nullptr ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (authority == nullptr) {
    X509_set_issuer_name(x, subject);
    RELAIS_CHECK(X509_sign(x, pkey.get(), EVP_sha256()) > 0);
    write_pem(certificate(), [&](std::FILE* file) { return PEM_write_X509(file, x); });
  } else {
    const auto issuer = read_certificate(authority->certificate());
    const Owned<EVP_PKEY, EVP_PKEY_free> issuer_key(
        read_pem(authority->key(), [](std::FILE* file) { return PEM_read_PrivateKey(file, nullptr, nullptr, nullptr); }));
    X509_set_issuer_name(x, X509_get_subject_name(issuer.get()));
    RELAIS_CHECK(X509_sign(x, issuer_key.get(), EVP_sha256()) > 0);
    write_pem(certificate(), [&](std::FILE* file) { return PEM_write_X509(file, x) == 1 ? PEM_write_X509(file, issuer.get()) : 0; });
  }
  write_pem(key(), [&](std::FILE* file) { return PEM_write_PrivateKey(file, pkey.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

TlsaRecord TestCertificate::tlsa(std::uint8_t usage, std::uint8_t selector, std::uint8_t matching) const {
  const auto x = read_certificate(certificate());
  unsigned char* der = nullptr;
  const int size = selector == 0 ? i2d_X509(x.get(), &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x.get()), &der);
  RELAIS_CHECK(size > 0);
  std::string data(reinterpret_cast<const char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  if (matching != 0) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    RELAIS_CHECK(EVP_Digest(data.data(), data.size(), digest.data(), &length, matching == 1 ? EVP_sha256() : EVP_sha512(), nullptr) == 1);
    data.assign(reinterpret_cast<const char*>(digest.data()), length);
  }
  return {usage, selector, matching, std::move(data)};
}

}  // namespace relais::net
