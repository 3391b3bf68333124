// A duplex byte stream: TCP, TLS over TCP, or memory for tests.
#pragma once

#include "net/task.h"
#include "net/tls.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace relais::net {

/// What is known of the transport's encryption.
struct TlsInfo {
  std::string version;      ///< "TLSv1.3"
  std::string cipher;       ///< "TLS_AES_256_GCM_SHA384"
  std::string server_name;  ///< SNI as sent by the peer; empty where it sent none
  // Clients only:
  bool verified = false;            ///< the certificate was checked and is good
  bool dane_usable = false;         ///< at least one of the TLSA records given could be used
  TlsFault fault = TlsFault::none;  ///< where the check was not enforced: what is wrong with the certificate
  std::string fault_detail{};       ///< in OpenSSL's words
};

/// How a wait for readiness ended.
enum class Wake : std::uint8_t {
  ready,      ///< try again; the answer may still be "nothing yet"
  cancelled,  ///< cancel_wait() or close() was called meanwhile
};

/// A duplex byte stream. One reader and one writer at a time. One thread: that of its Loop.
/// Errors: Fault::closed for end of stream and reset; Fault::refused where TLS fails (detail says why).
/// Sessions use net::Connection, which adds buffers, limits and deadlines.
class Stream {
 public:
  virtual ~Stream() = default;
  /// Reads what is there without waiting. @return octets read, 0 where nothing is there yet; Fault::closed at the end of the stream.
  virtual Result<std::size_t> try_read(std::span<char> into) = 0;
  /// Writes from all pieces in order what is taken without waiting (scatter/gather, no copying over plain TCP).
  /// @return octets taken, 0 where none are now. A call after a 0 must offer the same octets again.
  virtual Result<std::size_t> try_write(std::span<const std::string_view> pieces) = 0;
  /// Tells the peer, as far as that is possible at once, that nothing more will be written; reading goes on. Idempotent.
  virtual void finish_writing() = 0;
  /// Waits until try_read has something to say. Holds no buffer meanwhile.
  virtual asio::awaitable<Wake> wait_readable() = 0;
  /// Waits until try_write may take octets again.
  virtual asio::awaitable<Wake> wait_writable() = 0;
  /// Ends pending waits; the stream stays usable. The waiters resume later, never inside this call.
  virtual void cancel_wait() = 0;
  /// Ends pending waits and closes. Idempotent.
  virtual void close() = 0;
  /// Null until a TLS handshake is done.
  virtual const TlsInfo* tls() const noexcept { return nullptr; }
};

}  // namespace relais::net
