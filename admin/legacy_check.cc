// One login at a legacy platform, and out again.
#include "admin/legacy_check.h"

#include "base/check.h"
#include "directory/digest.h"
#include "imap/client/client.h"
#include "pop/client/client.h"
#include "smtp/client/client.h"

#include <chrono>

namespace relais::admin {
namespace {

using directory::ForwardAddress;
using directory::LegacyAttempt;
using directory::LegacyReach;
using directory::LegacyService;
using std::chrono::milliseconds;

// Login clients wait half a minute or longer for an answer.
constexpr milliseconds kConnect{5'000};
constexpr milliseconds kStep{10'000};

std::unexpected<Error> wrong() { return fail(Fault::refused, "authentication failed", "AUTHENTICATIONFAILED"); }

/// Everything but a clear no is temporary.
Result<void> verdict(const Error& error) {
  if (error.fault == Fault::refused && error.code == "AUTHENTICATIONFAILED") return wrong();
  return fail(Fault::temporary, "the account's platform does not answer", error.code, error.detail.empty() ? error.text : error.detail);
}

net::Endpoints endpoints_of(const std::string& client) {
  const bool ipv6 = client.contains(':');
  return {client, 0, ipv6 ? "::1" : "127.0.0.1", 0};
}

net::Task<void> by_submission(LegacyAttempt attempt, LegacyReach reach, std::string hostname, net::WorkerPool& workers, net::Loop& loop) {
  const auto& service = attempt.platform.submission;
  smtp::ConnectOptions options;
  options.host = service.host;
  options.port = service.port;
  options.hello_name = std::move(hostname);
  options.implicit_tls = service.tls == LegacyService::Tls::implicit;
  options.tls.level = service.tls == LegacyService::Tls::none ? smtp::TlsLevel::none
                      : service.verify                        ? smtp::TlsLevel::verify
                                                              : smtp::TlsLevel::encrypt;
  options.tls.names = {service.host};
  options.tls_context = reach.tls;
  options.credentials = smtp::Credentials{attempt.user, attempt.password};
  options.allow_plaintext_auth = service.tls == LegacyService::Tls::none;
  if (attempt.platform.forward == ForwardAddress::id && !attempt.client_address.empty())
    options.xclient = {{"ADDR", attempt.client_address}};
  options.timeouts = {.connect = kConnect, .greeting = kStep, .hello = kStep, .tls = kStep};
  options.workers = &workers;
  smtp::Verdict last;
  for (const auto& address : reach.addresses) {
    options.address = address;
    options.tls.server_name = service.host == address ? std::string() : service.host;
    auto connected = co_await smtp::Client::connect(loop, options);
    if (connected.client) {
      co_await connected.client->quit();
      co_return Result<void>{};
    }
    last = std::move(connected.failure);
    // RFC 4954 §6: 535 is what says that the credentials are wrong; 534 and 538 speak of the mechanism.
    if (last.stage == smtp::Stage::auth && last.reply.code == 535) co_return wrong();
    if (last.stage != smtp::Stage::connect) break;
  }
  co_return fail(Fault::temporary, "the account's platform does not answer", "", last.line());
}

net::Task<void> by_imap(LegacyAttempt attempt, LegacyReach reach, net::Loop& loop) {
  imap::ClientOptions options;
  options.service = attempt.platform.imap;
  options.addresses = std::move(reach.addresses);
  options.tls = std::move(reach.tls);
  options.login.user = attempt.user;
  options.login.password = attempt.password;
  options.forward = attempt.platform.forward;
  if (options.forward != ForwardAddress::none) options.on_behalf_of = endpoints_of(attempt.client_address);
  options.plaintext_allowed = attempt.platform.imap.tls == LegacyService::Tls::none;
  options.timeouts = {.connect = kConnect, .greeting = kStep, .login = kStep, .command = kStep, .write = kStep};
  const auto client = co_await imap::Client::connect(loop, std::move(options));
  if (!client) co_return verdict(client.error());
  co_await (*client)->logout();
  co_return Result<void>{};
}

net::Task<void> by_pop3(LegacyAttempt attempt, LegacyReach reach, net::Loop& loop) {
  pop::ClientOptions options;
  options.service = attempt.platform.pop3;
  options.addresses = std::move(reach.addresses);
  options.tls = std::move(reach.tls);
  options.user = attempt.user;
  options.password = attempt.password;
  options.forward = attempt.platform.forward;
  if (options.forward != ForwardAddress::none) options.on_behalf_of = endpoints_of(attempt.client_address);
  options.plaintext_allowed = attempt.platform.pop3.tls == LegacyService::Tls::none;
  options.capabilities = false;
  options.connect_limit = kConnect;
  options.reply_limit = kStep;
  const auto client = co_await pop::Client::connect(loop, std::move(options));
  if (!client) co_return verdict(client.error());
  (*client)->close();  // without QUIT nothing is deleted
  co_return Result<void>{};
}

}  // namespace

net::Task<void> PlatformCheck::check(LegacyAttempt attempt) {
  const directory::Wiper wiper(attempt.password);
  auto* loop = net::Loop::current();
  RELAIS_CHECK(loop != nullptr);
  const auto& platform = attempt.platform;
  const bool submission = platform.submission.configured() && platform.forward != ForwardAddress::proxy;
  const auto& service = submission ? platform.submission : platform.imap.configured() ? platform.imap : platform.pop3;
  auto reach = co_await hosts_.find(platform, service);
  if (!reach) co_return verdict(reach.error());
  if (submission) co_return co_await by_submission(attempt, *std::move(reach), hostname_, workers_, *loop);
  if (platform.imap.configured()) co_return co_await by_imap(attempt, *std::move(reach), *loop);
  co_return co_await by_pop3(attempt, *std::move(reach), *loop);
}

}  // namespace relais::admin
