// Loads certificates and picks one by the name a client asks for.
#include "net/tls.h"

#include "base/ascii.h"
#include "net/tls_impl.h"

#include <array>

#include <openssl/err.h>
#include <openssl/x509v3.h>

namespace relais::net {
namespace {

// A key with a pass phrase would make OpenSSL ask on the terminal.
int no_pass_phrase(char*, int, int, void*) { return -1; }

int choose_certificate(SSL* ssl, int*, void* argument) {
  const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (name != nullptr) SSL_set_SSL_CTX(ssl, static_cast<const TlsSettings*>(argument)->find(to_lower(name)));
  return SSL_TLSEXT_ERR_OK;
}

TlsSettings::Context make_context(const SSL_METHOD* method) {
  TlsSettings::Context context(SSL_CTX_new(method));
  if (!context) return context;
  auto* const c = context.get();
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_read_ahead(c, 1);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets resume without memory here
  SSL_CTX_set_num_tickets(c, 1);
  SSL_CTX_set_default_passwd_cb(c, no_pass_phrase);
  return context;
}

std::string text_of(const ASN1_STRING* string) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)), static_cast<std::size_t>(ASN1_STRING_length(string))};
}

// The DNS names of subjectAltName; of the common name where it has none (RFC 6125 §6.4.4).
std::vector<std::string> names_of(X509* certificate) {
  std::vector<std::string> names;
  auto* const alternatives = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(alternatives); ++i) {
    const auto* const name = sk_GENERAL_NAME_value(alternatives, i);
    if (name->type == GEN_DNS) names.push_back(to_lower(text_of(name->d.dNSName)));
  }
  GENERAL_NAMES_free(alternatives);
  if (names.empty()) {
    const auto* const subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at >= 0) names.push_back(to_lower(text_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))));
  }
  return names;
}

Result<std::shared_ptr<const TlsSettings>> load_server(const std::vector<CertificateFiles>& files) {
  if (files.empty()) return fail(Fault::refused, "TLS needs at least one certificate");
  auto settings = std::make_shared<TlsSettings>();
  for (const auto& file : files) {
    ERR_clear_error();
    auto context = make_context(TLS_server_method());
    if (!context) return fail(Fault::refused, "TLS cannot start: " + openssl_errors());
    auto* const c = context.get();
    if (SSL_CTX_use_certificate_chain_file(c, file.certificate.c_str()) != 1)
      return fail(Fault::refused, "cannot use the certificate file " + file.certificate + ": " + openssl_errors());
    if (SSL_CTX_use_PrivateKey_file(c, file.key.c_str(), SSL_FILETYPE_PEM) != 1)
      return fail(Fault::refused, "cannot use the key file " + file.key + ": " + openssl_errors());
    if (SSL_CTX_check_private_key(c) != 1)
      return fail(Fault::refused, "the key in " + file.key + " does not belong to the certificate in " + file.certificate);
    SSL_CTX_set_tlsext_servername_callback(c, choose_certificate);
    SSL_CTX_set_tlsext_servername_arg(c, settings.get());
    static constexpr std::array<unsigned char, 6> kSessionContext{'r', 'e', 'l', 'a', 'i', 's'};
    SSL_CTX_set_session_id_context(c, kSessionContext.data(), kSessionContext.size());
    for (auto& name : names_of(SSL_CTX_get0_certificate(c))) settings->names.emplace(std::move(name), c);
    settings->contexts.push_back(std::move(context));
  }
  return settings;
}

Result<std::shared_ptr<const TlsSettings>> load_client(const std::string& ca_file, bool verify) {
  auto settings = std::make_shared<TlsSettings>();
  settings->verify = verify;
  ERR_clear_error();
  auto context = make_context(TLS_client_method());
  if (!context) return fail(Fault::refused, "TLS cannot start: " + openssl_errors());
  if (verify) {
    const bool loaded = ca_file.empty() ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                                        : SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) == 1;
    if (!loaded) return fail(Fault::refused, "cannot use the CA file " + ca_file + ": " + openssl_errors());
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  }
  // Makes DANE possible for connections that ask for it; RFC 7671 §9's digests.
  if (SSL_CTX_dane_enable(context.get()) <= 0) return fail(Fault::refused, "TLS cannot start: " + openssl_errors());
  settings->contexts.push_back(std::move(context));
  return settings;
}

}  // namespace

std::string_view to_string(TlsFault fault) noexcept {
  switch (fault) {
    case TlsFault::none: break;
    case TlsFault::host_mismatch: return "certificate-host-mismatch";
    case TlsFault::expired: return "certificate-expired";
    case TlsFault::not_trusted: return "certificate-not-trusted";
    case TlsFault::tlsa_mismatch:
    case TlsFault::other: return "validation-failure";
  }
  return {};
}

std::string openssl_errors() {
  std::string out;
  while (const auto code = ERR_get_error()) {
    const char* const reason = ERR_reason_error_string(code);
    if (!out.empty()) out += "; ";
    if (reason != nullptr)
      out += reason;
    else if (ERR_SYSTEM_ERROR(code))
      out += std::system_category().message(ERR_GET_REASON(code));
    else
      out += "error " + std::to_string(code);
  }
  return out.empty() ? "no reason given" : out;
}

SSL_CTX* TlsSettings::find(std::string_view server_name) const {
  if (const auto exact = names.find(server_name); exact != names.end()) return exact->second;
  // RFC 6125 §6.4.3: a wildcard stands for exactly one, the left-most, label.
  if (const auto dot = server_name.find('.'); dot != std::string_view::npos) {
    const auto wildcard = names.find("*" + std::string(server_name.substr(dot)));
    if (wildcard != names.end()) return wildcard->second;
  }
  return contexts.front().get();
}

TlsContext::TlsContext() : impl_(std::make_unique<Impl>()) {}
TlsContext::~TlsContext() = default;

Result<std::shared_ptr<TlsContext>> TlsContext::server(std::vector<CertificateFiles> certificates) {
  std::shared_ptr<TlsContext> context(new TlsContext);
  context->impl_->files = std::move(certificates);
  RELAIS_TRY_VOID(context->reload());
  return context;
}

Result<std::shared_ptr<TlsContext>> TlsContext::client(std::string ca_file, bool verify) {
  std::shared_ptr<TlsContext> context(new TlsContext);
  context->impl_->server = false;
  context->impl_->files.push_back({std::move(ca_file), {}});
  context->impl_->verify = verify;
  RELAIS_TRY_VOID(context->reload());
  return context;
}

Result<void> TlsContext::reload() {
  const auto& files = impl_->files;
  RELAIS_TRY(auto loaded, impl_->server ? load_server(files) : load_client(files.front().certificate, impl_->verify));
  const std::lock_guard lock(impl_->mutex);
  impl_->settings.swap(loaded);
  return {};
}

}  // namespace relais::net
