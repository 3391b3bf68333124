// The PROXY protocol's header, as a proxy writes it.
#pragma once

#include "net/connection.h"

#include <string>

namespace relais::net {

/// Version 2, command PROXY, TCP over IPv4 or IPv6: `client.peer_*` is the source, `client.local_*` the destination. Addresses of two
/// families, or none, give command LOCAL: the server takes the connection for the proxy's own.
/// Source: "The PROXY protocol", HAProxy, 2020, §2.2.
std::string proxy_header(const Endpoints& client);

}  // namespace relais::net
