// AUTH at a smarthost.
#include "base/encode.h"
#include "base/random.h"
#include "directory/digest.h"
#include "directory/password.h"
#include "smtp/client/scram_client.h"
#include "smtp/client/session.h"
#include "smtp/proto/client_command.h"

namespace relais::smtp {
namespace {

constexpr std::size_t kNonce = 18;  // octets, 24 characters of base64

// The octets of a 334. RFC 4954 §4
Result<std::string> challenge_of(const RemoteReply& reply) {
  auto text = from_base64(reply.text);
  if (!text) return fail(Fault::refused, "the server's AUTH challenge is no base64");
  return std::move(*text);
}

void queue_response(net::Connection& connection, std::string_view octets) {
  connection.queue(to_base64(octets));
  connection.queue("\r\n");
}

}  // namespace

// Strongest first. Errors of the exchanges: Fault::closed the connection's, Fault::refused ours (the server can't be trusted or
// understood).
net::asio::awaitable<std::optional<Verdict>> Client::Impl::log_in() {
  const bool passwords = connection->tls() != nullptr || options.allow_plaintext_auth;
  Result<RemoteReply> reply = RemoteReply{};
  if (offer.offers_auth("SCRAM-SHA-256"))
    reply = co_await log_in_by_scram();
  else if (passwords && offer.offers_auth("PLAIN"))
    reply = co_await log_in_plain();
  else if (passwords && offer.offers_auth("LOGIN"))
    reply = co_await log_in_by_login();
  else
    co_return decided(
        Disposition::temporary, Scope::host, Stage::auth, "4.7.0",
        offer.auth.empty() || passwords ? "the host offers no AUTH that we know" : "the host offers no AUTH that is safe without TLS");
  if (!reply && reply.error().fault == Fault::closed) co_return lost_at(Stage::auth, reply.error());
  if (!reply) co_return decided(Disposition::temporary, Scope::host, Stage::auth, "4.7.0", reply.error().text);
  if (!reply->positive()) co_return refused_by(Stage::auth, Scope::host, std::move(*reply));
  co_return std::nullopt;
}

// message = [authzid] UTF8NUL authcid UTF8NUL passwd         RFC 4616 §2
net::Task<RemoteReply> Client::Impl::log_in_plain() {
  std::string message(1, '\0');
  const directory::Wiper wiper(message);
  message.append(options.credentials->user).append(1, '\0').append(options.credentials->password);
  append_auth(connection->out(), "PLAIN", message);
  co_return co_await exchange(options.timeouts.hello);
}

// draft-murchison-sasl-login-00: the prompts' words differ, their order does not.
net::Task<RemoteReply> Client::Impl::log_in_by_login() {
  append_auth(connection->out(), "LOGIN", std::nullopt);
  RELAIS_CO_TRY(auto reply, co_await exchange(options.timeouts.hello));
  if (reply.code != 334) co_return reply;
  queue_response(*connection, options.credentials->user);
  RELAIS_CO_TRY(reply, co_await exchange(options.timeouts.hello));
  if (reply.code != 334) co_return reply;
  queue_response(*connection, options.credentials->password);
  co_return co_await exchange(options.timeouts.hello);
}

net::Task<RemoteReply> Client::Impl::log_in_by_scram() {
  ScramClient scram(options.credentials->user, to_base64(random_octets(kNonce)));
  append_auth(connection->out(), "SCRAM-SHA-256", scram.first());
  RELAIS_CO_TRY(auto reply, co_await exchange(options.timeouts.hello));
  if (reply.code != 334) co_return reply;
  RELAIS_CO_TRY(const auto server_first, challenge_of(reply));
  RELAIS_CO_TRY_VOID(scram.take_first(server_first));

  auto derive = [password = directory::prepare_password(options.credentials->password), salt = scram.salt(),
                 iterations = scram.iterations()]() -> Result<std::string> {
    return directory::pbkdf2(directory::Digest::sha256, password, salt, iterations, directory::digest_size(directory::Digest::sha256));
  };
  Result<std::string> salted = std::string{};
  if (options.workers != nullptr)
    salted = co_await options.workers->run(derive);
  else
    salted = derive();
  if (!salted) co_return fail(Fault::refused, "too busy to log in");
  const directory::Wiper wiper(*salted);

  queue_response(*connection, scram.last(*salted));
  RELAIS_CO_TRY(reply, co_await exchange(options.timeouts.hello));
  // RFC 4954 §4: the server's proof is one more challenge, which is answered with nothing. Some put it into the 235.
  if (reply.code != 334 && !reply.positive()) co_return reply;
  RELAIS_CO_TRY(const auto server_final, challenge_of(reply));
  if (!scram.verify(server_final)) co_return fail(Fault::refused, "the host did not prove that it knows our password");
  if (reply.positive()) co_return reply;
  connection->queue("\r\n");
  co_return co_await exchange(options.timeouts.hello);
}

}  // namespace relais::smtp
