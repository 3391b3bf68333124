// Host after host, address after address.
#include "smtp/outbound/dial.h"

#include "base/log.h"

namespace relais::smtp {
namespace {

Dialed failed(const Error& error) {
  Dialed out;
  out.permanent = error.fault == Fault::refused || error.fault == Fault::syntax;
  out.status = error.code.empty() ? (out.permanent ? "5.4.4" : "4.4.3") : error.code;
  out.trouble = error.text;
  return out;
}

bool same_family(std::string_view a, std::string_view b) { return (a.find(':') == std::string_view::npos) == (b.find(':') == std::string_view::npos); }

ConnectOptions connect_options(const Dialer& dialer, const Host& host, const std::string& address, const std::string& source) {
  ConnectOptions options;
  options.host = host.name;
  options.address = address;
  options.port = host.port;
  if (!source.empty() && same_family(source, address)) options.source_address = source;
  options.hello_name = dialer.hostname;
  options.lmtp = host.lmtp;
  options.tls = host.tls;
  options.implicit_tls = host.implicit_tls;
  options.tls_context = host.tls_context ? host.tls_context : dialer.tls;
  options.credentials = host.auth;
  options.timeouts = dialer.timeouts;
  options.workers = dialer.workers;
  return options;
}

}  // namespace

std::string host_text(const Host& host, std::string_view address) {
  std::string text;
  if (!host.name.empty() && host.name != address) text.append(host.name) += ' ';
  return text.append("[").append(address).append("]:").append(std::to_string(host.port));
}

net::asio::awaitable<Connected> connect_to(const Dialer& dialer, std::string_view destination, const Host& host,
                                                   const std::string& address, net::Loop& loop) {
  const auto source = dialer.source_address ? dialer.source_address(destination) : std::string();
  auto connected = co_await Client::connect(loop, connect_options(dialer, host, address, source));
  if (connected.tls.outcome) dialer.outbound.report(host, *connected.tls.outcome);
  co_return connected;
}

net::asio::awaitable<Dialed> dial(const Dialer& dialer, std::string destination, TlsNeed need, net::Loop& loop) {
  const auto parsed = parse_destination(destination);
  if (!parsed) co_return failed(parsed.error());
  auto hop = next_hop(dialer.legacy, *parsed);
  if (!hop) co_return failed(hop.error());
  const auto list = co_await dialer.outbound.hosts(std::move(hop->destination), need, std::move(hop->rule));
  if (!list) co_return failed(list.error());

  Dialed last;
  last.status = "4.4.1";
  last.trouble = "no host has an address";
  std::size_t tried = 0;
  for (const auto& host : list->hosts) {
    for (const auto& address : host.addresses) {
      if (++tried > dialer.max_addresses) co_return last;
      auto connected = co_await connect_to(dialer, destination, host, address, loop);
      last.host = host_text(host, address);
      last.lmtp = host.lmtp;
      if (connected.client) {
        last.client = std::move(connected.client);
        last.trouble.clear();
        co_return last;
      }
      const auto& why = connected.failure;
      log::event(log::Level::debug, "host does not let us in", {{"destination", destination}, {"host", last.host}, {"reason", why.line()}});
      last.status = why.status.empty() ? "4.4.1" : "4" + why.status.substr(1);  // a host that refuses today may let us in tomorrow
      last.trouble = why.line();
      last.code = why.reply.code;
    }
  }
  co_return last;
}

}  // namespace relais::smtp
