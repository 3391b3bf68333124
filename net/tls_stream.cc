// TLS records in and out of a non-blocking socket.
#include "net/tls_stream.h"

#include "base/check.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

namespace relais::net {
namespace {

constexpr std::size_t kRecord = 16 * 1024;  // octets of data in a TLS record at most, RFC 8446 §5.1

bool is_address(const std::string& name) {
  std::array<unsigned char, sizeof(in6_addr)> octets{};
  return ::inet_pton(AF_INET, name.c_str(), octets.data()) == 1 || ::inet_pton(AF_INET6, name.c_str(), octets.data()) == 1;
}

// RFC 6125 §6.4: any of the names, wildcards for the whole left-most label only. An address is compared with iPAddress entries, alone.
void expect_names(SSL* ssl, const std::vector<std::string>& names) {
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  for (const auto& name : names) {
    if (is_address(name)) {
      if (names.size() == 1) X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str());
    } else {
      RELAIS_CHECK(SSL_add1_host(ssl, name.c_str()) == 1);
    }
  }
}

// False where no record can be used.
bool use_tlsa(SSL* ssl, const TlsPeer& peer) {
  const std::string& base = peer.name.empty() && !peer.names.empty() ? peer.names.front() : peer.name;
  if (SSL_dane_enable(ssl, base.c_str()) <= 0) return false;
  SSL_dane_set_flags(ssl, DANE_FLAG_NO_DANE_EE_NAMECHECKS);  // RFC 7672 §3.1.1
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  for (const auto& name : peer.names) {
    if (name != base && !is_address(name)) RELAIS_CHECK(SSL_add1_host(ssl, name.c_str()) == 1);
  }
  bool usable = false;
  for (const auto& record : peer.tlsa) {
    if (record.usage != 2 && record.usage != 3) continue;  // RFC 7672 §3.1.3
    const auto* const data = reinterpret_cast<const unsigned char*>(record.data.data());
    if (SSL_dane_tlsa_add(ssl, record.usage, record.selector, record.matching, data, record.data.size()) > 0) usable = true;
  }
  ERR_clear_error();
  return usable;
}

TlsFault fault_of(long verified) noexcept {
  switch (verified) {
    case X509_V_OK: return TlsFault::none;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: return TlsFault::host_mismatch;
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID: return TlsFault::expired;
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_CERT_UNTRUSTED:
    case X509_V_ERR_CERT_REJECTED:
    case X509_V_ERR_INVALID_CA:
    case X509_V_ERR_INVALID_PURPOSE: return TlsFault::not_trusted;
    case X509_V_ERR_DANE_NO_MATCH: return TlsFault::tlsa_mismatch;
    default: return TlsFault::other;
  }
}

int as_int(std::size_t size) noexcept { return static_cast<int>(std::min<std::size_t>(size, INT_MAX)); }

}  // namespace

void TlsStream::Free::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

TlsStream::TlsStream(std::unique_ptr<TcpStream> tcp, const TlsContext& context)
    : tcp_(std::move(tcp)), settings_(context.impl().current()), ssl_(SSL_new(settings_->contexts.front().get())) {
  if (!ssl_) throw std::bad_alloc();
  RELAIS_CHECK(SSL_set_fd(ssl_.get(), tcp_->watch().fd()) == 1);
}

std::unique_ptr<TlsStream> TlsStream::server(std::unique_ptr<TcpStream> tcp, const TlsContext& context) {
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(tcp), context));
  SSL_set_accept_state(stream->ssl_.get());
  return stream;
}

std::unique_ptr<TlsStream> TlsStream::client(std::unique_ptr<TcpStream> tcp, const TlsContext& context, TlsPeer peer) {
  using Check = TlsPeer::Check;
  std::unique_ptr<TlsStream> stream(new TlsStream(std::move(tcp), context));
  auto* const ssl = stream->ssl_.get();
  SSL_set_connect_state(ssl);
  // RFC 6066 §3: literal addresses are not permitted in server_name.
  if (!peer.name.empty() && !is_address(peer.name)) SSL_set_tlsext_host_name(ssl, peer.name.c_str());
  if (peer.names.empty() && !peer.name.empty()) peer.names.push_back(peer.name);
  auto check = peer.check;
  if (check == Check::context) check = stream->settings_->verify ? Check::names : Check::none;
  if (check == Check::dane && !(stream->dane_usable_ = use_tlsa(ssl, peer))) check = Check::none;  // RFC 7672 §2.2
  if (check == Check::names) expect_names(ssl, peer.names);
  stream->checked_ = check != Check::none;
  stream->enforced_ = stream->checked_ && peer.enforce;
  SSL_set_verify(ssl, stream->enforced_ ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  // Without a check the alternative is plaintext: old servers' short keys are better than that (RFC 7435 §3).
  if (!stream->enforced_) SSL_set_security_level(ssl, 1);
  return stream;
}

Result<bool> TlsStream::interpret(int returned, bool& wants_other, bool reading) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_.get(), returned)) {
    case SSL_ERROR_WANT_READ:
      tcp_->watch().drained();
      wants_other = !reading;
      return true;
    case SSL_ERROR_WANT_WRITE:
      tcp_->watch().filled();
      wants_other = reading;
      return true;
    case SSL_ERROR_ZERO_RETURN: return fail(Fault::closed, "connection closed");
    case SSL_ERROR_SYSCALL: {
      broken_ = true;
      ERR_clear_error();
      if (system_error == 0) return fail(Fault::closed, "connection closed");
      return socket_error(system_error, "TLS");
    }
    default: broken_ = true; return fail(Fault::refused, "TLS failed", "", openssl_errors());
  }
}

