// Words for outcomes.
#include "smtp/client/outcome.h"

namespace relais::smtp {

std::string_view to_string(Stage stage) noexcept {
  switch (stage) {
    case Stage::connect: return "connect";
    case Stage::greeting: return "greeting";
    case Stage::hello: return "EHLO";
    case Stage::starttls: return "STARTTLS";
    case Stage::tls: return "TLS handshake";
    case Stage::xclient: return "XCLIENT";
    case Stage::auth: return "AUTH";
    case Stage::mail: return "MAIL";
    case Stage::rcpt: return "RCPT";
    case Stage::data: return "DATA";
    case Stage::content: return "end of DATA";
    case Stage::local: return "local";
  }
  return "unknown";
}

std::string Verdict::line() const {
  if (reply.code == 0) return status.empty() ? text : status + " " + text;
  auto out = reply.line();
  if (stage == Stage::greeting) return out + " (in the greeting)";
  return out.append(" (in reply to ").append(to_string(stage)).append(")");
}

}  // namespace relais::smtp
