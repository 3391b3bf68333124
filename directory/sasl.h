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
                                ///< server-final-message) or empty
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
};

/// Mechanism names for capability lists, strongest first. @param encrypted  PLAIN and LOGIN are offered over TLS only, unless
/// `allow_plaintext`
std::vector<std::string_view> sasl_mechanisms(bool encrypted, bool allow_plaintext);
/// Null for a mechanism that is unknown or not allowed here. The directory must outlive it.
std::unique_ptr<SaslServer> make_sasl_server(Directory& directory, std::string_view mechanism, bool encrypted, bool allow_plaintext);

}  // namespace relais::directory
