// From an address to a session: TCP, PROXY header, TLS, greeting, capabilities.
#include "directory/digest.h"
#include "imap/client/session.h"
#include "net/proxy_header.h"

#include <algorithm>
#include <array>
#include <utility>

namespace relais::imap {
namespace {

using directory::ForwardAddress;
using Tls = directory::LegacyService::Tls;

}  // namespace

net::Task<std::unique_ptr<Client>> Client::connect(net::Loop& loop, ClientOptions options) {
  const directory::Wiper forget(options.login.password);
  const auto until = net::in(options.timeouts.total);
  const auto addresses = options.addresses.empty() ? std::vector<std::string>{options.service.host} : options.addresses;
  Error why;
  for (const auto& address : addresses) {
    auto connected = co_await net::connect(loop, address, options.service.port, std::min(net::in(options.timeouts.connect), until));
    if (connected) co_return co_await open_by(std::move(*connected), std::move(options), until);
    why = std::move(connected).error();
  }
  why.fault = Fault::temporary;
  co_return fail(std::move(why));
}

net::Task<std::unique_ptr<Client>> Client::open(std::unique_ptr<net::Connection> connection, ClientOptions options) {
  const directory::Wiper forget(options.login.password);
  const auto until = net::in(options.timeouts.total);
  co_return co_await open_by(std::move(connection), std::move(options), until);
}

net::Task<std::unique_ptr<Client>> Client::open_by(std::unique_ptr<net::Connection> connection, ClientOptions options,
                                                   net::Deadline until) {
  const directory::Wiper forget(options.login.password);
  std::unique_ptr<Client> client(new Client(std::make_unique<Impl>(std::move(connection), std::move(options))));
  auto begun = co_await client->impl_->begin(until);
  if (begun) co_return client;
  auto error = std::move(begun).error();
  // Whoever asks for a session is told "refused" only where that is an answer to the credentials.
  error.fault = client->impl_->credentials_refused ? Fault::refused : Fault::temporary;
  co_return fail(std::move(error));
}

ResponseLimits Client::Impl::limits_before_login(ResponseLimits limits) noexcept {
  constexpr std::size_t kMost = 64 * 1024;  // octets: what comes is a list of capabilities at the most
  return {.inlined = std::min(limits.inlined, kMost), .text = std::min(limits.text, kMost)};
}

net::Task<void> Client::Impl::begin(net::Deadline until) {
  const directory::Wiper forget(options.login.password);
  end_of_phase = until;
  auto established = co_await establish();
  end_of_phase.reset();
  co_return established;
}

net::Task<void> Client::Impl::establish() {
  if (options.forward == ForwardAddress::proxy && options.on_behalf_of) {
    connection->queue(net::proxy_header(*options.on_behalf_of));
    RELAIS_CO_TRY_VOID(co_await flush("PROXY"));
  }
  if (options.service.tls == Tls::implicit) RELAIS_CO_TRY_VOID(co_await handshake());
  RELAIS_CO_TRY_VOID(co_await read_greeting());
  if (options.service.tls == Tls::starttls) RELAIS_CO_TRY_VOID(co_await start_tls());
  if (connection->tls() == nullptr && !options.plaintext_allowed) {
    co_return fail(Fault::temporary, "passwords are not sent without TLS", "PRIVACYREQUIRED");
  }
  if (!capabilities_known) RELAIS_CO_TRY_VOID(co_await ask_capabilities(options.timeouts.login));
  RELAIS_CO_TRY_VOID(co_await announce_client());
  capabilities_before = capabilities;
  capabilities_known = false;  // RFC 9051 §6.2.2: another list holds after the login
  auto logged_in = co_await log_in();
  if (!logged_in) {
    credentials_refused = logged_in.error().fault == Fault::refused;
    co_return fail(std::move(logged_in).error());
  }
  framer.set_limits(options.limits);
  if (!capabilities_known) RELAIS_CO_TRY_VOID(co_await ask_capabilities(options.timeouts.login));
  co_return Result<void>{};
}

// RFC 9051 §7.1: OK, PREAUTH or BYE.
net::Task<void> Client::Impl::read_greeting() {
  ClientTaker nobody;
  RELAIS_CO_TRY(const auto response, co_await next(options.timeouts.greeting, "the greeting", nobody));
  if (response.kind == Response::Kind::preauth) {
    // Nobody has been asked who we are: such a session proves nothing, and may be anybody's.
    gone = true;
    connection->close();
    co_return fail(Fault::temporary, "the server lets everybody in (PREAUTH)", "PREAUTH");
  }
  if (response.kind != Response::Kind::ok || !response.tag.empty()) {
    co_return lost("the greeting", Error{Fault::closed, "garbage", "expected a greeting"});
  }
  greeting = response.as<StatusText>().text;
  co_return Result<void>{};
}

net::Task<void> Client::Impl::handshake() {
  if (!options.tls) co_return fail(Fault::temporary, "TLS cannot be had here", "TLS");
  net::TlsPeer peer;
  peer.name = options.service.host;
  peer.check = options.service.verify ? net::TlsPeer::Check::context : net::TlsPeer::Check::none;
  auto shaken = co_await connection->start_tls_client(*options.tls, std::move(peer), by(options.timeouts.login));
  if (!shaken) {
    const auto& why = shaken.error();
    gone = true;
    co_return fail(Fault::temporary, why.code.empty() ? "TLS failed" : "TLS failed: " + why.code, "TLS",
                   why.detail.empty() ? why.text : why.detail);
  }
  co_return Result<void>{};
}

// RFC 9051 §6.2.1: what was told before TLS counts for nothing after it.
net::Task<void> Client::Impl::start_tls() {
  if (!capabilities_known) RELAIS_CO_TRY_VOID(co_await ask_capabilities(options.timeouts.login));
  if (!has("STARTTLS")) co_return fail(Fault::temporary, "the server does not offer STARTTLS", "TLS");
  ClientTaker nobody;
  RELAIS_CO_TRY(const auto answered, co_await run("STARTTLS", command().text("STARTTLS"), nobody, options.timeouts.login));
  if (answered.status != ClientReply::Status::ok) {
    auto error = error_of("STARTTLS", answered);
    error.code = "TLS";
    co_return fail(std::move(error));
  }
  RELAIS_CO_TRY_VOID(co_await handshake());
  capabilities.clear();
  capabilities_known = false;
  co_return Result<void>{};
}

net::Task<void> Client::Impl::ask_capabilities(Milliseconds limit) {
  ClientTaker nobody;
  RELAIS_CO_TRY(const auto answered, co_await run("CAPABILITY", command().text("CAPABILITY"), nobody, limit));
  if (answered.status != ClientReply::Status::ok) co_return fail(error_of("CAPABILITY", answered));
  if (!capabilities_known) co_return lost("CAPABILITY", Error{Fault::closed, "garbage", "OK without a list"});
  co_return Result<void>{};
}

// The words that Dovecot takes from networks that it trusts; other servers ignore them (RFC 2971 §3.3 names no fields of this kind).
net::Task<void> Client::Impl::announce_client() {
  if (options.forward != ForwardAddress::id || !options.on_behalf_of || !has("ID")) co_return Result<void>{};
  const auto& client = *options.on_behalf_of;
  const std::array<std::pair<std::string_view, std::string>, 6> fields{{
      {"x-session-id", options.session_id},
      {"x-originating-ip", client.peer_address},
      {"x-originating-port", std::to_string(client.peer_port)},
      {"x-connected-ip", client.local_address},
      {"x-connected-port", std::to_string(client.local_port)},
      {"x-proxy-ttl", std::to_string(options.proxy_ttl)},
  }};
  auto id = command();
  id.text("ID (");
  bool first = true;
  for (const auto& [name, value] : fields) {
    if (value.empty()) continue;
    if (!std::exchange(first, false)) id.text(" ");
    id.string(name).text(" ").string(value);
  }
  id.text(")");
  ClientTaker nobody;
  RELAIS_CO_TRY_VOID(co_await run("ID", std::move(id), nobody, options.timeouts.login));  // a NO is no reason not to log in
  co_return Result<void>{};
}

}  // namespace relais::imap
