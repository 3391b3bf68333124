// A duplex byte stream: TCP, TLS over TCP, or memory for tests.
#pragma once

#include "net/task.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace relais::net {

/// What is known of the transport's encryption; empty version where there is none.
struct TlsInfo {
  std::string version;  ///< "TLSv1.3"
  std::string cipher;   ///< "TLS_AES_256_GCM_SHA384"
  std::string server_name;  ///< SNI as sent by the peer
};

/// A duplex byte stream. One reader and one writer at a time. One thread: that of its Loop.
/// Errors: Fault::closed for end of stream, reset, cancel; Fault::refused where TLS fails (detail says why).
class Stream {
 public:
  virtual ~Stream() = default;
  /// Reads what is there without waiting. @return octets read, 0 where nothing is there yet; Fault::closed at the end of the stream.
  virtual Result<std::size_t> try_read(std::span<char> into) = 0;
  /// Waits until try_read has something to say. Holds no buffer meanwhile. Fault::closed with code "cancelled" after cancel_wait().
  virtual Task<void> wait_readable() = 0;
  /// Writes all pieces in order (scatter/gather, no copying over plain TCP); returns when the kernel has taken them.
  /// The pieces must stay valid until it returns.
  virtual Task<void> write(std::span<const std::string_view> pieces) = 0;
  /// Ends a pending wait_readable (code "cancelled"); the stream stays usable.
  virtual void cancel_wait() = 0;
  /// Ends every pending operation and closes. Idempotent.
  virtual void close() = 0;
  /// Handshake done and encrypted?
  virtual const TlsInfo* tls() const noexcept { return nullptr; }
  /// The socket, or -1 for memory: TLS is put over it.
  virtual int native_handle() const noexcept { return -1; }
};

}  // namespace relais::net
