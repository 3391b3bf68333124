// From a TCP connection to a POP3 session in the TRANSACTION state.
#include "base/ascii.h"
#include "base/encode.h"
#include "directory/digest.h"
#include "net/proxy_header.h"
#include "pop/client/session.h"

#include <algorithm>

namespace relais::pop {
namespace {

using directory::ForwardAddress;
using directory::LegacyService;

/// Whatever keeps a login from being judged says nothing about it: not now.
Error unavailable(Error error) {
  if (error.fault == Fault::closed) {
    error.detail = error.code == "timeout" ? "no answer in time" : error.detail.empty() ? error.text : error.detail;
    error.code.clear();
    error.text = "the mail server does not answer";
  }
  error.fault = Fault::temporary;
  return error;
}

Error temporary(std::string_view text, std::string detail, std::string code = {}) {
  return Error{Fault::temporary, std::move(code), std::string(text), std::move(detail)};
}

/// What servers without response codes say where it is not about the credentials: Courier, qpopper, popa3d and their like. Whole phrases:
/// "Invalid login, please try again" and "account locked" are refusals. "Later" may be about the credentials or not: that stays unclear.
std::string code_of_words(std::string_view text) {
  struct Phrase {
    std::string_view words;
    std::string_view code;
  };
  static constexpr Phrase kPhrases[] = {
      {"lock busy", "IN-USE"},          {"already in use", "IN-USE"},
      {"already locked", "IN-USE"},     {"drop is locked", "IN-USE"},
      {"mailbox is locked", "IN-USE"},  {"mailbox locked", "IN-USE"},
      {"mailbox in use", "IN-USE"},     {"drop in use", "IN-USE"},
      {"lock mailbox", "IN-USE"},                                      // "unable to", "can't"
      {"lock maildrop", "IN-USE"},      {"tls required", "SYS/TEMP"},  // it wants TLS first
      {"ssl required", "SYS/TEMP"},     {"requires tls", "SYS/TEMP"},
      {"requires ssl", "SYS/TEMP"},     {"must use tls", "SYS/TEMP"},
      {"must use ssl", "SYS/TEMP"},     {"insecure connection", "SYS/TEMP"},
      {"temporary problem", "UNCLEAR"}, {"temporary failure", "UNCLEAR"},
      {"temporary error", "UNCLEAR"},   {"temporarily unavailable", "UNCLEAR"},
      {"try again later", "UNCLEAR"},
  };
  const auto words = to_lower(text);
  const auto* const found = std::ranges::find_if(kPhrases, [&words](const Phrase& phrase) { return words.contains(phrase.words); });
  return found == std::end(kPhrases) ? std::string() : std::string(found->code);
}

/// What an -ERR to a name or a password says. RFC 3206 §4: AUTH is about the credentials; other codes are about something else. Without a
/// code it is a refusal, but for what the words say: most servers have none for it.
Error verdict(const Client::Impl::Status& status) {
  const auto code = status.code.empty() ? code_of_words(status.text) : to_upper(status.code);
  if (!code.empty() && code != "AUTH") return temporary("the mail server cannot log you in now", status.text, code);
  return Error{Fault::refused, "AUTHENTICATIONFAILED", "authentication failed", status.text};
}

bool has_control(std::string_view text) {
  return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

}  // namespace

net::Task<void> Client::Impl::begin(net::Deadline limit) {
  until = limit;
  RELAIS_CO_TRY_VOID(co_await enter());
  until = net::Deadline::max();
  co_return Result<void>{};
}

net::Task<void> Client::Impl::enter() {
  if (options.forward == ForwardAddress::proxy) connection->queue(net::proxy_header(options.on_behalf_of.value_or(net::Endpoints{})));
  RELAIS_CO_TRY_VOID(co_await connection->flush(deadline()));
  if (options.service.tls == LegacyService::Tls::implicit) RELAIS_CO_TRY_VOID(co_await handshake());
  RELAIS_CO_TRY_VOID(co_await greeting());
  if (options.service.tls == LegacyService::Tls::starttls) RELAIS_CO_TRY_VOID(co_await start_tls());
  if (offers_xclient) RELAIS_CO_TRY_VOID(co_await forward_address());
  RELAIS_CO_TRY_VOID(co_await log_in());
  if (options.capabilities) RELAIS_CO_TRY_VOID(co_await read_capabilities());
  co_return Result<void>{};
}

net::Task<void> Client::Impl::greeting() {
  RELAIS_CO_TRY(const auto said, co_await status());
  if (!said.ok) co_return fail(temporary("the mail server takes no sessions now", said.text, said.code));
  // Dovecot tells those that it trusts so, to save them a CAPA.
  offers_xclient = options.forward == ForwardAddress::id && options.on_behalf_of && said.code == "XCLIENT";
  co_return Result<void>{};
}

net::Task<void> Client::Impl::handshake() {
  if (!options.tls) co_return fail(temporary("the mail server cannot be reached safely", "TLS is not available here"));
  net::TlsPeer peer;
  peer.name = options.service.host;
  peer.check = options.service.verify ? net::TlsPeer::Check::names : net::TlsPeer::Check::none;
  peer.names = {options.service.host};
  auto done = co_await connection->start_tls_client(*options.tls, std::move(peer), deadline());
  if (!done)
    co_return fail(temporary("the mail server cannot be reached safely",
                             "TLS: " + (done.error().detail.empty() ? done.error().text : done.error().detail)));
  framer = {};
  co_return Result<void>{};
}

// RFC 2595 §4. A server that does not offer it is not spoken to: whoever sits between us and it could have made it so.
net::Task<void> Client::Impl::start_tls() {
  RELAIS_CO_TRY(const auto said, co_await exchange("STLS"));
  if (!said.ok) co_return fail(temporary("the mail server cannot be reached safely", "STLS is refused: " + said.text));
  co_return co_await handshake();
}

// Dovecot's XCLIENT for POP3. Who does not take it sees us as what we are.
net::Task<void> Client::Impl::forward_address() {
  const auto& client = *options.on_behalf_of;
  auto line =
      "XCLIENT ADDR=" + client.peer_address + " PORT=" + std::to_string(client.peer_port) + " TTL=" + std::to_string(options.proxy_ttl);
  if (!options.session_id.empty()) line += " SESSION=" + options.session_id;
  RELAIS_CO_TRY(const auto said, co_await exchange(std::move(line)));
  static_cast<void>(said);
  co_return Result<void>{};
}

net::Task<void> Client::Impl::log_in() {
  if (connection->tls() == nullptr && !options.plaintext_allowed)
    co_return fail(temporary("the mail server cannot be reached safely", "passwords are not sent without TLS"));
  const directory::Wiper wiper(options.password);
  // Neither can be said in a command line; so nobody has such a name or password there.
  if (options.user.empty() || options.password.empty() || has_control(options.user) || has_control(options.password))
    co_return fail(Fault::refused, "authentication failed", "AUTHENTICATIONFAILED", "name or password cannot be sent by POP3");
  if (options.authenticate_as.empty()) co_return co_await user_and_password();
  co_return co_await sasl_plain();
}

// RFC 1939 §7
net::Task<void> Client::Impl::user_and_password() {
  RELAIS_CO_TRY(auto said, co_await exchange("USER " + options.user));
  if (!said.ok) {
    auto refused = verdict(said);
    if (refused.fault != Fault::refused || connection->tls() != nullptr) co_return fail(std::move(refused));
    // RFC 2449 §6.3: is it this name, or any? Servers that take no passwords without TLS say it in words alone, Dovecot with [AUTH] before.
    RELAIS_CO_TRY_VOID(co_await read_capabilities());
    const bool knows_user = std::ranges::find(capabilities, "USER") != capabilities.end();
    if (!knows_user && !capabilities.empty()) co_return fail(temporary("the mail server cannot be reached safely", said.text));
    co_return fail(std::move(refused));
  }
  auto line = "PASS " + options.password;
  const directory::Wiper wiper(line);
  RELAIS_CO_TRY(said, co_await exchange(line));
  if (!said.ok) co_return fail(verdict(said));
  co_return Result<void>{};
}

// RFC 5034 §4, RFC 4616 §2. Without an initial response, which old servers do not take.
net::Task<void> Client::Impl::sasl_plain() {
  RELAIS_CO_TRY_VOID(co_await send("AUTH PLAIN"));
  RELAIS_CO_TRY(const auto step, co_await line());
  const bool go_on = step.line == "+" || step.line.starts_with("+ ");
  if (!go_on) {
    const auto parsed = parse_status(step.line);
    Error error;
    if (!parsed) {
      error = temporary("the mail server does not answer", "no reply to AUTH");
    } else if (parsed->ok) {
      error = temporary("the mail server does not answer", "AUTH PLAIN: +OK without a response");
    } else {
      const Status said(*parsed);
      error = temporary("the mail server cannot log you in now", "AUTH PLAIN: " + said.text, to_upper(said.code));
    }
    connection->consume(step.used);
    co_return fail(std::move(error));
  }
  connection->consume(step.used);
  auto message = options.user;
  message.append(1, '\0').append(options.authenticate_as).append(1, '\0').append(options.password);
  const directory::Wiper wiper(message);
  auto response = to_base64(message);
  const directory::Wiper response_wiper(response);
  RELAIS_CO_TRY(const auto said, co_await exchange(response));
  if (!said.ok) co_return fail(verdict(said));
  co_return Result<void>{};
}

// RFC 2449 §5. Servers from before it answer -ERR: they have none.
net::Task<void> Client::Impl::read_capabilities() {
  capabilities.clear();
  RELAIS_CO_TRY(const auto said, co_await exchange("CAPA"));
  if (!said.ok) co_return Result<void>{};
  co_return co_await lines([this](std::string_view line) -> Result<void> {
    constexpr std::size_t kMax = 100;
    const auto word = line.substr(0, line.find(' '));
    if (capabilities.size() < kMax && is_word(word)) capabilities.push_back(to_upper(word));
    return {};
  });
}

net::Task<std::unique_ptr<Client>> Client::open(std::unique_ptr<net::Connection> connection, ClientOptions options) {
  const auto limit = net::in(options.login_limit);
  co_return co_await Impl::open(std::move(connection), std::move(options), limit);
}

net::Task<std::unique_ptr<Client>> Client::Impl::open(std::unique_ptr<net::Connection> connection, ClientOptions options,
                                                      net::Deadline limit) {
  auto impl = std::make_unique<Impl>(std::move(connection), std::move(options));
  if (auto begun = co_await impl->begin(limit); !begun) {
    auto& error = begun.error();
    co_return fail(error.fault == Fault::refused && error.code == "AUTHENTICATIONFAILED" ? std::move(error)
                                                                                         : unavailable(std::move(error)));
  }
  co_return std::unique_ptr<Client>(new Client(std::move(impl)));
}

net::Task<std::unique_ptr<Client>> Client::connect(net::Loop& loop, ClientOptions options) {
  const directory::Wiper wiper(options.password);
  const auto limit = net::in(options.login_limit);
  auto addresses = options.addresses;
  if (addresses.empty()) addresses.push_back(options.service.host);
  Error last = temporary("the mail server does not answer", "no address");
  for (auto& address : addresses) {
    auto connection =
        co_await net::connect(loop, std::move(address), options.service.port, std::min(net::in(options.connect_limit), limit));
    if (connection) co_return co_await Impl::open(std::move(*connection), options, limit);
    last = temporary("the mail server does not answer",
                     connection.error().detail.empty() ? connection.error().text : connection.error().detail);
  }
  co_return fail(std::move(last));
}

}  // namespace relais::pop
