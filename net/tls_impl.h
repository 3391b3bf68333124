// OpenSSL's side of a TlsContext. Internal to net/.
#pragma once

#include "net/tls.h"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <openssl/ssl.h>

namespace relais::net {

/// One loaded set of certificates; never changes once made.
struct TlsSettings {
  struct Free {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, Free>;

  /// The context for a name sent by SNI; the first where none fits. Names: lower case.
  SSL_CTX* find(std::string_view server_name) const;

  std::vector<Context> contexts;
  std::map<std::string, SSL_CTX*, std::less<>> names;  ///< "mail.example.org", "*.example.org"
  bool verify = false;
};

struct TlsContext::Impl {
  std::vector<CertificateFiles> files;
  bool server = true;
  bool verify = false;  ///< of the peer's certificate: clients only
  mutable std::mutex mutex;
  std::shared_ptr<const TlsSettings> settings;  ///< guarded by mutex

  std::shared_ptr<const TlsSettings> current() const {
    const std::lock_guard lock(mutex);
    return settings;
  }
};

/// The reasons in OpenSSL's error queue of this thread, which is emptied: "reason; reason".
std::string openssl_errors();

}  // namespace relais::net
