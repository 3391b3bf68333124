// TLS contexts: certificates, SNI, reload.
#pragma once

#include "base/result.h"
#include "net/dns_records.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::net {

/// A certificate chain and its key, PEM files.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};

/// Why a handshake or a certificate was not good.
enum class TlsFault : std::uint8_t {
  none,
  host_mismatch,  ///< the certificate is for other names
  expired,        ///< or not yet valid
  not_trusted,    ///< from nobody we know, or self-signed
  tlsa_mismatch,  ///< no TLSA record fits
  other,          ///< anything else: no common version, a broken or unfinished handshake
};
/// The result type of RFC 8460 §4.3.2: "certificate-host-mismatch", …, "validation-failure"; empty for none.
std::string_view to_string(TlsFault fault) noexcept;

/// What a client wants of the peer on one connection.
struct TlsPeer {
  enum class Check : std::uint8_t {
    context,  ///< as the context says: against `name`, or not at all
    none,     ///< any certificate (opportunistic TLS, RFC 7435)
    names,    ///< from a known authority and for one of `names`
    dane,     ///< fits one of `tlsa` (RFC 7671, RFC 7672); where none of these can be used: none
  };
  std::string name{};  ///< sent as SNI unless it is an address; checked where `names` is empty
  Check check = Check::context;
  bool enforce = true;               ///< false: go on whatever the check says; TlsInfo tells what is wrong
  std::vector<std::string> names{};  ///< any of them will do; a wildcard in the certificate stands for one whole left-most label
  std::vector<TlsaRecord> tlsa{};
};

/// A server's (or client's) TLS settings: TLS 1.2 and up, certificates chosen by SNI (subjectAltName, wildcards; the first is the default).
/// Threads: any. reload() swaps the whole context; sessions that run keep theirs.
class TlsContext {
 public:
  /// Errors: Fault::refused with a text that names the file and what is wrong with it.
  static Result<std::shared_ptr<TlsContext>> server(std::vector<CertificateFiles> certificates);
  /// @param ca_file PEM, or empty for the system's; @param verify false: encrypt only (opportunistic). A TlsPeer may say otherwise per
  /// connection, but only a verifying context has authorities to check against
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
