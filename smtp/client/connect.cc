// From a TCP connection to a session that takes messages.
#include "smtp/client/session.h"

#include "smtp/proto/client_command.h"

namespace relais::smtp {
namespace {

using Failed = std::optional<Verdict>;

/// From a result type of net/tls.h.
TlsFailure failure_of(std::string_view result_type) {
  using net::TlsFault;
  if (result_type.empty()) return TlsFailure::none;
  if (result_type == net::to_string(TlsFault::host_mismatch)) return TlsFailure::certificate_host_mismatch;
  if (result_type == net::to_string(TlsFault::expired)) return TlsFailure::certificate_expired;
  if (result_type == net::to_string(TlsFault::not_trusted)) return TlsFailure::certificate_not_trusted;
  return TlsFailure::validation_failure;
}

std::string tls_text(const Error& error) {
  if (error.code == "timeout") return "timeout in the TLS handshake";
  std::string text = error.fault == Fault::closed ? "connection lost in the TLS handshake" : "TLS handshake failed";
  if (!error.detail.empty()) text += ": " + error.detail;
  return text;
}

}  // namespace

bool Client::Impl::tls_required() const noexcept {
  const auto& policy = options.tls;
  return policy.level != TlsLevel::none && policy.level != TlsLevel::may && !policy.testing && !policy.optional;
}

// RFC 8460 §4.3
void Client::Impl::note_tls(TlsFailure failure, std::string reason) {
  const auto& ends = connection->endpoints();
  tls.outcome = TlsOutcome{failure, std::move(reason), ends.local_address, ends.peer_address, offer.name};
}

net::asio::awaitable<Failed> Client::Impl::begin() {
  if (options.implicit_tls) {
    if (auto failed = co_await handshake()) co_return failed;
  }
  auto greeting = co_await read_reply(options.timeouts.greeting);
  if (!greeting) co_return lost_at(Stage::greeting, greeting.error());
  if (greeting->code != 220) co_return refused_by(Stage::greeting, Scope::host, std::move(*greeting));
  if (auto failed = co_await hello()) co_return failed;
  if (auto failed = co_await secure()) co_return failed;
  if (!options.xclient.empty()) {
    if (auto failed = co_await announce_client()) co_return failed;
  }
  if (options.credentials) {
    if (auto failed = co_await log_in()) co_return failed;
  }
  usable = true;
  co_return std::nullopt;
}

// RFC 5321 §4.1.1.1, §3.2: a server that knows no EHLO gets HELO. LMTP knows LHLO alone (RFC 2033 §4.1).
net::asio::awaitable<Failed> Client::Impl::hello() {
  auto& out = connection->out();
  if (auto written = append_hello(out, options.lmtp ? "LHLO" : "EHLO", options.hello_name); !written)
    co_return decided(Disposition::temporary, Scope::host, Stage::hello, "4.3.5", written.error().text);
  auto reply = co_await exchange(options.timeouts.hello);
  if (!reply) co_return lost_at(Stage::hello, reply.error());
  const bool extended = reply->positive();
  if (!extended && reply->permanent() && !options.lmtp) {
    static_cast<void>(append_hello(out, "HELO", options.hello_name));  // the name was fine above
    reply = co_await exchange(options.timeouts.hello);
    if (!reply) co_return lost_at(Stage::hello, reply.error());
  }
  if (!reply->positive()) co_return refused_by(Stage::hello, Scope::host, std::move(*reply));
  offer = parse_offer(*reply, extended);
  co_return std::nullopt;
}

// Brings about what the TLS policy asks for. RFC 3207 §4
net::asio::awaitable<Failed> Client::Impl::secure() {
  const bool wanted = options.tls.level != TlsLevel::none;
  if (connection->tls() != nullptr) {  // implicit
    const auto* const info = connection->tls();
    if (wanted) note_tls(failure_of(net::to_string(info->fault)), info->fault_detail);
    co_return std::nullopt;
  }
  if (!wanted) co_return std::nullopt;
  if (offer.starttls && options.tls_context != nullptr) co_return co_await start_tls();
  note_tls(TlsFailure::starttls_not_supported, offer.starttls ? "TLS is not available here" : "STARTTLS is not offered");
  if (!tls_required()) co_return std::nullopt;
  co_return decided(Disposition::temporary, Scope::host, Stage::starttls, "4.7.5",
                    offer.starttls ? "TLS is required and not available here" : "TLS is required and the host does not offer STARTTLS");
}

net::asio::awaitable<Failed> Client::Impl::start_tls() {
  connection->queue("STARTTLS\r\n");
  auto reply = co_await exchange(options.timeouts.hello);
  if (!reply) {
    note_tls(TlsFailure::validation_failure, "no reply to STARTTLS");
    co_return lost_at(Stage::starttls, reply.error());
  }
  if (!reply->positive()) {
    note_tls(TlsFailure::starttls_not_supported, reply->line());
    // RFC 3207 §4.1: the session goes on without it, if that is good enough for us.
    if (!tls_required() && reply->code != 421) co_return std::nullopt;
    co_return refused_by(Stage::starttls, Scope::host, std::move(*reply));
  }
  if (auto failed = co_await handshake()) co_return failed;
  const auto* const info = connection->tls();
  auto failure = failure_of(net::to_string(info->fault));
  auto reason = info->fault_detail;
  if (options.tls.level == TlsLevel::dane && !info->dane_usable) {  // then as `encrypt`: RFC 7672 §2.2
    failure = TlsFailure::tlsa_invalid;
    reason = "no TLSA record can be used";
  }
  note_tls(failure, std::move(reason));
  // RFC 3207 §4.2: what the server said before counts no more.
  offer = {};
  co_return co_await hello();
}

net::asio::awaitable<Failed> Client::Impl::handshake() {
  using Check = net::TlsPeer::Check;
  const auto& policy = options.tls;
  net::TlsPeer peer;
  peer.name = policy.server_name.empty() ? options.host : policy.server_name;
  peer.check = policy.level == TlsLevel::verify ? Check::names : policy.level == TlsLevel::dane ? Check::dane : Check::none;
  peer.enforce = tls_required();
  peer.names = policy.names;
  if (peer.names.empty() && !options.host.empty()) peer.names.push_back(options.host);
  if (peer.check == Check::dane) peer.tlsa = policy.tlsa;
  if (options.tls_context == nullptr)
    co_return decided(Disposition::temporary, Scope::host, Stage::tls, "4.7.5", "TLS is not available here");
  auto done = co_await connection->start_tls_client(*options.tls_context, std::move(peer), net::in(options.timeouts.tls));
  if (!done) {
    if (!options.implicit_tls)
      note_tls(done.error().code.empty() ? TlsFailure::validation_failure : failure_of(done.error().code),
               done.error().detail.empty() ? done.error().text : done.error().detail);
    co_return decided(Disposition::temporary, Scope::host, Stage::tls, "4.7.5", tls_text(done.error()));
  }
  parser.reset();
  const auto* const info = connection->tls();
  tls.encrypted = true;
  tls.verified = info->verified;
  tls.version = info->version;
  tls.cipher = info->cipher;
  co_return std::nullopt;
}

// Postfix XCLIENT_README: "220" starts the session again, with a hello. A host that does not let us goes on to see us as what we are.
net::asio::awaitable<Failed> Client::Impl::announce_client() {
  if (!append_xclient(connection->out(), options.xclient, offer)) co_return std::nullopt;
  auto reply = co_await exchange(options.timeouts.hello);
  if (!reply) co_return lost_at(Stage::xclient, reply.error());
  if (reply->code == 421) co_return refused_by(Stage::xclient, Scope::host, std::move(*reply));
  if (!reply->positive()) co_return std::nullopt;
  offer = {};
  co_return co_await hello();
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

net::asio::awaitable<Connected> Client::open(std::unique_ptr<net::Connection> connection, ConnectOptions options) {
  auto impl = std::make_unique<Impl>(std::move(connection), std::move(options));
  Connected result;
  auto failed = co_await impl->begin();
  result.tls = impl->tls;
  if (failed) {
    result.failure = std::move(*failed);
    // A host that still listens is told that we go (RFC 5321 §4.1.1.10); whether it hears it does not matter.
    if (result.failure.reply.code != 0 || result.failure.stage == Stage::starttls || result.failure.stage == Stage::auth) {
      impl->connection->queue("QUIT\r\n");
      static_cast<void>(co_await impl->flush(impl->options.timeouts.quit));
    }
  } else {
    result.client.reset(new Client(std::move(impl)));
  }
  co_return result;
}

net::asio::awaitable<Connected> Client::connect(net::Loop& loop, ConnectOptions options) {
  const bool plaintext_will_do =
      !options.implicit_tls && (options.tls.level == TlsLevel::may || options.tls.testing || options.tls.optional);
  std::optional<TlsOutcome> told;
  for (bool again = false;; again = true) {
    auto connection = co_await net::connect(loop, options.address, options.port, net::in(options.timeouts.connect), options.source_address);
    if (!connection) {
      Connected result;
      result.failure =
          decided(Disposition::temporary, Scope::host, Stage::connect, "4.4.1", "cannot connect: " + connection.error().detail);
      result.tls.outcome = std::move(told);
      co_return result;
    }
    auto result = co_await open(std::move(*connection), options);
    if (again) {
      result.tls.outcome = std::move(told);
      result.tls.fell_back = true;
      co_return result;
    }
    // RFC 7435 §3: TLS that fails is no worse than none. The server's state is unknown, so it is a new connection.
    const bool tls_failed = !result.client && (result.failure.stage == Stage::tls ||
                                               (result.failure.stage == Stage::starttls && result.failure.reply.code == 0));
    if (!tls_failed || !plaintext_will_do) co_return result;
    told = std::move(result.tls.outcome);
    options.tls.level = TlsLevel::none;
  }
}

net::asio::awaitable<Outcome> Client::send(const OutboundMessage& message) { return impl_->send(message); }

net::asio::awaitable<void> Client::quit() {
  auto& self = *impl_;
  self.usable = false;
  if (!std::exchange(self.gone, true)) {
    self.connection->queue("QUIT\r\n");
    if (co_await self.flush(self.options.timeouts.quit)) static_cast<void>(co_await self.read_reply(self.options.timeouts.quit));
  }
  self.connection->close();
}

bool Client::usable() const noexcept { return impl_->usable; }
const RemoteOffer& Client::offer() const noexcept { return impl_->offer; }
const TlsResult& Client::tls() const noexcept { return impl_->tls; }
const net::Endpoints& Client::endpoints() const noexcept { return impl_->connection->endpoints(); }
std::uint32_t Client::messages() const noexcept { return impl_->messages; }

}  // namespace relais::smtp
