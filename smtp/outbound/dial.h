// A session with a host of a destination: the first one, in their order, that lets us in.
#pragma once

#include "net/loop.h"
#include "smtp/client/client.h"
#include "smtp/outbound/hosts.h"
#include "smtp/outbound/legacy.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace relais::smtp {

/// What it takes to dial. The references outlive every call.
struct Dialer {
  Outbound& outbound;
  const LegacyPlatforms& legacy;
  std::shared_ptr<const net::TlsContext> tls{};  ///< null: connections are never encrypted
  net::WorkerPool* workers = nullptr;
  std::string hostname = "localhost";            ///< what we call ourselves
  ClientTimeouts timeouts{};
  std::size_t max_addresses = 10;                ///< tried, over all hosts
  /// The address that connections to a destination come from; empty function or text: the system chooses. Threads: any.
  std::function<std::string(std::string_view destination)> source_address{};
};

/// What came of it.
struct Dialed {
  std::unique_ptr<Client> client;   ///< null: nobody let us in
  std::string host;                 ///< "mx.example.net [192.0.2.1]:25": the one that did, or the last that was tried; empty: none was
  bool lmtp = false;
  /// Without a client. permanent: the destination can't take mail at all (no such domain, null MX, …).
  bool permanent = false;
  std::string status{};             ///< "5.1.2", "4.4.1"
  std::string trouble{};            ///< one line
  std::uint16_t code = 0;           ///< of the last host's reply; 0: it did not reply
};

/// The address in words: "mx.example.net [192.0.2.1]:25".
std::string host_text(const Host& host, std::string_view address);

/// Connects to one address of one host of a destination and tells Outbound what came of TLS. Threads: `loop`'s. The dialer outlives the call.
net::asio::awaitable<Connected> connect_to(const Dialer& dialer, std::string_view destination, const Host& host,
                                                   const std::string& address, net::Loop& loop);

/// Looks for the hosts of a destination (of kind mx, smtp, lmtp or legacy) and connects. Tells Outbound what came of TLS.
/// Threads: `loop`'s. The dialer outlives the call.
net::asio::awaitable<Dialed> dial(const Dialer& dialer, std::string destination, TlsNeed need, net::Loop& loop);

}  // namespace relais::smtp
