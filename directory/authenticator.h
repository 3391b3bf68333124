// Who checks a password: the directory, or a session that stands before it and asks a legacy platform.
#pragma once

#include "directory/account.h"
#include "directory/legacy.h"
#include "net/task.h"

#include <string>

namespace relais::directory {

/// The part of the directory that SASL needs. make_sasl_server() takes this, so that a session can stand between: for accounts on a legacy
/// platform it opens the session there, which is the check. Directory is one of these.
///
/// Threads, errors: as Directory.
class Authenticator {
 public:
  virtual ~Authenticator() = default;
  /// A user name is the address; a bare local part gets the default domain where one is configured.
  /// Takes the same time whether or not the account exists. Fault::refused "AUTHENTICATIONFAILED" alike for unknown, wrong and disabled.
  virtual net::Task<Login> authenticate(std::string user, std::string password) = 0;
  /// Keys for SCRAM; for unknown users made-up ones that are the same at each call (RFC 5802 §9 hides who exists).
  virtual net::Task<ScramKeys> scram_keys(std::string user) = 0;
  /// After a SCRAM proof has been verified against scram_keys.
  /// @param generation  that of the keys
  virtual net::Task<Login> login_verified(std::string user, std::uint64_t generation) = 0;
};

/// A password to be checked by a legacy platform where no session is to be opened there: submission, and accounts that were moved before
/// their password was known.
struct LegacyAttempt {
  LegacyPlatform platform;
  std::string user;              ///< as the platform calls the account
  std::string password;          ///< a secret
  std::string client_address{};  ///< numeric; for ForwardAddress
};

/// Asks platforms. The directory knows no protocol: whoever starts a process makes one of the protocols' clients.
///
/// Threads: any loop's; resumes on the caller's executor. Bounded by a deadline of its own, shorter than what login clients wait for.
class LegacyCheck {
 public:
  virtual ~LegacyCheck() = default;
  /// Logs in by submission, else IMAP, else POP3, and out again.
  /// @return nothing where the password is right. Errors: Fault::refused "AUTHENTICATIONFAILED" where the platform said no to this login;
  ///   Fault::temporary for everything else (away, TLS, "[UNAVAILABLE]", "[LIMIT]", "-ERR [SYS/TEMP]", 4xx): never taken for a wrong
  ///   password; but "UNCLEAR", which may have been one, counts for AskLimits.
  virtual net::Task<void> check(LegacyAttempt attempt) = 0;
};

}  // namespace relais::directory
