// LOGIN.
#include "imap/server/login.h"

#include "base/metrics.h"
#include "imap/proto/login.h"
#include "imap/server/capability.h"
#include "net/throttle.h"

namespace relais::imap {

namespace {

// An attempt that named nobody counts for its address alone.
std::string throttled_name(const Session& session, std::string_view user) {
  return user.empty() ? std::string() : session.server().directory().login_name(user);
}

}  // namespace

directory::RelayedLogin judge_of(Session& session, std::unique_ptr<Relay>& relay) {
  const auto& server = session.server();
  auto open = [&session, &relay](directory::Located who, std::optional<std::string> password) -> net::Task<bool> {
    const auto& to = session.server();
    RELAIS_CO_TRY(relay, co_await Relay::open(to.relay(), to.options().relay, session.connection(), std::move(who), std::move(password),
                                              std::string(session.log().id())));
    co_return relay != nullptr;
  };
  return {{server.directory(), server.relay().moves, server.relay().gate, server.relay().moved},
          session.connection().endpoints().peer_address,
          server.options().relay.login_wait,
          std::move(open)};
}

net::Task<std::chrono::milliseconds> wait_for_turn(Session& session, std::string user, std::chrono::milliseconds waited) {
  RELAIS_CO_TRY(const auto total,
                co_await net::wait_for_turn(session.server().throttle(), session.connection(), throttled_name(session, user), waited));
  if (total > waited)
    session.log().event(log::Level::info, "login_slowed_down", {{"user", user}, {"milliseconds", (total - waited).count()}});
  co_return total;
}

Result<Done> logged_in(Session& session, const directory::Login& login, std::unique_ptr<Relay> relay, std::string_view user,
                       std::string_view mechanism) {
  const auto& account = login.account;
  if (auto* throttle = session.server().throttle(); throttle != nullptr)
    throttle->succeeded(session.log().peer(), throttled_name(session, user));
  if (relay) {
    Done done{"[CAPABILITY"};
    for (const auto& capability : relay->capabilities()) done.text.append(" ").append(capability);
    done.text += "] logged in";
    const auto platform = relay->platform();
    RELAIS_TRY_VOID(session.hand_over({storage::AccountId{account.number}, 0}, std::move(relay)));
    session.log().event(log::Level::info, "login",
                        {{"user", account.address}, {"mechanism", mechanism}, {"tls", session.encrypted()}, {"platform", platform}});
    return done;
  }
  if (account.placement.kind != directory::Placement::Kind::shard) {
    // Where the mail is elsewhere or on its way, a wrong guess would show stale mail: nothing is served.
    session.log().event(log::Level::warning, "not_served_here", {{"user", account.address}});
    return fail(Fault::temporary, "this account can't be served here now", "UNAVAILABLE");
  }
  RELAIS_TRY_VOID(session.login({storage::AccountId{account.number}, account.placement.shard}, login.names));
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
  if (auto* throttle = session.server().throttle(); throttle != nullptr)
    throttle->failed(session.log().peer(), throttled_name(session, user));
  session.log().event(log::Level::info, "login_failed", {{"user", user}, {"mechanism", mechanism}, {"reason", error.text}});
  return error;
}

net::Task<Done> login(Session& session, const Tagged& command) {
  RELAIS_CO_TRY(auto args, parse_login(command.rest, session.dialect()));
  // RFC 9051 §6.2.3: LOGINDISABLED was announced.
  if (!session.plaintext_allowed()) co_return fail(Fault::refused, "LOGIN needs TLS here", "PRIVACYREQUIRED");
  RELAIS_CO_TRY(const auto waited, co_await wait_for_turn(session, args.user));
  std::unique_ptr<Relay> relay;
  auto judge = judge_of(session, relay);
  auto login = co_await judge.authenticate(args.user, std::move(args.password));
  RELAIS_CO_TRY_VOID(co_await wait_for_turn(session, args.user, waited));  // others may have guessed meanwhile
  if (!login) co_return fail(login_failed(session, std::move(login).error(), args.user, "LOGIN"));
  co_return logged_in(session, *login, std::move(relay), args.user, "LOGIN");
}

}  // namespace relais::imap
