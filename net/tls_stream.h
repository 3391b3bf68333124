// TLS over a TCP socket. Internal to net/.
#pragma once

#include "net/stream.h"
#include "net/tcp_stream.h"
#include "net/tls.h"
#include "net/tls_impl.h"

#include <memory>
#include <string>

namespace relais::net {

/// OpenSSL directly on the non-blocking socket: no BIO pair and no buffers while idle, where asio::ssl::stream keeps 75 KB.
class TlsStream final : public Stream {
 public:
  enum class Handshake : std::uint8_t { done, wants_read, wants_write };

  static std::unique_ptr<TlsStream> server(std::unique_ptr<TcpStream> tcp, const TlsContext& context);
  static std::unique_ptr<TlsStream> client(std::unique_ptr<TcpStream> tcp, const TlsContext& context, TlsPeer peer);
  ~TlsStream() override { close(); }

  /// Goes on with the handshake. Errors: Fault::refused with the reason in detail; Fault::closed where the peer went.
  Result<Handshake> try_handshake();
  Result<std::size_t> try_read(std::span<char> into) override;
  Result<std::size_t> try_write(std::span<const std::string_view> pieces) override;
  /// Sends close_notify where the socket takes it at once; RFC 8446 §6.1: each direction is closed by itself.
  void finish_writing() override;
  asio::awaitable<Wake> wait_readable() override;
  asio::awaitable<Wake> wait_writable() override;
  void cancel_wait() override { tcp_->cancel_wait(); }
  /// Sends close_notify where the socket takes it at once.
  void close() override;
  const TlsInfo* tls() const noexcept override { return info_.get(); }

 private:
  TlsStream(std::unique_ptr<TcpStream> tcp, const TlsContext& context);
  void notify_close();
  /// What SSL_get_error says of the last call: true where it can go on later.
  Result<bool> interpret(int returned, bool& wants_other, bool reading);
  Result<std::size_t> write_some(const char* data, std::size_t size);

  struct Free {
    void operator()(ssl_st* ssl) const noexcept;
  };
  std::unique_ptr<TcpStream> tcp_;
  std::shared_ptr<const TlsSettings> settings_;  ///< a reload must not take the certificates away meanwhile
  std::unique_ptr<ssl_st, Free> ssl_;
  std::unique_ptr<TlsInfo> info_;
  bool checked_ = false;   ///< clients: the certificate is looked at …
  bool enforced_ = false;  ///< … and must be good
  bool dane_usable_ = false;
  bool read_wants_write_ = false;
  bool write_wants_read_ = false;
  bool broken_ = false;  ///< after a fatal error OpenSSL allows no further call, close_notify included
};

}  // namespace relais::net
