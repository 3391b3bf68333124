// AUTHENTICATE: a SASL exchange.
#include "imap/server/authenticate.h"

#include "base/encode.h"
#include "directory/sasl.h"
#include "imap/proto/authenticate.h"
#include "imap/server/login.h"

namespace relais::imap {
namespace {

// Sends a challenge and reads what the client answers; nullopt where it gives up (RFC 9051 §6.2.2).
net::Task<std::optional<std::string>> challenge(Session& session, std::string octets) {
  session.out().append("+ ").append(to_base64(octets)).append("\r\n");
  RELAIS_CO_TRY(const auto line, co_await session.read_line());
  co_return parse_sasl_response(line);
}

}  // namespace

net::Task<Done> authenticate(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_authenticate(command.rest));
  const bool allow_plaintext = session.server().options().allow_plaintext;
  std::unique_ptr<Relay> relay;
  auto judge = judge_of(session, relay);
  const auto sasl = directory::make_sasl_server(judge, args.mechanism, session.encrypted(), allow_plaintext);
  if (!sasl) {
    if (!session.plaintext_allowed() && (args.mechanism == "PLAIN" || args.mechanism == "LOGIN")) {
      co_return fail(Fault::refused, "this mechanism needs TLS here", "PRIVACYREQUIRED");
    }
    co_return fail(Fault::refused, "no such mechanism", "CANNOT");
  }
  auto response = std::move(args.initial);
  RELAIS_CO_TRY(auto waited, co_await wait_for_turn(session, {}));  // for the address; who it is comes later
  for (;;) {
    auto step = co_await sasl->step(std::move(response));
    if (!step || step->done) {
      RELAIS_CO_TRY(waited, co_await wait_for_turn(session, std::string(sasl->user()), waited));
    }
    if (!step) co_return fail(login_failed(session, std::move(step).error(), sasl->user(), args.mechanism));
    if (step->done && step->challenge.empty()) co_return logged_in(session, *step->login, std::move(relay), sasl->user(), args.mechanism);
    // Data that comes with success is one more challenge here, answered by an empty line.
    RELAIS_CO_TRY(response, co_await challenge(session, std::move(step->challenge)));
    if (!response) co_return fail(Fault::syntax, "authentication was given up");
    if (step->done) co_return logged_in(session, *step->login, std::move(relay), sasl->user(), args.mechanism);
  }
}

}  // namespace relais::imap
