// STARTTLS.
#include "imap/server/starttls.h"

namespace relais::imap {
namespace {

constexpr auto kHandshakeLimit = std::chrono::seconds(30);

}  // namespace

// RFC 9051 §6.2.1: the reply is the last plaintext. What the client sent behind the command is discarded by Connection::start_tls(); what
// is known of the client is forgotten.
net::Task<Done> starttls(Session& session, const Tagged& command) {
  RELAIS_CO_TRY_VOID(parse_nothing(command.rest));
  if (session.encrypted()) co_return fail(Fault::syntax, "TLS is on already");
  if (session.server().tls() == nullptr) co_return fail(Fault::refused, "TLS is not available here", "CANNOT");
  session.out().append(command.tag).append(" OK begin TLS\r\n");
  RELAIS_CO_TRY_VOID(co_await session.flush());
  auto done = co_await session.connection().start_tls(*session.server().tls(), std::min(net::in(kHandshakeLimit), session.deadline()));
  if (!done) {
    session.log().event(log::Level::info, "tls_failed", {{"reason", done.error().text}, {"detail", done.error().detail}});
    co_return fail(Fault::closed, "the TLS handshake failed");
  }
  session.forget_client();
  const auto& tls = *session.connection().tls();
  session.log().event(log::Level::debug, "tls", {{"version", tls.version}, {"cipher", tls.cipher}});
  co_return Done{.text = {}, .later = true};
}

}  // namespace relais::imap
