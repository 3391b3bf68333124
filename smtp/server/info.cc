// RSET, NOOP, QUIT, VRFY, EXPN, HELP.
#include "smtp/server/session.h"

namespace relais::smtp {

Session::Done Session::rset(std::string_view) {
  reset_transaction();
  reply(250, "2.0.0", "reset");
  co_return Result<void>{};
}

Session::Done Session::noop(std::string_view) {
  reply(250, "2.0.0", "ok");
  co_return Result<void>{};
}

Session::Done Session::quit(std::string_view) {
  reply(221, "2.0.0", context_.options.hostname + " goodbye");
  line_ = "quit";
  closing_ = true;
  co_return Result<void>{};
}

// RFC 5321 §7.3: who exists is told at RCPT, where it costs something.
Session::Done Session::vrfy(std::string_view rest) {
  if (rest.empty()) {
    protocol_error(501, "5.5.4", "whom?");
  } else {
    reply(252, "2.5.0", "cannot verify, but will take mail and try");
  }
  co_return Result<void>{};
}

Session::Done Session::expn(std::string_view) {
  protocol_error(502, "5.5.1", "lists are not expanded");
  co_return Result<void>{};
}

Session::Done Session::help(std::string_view) {
  reply(Reply{214, "2.0.0", "commands: " + std::string(context_.policy.lmtp ? "LHLO" : "HELO EHLO") +
                                " MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP STARTTLS AUTH\nsee RFC 5321"});
  co_return Result<void>{};
}

}  // namespace relais::smtp
