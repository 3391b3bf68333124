// Server side of SASL: PLAIN, LOGIN and SCRAM-SHA-256, the same for SMTP, IMAP and POP3.
#pragma once

#include "directory/directory.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace relais::directory {

/// What the server sends next.
struct SaslStep {
  bool done = false;            ///< then `login` is set
  std::string challenge;        ///< not done: octets to send (not yet base64); with done: additional data to send first (SCRAM's
                                ///< server-final-message) or empty. A protocol whose success reply carries no data sends it as one more
                                ///< challenge, which the client answers with an empty line (RFC 4954 §4, RFC 9051 §6.2.2, RFC 5034 §4)
  std::optional<Login> login;
};

/// One authentication exchange. Created per AUTHENTICATE / AUTH command.
/// Errors of step(): Fault::syntax for a malformed message, Fault::refused "AUTHENTICATIONFAILED" for wrong credentials or an authorization
/// identity that differs from the user, Fault::temporary where the directory cannot answer.
class SaslServer {
 public:
  virtual ~SaslServer() = default;
  /// @param response  the client's octets, decoded from base64. The first call gets the initial response, or nullopt where there was none.
  virtual net::Task<SaslStep> step(std::optional<std::string> response) = 0;
  /// The user name the client gave, once known (for logs and for slowing down failures by account); else empty.
  virtual std::string_view user() const noexcept = 0;
};

inline constexpr std::size_t kMaxSaslResponse = 12'288;  ///< octets of a base64 line; RFC 4954 §4 (12288), RFC 5034 §4

/// Mechanism names for capability lists, strongest first. SCRAM is announced where directory.scram_ready().
/// @param encrypted  PLAIN and LOGIN are offered over TLS only, unless `allow_plaintext`
std::vector<std::string_view> sasl_mechanisms(const Directory& directory, bool encrypted, bool allow_plaintext);
/// Null for a mechanism that is unknown or not allowed here (SCRAM always is, announced or not). Names are case-insensitive.
/// @param authenticator  the directory, or what stands before it; must outlive it
std::unique_ptr<SaslServer> make_sasl_server(Authenticator& authenticator, std::string_view mechanism, bool encrypted, bool allow_plaintext);

}  // namespace relais::directory
