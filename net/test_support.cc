// Servers, clients and certificates made on the spot for tests.
#include "net/test_support.h"

#include "base/check.h"

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

TestCertificate::TestCertificate(std::vector<std::string> names) {
  std::string pattern = (std::filesystem::temp_directory_path() / "relais-cert-XXXXXX").string();
  RELAIS_CHECK(::mkdtemp(pattern.data()) != nullptr);
  directory_ = pattern;
  replace(names);
}

TestCertificate::~TestCertificate() {
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void TestCertificate::replace(const std::vector<std::string>& names) {
  const Owned<EVP_PKEY, EVP_PKEY_free> pkey(EVP_EC_gen("P-256"));
  const Owned<X509, X509_free> made(X509_new());
  auto* const x = made.get();
  RELAIS_CHECK(pkey && x != nullptr);
  X509_set_version(x, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
  X509_gmtime_adj(X509_getm_notBefore(x), -60);
  X509_gmtime_adj(X509_getm_notAfter(x), 24L * 3600);
  X509_set_pubkey(x, pkey.get());
  auto* const subject = X509_get_subject_name(x);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(names.front().c_str()), -1, -1, 0);
  X509_set_issuer_name(x, subject);
  std::string alternatives;
  for (const auto& name : names) alternatives += (alternatives.empty() ? "DNS:" : ",DNS:") + name;
  const Owned<X509_EXTENSION, X509_EXTENSION_free> extension(X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, alternatives.c_str()));
  RELAIS_CHECK(extension != nullptr);
  X509_add_ext(x, extension.get(), -1);
  RELAIS_CHECK(X509_sign(x, pkey.get(), EVP_sha256()) > 0);
  write_pem(this->certificate(), [&](std::FILE* file) { return PEM_write_X509(file, x); });
  write_pem(key(), [&](std::FILE* file) { return PEM_write_PrivateKey(file, pkey.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

}  // namespace relais::net
