// The three services: what differs, what is counted, and how a listener starts a session.
#include "smtp/server/service.h"

#include "smtp/proto/reply.h"
#include "smtp/server/session.h"

namespace relais::smtp {
namespace {

metrics::Counter& counter(std::string_view name, std::string_view help, std::string_view service) { return metrics::counter(name, help, {{"service", service}}); }

metrics::Counter& rejected(std::string_view service, std::string_view kind) {
  return metrics::counter("relais_smtp_rejected_total", "commands and messages answered with 4xx or 5xx", {{"service", service}, {"class", kind}});
}

metrics::Counter& logins(std::string_view service, std::string_view result) {
  return metrics::counter("relais_smtp_auth_total", "AUTH exchanges that came to an end", {{"service", service}, {"result", result}});
}

std::vector<net::Network> networks_of(const std::vector<std::string>& texts) {
  std::vector<net::Network> networks;
  for (const auto& text : texts) {
    if (auto network = net::parse_network(text)) networks.push_back(*network);
  }
  return networks;
}

net::asio::awaitable<void> run_session(std::shared_ptr<ServiceContext> context, std::unique_ptr<net::Connection> connection) {
  Session session(*context, std::move(connection));
  co_await session.run();
}

}  // namespace

std::string_view to_string(Service service) noexcept {
  switch (service) {
    case Service::mx: return "smtp";
    case Service::submission: return "submission";
    case Service::lmtp: return "lmtp";
  }
  return "unknown";
}

Policy policy_of(Service service) noexcept {
  switch (service) {
    case Service::mx: return {};
    case Service::submission: return {.lmtp = false, .auth = true, .require_auth = true, .rate_limits = true};
    case Service::lmtp: return {.lmtp = true, .auth = false, .require_auth = false, .rate_limits = false};
  }
  return {};
}

ServiceMetrics::ServiceMetrics(std::string_view service)
    : sessions(metrics::gauge("relais_smtp_sessions", "sessions that are open", {{"service", service}})),
      connections(counter("relais_smtp_connections_total", "sessions that began", service)),
      messages(counter("relais_smtp_messages_total", "messages accepted", service)),
      octets(counter("relais_smtp_octets_total", "octets of messages accepted", service)),
      recipients(counter("relais_smtp_recipients_total", "recipients of messages accepted", service)),
      rejected_temporary(rejected(service, "4xx")),
      rejected_permanent(rejected(service, "5xx")),
      auth_succeeded(logins(service, "ok")),
      auth_failed(logins(service, "failed")),
      delivery(metrics::histogram("relais_smtp_delivery_seconds", "from the end of the content to the reply", {{"service", service}})) {}

ServiceContext::ServiceContext(Options chosen, Platform what, std::shared_ptr<const net::TlsContext> tls_context)
    : options(std::move(chosen)),
      platform(what),
      policy(policy_of(options.service)),
      tls(std::move(tls_context)),
      relay_from(networks_of(options.relay_from)),
      routing(platform.directory, platform.clock),
      metrics(to_string(options.service)) {}

net::SessionStarter make_service(Options options, Platform platform, std::shared_ptr<const net::TlsContext> tls) {
  auto context = std::make_shared<ServiceContext>(std::move(options), platform, std::move(tls));
  return [context](std::unique_ptr<net::Connection> connection) { return run_session(context, std::move(connection)); };
}

std::string busy_reply(const Options& options) {
  std::string out;
  append_reply(out, 421, "4.7.0", options.hostname + " too many connections, try again later");
  return out;
}

}  // namespace relais::smtp
