// LOGIN.
#include "imap/server/login.h"

#include "base/metrics.h"
#include "imap/proto/login.h"
#include "imap/server/capability.h"

namespace relais::imap {

Result<Done> logged_in(Session& session, const directory::Login& login, std::string_view mechanism) {
  const auto& account = login.account;
  if (account.placement.kind != directory::Placement::Kind::shard) {
    // Where the mail is elsewhere or on its way, a wrong guess would show stale mail: nothing is served.
    session.log().event(log::Level::warning, "not_served_here", {{"user", account.address}});
    return fail(Fault::temporary, "this account can't be served here now", "UNAVAILABLE");
  }
  RELAIS_TRY_VOID(session.login({storage::AccountId{account.number}, account.placement.shard}));
  session.log().event(log::Level::info, "login", {{"user", account.address}, {"mechanism", mechanism}, {"tls", session.encrypted()}});
  Done done{"[CAPABILITY "};
  append_capabilities(done.text, session);
  done.text += "] logged in";
  return done;
}

Error login_failed(Session& session, Error error, std::string_view user, std::string_view mechanism) {
  if (error.fault != Fault::refused) return error;
  static auto& failures = metrics::counter("relais_imap_auth_failures_total", "IMAP logins with wrong credentials");
  failures.add();
  session.log().event(log::Level::info, "login_failed", {{"user", user}, {"mechanism", mechanism}, {"reason", error.text}});
  return error;
}

net::Task<Done> login(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_login(command.rest, session.dialect()));
  // RFC 9051 §6.2.3: LOGINDISABLED was announced.
  if (!session.plaintext_allowed()) co_return fail(Fault::refused, "LOGIN needs TLS here", "PRIVACYREQUIRED");
  auto login = co_await session.server().directory().authenticate(args.user, std::move(args.password));
  if (!login) co_return fail(login_failed(session, std::move(login).error(), args.user, "LOGIN"));
  co_return logged_in(session, *login, "LOGIN");
}

}  // namespace relais::imap
