// The AUTHORIZATION state: capabilities, TLS, and the ways to log in.
#include "base/ascii.h"
#include "base/encode.h"
#include "base/metrics.h"
#include "directory/digest.h"
#include "pop/proto/reply.h"
#include "pop/server/session.h"

#include <chrono>

namespace relais::pop {
namespace {

constexpr auto kHandshakeLimit = std::chrono::seconds(30);

metrics::Counter& logins_counter(bool good) {
  static auto& succeeded = metrics::counter("relais_pop_logins_total", "POP3 logins.", {{"result", "succeeded"}});
  static auto& failed = metrics::counter("relais_pop_logins_total", "POP3 logins.", {{"result", "failed"}});
  return good ? succeeded : failed;
}

}  // namespace

net::Task<bool> Session::open_relay(directory::Located who, std::optional<std::string> password) {
  RELAIS_CO_TRY(opened_, co_await Relay::open(services().relay, options().relay, *connection_, std::move(who), std::move(password),
                                              std::string(log_.id())));
  co_return opened_ != nullptr;
}

// RFC 2449 §5. IMPLEMENTATION tells no version: a stranger needs none.
net::Task<void> Session::capa(Command&) {
  append_ok(out(), "capability list follows");
  // RFC 2449 §6.3: USER is announced where the command works.
  if (plaintext_allowed()) out() += "USER\r\n";
  const auto mechanisms = directory::sasl_mechanisms(*services().directory, encrypted(), options().allow_plaintext);
  if (!mechanisms.empty()) {
    out() += "SASL";
    for (const auto name : mechanisms) out().append(" ").append(name);
    out() += "\r\n";
  }
  // RFC 2595 §4: in AUTHORIZATION alone.
  if (state_ == State::authorization && !encrypted() && services().tls) out() += "STLS\r\n";
  out() +=
      "TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nEXPIRE NEVER\r\nUTF8 USER\r\n"
      "IMPLEMENTATION Relais\r\n.\r\n";
  co_return Result<void>{};
}

net::Task<void> Session::user(Command& command) {
  if (!plaintext_allowed()) co_return fail(Fault::refused, services().tls ? "STLS first" : "plain passwords are not accepted here");
  // RFC 6856 §2.2: names that are no UTF-8 are refused. (Passwords are compared as they come: other platforms hashed Latin-1.)
  if (!is_utf8(command.text)) co_return fail(Fault::syntax, "user name is not UTF-8");
  user_ = std::move(command.text);
  append_ok(out(), "send PASS");  // RFC 1939 §7: the same for a name that does not exist
  co_return Result<void>{};
}

net::Task<void> Session::pass(Command& command) {
  if (user_.empty()) co_return fail(Fault::syntax, "USER first");
  const auto name = std::exchange(user_, {});
  RELAIS_CO_TRY(const auto waited, co_await wait_for_turn(name, {}));
  auto login = co_await login_.authenticate(name, std::move(command.text));
  RELAIS_CO_TRY_VOID(co_await wait_for_turn(name, waited));  // others may have guessed meanwhile
  if (!login) {
    login_failed(login.error(), name);
    co_return Result<void>{};
  }
  co_return co_await login_succeeded(login->account, name);
}

// RFC 5034 §4.
net::Task<void> Session::auth(Command& command) {
  if (command.text.empty()) {
    // Not in any RFC, but older clients ask so which mechanisms there are.
    append_ok(out(), "");
    for (const auto name : directory::sasl_mechanisms(*services().directory, encrypted(), options().allow_plaintext))
      out().append(name).append("\r\n");
    out() += ".\r\n";
    co_return Result<void>{};
  }
  const auto sasl = directory::make_sasl_server(login_, command.text, encrypted(), options().allow_plaintext);
  if (!sasl) co_return fail(Fault::refused, "mechanism not available");
  std::optional<std::string> response;
  if (command.initial) {
    response = from_base64(*command.initial);
    if (!response) co_return fail(Fault::syntax, "malformed base64");
  }
  co_return co_await auth_steps(*sasl, std::move(response));
}

net::Task<void> Session::auth_steps(directory::SaslServer& sasl, std::optional<std::string> response) {
  RELAIS_CO_TRY(auto waited, co_await wait_for_turn({}, {}));  // for the address; who it is comes later
  for (;;) {
    auto step = co_await sasl.step(std::move(response));
    const std::string name(sasl.user());
    if (!step || step->done) {
      RELAIS_CO_TRY(waited, co_await wait_for_turn(name, waited));
    }
    if (!step) {
      if (step.error().fault == Fault::syntax) co_return std::unexpected(std::move(step).error());
      login_failed(step.error(), name);
      co_return Result<void>{};
    }
    // RFC 5034 §4: +OK carries no data, so what SCRAM's server says last is one more challenge, answered by an empty line.
    if (!step->done || !step->challenge.empty()) {
      RELAIS_CO_TRY(response, co_await auth_line(step->challenge));
      if (!response) {
        opened_.reset();
        co_return Result<void>{};
      }
    }
    if (!step->done) continue;
    co_return co_await login_succeeded(step->login->account, name);
  }
}

net::Task<std::optional<std::string>> Session::auth_line(std::string_view challenge) {
  out().append("+ ").append(to_base64(challenge)).append("\r\n");
  RELAIS_CO_TRY(const auto step, co_await read_line(directory::kMaxSaslResponse));
  std::optional<std::string> response;
  if (step.event == LineFramer::Event::endless) {
    end("", "line too long");
  } else if (step.event == LineFramer::Event::too_long) {
    protocol_error(Error{.fault = Fault::syntax, .text = "line too long"});
  } else if (step.line == "*") {
    append_err(out(), "", "authentication cancelled");
  } else {
    response = from_base64(step.line);
    if (!response) protocol_error(Error{.fault = Fault::syntax, .text = "malformed base64"});
  }
  connection_->consume(step.used);
  co_return response;
}

void Session::login_failed(const Error& error, std::string_view name) {
  if (error.fault == Fault::refused) {
    if (services().throttle != nullptr) services().throttle->failed(log_.peer(), login_name(name));
    logins_counter(false).add();
    log_.event(log::Level::info, "login failed", {{"user", name}});
  } else {
    log_.event(log::Level::warning, "login unavailable", {{"user", name}, {"text", error.text}, {"detail", error.detail}});
  }
  append_error(out(), error);
  if (error.fault == Fault::refused && ++login_failures_ >= options().max_login_failures) end("AUTH", "too many failed logins");
}

net::Task<void> Session::login_succeeded(const directory::Account& account, std::string_view name) {
  if (services().throttle != nullptr) services().throttle->succeeded(log_.peer(), login_name(name));
  logins_counter(true).add();
  relay_ = std::move(opened_);
  if (relay_) {
    log_.event(log::Level::info, "login", {{"user", account.address}, {"tls", encrypted()}, {"platform", relay_->platform()}});
    append_ok(out(), "logged in");
    state_ = State::over;  // here
    co_return Result<void>{};
  }
  RELAIS_CO_TRY_VOID(co_await open_maildrop(account));
  log_.event(log::Level::info, "login", {{"user", account.address}, {"tls", encrypted()}, {"messages", drop_.count()}});
  std::string text("maildrop has ");
  append_number(text, drop_.count());
  text += " messages (";
  append_number(text, drop_.octets());
  append_ok(out(), text.append(" octets)"));
  co_return Result<void>{};
}

net::Task<void> Session::open_maildrop(const directory::Account& account) {
  if (account.placement.kind != directory::Placement::Kind::shard)
    co_return fail(Fault::temporary, "the mailbox is elsewhere for now", "SYS/TEMP");
  if (options().exclusive) {
    held_ = server_->locks().take(account.number);
    // RFC 2449 §8.1.2
    if (!held_) co_return fail(Fault::refused, "another POP3 session has the maildrop", "IN-USE");
  }
  auto opened = co_await Maildrop::open(*services().store, {storage::AccountId{account.number}, account.placement.shard});
  if (!opened) {
    held_.reset();
    co_return std::unexpected(std::move(opened).error());
  }
  drop_ = std::move(*opened);
  state_ = State::transaction;
  co_return Result<void>{};
}

net::Task<std::chrono::milliseconds> Session::wait_for_turn(std::string_view user, std::chrono::milliseconds waited) {
  return net::wait_for_turn(services().throttle, *connection_, login_name(user), waited);
}

// RFC 2595 §4.
net::Task<void> Session::stls(Command&) {
  if (encrypted()) co_return fail(Fault::refused, "TLS is active");
  if (!services().tls) co_return fail(Fault::refused, "TLS is not available");
  if (utf8_) co_return fail(Fault::refused, "not after UTF8");  // RFC 6856 §2.1
  append_ok(out(), "begin TLS");
  RELAIS_CO_TRY_VOID(co_await flush());
  // What was pipelined behind STLS could have been injected: start_tls() discards it, and nothing said before counts.
  auto secured = co_await connection_->start_tls(*services().tls, net::in(kHandshakeLimit));
  if (!secured) co_return fail(Fault::closed, "TLS failed", "", secured.error().detail);
  framer_ = {};
  user_.clear();
  co_return Result<void>{};
}

// RFC 6856 §2.1. Messages are sent as they are stored, in both modes: a header in UTF-8 where the client did not ask for it reads a little
// wrong, where a refused RETR (which the RFC allows) stops most clients for good, at every mail behind it.
net::Task<void> Session::utf8(Command&) {
  utf8_ = true;
  append_ok(out(), "UTF-8 mode");
  co_return Result<void>{};
}

}  // namespace relais::pop
