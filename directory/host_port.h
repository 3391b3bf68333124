// "host:port" as administrators write next hops.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace relais::directory {

struct HostPort {
  std::string host;        ///< name (lower-case A-labels) or address; IPv6 without brackets
  std::uint16_t port = 0;  ///< 0: none was given
};

/// "example.org:25", "192.0.2.1", "[2001:db8::1]:25". Errors: Fault::syntax naming what is wrong.
Result<HostPort> parse_host_port(std::string_view text);
/// Back to it.
std::string host_port_text(std::string_view host, std::uint16_t port);

}  // namespace relais::directory
