// TLS contexts: certificates, SNI, reload.
#pragma once

#include "base/result.h"

#include <memory>
#include <string>
#include <vector>

namespace relais::net {

/// A certificate chain and its key, PEM files.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

/// A server's (or client's) TLS settings: TLS 1.2 and up, certificates chosen by SNI (subjectAltName, wildcards; the first is the default).
/// Threads: any. reload() swaps the whole context; sessions that run keep theirs.
class TlsContext {
 public:
  /// Errors: Fault::refused with a text that names the file and what is wrong with it.
  static Result<std::shared_ptr<TlsContext>> server(std::vector<CertificateFiles> certificates);
  /// @param ca_file PEM, or empty for the system's; @param verify false: encrypt only (opportunistic)
  static Result<std::shared_ptr<TlsContext>> client(std::string ca_file, bool verify);
  ~TlsContext();
  /// Reads the files again. A failure leaves the old certificates in use.
  Result<void> reload();

  struct Impl;
  const Impl& impl() const { return *impl_; }

 private:
  TlsContext();
  std::unique_ptr<Impl> impl_;
};

}  // namespace relais::net
