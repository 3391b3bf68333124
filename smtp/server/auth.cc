// AUTH: RFC 4954.
#include "smtp/proto/auth.h"

#include "base/encode.h"
#include "smtp/server/session.h"

namespace relais::smtp {

Session::Done Session::auth(std::string_view rest) {
  const auto& options = context_.options;
  if (!context_.policy.auth) {
    protocol_error(502, "5.5.1", "AUTH is not available here");
    co_return Result<void>{};
  }
  if (account_ || !extended_) {
    protocol_error(503, "5.5.1", account_ ? "logged in already" : "EHLO first");
    co_return Result<void>{};
  }
  auto args = parse_auth(rest);
  if (!args) {
    protocol_error(args.error());
    co_return Result<void>{};
  }
  const auto& platform = context_.platform;
  std::optional<directory::LegacyLogin> elsewhere;
  if (platform.legacy_logins != nullptr) elsewhere.emplace(*platform.legacy_logins, connection_->endpoints().peer_address);
  auto& judge = elsewhere ? static_cast<directory::Authenticator&>(*elsewhere) : platform.directory;
  const auto sasl = directory::make_sasl_server(judge, args->mechanism, encrypted(), options.allow_plaintext_auth);
  if (!sasl) {
    // RFC 4954 §6: 538 where only the encryption is missing.
    const bool needs_tls =
        !encrypted() && directory::make_sasl_server(judge, args->mechanism, true, false) != nullptr;
    protocol_error(needs_tls ? 538 : 504, needs_tls ? "5.7.11" : "5.5.4", needs_tls ? "STARTTLS first" : "mechanism not known");
    co_return Result<void>{};
  }
  co_return co_await auth_steps(*sasl, std::move(args->initial_response), args->mechanism);
}

Session::Done Session::auth_steps(directory::SaslServer& sasl, std::optional<std::string> response, std::string_view mechanism) {
  auto& throttle = context_.platform.throttle;
  const auto& peer = log_.peer();
  RELAIS_CO_TRY(auto waited, co_await wait_for_turn({}, {}));  // for the address; who it is comes later
  for (;;) {
    auto step = co_await sasl.step(std::move(response));
    const auto user = sasl.user().empty() ? std::string() : context_.platform.directory.login_name(sasl.user());
    if (!step || step->done) {
      RELAIS_CO_TRY(waited, co_await wait_for_turn(user, waited));
    }
    if (!step) {
      const auto& why = step.error();
      if (why.fault == Fault::syntax) {
        protocol_error(501, "5.5.2", "malformed response");
      } else if (why.fault != Fault::refused) {
        log_.event(log::Level::warning, "auth unavailable", {{"user", user}, {"detail", why.detail}});
        reply(454, "4.7.0", "temporary authentication failure");
      } else {
        throttle.failed(peer, user);
        context_.metrics.auth_failed.add();
        log_.event(log::Level::info, "auth failed", {{"user", user}, {"mechanism", mechanism}});
        reply(535, "5.7.8", "authentication failed");
        if (++auth_failures_ >= context_.options.max_auth_failures) close_with("4.7.0", "too many failed logins");
      }
      co_return Result<void>{};
    }
    if (!step->done || !step->challenge.empty()) {
      bool cancelled = false;
      RELAIS_CO_TRY(response, co_await auth_line(step->challenge, cancelled));
      if (cancelled) co_return Result<void>{};
    }
    if (!step->done) continue;
    throttle.succeeded(peer, user);
    context_.metrics.auth_succeeded.add();
    account_ = std::move(step->login->account);
    log_.event(log::Level::info, "auth ok", {{"user", account_->address}, {"mechanism", mechanism}});
    reply(235, "2.7.0", "welcome");
    co_return Result<void>{};
  }
}

// Sends a 334 and reads the answer. `cancelled`: the exchange is over and was answered.
net::Task<std::optional<std::string>> Session::auth_line(std::string_view challenge, bool& cancelled) {
  reply(334, {}, to_base64(challenge));
  const auto deadline = command_deadline();
  LineFramer::Step step;
  for (;;) {
    step = lines_.feed(connection_->buffered(), true);
    if (step.event != LineFramer::Event::more) break;
    connection_->consume(step.used);
    RELAIS_CO_TRY_VOID(co_await flush());
    RELAIS_CO_TRY_VOID(co_await connection_->fill(deadline, net::Awaiting::command));
  }
  auto response = step.event == LineFramer::Event::line ? parse_auth_response(step.line) : std::optional<std::string>{};
  connection_->consume(step.used);
  if (step.event == LineFramer::Event::endless) {
    close_with("4.7.0", "line too long");
  } else if (step.event == LineFramer::Event::too_long) {
    protocol_error(500, "5.5.6", "line too long");  // RFC 4954 §4
  } else if (step.event == LineFramer::Event::bad) {
    protocol_error(500, "5.5.2", "a line ends with CRLF and holds no CR, LF or NUL");
  } else if (!response) {
    protocol_error(response.error());
  } else if (!*response) {
    protocol_error(501, "5.7.0", "cancelled");  // RFC 4954 §4
  } else {
    co_return std::move(*response);
  }
  cancelled = true;
  co_return std::optional<std::string>{};
}

net::Task<std::chrono::milliseconds> Session::wait_for_turn(const std::string& name, std::chrono::milliseconds waited) {
  return net::wait_for_turn(&context_.platform.throttle, *connection_, name, waited);
}

}  // namespace relais::smtp