Result<TlsStream::Handshake> TlsStream::try_handshake() {
  auto* const ssl = ssl_.get();
  ERR_clear_error();
  errno = 0;
  const int done = SSL_do_handshake(ssl);
  const auto verified = SSL_get_verify_result(ssl);
  if (done != 1) {
    bool wants_write = false;
    auto can_go_on = interpret(done, wants_write, true);
    if (can_go_on) return wants_write ? Handshake::wants_write : Handshake::wants_read;
    auto error = std::move(can_go_on).error();
    if (error.fault == Fault::refused) {
      const bool certificate = enforced_ && verified != X509_V_OK;
      error.code = to_string(certificate ? fault_of(verified) : TlsFault::other);
      if (certificate) error.detail = X509_verify_cert_error_string(verified);
    }
    return fail(std::move(error));
  }
  info_ = std::make_unique<TlsInfo>();
  info_->version = SSL_get_version(ssl);
  info_->cipher = SSL_get_cipher_name(ssl);
  if (const char* const name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name); name != nullptr) info_->server_name = name;
  info_->dane_usable = dane_usable_;
  info_->verified = checked_ && verified == X509_V_OK;
  if (checked_ && verified != X509_V_OK) {
    info_->fault = fault_of(verified);
    info_->fault_detail = X509_verify_cert_error_string(verified);
  }
  return Handshake::done;
}

Result<std::size_t> TlsStream::try_read(std::span<char> into) {
  const auto* const ssl = ssl_.get();
  if (!tcp_->watch().readable() && !read_wants_write_ && SSL_has_pending(ssl) == 0) return 0;
  std::size_t got = 0;
  while (got < into.size()) {
    ERR_clear_error();
    errno = 0;
    const int n = SSL_read(ssl_.get(), into.data() + got, as_int(into.size() - got));
    if (n > 0) {
      got += static_cast<std::size_t>(n);
      continue;
    }
    auto can_go_on = interpret(n, read_wants_write_, true);
    if (!can_go_on && got == 0) return fail(std::move(can_go_on).error());
    break;  // an error after some octets comes again with the next call
  }
  return got;
}

Result<std::size_t> TlsStream::write_some(const char* data, std::size_t size) {
  if (broken_) return fail(Fault::closed, "connection lost");
  ERR_clear_error();
  errno = 0;
  const int n = SSL_write(ssl_.get(), data, as_int(size));
  if (n > 0) {
    write_wants_read_ = false;
    return static_cast<std::size_t>(n);
  }
  RELAIS_TRY_VOID(interpret(n, write_wants_read_, false));
  return 0;
}

// Small pieces are gathered into one record. A record that the socket did not take is kept by OpenSSL, which wants the same
// octets offered again: they are gathered the same way again, because the pieces after a 0 are the same.
Result<std::size_t> TlsStream::try_write(std::span<const std::string_view> pieces) {
  thread_local std::array<char, kRecord> record;
  std::size_t taken = 0;
  std::size_t piece = 0;
  std::size_t offset = 0;
  while (piece < pieces.size()) {
    const auto rest = pieces[piece].substr(offset);
    if (rest.empty()) {
      ++piece;
      offset = 0;
      continue;
    }
    const char* data = rest.data();
    std::size_t size = rest.size();
    if (size < kRecord && piece + 1 < pieces.size()) {
      size = rest.copy(record.data(), kRecord);
      for (auto next = piece + 1; next < pieces.size() && size < kRecord; ++next)
        size += pieces[next].copy(record.data() + size, kRecord - size);
      data = record.data();
    }
    auto sent = write_some(data, size);
    if (!sent) {
      if (taken > 0) break;  // it comes again with the next call
      return sent;
    }
    if (*sent == 0) break;
    taken += *sent;
    offset += *sent;
    while (piece < pieces.size() && offset >= pieces[piece].size()) offset -= pieces[piece++].size();
  }
  return taken;
}

asio::awaitable<Wake> TlsStream::wait_readable() { return read_wants_write_ ? tcp_->wait_writable() : tcp_->wait_readable(); }
asio::awaitable<Wake> TlsStream::wait_writable() { return write_wants_read_ ? tcp_->wait_readable() : tcp_->wait_writable(); }

void TlsStream::notify_close() {
  if (!info_ || broken_ || tcp_->watch().fd() < 0) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsStream::finish_writing() {
  notify_close();
  tcp_->finish_writing();
}

void TlsStream::close() {
  notify_close();
  tcp_->close();
}

}  // namespace relais::net
